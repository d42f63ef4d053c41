"""Weather on the time axis of a cube: sums, windows, names, maps, real data, resuming, the estimate."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
import xarray as xr
from climate_stores import (
    LATITUDES,
    LONGITUDES,
    PLACE,
    Collected,
    climate,
    days_of,
    grid,
    hours,
    plain,
    steps,
    store,
    to_zarr,
    weather,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from minicuber.core.climate.cells import Axes, great_circle, nearest_cells
from minicuber.core.grid import transform_points
from minicuber.core.jobs import run_job
from minicuber.core.partstore import PartStore
from minicuber.core.progress import Progress
from scenery import collection_file, scene

YEAR = hours("2019-12-01", "2021-01-10")
ONE = (np.array([47.0]), np.array([8.0]))


def one_mm_per_hour(folder, times=YEAR, **how):
    dataset = store(times, ("tp",), *ONE, units={"tp": "mm"}, values=1.0, **how)
    return to_zarr(dataset, folder / "rain.zarr")


IRREGULAR = [dt.date(2020, 1, 3) + dt.timedelta(days=int(n)) for n in np.cumsum(
    [0, 2, 3, 5, 5, 1, 1, 10, 5, 2, 3, 22, 1, 4, 5, 5, 5, 40, 3, 2, 5, 5, 60, 1, 5, 5, 30, 5, 5, 2, 3, 45, 5, 5, 40]
)]  # fmt: skip
AXES = {
    "irregular": IRREGULAR,
    "every fifth day": [dt.date(2020, 1, 5) + dt.timedelta(days=5 * n) for n in range(73)],
    "every day": [dt.date(2020, 1, 1) + dt.timedelta(days=n) for n in range(366)],
    "month ends and the leap day": days_of(
        "2020-01-31", "2020-02-28", "2020-02-29", "2020-03-01", "2020-12-31"
    ),
    "one": days_of("2020-02-29"),
}


# --- the ramp: no hour is lost or counted twice ---------------------------------------------------------------


@pytest.mark.parametrize("window", ["since_previous", "trailing"])
@pytest.mark.parametrize("axis", AXES)
def test_constant_rain_is_24_mm_a_day_in_every_step(tmp_path, axis, window):
    """Over month ends, the leap day, irregular dates and gaps; the original lost 7.3 % of the hours."""
    days = AXES[axis]
    cube = weather(one_mm_per_hour(tmp_path), ("tp", "sum"), days, tmp_path / "parts", era5_window=window)
    lengths = np.array([(last - first) / np.timedelta64(1, "D") for first, last in steps(days, window)])
    if window == "since_previous":
        assert lengths.sum() == (days[-1] - days[0]).days + 5
    np.testing.assert_array_equal(cube["era5_tp"], (lengths * 24 * 1e-3).astype(np.float32))
    bounds = cube["time_bnds"].astype("datetime64[D]")
    np.testing.assert_array_equal(bounds, np.array(steps(days, window)).astype("datetime64[D]"))


@pytest.mark.parametrize("axis", ["irregular", "every fifth day"])
@pytest.mark.parametrize("how", ["sum", "mean", "min", "max", "median", "std", "p95"])
def test_steps_take_the_hours_of_the_contract(tmp_path, axis, how):
    """The sum over all steps is the sum over all hours; every other aggregation by its own."""
    days = AXES[axis]
    dataset = store(YEAR, ("tp", "t2m"), *ONE)
    path = to_zarr(dataset, tmp_path / "store.zarr")
    cube = weather(path, ("tp", how, "t", how), days, tmp_path / "parts")
    numpy = {"p95": lambda part: np.percentile(part, 95)}.get(how, lambda part: getattr(np, how)(part))
    for name, ours, side in (("tp", "era5_tp", "right"), ("t2m", "era5_t", "left")):
        values = dataset[name].values[:, 0, 0]
        edges = [np.searchsorted(YEAR, np.array(each), side) for each in steps(days)]
        wanted = [numpy(values[first:last]) for first, last in edges]
        np.testing.assert_allclose(cube[ours], wanted, rtol=1e-6)
        if how == "sum":
            whole = values[edges[0][0] : edges[-1][1]].sum()
            np.testing.assert_allclose(cube[ours].astype(float).sum(), whole, rtol=1e-6)


def test_value_of_each_day(tmp_path):
    """ERA5_DAILY: every day that a step takes, with the days' own bounds; they add up to the steps."""
    dataset = store(YEAR, ("tp", "t2m"), *ONE)
    path = to_zarr(dataset, tmp_path / "store.zarr")
    days = days_of("2020-02-27", "2020-03-10", "2020-03-12")
    asked = ("tp", "sum", "t", "max", "t", "min")
    cube = weather(path, asked, days, tmp_path / "parts", era5_daily=True)
    every = [dt.date(2020, 2, 23) + dt.timedelta(days=n) for n in range(19)]
    np.testing.assert_array_equal(
        cube["time_daily"].astype("datetime64[D]"), np.array(every, "datetime64[D]")
    )
    np.testing.assert_array_equal(cube["time_daily_bnds"][:, 0], cube["time_daily"])
    np.testing.assert_array_equal(cube["time_daily_bnds"][:, 1], cube["time_daily"] + 1)
    for name, variable, how, ending in (
        ("era5_tp_daily", "tp", "sum", True), ("era5_t_max_daily", "t2m", "max", False),
        ("era5_t_min_daily", "t2m", "min", False),
    ):  # fmt: skip
        wanted = plain(dataset[variable][:, 0, 0], every, how, ending, step_days=1)
        np.testing.assert_allclose(cube[name], wanted, rtol=1e-6)
        assert cube.dims[name] == ("time_daily",)
    daily, whole = (cube[name].astype(float).sum() for name in ("era5_tp_daily", "era5_tp"))
    assert daily == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize(("last", "whole"), [("2020-03-05T23", False), ("2020-03-06T00", True)])
