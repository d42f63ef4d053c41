"""Sums that are accumulated since 00 UTC, as raw ERA5-Land has them: how they are known, and what each step adds."""

from __future__ import annotations

import numpy as np

HOUR = np.timedelta64(3600, "s")
FALL = 1e-6  # of the largest value: less is no change
SAME = 1e-3  # of a sum: less is the noise of packed numbers
LOST = 0.1  # of what is won within days


def runs_from_midnight(stamps: np.ndarray, values: np.ndarray, step: np.timedelta64 = HOUR) -> bool | None:
    """Whether sums within a day are accumulated since 00 UTC: what is there stays the same for some hours until 00 (as
    after sunset, or after rain), and is gone at the next stamp; within days hardly anything is lost (dew of an
    evaporation, the noise of packed numbers).

    None where the values do not tell.
    """
    size = np.abs(values.reshape(len(values), -1))
    least = FALL * max(np.nanmax(size, initial=0.0), 1e-12)
    change = np.diff(size, axis=0)
    change[np.isnan(change) | (np.abs(change) < least)] = 0.0
    follows = np.diff(stamps) == step
    first = (stamps[1:] - stamps[1:].astype("datetime64[D]")) == step
    within, between = change[follows & ~first], np.flatnonzero(follows & first)
    if -within[within < 0].sum() > LOST * within[within > 0].sum():
        return False
    flat = 3 if step <= 2 * HOUR else 1  # changes in a row that are none
    between = between[between >= flat]
    gone = change[between] < -size[between] / 2
    for back in range(1, flat + 1):
        before, after = size[between - back], size[between - back + 1]
        gone &= (np.abs(after - before) <= SAME * after) & (after > least)
    return True if gone.any() else None


def differences(
    stamps: np.ndarray, values: np.ndarray, step: np.timedelta64
) -> tuple[np.ndarray, np.ndarray]:
    """What was added in each step, of sums since 00 UTC, whose value at 00 is the day before's total.

    NaN where the stamp before is missing.
    """
    since = stamps - (stamps - step).astype("datetime64[D]")  # from the midnight before, up to 24 h
    made = np.full(values.shape, np.nan)
    made[1:] = values[1:] - values[:-1]
    follows = np.concatenate([[False], np.diff(stamps) == step])
    made[~follows] = np.nan
    begins = since == step
    made[begins] = values[begins]
    return stamps, made
