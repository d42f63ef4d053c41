"""Each convention of a store, with a test that fails when its rule is left out; values by plain xarray."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from climate_stores import (
    LATITUDES,
    LONGITUDES,
    PLACE,
    SUMS,
    catalogs,
    climate,
    days_of,
    entry,
    hours,
    noise,
    plain,
    store,
    to_zarr,
    weather,
)
from minicuber.core.errors import InputError, SourceError
from minicuber.core.progress import Progress

DAYS = days_of("2020-02-27", "2020-03-01", "2020-03-06")
TIMES = hours("2020-02-22", "2020-03-07")


def check(
    tmp_path, dataset, name="t2m", variable="t", how="mean", ending=False, place=PLACE, factor=1.0, **more
):
    """The nearest cell's series of a dataset, kept as Zarr on disk, comes out as plain xarray has it."""
    path = to_zarr(dataset, tmp_path / "store.zarr")
    cube = weather(path, (variable, how), DAYS, tmp_path / "parts", place, **more)
    lon = place[0] % 360 if dataset.longitude.max() > 180 else place[0]
    series = dataset[name].sel(latitude=place[1], longitude=lon, method="nearest")
    wanted = plain(series, DAYS, how, ending, next(dim for dim in series.dims)) * factor
    np.testing.assert_allclose(cube[f"era5_{variable}"], wanted, rtol=1e-6)
    return cube


# --- space --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("longitudes", [np.arange(0, 360, 30.0), np.arange(-180, 180, 30.0)])
@pytest.mark.parametrize("lon", [-0.05, 0.05, -60.0, 120.0, 179.95, -179.95])
def test_both_conventions_of_longitude_and_places_at_their_seams(tmp_path, longitudes, lon):
    """A place west of Greenwich in 0..360, and both sides of the antimeridian: the cell lies beyond the seam."""
    path = to_zarr(store(TIMES, longitudes=longitudes), tmp_path / "store.zarr")
    cube = weather(path, ("t", "mean"), DAYS, tmp_path / "parts", (lon, 47.0))
    away = np.abs((longitudes - lon + 180) % 360 - 180)
    series = xr.open_zarr(path).t2m.sel(latitude=47.0)[:, int(away.argmin())]
    np.testing.assert_allclose(cube["era5_t"], plain(series, DAYS, "mean"), rtol=1e-6)


@pytest.mark.parametrize("lon", [-0.05, 179.95, -179.95])
@pytest.mark.parametrize("longitudes", [np.arange(0, 360, 0.5), np.arange(-180, 180, 0.5)])
def test_bilinear_over_the_seams_of_longitude(tmp_path, longitudes, lon):
    """A field that varies with cos and sin of the longitude has no seam itself."""
    field = np.cos(np.radians(longitudes)) + 2 * np.sin(np.radians(longitudes))
    dataset = store(TIMES, latitudes=np.array([46.0, 47.0, 48.0]), longitudes=longitudes, values=field + 290)
    path = to_zarr(dataset, tmp_path / "store.zarr")
    cube = weather(path, ("t", "mean"), DAYS[:1], tmp_path / "parts", (lon, 47.0), era5_space="bilinear")
    at = np.radians(lon)
    np.testing.assert_allclose(cube["era5_t"], 290 + np.cos(at) + 2 * np.sin(at), atol=2e-4)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("space", ["nearest", "bilinear"])
def test_latitudes_that_rise_and_that_fall(tmp_path, order, space):
    values = 200.0 + LATITUDES[::order, None]
    dataset = store(TIMES, latitudes=LATITUDES[::order], values=values)
    path = to_zarr(dataset, tmp_path / "store.zarr")
    cube = weather(path, ("t", "mean"), DAYS, tmp_path / "parts", (8.0, 47.04), era5_space=space)
    np.testing.assert_allclose(cube["era5_t"], 247.0 if space == "nearest" else 247.04, atol=1e-3)


