"""Which clear dates of a pixel are no sight of the ground: far below what is usual at that time of the year.

The rule is the contract's: the residual of a driver, such as NDVI, from the median of the clear values near that day of
the year, in units of 1.4826 median absolute deviations (Rousseeuw and Croux 1993, JASA 88, 1273); the lowest go.
"""

from __future__ import annotations

import numpy as np

CONSISTENT = 1.4826  # makes the median absolute deviation a standard deviation where values are normal
YEAR = 365
TO_NUMBER = 1e-9  # a share of a number of dates is rounded down, but 0.29 x 100 is 29


def day_of_year(days: np.ndarray) -> np.ndarray:
    """1 to 366 of dates, datetime64[D]."""
    return (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(int) + 1


def residuals(
    driver: np.ndarray,
    days: np.ndarray,
    window_days: int,
    min_group: int,
    permitted: np.ndarray | None = None,
    causal: bool = False,
) -> np.ndarray:
    """How unusual each clear value is, in standard deviations; (series, steps) float64, NaN where it is not clear.

    `driver`: (series, steps), NaN where not clear. `days`: datetime64[D], rising. `permitted`: from which steps the
    usual course is taken, all by default. `causal`: from those up to the step itself alone. A window of
    `window_days` on either side is doubled until it holds `min_group` values, or the year. Where the deviation is 0
    nothing is unusual: 0.
    """
    day = day_of_year(days)
    permitted = np.ones(len(days), bool) if permitted is None else permitted
    out = np.full(driver.shape, np.nan)
    if causal:
        groups = [(np.array([step]), step + 1) for step in range(len(days))]
    else:
        groups = [(np.nonzero(day == each)[0], len(days)) for each in np.unique(day)]
    for steps, until in groups:
        series = np.nonzero(np.isfinite(driver[:, steps]).any(axis=1))[0]
        window = window_days
        while series.size:
            apart = np.abs(day[:until] - day[steps[0]])
            near = np.nonzero((np.minimum(apart, YEAR - apart) <= window) & permitted[:until])[0]
            group = driver[series[:, None], near[None, :]] if len(series) < len(driver) else driver[:, near]
            count = np.isfinite(group).sum(axis=1)
            enough = (count >= min_group) | (window > YEAR // 2)
            if enough.all():
                out[series[:, None], steps] = _standardised(driver[series[:, None], steps], group, count)
                break
            chosen = series[enough]
            if chosen.size:
                value = driver[chosen[:, None], steps]
                out[chosen[:, None], steps] = _standardised(value, group[enough], count[enough])
            series = series[~enough]
            window *= 2
    return out


def _standardised(values: np.ndarray, group: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Residuals of values (series, steps) from the median of their group (series, members with NaN)."""
    middle = _median(group, count)[:, None]
    spread = CONSISTENT * _median(np.abs(group - middle), count)[:, None]
    away = values - middle
    return np.where(
        spread > 0, away / np.where(spread > 0, spread, 1), np.where(np.isfinite(away), 0.0, np.nan)
    )


def _median(group: np.ndarray, count: np.ndarray) -> np.ndarray:
    """The median of the values of each row that are there; 0 of none. `group` is float; float64 comes back."""
    ordered = np.sort(group, axis=1)  # NaN comes last
    rows = np.arange(len(group))
    if not group.shape[1]:
        return np.zeros(len(group))
    low = ordered[rows, np.maximum(count - 1, 0) // 2].astype(float)
    high = ordered[rows, np.minimum(count // 2, group.shape[1] - 1)].astype(float)
    return np.where(count > 0, (low + high) / 2, 0.0)


def removed(unusual: np.ndarray, fraction: float) -> np.ndarray:
    """Which steps go: the floor(`fraction` x N) lowest of the negative residuals of each series, N its clear steps;
    of equal ones the earlier. `unusual`: as of `residuals`. (series, steps) bool."""
    clear = np.isfinite(unusual)
    quota = np.floor(fraction * clear.sum(axis=1) + TO_NUMBER).astype(int)
    negative = np.where(clear & (unusual < 0), unusual, np.inf)
    order = np.argsort(negative, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(order.shape[1]), order.shape), axis=1)
    return (rank < quota[:, None]) & np.isfinite(negative)


def removed_causally(unusual: np.ndarray, fraction: float) -> np.ndarray:
    """As `removed`, but each step is decided when it comes, by the steps up to it alone, and stays decided: it goes
    where it is negative and among the floor(`fraction` x n) lowest of the n clear steps so far."""
    clear = np.isfinite(unusual)
    quota = np.floor(fraction * np.cumsum(clear, axis=1) + TO_NUMBER)
    negative = np.where(clear & (unusual < 0), unusual, np.inf)
    out = np.zeros(unusual.shape, bool)
    for step in range(unusual.shape[1]):
        own = negative[:, step : step + 1]
        lower = (negative[:, :step] <= own).sum(axis=1)
        out[:, step] = np.isfinite(own[:, 0]) & (lower < quota[:, step])
    return out
