"""Opens a cube, whoever wrote it, and brings it into one form.

Accepted are cubes of this package (NetCDF-4, Zarr), those of earthnet-minicuber (time, lat, lon, no CRS) and
plain CF cubes: any names and order of dimensions, y in either direction, packed or not, any grid mapping.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from pyproj import CRS
from pyproj.exceptions import CRSError

from ..errors import InputError, StorageError
from ..grid import Grid, short_crs
from .encoding import GRID_MAPPING, grid_mapping
from .part import ZARR_MARKS, is_zarr, recover

CUBE_DIMS = ("time", "y", "x")
# How an axis is told: its CF attributes, or else its name in lower case.
STANDARD_NAMES = {
    "time": ("time",),
    "y": ("projection_y_coordinate", "latitude"),
    "x": ("projection_x_coordinate", "longitude"),
}
NAMES = {
    "time": ("time",),
    "y": ("y", "lat", "latitude", "northing"),
    "x": ("x", "lon", "long", "longitude", "easting"),
}
UNITS = {
    "time": (),
    "y": ("degrees_north", "degree_north", "degrees_N", "degree_N"),
    "x": ("degrees_east", "degree_east", "degrees_E", "degree_E"),
}
LETTERS = {"time": "T", "y": "Y", "x": "X"}
CRS_ATTRIBUTES = ("crs_wkt", "spatial_ref", "crs", "proj:code", "proj:epsg", "epsg")
ORIGINAL_NAME = "original_name"


def read_cube(path: Path) -> xr.Dataset:
    """The cube at `path` (.nc, Zarr folder, or the `.zgroup` / `zarr.json` in it), in the form of `normalised`.

    Values are read when they are used; close it, or use it in a `with`. Raises `InputError` when it is no
    cube, `StorageError` when it cannot be read.
    """
    path = cube_path(path)
    stored = open_stored(path)
    try:
        cube = normalised(stored, path.name)
    except BaseException:
        stored.close()
        raise
    cube.set_close(stored.close)
    return cube


def read_packed(path: Path) -> xr.Dataset:
    """As `read_cube`, but the numbers are those on disk, and the attributes say how they were packed: for who copies
    them. Dimensions' coordinates are decoded all the same."""
    path = cube_path(path)
    raw = open_raw(path)
    try:
        decoded = decode(raw, path)
        axes = {dim: decoded.variables[dim] for dim in raw.dims if dim in decoded.variables}
        cube = normalised(raw.assign_coords(axes), path.name)
    except BaseException:
        raw.close()
        raise
    cube.set_close(raw.close)
    return cube