def test_land_data_at_sea_give_the_nearest_cell_that_has_a_value_for_each_variable(tmp_path, caplog):
    dataset = store(TIMES, ("t2m", "sst"), units={"sst": "K"})
    row, column = list(LATITUDES).index(47.0), list(LONGITUDES).index(8.0)
    dataset.t2m[:, row, column] = np.nan
    dataset.t2m[:, :, column + 1] = np.nan
    dataset.t2m[:, row, column - 1] = np.nan
    path = to_zarr(dataset, tmp_path / "store.zarr")
    caplog.set_level("INFO")
    cube = weather(path, ("t", "mean", "sea_t", "mean"), DAYS, tmp_path / "parts", (8.01, 47.01))
    north, here = dataset.t2m[:, row - 1, column], dataset.sst[:, row, column]
    np.testing.assert_allclose(cube["era5_t"], plain(north, DAYS, "mean"), rtol=1e-6)
    np.testing.assert_allclose(cube["era5_sea_t"], plain(here, DAYS, "mean"), rtol=1e-6)
    assert cube.attributes["era5_t"]["cell_latitude"] == 47.25
    assert cube.attributes["era5_sea_t"]["cell_latitude"] == 47.0
    assert "the nearest cell has no 2 metre temperature" in caplog.text


def test_nearest_valid_cell_in_the_far_north_may_be_many_columns_away(tmp_path):
    """At 80 degrees north three columns are nearer than one row."""
    latitudes, longitudes = np.arange(80.5, 79.4, -0.25), np.arange(18.0, 22.1, 0.25)
    dataset = store(TIMES, latitudes=latitudes, longitudes=longitudes)
    dataset.t2m[:, 2, 6:11] = np.nan  # 19.5 to 20.5 E
    path = to_zarr(dataset, tmp_path / "store.zarr")
    cube = weather(path, ("t", "mean"), DAYS, tmp_path / "parts", (20.04, 80.0))
    np.testing.assert_allclose(cube["era5_t"], plain(dataset.t2m[:, 2, 11], DAYS, "mean"), rtol=1e-6)


def test_variable_that_is_nowhere_near_is_said(tmp_path):
    path = to_zarr(store(TIMES, values=np.nan), tmp_path / "store.zarr")
    with pytest.raises(SourceError, match="no values of 2 metre temperature near the cube"):
        weather(path, ("t", "mean"), DAYS, tmp_path / "parts")


# --- which hour a stamp belongs to ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "variable", "how", "ending"),
    [
        ("t2m", "t", "mean", False), ("sp", "sp", "max", False), ("tp", "tp", "sum", True),
        ("ssrd", "sr", "sum", True), ("mx2t", "maxt", "max", True), ("mn2t", "mint", "min", True),
    ],
)  # fmt: skip
def test_hour_of_a_variable_where_the_store_does_not_say(tmp_path, name, variable, how, ending):
    units = {"mx2t": "K", "mn2t": "K"}
    check(tmp_path, store(TIMES, (name,), units=units), name, variable, how, ending)


@pytest.mark.parametrize("said", ["ending", "beginning"])
@pytest.mark.parametrize("variable", ["t", "tp"])
@pytest.mark.parametrize("named", [True, False])
def test_time_bounds_of_the_store_win_over_the_table(tmp_path, variable, said, named):
    """`time_bounds` that the time names, or that only bear its name; both ways, for both kinds of variables."""
    name, how = {"t": ("t2m", "mean"), "tp": ("tp", "sum")}[variable]
    dataset = store(TIMES, (name,))
    hour = np.timedelta64(1, "h")
    low = TIMES - hour if said == "ending" else TIMES
    dataset["time_bounds"] = ("time", "nv"), np.stack([low, low + hour], axis=1)
    if named:
        dataset.time.attrs["bounds"] = "time_bounds"
    check(tmp_path, dataset, name, variable, how, said == "ending")


def test_what_is_derived_of_hours_that_end_at_their_stamps_ends_there_too(tmp_path):
    dataset = store(TIMES, ("u10", "v10"))
    dataset["time_bounds"] = ("time", "nv"), np.stack([TIMES - np.timedelta64(1, "h"), TIMES], axis=1)
    path = to_zarr(dataset, tmp_path / "store.zarr")
    cube = weather(path, ("wind_10", "mean"), DAYS, tmp_path / "parts")
    wind = np.hypot(dataset.u10, dataset.v10).sel(latitude=PLACE[1], longitude=PLACE[0])
    np.testing.assert_allclose(cube["era5_wind_10"], plain(wind, DAYS, "mean", True), rtol=1e-6)


def test_bounds_without_a_width_say_nothing(tmp_path):
    dataset = store(TIMES, ("tp",))
    dataset["time_bounds"] = ("time", "nv"), np.stack([TIMES, TIMES], axis=1)
    check(tmp_path, dataset, "tp", "tp", "sum", True)


