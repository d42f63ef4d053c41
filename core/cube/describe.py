"""Says what a cube holds, for whoever shows it: one entry per variable that is a raster over time."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from ..errors import InputError, StorageError
from ..progress import Progress
from .encoding import Encoding, Variable
from .layers import (
    GDAL_TYPES,
    RGB_NAME,
    Storage,
    classes_of,
    fresh_layers,
    has_rgb,
    layer_files,
    layers_folder,
)
from .read import CUBE_DIMS, LETTERS, STANDARD_NAMES, cube_path, find_axes, grid_of, normalised, open_stored

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LayerInfo:
    """A layer of a cube. `path`: its VRT. `kind`: "reflectance", "classes" or "number". `dates`: ISO, one
    per band. `classes`: value to name. `best`: number (from 1) of the clearest date's band."""

    variable: str
    path: str
    kind: str
    long_name: str
    units: str
    dates: tuple[str, ...]
    classes: dict[str, str]
    best: int


@dataclass(frozen=True)
class DescribeParameters:
    """`cube`: path of a cube: .nc, a Zarr folder, or the `.zgroup` / `zarr.json` in it. `variables`: names to
    show; empty for all."""

    cube: str
    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class DescribeResult:
    """`path`: the cube's file or folder, absolute."""

    title: str
    layers: tuple[LayerInfo, ...]
    path: str = ""


def best_date(clear_share: list[float], sun_elevation: list[float]) -> int:
    """The number (from 1) of the date to show first: the clearest, of equally clear ones the sunniest.

    NaN where a share or an elevation (degrees) is not known; without any share the sunniest, else the first.
    """
    shares = np.nan_to_num(np.asarray(clear_share, dtype=float), nan=0.0)
    suns = np.nan_to_num(np.asarray(sun_elevation, dtype=float), nan=0.0)
    # Half a per cent more or less of clear pixels is not to be seen.
    clear = shares >= shares.max() - 0.005
    return int(np.argmax(np.where(clear, suns, -np.inf))) + 1


def title_of(cube: Path, dates: list[str]) -> str:
    """What a person calls the cube: its file and its period."""
    return f"{cube.stem}, {dates[0]} to {dates[-1]}"


def describe_layers(cube: Path, variables: list[Variable], dates: list[str], best: int) -> list[LayerInfo]:
    """The layers of a cube with `variables` over `dates`; natural colours first, where it has them."""
    layers = []
    for variable in variables:
        attributes = variable.attributes
        names = {str(value): name for value, name in classes_of(attributes).items()}
        reflectance = "reflectance" in str(attributes.get("standard_name", ""))
        layers.append(
            LayerInfo(
                variable=variable.name,
                path=str(layers_folder(cube) / f"{variable.name}.vrt"),
                kind="classes" if names else "reflectance" if reflectance else "number",
                long_name=str(attributes.get("long_name", variable.name)),
                units=str(attributes.get("units", "")),
                dates=tuple(dates),
                classes=names,
                best=best,
            )
        )
    if has_rgb(variables):
        path = str(layers_folder(cube) / f"{RGB_NAME}.vrt")
        name = f"natural colours of {dates[best - 1]}"
        layers.insert(0, LayerInfo(RGB_NAME, path, "rgb", name, "1", (dates[best - 1],), {}, best))
    return layers


def describe_cube(parameters: DescribeParameters, progress: Progress) -> DescribeResult:
    """Open a cube and say what it holds; its layers are written again when they are not what they should be.

    Raises `InputError` when the path is no cube or a variable is not in it, `StorageError` when it
    cannot be read.
    """
    path = cube_path(Path(parameters.cube))
    with open_stored(path) as stored:
        cube = normalised(stored, path.name)
        variables = _shown(stored, find_axes(stored, path.name), path.name)
        storage = _storage(stored, path)
        # Coordinates count, not copies of them in attributes: whoever cut or thinned the cube has changed them
        # alone.
        grid = grid_of(cube, path.name)
        dates = [str(date) for date in cube.time.values.astype("datetime64[D]")]
        best = best_date(*_brightness(cube))
    names = [variable.name for variable in variables]
    unknown = [name for name in parameters.variables if name not in names]
    if unknown:
        raise InputError(f"The cube has no variable {', '.join(unknown)}.", f"It has: {', '.join(names)}.")
    if not _fresh(path, layer_files(path, grid, dates, variables, best, storage)):
        try:
            with fresh_layers(path, grid, dates, variables, best, progress, storage) as layers:
                layers.swap()
        except OSError as error:
            raise StorageError(
                f"The layers of {path.name} cannot be written beside it ({error.strerror}).",
                "Copy the cube to a folder that you can write.",
            ) from error
    wanted = [v for v in variables if not parameters.variables or v.name in parameters.variables]
    return DescribeResult(title_of(path, dates), tuple(describe_layers(path, wanted, dates, best)), str(path))


