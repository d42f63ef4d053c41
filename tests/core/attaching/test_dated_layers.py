"""Rasters with dates become one variable over time: none is put on a wrong date, none is invented."""

from __future__ import annotations

import datetime as dt
import logging

import numpy as np
import pytest
import rasterio
import rasterio.vrt
import xarray as xr
from minicuber.core.cube.write import open_cube
from minicuber.core.errors import InputError
from minicuber.core.grid import Grid
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress

GRID = Grid("EPSG:32632", 405_000.0, 5_201_000.0, 10.0, 10.0, 30, 20)
DAYS = [dt.date(2020, 6, 6) + dt.timedelta(days=5 * number) for number in range(40)]  # more than one chunk


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    """40 dates every 5 days from 2020-06-06, and a series."""
    path = tmp_path_factory.mktemp("cube") / "valley.nc"
    with open_cube(path, GRID, DAYS, (), {"title": "valley"}) as writer:
        writer.add("era5_t", ("time",), np.arange(40.0), long_name="temperature", units="K")
    return path


def raster(path, *bands, names=(), nodata=None, colours=None, units="", **how):
    values = np.stack([np.broadcast_to(np.asarray(band), GRID.shape) for band in bands])
    with rasterio.open(
        path, "w", driver="GTiff", height=20, width=30, count=len(bands), dtype=values.dtype, crs=GRID.crs,
        transform=GRID.geobox.transform, nodata=nodata, **how,
    ) as file:  # fmt: skip
        file.write(values)
        for number, name in enumerate(names, start=1):
            file.set_band_description(number, name)
        if colours:
            file.write_colormap(1, colours)
        file.units = [units] * len(bands)
    return path


def layer(path, name="vhi", **how):
    return {"name": name, "title": path.stem, "source": path.name, "path": str(path), **how}


def attach(cube, tmp_path, *layers, output="out.nc", decoded=True, **how):
    order = {"cube": str(cube), "layers": list(layers), "output": str(tmp_path / output), **how}
    result = run_job("attachlayers", order, Progress())
    opener = xr.open_zarr if output.endswith(".zarr") else xr.open_dataset
    with opener(tmp_path / output, mask_and_scale=decoded, decode_times=decoded) as made:
        return made.load(), result


def dates_of(made, name="vhi"):
    return [None if np.isnat(day) else str(day)[:10] for day in made[f"{name}_date"].values]


def test_each_raster_comes_to_the_step_of_its_date(cube, tmp_path):
    """Given in no order, and with one whose date the cube does not have."""
    days = ["2020-06-21", "2020-06-06", "2020-12-18", "2020-06-08"]
    layers = [layer(raster(tmp_path / f"vhi_{day}.tif", np.float32(n))) for n, day in enumerate(days)]
    made, result = attach(cube, tmp_path, *layers)
    assert made.vhi.dims == ("time", "y", "x") and made.vhi.dtype == "float32"
    expected = dict.fromkeys(map(str, DAYS), np.nan) | {"2020-06-06": 1, "2020-06-21": 0, "2020-12-18": 2}
    np.testing.assert_array_equal(made.vhi[:, 3, 4], list(expected.values()))
    assert dates_of(made)[0] == "2020-06-06" and dates_of(made)[1] is None
    assert result["steps"] == {"vhi": 3} and made.vhi.attrs["steps_with_raster"] == 3
    assert result["coverage"] == {"vhi": 7.5} and made.vhi.attrs["long_name"] == "vhi"
    np.testing.assert_array_equal(made.era5_t, np.arange(40))
    assert (tmp_path / "out.layers/vhi.vrt").exists()


def test_a_zarr_cube_holds_the_same(cube, tmp_path):
    paths = [raster(tmp_path / f"vhi_{day}.tif", np.float32(day.day)) for day in DAYS[30:36]]
    layers = [layer(path) for path in paths]
    here, _ = attach(cube, tmp_path, *layers)
    there, _ = attach(cube, tmp_path, *layers, output="out.zarr")
    np.testing.assert_array_equal(here.vhi, there.vhi)
    np.testing.assert_array_equal(here.vhi_date, there.vhi_date)