def test_entry_can_say_that_a_variable_ends_its_hour(tmp_path):
    path = to_zarr(store(TIMES), tmp_path / "store.zarr")
    file = catalogs(tmp_path, entry(path, ending=["t"]))
    cube = weather("mine", ("t", "mean"), DAYS, tmp_path / "parts", catalogs=file)
    series = xr.open_zarr(path).t2m.sel(latitude=PLACE[1], longitude=PLACE[0])
    np.testing.assert_allclose(cube["era5_t"], plain(series, DAYS, "mean", True), rtol=1e-6)


# --- sums since midnight ------------------------------------------------------------------------------------


def since_midnight(dataset, name):
    """The same rain as raw ERA5-Land has it: sums since 00 UTC, the value of 00 is the day before's total."""
    made = dataset.copy(deep=True)
    day = ((dataset.time - np.timedelta64(1, "h")).dt.floor("D")).values
    values = dataset[name].values
    for each in np.unique(day):
        values[day == each] = np.cumsum(values[day == each], axis=0)
    made[name][:] = values
    return made


def rain(seed=5):
    """Hourly rain in exact numbers, most hours dry."""
    drawn = noise((len(TIMES), len(LATITUDES), len(LONGITUDES)), seed)
    return np.where(drawn % 5 < 1, np.floor(drawn % 97), 0.0) / 2**14


