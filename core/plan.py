"""What a recipe means before anything is read: the grid, the dates with their scenes, and the sizes.

A search and metadata decide; of files at most the headers of those whose items do not tell their place.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
from dataclasses import dataclass, replace

from .catalogs.access import Access
from .catalogs.api import Query
from .catalogs.entries import Collection
from .catalogs.http import Credentials
from .catalogs.registry import Registry
from .catalogs.search import Found, search
from .errors import InputError, SourceError
from .grid import (
    Bounds,
    Grid,
    Lattice,
    centre_lonlat,
    grid_around,
    grid_over,
    is_projected,
    lonlat_box,
    same_crs,
    transform_bounds,
    unit_of,
    utm_crs,
)
from .loading import crs_of, opened
from .progress import Progress
from .recipe import Recipe
from .sources import sentinel2 as s2
from .sources.image_axis import ImageDate, image_axis, scene_overlap, without_duplicates
from .timeline import checked_period, regular_days

log = logging.getLogger(__name__)

COARSEST = 60.0  # m; Sentinel-2's largest pixels


@dataclass(frozen=True)
class Step:
    """One step of the time axis: its `day`, and the dates whose images make it, in the order of time."""

    day: dt.date
    dates: tuple[ImageDate, ...]

    @property
    def scenes(self) -> list[s2.Scene]:
        return [scene for date in self.dates for scene in date.scenes]

    @property
    def first(self) -> s2.Scene | None:
        """The scene that speaks for the step: the first one of its latest date; None where there is none."""
        return self.dates[-1].first if self.dates else None


@dataclass(frozen=True)
class Plan:
    """What will be read: the grid, the steps with their scenes, the bands (SCL too if a rule needs it), and how.

    `found`: the catalog that answered, to `query`.
    """

    recipe: Recipe
    grid: Grid
    steps: list[Step]
    bands: tuple[str, ...]
    access: Access
    found: Found
    query: Query

    @property
    def scenes(self) -> list[s2.Scene]:
        return [scene for step in self.steps for scene in step.scenes]

    @property
    def collections(self) -> list[Collection]:
        """The registry's entries of the scenes, as far as it knows them, by id."""
        entries = {scene.collection.id: scene.collection for scene in self.scenes if scene.collection}
        return [entries[name] for name in sorted(entries)]

    @property
    def days(self) -> list[dt.date]:
        return [step.day for step in self.steps]

    @property
    def threads(self) -> int | None:
        """How many files the catalog's server gives out at once, None where that is not known."""
        return self.found.catalog.limits.connections if self.found.catalog else None

    def only(self, days: set[dt.date]) -> Plan:
        """The plan with the images of some days alone; on a regular axis steps without any stay."""
        steps = [replace(step, dates=tuple(d for d in step.dates if d.day in days)) for step in self.steps]
        regular = self.recipe.time_axis == "regular"
        return replace(self, steps=[step for step in steps if step.dates or regular])


