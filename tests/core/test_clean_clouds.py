"""The job that cleans a cube: whole cubes in and out, whatever the blocks; nothing else of the cube is changed."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from cubes import opened, save
from minicuber.core import clean_blocks as blocks
from minicuber.core.clean_clouds import CleanParameters, clean_clouds
from minicuber.core.cleaning.clean import Axis, cleaned
from minicuber.core.cleaning.options import CleaningOptions
from minicuber.core.cleaning.report import SHARES, CleaningReport
from minicuber.core.errors import Cancelled, InputError
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress
from pyproj import CRS
from scipy import ndimage

N_DATES, HEIGHT, WIDTH = 90, 70, 67  # two blocks each way
FILL = -32768


def example(seed: int = 1) -> xr.Dataset:
    """Packed bands, NDVI, a mask with clouds of some pixels, classes, weather, elevation."""
    rng = np.random.default_rng(seed)
    times = pd.Timestamp("2019-01-02") + pd.to_timedelta(np.arange(N_DATES) * 5, "D")
    shape = (N_DATES, HEIGHT, WIDTH)
    clouds = ndimage.zoom(rng.random((N_DATES, 8, 8)), (1, HEIGHT / 8, WIDTH / 8), order=1)[
        :, :HEIGHT, :WIDTH
    ]
    season = np.sin(2 * np.pi * np.arange(N_DATES) / 73)[:, None, None]
    ndvi = 0.5 + 0.3 * season + rng.normal(0, 0.02, shape)
    mask = np.where(clouds > 0.62, 1, 0).astype("uint8")
    mask[rng.random(shape) < 0.02] = 3
    ndvi[mask == 1] = 0.05
    cube = xr.Dataset(coords={"time": times})
    for name, values in {"B04": 0.2 * (1 - ndvi) / (1 + ndvi), "B08": np.full(shape, 0.2)}.items():
        cube[f"s2_{name}"] = (("time", "y", "x"), values.astype("float32"), {"long_name": name, "units": "1"})
        cube[f"s2_{name}"].encoding = {
            "dtype": "int16", "scale_factor": np.float32(1e-4), "_FillValue": np.int16(FILL)
        }  # fmt: skip
    cube["s2_ndvi"] = (("time", "y", "x"), ndvi.astype("float32"), {"long_name": "NDVI", "units": "1"})
    said = {
        "flag_values": np.arange(5, dtype="uint8"),
        "flag_meanings": "clear cloud cloud_shadow snow other",
    }
    cube["s2_mask"] = (("time", "y", "x"), mask, said)
    cube["s2_AOT"] = (("time", "y", "x"), rng.random(shape).astype("float32"), {"units": "1"})
    cube["era5_t"] = (("time",), rng.normal(280, 5, N_DATES), {"units": "K"})
    cube["cop_dem"] = (("y", "x"), rng.normal(500, 50, shape[1:]).astype("float32"), {"units": "m"})
    cube["spatial_ref"] = ((), np.int32(0), CRS("EPSG:32632").to_cf())
    return cube.assign_coords(y=5_200_015.0 - 10 * np.arange(HEIGHT), x=600_005.0 + 10 * np.arange(WIDTH))


def series(cube: xr.Dataset, name: str) -> np.ndarray:
    return cube[name].values.reshape(cube.sizes["time"], -1).T


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return save(example(), tmp_path_factory.mktemp("cubes") / "cube.nc")


def clean(path, output, progress=None, **parameters):
    return clean_clouds(CleanParameters(str(path), str(output), **parameters), progress or Progress())


@pytest.mark.parametrize(("mode", "ending"), [("robust", ".nc"), ("robust", ".zarr"), ("seed", ".nc")])
def test_blocks_are_the_whole(path, tmp_path, request, mode, ending):
    """The cube in blocks, on disk, is what cleaning all its series at once gives; all else is as it was."""
    result = clean(path, tmp_path / f"clean{ending}", options={"mode": mode})
    cube, before = opened(tmp_path / f"clean{ending}", request), opened(path, request)
    options = CleaningOptions(mode=mode)
    names = ["s2_B04", "s2_B08", "s2_ndvi"]
    values = {name: series(before, name) for name in names}
    axis = Axis(before.time.values.astype("datetime64[D]"), options)
    done = cleaned(values, values["s2_ndvi"], series(before, "s2_mask"), axis)
    for name in names:
        np.testing.assert_allclose(series(cube, name), done.values[name], atol=1e-7)
        assert cube[name].encoding["dtype"] == np.float32 and "scale_factor" not in cube[name].encoding
        assert (cube[name].attrs["fitted_from"], cube[name].attrs["fitted_to"]) == (
            "2019-01-02",
            "2020-03-22",
        )
        assert CleaningOptions.from_json(json.loads(cube[name].attrs["cleaning"])) == options
    np.testing.assert_array_equal(series(cube, "s2_filled") == 1, done.filled)
    np.testing.assert_array_equal(cube.to_sample.values.ravel() == 1, done.sampled)
    np.testing.assert_array_equal(cube.s2_longest_gap.values.ravel(), done.gap)
    gone = sum(each.sum() for each in done.removed.values())
    clear = sum(each.sum() for each in done.clear.values())
    assert result.removed_percent == pytest.approx(100 * gone / clear)
    of_date = sum(each.sum(axis=0) for each in done.removed.values())
    all_of_date = sum(each.sum(axis=0) for each in done.clear.values())
    np.testing.assert_allclose(cube.s2_removed_share, of_date / all_of_date, atol=1e-6)
    for name in ("s2_mask", "s2_AOT", "era5_t", "cop_dem"):
        np.testing.assert_array_equal(cube[name].values, before[name].values)
    assert "cleanclouds of cube.nc" in cube.attrs["history"]


def test_at_most_the_share_goes(path, tmp_path, request):
    """Of each pixel's clear dates, floor(0.05 N): the number that the contract names."""
    result = clean(path, tmp_path / "clean.nc", options={"method": "none"})
    cube, before = opened(tmp_path / "clean.nc", request), opened(path, request)
    clear = (before.s2_mask == 0) & np.isfinite(before.s2_ndvi)
    left = np.isfinite(cube.s2_ndvi).sum("time")
    np.testing.assert_array_equal(clear.sum("time") - left, np.floor(0.05 * clear.sum("time") + 1e-9))
    assert result.removed_percent < 5


