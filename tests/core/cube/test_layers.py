"""What GDAL shows of a cube, here the system's own: the right values at the right places and dates."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import rasterio
import xarray as xr
from minicuber.core.cube.describe import DescribeParameters, describe_cube
from minicuber.core.cube.layers import fresh_layers
from minicuber.core.errors import InputError
from minicuber.core.progress import Progress

from .conftest import DAYS, GRID, VARIABLES


def described(path, *variables):
    return describe_cube(DescribeParameters(str(path), variables), Progress())


def layer_of(path, variable):
    (found,) = (layer for layer in described(path).layers if layer.variable == variable)
    return found


def open_plain(path):
    return xr.open_dataset(path, engine="zarr" if path.suffix == ".zarr" else "h5netcdf")


def check(raster, path, variable, dims=("time", "y", "x")):
    """GDAL's values at pixel centres, on the first, a middle and the last date, against plain xarray."""
    shown = raster(layer_of(path, variable).path)
    with open_plain(path) as cube:
        values = cube[variable].transpose(*dims)
        scale = float(cube[variable].encoding.get("scale_factor", 1))
        assert shown.names == [str(day) for day in cube[dims[0]].values.astype("datetime64[D]")]
        places = [(i, j) for i in (0, 1, 2, values.shape[1] - 1) for j in (0, 3, values.shape[2] - 1)]
        points = [(float(cube[dims[2]][j]), float(cube[dims[1]][i])) for i, j in places]
        for number in (0, 1, len(shown.names) - 1):
            band = shown.info["bands"][number]
            factor, offset = band.get("scale", 1), band.get("offset", 0)
            found = shown.at(number + 1, points)
            for (i, j), stored in zip(places, found, strict=True):
                expected = float(values[number, i, j])
                if np.isnan(expected):
                    assert stored == band["noDataValue"] or np.isnan(stored)
                else:
                    assert stored * factor + offset == pytest.approx(expected, abs=1e-6 + scale / 10)
    # Also the GDAL of the core, which is another version.
    with rasterio.open(shown.path) as other:
        number = other.count
        row, column = other.index(*points[3])
        stored = float(other.read(number)[row, column])
        expected = float(values[number - 1, places[3][0], places[3][1]])
        if not np.isnan(expected):
            assert stored * other.scales[-1] + other.offsets[-1] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", [".nc", ".zarr"])
@pytest.mark.parametrize("variable", ["s2_B02", "s2_AOT", "s2_SCL", "s2_ndvi"])
def test_values_through_gdal_are_those_of_xarray(example, raster, kind, variable):
    check(raster, example[kind], variable)


@pytest.mark.parametrize("kind", [".nc", ".zarr"])
def test_dates_of_the_images_are_shown_as_days(example, raster, kind):
    shown = raster(layer_of(example[kind], "s2_image_date").path)
    (value,) = shown.at(3, [(float(GRID.x[0]), float(GRID.y[0]))])
    assert value == (DAYS[2] - DAYS[0]).days + 18_264
    assert shown.info["bands"][0]["unit"] == "days since 1970-01-01"
    assert shown.info["bands"][0]["noDataValue"] == -(2**31)


@pytest.mark.parametrize("kind", [".nc", ".zarr"])
def test_outer_edge_is_half_a_pixel_beyond_the_outer_centres(example, raster, kind):
    info = raster(layer_of(example[kind], "s2_B02").path).info
    assert info["geoTransform"] == [GRID.left, 10.0, 0.0, GRID.top, 0.0, -10.0]
    assert 'ID["EPSG",32632]]' in info["coordinateSystem"]["wkt"]


@pytest.mark.parametrize("kind", [".nc", ".zarr"])
def test_cube_and_layers_that_were_moved_show_the_moved_cube(tmp_path, make_example, raster, kind):
    path = make_example(tmp_path / "here" / f"a{kind}")
    described(path)
    shutil.move(tmp_path / "here", tmp_path / "there é")
    moved = tmp_path / "there é" / f"a{kind}"
    if kind == ".nc":
        raster(tmp_path / "there é" / "a.layers" / "s2_B02.vrt").at(1, [(float(GRID.x[0]), float(GRID.y[0]))])
    check(raster, moved, "s2_B02")


def test_zarr_that_was_copied_does_not_show_the_one_it_was_copied_from(tmp_path, make_example, raster):
    path = make_example(tmp_path / "a" / "cube.zarr")
    described(path)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    described(tmp_path / "b" / "cube.zarr")
    text = (tmp_path / "b" / "cube.layers" / "s2_B02.vrt").read_text()
    assert f"{tmp_path}/b/cube.zarr" in text
    assert f"{tmp_path}/a/" not in text