def _fresh(path: Path, files: dict[str, str]) -> bool:
    """Whether the layers folder holds these files; others in it do no harm."""
    try:
        return all((layers_folder(path) / n).read_text(encoding="utf-8") == t for n, t in files.items())
    except (OSError, UnicodeDecodeError):
        return False


def _shown(stored: xr.Dataset, axes: dict[str, str], name: str) -> list[Variable]:
    """The variables that GDAL shows as one raster per date: over time, y and x in this order."""
    variables = []
    for key, variable in stored.data_vars.items():
        if set(variable.dims) != set(axes.values()):
            continue
        stored_as = variable.encoding
        dtype = np.dtype(stored_as.get("dtype", variable.dtype)).name
        if dtype not in GDAL_TYPES or variable.dims != tuple(axes[axis] for axis in CUBE_DIMS):
            reason = (
                dtype if dtype not in GDAL_TYPES else f"dimensions in the order {', '.join(variable.dims)}"
            )
            log.warning("%s of %s is not shown: QGIS cannot show %s.", key, name, reason)
            continue
        fill = stored_as.get("_FillValue", stored_as.get("missing_value"))
        scale, offset = stored_as.get("scale_factor"), stored_as.get("add_offset")
        encoding = Encoding(
            dtype,
            None if scale is None and offset is None else _short(1.0 if scale is None else scale),
            None if fill is None else np.ravel(fill)[0].item(),
            0.0 if offset is None else _short(offset),
        )
        # Of dates the units are part of how they are stored.
        units = {"units": stored_as["units"]} if "units" in stored_as else {}
        variables.append(Variable(str(key), encoding, {**units, **variable.attrs}))
    if not variables:
        raise InputError(f"{name} has no variable over time, y and x that QGIS can show.")
    return variables


def _short(number: float) -> float:
    """A float32 as the decimal that was meant (0.0001); any other number as it is."""
    number = np.ravel(number)[0].item()
    return float(str(np.float32(number))) if float(np.float32(number)) == number else float(number)


def _storage(stored: xr.Dataset, path: Path) -> Storage:
    """How GDAL is to read a cube. Its netCDF driver turns rows that run north to make a map of them, and does so
    wrongly where it does not recognise y (all versions), or where there is a GeoTransform (3.12); then HDF5's
    driver reads the file, which leaves rows as they are."""
    axes = find_axes(stored, path.name)
    if stored[axes["x"]].size > 1 and stored[axes["x"]].values[0] > stored[axes["x"]].values[-1]:
        raise InputError(f"The x of {path.name} run from east to west, which QGIS cannot show.")
    y = stored[axes["y"]].values
    south_up = bool(y[0] < y[-1])
    if path.is_dir():
        return Storage("ZARR", south_up)
    plain = all(_gdal_knows(stored, axes[axis], axis) for axis in ("y", "x"))
    if plain and not any("GeoTransform" in v.attrs for v in stored.variables.values()):
        return Storage("NETCDF")
    return Storage("HDF5", south_up)


def _gdal_knows(stored: xr.Dataset, name: str, axis: str) -> bool:
    attributes = stored[name].attrs
    return (
        name in ("lat", "latitude", "lon", "longitude")
        or attributes.get("standard_name") in STANDARD_NAMES[axis]
        or attributes.get("axis") == LETTERS[axis]
    )


def _brightness(cube: xr.Dataset) -> tuple[list[float], list[float]]:
    """Clear share and sun elevation of each date, NaN where the cube does not say."""
    unknown = np.full(cube.sizes["time"], np.nan)
    share, cover, sun = (
        cube[name].values if name in cube and cube[name].dims == ("time",) else unknown
        for name in ("s2_clear_share", "s2_cloud_cover", "s2_sun_elevation")
    )
    return (1 - cover / 100 if np.all(np.isnan(share)) else share).tolist(), sun.tolist()
