"""The job that attaches layers of a project to a cube, each as one variable; rasters with dates together as one."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from pyproj import CRS

from . import vectors
from .attaching.date_match import Match, chosen_dates
from .attaching.dated_layers import sorted_out
from .attaching.dated_variable import write_dated
from .attaching.layer_order import LayerOrder, raster_of
from .attaching.legends import choice_in_words, legend_of, legend_of_texts, values_there
from .cube.axes import time_axis
from .cube.describe import LayerInfo
from .cube.displaced import displacement
from .cube.encoding import GRID_MAPPING, flags
from .cube.read import cube_path, grid_of, read_cube
from .cube.rewrite import check_names, extended_cube
from .cube.write import CubeWriter
from .errors import InputError
from .grid import Grid
from .jobs import from_json
from .progress import Progress

log = logging.getLogger(__name__)
THREADS, AHEAD = 2, 4  # that bring layers onto the grid, and how many may wait to be written


@dataclass(frozen=True)
class AttachParameters:
    """`cube`: path of a cube. `layers`: the fields of `LayerOrder` for each. `output`: path of the .nc or .zarr, which
    may be the cube's own. `replace`: whether a variable of the same name is replaced.

    Of rasters with dates: `date_pattern` as `dates_in_names.finder` has it, empty for the usual ways to write a date;
    `date_match` (exact, nearest, last) and `date_tolerance` (days, 0 for any number) as `date_match.Match` has them.
    """

    cube: str
    layers: tuple
    output: str
    replace: bool = True
    date_pattern: str = ""
    date_match: str = "exact"
    date_tolerance: int = 0


@dataclass(frozen=True)
class AttachResult:
    """`output`: path of the cube. `coverage`: per cent of its pixels, by variable; of those over time of all their
    steps, and `steps` says how many have a raster. `layers` to show."""

    output: str
    title: str
    coverage: dict[str, float]
    layers: tuple[LayerInfo, ...] = ()
    steps: dict[str, int] = field(default_factory=dict)


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
    """Write the cube with the layers as variables: static ones (y, x), of rasters with dates (time, y, x).

    Which layers have dates is told in `dated_layers`, how they find their steps in `date_match`. Raises `InputError`
    for layers that cannot be read, have no CRS, miss the cube or all its dates; `StorageError`, `Cancelled`.
    """
    orders = [from_json(LayerOrder, dict(order)) for order in parameters.layers]
    if not orders:
        raise InputError("LAYERS is empty.", "Choose at least one layer.")
    match = Match(parameters.date_match, parameters.date_tolerance)
    static, dated = sorted_out(orders, parameters.date_pattern)
    names = [*(order.name for order in static), *(variable.name for variable in dated)]
    made = [*names, *(variable.date_name for variable in dated)]
    twice = [name for name, count in Counter(made).items() if count > 1]
    if twice:
        raise InputError(
            f"Two variables would be called {twice[0]}.", "Give the layers other names in OPTIONS."
        )
    path = cube_path(Path(parameters.cube))
    with read_cube(path) as cube:
        check_names(made, cube, parameters.replace)
        grid, days = grid_of(cube, path.name), time_axis(cube, "time", path.name).days
        away = displacement(cube)
        gone = _dates_of(names, cube)
    for variable in dated:
        chosen_dates(variable.name, variable.dates, days, match)  # before anything is written
    if away is not None and away > 1:
        log.warning(
            "The labels of this cube of earthnet-minicuber lie up to %.0f m from the places its pixels were taken "
            "from: the layers are attached where the labels say.",
            away,
        )
    coverage: dict[str, float] = {}
    steps: dict[str, int] = {}

    def add(writer: CubeWriter, cube: xr.Dataset, part: Progress) -> None:
        for number, (order, map_of) in enumerate(_maps(grid, static)):
            part.update(number / len(names), f"{order.title} ({number + 1} of {len(names)})")
            coverage[order.name] = round(100 * map_of.coverage, 2)
            writer.add_map(
                order.name, map_of.stored, map_of.fill, grid_mapping=GRID_MAPPING, **map_of.attributes
            )
        for number, variable in enumerate(dated, start=len(static)):
            its = part.part(number / len(names), (number + 1) / len(names))
            attached = write_dated(writer, grid, variable, days, match, its)
            coverage[variable.name] = round(100 * attached.coverage, 2)
            steps[variable.name] = attached.steps

    what = f"attachlayers to {path.name}: {', '.join(names)}"
    done = extended_cube(parameters.cube, parameters.output, [*made, *gone], add, what, progress)
    for order in static:
        log.info("%s: %.4g %% of the pixels have a value.", order.name, coverage[order.name])
    return AttachResult(done.output, done.title, coverage, done.layers, steps)


def _dates_of(names: Collection[str], cube: xr.Dataset) -> list[str]:
    """The dates of rasters that the cube has of variables with these names, which are replaced."""
    old = [name for name in names if name in cube.variables]
    said = {name: str(cube[name].attrs.get("ancillary_variables", "")).split() for name in old}
    return [
        f"{name}_date" for name in old if f"{name}_date" in said[name] and f"{name}_date" in cube.variables
    ]


def _maps(grid: Grid, orders: list[LayerOrder]) -> Iterator[tuple[LayerOrder, Made]]:
    """The layers on the grid, in their order: the next ones are made while one is written."""
    with ThreadPoolExecutor(THREADS, "attach") as pool:
        waiting: deque[tuple[LayerOrder, Future[Made]]] = deque()
        try:
            for order in orders:
                waiting.append((order, pool.submit(on_grid, grid, order)))
                if len(waiting) > AHEAD:
                    order, future = waiting.popleft()
                    yield order, future.result()
            while waiting:
                order, future = waiting.popleft()
                yield order, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


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
    found = raster_of(order, grid)
    attributes = {
        "long_name": order.title
        if order.band == 1
        else found.description or f"{order.title}, band {order.band}",
        "units": "1" if order.classes else order.units or found.units,
        "source": order.source,
        "resampling": found.method,
        "resampling_choice": choice_in_words(order, found),
        "coverage_percent": round(100 * found.coverage, 2),
    }
    if not order.classes:
        return Made(found.values.astype(np.float32), np.float32(np.nan), attributes, found.coverage)
    legend = legend_of(values_there(found.values, order.title), order.legend, order.colours)
    stored = legend.stored(found.values)
    return Made(stored, legend.fill, {**attributes, **legend.attributes}, found.coverage)


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
        attributes |= legend_of_texts(names, order.colours, values.dtype)
        return Made(values, None, attributes, float((values > 0).mean()))
    values = vectors.numbers_of(grid, features, method)
    coverage = float(np.isfinite(values).mean())
    return Made(values.astype(np.float32), np.float32(np.nan), attributes, coverage)
