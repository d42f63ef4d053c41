"""Steps of a cube beside what pandas and xarray make of the same values; nothing else of it is changed."""

from __future__ import annotations

import itertools
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from cubes import opened, save
from minicuber.core import aggregate_cube as module
from minicuber.core.aggregate_cube import AggregateParameters, aggregate_time
from minicuber.core.cube.describe import DescribeParameters, describe_cube
from minicuber.core.cube.read import grid_of, read_cube
from minicuber.core.errors import Cancelled, InputError
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress
from pyproj import CRS

N_DATES, HEIGHT, WIDTH = 40, 70, 6  # two blocks of rows
START = "2020-02-03"  # the leap day lies within


def dates(n=N_DATES, step=3, hours=0.0) -> pd.DatetimeIndex:
    return pd.Timestamp(START) + pd.to_timedelta(np.arange(n) * step * 24 + hours, "h")


def example(seed=1) -> xr.Dataset:
    """Images every third day, days of weather without and with pixels, what does not change, text and dates."""
    rng = np.random.default_rng(seed)
    images, daily = dates(), pd.date_range(START, periods=N_DATES * 3 - 2)
    reflectance = rng.uniform(0.0, 0.6, (N_DATES, HEIGHT, WIDTH)).round(4).astype("float32")
    reflectance[rng.random(reflectance.shape) < 0.3] = np.nan
    reflectance[:, 3, 2] = np.nan
    static = rng.normal(500, 50, (HEIGHT, WIDTH)).astype("float32")
    cube = xr.Dataset(
        {
            "s2_B04": (
                ("time", "y", "x"),
                reflectance,
                {"long_name": "red", "units": "1", "source": "Sentinel-2"},
            ),
            "s2_mask": (("time", "y", "x"), rng.integers(0, 5, reflectance.shape).astype("uint8")),
            "s2_avail": (("time",), rng.integers(0, 2, N_DATES).astype("uint8"), {"units": "1"}),
            "s2_item_id": (("time",), np.array([f"item {n} é" for n in range(N_DATES)], dtype=object)),
            "s2_time": (("time",), images + pd.Timedelta("10h")),
            "era5_tp_daily": (
                ("time_daily",),
                rng.gamma(1, 2, len(daily)),
                {"units": "m", "long_name": "rain"},
            ),
            "era5_t_daily": (
                ("y", "time_daily", "x"),
                rng.normal(280, 5, (HEIGHT, len(daily), WIDTH)).astype("float32"),
                {"units": "K", "cell_methods": "time_daily: mean"},
            ),
            "cop_dem": (("y", "x"), static, {"units": "m", "long_name": "elevation"}),
            "profile": (("depth", "y", "x"), np.stack([static, 2 * static]), {"units": "1"}),
            "orbit": ((), np.int32(22)),
        },
        {
            "time": images,
            "time_daily": daily,
            "y": 5_200_015.0 - 10 * np.arange(HEIGHT),
            "x": 600_005.0 + 10 * np.arange(WIDTH),
            "depth": ("depth", [0.1, 0.3], {"units": "m"}),
        },
        {
            "title": "An example",
            "history": "2021-01-01T00:00:00Z made by a test",
            "recipe": '{"a": 1}',
            "license": "x",
        },
    )
    cube.s2_mask.attrs = {
        "flag_values": np.arange(5, dtype="uint8"),
        "flag_meanings": "a b c d e",
        "long_name": "mask",
    }
    cube["spatial_ref"] = ((), np.int32(0), CRS("EPSG:32632").to_cf())
    for name in ("s2_B04", "s2_mask", "era5_t_daily", "cop_dem"):
        cube[name].attrs["grid_mapping"] = "spatial_ref"
    cube.s2_B04.encoding = {
        "dtype": "int16",
        "scale_factor": np.float32(1e-4),
        "_FillValue": np.int16(-32768),
    }
    return cube


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The example in both formats, by ending; not to be changed."""
    folder = tmp_path_factory.mktemp("aggregate")
    return {kind: save(example(), folder / f"valley{kind}") for kind in (".nc", ".zarr")}


@pytest.fixture
def aggregate(made, tmp_path, request):
    """`aggregate(pairs, output="new.nc", cube=None, **options)`: the new cube, opened by plain xarray."""

    def call(pairs, output="new.nc", cube=None, progress=None, **options):
        path = tmp_path / output
        parameters = AggregateParameters(str(cube or made[".nc"]), pairs, output=str(path), **options)
        result = aggregate_time(parameters, progress or Progress())
        assert result.output == str(path)
        found = opened(path, request)
        assert result.n_dates == found.sizes["time"]
        return found

    return call


def steps_of(variable: xr.DataArray, how: str, step_days: int, like=None) -> np.ndarray:
    """What pandas makes of it, along the variable's time dimension: (step, ...)."""
    (dim,) = (d for d in variable.dims if d.startswith("time"))
    first, last = pd.Timestamp(START), dates()[-1]
    ends = pd.date_range(first, last, freq=f"{step_days}D") + pd.Timedelta(days=step_days - 1)
    ends = pd.DatetimeIndex(like) if like is not None else ends[ends <= last]
    starts = [ends[0] - pd.Timedelta(days=step_days), *ends[:-1]]
    rest = [d for d in ("y", "x") if d in variable.dims]
    values = variable.transpose(dim, *rest).values.reshape(variable.sizes[dim], -1)
    frame = pd.DataFrame(values, index=variable[dim].values)
    out = []
    for start, end in zip(starts, ends, strict=True):
        part = frame[
            (frame.index >= start + pd.Timedelta(days=1)) & (frame.index < end + pd.Timedelta(days=1))
        ]
        if how == "std":
            made = part.std(ddof=0)
        elif how.startswith("p"):
            made = part.quantile(float(how[1:]) / 100)
        else:
            made = part.sum(min_count=1) if how == "sum" else getattr(part, how)()
        out.append(made.to_numpy())
    return np.array(out).reshape(len(ends), *(variable.sizes[d] for d in rest))