@pytest.mark.parametrize(
    ("how", "tolerance", "expected"),
    [
        ("exact", 0, [None, None, None, None]),
        ("nearest", 0, ["2020-06-08", "2020-06-10", "2020-06-17", "2020-06-22"]),
        ("nearest", 1, [None, "2020-06-10", "2020-06-17", "2020-06-22"]),
        ("last", 0, [None, "2020-06-10", "2020-06-10", "2020-06-17"]),
        ("last", 3, [None, "2020-06-10", None, None]),
    ],
)
def test_no_value_comes_from_later_than_asked(cube, tmp_path, how, tolerance, expected):
    """2020-06-10 beside the step of the 11th, 06-17 beside that of the 16th, 06-22 beside that of the 21st."""
    days = ["2020-06-08", "2020-06-10", "2020-06-17", "2020-06-22"]
    layers = [layer(raster(tmp_path / f"vhi_{day}.tif", np.float32(int(day[-2:])))) for day in days]
    options = {"date_match": how, "date_tolerance": tolerance}
    if how == "exact":
        with pytest.raises(InputError, match="No raster of vhi fits a date of the cube"):
            attach(cube, tmp_path, *layers, **options)
        assert not (tmp_path / "out.nc").exists()
        return
    made, _ = attach(cube, tmp_path, *layers, **options)
    assert dates_of(made)[:4] == expected
    values = [np.nan if day is None else float(day[-2:]) for day in expected]
    np.testing.assert_array_equal(made.vhi[:4, 0, 0], values)


def test_bands_with_dates_are_one_variable_unless_one_is_chosen(cube, tmp_path):
    names = ["2020-06-11", "Band 2: 2020-06-06", "20200616"]
    path = raster(tmp_path / "stack.tif", *np.float32([1, 2, 3]), names=names, units="m")
    made, result = attach(cube, tmp_path, layer(path))
    np.testing.assert_array_equal(made.vhi[:4, 0, 0], [2, 1, 3, np.nan])
    assert result["steps"] == {"vhi": 3} and made.vhi.attrs["units"] == "m"
    made, result = attach(cube, tmp_path, layer(path, band=2))
    assert made.vhi.dims == ("y", "x") and (made.vhi == 2).all() and result["steps"] == {}


@pytest.mark.parametrize("names", [["2020-06-06", ""], ["2020-06-06", "2020-06-06"], ["", ""]])
def test_bands_of_which_one_has_no_date_of_its_own_stay_bands(cube, tmp_path, names):
    """Red, green and blue of one date are no series, nor are bands of which only some are dated."""
    path = raster(tmp_path / "vhi_2020-06-06.tif", *np.float32([1, 2]), names=names)
    made, _ = attach(cube, tmp_path, layer(path))
    assert made.vhi.dims == ("y", "x") and (made.vhi == 1).all() and "vhi_date" not in made


def test_several_stacks_and_single_rasters_are_joined(cube, tmp_path):
    first = raster(tmp_path / "a.tif", *np.float32([1, 2]), names=["2020-06-06", "2020-06-11"])
    second = raster(tmp_path / "b_20200616.tif", *np.float32([8, 3]), names=["red", "nir"])
    made, _ = attach(cube, tmp_path, layer(first), layer(second, band=2))
    np.testing.assert_array_equal(made.vhi[:4, 0, 0], [1, 2, 3, np.nan])


def test_known_dates_go_before_names_and_the_pattern_before_both(cube, tmp_path):
    paths = [
        raster(tmp_path / f"x_{day}_2020{n}.tif", np.float32(n))
        for n, day in ((158, 20200616), (163, 20200621))
    ]
    layers = [layer(path, dates=[day]) for path, day in zip(paths, ("2020-06-26", "2020-07-01"), strict=True)]
    assert dates_of(attach(cube, tmp_path, *layers)[0])[4:6] == ["2020-06-26", "2020-07-01"]
    made, _ = attach(cube, tmp_path, *layers, date_pattern="%Y%j")
    assert dates_of(made)[:3] == ["2020-06-06", "2020-06-11", None]


