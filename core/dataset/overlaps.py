"""Which cubes, and which of their units, cover the same ground, also where their CRS differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from pyproj import Transformer
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ..grid import Grid, same_crs
from .plan import CubePlan
from .selection import earth_centred

ALONG = 17  # points of a side of a cube's outline
SHRINK = 0.01  # of a pixel at each side: neighbours that touch do not overlap


def near_cubes(plans: Sequence[CubePlan], margin: float = 0.0) -> list[tuple[int, int]]:
    """Pairs (first < second) of cubes that may overlap or lie within `margin` metres of each other."""
    outlines = [_outline_lonlat(plan.grid) for plan in plans]
    points = [earth_centred(*outline) for outline in outlines]
    centres = np.array([each.mean(axis=0) for each in points])
    radii = np.array([np.linalg.norm(p - c, axis=1).max() for p, c in zip(points, centres, strict=True)])
    pairs = cKDTree(centres).query_pairs(2 * radii.max() + margin + 1.0, output_type="ndarray")
    far = np.linalg.norm(centres[pairs[:, 0]] - centres[pairs[:, 1]], axis=1)
    kept = pairs[far <= radii[pairs[:, 0]] + radii[pairs[:, 1]] + margin + 1.0]
    return sorted((min(a, b), max(a, b)) for a, b in kept.tolist())


def overlapping_cubes(plans: Sequence[CubePlan]) -> list[tuple[int, int]]:
    """Pairs (first < second) of cubes that share ground."""
    return [(a, b) for a, b in near_cubes(plans) if _overlap(plans[a].grid, plans[b].grid)]


def places_of(n_cubes: int, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """The number of the place of each cube: cubes that overlap, also by way of others, are one. (cube,) int."""
    first, second = np.array(pairs, int).reshape(-1, 2).T
    graph = coo_matrix((np.ones(len(first)), (first, second)), shape=(n_cubes, n_cubes))
    return connected_components(graph, directed=False)[1]


def overlapping_units(plan: CubePlan, other: CubePlan) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of units of two cubes (or of one, each with itself too) that share ground: their numbers, two (pair,)."""
    if plan is other:
        if plan.size == 1 or not len(plan.units):
            every = np.arange(len(plan.units))
            return every, every
        boxes = _boxes(plan, np.arange(len(plan.units)))
        return _pairs(boxes, boxes)
    mine, theirs = _within(plan, other), _within(other, plan)
    if not len(mine) or not len(theirs):
        return np.zeros(0, int), np.zeros(0, int)
    left, right = _pairs(_moved(_boxes(plan, mine), plan.grid, other.grid), _boxes(other, theirs))
    return mine[left], theirs[right]


def _pairs(boxes: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = shapely.STRtree(others).query(boxes, predicate="intersects")
    return found[0], found[1]


def _boxes(plan: CubePlan, units: np.ndarray) -> np.ndarray:
    """Rectangles of units in the cube's CRS, a little smaller than they are."""
    grid, row, column = plan.grid, plan.units.row[units], plan.units.column[units]
    left = grid.left + (column + SHRINK) * grid.resolution_x
    right = grid.left + (column + plan.size - SHRINK) * grid.resolution_x
    top = grid.top - (row + SHRINK) * grid.resolution_y
    bottom = grid.top - (row + plan.size - SHRINK) * grid.resolution_y
    return np.atleast_1d(shapely.box(left, bottom, right, top))


def _within(plan: CubePlan, other: CubePlan) -> np.ndarray:
    """The units of a cube that may lie in another."""
    x = plan.grid.left + (plan.units.column + plan.size / 2) * plan.grid.resolution_x
    y = plan.grid.top - (plan.units.row + plan.size / 2) * plan.grid.resolution_y
    x, y = move_points(x, y, plan.grid, other.grid)
    west, south, east, north = other.grid.bounds
    # Half a unit, with room for the other's turned and stretched axes.
    reach = plan.size * max(plan.grid.resolution_x, plan.grid.resolution_y)
    if not same_crs(plan.grid.crs, other.grid.crs):
        reach *= 2 * max(other.grid.resolution_x / plan.grid.resolution_x, 1.0)
    inside = (x > west - reach) & (x < east + reach) & (y > south - reach) & (y < north + reach)
    return np.flatnonzero(inside)


def move_points(x: np.ndarray, y: np.ndarray, grid: Grid, other: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Points in the CRS of a grid, in that of another."""
    if same_crs(grid.crs, other.crs):
        return np.asarray(x, float), np.asarray(y, float)
    return Transformer.from_crs(grid.crs, other.crs, always_xy=True).transform(x, y)


def _moved(shapes: np.ndarray, grid: Grid, other: Grid) -> np.ndarray:
    if same_crs(grid.crs, other.crs):
        return shapes
    move = Transformer.from_crs(grid.crs, other.crs, always_xy=True).transform
    return shapely.transform(shapes, lambda xy: np.stack(move(xy[:, 0], xy[:, 1]), axis=1))


def _overlap(grid: Grid, other: Grid) -> bool:
    box = shapely.segmentize(shapely.box(*other.bounds), max(other.width * other.resolution_x, 1e-9) / ALONG)
    box = _moved(np.array([box]), other, grid)[0]
    shared = shapely.intersection(shapely.box(*grid.bounds), shapely.make_valid(box))
    return bool(shapely.area(shared) > SHRINK * grid.resolution_x * grid.resolution_y)


def _outline_lonlat(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    west, south, east, north = grid.bounds
    along = np.linspace(0, 1, ALONG)
    x = np.concatenate([west + along * (east - west)] * 2 + [np.full(ALONG, west), np.full(ALONG, east)])
    y = np.concatenate([np.full(ALONG, south), np.full(ALONG, north)] + [south + along * (north - south)] * 2)
    if same_crs(grid.crs, "EPSG:4326"):
        return x, y
    return Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(x, y)
