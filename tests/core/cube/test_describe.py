"""What a cube says of its layers: which date is shown first, what each variable is, in which range it lies."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import xarray as xr
from minicuber.core.cube.describe import DescribeParameters, best_date, describe_cube, describe_layers
from minicuber.core.cube.encoding import CLASSES, Encoding, Variable, flags
from minicuber.core.cube.kinds import classes, colours, kind_of
from minicuber.core.cube.stretch import stretch_of
from minicuber.core.errors import InputError
from minicuber.core.progress import Progress

from .conftest import DAYS, VARIABLES

FLOAT = Encoding("float32", None, np.nan)


def test_clearest_date_is_shown_and_of_equals_the_sunniest():
    assert best_date([0.2, 0.9, 0.5], [60, 20, 60]) == 2
    assert best_date([1.0, 0.998, 0.7], [20, 60, 65]) == 2


def test_nothing_known_is_the_first_date_or_the_sunniest():
    nan = math.nan
    assert best_date([nan, nan], [nan, nan]) == 1
    assert best_date([nan, nan], [20.0, 30.0]) == 2


def described(path, *variables):
    return {
        layer.variable: layer
        for layer in describe_cube(DescribeParameters(str(path), variables), Progress()).layers
    }


@pytest.mark.parametrize(
    ("name", "attributes", "kind"),
    [
        ("s2_B8A", {}, "reflectance"),
        ("ls8_sr_B4", {}, "reflectance"),
        ("anything", {"standard_name": "toa_bidirectional_reflectance"}, "reflectance"),
        ("s2_ndvi", {}, "index"),
        # Computed from reflectance by somebody who kept its attributes.
        ("ndvi", {"standard_name": "surface_bidirectional_reflectance"}, "index"),
        ("ndviclim_mean", {}, "index"),
        ("s2_NDMI", {}, "moisture"),
        ("cop_dem", {}, "elevation"),
        ("z", {"standard_name": "surface_altitude"}, "elevation"),
        ("demand", {}, "number"),
        ("s2_AOT", {}, "aerosol"),
        ("s2_WVP", {}, "vapour"),
        ("s2_image_date", {"units": "days since 1970-01-01"}, "date"),
        ("late", {"units": "days since 2000-01-01"}, "number"),
        ("s2_SCL", {}, "classes"),
        ("s2_dlmask", {}, "classes"),
        ("s1_mask", {}, "number"),
        ("type", flags({1: "a", 2: "b"}), "classes"),
        ("era5_t", {"units": "K"}, "number"),
    ],
)
def test_kind_is_told_by_attributes_or_else_by_name(name, attributes, kind):
    assert kind_of(Variable(name, FLOAT, attributes)) == kind


def test_classes_keep_what_they_say_of_themselves():
    own = Variable("s2_SCL", CLASSES, flags({0: "nothing", 4: "plants"}))
    assert classes(own) == {0: "nothing", 4: "plants"}
    assert colours(own) == {0: "#000000", 4: "#00a000"}
    said = Variable("types", CLASSES, {**flags({3: "a", 1: "b"}), "flag_colors": "#FF0000 #00ff00"})
    assert colours(said) == {3: "#ff0000", 1: "#00ff00"}
    wrong = Variable("types", CLASSES, {**flags({3: "a", 1: "b"}), "flag_colors": "red green"})
    assert colours(wrong) == {}
    assert len(classes(Variable("s2_SCL", FLOAT))) == 12


@pytest.mark.parametrize("kind", [".nc", ".zarr"])
def test_layers_of_a_cube_that_was_just_written_are_those_of_the_cube_that_is_read(example, kind):
    days = [day.isoformat() for day in DAYS]
    written = describe_layers(example[kind], VARIABLES, days, 35)
    read = described(example[kind])
    assert {layer.variable for layer in written} == set(read)
    for layer in written:
        found = read[layer.variable]
        assert (found.kind, found.range, found.dates, found.classes) == (
            layer.kind,
            layer.range,
            layer.dates,
            layer.classes,
        )
    assert read["s2_rgb"].all_dates == tuple(days)
    assert read["s2_image_date"].range == (18_260.0, 18_434.0)  # from the first day of the first step on
    assert read["s2_SCL"].range is None
    json.dumps([layer.__dict__ for layer in written])


def cube_of(values: np.ndarray, share=None) -> xr.Dataset:
    days = np.datetime64("2021-01-01", "ns") + 5 * np.arange(len(values)) * np.timedelta64(1, "D")
    cube = xr.Dataset({"s2_B04": (("time", "y", "x"), values)}, {"time": days})
    if share is not None:
        cube["s2_clear_share"] = ("time", np.asarray(share, dtype="float32"))
    return cube


class Layer:
    variable, kind = "s2_B04", "reflectance"

    def __init__(self, best=1, kind="reflectance"):
        self.best, self.kind = best, kind


def test_range_is_that_of_the_clearest_dates_however_cloudy_the_others_are():
    ground = np.linspace(0.05, 0.25, 400).reshape(20, 20)
    values = np.full((30, 20, 20), 0.9)
    values[[3, 11, 12, 17]] = ground
    share = np.zeros(30)
    share[[3, 11, 12, 17]] = 1
    share[5:9] = np.nan
    low, high = stretch_of(cube_of(values, share), [Layer(4)])["s2_B04"]
    assert (low, high) == pytest.approx((0.05, 0.27), abs=0.015)
    # Nothing known of clouds: the darker dates, as long as a third is clear.
    values[::3] = ground
    low, high = stretch_of(cube_of(values), [Layer(4)])["s2_B04"]
    assert (low, high) == pytest.approx((0.05, 0.27), abs=0.015)


def test_range_of_nothing_and_of_one_value():
    values = np.full((3, 4, 4), np.nan)
    assert stretch_of(cube_of(values), [Layer()]) == {}
    low, high = stretch_of(cube_of(np.full((3, 4, 4), 7.0)), [Layer(kind="number")])["s2_B04"]
    assert low <= 7 < high
    low, high = stretch_of(cube_of(np.zeros((3, 4, 4))), [Layer(kind="number")])["s2_B04"]
    assert low <= 0 < high


def test_what_is_read_for_the_range_is_bounded():
    read = []
    variable = xr.Variable(("time", "y", "x"), np.random.default_rng(1).random((200, 300, 300)))
    cube = xr.Dataset(
        {"s2_B04": variable}, {"time": np.arange(200).astype("datetime64[D]").astype("datetime64[ns]")}
    )
    original = xr.DataArray.transpose

    def transpose(self, *dims, **options):
        read.append(self.shape)
        return original(self, *dims, **options)

    xr.DataArray.transpose = transpose
    try:
        stretch_of(cube, [Layer(150)])
    finally:
        xr.DataArray.transpose = original
    assert read == [(32, 128, 128)]


def test_natural_colours_are_chosen_by_name_or_with_their_bands(example):
    assert list(described(example[".nc"], "s2_rgb")) == ["s2_rgb"]
    assert list(described(example[".nc"], "s2_B04", "s2_B02")) == ["s2_B02", "s2_B04"]
    assert "s2_rgb" in described(example[".nc"], "s2_B04", "s2_B03", "s2_B02")
    with pytest.raises(InputError, match=r"It has: .*s2_rgb"):
        described(example[".nc"], "s2_rgbb")


def test_origin_is_told_with_each_layer(tmp_path, make_example):
    path = make_example(tmp_path / "a.nc")
    with xr.open_dataset(path) as cube:
        cube.load()
    cube.attrs |= {
        "license": "CC-BY-4.0",
        "attribution": "Somebody",
        "recipe": json.dumps({"catalog": "https://example.org/stac"}),
    }
    cube.s2_AOT.attrs["license"] = "CC0-1.0"
    cube.to_netcdf(tmp_path / "b.nc")
    layers = described(tmp_path / "b.nc")
    assert layers["s2_rgb"].about["license"] == layers["s2_B04"].about["license"] == "CC-BY-4.0"
    assert layers["s2_AOT"].about["license"] == "CC0-1.0"
    assert layers["s2_B04"].about["catalog"] == "https://example.org/stac"
    assert layers["s2_B04"].about["title"] == "An example"
    assert layers["s2_B04"].about["source"] == "Sentinel-2"


@pytest.mark.parametrize("kind", [".nc", ".zarr"])
def test_variable_without_dates_is_a_layer_of_one_band(example, tmp_path, raster, kind):
    with xr.open_dataset(example[kind], engine="zarr" if kind == ".zarr" else "h5netcdf") as cube:
        cube = cube[["s2_SCL", "spatial_ref"]].load()
    heights = np.arange(cube.sizes["y"] * cube.sizes["x"], dtype="float32").reshape(cube.sizes["y"], -1)
    cube["cop_dem"] = (("y", "x"), heights, {"units": "m"})
    cube.s2_SCL.encoding = {"dtype": "uint8"}
    path = tmp_path / f"a{kind}"
    if kind == ".zarr":
        cube.to_zarr(path, zarr_format=2, encoding={name: {"compressors": None} for name in cube.data_vars})
    else:
        cube.to_netcdf(path, engine="h5netcdf")
    layers = described(path)
    assert list(layers) == ["s2_SCL", "cop_dem"]
    assert layers["cop_dem"].dates == ()
    shown = raster(layers["cop_dem"].path)
    assert shown.names == ["cop_dem"]
    points = [(float(cube.x[j]), float(cube.y[i])) for i, j in ((0, 0), (5, 9), (65, 69))]
    assert shown.at(1, points) == [heights[0, 0], heights[5, 9], heights[65, 69]]