@pytest.mark.parametrize("kind", [".nc", ".zarr"])
@pytest.mark.parametrize("output", ["new.nc", "new.zarr"])
def test_steps_are_those_of_pandas(aggregate, made, kind, output):
    hows = ["mean", "min", "max", "sum", "median", "std", "p10", "p95"]
    sources = ["s2_B04", "era5_tp_daily", "era5_t_daily"]
    found = aggregate([(s, h) for s in sources for h in hows], output, made[kind], step_days=8)
    with read_cube(made[kind]) as cube:
        for source in sources:
            for how in hows:
                expected = steps_of(cube[source], how, 8)
                new = found[f"{source}_{how}"]
                assert new.dtype == np.float32
                assert not {"scale_factor", "add_offset"} & set(new.encoding)
                np.testing.assert_allclose(new, expected, rtol=2e-6, atol=1e-7, err_msg=f"{source} {how}")
    assert found.era5_t_daily_mean.dims == ("time", "y", "x")
    assert found.era5_tp_daily_sum.dims == ("time",)


def test_regular_steps_run_from_the_first_day_over_the_leap_day_to_the_last(aggregate):
    found = aggregate([("era5_tp_daily", "sum")], step_days=5)
    with example() as cube:
        first, last = cube.time.values[[0, -1]].astype("datetime64[D]")
        count = ((last - first).astype(int) + 1) // 5
        ends = first + (5 * (np.arange(count) + 1) - 1).astype("timedelta64[D]")
        np.testing.assert_array_equal(found.time.values.astype("datetime64[D]"), ends)
        assert np.datetime64("2020-02-29") in cube.time_daily.values.astype("datetime64[D]")
        within = cube.era5_tp_daily.sel(time_daily=slice(None, ends[-1]))
        np.testing.assert_allclose(found.era5_tp_daily.sum(), within.sum(), rtol=1e-6)
    assert found.time_bnds.dims == ("time", "nv")
    assert found.time.attrs["bounds"] == "time_bnds"
    bounds = found.time_bnds.values.astype("datetime64[D]")
    np.testing.assert_array_equal(bounds[:, 1], ends + np.timedelta64(1, "D"))
    np.testing.assert_array_equal(bounds[1:, 0], bounds[:-1, 1])
    assert bounds[0, 0] == first


