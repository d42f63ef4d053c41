"""The job that builds a minicube: search, plan, read, write.

One recipe in, one file out. What is known to be wrong is refused before anything is searched; what the
search finds is planned (grid, dates, sizes) before anything is read; reading is concurrent and bounded by
a block of dates.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
import os
import statistics
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from .. import __version__
from .catalogs.search import search
from .cube.describe import LayerInfo, best_date, describe_layers, title_of
from .cube.encoding import ATMOSPHERE, CLASSES, REFLECTANCE, Variable, flags
from .cube.layers import fresh_layers
from .cube.write import CHUNK, CubeFile, make_durable, part_file
from .errors import InputError, SourceError, StorageError
from .grid import (
    Bounds,
    Grid,
    Lattice,
    centre_lonlat,
    grid_around,
    grid_over,
    is_projected,
    same_crs,
    short_crs,
    transform_bounds,
    unit_of,
    utm_crs,
)
from .jobs import from_json
from .loading import GDAL_OPTIONS, fused, open_raster
from .progress import Progress
from .recipe import Recipe
from .secrets import redacted
from .sources import sentinel2 as s2
from .timeline import UTC, checked_period

log = logging.getLogger(__name__)

THREADS = 16  # reads wait for the network, not for the processor
# Bytes on disk per pixel of the source, of real scenes with deflate and shuffle.
DEFLATED = {"reflectance": 1.3, "atmosphere": 0.2, "classes": 0.12}
COARSEST = 60.0  # m; Sentinel-2's largest pixels
COG_BLOCK = 724  # pixels; what a read fetches: between the blocks of 512 and of 1024 that catalogs use
COG_HEADER = 32768  # bytes
COG_BYTES = 1.2  # per pixel, where the catalog does not tell the size of a file


@dataclass(frozen=True)
class BuildParameters:
    """`recipe`: the fields of `Recipe`. `output`: path of the .nc; may be empty when `dry_run`."""

    recipe: dict
    output: str = ""
    dry_run: bool = False


@dataclass(frozen=True)
class BuildResult:
    """`output`: path of the cube, empty for a dry run. Sizes in 10^6 bytes. `layers` to show."""

    output: str
    title: str
    n_items: int
    n_dates: int
    estimated_mb: float
    estimated_download_mb: float
    grid: dict
    months: dict[str, str] = field(default_factory=dict)
    layers: tuple[LayerInfo, ...] = ()


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


def build_minicube(parameters: BuildParameters, progress: Progress) -> BuildResult:
    """Build the cube of a recipe at `parameters.output`, or only say what it would be.

    Raises `InputError` for what the user gave, `SourceError` for what a catalog or file holds,
    `StorageError` for the output, `Cancelled`.
    """
    recipe = from_json(Recipe, parameters.recipe)
    output = None if parameters.dry_run else checked_output(parameters.output)
    plan = make_plan(recipe, progress.part(0.0, 0.1))
    size, download = estimate_mb(plan)
    height, width = plan.grid.shape
    log.info(
        "%d items on %d dates, %d x %d pixels of %g in %s; about %.1f MB on disk, %.1f MB to download.",
        len(plan.scenes),
        len(plan.dates),
        width,
        height,
        plan.grid.resolution_x,
        plan.grid.crs,
        size,
        download,
    )
    months = scenes_per_month(plan.dates)
    for month, text in months.items():
        log.info("%s: %s", month, text)
    layers = () if output is None else write_cube(plan, output, progress.part(0.1, 1.0))
    return BuildResult(
        output=str(output or ""),
        title=title_of(output, [date.day.isoformat() for date in plan.dates]) if output else "",
        n_items=len(plan.scenes),
        n_dates=len(plan.dates),
        estimated_mb=round(size, 3),
        estimated_download_mb=round(download, 3),
        grid=plan.grid.to_json(),
        months=months,
        layers=tuple(layers),
    )


def checked_output(text: str) -> Path:
    """The output's absolute path. Raises `InputError` when it is missing or of another kind."""
    if not text:
        raise InputError("OUTPUT is missing.", "Give the path of the cube to write, ending in .nc.")
    path = Path(text)
    if path.suffix.lower() != ".nc":
        raise InputError(f"OUTPUT does not end in .nc: {path.name}.", "A cube is written as NetCDF.")
    if path.is_dir():
        raise InputError(f"OUTPUT is a folder: {path}.", "Give the path of a file.")
    if '"' in path.name:
        raise InputError(
            f"OUTPUT has a quotation mark in its name: {path.name}.", "GDAL cannot open it; rename it."
        )
    if path.exists():
        try:
            with open(path, "r+b"):
                pass
        except OSError as error:
            raise StorageError(
                f"{path} cannot be replaced ({error.strerror}).",
                "Close what holds it open, or choose another name.",
            ) from error
    return path.absolute()


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
    sizes = [(place, file_crs) for place, file_crs in map(_place_of, files)]
    if not sizes:
        raise SourceError(f"Item {anchor.id} has none of the bands {', '.join(bands)}.")
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
    try:
        with rasterio.Env(**GDAL_OPTIONS), open_raster(raster.href) as source:
            if source.crs is None and raster.crs is None:
                raise SourceError(f"The file {redacted(raster.href)} has no CRS, and its item names none.")
            return tuple(source.transform)[:6], short_crs(source.crs.to_wkt()) if source.crs else raster.crs
    except RasterioError as error:
        reason = redacted(" ".join(str(error).split()))[:200]
        raise SourceError(f"The file {redacted(raster.href)} cannot be read ({reason}).") from error


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


