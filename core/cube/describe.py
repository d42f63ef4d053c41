"""Says what a cube holds, for whoever shows it: one entry per variable that is a raster, over time or not."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..errors import InputError, MinicuberError, StorageError
from ..progress import Progress
from .encoding import Encoding, Variable
from .kinds import classes, colours, kind_of
from .layers import (
    GDAL_TYPES,
    RGB,
    RGB_DATES_NAME,
    RGB_NAME,
    Storage,
    fresh_layers,
    has_rgb,
    layer_files,
    layers_folder,
)
from .read import (
    CUBE_DIMS,
    LETTERS,
    STANDARD_NAMES,
    cube_path,
    decode,
    find_axes,
    grid_of,
    normalised,
    open_stored,
)
from .stretch import stretch_of

log = logging.getLogger(__name__)
# What the layers of a cube tell of its origin, in QGIS's layer metadata.
ABOUT = ("title", "source", "institution", "license", "attribution", "references", "history", "comment")


@dataclass(frozen=True)
class LayerInfo:
    """A layer of a cube. `path`: its VRT. `kind`: "rgb", or as `kind_of` has it. `dates`: ISO, one per band; none
    of what does not change. `classes`: value to name, `colours`: value to #rrggbb, of those that have one.
    `best`: number (from 1) of the clearest date's band. `range`: the values to stretch colours over, the same at
    all dates; None when it is not known. `about`: what the cube and the variable say of their origin. `by_date`:
    of natural colours the VRT that has three bands for each of `all_dates`.
    """

    variable: str
    path: str
    kind: str
    long_name: str
    units: str
    dates: tuple[str, ...]
    classes: dict[str, str]
    best: int
    colours: dict[str, str] = field(default_factory=dict)
    range: tuple[float, float] | None = None
    about: dict[str, str] = field(default_factory=dict)
    by_date: str = ""
    all_dates: tuple[str, ...] = ()


@dataclass(frozen=True)
class DescribeParameters:
    """`cube`: path of a cube: .nc, a Zarr folder, or the `.zgroup` / `zarr.json` in it. `variables`: names to
    show, s2_rgb for natural colours; empty for all."""

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


def what_to_show(written: xr.Dataset, target: Path) -> tuple[list[Variable], list[str], int, list[LayerInfo]]:
    """What the layers of a cube are made of that was just written, as `CubeWriter.dataset` has it, and will stand at
    `target`: its rasters (none where it has series alone), its dates, the number of the one to show first, and the
    layers themselves."""
    stored = decode(written, target)
    cube = normalised(stored, target.name)
    variables = _rasters(stored, find_axes(stored, target.name), target.name)
    dates, best = _dates(cube), best_date(*_brightness(cube))
    return variables, dates, best, _layers(target, variables, dates, best, stored.attrs, cube)


def _dates(cube: xr.Dataset) -> list[str]:
    return [str(date) for date in cube.time.values.astype("datetime64[D]")]


def title_of(cube: Path, dates: list[str]) -> str:
    """What a person calls the cube: its file and its period."""
    return f"{cube.stem}, {dates[0]} to {dates[-1]}"


def describe_layers(cube: Path, variables: list[Variable], dates: list[str], best: int) -> list[LayerInfo]:
    """The layers of a cube that is there, with `variables` over `dates`; natural colours first, where it has them.

    A few of its values are read, for the colours.
    """
    try:
        with open_stored(cube) as stored:
            return _layers(cube, variables, dates, best, stored.attrs, normalised(stored, cube.name))
    except MinicuberError as problem:
        # The layers can be shown all the same, in colours that are only guessed.
        log.warning("The values of %s cannot be looked at: %s", cube.name, problem)
        return _layers(cube, variables, dates, best, {}, None)


def _layers(
    path: Path,
    variables: list[Variable],
    dates: list[str],
    best: int,
    said: dict[str, Any],
    cube: xr.Dataset | None,
    wanted: Collection[str] = (),
) -> list[LayerInfo]:
    """The layers of the cube at `path`, which has said `said` of itself; colours by a look at `cube`.

    `wanted`: names of variables, empty for all. Natural colours come with their three bands, or by their name.
    """
    about = _about(said)
    layers = [
        LayerInfo(
            variable=variable.name,
            path=str(layers_folder(path) / f"{variable.name}.vrt"),
            kind=kind_of(variable),
            long_name=_long_name(variable),
            units=str(variable.attributes.get("units", "")),
            dates=() if variable.static else tuple(dates),
            classes=_as_text(classes(variable)),
            best=1 if variable.static else best,
            colours=_as_text(colours(variable)),
            about={**about, **_about_variable(variable)},
        )
        for variable in variables
        if not wanted or variable.name in wanted
    ]
    if has_rgb(variables) and (not wanted or RGB_NAME in wanted or set(RGB) <= set(wanted)):
        shown, every = (str(layers_folder(path) / f"{name}.vrt") for name in (RGB_NAME, RGB_DATES_NAME))
        name, date = f"natural colours of {dates[best - 1]}", (dates[best - 1],)
        rgb = LayerInfo(RGB_NAME, shown, "rgb", name, "1", date, {}, best, about=about)
        layers.insert(0, replace(rgb, by_date=every, all_dates=tuple(dates)))
    spread = {}
    if cube is not None:
        try:
            spread = stretch_of(cube, layers)
        except (OSError, RuntimeError, ValueError) as error:
            # Colours are no reason to keep a cube from being shown.
            log.warning("The values of %s cannot be looked at: %s", path.name, error)
    return [replace(layer, range=spread.get(layer.variable)) for layer in layers]


def _as_text(table: dict[int, str]) -> dict[str, str]:
    return {str(value): text for value, text in table.items()}


def _long_name(variable: Variable) -> str:
    """What a variable is; earthnet-minicuber calls it a description."""
    attributes = variable.attributes
    return str(attributes.get("long_name") or attributes.get("description") or variable.name)


def _about(attributes: dict[str, Any]) -> dict[str, str]:
    """What a cube says of its origin, and the catalog that its recipe names."""
    about = {name: str(attributes[name]) for name in ABOUT if attributes.get(name)}
    try:
        catalog = json.loads(str(attributes.get("recipe", "{}"))).get("catalog")
    except (ValueError, AttributeError):
        catalog = None  # the recipe of somebody else
    return {**about, "catalog": str(catalog)} if catalog else about


def _about_variable(variable: Variable) -> dict[str, str]:
    """What a variable says in the cube's place, or besides."""
    said = variable.attributes
    about = {
        name: str(said[name])
        for name in ("license", "attribution", "references", "resampling")
        if name in said
    }
    source = said.get("source") or said.get("provider")  # as earthnet-minicuber calls it
    return {**about, "source": str(source)} if source else about


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
        dates = _dates(cube)
        best = best_date(*_brightness(cube))
        names = [variable.name for variable in variables] + ([RGB_NAME] if has_rgb(variables) else [])
        unknown = [name for name in parameters.variables if name not in names]
        if unknown:
            raise InputError(
                f"The cube has no variable {', '.join(unknown)}.", f"It has: {', '.join(names)}."
            )
        layers = _layers(path, variables, dates, best, stored.attrs, cube, parameters.variables)
    if not _fresh(path, layer_files(path, grid, dates, variables, best, storage)):
        try:
            with fresh_layers(path, grid, dates, variables, best, progress, storage) as files:
                files.swap()
        except OSError as error:
            raise StorageError(
                f"The layers of {path.name} cannot be written beside it ({error.strerror}).",
                "Copy the cube to a folder that you can write.",
            ) from error
    return DescribeResult(title_of(path, dates), tuple(layers), str(path))


