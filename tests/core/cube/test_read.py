"""One form for cubes of all origins, and one sentence for what is none."""

from __future__ import annotations

import shutil
import warnings
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from minicuber.core.cube.describe import DescribeParameters, describe_cube
from minicuber.core.cube.read import grid_of, read_cube
from minicuber.core.errors import InputError, StorageError
from minicuber.core.progress import Progress
from pyproj import CRS

from .conftest import DAYS, GRID

UTM = CRS("EPSG:32632")


def plain(dims=("time", "y", "x"), up=False, lonlat=False) -> xr.Dataset:
    """A plain cube as xarray's users make it: b counts the pixels of a date from the north-west."""
    axes = dict(zip(("time", "y", "x"), dims, strict=True))
    y = 47.3 - 0.01 * np.arange(4) if lonlat else 5_200_015.0 - 10 * np.arange(4)
    x = 8.0 + 0.01 * np.arange(5) if lonlat else 600_005.0 + 10 * np.arange(5)
    dates = np.array(["2020-01-01T10:30", "2020-01-06T10:31", "2020-01-11T10:30"], "datetime64[ns]")
    values = np.arange(60, dtype="float32").reshape(3, 4, 5)
    coords = {axes["time"]: dates, axes["y"]: y, axes["x"]: x}
    cube = xr.Dataset({"b": (dims, values), "dem": (dims[1:], values[0])}, coords=coords)
    return cube.isel({axes["y"]: slice(None, None, -1)}) if up else cube


def with_mapping(cube, name="crs", attributes=None):
    cube[name] = ((), 0, attributes or UTM.to_cf())
    cube.b.attrs["grid_mapping"] = name
    return cube


def save(cube, path) -> Path:
    if path.suffix == ".zarr":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cube.to_zarr(path, zarr_format=3 if "3" in path.stem else 2)
    else:
        cube.to_netcdf(path, engine="h5netcdf")
    return path


def describe(path):
    return describe_cube(DescribeParameters(str(path)), Progress())


def check_form(cube):
    assert cube.b.dims == ("time", "y", "x")
    assert (np.diff(cube.y) < 0).all()
    assert (np.diff(cube.x) > 0).all()
    assert CRS(cube.spatial_ref.attrs["crs_wkt"])
    assert "spatial_ref" in cube.coords
    np.testing.assert_array_equal(cube.b, np.arange(60).reshape(3, 4, 5))
    np.testing.assert_array_equal(cube.dem, np.arange(20).reshape(4, 5))


@pytest.mark.parametrize("kind", [".nc", ".zarr"])
def test_own_cube_is_read_as_it_was_written(example, kind):
    with read_cube(example[kind]) as cube:
        assert grid_of(cube, "x") == GRID
        assert list(cube.time.values.astype("datetime64[D]").tolist()) == DAYS
        assert cube.s2_B02.encoding["grid_mapping"] == "spatial_ref"
        assert cube.s2_SCL.dtype == np.uint8
        assert cube.s2_image_date.dtype.kind == "M"


def test_both_formats_are_read_as_the_same_to_the_last_bit(example):
    """Of packed Zarr plain xarray makes float64: twice the memory, and other bits in a dataset."""
    with read_cube(example[".nc"]) as a, read_cube(example[".zarr"]) as b:
        assert a.s2_B02.dtype == b.s2_B02.dtype == np.float32
        for name in a.variables:
            assert a[name].dtype == b[name].dtype or a[name].dtype.kind == "O"
        xr.testing.assert_equal(a.load(), b.load())


@pytest.mark.parametrize("name", [".zgroup", ".zmetadata", "zarr.json"])
def test_zarr_is_found_by_the_file_in_it(tmp_path, name):
    path = save(with_mapping(plain()), tmp_path / ("a3.zarr" if name == "zarr.json" else "a.zarr"))
    with read_cube(path / name) as cube:
        check_form(cube)