def write_cube(plan: Plan, output: Path, progress: Progress) -> list[LayerInfo]:
    """Read the plan's images and write the cube and its layers; the cube's rename comes last."""
    variables = _variables(plan)
    days = [date.day for date in plan.dates]
    with part_file(output, progress) as part:
        with CubeFile(part, plan.grid, days, variables, _global_attributes(plan)) as cube:
            state = _fill(cube, plan, progress)
            _per_date(cube, plan, state)
        dates = [day.isoformat() for day in days]
        best = best_date(*_brightness(plan, state["clear_share"]))
        with fresh_layers(output, plan.grid, dates, variables, best, progress) as layers:
            make_durable(part)
            # The last moment to stop: from here on cube and layers change together.
            progress.raise_if_cancelled()
            layers.swap()
            os.replace(part, output)
    clipped = {name: count for name, count in cube.clipped.items() if count}
    if clipped:
        log.warning("Values beyond what a variable can hold were clipped: %s", clipped)
    log.info("Cube written: %s (%.1f MB)", output, output.stat().st_size / 1e6)
    progress.update(1.0, "Done")
    return describe_layers(output, variables, dates, best)


def _brightness(plan: Plan, clear_share: np.ndarray) -> tuple[list[float], list[float]]:
    """Clear share and sun elevation of each date, for `best_date`; without SCL the share that the item declares."""
    firsts = [date.first for date in plan.dates]
    if np.all(np.isnan(clear_share)):
        covers = [math.nan if scene.cloud_cover is None else scene.cloud_cover for scene in firsts]
        clear_share = 1.0 - np.array(covers) / 100.0
    return clear_share.tolist(), [scene.angles.get("sun_elevation", math.nan) for scene in firsts]


def _fill(cube: CubeFile, plan: Plan, progress: Progress) -> dict[str, np.ndarray]:
    """Read block of dates by block of dates, all bands of a block at once in threads, and write them."""
    n_dates = len(plan.dates)
    state = {"avail": np.zeros(n_dates, np.uint8), "clear_share": np.full(n_dates, np.nan, np.float32)}
    done = 0
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, n_dates, CHUNK[0]):
            dates = plan.dates[start : start + CHUNK[0]]
            tasks: dict[Future, tuple[int, str]] = {
                pool.submit(_read_date, date, band, plan): (number, band)
                for number, date in enumerate(dates)
                for band in plan.bands
            }
            block = {band: _empty(band, (len(dates), *plan.grid.shape)) for band in plan.bands}
            try:
                for task in as_completed(tasks):
                    number, band = tasks[task]
                    block[band][number] = task.result()
                    done += 1
                    whole = done // len(plan.bands)
                    month = plan.dates[min(whole, n_dates - 1)].day
                    text = f"{month:%Y-%m}: {whole} of {n_dates} dates"
                    progress.update(done / (n_dates * len(plan.bands)), text)
            except BaseException:
                for task in tasks:
                    task.cancel()
                raise
            _write_block(cube, plan, block, start, state)
    return state


def _read_date(date: s2.ImageDate, band: str, plan: Plan) -> np.ndarray:
    files = [scene.files[band] for scene in date.scenes if band in scene.files]
    return fused(files, plan.grid, s2.BANDS[band].kind == "classes")


def _empty(band: str, shape: tuple[int, ...]) -> np.ndarray:
    if s2.BANDS[band].kind == "classes":
        return np.zeros(shape, np.uint8)
    return np.full(shape, np.nan, np.float64)


def _write_block(cube: CubeFile, plan: Plan, block: dict[str, np.ndarray], start: int, state) -> None:
    any_valid = np.zeros(len(next(iter(block.values()))), bool)
    reflectance_missing = None
    for band, values in block.items():
        kind = s2.BANDS[band].kind
        valid = values != 0 if kind == "classes" else ~np.isnan(values)
        any_valid |= valid.any(axis=(1, 2))
        if kind == "reflectance":
            reflectance_missing = ~valid if reflectance_missing is None else reflectance_missing | ~valid
        if f"s2_{band}" in cube.variables:
            cube.write(f"s2_{band}", start, values)
    stop = start + len(any_valid)
    state["avail"][start:stop] = any_valid
    if "SCL" in block:
        mask = s2.scl_to_mask(block["SCL"], reflectance_missing)
        state["clear_share"][start:stop] = (mask == 0).mean(axis=(1, 2))
        if "s2_mask" in cube.variables:
            cube.write("s2_mask", start, mask)