def test_tiles_of_one_date_are_a_mosaic_of_which_the_first_counts(cube, tmp_path):
    left, right = np.full(GRID.shape, 1, "float32"), np.full(GRID.shape, 2, "float32")
    left[:, 20:], right[:, :10] = -1, -1
    paths = [
        raster(tmp_path / f"{name}_2020-06-06.tif", values, nodata=-1)
        for name, values in (("west", left), ("east", right))
    ]
    made, _ = attach(cube, tmp_path, *map(layer, paths))
    assert (made.vhi[0, :, :20] == 1).all() and (made.vhi[0, :, 20:] == 2).all()


def test_classes_have_one_legend_for_all_dates(cube, tmp_path):
    """A class of the second date alone must not be lost, nor take the number of what is missing."""
    first, second = np.full(GRID.shape, 10, "uint8"), np.full(GRID.shape, 255, "uint8")
    first[0], second[1] = 0, 0
    paths = [
        raster(tmp_path / f"lc_{day}.tif", v, nodata=0) for day, v in ((20200606, first), (20200611, second))
    ]
    layers = [
        layer(paths[0], classes=True, legend={"10": "Forest"}, colours={"10": "#006400"}),
        layer(paths[1], colours={"255": "#ff0000"}),
    ]
    made, _ = attach(cube, tmp_path, *layers, decoded=False)
    said = made.vhi.attrs
    assert said["flag_values"].tolist() == [10, 255] and said["flag_meanings"] == "Forest class_255"
    assert said["flag_colors"] == "#006400 #ff0000" and said["_FillValue"] not in (10, 255)
    assert made.vhi.dtype == "uint8" and (made.vhi[0, 1:] == 10).all() and (made.vhi[1, 2:] == 255).all()
    missing = made.vhi == said["_FillValue"]
    assert missing[0, 0].all() and missing[1, 1].all() and missing[2:].all() and not missing[0, 1:].any()


def test_one_class_with_two_names_is_refused(cube, tmp_path):
    paths = [raster(tmp_path / f"lc_{day}.tif", np.uint8(3)) for day in (20200606, 20200611)]
    layers = [
        layer(paths[0], classes=True, legend={"3": "Oak"}),
        layer(paths[1], classes=True, legend={"3": "Fir"}),
    ]
    with pytest.raises(InputError, match="The class 3 of vhi has two names: Oak and Fir"):
        attach(cube, tmp_path, *layers)


def test_different_units_are_not_mixed(cube, tmp_path):
    paths = [
        raster(tmp_path / f"h_{day}.tif", np.float32(3), units=unit)
        for day, unit in ((20200606, "m"), (20200611, "cm"))
    ]
    with pytest.raises(InputError, match="different units: m and cm"):
        attach(cube, tmp_path, *map(layer, paths))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("a", "b_2020-06-06"),
            "2 layers would become the variable vhi, which needs a date of each: a has none",
        ),
        (("x_20200606_20200616", "b_2020-06-06"), r"x_20200606_20200616 has 2 \(2020-06-06, 2020-06-16\)"),
        (("tile_20201399", "b_2020-06-06"), "tile_20201399 has none"),
    ],
)
def test_layers_of_one_name_without_a_certain_date_are_refused(cube, tmp_path, names, message):
    paths = [raster(tmp_path / f"{name}.tif", np.float32(1)) for name in names]
    with pytest.raises(InputError, match=message):
        attach(cube, tmp_path, *map(layer, paths))
    assert not (tmp_path / "out.nc").exists()


