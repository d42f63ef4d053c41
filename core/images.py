"""Reads the images of a plan, block by block of the time axis, concurrently, and writes them into a cube."""

from __future__ import annotations

import datetime as dt
import logging
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

import numpy as np

from .cube.write import CHUNK
from .errors import InputError
from .loading import fused
from .plan import Plan, Step
from .progress import Progress
from .sources.composite import latest_clear, taken
from .sources.image_axis import ImageDate
from .sources.offset_check import OffsetCheck, OffsetStep
from .sources.sentinel2_bands import BANDS, scl_to_mask

log = logging.getLogger(__name__)

THREADS = 16  # reads wait for the network, not for the processor
IMAGES_AT_ONCE = 32  # whose bands are in memory together
EPOCH = dt.date(1970, 1, 1)
NO_IMAGE = -1  # in s2_image_date


@dataclass
class Gathered:
    """What reading told beside the pixels: per step whether it has a value (`avail`) and the share of its
    pixels that is clear; the methods of resampling per band; offsets that look wrong."""

    avail: np.ndarray
    clear_share: np.ndarray
    methods: dict[str, set[str]] = field(default_factory=dict)
    offset_steps: list[OffsetStep] = field(default_factory=list)


class Images:
    """The images of a plan. Scene classifications that were read to choose dates are kept, compressed, so that
    they are not read twice."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._methods: dict[str, set[str]] = {band: set() for band in plan.bands}
        self._classes: dict[dt.date, bytes] = {}
        self._check = OffsetCheck()
        catalog = plan.found.catalog
        self._threads = min((catalog.limits.connections if catalog else None) or THREADS, THREADS)

    # --- which dates ---------------------------------------------------------------------------

    def leave_out_cloudy(self, progress: Progress) -> None:
        """Read the scene classification of every date and drop those below MIN_CLEAR.

        Raises `InputError` when none is left.
        """
        least = self.plan.recipe.min_clear
        dates = [date for step in self.plan.steps for date in step.dates]
        shares = {}
        with ThreadPoolExecutor(self._threads) as pool:
            tasks = {pool.submit(self._read, date, "SCL"): date for date in dates}
            for task in _finished(tasks):
                date, classes = tasks[task], task.result()
                shares[date.day] = float((scl_to_mask(classes) == 0).mean())
                if 100 * shares[date.day] >= least:
                    self._classes[date.day] = zlib.compress(classes.tobytes(), 1)
                progress.update(
                    len(shares) / len(dates), f"Looking for clouds: {len(shares)} of {len(dates)} dates"
                )
        if not self._classes:
            raise InputError(
                f"No date has {least:g} % of the extent clear (MIN_CLEAR).",
                f"The clearest has {100 * max(shares.values()):.1f} %.",
            )
        log.info(
            "%d of %d dates are left out: less than %g %% of the extent is clear.",
            len(dates) - len(self._classes),
            len(dates),
            least,
        )
        self.plan = self.plan.only(set(self._classes))

    # --- the pixels ------------------------------------------------------------------------------

    def write(self, cube, progress: Progress) -> Gathered:
        """Fill the variables of `cube`; returns what was learnt on the way."""
        steps, n_images = self.plan.steps, max(sum(len(step.dates) for step in self.plan.steps), 1)
        told = Gathered(np.zeros(len(steps), np.uint8), np.full(len(steps), np.nan, np.float32))
        done = 0
        with ThreadPoolExecutor(self._threads) as pool:
            for start in range(0, len(steps), CHUNK[0]):
                part = steps[start : start + CHUNK[0]]
                block = self._empty_block(len(part))
                for first, group in _groups(part):
                    images = self._read_all(pool, group, done, n_images, progress)
                    for number, step in enumerate(group, start=first):
                        self._put(block, number, step, images)
                    done += sum(len(step.dates) for step in group)
                self._write_block(cube, block, start, told)
        told.methods = self._methods
        told.offset_steps = self._check.steps()
        return told

    def _read(self, date: ImageDate, band: str) -> np.ndarray:
        kept = self._classes.get(date.day) if band == "SCL" else None
        if kept is not None:
            return np.frombuffer(zlib.decompress(kept), np.uint8).reshape(self.plan.grid.shape)
        files = [scene.files[band] for scene in date.scenes if band in scene.files]
        choice = self.plan.recipe.resampling.get(band)
        classes = BANDS[band].kind == "classes"
        return fused(files, self.plan.grid, classes, choice, self.plan.access, self._methods[band])

    def _read_all(self, pool, group: list[Step], done: int, n_images: int, progress: Progress) -> dict:
        dates = [date for step in group for date in step.dates]
        tasks = {
            pool.submit(self._read, date, band): (date.day, band)
            for date in dates
            for band in self.plan.bands
        }
        images = {}
        for task in _finished(tasks):
            images[tasks[task]] = task.result()
            whole = done + len(images) // len(self.plan.bands)
            month = dates[min(len(images) // len(self.plan.bands), len(dates) - 1)].day
            share = (done + len(images) / len(self.plan.bands)) / n_images
            progress.update(share, f"{month:%Y-%m}: {whole} of {n_images} dates")
        return images

    def _empty_block(self, n_steps: int) -> dict[str, np.ndarray]:
        shape = (n_steps, *self.plan.grid.shape)
        block = {band: _missing(band, shape) for band in self.plan.bands}
        block["missing"] = np.ones(shape, bool)
        if self.plan.recipe.time_axis == "regular":
            block["date"] = np.full(shape, NO_IMAGE, np.int32)
        return block

    def _put(self, block: dict[str, np.ndarray], number: int, step: Step, images: dict) -> None:
        """Reduce the images of one step to one and put it into the block."""
        if not step.dates:
            return
        bands = {band: np.stack([images[date.day, band] for date in step.dates]) for band in self.plan.bands}
        valid = {
            band: values != 0 if values.dtype == np.uint8 else ~np.isnan(values)
            for band, values in bands.items()
        }
        reflectance = [valid[band] for band in bands if BANDS[band].kind == "reflectance"]
        missing = ~np.all(reflectance, axis=0) if reflectance else np.zeros_like(next(iter(valid.values())))
        mask = scl_to_mask(bands["SCL"], missing) if "SCL" in bands else None
        self._look_at_offsets(step, bands, mask)
        if self.plan.recipe.time_axis != "regular":
            for band, values in bands.items():
                block[band][number] = values[0]
            block["missing"][number] = missing[0]
            return
        # The classification says what a pixel is; whether it is there the other bands say.
        whole = np.all([valid[band] for band in bands if band != "SCL"] or [valid["SCL"]], axis=0)
        choice = latest_clear(
            whole if mask is None else mask == 0, whole, np.any(list(valid.values()), axis=0)
        )
        for band, values in bands.items():
            block[band][number] = taken(values, choice, 0 if values.dtype == np.uint8 else np.nan)
        block["missing"][number] = taken(missing, choice, True)
        days = np.array([(date.day - EPOCH).days for date in step.dates], np.int32)
        block["date"][number] = np.where(choice < 0, NO_IMAGE, days[np.maximum(choice, 0)])

    def _look_at_offsets(self, step: Step, bands: dict[str, np.ndarray], mask: np.ndarray | None) -> None:
        band = next((band for band in ("B04", "B03", "B02", *BANDS) if band in bands), None)
        if band is None or BANDS[band].kind != "reflectance":
            return
        for number, date in enumerate(step.dates):
            kinds = {_kind(scene, band) for scene in date.scenes if band in scene.files}
            if len(kinds) == 1:
                clear = None if mask is None else mask[number] == 0
                self._check.add(kinds.pop(), bands[band][number], clear)

    def _write_block(self, cube, block: dict[str, np.ndarray], start: int, told: Gathered) -> None:
        any_valid = np.zeros(len(block["missing"]), bool)
        for band in self.plan.bands:
            values = block[band]
            valid = values != 0 if values.dtype == np.uint8 else ~np.isnan(values)
            any_valid |= valid.any(axis=(1, 2))
            if f"s2_{band}" in cube.variables:
                cube.write(f"s2_{band}", start, values)
        stop = start + len(any_valid)
        told.avail[start:stop] = any_valid
        if "SCL" in block:
            mask = scl_to_mask(block["SCL"], block["missing"])
            told.clear_share[start:stop] = (mask == 0).mean(axis=(1, 2))
            if "s2_mask" in cube.variables:
                cube.write("s2_mask", start, mask)
        if "date" in block:
            cube.write("s2_image_date", start, block["date"])


def _kind(scene, band: str) -> str:
    offset = scene.files[band].offset
    return f"baseline {scene.baseline or 'unknown'} with offset {offset:g}"


def _missing(band: str, shape: tuple[int, ...]) -> np.ndarray:
    if BANDS[band].kind == "classes":
        return np.zeros(shape, np.uint8)
    return np.full(shape, np.nan, np.float64)


def _groups(steps: list[Step]) -> Iterator[tuple[int, list[Step]]]:
    """Runs of steps with about `IMAGES_AT_ONCE` images, each with the number of its first step."""
    group: list[Step] = []
    first = count = 0
    for number, step in enumerate(steps):
        if group and count + len(step.dates) > IMAGES_AT_ONCE:
            yield first, group
            group, first, count = [], number, 0
        group.append(step)
        count += len(step.dates)
    if group:
        yield first, group


def _finished(tasks: dict[Future, object]) -> Iterator[Future]:
    """The tasks as they end; when the caller stops or one fails, those that have not begun never do."""
    try:
        yield from as_completed(tasks)
    finally:
        for task in tasks:
            task.cancel()