def test_size_of_blocks_is_nothing_to_the_result(path, tmp_path, request, monkeypatch):
    clean(path, tmp_path / "large.nc", options={"dilate": 3})
    monkeypatch.setattr(blocks, "VALUES", 90 * 3 * 64)
    monkeypatch.setattr(blocks, "SERIES", 37)
    monkeypatch.setattr(blocks.os, "cpu_count", lambda: 1)
    clean(path, tmp_path / "small.nc", options={"dilate": 3})
    large, small = opened(tmp_path / "large.nc", request), opened(tmp_path / "small.nc", request)
    for name in ("s2_B04", "s2_ndvi"):
        np.testing.assert_allclose(large[name].values, small[name].values, atol=1e-6)
    for name in ("s2_filled", "to_sample", "s2_longest_gap"):
        np.testing.assert_array_equal(large[name].values, small[name].values)


def test_clouds_grow_over_the_edges_of_blocks(path, tmp_path, request):
    clean(path, tmp_path / "clean.nc", options={"dilate": 4, "method": "none", "remove_fraction": 0})
    cube, before = opened(tmp_path / "clean.nc", request), opened(path, request)
    rows, columns = np.ogrid[-4:5, -4:5]
    disk = (rows**2 + columns**2 <= 16)[None]
    expected = ndimage.binary_dilation(before.s2_mask.values == 1, disk) | (before.s2_mask.values > 0)
    np.testing.assert_array_equal(cube.s2_filled.values == 1, expected)


def test_ndvi_is_made_where_the_cube_has_none(tmp_path, request):
    given = save(example().drop_vars("s2_ndvi"), tmp_path / "bands.nc")
    clean(given, tmp_path / "clean.nc", options={"method": "none", "remove_fraction": 0})
    cube = opened(tmp_path / "clean.nc", request)
    ndvi = (cube.s2_B08 - cube.s2_B04) / (cube.s2_B08 + cube.s2_B04)
    np.testing.assert_allclose(cube.s2_ndvi, ndvi, atol=1e-5)


def test_a_cube_may_take_its_own_place_and_be_cleaned_again(tmp_path, request, caplog):
    given = save(example(), tmp_path / "cube.nc")
    clean(given, given)
    clean(given, given, options={"method": "linear"})
    assert "was cleaned before" in caplog.text
    assert len(opened(given, request).attrs["history"].splitlines()) == 2


def test_dates_in_any_order(tmp_path, request):
    cube = example()
    save(cube, tmp_path / "sorted.nc")
    order = np.random.default_rng(3).permutation(N_DATES)
    save(cube.isel(time=order), tmp_path / "mixed.nc")
    clean(tmp_path / "sorted.nc", tmp_path / "a.nc")
    clean(tmp_path / "mixed.nc", tmp_path / "b.nc")
    first, second = opened(tmp_path / "a.nc", request), opened(tmp_path / "b.nc", request).sortby("time")
    np.testing.assert_array_equal(first.s2_ndvi.values, second.s2_ndvi.values)