def make_plan(recipe: Recipe, registry: Registry, credentials: Credentials, progress: Progress) -> Plan:
    """Search the catalog and decide grid, dates and order. Reads no pixel."""
    xmin, xmax, ymin, ymax = recipe.extent
    bounds = (xmin, ymin, xmax, ymax)
    first, last = checked_period(recipe.start, recipe.end)
    crs = recipe.crs or utm_crs(*centre_lonlat(bounds, recipe.extent_crs))
    rough = _rough_bounds(recipe, bounds, crs)
    # One day more at both ends: an overpass at midnight is one date, not two halves.
    day = dt.timedelta(days=1)
    query = Query(lonlat_box(rough, crs), _shifted(first, -day), _shifted(last, day), recipe.max_cloud)
    found, access = _found(recipe, query, registry, credentials, progress)
    bands, scenes = _scenes(found, registry, recipe)
    access.check([file.raster.href for scene in scenes for file in scene.files.values()])
    lattice = _lattice(recipe, rough, crs, scenes, bands, access)
    if recipe.width:
        grid = grid_around(bounds, recipe.extent_crs, crs, lattice, recipe.width, recipe.height)
    else:
        grid = grid_over(bounds, recipe.extent_crs, crs, lattice)
    scenes = [scene for scene in scenes if scene_overlap(scene, grid.bounds, crs) > 0]
    if not scenes:
        raise InputError(
            f"No image of {found.source} covers the extent.",
            "Check the extent and its CRS, or the catalog.",
        )
    for band in bands:
        lacking = [scene.id for scene in scenes if band not in scene.files]
        if lacking:
            log.warning(
                "%d of %d items have no %s, the first is %s.", len(lacking), len(scenes), band, lacking[0]
            )
    dates = [date for date in image_axis(scenes, grid) if first <= date.day <= last]
    if not dates:
        raise _no_image(found, recipe)
    steps = [Step(date.day, (date,)) for date in dates]
    if recipe.time_axis == "regular":
        steps = _regular_steps(recipe, dates)
    plan = Plan(recipe, grid, steps, bands, access, found, query)
    progress.update(1.0, f"{len(plan.scenes)} images found")
    return plan


def _found(
    recipe: Recipe, query: Query, registry: Registry, credentials: Credentials, progress: Progress
) -> tuple[Found, Access]:
    """What the catalog answers, or when it fails the other one; and how the files of its answer are reached."""
    progress.update(0.0, f"Searching {recipe.catalog}")
    try:
        found = search(recipe.catalog, query, registry, progress, credentials)
        return found, found.access(registry, credentials)
    except SourceError as error:
        if not recipe.fallback_catalog:
            raise
        log.warning("%s The fallback %s is asked.", error.message, recipe.fallback_catalog)
        progress.update(0.5, f"Searching {recipe.fallback_catalog}")
        try:
            # The credentials belong to the first catalog: no other server may see them.
            found = search(recipe.fallback_catalog, query, registry, progress)
            return found, found.access(registry, Credentials())
        except SourceError as second:
            raise SourceError(
                f"Both catalogs failed. {error.message} {second.message}", "Try again later."
            ) from second


def _regular_steps(recipe: Recipe, dates: list[ImageDate]) -> list[Step]:
    """The steps of a regular axis; raises `InputError` when no image falls into any of them."""
    length = dt.timedelta(days=recipe.step_days)
    steps = [
        Step(end, tuple(date for date in dates if end - length < date.day <= end))
        for end in regular_days(*checked_period(recipe.start, recipe.end), recipe.step_days)
    ]
    if not any(step.dates for step in steps):
        raise InputError(
            "No image falls into a whole step of the regular axis.",
            "Choose a longer period or smaller steps.",
        )
    return steps


def _rough_bounds(recipe: Recipe, bounds: Bounds, crs: str) -> Bounds:
    """Where the cube will lie, in `crs`, but for the last pixel: the lattice is not known yet.

    Raises `InputError` for what is no minicube, before a whole continent is searched.
    """
    size = recipe.resolution or COARSEST
    lattice = Lattice(size, size)
    if not recipe.width:
        grid_over(bounds, recipe.extent_crs, crs, lattice)
        return transform_bounds(bounds, recipe.extent_crs, crs)
    return grid_around(bounds, recipe.extent_crs, crs, lattice, recipe.width + 2, recipe.height + 2).bounds


