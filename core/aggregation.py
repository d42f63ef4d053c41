"""Values in time become values per step: which stamps a step takes, and what is made of them. Pure time and numbers.

Steps are whole UTC days (the contract's "Climate time"). A value that belongs to the interval which ends at its stamp
is taken by the stamps in (first day 00:00, day after the last 00:00], every other by those in [.., ..). No stamp is
lost between steps that follow each other, and none is counted twice.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .errors import InputError

DAY = np.timedelta64(1, "D")
WINDOWS = ("since_previous", "trailing")
NAMED = ("mean", "min", "max", "sum", "median", "std")
# The words of CF for a cell method.
CELL_METHODS = {
    "mean": "mean", "min": "minimum", "max": "maximum", "sum": "sum", "median": "median", "std": "standard_deviation"
}  # fmt: skip


@dataclass(frozen=True)
class Windows:
    """The days that each step takes: datetime64[D] (step), both inclusive."""

    first: np.ndarray
    last: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    @property
    def bounds(self) -> np.ndarray:
        """(step, 2): from the first day on up to the day after the last, datetime64[D]."""
        return np.stack([self.first, self.last + DAY], axis=1)

    @property
    def days(self) -> np.ndarray:
        """Every day from the first one that any step takes to the last; datetime64[D]."""
        return np.arange(self.first.min(), self.last.max() + DAY)


def windows_of(days: Sequence[dt.date] | np.ndarray, window: str, step_days: int) -> Windows:
    """The windows that end on `days` (which rise).

    `window`: "since_previous" takes the days after the previous date, "trailing" the last `step_days` days; the first
    step is `step_days` long in both. Raises `InputError` for other words, and for days that do not rise.
    """
    if window not in WINDOWS:
        raise InputError(f"Unknown window: {window!r}.", f"Known: {', '.join(WINDOWS)}.")
    last = np.asarray(days, dtype="datetime64[D]")
    if len(last) == 0 or np.any(np.diff(last) <= np.timedelta64(0, "D")):
        raise InputError(
            "The dates of the time axis do not rise, so no step of days can be told between them."
        )
    first = last - (step_days - 1) * DAY
    if window == "since_previous":
        first[1:] = last[:-1] + DAY
    return Windows(first, last)


def single_days(first: np.datetime64, last: np.datetime64) -> Windows:
    """A window for each day from `first` to `last`, both inclusive."""
    days = np.arange(np.datetime64(first, "D"), np.datetime64(last, "D") + DAY)
    return Windows(days, days)


def checked_aggregation(text: str) -> str:
    """The name of an aggregation in lower case: one of `NAMED`, or p and a percentage as in p95, p2.5.

    Raises `InputError`.
    """
    name = str(text).strip().lower()
    if name in NAMED:
        return name
    match = re.fullmatch(r"p(\d{1,3}(?:\.\d+)?)", name)
    if not match or float(match[1]) > 100:
        raise InputError(
            f"Unknown aggregation: {text!r}.",
            f"Known: {', '.join(NAMED)}, and percentiles such as p5 or p95.",
        )
    return f"p{float(match[1]):g}"


@dataclass(frozen=True)
class Series:
    """Values in time. `stamps`: datetime64[s] (time), rising; `values`: (time, ...), NaN missing; `step`: between
    stamps; `ending`: whether a value belongs to the interval that ends at its stamp."""

    stamps: np.ndarray
    values: np.ndarray
    step: np.timedelta64
    ending: bool = False

    def stamps_of(self, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        """Where in `stamps` each window begins, and where it has ended."""
        side = "right" if self.ending else "left"
        edges = windows.bounds.astype("datetime64[s]")
        return np.searchsorted(self.stamps, edges[:, 0], side), np.searchsorted(
            self.stamps, edges[:, 1], side
        )


def aggregated(series: Series, windows: Windows, how: str, min_share: float = 1.0) -> np.ndarray:
    """The value of each window: (step, ...) float64.

    `how`: as `checked_aggregation` gives it; std is that of the population, percentiles are interpolated linearly. NaN
    where fewer than `min_share` of the window's values are there; what is there counts as it is, also in a sum.
    """
    values = np.asarray(series.values, dtype=np.float64)
    out = np.full((len(windows), *values.shape[1:]), np.nan)
    expected = (windows.bounds[:, 1] - windows.bounds[:, 0]).astype("timedelta64[s]") / series.step
    there = np.isfinite(values)
    for number, (start, stop) in enumerate(zip(*series.stamps_of(windows), strict=True)):
        if start == stop:
            continue
        count = there[start:stop].sum(axis=0)
        enough = (count > 0) & (count >= min_share * expected[number] - 1e-9)
        if not enough.any():
            continue
        part = values[start:stop]
        if (count == stop - start).all():
            out[number] = np.where(enough, _reduced(part, how), np.nan)
        else:
            whole = np.where(there[start:stop], part, np.nan)
            out[number, ...] = np.where(enough, _reduced_of_some(whole, how, enough), np.nan)
    return out


def _reduced(values: np.ndarray, how: str) -> np.ndarray:
    if how.startswith("p"):
        return np.percentile(values, float(how[1:]), axis=0)
    if how == "median":
        return np.median(values, axis=0)
    return getattr(values, how)(axis=0)


def _reduced_of_some(values: np.ndarray, how: str, enough: np.ndarray) -> np.ndarray:
    values = np.where(enough, values, 0.0)  # nothing is made of those: no warning of empty slices
    if how == "median" or how.startswith("p"):
        return _quantile_of_some(values, 0.5 if how == "median" else float(how[1:]) / 100)
    return getattr(np, f"nan{how}")(values, axis=0)


def _quantile_of_some(values: np.ndarray, share: float) -> np.ndarray:
    """As numpy's nanquantile with its linear method, but one sort for all series instead of one call for each."""
    ordered = np.sort(values, axis=0)  # NaN last
    place = share * (np.isfinite(values).sum(axis=0) - 1)
    below = np.floor(place).astype(int)[None]
    low = np.take_along_axis(ordered, below, 0)[0]
    high = np.take_along_axis(ordered, np.minimum(below + 1, np.ceil(place).astype(int)[None]), 0)[0]
    return low + (high - low) * (place - below[0])


def cell_method(how: str) -> str:
    """CF's `cell_methods` along time; percentiles, for which CF has no word, are named in a comment."""
    return (
        f"time: {CELL_METHODS[how]}"
        if how in CELL_METHODS
        else f"time: point (percentile {how[1:]} of the step)"
    )