def _fresh(path: Path, files: dict[str, str]) -> bool:
    """Whether the layers folder holds these files; others in it do no harm."""
    try:
        return all((layers_folder(path) / n).read_text(encoding="utf-8") == t for n, t in files.items())
    except (OSError, UnicodeDecodeError):
        return False


def _shown(stored: xr.Dataset, axes: dict[str, str], name: str) -> list[Variable]:
    """As `_rasters`. Raises `InputError` when there is none."""
    variables = _rasters(stored, axes, name)
    if not variables:
        raise InputError(f"{name} has no variable over time, y and x that QGIS can show.")
    return variables


def _rasters(stored: xr.Dataset, axes: dict[str, str], name: str) -> list[Variable]:
    """The variables that GDAL shows as rasters: those over time, y and x in this order, then those over y and x."""
    variables = []
    for key, variable in stored.data_vars.items():
        dims = tuple(axes[axis] for axis in CUBE_DIMS)
        static = set(variable.dims) == set(dims[1:])
        if static:
            dims = dims[1:]
        elif set(variable.dims) != set(dims):
            continue
        stored_as = variable.encoding
        dtype = np.dtype(stored_as.get("dtype", variable.dtype)).name
        if dtype not in GDAL_TYPES or variable.dims != dims:
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
        variables.append(Variable(str(key), encoding, {**units, **variable.attrs}, static))
    return sorted(variables, key=lambda variable: variable.static)


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
