"""Says what a cube holds, for whoever shows it: one entry per variable that is a raster over time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np

from ..errors import InputError, StorageError
from ..grid import Grid
from ..progress import Progress
from .encoding import Encoding, Variable
from .layers import layers_folder, write_layers


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


def describe_layers(
    cube: Path, variables: list[Variable], dates: list[str], clear_share: list[float]
) -> list[LayerInfo]:
    """The layers of a cube with `variables` over `dates`; `clear_share` may be NaN where unknown."""
    shares = np.asarray(clear_share, dtype=float)
    best = int(np.nanargmax(shares)) + 1 if shares.size and not np.all(np.isnan(shares)) else 1
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
            grid, dates, variables, shares, title = _read(file, path)
    except OSError as error:
        raise StorageError(f"{path} is not a readable NetCDF-4 file ({error}).") from error
    names = [variable.name for variable in variables]
    unknown = [name for name in parameters.variables if name not in names]
    if unknown:
        raise InputError(
            f"The cube has no variable {', '.join(unknown)}.", f"It has: {', '.join(names)}."
        )
    folder = layers_folder(path)
    if not all((folder / f"{name}.vrt").is_file() for name in names):
        write_layers(path, grid, dates, variables)
    wanted = [v for v in variables if not parameters.variables or v.name in parameters.variables]
    return DescribeResult(title, tuple(describe_layers(path, wanted, dates, shares)))


def _read(file: h5netcdf.File, path: Path) -> tuple[Grid, list[str], list[Variable], list[float], str]:
    if not {"time", "y", "x"} <= set(file.dimensions) or "spatial_ref" not in file.variables:
        raise InputError(f"{path.name} is not a minicube: it needs the dimensions time, y, x and spatial_ref.")
    crs = file.variables["spatial_ref"].attrs
    left, width, _, top, _, height = (float(term) for term in _text(crs["GeoTransform"]).split())
    grid = Grid(
        crs=_text(crs["crs_wkt"]),
        left=left,
        top=top,
        resolution_x=width,
        resolution_y=-height,
        width=len(file.dimensions["x"]) if hasattr(file.dimensions["x"], "__len__") else file.dimensions["x"].size,
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
    shares = file.variables.get("s2_clear_share") if hasattr(file.variables, "get") else None
    share = np.asarray(shares[...]).tolist() if shares is not None else [float("nan")] * len(dates)
    return grid, dates, variables, share, _text(file.attrs.get("title", path.stem))


def _plain(value: Any) -> Any:
    return _text(value) if isinstance(value, (str, bytes)) else value


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
