"""Looks for reflectance whose offset was applied twice or not at all, by what it would do to dark pixels.

Since processing baseline 04.00 digital numbers are raised by 1000, that is 0.1 of reflectance. Dark ground (water,
forest) changes far less from year to year; where it jumps by about that much from one kind of item to
another, a catalog has told something wrong of one of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STEP = 0.1  # 1000 DN
TOLERANCE = 0.04  # what seasons and haze may add to or take from the step
DARKEST = 0.1  # the share of pixels that counts as dark
LEAST_DATES = 3  # of a kind; fewer may all be cloudy


@dataclass(frozen=True)
class OffsetStep:
    """`low`, `high`: kinds of items, between which dark pixels rise by `step` (reflectance)."""

    low: str
    high: str
    step: float

    def __str__(self) -> str:
        return f"dark pixels rise by {self.step:.2f} from {self.low} to {self.high}"


class OffsetCheck:
    """Gathers the darkest clear values of each pixel, per kind of item (its baseline and its offset), in one band.

    Memory is one map (y, x) of float32 per kind.
    """

    def __init__(self) -> None:
        self._minimum: dict[str, np.ndarray] = {}
        self._dates: dict[str, int] = {}

    def add(self, kind: str, reflectance: np.ndarray, clear: np.ndarray | None) -> None:
        """One date: `reflectance` (y, x) with NaN; `clear` (y, x) bool, None where nothing tells."""
        seen = reflectance if clear is None else np.where(clear, reflectance, np.nan)
        if np.isnan(seen).all():
            return
        self.merge({kind: seen.astype(np.float32)}, {kind: 1})

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, int]]:
        """The maps and the numbers of dates per kind, for `merge` of another check."""
        return self._minimum, self._dates

    def merge(self, minimum: dict[str, np.ndarray], dates: dict[str, int]) -> None:
        """Take in what another check has gathered."""
        for kind, seen in minimum.items():
            before = self._minimum.get(kind)
            self._minimum[kind] = seen if before is None else np.fmin(before, seen)
            self._dates[kind] = self._dates.get(kind, 0) + dates[kind]

    def steps(self) -> list[OffsetStep]:
        """The kinds between which dark pixels jump by the offset; the kind with most dates is compared with the
        others."""
        kinds = [kind for kind, dates in self._dates.items() if dates >= LEAST_DATES]
        if len(kinds) < 2:
            return []
        base = max(kinds, key=lambda kind: (self._dates[kind], kind))
        found = []
        for kind in sorted(kinds):
            step = self._step(self._minimum[base], self._minimum[kind]) if kind != base else None
            if step is not None and abs(abs(step) - STEP) <= TOLERANCE:
                low, high = (base, kind) if step > 0 else (kind, base)
                found.append(OffsetStep(low, high, abs(step)))
        return found

    @staticmethod
    def _step(one: np.ndarray, other: np.ndarray) -> float | None:
        """The median rise of the pixels that are dark in both together; None where they share no pixel."""
        both = np.isfinite(one) & np.isfinite(other)
        if not both.any():
            return None
        mean, rise = (one[both] + other[both]) / 2, other[both] - one[both]
        return float(np.median(rise[mean <= np.quantile(mean, DARKEST)]))