def test_sums_since_midnight_that_the_entry_names(tmp_path):
    hourly = store(TIMES, ("tp",), values=rain())
    path = to_zarr(since_midnight(hourly.copy(deep=True), "tp"), tmp_path / "store.zarr")
    file = catalogs(tmp_path, entry(path, {"tp": "tp"}, accumulated="day"))
    cube = weather("mine", ("tp", "sum"), DAYS, tmp_path / "parts", catalogs=file)
    series = store(TIMES, ("tp",), values=rain()).tp.sel(latitude=PLACE[1], longitude=PLACE[0])
    np.testing.assert_allclose(cube["era5_tp"], plain(series, DAYS, "sum", True), rtol=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_since_midnight_of_an_unknown_store_are_recognised_and_said(tmp_path, caplog, sign):
    """Evaporation is negative: it falls all day and rises at midnight."""
    name, variable = ("tp", "tp") if sign > 0 else ("e", "e")
    hourly = store(TIMES, (name,), values=sign * rain(), units={"e": "m of water equivalent"})
    path = to_zarr(since_midnight(hourly.copy(deep=True), name), tmp_path / "store.zarr")
    cube = weather(path, (variable, "sum"), DAYS, tmp_path / "parts")
    series = store(TIMES, (name,), values=sign * rain())[name].sel(latitude=PLACE[1], longitude=PLACE[0])
    np.testing.assert_allclose(cube[f"era5_{variable}"], plain(series, DAYS, "sum", True), rtol=1e-6)
    assert "accumulated since 00 UTC" in caplog.text


def packed(values):
    """As GRIB keeps each field: with a scale of its own, so that what stands still does not quite."""
    scale = np.abs(values).max(axis=(1, 2), keepdims=True) / 3000 + 1e-12
    return np.round(values / scale) * scale


def test_noise_of_packed_numbers_does_not_hide_sums_since_midnight(tmp_path, caplog):
    values = rain()
    raw = since_midnight(store(TIMES, ("tp",), values=values), "tp")
    raw["tp"][:] = packed(raw.tp.values)
    cube = weather(to_zarr(raw, tmp_path / "store.zarr"), ("tp", "sum"), DAYS, tmp_path / "parts")
    series = store(TIMES, ("tp",), values=values).tp.sel(latitude=PLACE[1], longitude=PLACE[0])
    np.testing.assert_allclose(cube["era5_tp"], plain(series, DAYS, "sum", True), rtol=0.01)
    assert "accumulated since 00 UTC" in caplog.text


def test_entry_is_believed_whatever_the_values_look_like(tmp_path):
    """Rain that grows until midnight on two days and then stops looks like a sum since midnight, and is none."""
    hour = ((TIMES - TIMES.astype("datetime64[D]")) / np.timedelta64(1, "h")).astype(int)
    values = np.select([hour == 22, hour == 23, hour == 0], [0.001, 0.002, 0.003], 0.0)[:, None, None]
    path = to_zarr(store(TIMES, ("tp",), values=values), tmp_path / "a.zarr")
    file = catalogs(tmp_path, entry(path, {"tp": "tp"}))
    cube = weather("mine", ("tp", "sum"), DAYS, tmp_path / "parts", catalogs=file)
    np.testing.assert_allclose(cube["era5_tp"], np.array([5, 3, 5]) * 0.006, rtol=1e-5)
    own = weather(path, ("tp", "sum"), DAYS, tmp_path / "p2")
    np.testing.assert_allclose(own["era5_tp"], np.array([5, 3, 5]) * 0.006, rtol=1e-5)


def test_one_sum_that_shows_it_tells_for_the_others(tmp_path, caplog):
    """Radiation stays after sunset and is gone at 01; rain of a single hour before midnight shows nothing."""
    hour = ((TIMES - TIMES.astype("datetime64[D]")) / np.timedelta64(1, "h")).astype(int)
    light = np.where((hour > 6) & (hour < 19), 1e6, 0.0)[:, None, None]
    wet = np.where(np.datetime64("2020-03-02T00", "h") == TIMES, 0.006, 0.0)[:, None, None]
    hourly = store(TIMES, ("ssrd",), values=light).merge(store(TIMES, ("tp",), values=wet))
    raw = since_midnight(since_midnight(hourly.copy(deep=True), "tp"), "ssrd")
    path = to_zarr(raw, tmp_path / "a.zarr")
    for days, step in ((DAYS, 5), (DAYS[1:2], 1)):
        cube = weather(path, ("tp", "sum", "sr", "sum"), days, tmp_path / f"parts{step}", step_days=step)
        assert cube["era5_tp"].sum() == pytest.approx(0.006, rel=1e-5)
        assert cube["era5_sr"][-1] == pytest.approx(12e6 * step, rel=1e-5)


def test_store_with_one_value_in_five_days_is_refused_and_no_days_are_derived_from_days(tmp_path):
    times = TIMES[::120]
    path = to_zarr(store(times, ("t2m",)), tmp_path / "five.zarr")
    with pytest.raises(InputError, match="every 5 days"):
        weather(path, ("t", "mean"), DAYS, tmp_path / "parts")
    path = to_zarr(store(TIMES[::24], ("t2m", "d2m")), tmp_path / "daily.zarr")
    for name in ("vpd", "gdd"):
        with pytest.raises(InputError, match="is derived from hourly values"):
            weather(path, (name, ""), DAYS, tmp_path / "parts")


def test_what_is_derived_is_of_one_cell(tmp_path):
    """Humidity of a temperature here and a dew point there may be anything."""
    dataset = store(TIMES, ("t2m", "d2m"))
    nearest = dataset.t2m.sel(latitude=PLACE[1], longitude=PLACE[0], method="nearest")
    here = (dataset.latitude == nearest.latitude) & (dataset.longitude == nearest.longitude)
    dataset["t2m"] = dataset.t2m.where(~here)
    cube = weather(
        to_zarr(dataset, tmp_path / "a.zarr"), ("rh", "mean", "dp", "mean"), DAYS, tmp_path / "parts"
    )
    other = weather(to_zarr(dataset, tmp_path / "b.zarr"), ("t", "mean"), DAYS, tmp_path / "p2")
    assert cube.attributes["era5_rh"]["cell_distance_km"] == cube.attributes["era5_dp"]["cell_distance_km"]
    assert cube.attributes["era5_dp"]["cell_distance_km"] == other.attributes["era5_t"]["cell_distance_km"]


def test_file_that_keeps_its_values_in_other_files_is_refused(tmp_path):
    """A file of somebody else's could make this machine put its own files into a cube."""
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.nc"
    store(TIMES, ("t2m",)).to_netcdf(path, engine="h5netcdf")
    (tmp_path / "secret.bin").write_bytes(bytes(8 * 1000))
    with h5py.File(path, "r+") as file:
        file.create_dataset("x", (1000,), "f8", external=[(str(tmp_path / "secret.bin"), 0, 8000)])
    with pytest.raises(InputError, match="keeps its values in other files"):
        weather(path, ("t", "mean"), DAYS, tmp_path / "parts")


@pytest.mark.parametrize("raw", [True, False])
def test_time_bounds_tell_sums_since_midnight_and_win_over_the_entry(tmp_path, raw):
    """Of rain that falls in the first hour of each day alone, the values themselves tell nothing."""
    hour = ((TIMES - TIMES[0]) / np.timedelta64(1, "h")).astype(int) % 24
    hourly = store(TIMES, ("tp",), values=np.where(hour == 1, 0.5, 0.0)[:, None, None])
    dataset = since_midnight(hourly.copy(deep=True), "tp") if raw else hourly.copy(deep=True)
    low = TIMES - np.timedelta64(1, "h")
    low = low.astype("datetime64[D]").astype(TIMES.dtype) if raw else low
    dataset["time_bnds"] = ("time", "nv"), np.stack([low, TIMES], axis=1)
    dataset.time.attrs["bounds"] = "time_bnds"
    path = to_zarr(dataset, tmp_path / "store.zarr")
    file = catalogs(tmp_path, entry(path, {"tp": "tp"}, accumulated="hour" if raw else "day"))
    cube = weather("mine", ("tp", "sum"), DAYS, tmp_path / "parts", catalogs=file)
    np.testing.assert_allclose(cube["era5_tp"], np.array([5, 3, 5]) * 0.5, rtol=1e-6)


@pytest.mark.parametrize("kind", ["rain", "constant", "sun", "rain at midnight alone"])
def test_hourly_store_is_not_mistaken_for_sums_since_midnight(tmp_path, kind, caplog):
    hour = ((TIMES - TIMES[0]) / np.timedelta64(1, "h") % 24)[:, None, None]
    values = {
        "rain": rain(),
        "constant": 0.25,
        "sun": np.maximum(0.0, np.sin((hour - 6) / 12 * np.pi)),
        "rain at midnight alone": np.where(hour == 0, 0.5, 0.0),
    }[kind]
    check(tmp_path, store(TIMES, ("tp",), values=values), "tp", "tp", "sum", True)
    assert "accumulated since" not in caplog.text


def test_missing_hour_of_sums_since_midnight_is_missing_and_no_fall(tmp_path):
    """The hour after the gap holds what fell in two: neither is known. Those after it are."""
    hourly = store(TIMES, ("tp",), values=rain() + 2**-10)
    raw = since_midnight(hourly.copy(deep=True), "tp")
    gone = np.datetime64("2020-02-29T12")
    path = to_zarr(raw.isel(time=raw.time.values != gone), tmp_path / "store.zarr")
    file = catalogs(tmp_path, entry(path, {"tp": "tp"}, accumulated="day"))
    cube = weather("mine", ("tp", "sum"), DAYS, tmp_path / "parts", catalogs=file)
    assert list(np.isnan(cube["era5_tp"])) == [False, True, False]
    cube = weather("mine", ("tp", "sum"), DAYS, tmp_path / "again", catalogs=file, min_hours_share=0.9)
    series = store(TIMES, ("tp",), values=rain() + 2**-10).tp.sel(latitude=PLACE[1], longitude=PLACE[0])
    series = series.where(~series.time.isin([gone, gone + np.timedelta64(1, "h")]))
    np.testing.assert_allclose(cube["era5_tp"], plain(series, DAYS, "sum", True), rtol=1e-6)


# --- the time's name and shape ----------------------------------------------------------------------------------


@pytest.mark.parametrize("time", ["time", "valid_time", "time0", "time1"])
def test_name_of_the_time(tmp_path, time):
    check(tmp_path, store(TIMES, ("tp",), time=time), "tp", "tp", "sum", True)


@pytest.mark.parametrize("order", [[1, 5], [5, 1], ["0001", "0005"], ["0005", "0001"]])
def test_expver_as_a_dimension_gives_the_final_value_where_it_is_there(tmp_path, order):
    """The CDS mixes final (1) and preliminary (5) data; where both have a value they differ."""
    final, early = store(TIMES), store(TIMES, values=999.0)
    cut, overlap = np.datetime64("2020-03-01T12"), np.datetime64("2020-03-01T06")
    parts = {1: final.where(final.time < cut), 5: early.where(early.time >= overlap)}
    both = xr.concat([parts[int(each)] for each in order], xr.DataArray(order, dims="expver", name="expver"))
    path = to_zarr(both.transpose("time", "expver", ...), tmp_path / "store.zarr")
    cube = weather(path, ("t", "mean"), DAYS, tmp_path / "parts")
    series = xr.where(final.time < cut, final.t2m, 999.0).sel(latitude=PLACE[1], longitude=PLACE[0])
    np.testing.assert_allclose(cube["era5_t"], plain(series, DAYS, "mean"), rtol=1e-6)


def test_expver_and_number_as_coordinates_alone_do_no_harm(tmp_path):
    dataset = store(TIMES, time="valid_time")
    dataset = dataset.assign_coords(expver=("valid_time", ["0001"] * len(TIMES)), number=0)
    check(tmp_path, dataset)


def test_dimension_of_size_one_goes_and_a_larger_one_is_said(tmp_path):
    dataset = store(TIMES)
    check(tmp_path, dataset.expand_dims(number=[0], axis=1))
    members = xr.concat([dataset, dataset + 1], xr.DataArray([0, 1], dims="number", name="number"))
    path = to_zarr(members.transpose("time", "number", ...), tmp_path / "members.zarr")
    with pytest.raises(SourceError, match="a dimension that is not known, number"):
        climate(path, ("t", "mean"), DAYS).look(Progress())


def test_times_as_fractions_of_days_are_whole_hours(tmp_path):
    """Of 1/24 of a day some hours come out a little early, and would be no neighbours of the next one."""
    hourly = store(TIMES, ("tp",), values=rain())
    dataset = since_midnight(hourly.copy(deep=True), "tp")
    path = tmp_path / "store.nc"
    dataset.to_netcdf(
        path, engine="h5netcdf", encoding={"time": {"units": "days since 2020-01-01", "dtype": "f4"}}
    )
    with xr.open_dataset(path) as raw:
        assert np.any(raw.time.values != TIMES)
    file = catalogs(tmp_path, entry(path, {"tp": "tp"}, accumulated="day"))
    cube = weather("mine", ("tp", "sum"), DAYS, tmp_path / "parts", catalogs=file)
    series = store(TIMES, ("tp",), values=rain()).tp.sel(latitude=PLACE[1], longitude=PLACE[0])
    np.testing.assert_allclose(cube["era5_tp"], plain(series, DAYS, "sum", True), rtol=1e-6)


def test_unsorted_times(tmp_path):
    dataset = store(TIMES)
    mixed = np.random.default_rng(1).permutation(len(TIMES))
    path = to_zarr(dataset.isel(time=mixed), tmp_path / "store.zarr")
    cube = weather(path, ("t", "mean"), DAYS, tmp_path / "parts")
    series = dataset.t2m.sel(latitude=PLACE[1], longitude=PLACE[0])
    np.testing.assert_allclose(cube["era5_t"], plain(series, DAYS, "mean"), rtol=1e-6)


def months_of(folder, dataset, overlap=6, gap=False):
    """A folder with a file per month, the last hours of which stand in the next one too."""
    folder.mkdir()
    for number, (_, part) in enumerate(dataset.groupby("time.month")):
        first, last = part.time.values[[0, -1]]
        early = first - np.timedelta64(overlap, "h")
        piece = dataset.sel(time=slice(early if number else first, last))
        if gap and not number:
            piece = piece.where(
                piece.time <= last - np.timedelta64(overlap, "h")
            )  # they are in the next one alone
        piece.to_netcdf(folder / f"era5_{number}.nc", engine="h5netcdf")
    return folder


@pytest.mark.parametrize("gap", [False, True])
def test_hours_that_stand_in_two_files_count_once(tmp_path, gap):
    """Also when the first file has them as missing."""
    dataset = store(TIMES, ("tp",))
    folder = months_of(tmp_path / "files", dataset, gap=gap)
    cube = weather(folder, ("tp", "sum"), DAYS, tmp_path / "parts")
    series = dataset.tp.sel(latitude=PLACE[1], longitude=PLACE[0])
    np.testing.assert_allclose(cube["era5_tp"], plain(series, DAYS, "sum", True), rtol=1e-6)


def test_hours_missing_in_the_middle_make_just_their_steps_missing(tmp_path, caplog):
    dataset = store(TIMES, ("t2m", "tp"))
    gone = np.isin(TIMES, hours("2020-02-29", "2020-02-29")[10:14])
    path = to_zarr(dataset.isel(time=~gone), tmp_path / "store.zarr")
    cube = weather(path, ("t", "mean", "tp", "sum"), DAYS, tmp_path / "parts")
    left = dataset.isel(time=~gone).sel(latitude=PLACE[1], longitude=PLACE[0])
    for name, how, ending in (("t2m", "mean", False), ("tp", "sum", True)):
        wanted = plain(left[name], DAYS, how, ending)
        wanted[1] = np.nan
        np.testing.assert_allclose(cube[{"t2m": "era5_t", "tp": "era5_tp"}[name]], wanted, rtol=1e-6)
    assert "era5_t 1 of 3" in caplog.text and "era5_tp 1 of 3" in caplog.text
    share = (72 - 4) / 72
    for given, there in ((share, True), (share + 1e-6, False)):
        cube = weather(path, ("t", "mean"), DAYS, tmp_path / "parts", min_hours_share=given)
        assert np.isfinite(cube["era5_t"][1]) == there
    assert np.isclose(
        weather(path, ("t", "mean"), DAYS, tmp_path / "parts", min_hours_share=share)["era5_t"][1],
        plain(left.t2m, DAYS, "mean")[1],
    )


# --- units --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "variable", "units", "factor", "shift"),
    [
        ("t2m", "t", "K", 1, 0), ("t2m", "t", "degC", 1, 273.15), ("t2m", "t", "°C", 1, 273.15),
        ("t2m", "t", "Celsius", 1, 273.15), ("d2m", "dp", "degree_Celsius", 1, 273.15),
        ("sp", "sp", "Pa", 1, 0), ("sp", "sp", "hPa", 100, 0), ("msl", "ap", "mbar", 100, 0),
        ("msl", "ap", "kPa", 1000, 0), ("tp", "tp", "m", 1, 0), ("tp", "tp", "mm", 1e-3, 0),
        ("tp", "tp", "kg m-2", 1e-3, 0), ("tp", "tp", "kg m**-2", 1e-3, 0), ("tp", "tp", "kg m^-2", 1e-3, 0),
        ("tp", "tp", "mm/h", 1e-3, 0), ("tp", "tp", "mm h-1", 1e-3, 0), ("tp", "tp", "kg m**-2 s**-1", 3.6, 0),
        ("tp", "tp", "m/s", 3600, 0), ("tp", "tp", "mm/day", 1e-3 / 24, 0), ("tp", "tp", "mm d-1", 1e-3 / 24, 0),
        ("ssrd", "sr", "J m**-2", 1, 0), ("ssrd", "sr", "J m-2", 1, 0), ("ssrd", "sr", "J/m2", 1, 0),
        ("ssrd", "sr", "J m^-2", 1, 0), ("ssrd", "sr", "W m**-2", 3600, 0), ("ssrd", "sr", "W/m^2", 3600, 0),
        ("ssrd", "sr", "W m-2", 3600, 0), ("ssrd", "sr", "MJ m-2", 1e6, 0), ("u10", "east_wind_10", "m s**-1", 1, 0),
        ("v10", "north_wind_10", "m/s", 1, 0), ("u10", "east_wind_10", "km/h", 1 / 3.6, 0),
    ],
)  # fmt: skip
def test_units_of_the_store_become_those_of_ecmwf(tmp_path, name, variable, units, factor, shift):
    dataset = store(TIMES, (name,), units={name: units})
    ending = variable in ("tp", "sr")
    how = "sum" if ending else "mean"
    path = to_zarr(dataset, tmp_path / "store.zarr")
    cube = weather(path, (variable, how), DAYS, tmp_path / "parts")
    series = dataset[name].sel(latitude=PLACE[1], longitude=PLACE[0])
    np.testing.assert_allclose(
        cube[f"era5_{variable}"], plain(series, DAYS, how, ending) * factor + shift, rtol=1e-6
    )
    assert cube.attributes[f"era5_{variable}"]["units"] in ("K", "Pa", "m", "J m-2", "m s-1")


