"""The image axis: which scenes are duplicates, which make one date, in which order they fill its pixels."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from shapely import GEOSException, box, segmentize, transform, union_all
from shapely.geometry.base import BaseGeometry

from ..errors import InputError
from ..grid import Bounds, Grid, centre_lonlat, overlap_area, same_crs, transform_bounds, transform_points
from ..timeline import solar_day
from .sentinel2 import Scene


@dataclass(frozen=True)
class ImageDate:
    """One step of the image axis: `day` is the UTC date of the first acquisition; `scenes` in the order
    in which they fill the pixels, the first valid value wins."""

    day: dt.date
    scenes: tuple[Scene, ...]

    @property
    def first(self) -> Scene:
        return self.scenes[0]


def without_duplicates(scenes: list[Scene], collections: Sequence[str] = ()) -> list[Scene]:
    """Of scenes with the same tile and the same sensing start only the surface reflectance, where there is
    any, and of that only the newest baseline.

    Several of one baseline are granules of a split scene: all stay. But where several `collections` are searched
    together, only those of the first that has the scene. A scene whose tile nothing tells is nobody's
    duplicate.
    """

    def key(scene: Scene) -> tuple[str, str, str]:
        return scene.platform, scene.tile, scene.sensing

    def rank(scene: Scene) -> tuple[bool, str, int]:
        name = scene.collection.id if scene.collection else ""
        order = -collections.index(name) if name in collections else 0
        return scene.level != "L1C", scene.baseline, order

    best: dict[tuple[str, str, str], tuple[bool, str, int]] = {}
    for scene in scenes:
        best[key(scene)] = max(best.get(key(scene), (False, "", -len(collections))), rank(scene))
    return [scene for scene in scenes if not scene.tile or rank(scene) == best[key(scene)]]


def image_axis(scenes: list[Scene], grid: Grid) -> list[ImageDate]:
    """The dates of the image axis and the order of the scenes in each.

    Scenes of one solar day make one step. Within it the platform and orbit with the largest overlap with
    the grid comes first, then the others; within those, scenes in the grid's CRS first, then larger overlap,
    then id.
    """
    longitude, _ = centre_lonlat(grid.bounds, grid.crs)
    groups: dict[dt.date, list[Scene]] = {}
    for scene in scenes:
        groups.setdefault(solar_day(scene.instant, longitude), []).append(scene)
    dates: dict[dt.date, list[Scene]] = {}
    for group in groups.values():
        day = min(scene.instant for scene in group).date()
        dates.setdefault(day, []).extend(group)
    return [ImageDate(day, _in_order(group, grid)) for day, group in sorted(dates.items())]


def _in_order(group: list[Scene], grid: Grid) -> tuple[Scene, ...]:
    seen = {id(scene): covered(scene, grid) for scene in group}
    overlap = {scene.id: seen[id(scene)].area for scene in group}
    passes: dict[tuple[str, int | None], list[BaseGeometry]] = {}
    for scene in group:
        passes.setdefault((scene.platform, scene.orbit), []).append(seen[id(scene)])
    # Tiles of one pass overlap each other: together they cover what their union covers.
    by_pass = {key: union_all(parts).area for key, parts in passes.items()}

    def rank(scene: Scene) -> tuple:
        key = (scene.platform, scene.orbit)
        foreign = scene.crs is None or not same_crs(scene.crs, grid.crs)
        return -by_pass[key], str(key), foreign, -overlap[scene.id], scene.id

    return tuple(sorted(group, key=rank))


def covered(scene: Scene, grid: Grid) -> BaseGeometry:
    """The part of a grid that a scene covers, in the grid's CRS: by its footprint, as far as the item has one, and
    the outline of its file."""
    part = box(*grid.bounds).intersection(box(*_outline(scene, grid.crs)))
    if scene.footprint is None:
        return part

    def to_grid(lonlat: np.ndarray) -> np.ndarray:
        return np.column_stack(transform_points(lonlat[:, 0], lonlat[:, 1], "EPSG:4326", grid.crs))

    try:
        seen = transform(segmentize(scene.footprint, 0.05), to_grid)
        return part.intersection(seen) if seen.is_valid else part
    except (InputError, GEOSException, ValueError):
        return part  # a footprint across the antimeridian, or another that is none


def scene_overlap(scene: Scene, bounds: Bounds, crs: str) -> float:
    """The area (CRS units squared) of a rectangle in `crs` that a scene's outline covers."""
    return overlap_area(_outline(scene, crs), bounds)


def _outline(scene: Scene, crs: str) -> Bounds:
    """The rectangle in `crs` around a scene's file, or around the box of its item."""
    if scene.bounds and scene.crs:
        return transform_bounds(scene.bounds, scene.crs, crs)
    west, south, east, north = scene.lonlat
    east += 360.0 if east < west else 0.0  # across the antimeridian
    return transform_bounds((west, south, east, north), "EPSG:4326", crs)
