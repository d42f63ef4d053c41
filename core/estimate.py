"""How large a plan will be, on disk and to download, and how its scenes lie over the months: from metadata alone."""

from __future__ import annotations

import math
import statistics

from .grid import Grid, unit_of
from .plan import Plan
from .sources.image_axis import ImageDate, scene_overlap
from .sources.sentinel2 import BandFile
from .sources.sentinel2_bands import BANDS

# Bytes on disk per pixel of the source, of real scenes with deflate and shuffle.
DEFLATED = {"reflectance": 1.3, "atmosphere": 0.2, "classes": 0.12}
UNSHUFFLED = 1.5  # Zarr's deflate has no shuffle
COG_BLOCK = 724  # pixels; what a read fetches: between the blocks of 512 and of 1024 that catalogs use
COG_HEADER = 32768  # bytes
COG_BYTES = 1.2  # per pixel, where the catalog does not tell the size of a file


def estimate_mb(plan: Plan, zarr: bool = False) -> tuple[float, float]:
    """(on disk, to download) of a plan in 10^6 bytes, from metadata alone; `zarr`: written as Zarr.

    On disk: for each band the pixels of the source below the covered part of the grid (a coarser source that
    is repeated deflates to its own size), times `DEFLATED`. To download: for each remote file the blocks of
    `COG_BLOCK` pixels that the grid touches and a header, at the file's mean bytes per pixel where the catalog
    tells its size; never more than the file.
    """
    dates = [date for step in plan.steps for date in step.dates]
    area = plan.grid.width * plan.grid.height * plan.grid.resolution_x * plan.grid.resolution_y
    covered = sum(
        min(sum(scene_overlap(s, plan.grid.bounds, plan.grid.crs) for s in date.scenes) / area, 1.0)
        for date in dates
    )
    metres = unit_of(plan.grid.crs)[1]
    names = list(plan.recipe.s2_bands) + ["SCL"] * (plan.recipe.s2_mask == "scl")
    if plan.recipe.time_axis == "regular":
        covered = min(covered, len(plan.steps))
    disk = 40_000.0 + 200 * len(plan.steps) + 4_000 * len(names)
    for name in names:
        band = BANDS[name]
        pixel = max(band.resolution, plan.grid.resolution_x * metres)
        disk += area * metres**2 / pixel**2 * DEFLATED[band.kind] * covered
    download = sum(bytes_to_fetch(file, plan.grid) for scene in plan.scenes for file in scene.files.values())
    return disk * (UNSHUFFLED if zarr else 1.0) / 1e6, download / 1e6


def bytes_to_fetch(file: BandFile, grid: Grid) -> float:
    """About how many bytes of a remote file the grid needs; 0 of a local one."""
    if file.raster.href.split(":")[0].lower() not in ("http", "https", "s3"):
        return 0.0
    raster = file.raster
    if raster.transform is None or raster.shape is None:
        return COG_HEADER + COG_BYTES * COG_BLOCK**2
    pixel = abs(raster.transform[0])
    rows, columns = raster.shape
    whole = float(raster.size or COG_BYTES * rows * columns)
    high = min(math.ceil(grid.height * grid.resolution_y / pixel / COG_BLOCK + 0.5) * COG_BLOCK, rows)
    wide = min(math.ceil(grid.width * grid.resolution_x / pixel / COG_BLOCK + 0.5) * COG_BLOCK, columns)
    return min(COG_HEADER + whole * high * wide / (rows * columns), whole)


def scenes_per_month(dates: list[ImageDate]) -> dict[str, str]:
    """Text per month ("2021-03"): dates and the median of the cloud cover that their items declare."""
    months: dict[str, list[ImageDate]] = {}
    for date in dates:
        months.setdefault(f"{date.day:%Y-%m}", []).append(date)
    texts = {}
    for month, members in months.items():
        covers = [d.first.cloud_cover for d in members if d.first.cloud_cover is not None]
        cloud = f", median cloud cover {statistics.median(covers):.0f} %" if covers else ""
        texts[month] = f"{len(members)} {'date' if len(members) == 1 else 'dates'}{cloud}"
    return texts
