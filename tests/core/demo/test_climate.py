"""The demo's ERA5-like store: complete, in ECMWF's units, and physically possible."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from minicuber.core.demo.climate import dew_point, vapour_pressure
from minicuber.core.demo.sun import sun_position

UNITS = {
    "t2m": "K",
    "d2m": "K",
    "tp": "m",
    "sp": "Pa",
    "msl": "Pa",
    "ssrd": "J m**-2",
    "u10": "m s**-1",
    "v10": "m s**-1",
}


@pytest.fixture(scope="module")
def era5(demo):
    with xr.open_dataset(demo.result.era5, engine="h5netcdf") as store:
        yield store.load()


def test_every_hour_is_there_once(era5):
    """A missing hour makes a step NaN in every cube built from the demo."""
    expected = np.arange("2020-02-01T00", "2022-09-06T00", dtype="datetime64[h]")
    np.testing.assert_array_equal(era5.time.values.astype("datetime64[h]"), expected)
    assert era5.sizes == {"time": len(expected), "latitude": 3, "longitude": 3}
    assert (np.diff(era5.latitude) == -0.25).all()
    assert (np.diff(era5.longitude) == 0.25).all()


def test_names_and_units_are_those_of_ecmwf(era5):
    """The store must be recognised without a map of variables."""
    assert set(era5.data_vars) == set(UNITS)
    for name, unit in UNITS.items():
        assert era5[name].attrs["units"] == unit
        assert era5[name].attrs["long_name"]
        assert era5[name].attrs["standard_name"]
        assert np.isfinite(era5[name]).all()
    for name in ("tp", "ssrd"):
        assert "hour that ends" in era5[name].attrs["comment"]


def test_values_are_possible(era5):
    """A wrong unit (degrees C, hPa, mm) shows as a wrong range."""
    for name, low, high in (
        ("t2m", 250, 312),
        ("d2m", 245, 302),
        ("sp", 80000, 98000),
        ("msl", 97000, 105000),
        ("tp", 0, 0.06),
        ("ssrd", 0, 3.7e6),
        ("u10", -25, 25),
        ("v10", -25, 25),
    ):
        assert low <= float(era5[name].min()) < float(era5[name].max()) <= high, name
    assert (era5.d2m <= era5.t2m).all()
    yearly = era5.tp.isel(latitude=1, longitude=1).sel(time="2021").sum()
    assert 0.7 < float(yearly) < 2.0


def test_sun_shines_by_day_only_and_on_the_hour_that_ends(era5):
    """Radiation an hour early or late means that the accumulation is stamped at its wrong end."""
    cell = era5.ssrd.isel(latitude=1, longitude=1)
    times = cell.time.values
    before = sun_position(times - np.timedelta64(60, "m"), 7.75, 47.0)[1]
    after = sun_position(times, 7.75, 47.0)[1]
    # In the middle of the night, and with the sun well up for the whole hour before the stamp.
    assert (cell.values[(before < -1) & (after < -1)] == 0).all()
    assert (cell.values[(before > 8) & (after > 8)] > 0).all()
    by_hour = cell.groupby("time.hour").mean().values
    weight = (np.arange(24) * by_hour).sum() / by_hour.sum()
    assert weight == pytest.approx(12 - 7.75 / 15 + 0.5, abs=0.15)  # solar noon and half an hour


def test_summer_of_2022_was_hot_and_dry(era5):
    """The drought of the scenes must have its cause in the weather."""
    cell = era5.isel(latitude=1, longitude=1)
    rain, heat = {}, {}
    for year in ("2020", "2021", "2022"):
        summer = cell.sel(time=slice(f"{year}-06-01", f"{year}-08-31"))
        rain[year], heat[year] = float(summer.tp.sum()), float(summer.t2m.mean())
    assert rain["2022"] < 0.7 * min(rain["2020"], rain["2021"])
    assert heat["2022"] > max(heat["2020"], heat["2021"])


def test_dew_point_undoes_vapour_pressure():
    """One of the two Magnus formulas with other constants would bias humidity."""
    kelvin = np.linspace(250, 310, 50)
    np.testing.assert_allclose(dew_point(vapour_pressure(kelvin)), kelvin, rtol=1e-12)
    assert vapour_pressure(np.array(293.15)) == pytest.approx(2339, rel=0.003)  # steam tables


def test_sun_stands_where_almanacs_say():
    """Equinox noon at Greenwich: elevation 90 - latitude; sun angles of a real scene (Element84)."""
    azimuth, elevation = sun_position(np.datetime64("2021-03-20T12:07"), 0.0, 51.5)
    assert elevation == pytest.approx(38.54, abs=0.05)
    assert azimuth == pytest.approx(180, abs=0.3)
    # S2A_32TMT_20200302_0_L2A: mean angles over the tile, whose centre is at 8.39 E 47.35 N.
    azimuth, elevation = sun_position(np.datetime64("2020-03-02T10:27:44"), 8.39, 47.35)
    assert azimuth == pytest.approx(158.81, abs=0.5)
    assert elevation == pytest.approx(33.49, abs=0.5)
