"""The steps of forest_drought_forecasting, for who wants its numbers: a share of every ISO week goes, per variable.

They remove far more than the share that they are given, since a small group always loses its smallest value.
"""

from __future__ import annotations

import numpy as np


def iso_week(days: np.ndarray) -> np.ndarray:
    """The ISO 8601 week, 1 to 53, of dates, datetime64[D]."""
    number = days.astype("datetime64[D]").astype(int)  # of days since 1970-01-01, a Thursday
    thursday = number - (number + 3) % 7 + 3
    year = thursday.astype("datetime64[D]").astype("datetime64[Y]").astype("datetime64[D]").astype(int)
    return (thursday - year) // 7 + 1


def lowest_of_weeks(values: np.ndarray, days: np.ndarray, fraction: float) -> np.ndarray:
    """Which values lie below the quantile `fraction` of their week of the year: (series, steps) bool.

    `values`: (series, steps), NaN where missing; a linear quantile (Hyndman and Fan 1996, definition 7), computed in
    the type of the values, as numpy does.
    """
    weeks = iso_week(days)
    out = np.zeros(values.shape, bool)
    for week in np.unique(weeks):
        steps = np.nonzero(weeks == week)[0]
        group = values[:, steps]
        ordered = np.sort(group, axis=1)  # NaN comes last
        count = np.isfinite(group).sum(axis=1)
        place = fraction * np.maximum(count - 1, 0)
        low = np.floor(place).astype(int)
        high = np.minimum(low + 1, np.maximum(count - 1, 0))
        rows = np.arange(len(group))
        below, above = ordered[rows, low], ordered[rows, high]
        share = (place - low).astype(values.dtype)
        step = above - below
        quantile = np.where(share >= 0.5, above - step * (1 - share), below + step * share)
        out[:, steps] = np.isfinite(group) & ~(group >= quantile[:, None])
    return out
