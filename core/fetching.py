"""Reads the files of a plan and does not give up easily: asks again, asks the fallback catalog, counts what is lost.

What cannot be had is missing, named in the log, and listed for the cube; when nearly nothing can be had any more
the network is lost, and the run ends instead of filling a cube with holes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .catalogs.access import Access
from .errors import Cancelled, SourceError
from .grid import Grid
from .loading import read_band
from .sources.image_axis import ImageDate
from .sources.sentinel2 import BandFile, Scene
from .sources.sentinel2_bands import BANDS

log = logging.getLogger(__name__)

ATTEMPTS = 5  # of which each asks again after 429 and 5xx by itself
PAUSE = 0.5  # seconds before the second attempt, twice as long before each further one


@dataclass
class Losses:
    """What could not be read: "BAND of ITEM" per date; and what the fallback catalog gave instead (`replaced`).
    `passing`: how many of the lost might be had another time; `tried`: of how many files."""

    by_day: dict[str, list[str]] = field(default_factory=dict)
    replaced: dict[str, list[str]] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    passing: int = 0
    tried: int = 0


class Fetcher:
    """Reads bands of dates onto one grid. Thread-safe.

    `twin`: finds the file of a scene's band in the fallback catalog, and how it is reached; None without one.
    `must_have`: a file that cannot be had ends the run.
    """

    def __init__(
        self,
        grid: Grid,
        access: Access,
        resampling: dict[str, str],
        twin: Callable[[Scene, str], tuple[BandFile, Access] | None],
        must_have: bool,
    ) -> None:
        self._grid, self._access, self._resampling = grid, access, resampling
        self._twin, self._must_have = twin, must_have
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Let those that still read, or wait to read again, give up."""
        self._stopped.set()

    def read(self, date: ImageDate, band: str, losses: Losses, used: set[str]) -> np.ndarray:
        """One band of one date: (y, x), float64 values with NaN so that no rounding happens before packing, or uint8
        classes with 0 for missing. Of several scenes the first valid value wins, in the order of the date.

        What cannot be read goes into `losses`. `used` gains the methods of resampling.
        """
        classes = BANDS[band].kind == "classes"
        result = np.zeros(self._grid.shape, np.uint8) if classes else np.full(self._grid.shape, np.nan)
        for scene in date.scenes:
            if band not in scene.files:
                continue
            found = self._read_file(scene, band, date, losses, used)
            if found is None:
                continue
            pixels, file = found
            values = pixels if classes else pixels.astype(np.float64) * file.scale + file.offset
            holes = result == 0 if classes else np.isnan(result)
            np.copyto(result, values, where=holes)
            if not (np.any(result == 0) if classes else np.any(np.isnan(result))):
                break
        return result

    def _read_file(
        self, scene: Scene, band: str, date: ImageDate, losses: Losses, used: set[str]
    ) -> tuple[np.ndarray, BandFile] | None:
        with self._lock:
            losses.tried += 1
        try:
            return self._patiently(scene.files[band], self._access, band, used), scene.files[band]
        except SourceError as error:
            problem = error
        twin = self._other(scene, band)
        if twin is not None:
            try:
                pixels = self._patiently(*twin, band, used)
                log.warning("%s Taken from the fallback catalog.", problem.message)
                with self._lock:
                    losses.replaced.setdefault(date.day.isoformat(), []).append(f"{band} of {scene.id}")
                return pixels, twin[0]
            except SourceError as error:
                log.warning("Nor from the fallback catalog: %s", error.message)
        if self._must_have:
            raise problem
        log.warning("Missing: %s of %s, %s", band, scene.id, problem.message)
        with self._lock:
            losses.by_day.setdefault(date.day.isoformat(), []).append(f"{band} of {scene.id}")
            losses.reasons.append(problem.message)
            losses.passing += not problem.lasting
        return None

    def _other(self, scene: Scene, band: str) -> tuple[BandFile, Access] | None:
        with self._lock:  # the first that needs it searches the fallback catalog, the others wait
            return self._twin(scene, band)

    def _patiently(self, file: BandFile, access: Access, band: str, used: set[str]) -> np.ndarray:
        for attempt in range(ATTEMPTS):
            if self._stopped.is_set():
                raise Cancelled()
            try:
                classes = BANDS[band].kind == "classes"
                return read_band(file, self._grid, classes, self._resampling.get(band), access, used)
            except SourceError as error:
                if attempt == ATTEMPTS - 1 or error.lasting:
                    raise
                log.info("%s It is read again.", error.message)
                self._stopped.wait(PAUSE * 2**attempt)
        raise AssertionError("unreachable")


def raise_if_lost(losses: Losses) -> None:
    """Raises `SourceError` when more than half of the files of a block could not be had for the moment."""
    if losses.passing * 2 > losses.tried:
        raise SourceError(
            f"The files cannot be reached any more. {losses.reasons[0]}",
            "Run it again when the network is back: it continues where it was.",
        )
