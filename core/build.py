"""The job that builds a minicube: plan, read, write.

One recipe in, one file out. What is known to be wrong is refused before anything is searched; what the
search finds is planned before anything is read; reading is concurrent and bounded by a block of dates.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
import os
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from .cube.describe import LayerInfo, best_date, describe_layers, title_of
from .cube.encoding import ATMOSPHERE, CLASSES, REFLECTANCE, Variable, flags
from .cube.layers import fresh_layers
from .cube.write import CHUNK, CubeFile, make_durable, part_file
from .errors import InputError, StorageError
from .jobs import from_json
from .loading import fused
from .plan import Plan, estimate_mb, make_plan, scenes_per_month
from .progress import Progress
from .recipe import Recipe
from .sources import sentinel2 as s2
from .timeline import UTC

log = logging.getLogger(__name__)

THREADS = 16  # reads wait for the network, not for the processor


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