def _variables(plan: Plan) -> list[Variable]:
    encodings = {"reflectance": REFLECTANCE, "atmosphere": ATMOSPHERE, "classes": CLASSES}
    source = f"Sentinel-2, {plan.recipe.catalog}"
    rule = "none on equal lattices; else nearest where pixels nest, bilinear, average where finer"
    variables = []
    for name in plan.recipe.s2_bands:
        band = s2.BANDS[name]
        attributes: dict[str, Any] = {
            "long_name": f"Sentinel-2 {name}, {band.long_name}",
            "units": band.units,
            "source": source,
            "resampling": "nearest; mode when coarsening" if band.kind == "classes" else rule,
        }
        if band.wavelength:
            attributes |= _reflectance_attributes(plan, band)
        if name == "SCL":
            attributes |= flags(s2.SCL_CLASSES)
        variables.append(Variable(f"s2_{name}", encodings[band.kind], attributes))
    if plan.recipe.s2_mask == "scl":
        attributes = {
            "long_name": "mask from the scene classification",
            "units": "1",
            "source": source,
            "resampling": "nearest; mode when coarsening",
            **flags(s2.MASK_CLASSES),
        }
        variables.append(Variable("s2_mask", CLASSES, attributes))
    return variables


def _reflectance_attributes(plan: Plan, band: s2.Band) -> dict[str, Any]:
    """The CF name is right for the surface alone; level 1C is reflectance at the top of the atmosphere."""
    levels = {scene.level for scene in plan.scenes}
    names = {"L2A": "surface_bidirectional_reflectance", "L1C": "toa_bidirectional_reflectance"}
    known = names.get(levels.pop() or "L2A") if len(levels) == 1 else None
    return {"standard_name": known, "wavelength_nm": band.wavelength}


def _global_attributes(plan: Plan) -> dict[str, Any]:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = dt.datetime.fromtimestamp(int(epoch), UTC) if epoch else dt.datetime.now(UTC)
    return {
        "title": f"Minicube of Sentinel-2, {plan.dates[0].day} to {plan.dates[-1].day}",
        "history": f"{now:%Y-%m-%dT%H:%M:%SZ} minicuber {__version__}: buildminicube",
        "minicuber_version": __version__,
        "recipe": plan.recipe.to_json(),
        "source": f"Sentinel-2, {plan.recipe.catalog}",
        "references": "https://sentinels.copernicus.eu/web/sentinel/sentinel-data-access/sentinel-products",
        "license": "Contains modified Copernicus Sentinel data; "
        "https://sentinels.copernicus.eu/documents/247904/690755/Sentinel_Data_Legal_Notice",
    }


def _per_date(cube: CubeFile, plan: Plan, state: dict[str, np.ndarray]) -> None:
    """The variables along time that say which images a date was made of."""
    firsts = [date.first for date in plan.dates]

    def numbers(values: list[float | None]) -> np.ndarray:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float32)

    def add(name: str, values: Any, long_name: str, **attributes: Any) -> None:
        cube.add(name, ("time",), values, long_name=long_name, **attributes)

    instants = np.array([scene.instant.timestamp() for scene in firsts], dtype=np.float64)
    add("s2_time", instants, "instant of acquisition", units="seconds since 1970-01-01", calendar="standard")
    add("s2_avail", state["avail"], "1 where the date has a valid pixel", units="1")
    joined = [" ".join(scene.id for scene in date.scenes) for date in plan.dates]
    add("s2_item_id", joined, "items of the date, in the order in which they fill pixels")
    add("s2_platform", [scene.platform for scene in firsts], "platform of the first item")
    add(
        "s2_processing_baseline",
        [scene.baseline for scene in firsts],
        "processing baseline of the first item",
    )
    orbits = np.array([-1 if scene.orbit is None else scene.orbit for scene in firsts], dtype=np.int32)
    add("s2_relative_orbit", orbits, "relative orbit of the first item, -1 unknown", units="1")
    covers = numbers([scene.cloud_cover for scene in firsts])
    add("s2_cloud_cover", covers, "cloud cover of the first item's whole scene", units="percent")
    if not np.all(np.isnan(state["clear_share"])):
        add("s2_clear_share", state["clear_share"], "share of the extent that is clear", units="1")
    for angle in ("sun_azimuth", "sun_elevation", "view_azimuth", "view_incidence_angle"):
        values = numbers([scene.angles.get(angle) for scene in firsts])
        if not np.all(np.isnan(values)):
            add(f"s2_{angle}", values, f"{angle.replace('_', ' ')} of the first item", units="degree")