@pytest.mark.parametrize("name", ["a.nc", "a.zarr", "a3.zarr"])
def test_values_are_read_when_they_are_used(tmp_path, name):
    path = save(with_mapping(plain(("t", "lat", "lon")).transpose("lon", "t", "lat"), "crs"), tmp_path / name)
    with read_cube(path) as cube:
        assert not cube.b.variable._in_memory
        assert cube.b.isel(time=0).values[0, 0] == 0


def test_file_is_closed_with_the_cube_or_when_it_is_none(tmp_path):
    for cube in (with_mapping(plain(up=True)), without_time(plain())):
        path = save(cube, tmp_path / "a.nc")
        with suppress(InputError), read_cube(path) as found:
            found.b.load()
        h5py.File(path, "r+").close()  # refuses a file that is open for reading


@pytest.mark.parametrize("name", ["a.nc", "a.zarr", "a3.zarr"])
@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_any_order_and_direction_becomes_time_y_x_southwards(tmp_path, name, up, order):
    dims = ("time", "northing", "easting")
    cube = with_mapping(plain(dims, up), "any_name").transpose(*(dims[i] for i in order))
    with read_cube(save(cube, tmp_path / name)) as found:
        check_form(found)
        assert found.y.attrs["original_name"] == "northing"
        assert grid_of(found, "x").bounds == (600_000.0, 5_199_980.0, 600_050.0, 5_200_020.0)


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize(
    "dims", [("time", "lat", "lon"), ("time", "latitude", "longitude"), ("date", "Lat", "Lon")]
)
def test_latitudes_and_longitudes_are_y_and_x(tmp_path, up, dims):
    with read_cube(save(plain(dims, up, lonlat=True), tmp_path / "a.nc")) as cube:
        check_form(cube)
        grid = grid_of(cube, "x")
        assert (grid.crs, grid.shape) == ("EPSG:4326", (4, 5))
        np.testing.assert_allclose(grid.bounds, (7.995, 47.265, 8.045, 47.305), rtol=0, atol=1e-9)
        assert (cube.y.attrs["original_name"], cube.x.attrs["original_name"]) == dims[1:]


def test_projected_crs_that_was_left_over_in_a_cube_of_degrees_is_not_believed(tmp_path):
    cube = with_mapping(plain(("time", "lat", "lon"), lonlat=True), "spatial_ref")
    cube.attrs["crs"] = "unknown"
    with read_cube(save(cube, tmp_path / "a.nc")) as found:
        assert grid_of(found, "x").crs == "EPSG:4326"


def test_geographic_crs_of_its_own_is_kept(tmp_path):
    cube = with_mapping(plain(("time", "lat", "lon"), lonlat=True), "crs", CRS("EPSG:4258").to_cf())
    with read_cube(save(cube, tmp_path / "a.nc")) as found:
        assert grid_of(found, "x").crs == "EPSG:4258"


SAYS = {
    "cf alone": lambda c: with_mapping(c, "tm", {k: v for k, v in UTM.to_cf().items() if k != "crs_wkt"}),
    "wkt alone": lambda c: with_mapping(c, "crs", {"crs_wkt": UTM.to_wkt()}),
    "gdal's": lambda c: with_mapping(c, "spatial_ref", {"spatial_ref": UTM.to_wkt("WKT1_GDAL")}),
    "not referred to": lambda c: c.assign(crs=((), 0, {"crs_wkt": UTM.to_wkt()})),
    "extended": lambda c: with_extended(c),
    "global code": lambda c: c.assign_attrs({"proj:code": "EPSG:32632"}),
    "global number": lambda c: c.assign_attrs({"proj:epsg": 32632}),
    "global crs": lambda c: c.assign_attrs(crs="EPSG:32632"),
    "variable's crs": lambda c: c.assign(b=c.b.assign_attrs(crs="+init=epsg:32632")),
    "stackstac": lambda c: c.assign_coords(epsg=32632),
}


def with_extended(cube):
    cube = with_mapping(cube, "crs")
    cube["old"] = ((), 0, CRS("EPSG:32633").to_cf())
    cube.b.attrs["grid_mapping"] = "crs: y x"
    return cube


