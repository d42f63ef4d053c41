"""What is missing in series, and straight lines over it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Gaps:
    """Where series have no value: `missing` (series, steps) bool. Variables that miss the same share one of these."""

    missing: np.ndarray

    @cached_property
    def before(self) -> np.ndarray:
        """The last step at or before each that has a value, -1 where there is none; (series, steps)."""
        steps = np.arange(self.missing.shape[1], dtype=np.int32)
        return np.maximum.accumulate(np.where(self.missing, np.int32(-1), steps), axis=1)

    @cached_property
    def after(self) -> np.ndarray:
        """The next step at or after each that has a value, the number of steps where there is none."""
        size = np.int32(self.missing.shape[1])
        steps = np.arange(size, dtype=np.int32)
        return np.minimum.accumulate(np.where(self.missing, size, steps)[:, ::-1], axis=1)[:, ::-1]

    @cached_property
    def longest(self) -> np.ndarray:
        """The most steps in a row without a value, those at the ends included; (series,)."""
        steps = np.arange(self.missing.shape[1], dtype=np.int32)
        return np.max(np.where(self.missing, steps - self.before, 0), axis=1, initial=0)

    def reachable(self, longest: int, beyond: int) -> np.ndarray:
        """What is missing and may be filled: in gaps between values of at most `longest` steps, and at most `beyond`
        steps before the first and after the last value; (series, steps) bool."""
        size = self.missing.shape[1]
        steps = np.arange(size, dtype=np.int32)
        started, goes_on = self.before >= 0, self.after < size
        inner = self.after - self.before - 1 <= longest
        if longest >= size and beyond >= size:
            return self.missing & (started | goes_on)
        ends = np.where(started, steps - self.before, self.after - steps) <= beyond
        return self.missing & np.where(started & goes_on, inner, ends & (started | goes_on))


def filled_linearly(
    values: np.ndarray, positions: np.ndarray, gaps: Gaps, longest: int, beyond: int
) -> np.ndarray:
    """Straight lines over the gaps of series (series, steps), in the unit of `positions` (steps,); float64.

    Gaps of more than `longest` steps stay missing (NaN). Before the first and after the last value that value is held
    for at most `beyond` steps. What is there stays as it is; what is filled is numpy's `interp` to the last bit.
    """
    out = values.astype(float)
    size = values.shape[1]
    place = np.flatnonzero(gaps.reachable(longest, beyond))
    left, right = gaps.before.ravel()[place], gaps.after.ravel()[place]
    left, right = np.where(left < 0, right, left), np.where(right == size, left, right)
    row, step = np.divmod(place, size)
    span = positions[right] - positions[left]
    flat = out.reshape(-1)
    low = flat[row * size + left]
    slope = np.divide(flat[row * size + right] - low, span, out=np.zeros(len(place)), where=span > 0)
    flat[place] = slope * (positions[step] - positions[left]) + low
    return out
