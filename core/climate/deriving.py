"""The series of a variable of a cube: as it was read, or derived from what was: each hour, or each UTC day."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..aggregation import DAY, Series, Windows, aggregated
from ..errors import InputError
from . import derived
from .sums import HOUR
from .variables import GDD_BASES, VARIABLES

FARTHEST = 3 * HOUR  # between values of which days are derived


HOURLY: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "vpd": derived.vapour_pressure_deficit,
    "rh": derived.relative_humidity,
    "wind_10": derived.wind_speed,
    "wind_100": derived.wind_speed,
}


def check_steps(name: str, step_of: Callable[[str], np.timedelta64], store: str) -> None:
    """Raises `InputError` when a variable is derived from others that `store` has too seldom; `step_of`: their step."""
    variable = VARIABLES[name]
    for need in variable.needs:
        step = step_of(need)
        if step > FARTHEST if variable.daily else step >= DAY:
            raise InputError(
                f"{variable.long_name} ({name}) is derived from hourly values; {store} has "
                f"{VARIABLES[need].long_name} every {step / HOUR:g} hours.",
                "Choose a variable that the store has, or another ERA5_SOURCE.",
            )


def series_of(
    name: str, read: dict[str, Series], every_day: Windows, min_share: float, latitude: np.ndarray
) -> Series:
    """The series of a variable from those that were `read`. Of days those of `every_day`, of which `min_share` of the
    hours must be there. `latitude`: of the rows of the cells, degrees."""
    variable = VARIABLES[name]
    if not variable.needs:
        return read[name]
    given = [read[need] for need in variable.needs]
    if not variable.daily:
        stamps, (first, second) = _together(given)
        return Series(stamps, HOURLY[name](first, second), given[0].step, given[0].ending)

    def of(need: str, how: str) -> np.ndarray:
        return aggregated(read[need], every_day, how, min_share)

    if name in GDD_BASES:
        values = derived.growing_degree_days(of("t", "min"), of("t", "max"), GDD_BASES[name])
    else:
        values = _reference_evapotranspiration(read, of, every_day, min_share, latitude)
    return Series(every_day.last.astype("datetime64[s]"), values, DAY.astype("timedelta64[s]"))


def _reference_evapotranspiration(
    read: dict[str, Series],
    of: Callable[[str, str], np.ndarray],
    every_day: Windows,
    min_share: float,
    latitude: np.ndarray,
) -> np.ndarray:
    low, high = of("t", "min"), of("t", "max")
    dew = read["dp"]
    vapour = Series(dew.stamps, derived.saturation_pressure(dew.values), dew.step, dew.ending)
    stamps, (east, north) = _together([read["east_wind_10"], read["north_wind_10"]])
    given = read["east_wind_10"]
    wind = Series(stamps, derived.wind_speed(east, north), given.step, given.ending)
    days = every_day.last
    number = (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(int) + 1
    return derived.reference_evapotranspiration(
        t_min=low,
        t_max=high,
        t_mean=(low + high) / 2,
        vapour_pressure=aggregated(vapour, every_day, "mean", min_share),
        radiation=of("sr", "sum"),
        wind_2m=derived.wind_at_2_metres(aggregated(wind, every_day, "mean", min_share)),
        pressure=of("sp", "mean"),
        day_of_year=number[:, None, None],
        latitude=latitude[None, :, None],
    )


def _together(series: list[Series]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The stamps that all have, and the values at these."""
    stamps = series[0].stamps
    for each in series[1:]:
        stamps = np.intersect1d(stamps, each.stamps)
    return stamps, [each.values[np.searchsorted(each.stamps, stamps)] for each in series]