def test_what_was_filled_before_is_not_seen_the_next_time(tmp_path, request):
    """The second cleaning took outliers that the first had filled for observations, and s2_filled said so."""
    given = save(example(), tmp_path / "cube.nc")
    clean(given, tmp_path / "first.nc", options={"method": "linear"})
    clean(tmp_path / "first.nc", tmp_path / "second.nc", options={"method": "linear", "remove_fraction": 0})
    first, second = opened(tmp_path / "first.nc", request), opened(tmp_path / "second.nc", request)
    np.testing.assert_array_equal(first.s2_filled.values, second.s2_filled.values)
    np.testing.assert_allclose(first.s2_ndvi.values, second.s2_ndvi.values, atol=1e-6)


def test_one_variable_after_the_other(tmp_path, request):
    """What was filled in the first stays marked when the second is cleaned."""
    cube = example()
    cube["s2_B04"][5] = np.nan
    given = save(cube, tmp_path / "cube.nc")
    for name in ("s2_B04", "s2_B08"):
        clean(given, given, variables=(name,), options={"method": "linear", "remove_fraction": 0})
    found = opened(given, request)
    assert found.s2_filled.values[5].all()
    clear = (cube.s2_mask.values == 0)[5]
    np.testing.assert_allclose(found.s2_B08.values[5][clear], 0.2, atol=1e-4)


@pytest.mark.parametrize("mode", ["robust", "seed"])
def test_only_0_is_clear_in_a_mask_of_numbers(tmp_path, request, mode):
    """0.5 and 256 became 0, clear, when they were made classes."""
    cube = example().isel(y=slice(8), x=slice(8))
    mask = cube.s2_mask.values.astype("float32")
    strange = np.array([0.5, 256, -1, 1e9, np.nan, -0.3], "float32")
    mask[10:16, 2, 3] = strange
    cube["s2_mask"] = (("time", "y", "x"), mask)
    clean(save(cube, tmp_path / "c.nc"), tmp_path / "d.nc", options={"mode": mode, "remove_fraction": 0})
    assert opened(tmp_path / "d.nc", request).s2_filled.values[10:16, 2, 3].all()


def test_clouds_that_stay_do_not_grow_over_what_goes(tmp_path, request):
    """With DROP other, clouds grew over the dates without data and made them clear."""
    cube = example().isel(y=slice(8), x=slice(8))
    cube["s2_mask"][20, 3, 3:5] = [1, 4]
    options = {"drop": ("other",), "dilate": 2, "method": "none", "remove_fraction": 0}
    clean(save(cube, tmp_path / "c.nc"), tmp_path / "d.nc", options=options)
    assert opened(tmp_path / "d.nc", request).s2_filled.values[20, 3, 4] == 1


def test_cubes_that_say_little_are_described(tmp_path, request):
    """Variables of earthnet-minicuber have neither names nor units."""
    cube = example().isel(y=slice(8), x=slice(8))
    for name in ("s2_B04", "s2_ndvi"):
        cube[name].attrs = {}
    clean(save(cube, tmp_path / "c.nc"), tmp_path / "d.nc", options={"method": "linear"})
    found = opened(tmp_path / "d.nc", request)
    for name in ("s2_B04", "s2_ndvi"):
        said = found[name].attrs
        assert (said["long_name"], said["units"], said["source"]) == (name, "1", f"{name} of c.nc")


def test_ranges_of_the_stored_numbers_go(tmp_path, request):
    cube = example()
    cube["s2_B04"].attrs |= {"valid_min": np.int16(0), "valid_max": np.int16(10000)}
    clean(save(cube, tmp_path / "c.nc"), tmp_path / "d.nc", options={"method": "linear"})
    assert not {"valid_min", "valid_max"} & set(opened(tmp_path / "d.nc", request).s2_B04.attrs)


def test_a_mask_of_other_classes_is_refused(tmp_path):
    """The scene classification was taken for a mask: vegetation, 4, went as `other`, and with it the whole cube."""
    cube = example().isel(y=slice(8), x=slice(8))
    cube["s2_SCL"] = cube.s2_mask.assign_attrs(
        flag_values=np.arange(12, dtype="uint8"), flag_meanings=" ".join("abcdefghijkl")
    )
    with pytest.raises(InputError, match=r"MASK: s2_SCL has classes that s2_mask does not have \(5, 6"):
        clean(save(cube, tmp_path / "c.nc"), tmp_path / "d.nc", mask="s2_SCL")