def _scenes(found: Found, registry: Registry, recipe: Recipe) -> tuple[tuple[str, ...], list[s2.Scene]]:
    """The bands that will be read, and the scenes that have any of them and are clear enough."""
    bands = _bands(recipe)
    scenes = scenes_of(found, registry, bands)
    if not scenes:
        raise _no_image(found, recipe, f" ({len(found.items)} of another sensor)" if found.items else "")
    optional = not _needs_classes(recipe) and "SCL" not in recipe.s2_bands
    if optional and "SCL" in bands and not any("SCL" in scene.files for scene in scenes):
        log.warning("%s has no scene classification: the latest image counts, clear or not.", found.source)
        bands = tuple(band for band in bands if band != "SCL")
    scenes = s2.with_bands(scenes, bands, found.source)
    clear = [s for s in scenes if s.cloud_cover is None or s.cloud_cover <= recipe.max_cloud]
    if not clear:
        least = min(s.cloud_cover for s in scenes)
        raise InputError(
            f"All {len(scenes)} images have more cloud than MAX_CLOUD = {recipe.max_cloud:g} %.",
            f"The clearest has {least:.1f} %.",
        )
    return bands, clear


def scenes_of(found: Found, registry: Registry, bands: tuple[str, ...]) -> list[s2.Scene]:
    """The scenes of Sentinel-2 among the items that a catalog gave, each once."""
    scenes = [
        s2.scene_of(item, bands, registry.collection_of(found.catalog, item))
        for item in found.items
        if s2.is_sentinel2(item)
    ]
    return without_duplicates(scenes, found.collections)


def _no_image(found: Found, recipe: Recipe, others: str = "") -> InputError:
    return InputError(
        f"No Sentinel-2 image of {found.source} lies in the extent from {recipe.start} to {recipe.end}{others}.",
        "Check extent, dates and catalog.",
    )


def _shifted(day: dt.date, by: dt.timedelta) -> dt.date:
    """A day earlier or later, where the calendar has one."""
    try:
        return day + by
    except OverflowError:
        return day


def _needs_classes(recipe: Recipe) -> bool:
    return recipe.s2_mask == "scl" or recipe.min_clear > 0


def _bands(recipe: Recipe) -> tuple[str, ...]:
    """The bands to read: those of the cube, and SCL where masks, MIN_CLEAR or a regular axis look at it."""
    if not _needs_classes(recipe) and recipe.time_axis != "regular":
        return recipe.s2_bands
    return (*(band for band in recipe.s2_bands if band != "SCL"), "SCL")


def _lattice(
    recipe: Recipe, rough: Bounds, crs: str, scenes: list[s2.Scene], bands: tuple[str, ...], access: Access
) -> Lattice:
    """The lattice of the item with the largest overlap, in its CRS; anchor 0,0 in any other.

    A collection's entry in the registry tells the anchor; of others the item's own pixels. Items in the cube's
    CRS come before others. Of the item's files the one whose pixels are nearest in size to RESOLUTION tells the
    lattice; for RESOLUTION 0 the one with the finest.
    """
    own = [scene for scene in scenes if scene.crs is not None and same_crs(scene.crs, crs)]
    anchor = min(own or scenes, key=lambda scene: (-scene_overlap(scene, rough, crs), scene.id))
    files = [anchor.files[band] for band in bands if band in anchor.files]
    sizes = [_place_of(file, access) for file in files]
    wanted = recipe.resolution

    def distance(entry) -> float:
        size = abs(entry[0][0])
        return abs(math.log(size / wanted)) if wanted else size

    (a, _, c, _, e, f), file_crs = min(sizes, key=distance)
    if not same_crs(file_crs, crs):
        size = wanted or (abs(a) / unit_of(crs)[1] if is_projected(file_crs) else 0)
        if not size:
            raise InputError(
                f"The images are in {file_crs}, so the finest native resolution is not known in {crs}.",
                "Give RESOLUTION.",
            )
        return Lattice(size, size)
    c, f = s2.lattice_anchor(crs, abs(a), c, f, anchor.collection)
    return Lattice(wanted or abs(a), wanted or abs(e), c, f)


def _place_of(file: s2.BandFile, access: Access) -> tuple[tuple[float, ...], str]:
    """(transform, CRS) of a file, from its metadata, else from its header."""
    raster = file.raster
    if raster.transform is not None and raster.crs is not None:
        return raster.transform, raster.crs
    with opened(raster.href, access) as source:
        return tuple(source.transform)[:6], crs_of(source, raster)