def test_hour_ending_store_that_stops_at_23_cannot_complete_its_last_day(tmp_path, caplog, last, whole):
    """Its instantaneous values can."""
    times = hours("2020-02-20", "2020-03-10")
    times = times[: np.searchsorted(times, np.datetime64(last), "right")]
    path = to_zarr(store(times, ("tp", "t2m"), *ONE), tmp_path / "store.zarr")
    days = days_of("2020-02-28", "2020-03-05")
    cube = weather(path, ("tp", "sum", "t", "mean"), days, tmp_path / "parts")
    assert list(np.isfinite(cube["era5_tp"])) == [True, whole]
    assert np.isfinite(cube["era5_t"]).all()
    assert ("Steps without a value" in caplog.text and "era5_tp 1 of 2" in caplog.text) != whole


def test_first_step_is_whole_and_its_hours_are_read_from_before_the_first_image(tmp_path):
    path = one_mm_per_hour(tmp_path, hours("2019-12-25", "2020-01-10"))
    cube = weather(path, ("tp", "sum"), days_of("2020-01-02", "2020-01-03"), tmp_path / "parts", step_days=9)
    np.testing.assert_allclose(cube["era5_tp"], [9 * 0.024, 0.024])


# --- names and words -----------------------------------------------------------------------------------------


def test_names_and_attributes(tmp_path):
    path = to_zarr(store(YEAR, ("tp", "t2m", "d2m"), *ONE), tmp_path / "store.zarr")
    asked = ("tp", "sum", "t", "mean", "t", "max", "t", "P95", "t", "p2.5", "dp", "", "rh", "mean")
    cube = weather(path, asked, IRREGULAR, tmp_path / "parts")
    names = {name for name in cube.arrays if name.startswith("era5")}
    assert names == {
        "era5_tp",
        "era5_t_mean",
        "era5_t_max",
        "era5_t_p95",
        "era5_t_p2_5",
        "era5_dp",
        "era5_rh",
    }
    assert all(cube.dims[name] == ("time",) and cube[name].dtype == np.float32 for name in names)
    assert cube.attributes["time"]["bounds"] == "time_bnds" and cube.dims["time_bnds"] == ("time", "nv")
    said = cube.attributes["era5_tp"]
    assert said["units"] == "m" and said["cell_methods"] == "time: sum" and "store.zarr" in said["source"]
    assert cube.attributes["era5_t_max"]["cell_methods"] == "time: maximum"
    assert "95" in cube.attributes["era5_t_p95"]["cell_methods"]
    for name in names:
        assert {"long_name", "units", "source", "resampling", "cell_methods"} <= cube.attributes[name].keys()


