"""Cleans windows of series so that nothing after a window has any influence on it: for context and target pairs."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from .clean import Axis, clear_steps, outlying, smoothed
from .options import CleaningOptions
from .series import Gaps


class CausalCleaner:
    """The series of some pixels of a cube, of which windows can be had cleaned.

    Whether a date is an outlier depends on the dates up to it alone, and is decided once. A window is filled and
    smoothed from its own dates and those before it, as far back as a span of LOESS and then MAX_GAP steps, never from
    what comes after; the span is that of the whole axis.
    """

    def __init__(
        self,
        values: dict[str, np.ndarray],
        mask: np.ndarray | None,
        days: np.ndarray,
        options: CleaningOptions,
        driver: np.ndarray | None = None,
    ) -> None:
        """`values`: float32 (series, steps) by variable, NaN where missing. `mask`: classes of s2_mask (series, steps),
        None for all clear. `days`: datetime64[D], rising, of the cube's whole axis. `driver`: where it is none of the
        variables. Raises `InputError` without one, and for mode seed, which looks ahead."""
        if options.mode != "robust":
            raise InputError("MODE seed looks into the future.", "Use MODE robust in CLEANING.")
        if driver is None:
            if options.driver not in values:
                raise InputError(
                    f"The variable {options.driver} is missing, by which CLEANING finds outliers.",
                    "Name another as DRIVER in CLEANING.",
                )
            driver = values[options.driver]
        self._axis = Axis(np.asarray(days, "datetime64[D]"), options)
        clear = clear_steps(mask, driver.shape, options)
        gone = outlying(np.where(clear, driver, np.nan), mask, self._axis, causal=True)
        self._kept = {
            name: np.where(clear & ~gone, each, np.float32(np.nan)) for name, each in values.items()
        }

    def window(
        self, start: int, stop: int, past: bool = True
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The steps from `start` to before `stop`: by variable values, float32 (series, steps), and whether they were
        not seen, bool. `past`: whether what was before is used too."""
        first = self._look_back(start) if past else start
        axis = self._axis.part(first, stop)
        values, filled = {}, {}
        for name, kept in self._kept.items():
            part = kept[:, first:stop]
            gaps = Gaps(~np.isfinite(part))
            values[name] = smoothed(part, axis, gaps)[:, start - first :]
            filled[name] = gaps.missing[:, start - first :]
        return values, filled

    def _look_back(self, start: int) -> int:
        axis = self._axis
        reach = axis.positions[start] - max(axis.span_days, axis.options.savgol_days)
        return max(0, int(np.searchsorted(axis.positions, reach)) - axis.options.max_gap)