def test_like_gives_its_dates_and_all_that_lies_on_them_unchanged(aggregate, made):
    found = aggregate([("era5_tp_daily", "sum"), ("era5_t_daily", "mean")], like="s2_B04", step_days=5)
    cube = example()
    np.testing.assert_array_equal(found.time, cube.time)
    like = cube.time.values
    np.testing.assert_allclose(found.era5_tp_daily, steps_of(cube.era5_tp_daily, "sum", 5, like), rtol=2e-6)
    np.testing.assert_allclose(found.era5_t_daily, steps_of(cube.era5_t_daily, "mean", 5, like), rtol=2e-6)
    # Only three of the first step's five days are in the cube: two come before its first image.
    assert found.time_bnds.values[0].astype("datetime64[D]").tolist() == [
        (like[0] - np.timedelta64(4, "D")).astype("datetime64[D]").item(),
        (like[0] + np.timedelta64(1, "D")).astype("datetime64[D]").item(),
    ]
    with (
        xr.open_dataset(made[".nc"], decode_cf=False) as old,
        xr.open_dataset(found.encoding["source"], decode_cf=False) as new,
    ):
        for name in ("s2_B04", "s2_mask", "s2_avail", "s2_item_id", "s2_time", "cop_dem", "profile", "orbit"):
            assert new[name].dtype == old[name].dtype
            np.testing.assert_array_equal(new[name].values, old[name].values, err_msg=name)
            assert set(new[name].attrs) - {"grid_mapping"} == set(old[name].attrs) - {
                "grid_mapping",
                "coordinates",
            }
            for key in set(new[name].attrs) - {"grid_mapping"}:
                np.testing.assert_array_equal(new[name].attrs[key], old[name].attrs[key])
        assert new.s2_B04.dtype == np.int16
    assert found.s2_item_id.values[2] == "item 2 é"


def test_like_of_the_variable_itself_leaves_its_values(aggregate):
    found = aggregate([("s2_B04", "mean")], like="s2_B04")
    np.testing.assert_allclose(found.s2_B04, example().s2_B04, atol=6e-5)
    assert found.s2_B04.dtype == np.float32
    assert "s2_mask" in found


def test_images_to_the_days_of_weather(aggregate):
    found = aggregate([("s2_B04", "mean")], "new.zarr", like="era5_tp_daily", step_days=1)
    assert found.sizes["time"] == example().sizes["time_daily"]
    np.testing.assert_allclose(found.s2_B04[::3], example().s2_B04, atol=6e-5)
    assert found.s2_B04[1::3].isnull().all()
    np.testing.assert_array_equal(found.era5_tp_daily, example().era5_tp_daily)
    assert found.era5_t_daily.dims == ("time", "y", "x")
    assert found.era5_t_daily.attrs["cell_methods"] == "time: mean"
    assert "s2_mask" not in found


