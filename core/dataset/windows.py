"""Windows of a time axis: where contexts begin. Pure time."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ..errors import InputError
from .parameters import ExportParameters, periods_of, season_of

DAY = np.timedelta64(1, "D")


def window_starts(days: np.ndarray, parameters: ExportParameters, name: str) -> tuple[np.ndarray, Counter]:
    """The first steps of the contexts of all windows of an axis that the parameters want: (window,) int32, rising.

    `days`: (time,) datetime64[D], rising. A window is `context` steps, `target` steps and the `shift` steps that the
    weather is moved by, all on the axis. Windows count from the axis's first step by `stride`; the counter says how
    many were left out and why. `name` is that of the cube, for messages. Raises `InputError` when the axis is
    shorter than one window.
    """
    p = parameters
    length = p.length + p.shift
    if length > len(days):
        shifted = f" + {p.shift} of SHIFT" if p.shift else ""
        raise InputError(
            f"A window of {p.context} + {p.target}{shifted} steps is longer than the {len(days)} dates of {name}.",
            "Choose a smaller CONTEXT or TARGET, or cubes of a longer period.",
        )
    starts = np.arange(0, len(days) - length + 1, p.stride, dtype=np.int32)
    dropped: Counter = Counter()
    for reason, keep in (
        ("season", in_season(days[starts + p.context], p.season)),
        ("step longer than max_step_days", ~has_long_step(days, starts, length, p.max_step_days)),
        ("excluded dates", ~touches(days, starts, length, p.exclude)),
    ):
        kept = keep & (starts >= 0)
        dropped[reason] += int(np.count_nonzero((starts >= 0) & ~keep))
        starts = np.where(kept, starts, -1)
    return starts[starts >= 0].astype(np.int32), +dropped


def in_season(days: np.ndarray, season: str) -> np.ndarray:
    """Whether days lie in a season "MM-DD/MM-DD", end exclusive: bool, as `days`."""
    limits = season_of(season)
    if limits is None:
        return np.ones(len(days), bool)
    months = days.astype("datetime64[M]")
    number = (months.astype(int) % 12 + 1) * 100 + (days - months.astype("datetime64[D]")).astype(int) + 1
    first, last = limits
    if first < last:
        return (number >= first) & (number < last)
    return (number >= first) | (number < last)


def has_long_step(days: np.ndarray, starts: np.ndarray, length: int, longest: int) -> np.ndarray:
    """Whether two dates of a window that follow each other are more than `longest` days apart: (window,) bool."""
    if not longest:
        return np.zeros(len(starts), bool)
    before = np.concatenate(
        [[0, 0], np.cumsum(np.diff(days) > longest * DAY)]
    )  # of the steps up to each date
    return before[starts + length] > before[starts + 1]


def touches(days: np.ndarray, starts: np.ndarray, length: int, exclude: str) -> np.ndarray:
    """Whether a date of a window lies in a period to leave out: (window,) bool."""
    inside = np.zeros(len(days), bool)
    for first, last in periods_of(exclude):
        inside |= (days >= first) & (days <= last)
    count = np.concatenate([[0], np.cumsum(inside)])
    return count[starts + length] > count[starts]


def typical_step(days: np.ndarray) -> tuple[int, bool]:
    """The median step of an axis in days, and whether all steps are equal; (0, True) of a single date."""
    steps = np.diff(days).astype(int)
    if not len(steps):
        return 0, True
    return int(np.median(steps)), bool((steps == steps[0]).all())