def test_rasters_that_miss_the_cube_are_refused_and_one_of_many_is_named(cube, tmp_path, caplog):
    here = raster(tmp_path / "vhi_20200606.tif", np.float32(1))
    empty = raster(tmp_path / "vhi_20200611.tif", np.float32(-1), nodata=-1)
    with caplog.at_level(logging.INFO):
        attach(cube, tmp_path, layer(here), layer(empty))
    assert "at 1 steps the raster has no value" in caplog.text and "2 of the 40 steps" in caplog.text
    again = raster(tmp_path / "vhi_20200616.tif", np.float32(-1), nodata=-1)
    with pytest.raises(InputError, match="The rasters of vhi have no value within the cube"):
        attach(cube, tmp_path, layer(empty), layer(again))


def test_a_static_layer_in_the_place_of_a_dated_one_takes_its_dates_away(cube, tmp_path):
    layers = [layer(raster(tmp_path / f"vhi_{day}.tif", np.float32(1))) for day in DAYS[:2]]
    attach(cube, tmp_path, *layers, output="a.nc")
    with pytest.raises(InputError, match="has a variable vhi already"):
        attach(tmp_path / "a.nc", tmp_path, *layers, replace=False)
    made, _ = attach(tmp_path / "a.nc", tmp_path, layers[0])
    assert made.vhi.dims == ("y", "x") and "vhi_date" not in made
    assert "ancillary_variables" not in made.vhi.attrs


def test_why_a_raster_was_resampled_as_it_was_is_said(cube, tmp_path):
    plain = raster(tmp_path / "plain.tif", np.uint8(3))
    table = raster(tmp_path / "table.tif", np.uint8(3), colours={3: (1, 2, 3, 255), 4: (9, 9, 9, 255)})
    grey = raster(tmp_path / "grey.tif", np.uint8(3), colours={n: (n, n, n, 255) for n in range(256)})
    floats = raster(tmp_path / "floats.tif", np.float32(3))
    layers = [layer(path, path.stem) for path in (plain, table, grey, floats)]
    layers.append(layer(table, "mixed", method="average"))
    made, _ = attach(cube, tmp_path, *layers)
    said = {
        name: made[name].attrs["resampling_choice"] for name in ("plain", "table", "grey", "floats", "mixed")
    }
    assert said == {
        "plain": "auto: continuous (whole numbers without a legend), on the lattice of the grid",
        "table": "auto: classes (colour table), on the lattice of the grid",
        "grey": "auto: continuous (whole numbers without a legend), on the lattice of the grid",
        "floats": "auto: continuous (no whole numbers by its type), on the lattice of the grid",
        "mixed": "asked for: continuous (average mixes values), on the lattice of the grid",
    }
    assert made.table.attrs["flag_colors"] == "#010203" and "flag_values" not in made.grey.attrs


def test_the_real_forest_index_of_three_dates(shared, tmp_path):
    """Swiss LV95 rasters on a cube in UTM: the first date is what gdal makes of its file alone."""
    folder = shared / "data" / "swisseo_vhi_bern_2026"
    grid = Grid("EPSG:32632", 380_400.0, 5_201_000.0, 10.0, 10.0, 60, 50)
    days = [dt.date(2026, 6, 18) + dt.timedelta(days=number) for number in range(20)]
    with open_cube(tmp_path / "c.nc", grid, days, (), {"title": "bern"}) as writer:
        writer.add("n", ("time",), np.arange(20.0), long_name="n", units="1")
    files = sorted(folder.glob("swisseo_vhi_bern_crop_*.tif"))
    made, _ = attach(tmp_path / "c.nc", tmp_path, *(layer(path, method="nearest") for path in files))
    assert [n for n, day in enumerate(dates_of(made)) if day] == [0, 8, 17]
    for number, path in zip((0, 8, 17), files, strict=True):
        with (
            rasterio.open(path) as file,
            rasterio.vrt.WarpedVRT(
                file, crs=grid.crs, transform=grid.geobox.transform, width=60, height=50
            ) as warped,
        ):
            expected = warped.read(1, masked=True).astype("float64").filled(np.nan)
        assert np.isfinite(expected).any()
        assert (np.nan_to_num(made.vhi[number], nan=-1) != np.nan_to_num(expected, nan=-1)).mean() < 0.01
