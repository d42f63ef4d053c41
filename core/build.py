"""The job that builds a minicube: plan, read, write.

One recipe in, one file out. What is known to be wrong is refused before anything is searched; what the
search finds is planned before anything is read; reading is concurrent and bounded by a block of dates.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .. import __version__
from .catalogs.http import Credentials
from .catalogs.registry import Registry, load_registry
from .climate.weather import Climate
from .cube.describe import LayerInfo, best_date, describe_layers, title_of
from .cube.layers import fresh_layers
from .cube.output import checked_output
from .cube.part import is_zarr_name, part_output, size_of
from .cube.write import open_cube
from .estimate import estimate_mb, scenes_per_month
from .fallback import Twins
from .fetching import Fetcher
from .images import Images
from .jobs import from_json
from .partstore import chunk_folder, default_root, open_store
from .plan import Plan, make_plan
from .progress import Progress
from .recipe import Recipe
from .recipe_file import read_recipe
from .sentinel2_cube import describe_reading, global_attributes, variables_of, write_per_date

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuildParameters:
    """`recipe`: the fields of `Recipe`. `recipe_file`: path of a recipe as JSON (or of a cube that holds one);
    what it names wins over `recipe`. `output`: path of the .nc or .zarr; may be empty when `dry_run`.
    `catalogs_file`: the user's own entries of the registry of catalogs, empty for none. `credentials` and
    `era5_credentials`: the fields of `Credentials`, for the catalog and the climate store; never stored.
    `parts_folder`: where unfinished work is kept, empty for the user's cache. `chunk_cache`: where chunks of climate
    stores are kept, empty for the user's cache, "none" to keep none.
    """

    recipe: dict
    recipe_file: str = ""
    output: str = ""
    dry_run: bool = False
    catalogs_file: str = ""
    credentials: dict = field(default_factory=dict, repr=False)
    parts_folder: str = ""
    era5_credentials: dict = field(default_factory=dict, repr=False)
    chunk_cache: str = ""


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


def build_minicube(parameters: BuildParameters, progress: Progress) -> BuildResult:
    """Build the cube of a recipe at `parameters.output`, or only say what it would be.

    Raises `InputError` for what the user gave, `SourceError` for what a catalog or file holds,
    `StorageError` for the output, `Cancelled`.
    """
    registry = load_registry(parameters.catalogs_file)
    fields = with_absolute_paths(parameters.recipe, Path.cwd(), registry)
    if parameters.recipe_file:
        named, folder = read_recipe(Path(parameters.recipe_file))
        fields |= with_absolute_paths(named, folder, registry)
    recipe = from_json(Recipe, fields)
    output = None if parameters.dry_run else checked_output(parameters.output)
    credentials = from_json(Credentials, parameters.credentials)
    era5_credentials = from_json(Credentials, parameters.era5_credentials)
    plan = make_plan(recipe, registry, credentials, progress.part(0.0, 0.1))
    climate = None
    if recipe.era5_source:
        kept = None if parameters.chunk_cache == "none" else Path(parameters.chunk_cache or chunk_folder())
        climate = Climate(recipe, registry, era5_credentials, plan.grid, plan.days, kept)
    with contextlib.closing(climate) if climate else contextlib.nullcontext():
        return _built(parameters, plan, climate, output, registry, progress)


def _built(
    parameters: BuildParameters,
    plan: Plan,
    climate: Climate | None,
    output: Path | None,
    registry: Registry,
    progress: Progress,
) -> BuildResult:
    recipe = plan.recipe
    size, download = estimate_mb(plan, output is not None and is_zarr_name(output))
    if climate:
        climate.look(progress.part(0.1, 0.12))
        more, fetched = climate.estimate_mb()
        log.info("%s: about %.1f MB to download.", climate.entry.title, fetched)
        size, download = size + more, download + fetched
    height, width = plan.grid.shape
    log.info(
        "%d items on %d %s, %d x %d pixels of %g in %s; about %.1f MB on disk, %.1f MB to download.",
        len(plan.scenes),
        len(plan.steps),
        "dates" if recipe.time_axis == "s2" else f"steps of {recipe.step_days} days",
        width,
        height,
        plan.grid.resolution_x,
        plan.grid.crs,
        size,
        download,
    )
    months = scenes_per_month([date for step in plan.steps for date in step.dates])
    for month, text in months.items():
        log.info("%s: %s", month, text)
    layers = ()
    if output is not None:
        parts = Path(parameters.parts_folder) if parameters.parts_folder else default_root()
        plan, layers = write_cube(plan, climate, output, registry, parts, progress.part(0.12, 1.0))
    return BuildResult(
        output=str(output or ""),
        title=title_of(output, [day.isoformat() for day in plan.days]) if output else "",
        n_items=len(plan.scenes),
        n_dates=len(plan.days),
        estimated_mb=round(size, 3),
        estimated_download_mb=round(download, 3),
        grid=plan.grid.to_json(),
        months=months,
        layers=tuple(layers),
    )


def with_absolute_paths(fields: dict, folder: Path | None, registry: Registry) -> dict:
    """The fields of a recipe whose sources, where they are paths relative to `folder`, are absolute: the cube's
    recipe is read elsewhere. The name of a preset goes before a file of the same name."""
    made = dict(fields)
    for name in ("catalog", "fallback_catalog", "era5_source", "era5_dem"):
        text = fields.get(name)
        known = {"era5_source": registry.climate_store, "era5_dem": lambda _: None}.get(name, registry.preset)
        if folder and isinstance(text, str) and text and not known(text):
            path = os.path.join(folder, text)
            made[name] = os.path.abspath(path) if os.path.exists(path) else text
    return made


def write_cube(
    plan: Plan,
    climate: Climate | None,
    output: Path,
    registry: Registry,
    parts_folder: Path,
    progress: Progress,
) -> tuple[Plan, list[LayerInfo]]:
    """Read the plan's images and write the cube and its layers; the cube's rename comes last.

    Finished blocks are kept below `parts_folder` until then, so that the same recipe continues there. Returns
    the plan of what was kept, and the cube's layers.
    """
    recipe = plan.recipe
    fetcher = Fetcher(
        plan.grid, plan.access, recipe.resampling, Twins(plan, registry), must_have=recipe.fail_on_missing
    )
    with open_store(parts_folder, store_key(recipe), progress) as store:
        images, reading = Images(plan, store, fetcher), progress
        if climate:
            climate.read(store, progress.part(0.0, 0.1))
            reading = progress.part(0.1, 1.0)
        if recipe.min_clear > 0:
            images.leave_out_cloudy(reading.part(0.0, 0.3))
            plan, reading = images.plan, reading.part(0.3, 1.0)
        entries = [*plan.collections, *([climate.entry] if climate else ())]
        variables = [*variables_of(plan), *(climate.variables() if climate else ())]
        with part_output(output, progress) as part:
            with open_cube(part, plan.grid, plan.days, variables, global_attributes(plan, entries)) as cube:
                told = images.write(cube, reading.part(0.0, 0.95) if climate else reading)
                write_per_date(cube, plan, told)
                describe_reading(cube, told)
                if climate:
                    climate.write(cube, plan.days, reading.part(0.95, 1.0))
            dates = [day.isoformat() for day in plan.days]
            best = best_date(*_brightness(plan, told.clear_share))
            with fresh_layers(output, plan.grid, dates, variables, best, progress) as layers:
                part.make_durable()
                # The last moment to stop: from here on cube and layers change together.
                progress.raise_if_cancelled()
                layers.swap()
                part.commit()
        store.complete()
    n_missing = sum(len(text.split("; ")) for text in told.missing if text)
    if n_missing:
        log.warning(
            "%d files could not be had; s2_missing_assets names them, the pixels are missing.", n_missing
        )
    for step in told.offset_steps:
        log.warning(
            "The reflectance offset looks wrong: %s. Do not compare these images before that is settled.",
            step,
        )
    clipped = {name: count for name, count in cube.clipped.items() if count}
    if clipped:
        log.warning("Values beyond what a variable can hold were clipped: %s", clipped)
    log.info("Cube written: %s (%.1f MB)", output, size_of(output) / 1e6)
    progress.update(1.0, "Done")
    return plan, describe_layers(output, variables, dates, best)


def store_key(recipe: Recipe) -> str:
    """The name under which the work on a recipe is kept; another version does not continue it."""
    return hashlib.blake2b(f"{__version__} {recipe.to_json()}".encode(), digest_size=16).hexdigest()


def _brightness(plan: Plan, clear_share: np.ndarray) -> tuple[list[float], list[float]]:
    """Clear share and sun elevation of each date, for `best_date`; without SCL the share that the item declares."""
    firsts = [step.first for step in plan.steps]
    if np.all(np.isnan(clear_share)):
        covers = [math.nan if s is None or s.cloud_cover is None else s.cloud_cover for s in firsts]
        clear_share = 1.0 - np.array(covers) / 100.0
    suns = [math.nan if s is None else s.angles.get("sun_elevation", math.nan) for s in firsts]
    return clear_share.tolist(), suns
