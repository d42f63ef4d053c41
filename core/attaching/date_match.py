"""Which raster each step of a cube takes, by their dates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError

MATCHES = ("exact", "nearest", "last")


@dataclass(frozen=True)
class Match:
    """How steps find their rasters: `how` is one of `MATCHES`. `tolerance`: for nearest and last the days that may lie
    between, 0 for any number."""

    how: str = "exact"
    tolerance: int = 0

    def __post_init__(self) -> None:
        if self.how not in MATCHES:
            raise InputError(f"DATE_MATCH cannot be {self.how!r}.", f"Known: {', '.join(MATCHES)}.")
        if self.tolerance < 0:
            raise InputError(f"DATE_TOLERANCE is less than 0: {self.tolerance}.", "0 is any number of days.")

    def __str__(self) -> str:
        if self.how == "exact":
            return "rasters of the same date"
        where = "the nearest raster" if self.how == "nearest" else "the last raster on or before the date"
        days = f"{self.tolerance} day{'s' if self.tolerance != 1 else ''}"
        return f"{where}, at most {days} away" if self.tolerance else where

    def places(self, days: np.ndarray, dates: np.ndarray) -> np.ndarray:
        """For each of `days` the place of its date in `dates` (rising), -1 without one: (time,) int. Both
        datetime64[D]. Of two dates equally near the earlier one is taken, which was known by then."""
        before = np.searchsorted(dates, days, side="right") - 1
        chosen = before.copy()
        if self.how == "nearest":
            after = np.minimum(before + 1, len(dates) - 1)
            to_before, to_after = days - dates[np.maximum(before, 0)], dates[after] - days
            nearer = (before < 0) | ((to_after >= np.timedelta64(0, "D")) & (to_after < to_before))
            chosen = np.where(nearer, after, before)
        away = np.abs(days - dates[np.maximum(chosen, 0)]).astype(int)
        most = 0 if self.how == "exact" else self.tolerance or np.iinfo(int).max
        return np.where((chosen >= 0) & (away <= most), chosen, -1)


def chosen_dates(name: str, dates: np.ndarray, days: np.ndarray, match: Match) -> np.ndarray:
    """For each of the cube's `days` the date of its raster, NaT without one: (time,) datetime64[D].

    `dates`: those of the rasters of the variable `name`, rising. Raises `InputError` when no step has one.
    """
    places = match.places(days, dates)
    if np.all(places < 0):
        raise InputError(
            f"No raster of {name} fits a date of the cube ({match}): they are of {period_of(dates)}, the cube is of "
            f"{period_of(days)}.",
            "Choose nearest or last for DATE_MATCH, or another DATE_TOLERANCE.",
        )
    return np.where(places < 0, np.datetime64("NaT", "D"), dates[np.maximum(places, 0)])


def period_of(days: np.ndarray) -> str:
    """The first and the last of rising days, in words."""
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"
