"""What cleaning did to a cube, counted while its blocks are cleaned."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from .clean import Cleaned
from .options import CleaningOptions
from .report import SHARES, CleaningReport


class Summary:
    """Counts while blocks are cleaned, and keeps the series of a few pixels."""

    def __init__(self, options: CleaningOptions, days: np.ndarray) -> None:
        """`days`: of the time axis, (steps,) datetime64[D]."""
        self._options, self._days = options, days
        steps = len(days)
        self.removed_of_date, self.clear_of_date = np.zeros(steps, int), np.zeros(steps, int)
        self.values = self.left = self.pixels = self.long = 0
        self.gaps = np.zeros(steps + 1, int)
        self.shares = np.zeros(len(SHARES) - 1, int)
        self.curves: list[tuple[str, np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, done: Cleaned) -> None:
        """Count a block."""
        for name, values in done.values.items():
            self.removed_of_date += done.removed[name].sum(axis=0)
            self.clear_of_date += done.clear[name].sum(axis=0)
            self.values += values.size
            self.left += int(np.count_nonzero(~np.isfinite(values)))
        self.pixels += len(done.gap)
        self.long += int(np.count_nonzero(~done.sampled))
        self.gaps += np.bincount(done.gap, minlength=len(self.gaps))
        self.shares += np.histogram(done.removed_percent, SHARES)[0]

    def share_of_date(self) -> np.ndarray:
        """Outliers among the clear values of each date, NaN where none is clear."""
        known = self.clear_of_date > 0
        return np.where(known, self.removed_of_date / np.maximum(self.clear_of_date, 1), np.nan)

    def result(self) -> dict[str, float]:
        """Per cent, by the names that `report.WORDS` explains."""
        clear = int(self.clear_of_date.sum())
        return {
            "removed_percent": 100 * int(self.removed_of_date.sum()) / max(clear, 1),
            "missing_percent": 100 * (1 - clear / max(self.values, 1)),
            "left_percent": 100 * self.left / max(self.values, 1),
            "long_gap_percent": 100 * self.long / max(self.pixels, 1),
        }

    def report(self, title: str) -> CleaningReport:
        """For a page about the cube of this title."""
        return CleaningReport(
            title, asdict(self._options), self._days, self._options.driver,
            self.share_of_date(), self.shares, self.gaps, self.curves, self.result(),
        )  # fmt: skip
