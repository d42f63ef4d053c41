"""What a recipe means before anything is read: the grid, the dates with their scenes, and the sizes.

A search and metadata decide; of files at most the headers of those whose items do not tell their place.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
import statistics
from dataclasses import dataclass

from .catalogs.search import search
from .errors import InputError
from .grid import (
    Bounds,
    Grid,
    Lattice,
    centre_lonlat,
    grid_around,
    grid_over,
    is_projected,
    same_crs,
    transform_bounds,
    unit_of,
    utm_crs,
)
from .loading import crs_of, opened
from .progress import Progress
from .recipe import Recipe
from .sources import sentinel2 as s2
from .timeline import checked_period

log = logging.getLogger(__name__)

# Bytes on disk per pixel of the source, of real scenes with deflate and shuffle.
DEFLATED = {"reflectance": 1.3, "atmosphere": 0.2, "classes": 0.12}
COARSEST = 60.0  # m; Sentinel-2's largest pixels
COG_BLOCK = 724  # pixels; what a read fetches: between the blocks of 512 and of 1024 that catalogs use
COG_HEADER = 32768  # bytes
COG_BYTES = 1.2  # per pixel, where the catalog does not tell the size of a file


@dataclass(frozen=True)
class Plan:
    """What will be read: the grid, the dates with their scenes, the bands (SCL too if the mask needs it)."""

    recipe: Recipe
    grid: Grid
    dates: list[s2.ImageDate]
    bands: tuple[str, ...]

    @property
    def scenes(self) -> list[s2.Scene]:
        return [scene for date in self.dates for scene in date.scenes]


def make_plan(recipe: Recipe, progress: Progress) -> Plan:
    """Search the catalog and decide grid, dates and order. Reads no pixel."""
    xmin, xmax, ymin, ymax = recipe.extent
    bounds = (xmin, ymin, xmax, ymax)
    first, last = checked_period(recipe.start, recipe.end)
    crs = recipe.crs or utm_crs(*centre_lonlat(bounds, recipe.extent_crs))
    bands = (
        recipe.s2_bands if recipe.s2_mask == "none" else (*(b for b in recipe.s2_bands if b != "SCL"), "SCL")
    )
    progress.update(0.0, f"Searching {recipe.catalog}")
    rough = _rough_bounds(recipe, bounds, crs)
    found = search(recipe.catalog, transform_bounds(rough, crs, "EPSG:4326"), first, last, progress)
    scenes = _scenes(found, recipe, bands, first, last)
    lattice = _lattice(recipe, rough, crs, scenes, bands)
    if recipe.width:
        grid = grid_around(bounds, recipe.extent_crs, crs, lattice, recipe.width, recipe.height)
    else:
        grid = grid_over(bounds, recipe.extent_crs, crs, lattice)
    scenes = [scene for scene in scenes if s2.scene_overlap(scene, grid.bounds, crs) > 0]
    if not scenes:
        raise InputError(
            f"No image of {recipe.catalog} covers the extent.",
            "Check the extent and its CRS, or the catalog.",
        )
    for band in bands:
        lacking = [scene.id for scene in scenes if band not in scene.files]
        if lacking:
            log.warning(
                "%d of %d items have no %s, the first is %s.", len(lacking), len(scenes), band, lacking[0]
            )
    progress.update(1.0, f"{len(scenes)} images found")
    return Plan(recipe, grid, s2.image_axis(scenes, grid), bands)


def _rough_bounds(recipe: Recipe, bounds: Bounds, crs: str) -> Bounds:
    """Where the cube will lie, in `crs`, but for the last pixel: the lattice is not known yet."""
    if not recipe.width:
        return transform_bounds(bounds, recipe.extent_crs, crs)
    size = recipe.resolution or COARSEST
    lattice = Lattice(size, size)
    return grid_around(bounds, recipe.extent_crs, crs, lattice, recipe.width + 2, recipe.height + 2).bounds


def _scenes(found: list[dict], recipe: Recipe, bands, first: dt.date, last: dt.date) -> list[s2.Scene]:
    scenes = [s2.scene_of(item, bands) for item in found if s2.is_sentinel2(item)]
    if not scenes:
        others = f" ({len(found)} of another sensor)" if found else ""
        raise InputError(
            f"No Sentinel-2 image of {recipe.catalog} lies in the extent from {first} to {last}{others}.",
            "Check extent, dates and catalog.",
        )
    scenes = s2.with_bands(s2.without_duplicates(scenes), bands, recipe.catalog)
    clear = [s for s in scenes if s.cloud_cover is None or s.cloud_cover <= recipe.max_cloud]
    if not clear:
        least = min(s.cloud_cover for s in scenes)
        raise InputError(
            f"All {len(scenes)} images have more cloud than MAX_CLOUD = {recipe.max_cloud:g} %.",
            f"The clearest has {least:.1f} %.",
        )
    return clear


def _lattice(recipe: Recipe, rough: Bounds, crs: str, scenes: list[s2.Scene], bands) -> Lattice:
    """The lattice of the item with the largest overlap, in its CRS; anchor 0,0 in any other.

    Items in the cube's CRS come before others. Of the item's files the one whose pixels are nearest in size
    to RESOLUTION tells the lattice; for RESOLUTION 0 the one with the finest.
    """
    own = [scene for scene in scenes if scene.crs is not None and same_crs(scene.crs, crs)]
    anchor = min(own or scenes, key=lambda scene: (-s2.scene_overlap(scene, rough, crs), scene.id))
    files = [anchor.files[band] for band in bands if band in anchor.files]
    sizes = [_place_of(file) for file in files]
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
    c, f = s2.lattice_anchor(crs, abs(a), c, f)
    return Lattice(wanted or abs(a), wanted or abs(e), c, f)


def _place_of(file: s2.BandFile) -> tuple[tuple[float, ...], str]:
    """(transform, CRS) of a file, from its metadata, else from its header."""
    raster = file.raster
    if raster.transform is not None and raster.crs is not None:
        return raster.transform, raster.crs
    with opened(raster.href) as source:
        return tuple(source.transform)[:6], crs_of(source, raster)


def estimate_mb(plan: Plan) -> tuple[float, float]:
    """(on disk, to download) of a plan in 10^6 bytes, from metadata alone.

    On disk: for each band the pixels of the source below the covered part of the grid (a coarser source that
    is repeated deflates to its own size), times `DEFLATED`. To download: for each remote file the blocks of
    `COG_BLOCK` pixels that the grid touches and a header, at the file's mean bytes per pixel where the catalog
    tells its size; never more than the file.
    """
    area = plan.grid.width * plan.grid.height * plan.grid.resolution_x * plan.grid.resolution_y
    covered = sum(
        min(sum(s2.scene_overlap(s, plan.grid.bounds, plan.grid.crs) for s in date.scenes) / area, 1.0)
        for date in plan.dates
    )
    metres = unit_of(plan.grid.crs)[1]
    names = list(plan.recipe.s2_bands) + ["SCL"] * (plan.recipe.s2_mask == "scl")
    disk = 40_000.0 + 200 * len(plan.dates) + 4_000 * len(names)
    for name in names:
        band = s2.BANDS[name]
        pixel = max(band.resolution, plan.grid.resolution_x * metres)
        disk += area * metres**2 / pixel**2 * DEFLATED[band.kind] * covered
    download = sum(
        _bytes_to_fetch(file, plan.grid)
        for scene in plan.scenes
        for file in scene.files.values()
        if file.raster.href.split(":")[0].lower() in ("http", "https", "s3")
    )
    return disk / 1e6, download / 1e6


def _bytes_to_fetch(file: s2.BandFile, grid: Grid) -> float:
    raster = file.raster
    if raster.transform is None or raster.shape is None:
        return COG_HEADER + COG_BYTES * COG_BLOCK**2
    pixel = abs(raster.transform[0])
    rows, columns = raster.shape
    whole = float(raster.size or COG_BYTES * rows * columns)
    high = min(math.ceil(grid.height * grid.resolution_y / pixel / COG_BLOCK + 0.5) * COG_BLOCK, rows)
    wide = min(math.ceil(grid.width * grid.resolution_x / pixel / COG_BLOCK + 0.5) * COG_BLOCK, columns)
    return min(COG_HEADER + whole * high * wide / (rows * columns), whole)


def scenes_per_month(dates: list[s2.ImageDate]) -> dict[str, str]:
    """Text per month ("2021-03"): dates and the median of the cloud cover that their items declare."""
    months: dict[str, list[s2.ImageDate]] = {}
    for date in dates:
        months.setdefault(f"{date.day:%Y-%m}", []).append(date)
    texts = {}
    for month, members in months.items():
        covers = [d.first.cloud_cover for d in members if d.first.cloud_cover is not None]
        cloud = f", median cloud cover {statistics.median(covers):.0f} %" if covers else ""
        texts[month] = f"{len(members)} {'date' if len(members) == 1 else 'dates'}{cloud}"
    return texts
