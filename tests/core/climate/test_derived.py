"""Derived quantities against the printed examples of FAO-56, and what holds for all weather."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from minicuber.core.climate.derived import (
    elevation_of_pressure,
    extraterrestrial_radiation,
    growing_degree_days,
    reference_evapotranspiration,
    relative_humidity,
    saturation_pressure,
    vapour_pressure_deficit,
    wind_at_2_metres,
    wind_speed,
)

ZERO = 273.15
MIDDLES = np.cumsum([15, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30])  # day 15 of each month
# FAO-56, example 18: Uccle (Brussels), 6 July, 100 m above the sea. P = 100.1 kPa, ea = 1.409 kPa.
UCCLE = {
    "t_min": ZERO + 12.3,
    "t_max": ZERO + 21.5,
    "t_mean": ZERO + 16.9,
    "vapour_pressure": 1409.0,
    "radiation": 22.07e6,
    "wind_2m": 2.078,
    "pressure": 100100.0,
    "day_of_year": 187,
    "latitude": 50.8,
}
CALLS = {
    saturation_pressure: {"temperature": 290.0},
    relative_humidity: {"temperature": 290.0, "dew_point": 280.0},
    vapour_pressure_deficit: {"temperature": 290.0, "dew_point": 280.0},
    wind_speed: {"east": 3.0, "north": -4.0},
    wind_at_2_metres: {"speed": 3.0, "height": 10.0},
    extraterrestrial_radiation: {"day_of_year": 187, "latitude": 50.8},
    elevation_of_pressure: {"pressure": 100100.0},
    reference_evapotranspiration: UCCLE,
    growing_degree_days: {"t_min": 280.0, "t_max": 290.0, "base": 278.15},
}
ARGUMENTS = [(function, name) for function, call in CALLS.items() for name in call]

temperatures = st.floats(ZERO - 60, ZERO + 55)


def uccle(**changes) -> np.ndarray:
    return reference_evapotranspiration(**{**UCCLE, **changes})


# --- what FAO-56 prints -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("celsius", "kpa"), [(24.5, 3.075), (15.0, 1.705)])  # example 3
def test_saturation_pressure_of_the_printed_example(celsius, kpa):
    assert saturation_pressure(ZERO + celsius) == pytest.approx(1000 * kpa, abs=0.5)


def test_humidity_and_deficit_of_the_printed_pressures():
    """Example 3 once more: air of 24.5 °C whose dew point is 15 °C."""
    assert relative_humidity(ZERO + 24.5, ZERO + 15) == pytest.approx(100 * 1.705 / 3.075, abs=0.03)
    assert vapour_pressure_deficit(ZERO + 24.5, ZERO + 15) == pytest.approx(3075 - 1705, abs=1)


def test_elevation_of_the_printed_pressure():
    """Example 2: 81.8 kPa at 1800 m; the last digit is 5 m. And 101.3 kPa is the sea."""
    assert elevation_of_pressure(81800) == pytest.approx(1800, abs=6)
    assert elevation_of_pressure(101300) == pytest.approx(0, abs=1e-9)


def test_extraterrestrial_radiation_of_the_printed_example():
    """Example 8: 20° S on 3 September. Example 18: Uccle on 6 July."""
    assert extraterrestrial_radiation(246, -20) == pytest.approx(32.2e6, abs=0.05e6)
    assert extraterrestrial_radiation(187, 50.8) == pytest.approx(41.09e6, abs=0.01e6)


@pytest.mark.parametrize(
    ("latitude", "printed"),
    [
        (70, [0.0, 2.6, 10.4, 23.0, 35.2, 42.5, 39.4, 28.0, 14.9, 4.9, 0.1, 0.0]),
        (0, [36.2, 37.5, 37.9, 36.8, 34.8, 33.4, 33.9, 35.7, 37.2, 37.4, 36.3, 35.6]),
    ],
)
def test_extraterrestrial_radiation_of_the_printed_table(latitude, printed):
    """Annex 2, table 2.6, with polar day and polar night."""
    assert extraterrestrial_radiation(MIDDLES, latitude) / 1e6 == pytest.approx(printed, abs=0.15)


def test_wind_of_the_printed_examples():
    """Example 14: 3.2 m/s at 10 m. Example 18: 10 km/h."""
    assert wind_at_2_metres(3.2) == pytest.approx(2.4, abs=0.05)
    assert wind_at_2_metres(10 / 3.6) == pytest.approx(2.078, abs=0.001)
    assert wind_at_2_metres(3.0, 2.0) == pytest.approx(3.0, rel=1e-3)


def test_evapotranspiration_of_the_printed_example():
    """Example 18: 3.88, rounded to 3.9 mm a day."""
    assert uccle() == pytest.approx(3.88e-3, abs=0.005e-3)


def test_evapotranspiration_of_the_printed_measurements():
    """Example 18 from what was measured: humidities, wind at 10 m in km/h, hours of sunshine, the altitude."""
    low, high = saturation_pressure(ZERO + 12.3), saturation_pressure(ZERO + 21.5)
    actual = (0.84 * low + 0.63 * high) / 2  # eq. 17
    assert actual == pytest.approx(1409, abs=0.5)
    solar = (0.25 + 0.5 * 9.25 / 16.1) * extraterrestrial_radiation(
        187, 50.8
    )  # eq. 35, 16.1 hours of daylight
    assert solar == pytest.approx(22.07e6, abs=0.01e6)
    pressure = 101300 * ((293 - 0.0065 * 100) / 293) ** 5.26  # eq. 7
    found = uccle(
        vapour_pressure=actual, radiation=solar, wind_2m=wind_at_2_metres(10 / 3.6), pressure=pressure
    )
    assert found == pytest.approx(3.88e-3, abs=0.005e-3)


# --- single rules -----------------------------------------------------------------------------------------------


def test_wind_speed_is_the_length_of_the_vector():
    assert wind_speed(3.0, -4.0) == 5.0


def test_degree_days_compare_the_mean_with_the_base():
    """Method 1: a night below the base counts as cold as it is; method 2 would give 2.5 K for the first day."""
    low, high = np.array([273.15, 270.0, 285.0]), np.array([288.15, 280.0, 295.0])
    assert growing_degree_days(low, high, 283.15) == pytest.approx([0.0, 0.0, 6.85])


def test_radiation_above_that_of_a_clear_sky_does_not_clear_the_sky_further():
    """Rs/Rso is at most 1 (eq. 39): beyond, each MJ adds as much as the one before; below, a part radiates away."""
    clear = (0.75 + 2e-5 * elevation_of_pressure(100100)) * extraterrestrial_radiation(187, 50.8)
    below, at, above, far_above = uccle(radiation=clear * np.array([0.9, 1.0, 1.1, 1.2]))
    assert far_above - above == pytest.approx(above - at)
    assert at - below < 0.95 * (above - at)


@pytest.mark.parametrize(("latitude", "day"), [(75, 355), (90, 1), (-75, 172), (-90, 172)])
def test_the_polar_night_has_no_radiation_and_no_evapotranspiration_is_invented(latitude, day):
    assert extraterrestrial_radiation(day, latitude) == 0
    assert np.isnan(uccle(radiation=0.0, day_of_year=day, latitude=latitude))


def test_at_the_pole_the_sun_of_the_polar_day_stands_at_its_declination():
    """24 hours of the solar constant at the sine of it; 23.4° is the tilt of the axis."""
    distance = 1 + 0.033 * np.cos(2 * np.pi * 172 / 365)
    expected = 24 * 60 * 0.0820e6 * distance * np.sin(np.radians(23.4))
    assert extraterrestrial_radiation(172, 90) == pytest.approx(expected, rel=2e-3)


def test_days_broadcast_against_pixels_in_double_precision():
    days, rows = np.arange(180, 183).reshape(3, 1, 1), np.linspace(50, 51, 2).reshape(2, 1)
    cold = np.full((3, 2, 4), UCCLE["t_min"], np.float32)
    found = uccle(t_min=cold, day_of_year=days, latitude=rows)
    assert found.shape == (3, 2, 4)
    assert found.dtype == np.float64
    alone = uccle(t_min=np.float32(UCCLE["t_min"]), day_of_year=181, latitude=51.0)
    assert found[1, 1, 2] == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("function", CALLS, ids=lambda function: function.__name__)
def test_single_precision_is_left_before_the_first_step(function):
    singles = {name: np.float32(value) for name, value in CALLS[function].items()}
    doubles = {name: np.float64(value) for name, value in singles.items()}
    found = function(**singles)
    assert found.dtype == np.float64
    assert found == function(**doubles)


# --- what holds for all weather ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("function", "name"), ARGUMENTS, ids=lambda part: getattr(part, "__name__", part))
@given(gap=st.integers(0, 4))
def test_nan_in_any_argument_is_nan_there_and_only_there(function, name, gap):
    call = CALLS[function]
    values = np.full(5, float(call[name]))
    values[gap] = np.nan
    found = function(**{**call, name: values})
    assert np.array_equal(np.isnan(found), np.isnan(values))
    assert np.delete(found, gap) == pytest.approx(function(**call), rel=1e-12)


@given(temperatures)
def test_air_at_its_dew_point_is_saturated(temperature):
    assert relative_humidity(temperature, temperature) == pytest.approx(100, rel=1e-12)
    assert vapour_pressure_deficit(temperature, temperature) == 0


@given(temperatures, temperatures)
def test_humidity_and_deficit_agree_on_which_side_of_saturation_the_air_is(temperature, dew_point):
    humidity, deficit = (f(temperature, dew_point) for f in (relative_humidity, vapour_pressure_deficit))
    if dew_point <= temperature:
        assert deficit >= 0
        assert 0 < humidity <= 100 + 1e-9
    else:  # not clipped
        assert deficit <= 0
        assert humidity >= 100 - 1e-9


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_wind_near_the_ground_is_slower(east, north):
    speed = wind_speed(east, north)
    assert max(abs(east), abs(north)) * (1 - 1e-12) <= speed + 1e-150
    assert 0 <= wind_at_2_metres(speed) <= speed


@given(st.integers(1, 366), st.floats(-90, 90))
def test_no_day_has_more_than_the_longest_of_the_pole(day, latitude):
    found = extraterrestrial_radiation(day, latitude)
    assert -1 <= found < 50e6  # J: rounding where the sun barely rises


@given(st.floats(-400, 8000))
def test_elevation_inverts_the_pressure(elevation):
    pressure = 101300 * ((293 - 0.0065 * elevation) / 293) ** 5.26
    assert elevation_of_pressure(pressure) == pytest.approx(elevation, abs=1e-6)


@given(temperatures, temperatures, st.floats(0, 20), st.floats(ZERO - 5, ZERO + 20))
def test_degree_days_grow_with_the_temperature_and_shrink_with_the_base(low, high, more, base):
    low, high = sorted((low, high))
    found = growing_degree_days(low, high, base)
    assert found >= 0
    assert growing_degree_days(low + more, high, base) >= found
    assert growing_degree_days(low, high + more, base) >= found
    assert growing_degree_days(low, high, base + more) <= found


@given(
    coldest=st.floats(ZERO - 40, ZERO + 30),
    span=st.floats(0, 25),
    dryness=st.floats(0, 20),
    cloudiness=st.floats(0.2, 0.8),
    wind=st.floats(0, 20),
    pressure=st.floats(50e3, 105e3),
    day=st.integers(1, 366),
    latitude=st.floats(-90, 90),
)
def test_evapotranspiration_of_plausible_weather_is_finite_and_small(
    coldest, span, dryness, cloudiness, wind, pressure, day, latitude
):
    top = extraterrestrial_radiation(day, latitude)
    assume(top > 1e3)
    found = reference_evapotranspiration(
        t_min=coldest,
        t_max=coldest + span,
        t_mean=coldest + span / 2,
        vapour_pressure=saturation_pressure(coldest - dryness),
        radiation=cloudiness * top,
        wind_2m=wind,
        pressure=pressure,
        day_of_year=day,
        latitude=latitude,
    )
    assert -0.01 < found < 0.05


@given(st.floats(0, 10), st.floats(200, 1400), st.floats(0, 30e6))
def test_more_sun_evaporates_more(wind, vapour_pressure, radiation):
    """The shortwave radiation that is gained is more than the longwave lost through the clearer sky."""
    weather = {"wind_2m": wind, "vapour_pressure": vapour_pressure}
    assert uccle(radiation=radiation + 1e6, **weather) > uccle(radiation=radiation, **weather)