# --- space ---------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    st.floats(-180, 180),
    st.floats(-89.9, 89.9),
    st.sampled_from([0.1, 0.25, 1.0]),
    st.booleans(),
    st.booleans(),
)
def test_nearest_cell_is_nearest_by_the_great_circle(lon, lat, step, wide, rising):
    """By brute force over all cells, the angle of vectors; high latitudes and the seams included."""
    count = round(180 / step)
    latitudes = 90.0 - np.arange(count + 1) * step
    latitudes = latitudes[:: -1 if rising else 1]
    longitudes = np.arange(2 * count) * step - (0.0 if wide else 180.0)
    rows = np.flatnonzero(np.abs(latitudes - lat) < 4 * step)  # no farther one can be nearest
    b, a = np.radians(latitudes[rows])[:, None], np.radians(longitudes)[None, :]
    cells = np.stack(np.broadcast_arrays(np.cos(b) * np.cos(a), np.cos(b) * np.sin(a), np.sin(b)), -1)
    y, x = np.radians(lat), np.radians(lon)
    chord = np.linalg.norm(cells - [np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)], axis=-1)
    found = nearest_cells(Axes(latitudes, longitudes), lon, lat)
    row, column, away = found[0]
    exact = 2 * 6371.0088 * np.arcsin(chord.min() / 2)
    assert away == pytest.approx(exact, abs=2e-3)
    assert np.all(np.diff([each[2] for each in found]) > -1e-5)
    assert great_circle(lon, lat, longitudes[column], latitudes[row]) == pytest.approx(exact, abs=2e-3)


@pytest.mark.parametrize("place", [(8.0, 47.0), (8.11, 46.9), (25.0, 71.3)])
@pytest.mark.parametrize("order", [1, -1])
def test_maps_are_those_of_an_independent_interpolation(tmp_path, place, order):
    """xarray's own (scipy), at the pixel centres in degrees, of values that plain xarray aggregated."""
    latitudes = (place[1] + np.arange(-4, 5) * 0.25 + 0.03)[::order]
    longitudes = place[0] + np.arange(-4, 5) * 0.25 - 0.04
    times = hours("2020-02-24", "2020-03-02")
    dataset = store(times, ("t2m", "tp"), latitudes, longitudes)
    path = to_zarr(dataset, tmp_path / "store.zarr", (40, 2, 2))
    days, asked = days_of("2020-02-28", "2020-03-01"), ("t", "mean", "tp", "sum")
    box = grid(*place, size=30, resolution=1500.0)
    cube = weather(path, asked, days, tmp_path / "parts", box, era5_space="auto")
    xs, ys = np.meshgrid(box.x, box.y)
    lon, lat = transform_points(xs.ravel(), ys.ravel(), box.crs, "EPSG:4326")
    lon, lat = (xr.DataArray(each.reshape(xs.shape), dims=("y", "x")) for each in (lon, lat))
    for ours, name, how, ending in (("era5_t", "t2m", "mean", False), ("era5_tp", "tp", "sum", True)):
        for number, (first, last) in enumerate(steps(days)):
            stamps = dataset.time.values
            inside = (stamps > first) & (stamps <= last) if ending else (stamps >= first) & (stamps < last)
            field = getattr(dataset[name][inside], how)("time").sortby("latitude")
            wanted = field.interp(longitude=lon, latitude=lat, method="linear")
            assert np.isfinite(wanted).all()
            np.testing.assert_allclose(cube[ours][number], wanted, rtol=3e-7)
    assert cube.dims["era5_t"] == ("time", "y", "x")


def test_size_of_the_extent_against_the_cell_decides_between_series_and_maps(tmp_path):
    path = to_zarr(store(YEAR[:200], ("t2m",), LATITUDES, LONGITUDES), tmp_path / "store.zarr")
    for resolution, dims in (
        (600.0, ("time",)),
        (2500.0, ("time", "y", "x")),
    ):  # 24 km and 100 km against 0.25
        box = grid(*PLACE, size=40, resolution=resolution)
        cube = weather(
            path, ("t", "mean"), days_of("2019-12-07"), tmp_path / f"{resolution}", box, era5_space="auto"
        )
        assert cube.dims["era5_t"] == dims


