"""How green each class of land cover is on a date: seasons, harvests, years and drought."""

from __future__ import annotations

import numpy as np

from . import site
from .climate import Ground, day_of_year
from .landscape import BARE, BUILT_UP, CLASSES, CONIFEROUS, CROP, DECIDUOUS, MEADOW, PARCELS, SHRUB, Landscape

# Green cover in winter and in summer, day of half green-up and of half senescence, and their slopes.
_SEASONS = {
    CONIFEROUS: (0.78, 0.92, 122, 285, 0.06, 0.05),
    DECIDUOUS: (0.08, 0.95, 118, 291, 0.13, 0.09),
    SHRUB: (0.20, 0.88, 108, 295, 0.11, 0.07),
    MEADOW: (0.42, 0.90, 88, 312, 0.09, 0.05),
    BUILT_UP: (0.12, 0.26, 95, 305, 0.08, 0.05),
    BARE: (0.02, 0.08, 120, 285, 0.10, 0.08),
}
# Winter wheat, maize and sown grass, which follow each other on a field from year to year.
_ROTATION = (
    (0.15, 0.93, 86, 192, 0.09, 0.14),
    (0.03, 0.93, 166, 268, 0.13, 0.11),
    (0.38, 0.90, 90, 305, 0.09, 0.06),
)
# Share of the green that a full drought takes, by class.
_DROUGHT = np.array([0.09, 0.38, 0.30, 0.55, 0.40, 0.35, 0.2, 0.0], np.float32)
# Springs came early in 2020, late in 2021: days.
_SPRING = {2020: -6, 2021: 8, 2022: -2}


def double_logistic(day, low, high, spring, autumn, rise, fall):
    """Green cover over the day of the year (Beck et al. 2006, doi:10.1016/j.rse.2005.10.021, eq. 3).

    `low`, `high`: winter and summer level; `spring`, `autumn`: days of the steepest change; `rise`,
    `fall`: slopes per day.
    """
    up = 1 / (1 + np.exp(-rise * (day - spring)))
    down = 1 / (1 + np.exp(fall * (day - autumn)))
    return low + (high - low) * (up + down - 1)


def green_share(landscape: Landscape, ground: Ground, date: np.datetime64) -> np.ndarray:
    """Green share of each class and pixel on a date: (class, row, column), 0 to 1, float32."""
    year = int(str(date)[:4])
    rng = np.random.default_rng([site.SEED, 3])
    offset = rng.normal(0, 5, PARCELS).astype(np.float32)
    start = rng.integers(0, 3, PARCELS)
    first_cut = rng.normal(140, 9, PARCELS).astype(np.float32)

    # Spring comes about 3 days later per 100 m (Hopkins 1920).
    doy = np.float32(day_of_year(date))
    day = doy - _SPRING[year] - 0.03 * (landscape.elevation - 850)
    field_day = day - offset[landscape.parcel]
    share = np.zeros((len(CLASSES), *day.shape), np.float32)
    for kind, season in _SEASONS.items():
        share[kind] = double_logistic(field_day if kind == MEADOW else day, *season)
    crop = (start[landscape.parcel] + year) % len(_ROTATION)
    for number, season in enumerate(_ROTATION):
        share[CROP] = np.where(crop == number, double_logistic(field_day, *season), share[CROP])

    # Meadows are mown every 45 days or so and grow back within a few weeks.
    since = (doy - first_cut[landscape.parcel]) % 45
    mown = (doy > first_cut[landscape.parcel]) & (doy < 285)
    share[MEADOW] *= 1 - 0.38 * mown * np.exp(-since / 11)

    # Between November and March a drought takes no green: nothing transpires.
    thirst = float(ground.stress[ground.index(date)]) * (90 < doy < 310)
    return share * (1 - _DROUGHT[:, None, None] * thirst * (0.4 + 1.2 * landscape.shallow).clip(0, 1.3))
