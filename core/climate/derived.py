"""Quantities that follow from those of a reanalysis or a station: humidity, wind, evapotranspiration, degree days.

Arrays of numpy in, arrays of float64 out. All arguments broadcast against each other as numpy does it; time, where
there is one, is axis 0, so that days of the year beside (time, y, x) have the shape (time, 1, 1). NaN in any argument
is NaN in the result. Nothing is filled in, and clipped only where it is said.

FAO-56 is Allen, Pereira, Raes and Smith (1998): Crop evapotranspiration, FAO Irrigation and Drainage Paper 56, Rome.
Its equations are in degrees Celsius, kPa and MJ; here all is SI, and converted inside. Their constants are those
printed there, to the last digit: whoever compares with another implementation finds the same numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

ZERO_CELSIUS = 273.15  # K
SOLAR_CONSTANT = 0.0820  # MJ m-2 min-1, FAO-56 eq. 21
STEFAN_BOLTZMANN = 4.903e-9  # MJ K-4 m-2 per day, FAO-56 eq. 39
ALBEDO = 0.23  # of the grass of reference, FAO-56 eq. 38
WATER_PER_ENERGY = 0.408  # mm per MJ m-2: 1 / (2.45 MJ kg-1), the latent heat of FAO-56 eq. 20
PSYCHROMETRIC = 0.665e-3  # K-1, FAO-56 eq. 8, with the same latent heat


def saturation_pressure(temperature: ArrayLike) -> np.ndarray:
    """Saturation vapour pressure over water (Pa) at `temperature` (K).

    FAO-56 eq. 11. Over water below freezing too, as the dew point of reanalyses and stations is defined.
    """
    return 1000 * _saturation_kpa(_celsius(temperature))


def relative_humidity(temperature: ArrayLike, dew_point: ArrayLike) -> np.ndarray:
    """Relative humidity over water (per cent) from temperature and dew point (K), at one and the same time.

    FAO-56 eq. 10, with the vapour pressure of eq. 14. Not clipped: more than 100 where the dew point is above the
    temperature, as rounding or interpolation make it.
    """
    return 100 * saturation_pressure(dew_point) / saturation_pressure(temperature)


def vapour_pressure_deficit(temperature: ArrayLike, dew_point: ArrayLike) -> np.ndarray:
    """Vapour pressure deficit (Pa) from temperature and dew point (K), hourly or of an instant.

    The difference e°(T) - ea in FAO-56 eq. 53, with eq. 11 and ea of eq. 14. Not of daily means: the saturation
    pressure is convex, that of a mean too low (FAO-56 eq. 12). Not clipped: negative where the dew point is above
    the temperature.
    """
    return saturation_pressure(temperature) - saturation_pressure(dew_point)


def wind_speed(east: ArrayLike, north: ArrayLike) -> np.ndarray:
    """Wind speed (m s-1) from its components towards east and north (m s-1): the length of the vector.

    Of one and the same time: means of components give the speed of the mean wind, which is less than the mean speed.
    """
    east, north = np.asarray(east, np.float64), np.asarray(north, np.float64)
    return np.sqrt(east * east + north * north)


def wind_at_2_metres(speed: ArrayLike, height: ArrayLike = 10.0) -> np.ndarray:
    """Wind speed (m s-1) 2 m above short grass, from `speed` (m s-1) at `height` (m above ground).

    FAO-56 eq. 47, the logarithmic profile over grass of 0.12 m; for heights well above the grass.
    """
    speed, height = np.asarray(speed, np.float64), np.asarray(height, np.float64)
    return speed * 4.87 / np.log(67.8 * height - 5.42)


def extraterrestrial_radiation(day_of_year: ArrayLike, latitude: ArrayLike) -> np.ndarray:
    """Solar radiation at the top of the atmosphere on a horizontal surface (J m-2 per day).

    `day_of_year`: 1 to 366; `latitude`: degrees north. FAO-56 eq. 21-25. Where the sun does not rise or not set, the
    cosine of the sunset hour angle (eq. 25) is beyond ±1 and clipped there, as is usual: exactly 0 in the polar night,
    the sun of 24 hours on the polar day.
    """
    return 1e6 * _extraterrestrial_mj(day_of_year, latitude)


def elevation_of_pressure(pressure: ArrayLike) -> np.ndarray:
    """Elevation (m) at which the atmosphere of FAO-56 has `pressure` (Pa).

    The inverse of FAO-56 eq. 7. The weather in a pressure moves it by 8 m per hPa at sea level, by more higher up.
    """
    kpa = np.asarray(pressure, np.float64) / 1000
    return (1 - (kpa / 101.3) ** (1 / 5.26)) * 293 / 0.0065


def reference_evapotranspiration(
    t_min: ArrayLike,
    t_max: ArrayLike,
    t_mean: ArrayLike,
    vapour_pressure: ArrayLike,
    radiation: ArrayLike,
    wind_2m: ArrayLike,
    pressure: ArrayLike,
    day_of_year: ArrayLike,
    latitude: ArrayLike,
) -> np.ndarray:
    """Reference evapotranspiration of grass (m of water per day) after Penman and Monteith, from values of one day.

    `t_min`, `t_max`, `t_mean`: air temperature at 2 m (K); FAO-56 takes (t_min + t_max) / 2 as the mean (eq. 9).
    `vapour_pressure`: the mean actual one (Pa). `radiation`: downward solar (J m-2 per day). `wind_2m`: mean speed at
    2 m (m s-1). `pressure`: of the air at the surface (Pa). `day_of_year`: 1 to 366; `latitude`: degrees north.

    FAO-56 eq. 6 with eq. 8 (psychrometric constant), 11 and 12 (saturation pressure: mean of those at `t_max` and
    `t_min`), 13 (its slope, at `t_mean`), 37 (clear sky, the elevation from the pressure by the inverse of eq. 7),
    38-40 (net radiation) and 42 (no flux into the soil over a day). Rs/Rso is at most 1, as eq. 39 has it; nothing
    else is clipped, so that dew and winter days of high latitudes may be below 0.

    NaN in the polar night: Rs/Rso stands for the clouds in eq. 39, and without sun it is 0/0. FAO-56 takes the ratio
    of an earlier hour for the hours of a night but has no rule for a day that is all night; any number would be a
    guess at the clouds.
    """
    coldest, warmest, mean = _celsius(t_min), _celsius(t_max), _celsius(t_mean)
    actual = np.asarray(vapour_pressure, np.float64) / 1000
    solar = np.asarray(radiation, np.float64) / 1e6
    wind = np.asarray(wind_2m, np.float64)

    top = _extraterrestrial_mj(day_of_year, latitude)
    clear_sky = (0.75 + 2e-5 * elevation_of_pressure(pressure)) * top
    net = (1 - ALBEDO) * solar - _net_longwave(coldest, warmest, actual, solar, clear_sky)

    deficit = (_saturation_kpa(warmest) + _saturation_kpa(coldest)) / 2 - actual
    slope = 4098 * _saturation_kpa(mean) / (mean + 237.3) ** 2
    gamma = PSYCHROMETRIC * np.asarray(pressure, np.float64) / 1000
    drying = gamma * 900 / (mean + 273) * wind * deficit
    millimetres = (WATER_PER_ENERGY * slope * net + drying) / (slope + gamma * (1 + 0.34 * wind))
    return millimetres / 1000


def growing_degree_days(t_min: ArrayLike, t_max: ArrayLike, base: ArrayLike) -> np.ndarray:
    """Growing degree days of single days (K day): how far (t_min + t_max) / 2 is above `base` (all K), at least 0.

    McMaster and Wilhelm (1997, doi:10.1016/S0168-1923(97)00027-0) eq. 1, method 1: the mean is compared with the base,
    not its parts. No upper threshold.
    """
    t_min, t_max = np.asarray(t_min, np.float64), np.asarray(t_max, np.float64)
    return np.maximum((t_min + t_max) / 2 - np.asarray(base, np.float64), 0)


def _celsius(temperature: ArrayLike) -> np.ndarray:
    return np.asarray(temperature, np.float64) - ZERO_CELSIUS


def _saturation_kpa(celsius: np.ndarray) -> np.ndarray:
    """FAO-56 eq. 11."""
    return 0.6108 * np.exp(17.27 * celsius / (celsius + 237.3))


def _extraterrestrial_mj(day_of_year: ArrayLike, latitude: ArrayLike) -> np.ndarray:
    """MJ m-2 per day, FAO-56 eq. 21-25."""
    phi = np.radians(np.asarray(latitude, np.float64))
    year = 2 * np.pi / 365 * np.asarray(day_of_year, np.float64)
    inverse_distance = 1 + 0.033 * np.cos(year)
    declination = 0.409 * np.sin(year - 1.39)
    sunset = np.arccos(np.clip(-np.tan(phi) * np.tan(declination), -1, 1))
    height = sunset * np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.sin(sunset)
    return 24 * 60 / np.pi * SOLAR_CONSTANT * inverse_distance * height


def _net_longwave(
    coldest: np.ndarray, warmest: np.ndarray, actual: np.ndarray, solar: np.ndarray, clear_sky: np.ndarray
) -> np.ndarray:
    """Outgoing net longwave radiation (MJ m-2 per day), FAO-56 eq. 39; NaN where there is no sun.

    Degrees Celsius, kPa and MJ m-2 per day; 273.16 is what FAO-56 adds.
    """
    relative = np.minimum(solar / np.where(clear_sky > 0, clear_sky, np.nan), 1)
    fourth_power = ((warmest + 273.16) ** 4 + (coldest + 273.16) ** 4) / 2
    return STEFAN_BOLTZMANN * fourth_power * (0.34 - 0.14 * np.sqrt(actual)) * (1.35 * relative - 0.35)