# --- real data -------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_real_era5_of_a_year_is_what_plain_xarray_makes_of_it(shared, tmp_path):
    """ERA5_example_data.nc: packed, 0.25 degrees, falling latitudes; every variable of it that we know."""
    path = shared / "data/era5/ERA5_example_data.nc"
    days = [
        dt.date(2017, 1, 9) + dt.timedelta(days=int(n))
        for n in np.cumsum([0, 3, 7, 5, 40, 5, 10, 100, 1, 30, 60])
    ]
    names = {
        "t": ("t2m", "mean"), "sp": ("sp", "min"), "sr": ("ssrd", "sum"), "east_wind_10": ("u10", "std"),
        "north_wind_10": ("v10", "max"), "east_wind_100": ("u100", "median"), "north_wind_100": ("v100", "mean"),
    }  # fmt: skip
    asked = tuple(each for name, (_, how) in names.items() for each in (name, how))
    cube = weather(path, (*asked, "wind_10", "mean"), days, tmp_path / "parts", (13.3, 52.5))
    with xr.open_dataset(path) as data:
        cell = data.sel(longitude=13.35, latitude=52.6, method="nearest").load()
        assert float(cell.latitude) == pytest.approx(52.6) and float(cell.longitude) == pytest.approx(13.35)
        for name, (theirs, how) in names.items():
            array = cell[theirs].astype(float)
            wanted = plain(array, days, how, theirs == "ssrd")
            assert np.isfinite(wanted).all()
            np.testing.assert_allclose(cube[f"era5_{name}"], wanted, rtol=2e-6, err_msg=name)
        wind = np.hypot(cell.u10.astype(float), cell.v10.astype(float))
        np.testing.assert_allclose(cube["era5_wind_10"], plain(wind, days, "mean"), rtol=2e-6)


@pytest.mark.real
def test_real_era5_as_maps_is_what_xarray_interpolates(shared, tmp_path):
    path = shared / "data/era5/ERA5_example_data.nc"
    days = days_of("2017-03-09", "2017-03-21", "2017-03-31")
    box = grid(13.35, 52.475, size=10, resolution=1500.0)
    cube = weather(path, ("t", "mean", "sr", "sum"), days, tmp_path / "parts", box, era5_space="bilinear")
    xs, ys = np.meshgrid(box.x, box.y)
    lon, lat = transform_points(xs.ravel(), ys.ravel(), box.crs, "EPSG:4326")
    lon, lat = (xr.DataArray(each.reshape(xs.shape), dims=("y", "x")) for each in (lon, lat))
    second = np.timedelta64(1, "s")
    with xr.open_dataset(path) as data:
        for number, (first, last) in enumerate(steps(days)):
            for ours, name, how, moved in (("era5_t", "t2m", "mean", 0), ("era5_sr", "ssrd", "sum", 1)):
                span = slice(first + moved * second, last - (1 - moved) * second)
                part = getattr(data[name].sel(time=span).astype(float), how)("time")
                wanted = part.sortby("latitude").interp(longitude=lon, latitude=lat)
                assert np.isfinite(wanted).all()
                np.testing.assert_allclose(cube[ours][number], wanted, rtol=1e-6)


@pytest.mark.real
def test_real_hourly_rain_and_sun_are_not_taken_for_sums_since_midnight(shared, tmp_path, caplog):
    """tas_pr of a basin has one place and other names; as ERA5's own names it is read whole."""
    with xr.open_dataset(shared / "data/era5/tas_pr_20180101-20180108.nc") as data:
        data = data.rename(pr="tp", tas="t2m").drop_encoding().load()
    path = to_zarr(data[["tp", "t2m"]], tmp_path / "store.zarr")
    days = days_of("2018-01-05", "2018-01-07")
    cube = weather(path, ("tp", "sum", "t", "mean"), days, tmp_path / "parts")
    np.testing.assert_allclose(cube["era5_tp"], plain(data.tp.astype(float), days, "sum", True), rtol=1e-5)
    np.testing.assert_allclose(cube["era5_t"], plain(data.t2m.astype(float), days, "mean"), rtol=1e-6)
    assert "accumulated since" not in caplog.text


# --- a run that goes on where it stopped, and the estimate ---------------------------------------------------------


def chunk_requests(server):
    return sum(
        n for path, n in server.requests.items() if path[-1].isdigit() and "." in path.rpartition("/")[2]
    )


def test_second_run_reads_nothing_that_the_first_has_kept(serve, tmp_path):
    path = to_zarr(store(YEAR[:2400], ("tp", "t2m")), tmp_path / "store.zarr", (48, 3, 3))
    server, parts = serve(path.parent), tmp_path / "parts"
    first = weather(f"{server.url}/store.zarr", ("t", "mean", "tp", "sum"), IRREGULAR[:10], parts)
    assert chunk_requests(server) > 20
    server.requests.clear()
    again = weather(f"{server.url}/store.zarr", ("t", "mean", "tp", "sum"), IRREGULAR[:10], parts)
    assert chunk_requests(server) == 0
    for name, values in first.arrays.items():
        np.testing.assert_array_equal(values, again[name])