@pytest.mark.parametrize(("said", "shift"), [("degC", 273.15), ("K", 0.0), ("", 273.15)])
def test_units_of_the_store_win_over_those_of_the_entry(tmp_path, said, shift):
    dataset = store(TIMES, units={"t2m": said})
    path = to_zarr(dataset, tmp_path / "store.zarr")
    file = catalogs(tmp_path, entry(path, units={"t": "degC"}))
    cube = weather("mine", ("t", "mean"), DAYS, tmp_path / "parts", catalogs=file)
    series = dataset.t2m.sel(latitude=PLACE[1], longitude=PLACE[0])
    np.testing.assert_allclose(cube["era5_t"], plain(series, DAYS, "mean") + shift, rtol=1e-6)


def test_unknown_units_are_said_before_anything_is_read(tmp_path):
    path = to_zarr(store(TIMES, units={"t2m": "furlongs"}), tmp_path / "store.zarr")
    with pytest.raises(SourceError, match="units that are not known here: 'furlongs'"):
        climate(path, ("t", "mean"), DAYS).look(Progress())


def test_units_that_change_from_file_to_file(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    dataset = store(TIMES, ("tp",))
    early = np.isin(TIMES, hours("2020-02-22", "2020-02-29"))
    dataset.isel(time=early).to_netcdf(folder / "a.nc", engine="h5netcdf")
    late = dataset.isel(time=~early).copy(deep=True)
    late["tp"] = (late.tp * 1000).assign_attrs(units="mm")
    late.to_netcdf(folder / "b.nc", engine="h5netcdf")
    cube = weather(folder, ("tp", "sum"), DAYS, tmp_path / "parts")
    series = dataset.tp.sel(latitude=PLACE[1], longitude=PLACE[0])
    np.testing.assert_allclose(cube["era5_tp"], plain(series, DAYS, "sum", True), rtol=1e-6)


def test_files_of_different_grids_are_no_store(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    dataset = store(TIMES)
    early = np.isin(TIMES, hours("2020-02-22", "2020-02-29"))
    dataset.isel(time=early).to_netcdf(folder / "a.nc", engine="h5netcdf")
    moved = dataset.isel(time=~early)
    moved.assign_coords(longitude=moved.longitude + 0.25).to_netcdf(folder / "b.nc", engine="h5netcdf")
    with pytest.raises(SourceError, match=r"b\.nc has other places than .*a\.nc"):
        climate(folder, ("t", "mean"), DAYS).look(Progress())


# --- daily stores -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 30])
def test_daily_store_with_the_names_of_the_data_cube(tmp_path, length):
    """Stamps at midnight are the day that begins there, of sums too; also when a single day is asked for."""
    names = {"t": ("t2m", "mean"), "maxt": ("t2mmax", "max"), "mint": ("t2mmin", "min"), "tp": ("tp", "sum"),
             "sr": ("ssrd", "sum")}  # fmt: skip
    times = np.arange(
        np.datetime64("2020-02-15", "ns"), np.datetime64("2020-03-16", "ns"), np.timedelta64(1, "D")
    )
    dataset = store(times, [name for name, _ in names.values()], units={"t2mmax": "K", "t2mmin": "K"})
    path = to_zarr(dataset, tmp_path / "store.zarr")
    days, step = (DAYS, 5) if length > 1 else (DAYS[:1], 1)
    asked = tuple(each for name, (_, how) in names.items() for each in (name, how))
    cube = weather(path, asked, days, tmp_path / "parts", step_days=step)
    for variable, (name, how) in names.items():
        series = dataset[name].sel(latitude=PLACE[1], longitude=PLACE[0])
        wanted = plain(series, days, how, step_days=step)
        np.testing.assert_allclose(cube[f"era5_{variable}"], wanted, rtol=1e-6, err_msg=variable)


def test_three_hourly_store(tmp_path):
    check(tmp_path, store(TIMES[::3]))
    check(
        tmp_path, store(TIMES[::3], ("tp",), units={"tp": "kg m-2 s-1"}), "tp", "tp", "sum", True, factor=10.8
    )


def test_names_of_sums_are_those_of_the_table():
    """The helper's list of what ends its hour is the table's."""
    from minicuber.core.climate.variables import VARIABLES

    for name in SUMS:
        owner = next(each for each in VARIABLES.values() if name in each.known_as)
        assert owner.sums and owner.ending


def test_place_without_dimensions_of_place(tmp_path):
    dataset = store(TIMES).isel(latitude=0, longitude=0)
    path = to_zarr(dataset, tmp_path / "store.zarr")
    cube = weather(path, ("t", "mean"), DAYS, tmp_path / "parts")
    np.testing.assert_allclose(cube["era5_t"], plain(dataset.t2m, DAYS, "mean"), rtol=1e-6)


def test_place_outside_a_regional_store(tmp_path):
    path = to_zarr(store(TIMES), tmp_path / "store.zarr")
    for place in ((12.0, 47.0), (8.0, 50.0), (-172.0, 47.0)):
        with pytest.raises(InputError, match="does not reach the cube's place"):
            climate(path, ("t", "mean"), DAYS, place).look(Progress())
