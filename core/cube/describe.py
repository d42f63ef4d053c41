"""Says what a cube holds, for whoever shows it: one entry per variable that is a raster over time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np

from ..errors import InputError, StorageError
from ..grid import Grid
from ..progress import Progress
from .encoding import Encoding, Variable
from .layers import RGB_NAME, has_rgb, layers_folder, write_layers


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
    """Open a cube and say what it holds; its layers folder is written again when it is missing.

    Raises `InputError` when the path is no cube or a variable is not in it, `StorageError` when it
    cannot be read.
    """
    path = Path(parameters.cube).absolute()
    if not path.is_file():
        raise InputError(f"CUBE does not exist: {path}.")
    try:
        with h5netcdf.File(path, "r") as file:
            grid, dates, variables, best = _read(file, path)
    except OSError as error:
        raise StorageError(f"{path} is not a readable NetCDF-4 file ({error}).") from error
    names = [variable.name for variable in variables]
    unknown = [name for name in parameters.variables if name not in names]
    if unknown:
        raise InputError(f"The cube has no variable {', '.join(unknown)}.", f"It has: {', '.join(names)}.")
    folder = layers_folder(path)
    if not all((folder / f"{name}.vrt").is_file() for name in names):
        write_layers(path, grid, dates, variables, best)
    wanted = [v for v in variables if not parameters.variables or v.name in parameters.variables]
    return DescribeResult(title_of(path, dates), tuple(describe_layers(path, wanted, dates, best)))


def _read(file: h5netcdf.File, path: Path) -> tuple[Grid, list[str], list[Variable], int]:
    if not {"time", "y", "x"} <= set(file.dimensions) or "spatial_ref" not in file.variables:
        raise InputError(
            f"{path.name} is not a minicube: it needs the dimensions time, y, x and spatial_ref."
        )
    crs = file.variables["spatial_ref"].attrs
    left, width, _, top, _, height = (float(term) for term in _text(crs["GeoTransform"]).split())
    grid = Grid(
        crs=_text(crs["crs_wkt"]),
        left=left,
        top=top,
        resolution_x=width,
        resolution_y=-height,
        width=file.dimensions["x"].size,
        height=file.dimensions["y"].size,
    )
    days = np.asarray(file.variables["time"][...])
    dates = [str(np.datetime64("1970-01-01") + np.timedelta64(int(day), "D")) for day in days]
    variables = []
    for name, variable in file.variables.items():
        if variable.dimensions == ("time", "y", "x"):
            attributes: dict[str, Any] = {key: _plain(value) for key, value in variable.attrs.items()}
            fill = attributes.get("_FillValue")
            scale = attributes.get("scale_factor")
            encoding = Encoding(
                str(variable.dtype),
                None if scale is None else float(np.float32(scale).astype(str)),
                None if fill is None else int(np.ravel(fill)[0]),
            )
            variables.append(Variable(name, encoding, attributes))
    known: dict[str, list[float]] = {
        name: np.asarray(file.variables[name][...]).tolist()
        if name in file.variables
        else [math.nan] * len(dates)
        for name in ("s2_clear_share", "s2_cloud_cover", "s2_sun_elevation")
    }
    if np.all(np.isnan(known["s2_clear_share"])):
        known["s2_clear_share"] = [1 - cover / 100 for cover in known["s2_cloud_cover"]]
    return grid, dates, variables, best_date(known["s2_clear_share"], known["s2_sun_elevation"])


def _plain(value: Any) -> Any:
    return _text(value) if isinstance(value, (str, bytes)) else value


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
