"""The job that attaches layers of a project to a cube, each as one variable."""

from __future__ import annotations

import logging
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from pyproj import CRS

from . import rasters, vectors
from .cube.describe import LayerInfo
from .cube.displaced import displacement
from .cube.encoding import flags
from .cube.read import cube_path, grid_of, read_cube
from .cube.rewrite import check_names, extended_cube
from .cube.write import CubeWriter
from .errors import InputError
from .grid import Grid
from .jobs import from_json
from .progress import Progress

log = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
MOST_CLASSES = 254  # of uint8, one number being for missing


@dataclass(frozen=True)
class LayerOrder:
    """One layer. `name`: of the variable. `title`: of the layer, for messages. `source`: where it comes from, as the
    cube says it. `path`: of a raster that GDAL reads; of features the file that `vectors.read_features` reads.

    `kind`: "raster" or "vector". `band`: of a raster, from 1. `crs`: in place of the file's, empty for that.
    `method`: of a raster one of `rasters.METHODS` or "auto"; of features "mask", "share", or a rule for what their
    field says ("last", "first", "min", "max", "mean", "sum"), "auto" for mask, or with a field for last.
    `values`: whether features carry the value of a field. `classes`: whether values are classes, None where the
    numbers decide. `missing`: of a raster (smallest, largest) of values that are missing, beside the file's own nodata,
    which counts with `own_nodata`. `legend`: value (as text) to name, `colours`: value to #rrggbb.
    """

    name: str
    title: str
    source: str
    path: str
    kind: str = "raster"
    band: int = 1
    crs: str = ""
    method: str = "auto"
    values: bool = False
    classes: bool | None = None
    units: str = ""
    missing: tuple = ()
    own_nodata: bool = True
    legend: dict = field(default_factory=dict)
    colours: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise InputError(
                f"{self.name!r} is no name of a variable (layer {self.title}).",
                "Letters, digits, _ and -, a letter first.",
            )
        known = rasters.METHODS if self.kind == "raster" else (*vectors.MODES, *vectors.RULES)
        if self.method != "auto" and self.method not in known:
            raise InputError(
                f"The layer {self.title} cannot be brought onto the grid by {self.method!r}.",
                f"Known: auto, {', '.join(known)}.",
            )
        if self.kind == "vector" and self.method in vectors.RULES and not self.values:
            raise InputError(
                f"The layer {self.title} needs a field for {self.method}.",
                "Name it in the last column of OPTIONS.",
            )
        if self.kind == "raster" and self.classes and self.method not in ("auto", *rasters.OF_CLASSES):
            raise InputError(
                f"The layer {self.title} holds classes, of which there is no {self.method}.",
                f"Of classes there are {', '.join(rasters.OF_CLASSES)}.",
            )


@dataclass(frozen=True)
class AttachParameters:
    """`cube`: path of a cube. `layers`: the fields of `LayerOrder` for each. `output`: path of the .nc or .zarr, which
    may be the cube's own. `replace`: whether a variable of the same name is replaced."""

    cube: str
    layers: tuple
    output: str
    replace: bool = True


@dataclass(frozen=True)
class AttachResult:
    """`output`: path of the cube. `coverage`: per cent of its pixels, by variable. `layers` to show."""

    output: str
    title: str
    coverage: dict[str, float]
    layers: tuple[LayerInfo, ...] = ()


@dataclass(frozen=True)
class GridParameters:
    """`cube`: path of a cube."""

    cube: str


@dataclass(frozen=True)
class GridResult:
    """`crs`: as text, `wkt`: as WKT. `bounds`: (west, south, east, north) in it. `width`, `height` in pixels."""

    crs: str
    wkt: str
    bounds: tuple[float, float, float, float]
    width: int
    height: int
    names: tuple[str, ...]


def grid_of_cube(parameters: GridParameters, progress: Progress) -> GridResult:
    """Where a cube lies, and the variables it has: for who exports layers for it."""
    path = cube_path(Path(parameters.cube))
    with read_cube(path) as cube:
        grid = grid_of(cube, path.name)
        wkt = CRS.from_user_input(grid.crs).to_wkt()
        return GridResult(
            grid.crs, wkt, grid.bounds, grid.width, grid.height, tuple(map(str, cube.variables))
        )


@dataclass(frozen=True)
class Made:
    """A layer on the grid: its stored numbers (y, x), the number that means missing, and attributes."""

    stored: np.ndarray
    fill: float | None
    attributes: dict[str, Any]
    coverage: float


def attach_layers(parameters: AttachParameters, progress: Progress) -> AttachResult:
    """Write the cube with the layers as static variables (y, x).

    Raises `InputError` for layers that cannot be read, have no CRS or miss the cube, before anything is written;
    `StorageError`, `Cancelled`.
    """
    orders = [from_json(LayerOrder, dict(order)) for order in parameters.layers]
    if not orders:
        raise InputError("LAYERS is empty.", "Choose at least one layer.")
    name, count = Counter(order.name for order in orders).most_common(1)[0]
    if count > 1:
        raise InputError(f"{count} layers would become the variable {name}.", "Give them names in OPTIONS.")
    path = cube_path(Path(parameters.cube))
    with read_cube(path) as cube:
        check_names([order.name for order in orders], cube, parameters.replace)
        grid = grid_of(cube, path.name)
        away = displacement(cube)
    if away is not None and away > 1:
        log.warning(
            "The labels of this cube of earthnet-minicuber lie up to %.0f m from the places its pixels were taken "
            "from: the layers are attached where the labels say.",
            away,
        )
    coverage: dict[str, float] = {}

    def add(writer: CubeWriter, cube: xr.Dataset, part: Progress) -> None:
        for number, order in enumerate(orders):
            part.update(number / len(orders), f"{order.title} ({number + 1} of {len(orders)})")
            made = on_grid(grid, order)
            coverage[order.name] = round(100 * made.coverage, 2)
            writer.add_map(order.name, made.stored, made.fill, **made.attributes)

    what = f"attachlayers to {path.name}: {', '.join(order.name for order in orders)}"
    done = extended_cube(
        parameters.cube, parameters.output, [order.name for order in orders], add, what, progress
    )
    for order in orders:
        log.info("%s: %.4g %% of the pixels have a value.", order.name, coverage[order.name])
    return AttachResult(done.output, done.title, coverage, done.layers)