def test_layers_of_another_cube_of_that_name_are_written_again(tmp_path, make_example):
    # As after a run that died between the rename of its layers and that of its cube.
    path = make_example(tmp_path / "a.nc")
    described(path)
    layers = {file.name: file.read_text() for file in (tmp_path / "a.layers").iterdir()}
    make_example(tmp_path / "b.nc", VARIABLES[:3], days=DAYS[::2])
    described(tmp_path / "b.nc")
    shutil.rmtree(tmp_path / "a.layers")
    shutil.move(tmp_path / "b.layers", tmp_path / "a.layers")
    described(path)
    assert {file.name: file.read_text() for file in (tmp_path / "a.layers").iterdir()} == layers
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.layers", "a.nc", "b.nc"]


def test_layers_that_are_as_they_should_be_are_left_alone(tmp_path, make_example):
    path = make_example(tmp_path / "a.zarr")
    described(path)
    before = (tmp_path / "a.layers").stat().st_ino
    described(path)
    assert (tmp_path / "a.layers").stat().st_ino == before


@pytest.mark.parametrize("kind", [".nc", ".zarr"])
def test_layers_of_the_writer_are_those_of_the_reader(tmp_path, make_example, kind):
    path = make_example(tmp_path / f"a{kind}")
    dates = [day.isoformat() for day in DAYS]
    with fresh_layers(path, GRID, dates, VARIABLES, len(DAYS), Progress()) as layers:
        layers.swap()
    before = (tmp_path / "a.layers").stat().st_ino
    described(path)
    assert (tmp_path / "a.layers").stat().st_ino == before


def test_quotation_mark_that_gdal_cannot_open_is_said(tmp_path, make_example):
    path = make_example(tmp_path / 'the "big" one' / "a.zarr")
    with pytest.raises(InputError, match="quotation mark"):
        described(path)


def rewritten(path, target, change):
    """The example as another program would write it: decoded, changed, encoded anew."""
    with open_plain(path) as cube:
        part = cube.drop_vars(["s2_time", "time_bnds", "s2_nothing", "s2_item_id", "s2_image_date"]).load()
    for variable in part.variables.values():
        variable.encoding = {}
    part.time.attrs.pop("bounds", None)
    part = change(part)
    if target.suffix == ".zarr":
        part.to_zarr(target, zarr_format=2)
    else:
        part.to_netcdf(target, engine="h5netcdf")
    return target


def upwards(cube):
    return cube.isel(y=slice(None, None, -1))


def with_geotransform(cube):
    text = f"{GRID.left} 10 0 {GRID.top} 0 -10"
    cube.spatial_ref.attrs["GeoTransform"] = text
    return cube


def without_attributes(cube):
    for name in ("y", "x"):
        cube[name].attrs = {}
    return cube


def packed_with_offset(cube):
    cube = cube[["s2_B02", "spatial_ref"]]
    cube.s2_B02.encoding = {"dtype": "int16", "scale_factor": 2e-4, "add_offset": 0.5, "_FillValue": -9999}
    return cube


@pytest.mark.parametrize("kind", [".nc", ".zarr"])
@pytest.mark.parametrize(
    "change",
    [
        lambda cube: cube,
        upwards,
        with_geotransform,
        without_attributes,
        packed_with_offset,
        lambda cube: upwards(with_geotransform(cube)),
        lambda cube: upwards(without_attributes(cube)),
        lambda cube: with_geotransform(without_attributes(cube)),
        lambda cube: upwards(with_geotransform(without_attributes(cube))),
    ],
    ids=["same", "up", "geotransform", "bare", "offset", "up-geo", "up-bare", "geo-bare", "up-geo-bare"],
)
def test_cube_of_others_is_the_right_way_up(example, raster, tmp_path, kind, change):
    """GDAL's netCDF driver turns rows about by rules that differ between versions."""
    check(raster, rewritten(example[".nc"], tmp_path / f"a{kind}", change), "s2_B02")


def test_signed_bytes_are_shown_by_gdal_before_3_7(example, raster, tmp_path):
    def change(cube):
        return cube.assign(count=cube.s2_SCL.astype("int8"))

    check(raster, rewritten(example[".nc"], tmp_path / "a.nc", change), "count")


def test_latitudes_without_any_attributes_are_the_right_way_up(raster, tmp_path):
    values = np.arange(2 * 4 * 5, dtype="float32").reshape(2, 4, 5)
    for name, lat in (("up", np.arange(4)), ("down", -np.arange(4))):
        dates = np.array(["2020-01-01", "2020-01-06"], "datetime64[ns]")
        coords = {"time": dates, "lat": 47 + lat * 0.1, "lon": 8 + np.arange(5) * 0.1}
        cube = xr.Dataset({"ndvi": (("time", "lat", "lon"), values)}, coords=coords)
        cube.to_netcdf(tmp_path / f"{name}.nc", engine="h5netcdf")
        check(raster, tmp_path / f"{name}.nc", "ndvi", ("time", "lat", "lon"))