@pytest.mark.parametrize("output", ["new.nc", "new.zarr"])
def test_grid_static_variables_and_attributes_are_kept(aggregate, made, output, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    found = aggregate([("s2_B04", "max")], output)
    old = example()
    with read_cube(found.encoding["source"]) as new, read_cube(made[".nc"]) as cube:
        assert grid_of(new, "new") == grid_of(cube, "cube")
        assert CRS(new.spatial_ref.attrs["crs_wkt"]) == CRS("EPSG:32632")
    for name in ("x", "y", "cop_dem", "profile", "depth", "orbit"):
        np.testing.assert_array_equal(found[name], old[name])
    assert set(found.data_vars) - {"time_bnds", "spatial_ref"} == {"s2_B04", "cop_dem", "profile", "orbit"}
    assert {key: found.attrs[key] for key in ("title", "recipe", "license")} == {
        "title": "An example", "recipe": '{"a": 1}', "license": "x",
    }  # fmt: skip
    lines = found.attrs["history"].splitlines()
    assert lines[0] == "2021-01-01T00:00:00Z made by a test"
    assert re.fullmatch(
        r"2023-11-14T22:13:20Z minicuber \S+: aggregatetime of valley.nc, s2_B04 max, to steps of 5 days",
        lines[1],
    )
    assert len(lines) == 2
    attributes = found.s2_B04.attrs
    assert attributes["cell_methods"] == "time: maximum"
    assert (attributes["long_name"], attributes["units"], attributes["source"]) == ("red", "1", "Sentinel-2")
    assert attributes["comment"] == "largest of the values of each step, aggregated to steps of 5 days"


def test_units_of_a_sum_stay_and_methods_are_chained(aggregate):
    found = aggregate([("era5_tp_daily", "sum"), ("era5_t_daily", "p90"), ("era5_t_daily", "max")])
    assert found.era5_tp_daily.attrs["units"] == "m"
    assert found.era5_tp_daily.attrs["cell_methods"] == "time: sum"
    assert "sum of the values" in found.era5_tp_daily.attrs["comment"]
    assert found.era5_tp_daily.attrs["source"] == "era5_tp_daily of valley.nc"
    assert found.era5_t_daily_max.attrs["cell_methods"] == "time: mean time: maximum"
    assert (
        found.era5_t_daily_p90.attrs["cell_methods"] == "time: mean time: point (percentile 90 of the step)"
    )


@pytest.mark.parametrize("rows", [1, 7])
def test_blocks_of_rows_give_the_same_as_one(aggregate, monkeypatch, rows):
    pairs = [("s2_B04", "median"), ("s2_B04", "p90"), ("era5_t_daily", "std")]
    whole = aggregate(pairs, "whole.nc", step_days=11)
    monkeypatch.setattr(module, "VALUES_AT_ONCE", rows * WIDTH * N_DATES * 3)
    xr.testing.assert_identical(aggregate(pairs, "rows.nc", step_days=11).drop_attrs(), whole.drop_attrs())


def test_further_dimensions_stay_before_y_and_x(aggregate, tmp_path, monkeypatch):
    """Soil water at two depths, stored with the depths last."""
    monkeypatch.setattr(module, "VALUES_AT_ONCE", 5 * WIDTH * 2 * N_DATES)
    cube = example()[["era5_t_daily", "s2_B04", "profile", "spatial_ref"]]
    cube["water"] = (cube.s2_B04 * cube.depth).transpose("y", "x", "time", "depth")
    found = aggregate([("water", "max")], cube=save(cube, tmp_path / "soil.nc"), step_days=7)
    assert found.water.dims == ("time", "depth", "y", "x")
    for level in range(2):
        expected = steps_of(cube.water.isel(depth=level), "max", 7)
        np.testing.assert_allclose(found.water[:, level], expected, rtol=1e-6)
    assert found.depth.attrs == {"units": "m"}


@pytest.mark.parametrize("name", ["dataset_export", "dataset_export2"])
def test_cube_of_earthnet_minicuber(aggregate, shared, name):
    path = shared / "peers" / name / "cube.nc"
    with xr.open_dataset(path, engine="h5netcdf") as cube:
        found = aggregate([("s2_B04", "max"), ("s2_ndvi", "median")], cube=path, step_days=10)
        first = cube.time.values[0].astype("datetime64[D]")
        edges = pd.date_range(first, freq="10D", periods=found.sizes["time"] + 1)
        groups = [
            cube.s2_B04.values[(cube.time.values >= start) & (cube.time.values < end)]
            for start, end in itertools.pairwise(edges)
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            empty = np.full((1, *cube.s2_B04.shape[1:]), np.nan)
            expected = np.array([np.nanmax(np.concatenate([group, empty]), axis=0) for group in groups])
        if cube.lat[0] < cube.lat[-1]:
            expected = expected[:, ::-1]
        np.testing.assert_array_equal(found.s2_B04, expected)
        like = aggregate([("s2_B04", "max")], "like.nc", path, like="s2_B08")
        np.testing.assert_array_equal(like.time, cube.time.values.astype("datetime64[D]"))
        assert set(cube.data_vars) - {"crs"} <= set(like.data_vars) | set(like.coords)


def test_edges_of_rows_are_kept_with_their_corners_last(aggregate, tmp_path):
    cube = example()[["era5_tp_daily", "spatial_ref", "time", "x", "y"]]
    cube["y_bnds"] = (("y", "nv"), np.stack([cube.y + 5, cube.y - 5], axis=1))
    cube.y.attrs["bounds"] = "y_bnds"
    found = aggregate([("era5_tp_daily", "sum")], cube=save(cube, tmp_path / "edges.nc"))
    assert found.y.attrs["bounds"] == "y_bnds"
    assert found.y_bnds.dims == ("y", "nv")
    np.testing.assert_array_equal(found.y_bnds, cube.y_bnds)


def test_many_steps_are_more_than_one_block(aggregate):
    found = aggregate([("era5_t_daily", "max")], step_days=2)
    assert found.sizes["time"] > 32
    np.testing.assert_array_equal(found.era5_t_daily, steps_of(example().era5_t_daily, "max", 2))


def test_classes_have_extremes_and_no_mean(aggregate):
    found = aggregate([("s2_mask", "max"), ("s2_mask", "median")])
    np.testing.assert_array_equal(found.s2_mask_max, steps_of(example().s2_mask, "max", 5))
    assert found.s2_mask_max.attrs["flag_values"].dtype == np.float32
    assert found.s2_mask_max.attrs["flag_meanings"] == "a b c d e"
    assert "flag_values" not in found.s2_mask_median.attrs
    for how in ("mean", "sum", "std", "p50"):
        with pytest.raises(
            InputError, match=rf"s2_mask holds classes, of which there is no {how}\. .*min, max, med"
        ):
            aggregate([("s2_mask", how)])


def test_layers_are_those_that_loading_would_write(aggregate, tmp_path):
    found = aggregate([("s2_B04", "mean"), ("era5_tp_daily", "sum")])
    files = {each.name: each.stat().st_mtime_ns for each in (tmp_path / "new.layers").iterdir()}
    assert set(files) == {"s2_B04.vrt", "cop_dem.vrt"}
    described = describe_cube(DescribeParameters(str(tmp_path / "new.nc")), Progress())
    assert {each.name: each.stat().st_mtime_ns for each in (tmp_path / "new.layers").iterdir()} == files
    assert [layer.variable for layer in described.layers] == ["s2_B04", "cop_dem"]
    assert len(described.layers[0].dates) == found.sizes["time"]


def test_series_alone_make_a_cube_without_layers(aggregate, tmp_path):
    cube = example()[["era5_tp_daily", "spatial_ref", "time", "y", "x"]]
    found = aggregate([("era5_tp_daily", "sum")], cube=save(cube, tmp_path / "series.nc"))
    assert found.era5_tp_daily.dims == ("time",)
    with read_cube(tmp_path / "new.nc") as new:
        assert new.sizes["y"] == HEIGHT


# --- stamps and bounds ----------------------------------------------------------------------------


def hourly(tmp_path, ending: bool, bounds: bool):
    """Ten days of 1 mm an hour, by stamps of the hour's end or its beginning."""
    begin = pd.date_range("2020-02-25", periods=240, freq="h")
    stamps = begin + pd.Timedelta("1h") if ending else begin
    cube = xr.Dataset(
        {"tp": (("time",), np.ones(240), {"units": "mm"})},
        {"time": stamps, "y": [47.5, 47.25], "x": [8.0, 8.25]},
    )
    cube["crs"] = ((), 0, CRS("EPSG:4326").to_cf())
    if bounds:
        cube.time.attrs["bounds"] = "time_bounds"
        cube["time_bounds"] = (("time", "two"), np.stack([begin, begin + pd.Timedelta("1h")], axis=1))
    return save(cube, tmp_path / "hourly.nc")


@pytest.mark.parametrize(("ending", "bounds"), [(False, False), (False, True), (True, True)])
def test_last_hour_of_a_day_is_counted_where_its_bounds_lie(aggregate, tmp_path, ending, bounds):
    found = aggregate([("tp", "sum")], cube=hourly(tmp_path, ending, bounds))
    assert found.time.values.astype("datetime64[D]").astype(str).tolist() == ["2020-02-29", "2020-03-05"]
    assert found.tp.values.tolist() == [120, 120]
    assert "time_bounds" not in found


def test_stamps_count_at_their_instants_without_bounds(aggregate, tmp_path):
    found = aggregate([("tp", "sum")], step_days=1, cube=hourly(tmp_path, True, False))
    assert found.tp.values.tolist() == [23] + [24] * 9 + [1]


def test_own_steps_are_aggregated_to_longer_ones(aggregate, tmp_path):
    aggregate([("era5_tp_daily", "sum")], "five.nc", step_days=5).close()
    found = aggregate([("era5_tp_daily", "sum")], "ten.nc", tmp_path / "five.nc", step_days=10)
    np.testing.assert_allclose(found.era5_tp_daily, steps_of(example().era5_tp_daily, "sum", 10), rtol=1e-6)
    assert found.era5_tp_daily.attrs["cell_methods"] == "time: sum time: sum"


def test_steps_begin_with_the_first_image_whatever_the_weather_beside_it_covers(aggregate, tmp_path):
    """A cube with weather on the dates of its images has bounds, which are the weather's."""
    with aggregate([("era5_tp_daily", "sum")], "both.nc", like="s2_B04", step_days=5) as both:
        assert both.time_bnds.values[0, 0].astype("datetime64[D]") < both.time.values[0]
    found = aggregate([("s2_B04", "mean")], "images.nc", tmp_path / "both.nc", step_days=8)
    assert found.time_bnds.values[0, 0] == pd.Timestamp(START)
    np.testing.assert_allclose(found.s2_B04, steps_of(example().s2_B04, "mean", 8), rtol=1e-4, atol=1e-6)
    found = aggregate([("era5_tp_daily", "sum")], "weather.nc", tmp_path / "both.nc", step_days=8)
    assert found.time_bnds.values[0, 0] == pd.Timestamp(START) - pd.Timedelta("4D")


def test_dates_in_any_order_and_several_a_day(aggregate, tmp_path):
    cube = example()[["s2_B04", "s2_item_id", "spatial_ref"]]
    shuffled = cube.isel(time=np.random.default_rng(0).permutation(N_DATES))
    path = save(shuffled, tmp_path / "shuffled.nc")
    found = aggregate([("s2_B04", "mean")], cube=path, step_days=8)
    np.testing.assert_allclose(found.s2_B04, steps_of(cube.s2_B04, "mean", 8), rtol=1e-4, atol=1e-6)
    copied = aggregate([("s2_B04", "max"), ("s2_B04", "min")], "like.nc", cube=path, like="s2_B04")
    np.testing.assert_allclose(copied.s2_B04, cube.s2_B04, atol=6e-5)
    assert copied.s2_item_id.values.tolist() == cube.s2_item_id.values.tolist()
    twice = xr.concat(
        [cube, cube.assign_coords(time=cube.time + np.timedelta64(5, "h"))], "time", data_vars="minimal"
    )
    found = aggregate([("s2_B04", "mean")], "twice.nc", save(twice, tmp_path / "twice.nc.nc"), like="s2_B04")
    np.testing.assert_allclose(found.s2_B04, cube.s2_B04, atol=6e-5)
    assert "s2_item_id" not in found


@pytest.mark.parametrize("output", ["new.nc", "new.zarr"])
def test_cube_of_others_in_latitudes_from_south_to_north(aggregate, tmp_path, output):
    """As earthnet-minicuber names its dimensions; no CRS."""
    cube = (
        example()
        .drop_vars(["spatial_ref", "s2_mask"])
        .rename(y="lat", x="lon")
        .isel(lat=slice(None, None, -1))
    )
    cube["lat"], cube["lon"] = 47 + 0.001 * np.arange(HEIGHT), 8 + 0.001 * np.arange(WIDTH)
    for name in cube.variables:
        cube[name].attrs.pop("grid_mapping", None)
    found = aggregate([("s2_B04", "mean")], output, save(cube, tmp_path / "other.nc"), step_days=8)
    np.testing.assert_array_equal(found.y, cube.lat.values[::-1])
    np.testing.assert_array_equal(found.x, cube.lon)
    np.testing.assert_array_equal(found.cop_dem, example().cop_dem)
    np.testing.assert_allclose(found.s2_B04, steps_of(example().s2_B04, "mean", 8), rtol=1e-4, atol=1e-6)
    assert found.y.attrs["standard_name"] == "latitude"
    assert found.y.attrs["units"] == "degrees_north"
    with rasterio.open(tmp_path / "new.layers" / "s2_B04.vrt") as raster:
        assert raster.crs.to_epsg() == 4326
        np.testing.assert_allclose(raster.bounds[3], cube.lat.values[-1] + 0.0005)
        np.testing.assert_array_equal(raster.read(2), found.s2_B04[1])
    with read_cube(found.encoding["source"]) as new:
        assert grid_of(new, "new").crs == "EPSG:4326"


# --- wrong input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pairs", "options", "words"),
    [
        ([], {}, "VARIABLES is empty"),
        ([("s2_B04", "average")], {}, "Unknown aggregation: 'average'.*median"),
        ([("s2_B04", "")], {}, "VARIABLES lacks an aggregation for s2_B04"),
        ([("", "mean")], {}, "VARIABLES lacks a variable for mean"),
        ([("s2_B04", "mean", "x")], {}, "VARIABLES has a row that is not"),
        ([("s2_B04", "p95"), ("s2_B04", "P95.0")], {}, "VARIABLES has s2_B04, p95 2 times"),
        (
            [("s2_B99", "mean")],
            {},
            "no variable s2_B99. It has over time: s2_B04, s2_mask, s2_avail, era5_tp",
        ),
        ([("cop_dem", "mean")], {}, "cop_dem does not change with time"),
        ([("x", "mean")], {}, "x does not change with time"),
        ([("s2_item_id", "max")], {}, "s2_item_id holds text or dates"),
        ([("s2_time", "max")], {}, "s2_time holds text or dates"),
        (
            [("s2_B04", "mean")],
            {"like": "s2_B99"},
            "LIKE: the cube has no variable s2_B99. It has over time: s2_B04",
        ),
        ([("s2_B04", "mean")], {"like": "cop_dem"}, "LIKE: cop_dem does not change with time"),
        ([("s2_B04", "mean")], {"step_days": 0}, "STEP_DAYS is less than 1: 0"),
        ([("s2_B04", "mean")], {"step_days": 999}, "shorter than one step of 999 days"),
        ([("s2_B04", "mean")], {"output": "a.tif"}, "OUTPUT does not end in .nc or .zarr"),
        ([("s2_B04", "mean")], {"output": "valley.nc"}, None),
        ([("s2_B04", "mean")], {"cube": "no/such.nc"}, "CUBE does not exist"),
    ],
)
def test_wrong_input_is_said_before_any_work(aggregate, tmp_path, pairs, options, words):
    if words is None:
        options = {"output": "own.nc", "cube": save(example(), tmp_path / "own.nc")}
        words = "OUTPUT is the cube itself"
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=words):
        aggregate(pairs, **options)
    assert sorted(tmp_path.iterdir()) == before