@pytest.mark.parametrize("kind", [".nc", ".zarr"])
@pytest.mark.parametrize("way", SAYS)
@pytest.mark.filterwarnings("ignore:.*init:FutureWarning")
def test_crs_is_found_wherever_it_is_said(tmp_path, way, kind):
    with read_cube(save(SAYS[way](plain()), tmp_path / f"a{kind}")) as cube:
        check_form(cube)
        assert UTM.equals(CRS(grid_of(cube, "x").crs), ignore_axis_order=True)


def test_packing_of_others_is_unpacked_and_fills_are_missing(tmp_path):
    cube = with_mapping(plain())
    cube.b[0, 0, 0] = np.nan
    cube.b.encoding = {"dtype": "int16", "scale_factor": 0.5, "add_offset": -3.0, "_FillValue": -9999}
    for name in ("a.nc", "a.zarr", "a3.zarr"):
        with read_cube(save(cube, tmp_path / name)) as found:
            np.testing.assert_array_equal(found.b, cube.b)


def test_climate_on_days_of_its_own_does_not_become_the_time_axis(tmp_path):
    cube = with_mapping(plain()).rename(time="t")
    days = np.arange("2020-01-01", "2020-02-01", dtype="datetime64[D]").astype("datetime64[ns]")
    cube["era5_t_daily"] = (("time_daily",), np.zeros(31, "float32"))
    cube = cube.assign_coords(time_daily=days)
    for more in ("a", "c"):
        cube[more] = cube.b
    with read_cube(save(cube, tmp_path / "a.nc")) as found:
        check_form(found)
        assert found.era5_t_daily.dims == ("time_daily",)


def test_coordinates_in_float32_are_even_enough(tmp_path):
    cube = plain(("time", "lat", "lon"), lonlat=True)
    cube = cube.assign_coords(
        lat=(47.3 - 2e-4 * np.arange(4)).astype("f4"), lon=(8 + 2e-4 * np.arange(5)).astype("f4")
    )
    with read_cube(save(cube, tmp_path / "a.nc")) as found:
        assert grid_of(found, "x").resolution_x == pytest.approx(2e-4, rel=1e-2)


@pytest.mark.parametrize("name", ["dataset_export", "dataset_export2"])
def test_cube_of_earthnet_minicuber_is_read_and_shown(shared, tmp_path, raster, name):
    path = Path(shutil.copy(shared / "peers" / name / "cube.nc", tmp_path))
    with read_cube(path) as cube, xr.open_dataset(path, engine="h5netcdf") as plainly:
        assert cube.s2_B04.dims == ("time", "y", "x")
        grid = grid_of(cube, name)
        assert grid.crs == "EPSG:4326"
        np.testing.assert_array_equal(cube.s2_B04, plainly.s2_B04.sortby("lat", ascending=False))
        layers = {layer.variable: layer for layer in describe(path).layers}
        assert {"s2_B04", "s2_B08", "s2_ndvi", "s2_SCL"} <= set(layers)
        shown = raster(layers["s2_B04"].path)
        assert len(shown.names) == plainly.sizes["time"]
        number = int(np.argmax(np.isfinite(plainly.s2_B04.values).all(axis=(1, 2))))
        points = [(float(lon), float(lat)) for lat in plainly.lat for lon in plainly.lon]
        expected = plainly.s2_B04.values[number].ravel()
        np.testing.assert_allclose(shown.at(number + 1, points), expected, rtol=1e-5)


# --- what is none ----------------------------------------------------------------------------------


def without_time(cube):
    return cube.isel(time=0, drop=True)


def curvilinear(cube):
    lat, lon = xr.broadcast(cube.y, cube.x)
    cube = cube.assign_coords(lat=(("y", "x"), lat.values), lon=(("y", "x"), lon.values))
    return cube.drop_vars(["y", "x"]).rename(y="row", x="column")


def uneven(cube):
    return cube.assign_coords(x=cube.x.values + np.array([0, 0, 0, 0, 1]))


def times_as_numbers(cube):
    return cube.assign_coords(time=[1, 2, 3])