def on_grid(grid: Grid, order: LayerOrder) -> Made:
    """A layer as the cube stores it. Raises `InputError`."""
    made = _raster(grid, order) if order.kind == "raster" else _features(grid, order)
    if made.coverage == 0:
        raise InputError(
            f"The layer {order.title} has no value within the cube.",
            "Check its place, its CRS and its filter.",
        )
    if made.coverage < 1 and order.kind == "raster":
        log.warning("%s covers %.4g %% of the cube; the rest is missing.", order.title, 100 * made.coverage)
    return made


def _raster(grid: Grid, order: LayerOrder) -> Made:
    classes = bool(order.classes)
    missing = tuple((float(low), float(high)) for low, high in order.missing)
    found = rasters.raster_on(
        grid, order.path, order.band, order.crs, order.method, classes, order.title, missing, order.own_nodata
    )
    attributes = {
        "long_name": order.title
        if order.band == 1
        else found.description or f"{order.title}, band {order.band}",
        "units": "1" if classes else order.units or found.units,
        "source": order.source,
        "resampling": found.method,
        "coverage_percent": round(100 * found.coverage, 2),
    }
    if classes:
        return _as_classes(found.values, order, attributes, found.coverage)
    return Made(found.values.astype(np.float32), np.float32(np.nan), attributes, found.coverage)


def _as_classes(values: np.ndarray, order: LayerOrder, attributes: dict[str, Any], coverage: float) -> Made:
    there = np.unique(values[np.isfinite(values)])
    if np.any(there != np.rint(there)):
        raise InputError(
            f"The classes of {order.title} are not whole numbers.", "Attach it as numbers instead."
        )
    legend = {int(float(value)): str(name) for value, name in order.legend.items()}
    listed = sorted({*map(int, there), *legend})
    small = listed[0] >= 0 and listed[-1] <= 255 and len(listed) <= MOST_CLASSES
    dtype = np.dtype("uint8" if small else "int32")
    unused = set(range(255, -1, -1)) - set(listed)
    fill = max(unused) if small else int(np.iinfo("int32").min)
    stored = np.where(np.isfinite(values), values, fill).astype(dtype)
    names = {value: legend.get(value) or f"class_{value}".replace("-", "minus_") for value in listed}
    colours = {int(float(value)): colour for value, colour in order.colours.items()}
    if len(listed) <= MOST_CLASSES:
        said = flags({value: _one_word(name) for value, name in names.items()})
        attributes |= {
            **said,
            "flag_values": said["flag_values"].astype(dtype) if small else np.array(listed, dtype),
        }
        if set(listed) <= set(colours):
            attributes["flag_colors"] = " ".join(colours[value] for value in listed)
    return Made(stored, fill, attributes, coverage)


def _features(grid: Grid, order: LayerOrder) -> Made:
    features = vectors.read_features(Path(order.path))
    if features.mended:
        log.warning("%s: %d geometries were not valid and were mended.", order.title, features.mended)
    if not len(features.shapes):
        raise InputError(
            f"The layer {order.title} has no feature within the cube.", "Check its place and its filter."
        )
    method = order.method if order.method != "auto" else "last" if order.values else "mask"
    attributes = {"long_name": order.title, "units": order.units or "1", "source": order.source}
    if method == "share":
        values = vectors.share_of(grid, features)
        attributes["resampling"] = "share of the pixel's area that polygons cover"
        return Made(values, np.float32(np.nan), attributes, float((values > 0).mean()))
    if method == "mask":
        values = vectors.mask_of(grid, features)
        attributes |= {
            "resampling": "pixel centre in a polygon, or pixel touched by a line or point",
            **flags({0: "outside", 1: "inside"}),
        }
        return Made(values, None, attributes, float((values > 0).mean()))
    attributes["resampling"] = (
        f"pixel centre in a polygon, or pixel touched; of several features the {method}"
    )
    if any(isinstance(value, str) for value in features.values):
        if method not in ("first", "last"):
            raise InputError(f"The texts of {order.title} have no {method}.", "Choose first or last.")
        values, names = vectors.codes_of(grid, features, method)
        if len(names) <= MOST_CLASSES:
            said = flags({value: _one_word(name) for value, name in names.items()})
            attributes |= {**said, "flag_values": np.array(list(names), values.dtype)}
            colours = {name: order.colours.get(name) for name in names.values()}
            if all(colours[name] for value, name in names.items() if value):
                attributes["flag_colors"] = " ".join(colours[name] or "#ffffff" for name in names.values())
        return Made(values, None, attributes, float((values > 0).mean()))
    values = vectors.numbers_of(grid, features, method)
    coverage = float(np.isfinite(values).mean())
    return Made(values.astype(np.float32), np.float32(np.nan), attributes, coverage)


def _one_word(text: str) -> str:
    """A text as one word of CF's `flag_meanings`."""
    return re.sub(r"[^0-9A-Za-z_.+@-]+", "_", text.strip()).strip("_") or "unnamed"