def test_name_that_is_taken_is_refused(aggregate, tmp_path):
    cube = example()
    cube["s2_B04_max"] = cube.cop_dem
    with pytest.raises(InputError, match="two variables s2_B04_max"):
        aggregate([("s2_B04", "max"), ("s2_B04", "min")], cube=save(cube, tmp_path / "a.nc"))


def test_missing_cube_and_missing_output_are_named(made, tmp_path):
    pairs = (("s2_B04", "mean"),)
    with pytest.raises(InputError, match="CUBE is missing"):
        aggregate_time(AggregateParameters("", pairs, output=str(tmp_path / "a.nc")), Progress())
    with pytest.raises(InputError, match="OUTPUT is missing"):
        aggregate_time(AggregateParameters(str(made[".nc"]), pairs), Progress())


# --- the job --------------------------------------------------------------------------------------


class Seen(Progress):
    def __init__(self, cancel_at: float = 2.0) -> None:
        super().__init__()
        self.seen: list[tuple[float, str]] = []
        self._cancel_at = cancel_at

    def show(self, fraction: float, text: str) -> None:
        self.seen.append((fraction, text))
        if fraction >= self._cancel_at:
            self.cancel()


def test_job_runs_by_name_with_plain_values_and_says_how_far_it_is(made, tmp_path):
    progress = Seen()
    order = {
        "cube": str(made[".nc"]),
        "variables": [["s2_B04", "mean"]],
        "step_days": 5,
        "output": str(tmp_path / "a.nc"),
    }
    result = run_job("aggregatetime", order, progress)
    assert result["title"].startswith("a, 2020-02-07 to 2020-")
    fractions = [fraction for fraction, _ in progress.seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert "s2_B04, rows 65 to 70 of 70, steps 1 to 23 of 23" in [text for _, text in progress.seen]


@pytest.mark.parametrize("output", ["a.nc", "a.zarr"])
def test_cancel_leaves_what_was_there(aggregate, tmp_path, output):
    found = aggregate([("s2_B04", "mean")], output)
    old = found.load()
    found.close()
    before = sorted(each.name for each in tmp_path.rglob("*"))
    for when in (0.0, 0.5):
        with pytest.raises(Cancelled):
            aggregate([("s2_B04", "max"), ("s2_mask", "max")], output, progress=Seen(when))
    assert sorted(each.name for each in tmp_path.rglob("*")) == before
    with read_cube(tmp_path / output) as cube:
        np.testing.assert_array_equal(cube.s2_B04, old.s2_B04)
