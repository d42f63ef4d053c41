"""Reads the images of a plan, block by block of the time axis, and writes them into a cube.

A block is read concurrently, reduced to what the cube stores, and kept in a part store before it counts: a run
that is interrupted continues with the blocks that it lacks. The next blocks are being read meanwhile. Memory
is bounded by a few blocks, whatever the length of the axis.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .blocks import Block, PackedImages, blocks_of, reduced
from .cube.encoding import BY_KIND
from .errors import InputError, SourceError
from .estimate import bytes_to_fetch
from .fetching import Fetcher, Losses, raise_if_lost
from .partstore import PartStore
from .plan import Plan, Step
from .progress import Progress
from .sources.image_axis import ImageDate
from .sources.offset_check import OffsetCheck, OffsetStep
from .sources.sentinel2_bands import BANDS, scl_to_mask

log = logging.getLogger(__name__)

THREADS = 24  # reads wait for the network, not for the processor
BLOCK_STEPS = 16  # a divisor of the cube's chunk in time
BLOCKS_AHEAD = 2  # that are being read while one is reduced and written
CLASSES_STEP = 32  # dates whose classifications are kept together
READING_BYTES = 1_000_000_000
POLL = 0.2  # seconds between two looks at cancel


# What makes of the images of a block, and of how many of their values were clipped, the arrays to keep and what is
# to be said of them.
Reduce = Callable[[Block, PackedImages, dict[str, int]], tuple[dict[str, np.ndarray], dict[str, Any]]]


@dataclass
class Gathered:
    """What reading told beside the pixels: per step whether it has a value (`avail`) and the share of its
    pixels that is clear; the methods of resampling per band; offsets that look wrong; files that could not be
    had, or came from the fallback catalog, per step."""

    avail: np.ndarray
    clear_share: np.ndarray
    missing: list[str]
    replaced: list[str]
    methods: dict[str, set[str]]
    offset_steps: list[OffsetStep] = field(default_factory=list)


@dataclass
class _Reading:
    """A block whose images are being read."""

    block: Block
    tasks: dict[Future, tuple[dt.date, str]]
    losses: Losses
    used: dict[str, set[str]]


class Images:
    """The images of a plan, read by `fetcher`, kept in `store`."""

    def __init__(self, plan: Plan, store: PartStore, fetcher: Fetcher) -> None:
        self.plan = plan
        self._store, self._fetcher = store, fetcher
        self._classes: dict[dt.date, str] = {}  # which step of the store holds a date's classification
        # A reading thread holds about so many bytes per pixel; large grids are read by fewer at once.
        room = int(READING_BYTES / (48 * plan.grid.width * plan.grid.height))
        self._threads = max(1, min(plan.threads or THREADS, THREADS, room))
        self._lock = threading.Lock()
        self._bytes = 0.0

    # --- which dates ---------------------------------------------------------------------------

    def leave_out_cloudy(self, progress: Progress) -> None:
        """Read the scene classification of every date and drop those below MIN_CLEAR.

        Raises `InputError` when none is left.
        """
        least = self.plan.recipe.min_clear
        steps = [Step(date.day, (date,)) for step in self.plan.steps for date in step.dates]
        blocks = blocks_of(self.plan, "classes", steps, ("SCL",), CLASSES_STEP)
        shares: dict[dt.date, float] = {}
        unknown: list[dt.date] = []
        for block, info in self._recorded(blocks, ("SCL",), _judged, progress, "Looking for clouds"):
            shares |= {date.day: info["shares"][date.day.isoformat()] for date in block.dates}
            unknown += [date.day for date in block.dates if date.day.isoformat() in info["missing"]]
            self._classes |= {date.day: block.key for date in block.dates}
        kept = {day for day, share in shares.items() if 100 * share >= least}
        if not kept:
            raise InputError(
                f"No date has {least:g} % of the extent clear (MIN_CLEAR).",
                f"The clearest has {100 * max(shares.values()):.1f} %.",
            )
        log.info(
            "%d of %d dates are left out: less than %g %% of the extent is clear.",
            len(shares) - len(kept),
            len(shares),
            least,
        )
        lost = [day.isoformat() for day in unknown if day not in kept]
        if lost:
            log.warning("Left out because their scene classification cannot be had: %s", ", ".join(lost))
        self.plan = self.plan.only(kept)

    # --- the pixels ------------------------------------------------------------------------------

    def write(self, cube: Any, progress: Progress) -> Gathered:
        """Fill the variables of `cube`; returns what was learnt on the way.

        Raises `SourceError` when the files cannot be reached any more, or nothing at all could be read.
        """
        steps = self.plan.steps
        told = Gathered(
            np.zeros(len(steps), np.uint8),
            np.full(len(steps), np.nan, np.float32),
            [""] * len(steps),
            [""] * len(steps),
            {band: set() for band in self.plan.bands},
        )
        check = OffsetCheck()
        reasons: list[str] = []
        blocks = blocks_of(self.plan, "images", steps, self.plan.bands, BLOCK_STEPS)
        reduce = functools.partial(reduced, self.plan)
        for block, info in self._recorded(blocks, self.plan.bands, reduce, progress):
            part = slice(block.start, block.start + len(block.steps))
            told.avail[part] = info["avail"]
            told.clear_share[part] = np.array(info["clear_share"], float)
            for number, step in enumerate(block.steps, start=block.start):
                days = [date.day.isoformat() for date in step.dates]
                told.missing[number] = _listed(info["missing"], days)
                told.replaced[number] = _listed(info["replaced"], days)
            for band, methods in info["methods"].items():
                told.methods[band] |= set(methods)
            reasons += info["reasons"]
            self._take_over(cube, block, info, check)
        if reasons and not told.avail.any():
            raise SourceError(f"No file could be read. {reasons[0]}", "Check the catalog, or use another.")
        if self._classes:
            keys = sorted(set(self._classes.values()))
            told.methods["SCL"] = {
                name for key in keys for name in self._store.finished(key)["methods"]["SCL"]
            }
        told.offset_steps = check.steps()
        return told

    def _take_over(self, cube: Any, block: Block, info: dict[str, Any], check: OffsetCheck) -> None:
        """Write a finished block into the cube."""
        kinds = {f"offset_{number}": kind for number, kind in enumerate(info["offset_dates"])}
        arrays = self._store.arrays(block.key)
        check.merge({kind: arrays[name] for name, kind in kinds.items()}, info["offset_dates"])
        for name in [name for name in cube.variables if name in arrays]:
            cube.write_packed(name, block.start, arrays[name], info["clipped"].get(name, 0))

    # --- blocks, one after the other -------------------------------------------------------------

    def _recorded(
        self, blocks: list[Block], bands: tuple[str, ...], reduce: Reduce, progress: Progress, text: str = ""
    ) -> Iterator[tuple[Block, dict[str, Any]]]:
        """The blocks in order, with what the store has of them; what it lacks is read, reduced and recorded."""
        total = max(sum(len(block.dates) for block in blocks), 1)
        before, coming = 0, iter(blocks)
        ahead: deque[Block | _Reading] = deque()
        most = 1 + (BLOCKS_AHEAD if self._threads > 1 else 0)
        with ThreadPoolExecutor(self._threads) as pool:
            try:
                while True:
                    while sum(isinstance(each, _Reading) for each in ahead) < most:
                        block = next(coming, None)
                        if block is None:
                            break
                        info = self._store.finished(block.key)
                        whole = info is not None and not info["missing"]
                        ahead.append(block if whole else self._submit(pool, block, bands))
                    if not ahead:
                        return
                    head = ahead.popleft()
                    if isinstance(head, _Reading):
                        self._finish(head, reduce, progress, before, total, text)
                        head = head.block
                    before += len(head.dates)
                    yield head, self._store.finished(head.key)
            except BaseException:
                self._fetcher.stop()
                raise
            finally:
                for each in ahead:
                    for task in each.tasks if isinstance(each, _Reading) else ():
                        task.cancel()

    # --- reading ---------------------------------------------------------------------------------

    def _submit(self, pool: ThreadPoolExecutor, block: Block, bands: tuple[str, ...]) -> _Reading:
        losses, used = Losses(), {band: set() for band in bands}
        tasks = {
            pool.submit(self._read, date, band, losses, used[band]): (date.day, band)
            for date in block.dates
            for band in bands
        }
        return _Reading(block, tasks, losses, used)

    def _read(self, date: ImageDate, band: str, losses: Losses, used: set[str]) -> Any:
        """The packed image of a date's band and how many values were clipped."""
        kept = self._classes.get(date.day) if band == "SCL" else None
        if kept is not None:
            return self._store.arrays(kept, date.day.isoformat())[date.day.isoformat()], 0
        packed = BY_KIND[BANDS[band].kind].pack(self._fetcher.read(date, band, losses, used))
        with self._lock:
            self._bytes += sum(
                bytes_to_fetch(scene.files[band], self.plan.grid)
                for scene in date.scenes
                if band in scene.files
            )
        return packed

    def _finished(
        self, reading: _Reading, progress: Progress, before: int, total: int, text: str
    ) -> Iterator[tuple[dt.date, str, np.ndarray]]:
        """The images of a block as they come; cancels what has not begun when the caller stops or one fails."""
        waiting, n_bands, count = set(reading.tasks), len(reading.used), 0
        dates = reading.block.dates
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=POLL, return_when=FIRST_COMPLETED)
                for task in done:
                    count += 1
                    day, band = reading.tasks[task]
                    stored, _ = task.result()
                    yield day, band, stored
                month = dates[min(count // n_bands, len(dates) - 1)].day
                words = f"{text or format(month, '%Y-%m')}: {before + count // n_bands} of {total} dates"
                progress.update((before + count / n_bands) / total, f"{words}, {self._bytes / 1e6:.0f} MB")
        finally:
            for task in waiting:
                task.cancel()

    def _finish(
        self, reading: _Reading, reduce: Reduce, progress: Progress, before: int, total: int, text: str
    ) -> None:
        """Wait for the images of a block, reduce them, and record what they have become."""
        images = {}
        for day, band, stored in self._finished(reading, progress, before, total, text):
            images[day, band] = stored
        raise_if_lost(reading.losses)
        clipped = dict.fromkeys(reading.used, 0)
        for task, (_, band) in reading.tasks.items():
            clipped[band] += task.result()[1]
        reading.tasks.clear()  # and with them a second hold on every image
        arrays, info = reduce(reading.block, images, clipped)
        info |= {
            "missing": reading.losses.by_day,
            "replaced": reading.losses.replaced,
            "reasons": reading.losses.reasons[:1],
            "methods": {band: sorted(methods) for band, methods in reading.used.items()},
        }
        self._store.record(reading.block.key, arrays, info)


def _judged(
    block: Block, images: PackedImages, clipped: dict[str, int]
) -> tuple[dict[str, np.ndarray], dict]:
    """Classifications by day, as they are, and the share of each that is clear."""
    arrays = {day.isoformat(): classes for (day, _), classes in images.items()}
    return arrays, {"shares": {day: float((scl_to_mask(a) == 0).mean()) for day, a in arrays.items()}}


def _listed(by_day: dict[str, list[str]], days: list[str]) -> str:
    return "; ".join(sorted(text for day in days for text in by_day.get(day, [])))
