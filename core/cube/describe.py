"""Says what a cube holds, for whoever shows it: one entry per variable that is a raster over time."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from ..errors import InputError, StorageError
from ..grid import Grid, short_crs
from ..progress import Progress
from .encoding import Encoding, Variable
from .layers import GDAL_TYPES, RGB_NAME, fresh_layers, has_rgb, layers_folder

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
    """`cube`: path of a NetCDF cube. `variables`: names to show; empty for all."""

    cube: str
    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class DescribeResult:
    title: str
    layers: tuple[LayerInfo, ...]


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
        names = {}
        if "flag_values" in attributes:
            values = np.atleast_1d(attributes["flag_values"]).tolist()
            names = {str(v): n for v, n in zip(values, attributes["flag_meanings"].split(), strict=True)}
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
    """Open a cube and say what it holds; its layers are written again when they are missing or older than it.

    Raises `InputError` when the path is no cube or a variable is not in it, `StorageError` when it
    cannot be read.
    """
    path = Path(parameters.cube).absolute()
    if not path.is_file():
        raise InputError(f"CUBE does not exist: {path}.")
    try:
        with xr.open_dataset(path, engine="h5netcdf", mask_and_scale=False, decode_coords=False) as cube:
            grid, dates, variables, best = _read(cube, path)
    except OSError as error:
        raise StorageError(f"{path} is not a readable NetCDF-4 file ({_one_line(error)}).") from error
    except ValueError as error:
        raise InputError(f"{path} cannot be understood as a cube ({_one_line(error)}).") from error
    names = [variable.name for variable in variables]
    unknown = [name for name in parameters.variables if name not in names]
    if unknown:
        raise InputError(f"The cube has no variable {', '.join(unknown)}.", f"It has: {', '.join(names)}.")
    if not _fresh(path, names):
        try:
            with fresh_layers(path, grid, dates, variables, best, progress) as layers:
                layers.swap()
        except OSError as error:
            raise StorageError(
                f"The layers of {path.name} cannot be written beside it ({error.strerror}).",
                "Copy the cube to a folder that you can write.",
            ) from error
    wanted = [v for v in variables if not parameters.variables or v.name in parameters.variables]
    return DescribeResult(title_of(path, dates), tuple(describe_layers(path, wanted, dates, best)))


def _fresh(path: Path, names: list[str]) -> bool:
    files = [layers_folder(path) / f"{name}.vrt" for name in names]
    changed = path.stat().st_mtime
    return all(file.is_file() and file.stat().st_mtime >= changed for file in files)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _read(cube: xr.Dataset, path: Path) -> tuple[Grid, list[str], list[Variable], int]:
    """Grid, dates, variables and the date to show. Coordinates count, not copies of them in attributes: a
    program that cut or thinned the cube has changed the coordinates alone."""
    if (
        not {"time", "y", "x"} <= set(cube.coords)
        or "crs_wkt" not in cube.get("spatial_ref", xr.DataArray()).attrs
    ):
        raise InputError(
            f"{path.name} is not a minicube: it needs the coordinates time, y, x and a spatial_ref with crs_wkt."
        )
    if not np.issubdtype(cube.time.dtype, np.datetime64):
        raise InputError(f"The times of {path.name} are not dates of the standard calendar.")
    left, width, columns = _edges(cube.x.values, "x", path)
    bottom, height, rows = _edges(cube.y.values, "y", path)
    grid = Grid(
        short_crs(cube.spatial_ref.attrs["crs_wkt"]),
        left,
        bottom + rows * height,
        width,
        height,
        columns,
        rows,
    )
    dates = [str(date) for date in cube.time.values.astype("datetime64[D]")]
    variables = []
    for name, variable in cube.data_vars.items():
        if variable.dims != ("time", "y", "x"):
            continue
        if str(variable.dtype) not in GDAL_TYPES:
            log.warning("%s of %s is not shown: QGIS cannot show %s.", name, path.name, variable.dtype)
            continue
        fill, scale = variable.attrs.get("_FillValue"), variable.attrs.get("scale_factor")
        encoding = Encoding(
            str(variable.dtype),
            None if scale is None else float(str(np.float32(scale))),
            None if fill is None else np.ravel(fill)[0].item(),
        )
        variables.append(Variable(str(name), encoding, dict(variable.attrs)))
    if not variables:
        raise InputError(f"{path.name} has no variable over time, y and x.")
    return grid, dates, variables, best_date(*_brightness(cube))


def _edges(centres: np.ndarray, name: str, path: Path) -> tuple[float, float, int]:
    """(lowest edge, pixel size, number of pixels) of evenly spaced pixel centres, in CRS units."""
    steps = np.diff(centres)
    size = abs(float(steps.mean())) if steps.size else float("nan")
    if not steps.size or not size or np.abs(np.abs(steps) - size).max() > 1e-3 * size:
        raise InputError(
            f"The {name} of {path.name} are not the centres of two or more evenly spaced pixels."
        )
    return float(centres.min()) - size / 2, size, centres.size


def _brightness(cube: xr.Dataset) -> tuple[list[float], list[float]]:
    """Clear share and sun elevation of each date, NaN where the cube does not say."""
    unknown = np.full(cube.sizes["time"], np.nan)
    share, cover, sun = (
        cube[name].values if name in cube and cube[name].dims == ("time",) else unknown
        for name in ("s2_clear_share", "s2_cloud_cover", "s2_sun_elevation")
    )
    return (1 - cover / 100 if np.all(np.isnan(share)) else share).tolist(), sun.tolist()