def test_a_cube_without_mask_has_that_of_its_classification(tmp_path, request, caplog):
    """Else all its clouds would count as clear."""
    given = example()
    scl = np.array([4, 9, 3, 11, 0], "uint8")[given.s2_mask.values]
    given["s2_SCL"] = (("time", "y", "x"), scl)
    clean(save(given, tmp_path / "both.nc"), tmp_path / "a.nc")
    clean(save(given.drop_vars("s2_mask"), tmp_path / "scl.nc"), tmp_path / "b.nc")
    assert "has no s2_mask: it is made of s2_SCL" in caplog.text
    first, second = opened(tmp_path / "a.nc", request), opened(tmp_path / "b.nc", request)
    for name in ("s2_ndvi", "s2_B04", "s2_filled"):
        np.testing.assert_array_equal(first[name].values, second[name].values)


def test_a_cube_without_mask_says_so(tmp_path, request, caplog):
    given = save(example().drop_vars("s2_mask"), tmp_path / "cube.nc")
    clean(given, tmp_path / "clean.nc", options={"method": "linear", "remove_fraction": 0})
    assert "no s2_mask" in caplog.text
    assert not opened(tmp_path / "clean.nc", request).s2_filled.values.any()


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"options": {"driver": "evi"}}, "DRIVER: cube.nc has no images evi"),
        ({"variables": ("s2_B99",)}, "VARIABLES: cube.nc has no images s2_B99"),
        ({"mask": "cloud_mask"}, "MASK: cube.nc has no images cloud_mask"),
        ({"options": {"METHOD": "spline"}}, "METHOD cannot be 'spline'"),
        ({"options": {"years": "1990-1995"}}, "YEARS: cube.nc has no date in 1990-1995"),
        ({"options": {"lambda": 3}}, "Unknown parameter: lambda"),
        ({"report": "report.pdf"}, "REPORT does not end in .html"),
    ],
)
def test_wrong_wishes_are_refused_before_the_work(path, tmp_path, parameters, text):
    with pytest.raises(InputError, match=text):
        clean(path, tmp_path / "clean.nc", **parameters)
    assert list(tmp_path.iterdir()) == []


def test_two_images_of_a_day_are_refused(tmp_path):
    cube = example().isel(time=[0, 1, 1, 2])
    cube["time"] = np.array(["2019-01-01", "2019-01-02T10", "2019-01-02T11", "2019-01-03"], "datetime64[ns]")
    with pytest.raises(InputError, match="two images of one day"):
        clean(save(cube, tmp_path / "cube.nc"), tmp_path / "clean.nc")


def test_cancel_is_heard_within_a_block(path, tmp_path, monkeypatch):
    """A block may take many seconds: progress goes on within it, and never back."""
    seen = []

    class Listener(Progress):
        def show(self, fraction, text):
            seen.append(fraction)
            if "1 of 4 blocks" in text and sum("1 of 4 blocks" in each for each in texts) > 2:
                self.cancel()
            texts.append(text)

    texts: list[str] = []
    with pytest.raises(Cancelled):
        clean(path, tmp_path / "clean.nc", Listener())
    assert seen == sorted(seen) and len(set(seen)) == len(seen)
    assert not any("2 of 4 blocks" in each for each in texts)
    assert list(tmp_path.iterdir()) == []


def test_cancel_leaves_nothing(path, tmp_path):
    class Impatient(Progress):
        def show(self, fraction, text):
            if "blocks" in text:
                self.cancel()

    with pytest.raises(Cancelled):
        clean(path, tmp_path / "clean.nc", Impatient())
    assert list(tmp_path.iterdir()) == []


def test_report_counts_every_pixel(path, tmp_path, request, monkeypatch):
    """The share that was removed was told by date alone, not by pixel."""
    reports = []
    monkeypatch.setattr(CleaningReport, "write", lambda report, _path: reports.append(report))
    clean(path, tmp_path / "c.nc", report=str(tmp_path / "c.html"))
    percent = opened(tmp_path / "c.nc", request).s2_removed_percent.values
    assert reports[0].removed_of_pixels.sum() == reports[0].gaps.sum() == HEIGHT * WIDTH
    expected = np.histogram(percent.astype(float), SHARES)[0]
    assert np.abs(reports[0].removed_of_pixels - expected).sum() <= 0.01 * HEIGHT * WIDTH  # stored as float32


def test_report_shows_what_was_done(path, tmp_path):
    result = run_job(
        "cleanclouds",
        {"cube": str(path), "output": str(tmp_path / "c.nc"), "report": str(tmp_path / "c.html")},
        Progress(),
    )
    assert result["report"] == str(tmp_path / "c.html")
    page = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 4 and "REMOVE_FRACTION" in page
    for name in ("removed", "removed_of_pixels", "gaps", "curves"):
        assert (tmp_path / f"c_{name}.png").read_bytes().startswith(b"\x89PNG")
