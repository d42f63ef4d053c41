"""Which pixels or patches of a cube give samples: by an expression, a layer, at random, by class, at a distance."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields

import numpy as np
from scipy.spatial import cKDTree

from ..cube.write import CHUNKS
from ..errors import InputError
from ..grid import transform_points
from .cubes import CubeData
from .draws import pixel_numbers
from .parameters import REGION, ExportParameters
from .regions import covered, point_pixels, read_layer, region_codes
from .where import Where

VALUES_AT_ONCE = 1 << 23  # of a variable over time, while WHERE is evaluated
WGS84 = "EPSG:4326"


@dataclass(frozen=True)
class Units:
    """Pixels or patches of a cube, in the order of rows and columns; all arrays (unit,).

    `row`, `column`: the north-western pixel, int32; `lon`, `lat`: the centre, degrees of WGS 84.
    """

    row: np.ndarray
    column: np.ndarray
    lon: np.ndarray
    lat: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    def take(self, chosen: np.ndarray) -> Units:
        """Those of a mask or of numbers."""
        return Units(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})


def select_units(cube: CubeData, parameters: ExportParameters) -> tuple[Units, Counter]:
    """The units of a cube, and how many candidates were left out and why.

    Who is drawn depends on SEED, the cube's name and the place of a pixel in it. Raises `InputError`.
    """
    p = parameters
    mask = _mask(cube, p)
    dropped: Counter = Counter()
    rows, columns = _candidates(cube, p, mask, dropped)
    size = p.patch_size if p.unit == "patch" else 1
    units = _located(cube, rows, columns, size)
    chosen = np.arange(len(units))
    if p.max_samples or p.per_class or p.min_distance or p.strata:
        chosen = _drawn(cube, units, size, p, dropped)
    return units.take(np.sort(chosen)), +dropped


def _mask(cube: CubeData, p: ExportParameters) -> np.ndarray | None:
    """Where WHERE holds and PLACES are: bool (y, x); None for everywhere."""
    mask = _where(cube, p.where) if p.where.strip() else None
    if p.places:
        layer = read_layer(p.places, p.places_crs, "PLACES")
        if not (p.unit == "patch" and point_pixels(cube.grid, layer) is not None):
            there = covered(cube.grid, layer)
            mask = there if mask is None else mask & there
    return mask


def _where(cube: CubeData, text: str) -> np.ndarray:
    """Where an expression is true: bool (y, x), read a bounded number of values at a time."""
    where, kinds = Where(text), cube.kinds
    where.check(kinds.static, (*kinds.images, *kinds.weather), cube.path.name)
    height, width = cube.grid.shape
    changing = any("time" in cube.cube.variables[name].dims for name in where.names)
    per_row = width * (len(cube.days) if changing else 1)
    step = max(1, VALUES_AT_ONCE // per_row)
    if step > CHUNKS["y"]:
        step -= step % CHUNKS["y"]
    out = np.zeros((height, width), bool)

    def read(name: str, rows: slice) -> np.ndarray:
        values = cube.variable(name, slice(None), rows, slice(None))
        return values.reshape(-1, 1, 1) if values.ndim == 1 else values

    for first in range(0, height, step):
        rows = slice(first, min(first + step, height))
        out[rows] = where.evaluate(lambda name, rows=rows: read(name, rows))
    return out


def _candidates(
    cube: CubeData, p: ExportParameters, mask: np.ndarray | None, dropped: Counter
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the units that WHERE and PLACES permit."""
    height, width = cube.grid.shape
    if p.unit == "pixel":
        rows, columns = np.nonzero(np.ones((height, width), bool) if mask is None else mask)
        return rows, columns
    size = p.patch_size
    if size > height or size > width:
        raise InputError(
            f"PATCH_SIZE ({size}) is larger than {cube.path.name}, which has {width} x {height} pixels.",
            "Choose smaller patches, or UNIT pixel.",
        )
    points = point_pixels(cube.grid, read_layer(p.places, p.places_crs, "PLACES")) if p.places else None
    if points is not None:
        rows, columns = (each - size // 2 for each in points)
        inside = (rows >= 0) & (rows + size <= height) & (columns >= 0) & (columns + size <= width)
        dropped["patch beyond the cube's edge"] += int(np.count_nonzero(~inside))
        rows, columns = rows[inside], columns[inside]
    else:
        step = size - p.patch_overlap
        rows, columns = (
            each.ravel()
            for each in np.meshgrid(
                np.arange(0, height - size + 1, step), np.arange(0, width - size + 1, step), indexing="ij"
            )
        )
    if mask is None:
        return rows, columns
    total = np.zeros((height + 1, width + 1), np.int64)
    total[1:, 1:] = mask.cumsum(0).cumsum(1)
    count = total[rows + size, columns + size] - total[rows, columns + size]
    count += total[rows, columns] - total[rows + size, columns]
    keep = (count >= p.patch_share * size * size) & (count > 0)
    dropped["patch with too few pixels of WHERE or PLACES"] += int(np.count_nonzero(~keep))
    return rows[keep], columns[keep]


def _located(cube: CubeData, rows: np.ndarray, columns: np.ndarray, size: int) -> Units:
    grid = cube.grid
    x = grid.left + (columns + size / 2) * grid.resolution_x
    y = grid.top - (rows + size / 2) * grid.resolution_y
    lon, lat = transform_points(x, y, grid.crs, WGS84) if len(rows) else (x, y)
    return Units(rows.astype(np.int32), columns.astype(np.int32), lon, lat)


def earth_centred(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Points of WGS 84 (degrees) in metres from the Earth's centre: float64 (point, 3)."""
    radius, flatness = 6378137.0, 1 / 298.257223563
    squared = flatness * (2 - flatness)
    lam, phi = np.radians(lon), np.radians(lat)
    normal = radius / np.sqrt(1 - squared * np.sin(phi) ** 2)
    return np.stack(
        [
            normal * np.cos(phi) * np.cos(lam),
            normal * np.cos(phi) * np.sin(lam),
            normal * (1 - squared) * np.sin(phi),
        ],
        axis=-1,
    )


def _drawn(cube: CubeData, units: Units, size: int, p: ExportParameters, dropped: Counter) -> np.ndarray:
    """The numbers of the units that are drawn. Classes take turns, so that few samples are of all classes alike."""
    rank = pixel_numbers(p.seed, "selection", cube.name, cube.grid.shape)[units.row, units.column]
    classes = _classes(cube, units, size, p)
    keep = np.isfinite(classes)
    dropped[f"without a class of {p.strata}"] += int(np.count_nonzero(~keep))
    order = np.flatnonzero(keep)[np.argsort(rank[keep], kind="stable")]
    turn = _turns(classes[order])
    order = order[np.argsort(turn, kind="stable")]  # by turn, then as drawn
    most = p.max_samples or len(order)
    if p.min_distance:
        taken = _at_distance(units, classes, order, p.min_distance, p.per_class, most)
    else:
        if p.per_class:
            order = order[np.sort(turn, kind="stable") < p.per_class]
        taken = order[:most]
    dropped["not drawn"] += int(np.count_nonzero(keep)) - len(taken)
    return taken


def _classes(cube: CubeData, units: Units, size: int, p: ExportParameters) -> np.ndarray:
    """The class of each unit, float64, NaN without one: that of its pixel, of a patch that of its central pixel."""
    if not p.strata:
        return np.zeros(len(units))
    if p.strata == REGION:
        codes = region_codes(cube.grid, read_layer(p.places, p.places_crs, "PLACES"))[0].astype(float)
        codes[codes == 0] = np.nan
    elif p.strata in cube.kinds.static:
        codes = cube.variable(p.strata, slice(None), slice(None), slice(None)).astype(float)
    else:
        raise InputError(
            f"STRATA is no variable over y and x of {cube.path.name}: {p.strata}.",
            f"It has: {', '.join(cube.kinds.static) or 'none'}.",
        )
    return codes[units.row + size // 2, units.column + size // 2]


def _turns(classes: np.ndarray) -> np.ndarray:
    """How many of the same class come before each, in the given order."""
    order = np.argsort(classes, kind="stable")
    _, first, count = np.unique(classes[order], return_index=True, return_counts=True)
    turn = np.empty(len(classes), int)
    turn[order] = np.arange(len(classes)) - np.repeat(first, count)
    return turn


def _at_distance(
    units: Units, classes: np.ndarray, order: np.ndarray, distance: float, per_class: int, most: int
) -> np.ndarray:
    """Units one after the other in this order, each at a distance (metres) from those before."""
    points = earth_centred(units.lon, units.lat)[order]
    tree, alive = cKDTree(points), np.ones(len(order), bool)
    classes, taken, position = classes[order], [], 0
    count: Counter = Counter()
    while len(taken) < most:
        ahead = np.argmax(alive[position:]) if position < len(alive) else 0
        position += int(ahead)
        if position >= len(alive) or not alive[position]:
            break
        taken.append(position)
        count[classes[position]] += 1
        near = tree.query_ball_point(points[position], distance * (1 - 1e-9))
        alive[near] = False
        if per_class and count[classes[position]] >= per_class:
            alive[classes == classes[position]] = False
    return order[np.array(taken, int)]