def test_run_that_was_broken_off_goes_on(serve, tmp_path):
    """What was read before a variable failed is not read again."""
    path = to_zarr(store(YEAR[:2400], ("tp", "t2m")), tmp_path / "store.zarr", (48, 3, 3))
    server, parts = serve(path.parent), tmp_path / "parts"
    server.rule = lambda asked: 403 if "/tp/20." in asked.path else None
    asked = ("t", "mean", "tp", "sum")
    with pytest.raises(Exception, match="refuses access"):
        weather(f"{server.url}/store.zarr", asked, IRREGULAR[:10], parts)
    server.rule = lambda asked: None
    server.requests.clear()
    cube = weather(f"{server.url}/store.zarr", asked, IRREGULAR[:10], parts)
    assert not any("/t2m/" in path and "." in path.rpartition("/")[2][1:] for path in server.requests)
    assert np.isfinite(cube["era5_tp"]).all()


def test_file_that_was_replaced_is_read_again(tmp_path):
    path, days = tmp_path / "store.nc", IRREGULAR[:3]
    store(YEAR, ("t2m",), *ONE).to_netcdf(path, engine="h5netcdf")
    weather(path, ("t", "mean"), days, tmp_path / "parts")
    store(YEAR, ("t2m",), *ONE, values=280.0, time="valid_time").to_netcdf(path, engine="h5netcdf")
    np.testing.assert_array_equal(weather(path, ("t", "mean"), days, tmp_path / "parts")["era5_t"], 280.0)


@pytest.mark.parametrize("chunks", [(33792, 4, 4), (100, 3, 3), (24, 7, 7)])
@pytest.mark.parametrize("space", ["nearest", "bilinear"])
def test_estimate_of_the_download_is_right_within_a_factor_of_three(serve, tmp_path, chunks, space):
    dataset = store(YEAR if chunks[0] > 100 else YEAR[:2400], ("t2m", "tp"))
    rng = np.random.default_rng(2)
    for name in dataset.data_vars:  # 16 bits of what is measured, in float32
        dataset[name] = (
            dataset[name].dims,
            rng.normal(280, 8, dataset[name].shape).astype(np.float16).astype("f4"),
        )
    server = serve(to_zarr(dataset, tmp_path / "store.zarr", chunks).parent)
    made = climate(f"{server.url}/store.zarr", ("t", "mean", "tp", "sum"), IRREGULAR[:10], era5_space=space)
    made.look(Progress())
    _, download = made.estimate_mb()
    before = sum(server.sent.values())
    (tmp_path / "parts").mkdir()
    made.read(PartStore(tmp_path / "parts"), Progress())
    real = (sum(server.sent.values()) - before) / 1e6
    assert real / 3 <= download <= real * 3


@pytest.mark.parametrize("chunked", [True, False])
def test_estimate_of_a_netcdf_file_on_a_server(serve, tmp_path, chunked):
    latitudes, longitudes = np.arange(60, 40, -0.25), np.arange(0, 30, 0.25)
    dataset = store(hours("2020-01-01", "2020-01-12"), ("t2m",), latitudes, longitudes)
    how = {"chunksizes": (24, 10, 10)} if chunked else {}
    dataset.to_netcdf(tmp_path / "era5.nc", engine="h5netcdf", encoding={"t2m": {"dtype": "f4", **how}})
    server = serve(tmp_path)
    made = climate(f"{server.url}/era5.nc", ("t", "mean"), days_of("2020-01-08"), step_days=8)
    made.look(Progress())
    _, download = made.estimate_mb()
    (tmp_path / "parts").mkdir()
    made.read(PartStore(tmp_path / "parts"), Progress())
    real = server.sent["era5.nc"] / 1e6
    assert chunked or real / 3 <= download <= real * 3
    assert made.estimate_mb()[0] < 1


# --- from end to end ------------------------------------------------------------------------------------------------