def cube_path(path: Path) -> Path:
    """The absolute path of a cube's file or folder, which is there. Raises `InputError` when it is not."""
    path = Path(path).absolute()
    if path.name in (*ZARR_MARKS, ".zmetadata", ".zattrs"):
        path = path.parent
    try:
        recover(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be put back from where it went aside ({error}).") from error
    if not path.exists():
        raise InputError(f"CUBE does not exist: {path}.")
    if path.is_dir() and not is_zarr(path):
        raise InputError(
            f"{path} is a folder, but no Zarr store: it has neither {' nor '.join(ZARR_MARKS)}.",
            "Choose a NetCDF file, or the folder of a Zarr store.",
        )
    return path


def open_stored(path: Path) -> xr.Dataset:
    """The dataset as it is stored, CF-decoded: packed values as floats, times as datetime64, fills as missing.

    `path` as `cube_path` gives it. How the numbers are stored is in the `encoding` of each variable.
    """
    raw = open_raw(path)
    try:
        return decode(raw, path)
    except BaseException:
        raw.close()
        raise


def open_raw(path: Path) -> xr.Dataset:
    """The dataset as it is stored, not decoded. `path` as `cube_path` gives it. Raises `StorageError`."""
    try:
        return (
            _open_zarr(path) if path.is_dir() else xr.open_dataset(path, engine="h5netcdf", decode_cf=False)
        )
    except (OSError, json.JSONDecodeError, KeyError, ValueError) as error:
        kind = "Zarr store" if path.is_dir() else "NetCDF-4 file"
        raise StorageError(f"{path} is not a readable {kind} ({one_line(error)}).") from error


def decode(raw: xr.Dataset, path: Path) -> xr.Dataset:
    """What `open_raw` gave as `open_stored` gives it. Raises `InputError` naming `path`."""
    try:
        # Durations stay the numbers that they are.
        return xr.decode_cf(raw, decode_timedelta=False)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{path} cannot be understood as a cube ({one_line(error)}).") from error


def _open_zarr(path: Path) -> xr.Dataset:
    consolidated = (path / ".zmetadata").is_file()
    raw = xr.open_dataset(path, engine="zarr", decode_cf=False, consolidated=consolidated, chunks=None)
    for variable in raw.variables.values():
        attributes = variable.attrs
        for name in {"scale_factor", "add_offset"} & set(attributes):
            value = attributes[name]
            # JSON knows doubles alone, to which xarray would decode: what was a float32 becomes one again.
            if variable.dtype.itemsize <= 2 and np.isscalar(value) and float(np.float32(value)) == value:
                attributes[name] = np.float32(value)
    return raw


def normalised(stored: xr.Dataset, name: str) -> xr.Dataset:
    """A cube in one form: dimensions time, y (descending), x (ascending) first; `spatial_ref` with crs_wkt.

    Coordinates are pixel centres. Latitudes and longitudes are y and x of EPSG:4326 (or the geographic CRS
    that is given); the attribute `original_name` of a renamed coordinate keeps its name. Variables without
    these dimensions stay as they are. `name` is that of the cube, for messages. Raises `InputError`.
    """
    axes = find_axes(stored, name)
    renamed = {original: axis for axis, original in axes.items() if original != axis}
    mappings = _grid_mappings(stored)
    crs = _crs(stored, axes, mappings, name)
    try:
        cube = stored.drop_vars(mappings).rename(renamed)
    except ValueError as error:
        raise InputError(f"{name} cannot be understood as a cube ({one_line(error)}).") from error
    if not np.issubdtype(cube.time.dtype, np.datetime64):
        raise InputError(f"The times of {name} are not dates of the standard calendar.")
    for original, axis in renamed.items():
        cube[axis].attrs[ORIGINAL_NAME] = original
    cube = cube.transpose(*CUBE_DIMS, ...)
    backwards = {axis: slice(None, None, -1) for axis in ("y", "x") if _is_backwards(cube, axis)}
    if backwards:
        cube = cube.isel(backwards)
    cube = cube.assign_coords({GRID_MAPPING: ((), np.int32(0), grid_mapping(crs))})
    for variable in cube.variables.values():
        variable.attrs.pop("grid_mapping", None)
        if {"y", "x"} <= set(variable.dims):
            variable.encoding["grid_mapping"] = GRID_MAPPING
    grid_of(cube, name)
    return cube


def _is_backwards(cube: xr.Dataset, axis: str) -> bool:
    values = cube[axis].values
    return bool(values[0] < values[-1]) if axis == "y" else bool(values[0] > values[-1])


def grid_of(cube: xr.Dataset, name: str) -> Grid:
    """The grid of a normalised cube. Raises `InputError` when its pixels are not evenly spaced."""
    crs = short_crs(cube[GRID_MAPPING].attrs["crs_wkt"])
    sizes = {axis: _pixel_size(cube[axis].values, axis, name) for axis in ("x", "y")}
    # A single row or column is as wide as the others are high.
    width, height = sizes["x"] or sizes["y"], sizes["y"] or sizes["x"]
    if not width or not height:
        raise InputError(f"{name} has a single pixel, whose size is not to be known.")
    left, top = float(cube.x.values[0]) - width / 2, float(cube.y.values[0]) + height / 2
    return Grid(crs, left, top, width, height, cube.sizes["x"], cube.sizes["y"])


def _pixel_size(centres: np.ndarray, axis: str, name: str) -> float | None:
    """The distance of evenly spaced pixel centres, in CRS units; None for a single one."""
    if centres.size == 1:
        return None
    values = centres.astype(float)
    size = float(abs(values[-1] - values[0])) / (values.size - 1)
    rounding = np.finfo(centres.dtype).eps * np.abs(values).max() if centres.dtype.kind == "f" else 0.0
    uneven = np.abs(np.abs(np.diff(values)) - size).max() if np.isfinite(values).all() else np.inf
    if not size or not uneven <= 1e-3 * size + 2 * rounding:
        raise InputError(f"The {axis} of {name} are not the centres of evenly spaced pixels.")
    return size


def find_axes(stored: xr.Dataset, name: str) -> dict[str, str]:
    """The names that the dimensions time, y and x have in a dataset. Raises `InputError`."""
    found = {axis: _find_axis(stored, axis) for axis in CUBE_DIMS}
    if found["time"] is None:
        raise InputError(f"{name} is not a cube: it has no time axis.")
    if found["y"] is None or found["x"] is None:
        if any(v.ndim == 2 and _is_axis(n, v, "y") for n, v in stored.variables.items()):
            raise InputError(
                f"{name} has two-dimensional latitudes and longitudes.", "Bring it onto a regular grid first."
            )
        raise InputError(f"{name} is not a cube: it has no coordinates y and x, or lat and lon.")
    return found


def _find_axis(stored: xr.Dataset, axis: str) -> str | None:
    names = [str(d) for d in stored.dims if d in stored.variables and stored.sizes[d]]
    if axis in names:
        return axis
    found = [name for name in names if _is_axis(name, stored.variables[name], axis)]
    # Of two (climate on a grid of its own) the one that most variables have.
    return max(found, key=lambda name: sum(name in v.dims for v in stored.data_vars.values()), default=None)


def _is_axis(name: str, variable: xr.Variable, axis: str) -> bool:
    attributes = variable.attrs
    return (
        attributes.get("standard_name") in STANDARD_NAMES[axis]
        or attributes.get("axis") == LETTERS[axis]
        or attributes.get("units") in UNITS[axis]
        or str(name).lower() in NAMES[axis]
        or (axis == "time" and np.issubdtype(variable.dtype, np.datetime64))
    )


def _grid_mappings(stored: xr.Dataset) -> list[str]:
    """The variables that say which CRS it is, those first that others refer to."""
    named = " ".join(str(v.attrs.get("grid_mapping", "")) for v in stored.variables.values())
    referred = named.replace(":", " ").split()
    found = [
        str(name)
        for name, variable in stored.variables.items()
        if {"crs_wkt", "spatial_ref", "grid_mapping_name"} & set(variable.attrs)
        and (not variable.ndim or name in referred)
    ]
    return sorted(found, key=lambda name: name not in referred)


def _crs(stored: xr.Dataset, axes: dict[str, str], mappings: list[str], name: str) -> str:
    """The CRS of x and y. Latitudes and longitudes are no others because of a projected CRS that was left over."""
    lonlat = _is_lonlat(stored, axes)
    for given in _declared(stored, mappings):
        try:
            crs = CRS.from_cf(given) if isinstance(given, dict) else CRS.from_user_input(given)
        except (CRSError, KeyError) as error:
            if lonlat:
                continue
            raise InputError(f"The CRS of {name} is not understood ({one_line(error)}).") from error
        if not lonlat or crs.is_geographic:
            return short_crs(crs)
    if lonlat:
        return "EPSG:4326"
    raise InputError(
        f"{name} does not say which CRS its x and y are in.", "Add a grid mapping with crs_wkt to it."
    )


def _is_lonlat(stored: xr.Dataset, axes: dict[str, str]) -> bool:
    y = stored.variables[axes["y"]]
    return (
        axes["y"].lower() in ("lat", "latitude")
        or y.attrs.get("standard_name") == "latitude"
        or y.attrs.get("units") in UNITS["y"]
    )


def _declared(stored: xr.Dataset, mappings: list[str]) -> list[Any]:
    """What a dataset says of its CRS, best first: anything that pyproj takes, or the attributes of a mapping."""
    found: list[Any] = []
    for mapping in mappings:
        attributes = stored.variables[mapping].attrs
        text = attributes.get("crs_wkt") or attributes.get("spatial_ref")
        found.append(text if text else dict(attributes))
    for attributes in (stored.attrs, *(variable.attrs for variable in stored.variables.values())):
        texts = [attributes[key] for key in CRS_ATTRIBUTES if key in attributes]
        found += [text.item() if isinstance(text, np.generic) else text for text in texts]
    for key in ("epsg", "proj:epsg"):
        if key in stored.variables and not stored.variables[key].ndim:
            found.append(int(stored.variables[key]))
    return [text for text in found if text not in (None, "")]


def one_line(error: Exception) -> str:
    """The text of an error, for a sentence."""
    return " ".join(str(error).split())[:200] or type(error).__name__