WRONG = {
    "time axis": without_time,
    "two-dimensional": curvilinear,
    "The x of a": uneven,
    "times of a": times_as_numbers,
    "which CRS": lambda cube: cube.drop_vars("crs"),
    "CRS of a.*not understood": lambda cube: cube.assign(crs=((), 0, {"crs_wkt": "PROJCS[nonsense"})),
    "no coordinates y and x": lambda cube: cube.drop_vars(["y", "x"]),
    "not dates of|understood as a cube": lambda cube: cube.assign_coords(
        time=("time", [1, 2, 3], {"units": "days since 2020-01-01", "calendar": "360_day"})
    ),
}


@pytest.mark.parametrize("kind", [".nc", ".zarr"])
@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_cube_is_one_sentence(tmp_path, text, kind):
    path = save(WRONG[text](with_mapping(plain())), tmp_path / f"a{kind}")
    for reader in (read_cube, describe):
        with pytest.raises(InputError, match=text) as caught:
            reader(path)
        assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_east_to_west_is_read_but_not_shown(tmp_path):
    path = save(with_mapping(plain()).isel(x=slice(None, None, -1)), tmp_path / "a.nc")
    with read_cube(path) as cube:
        check_form(cube)
    with pytest.raises(InputError, match="from east to west"):
        describe(path)


def test_other_order_is_read_but_not_shown(tmp_path, caplog):
    cube = with_mapping(plain())
    cube["turned"] = cube.b.transpose("y", "x", "time")
    assert [layer.variable for layer in describe(save(cube, tmp_path / "a.nc")).layers] == ["b", "dem"]
    assert "turned of a.nc is not shown: QGIS cannot show dimensions in the order y, x, time" in caplog.text


def test_single_row_is_as_high_as_its_pixels_are_wide(tmp_path):
    path = save(with_mapping(plain()).isel(y=[1]), tmp_path / "a.nc")
    with read_cube(path) as cube:
        assert grid_of(cube, "x").bounds == (600_000.0, 5_200_000.0, 600_050.0, 5_200_010.0)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_netcdf_that_was_cut_off_is_said(example, tmp_path, share):
    data = example[".nc"].read_bytes()
    (tmp_path / "a.nc").write_bytes(data[: int(share * len(data))])
    for reader in (read_cube, describe):
        with pytest.raises(StorageError, match=r"a\.nc is not a readable NetCDF-4 file"):
            reader(tmp_path / "a.nc")


def test_zarr_whose_metadata_was_cut_off_is_said(example, tmp_path):
    path = Path(shutil.copytree(example[".zarr"], tmp_path / "a.zarr"))
    text = (path / ".zmetadata").read_text()
    (path / ".zmetadata").write_text(text[: len(text) // 2])
    with pytest.raises(StorageError, match=r"a\.zarr is not a readable Zarr store"):
        read_cube(path)


def test_zarr_without_consolidated_metadata_is_read(example, tmp_path):
    path = Path(shutil.copytree(example[".zarr"], tmp_path / "a.zarr"))
    (path / ".zmetadata").unlink()
    with read_cube(path) as cube:
        assert grid_of(cube, "x") == GRID


def test_folder_that_is_no_zarr_and_nothing_at_all_are_said(tmp_path):
    with pytest.raises(InputError, match="no Zarr store"):
        read_cube(tmp_path)
    with pytest.raises(InputError, match="CUBE does not exist"):
        read_cube(tmp_path / "b.zarr")
    (tmp_path / "a.nc").write_text("hello")
    with pytest.raises(StorageError, match="not a readable NetCDF-4"):
        read_cube(tmp_path / "a.nc")


def test_cube_that_a_dead_run_left_aside_is_read(example, tmp_path):
    shutil.copytree(example[".zarr"], tmp_path / ".a.zarr.old")
    assert describe(tmp_path / "a.zarr" / ".zgroup").title == "a, 2020-01-03 to 2020-06-21"
    assert (tmp_path / "a.zarr").is_dir()