def order(folder, source, days, variables=("t", "mean", "tp", "sum"), **recipe):
    crs, corner = "EPSG:32632", (422_000.0, 5_206_000.0)  # around 8 E, 47 N
    items = [scene(folder, f"S2A_{day}", crs, corner, f"{day}T10:30:00Z", size=60) for day in days]
    return {
        "recipe": {
            "extent": [422_100.0, 422_400.0, 5_205_600.0, 5_205_900.0], "extent_crs": crs, "start": "2020-01-01",
            "end": "2020-12-31", "catalog": str(collection_file(folder, items)), "s2_bands": ["B02"],
            "era5_source": str(source), "era5_variables": variables, **recipe,
        },
        "output": str(folder / "cube.nc"), "parts_folder": str(folder / "parts"), "chunk_cache": "none",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["cube.nc", "cube.zarr"])
@pytest.mark.parametrize("space", ["nearest", "bilinear"])
def test_cube_with_weather(tmp_path, name, space):
    dataset = store(YEAR, ("t2m", "tp"))
    dataset["tp"] = (dataset.tp * 0 + 1.0).assign_attrs(units="mm")
    path = to_zarr(dataset, tmp_path / "era5.zarr")
    days = [day.isoformat() for day in IRREGULAR[1:12]]
    asked = order(tmp_path, path, days, era5_space=space, era5_daily=True)
    asked["output"] = str(tmp_path / name)
    run_job("buildminicube", asked, Progress())
    with xr.open_dataset(tmp_path / name, **({"engine": "zarr"} if name.endswith("zarr") else {})) as cube:
        rain = cube.era5_tp.values.reshape(len(days), -1)
        lengths = [(last - first) / np.timedelta64(1, "D") for first, last in steps(IRREGULAR[1:12])]
        np.testing.assert_allclose(rain, np.array(lengths)[:, None] * 0.024 + 0 * rain, rtol=1e-6)
        assert cube.era5_t.dims == (("time",) if space == "nearest" else ("time", "y", "x"))
        np.testing.assert_allclose(cube.era5_tp_daily, 0.024, rtol=1e-6)
        assert cube.sizes["time_daily"] == sum(lengths)
        bounds = cube.time_bnds.values
        assert (bounds[1:, 0] == bounds[:-1, 1]).all() and cube.time.attrs["bounds"] == "time_bnds"
        assert "era5.zarr" in cube.attrs["era5_source"]
        if space == "nearest":
            series = dataset.t2m.sel(latitude=PLACE[1], longitude=PLACE[0])
            np.testing.assert_allclose(cube.era5_t, plain(series, IRREGULAR[1:12], "mean"), rtol=1e-6)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"era5_source": "nowhere"}, "no climate store named 'nowhere'"),
        ({"era5_variables": ("dp", "mean")}, "has no 2 metre dew point temperature"),
        ({"era5_variables": ("t", "mode")}, "Unknown aggregation"),
        ({"era5_variables": ()}, "ERA5_VARIABLES is empty"),
        ({"era5_window": "next"}, "Unknown ERA5_WINDOW"),
        ({"era5_space": "cubic"}, "Unknown ERA5_SPACE"),
        ({"min_hours_share": 0.0}, "MIN_HOURS_SHARE is no share"),
        ({"era5_source": "https://a.org/x.zarr?token=abc"}, "ERA5_SOURCE holds a password or a token"),
        ({"era5_source": "ecmwf-era5"}, "wants a token"),
    ],
)
def test_what_cannot_be_had_is_said_before_any_image_is_read(tmp_path, changed, sentence, monkeypatch):
    from minicuber.core.errors import MinicuberError

    monkeypatch.setattr("minicuber.core.build.write_cube", lambda *given: pytest.fail("read an image"))
    path = to_zarr(store(YEAR[:500]), tmp_path / "era5.zarr")
    asked = order(tmp_path, path, ["2020-01-06"], ("t", "mean"))
    asked["recipe"] |= changed
    with pytest.raises(MinicuberError, match=sentence) as caught:
        run_job("buildminicube", asked, Progress())
    assert "\n" not in str(caught.value) and not (tmp_path / "cube.nc").exists()


def test_hours_from_before_the_source_begins_are_no_error_but_missing(tmp_path):
    path = one_mm_per_hour(tmp_path, hours("2020-01-03", "2020-01-20"))
    cube = weather(path, ("tp", "sum"), days_of("2020-01-05", "2020-01-10"), tmp_path / "parts")
    assert np.isnan(cube["era5_tp"][0]) and cube["era5_tp"][1] == np.float32(0.12)
    assert isinstance(cube, Collected)
