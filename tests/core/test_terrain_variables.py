"""Variables of the ground on a cube: right at its edges, at scales, from models of any CRS; the cube stays as it is."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import subprocess
import warnings

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from cubes import opened, save
from minicuber.core.cube.read import read_cube, read_packed
from minicuber.core.errors import Cancelled, InputError
from minicuber.core.grid import Grid
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress
from minicuber.core.terrain import elevation as reading
from minicuber.core.terrain.elevation import bring_to, elevation_on, model_of_array, model_of_file
from minicuber.core.terrain.lattices import checked_scales
from minicuber.core.terrain_variables import SAID, TerrainParameters, terrain_variables
from pyproj import CRS, Transformer
from rasterio.env import GDALVersion

UTM = "EPSG:32632"
ALL = tuple(SAID)
LOCAL = tuple(name for name in SAID if name != "twi")
LEFT, TOP = 600_000.0, 5_200_000.0
GRID = Grid(UTM, LEFT, TOP, 10.0, 10.0, 48, 40)


def hills(x, y):
    """Elevation (m) at places in UTM."""
    x, y = x - LEFT, y - TOP
    return 900 + 80 * np.sin(x / 140 + 0.3) + 60 * np.cos(y / 110 - x / 400) + 0.05 * x


def write_dem(path, grid: Grid, surface=hills, crs=None, hole=None, dtype="float32"):
    """A GeoTIFF of a surface in UTM on a grid of any CRS."""
    x, y = np.meshgrid(grid.x, grid.y)
    if grid.crs != UTM:
        x, y = Transformer.from_crs(grid.crs, UTM, always_xy=True).transform(x, y)
    z = surface(x, y).astype(dtype)
    if hole:
        z[hole] = -9999
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(
            path, "w", driver="GTiff", height=grid.height, width=grid.width, count=1, dtype=z.dtype,
            crs=grid.crs if crs is None else crs, transform=grid.geobox.transform, nodata=-9999,
        ) as file:  # fmt: skip
            file.write(z, 1)
    return path


def around(grid: Grid, metres: float, size: float | None = None) -> Grid:
    """The grid with more around it, on pixels of a size."""
    size = size or grid.resolution_x
    n = int(np.ceil(metres / size))
    columns = int(np.ceil(grid.width * grid.resolution_x / size)) + 2 * n
    rows = int(np.ceil(grid.height * grid.resolution_y / size)) + 2 * n
    return Grid(grid.crs, grid.left - n * size, grid.top + n * size, size, size, columns, rows)


def example(grid: Grid = GRID, crs: str = UTM) -> xr.Dataset:
    """Images, days of weather, what does not change, text; one of each way to store numbers."""
    rng = np.random.default_rng(3)
    images = pd.Timestamp("2021-06-01") + pd.to_timedelta([0, 5, 10, 12], "D")
    daily = pd.date_range("2021-05-25", periods=19)
    reflectance = rng.uniform(0, 0.6, (4, grid.height, grid.width)).round(4).astype("float32")
    reflectance[:, 3, 2] = np.nan
    x, y = np.meshgrid(grid.x, grid.y)
    cube = xr.Dataset(
        {
            "s2_B04": (
                ("time", "y", "x"),
                reflectance,
                {"long_name": "red", "units": "1", "source": "Sentinel-2"},
            ),
            "s2_mask": (("time", "y", "x"), rng.integers(0, 5, reflectance.shape).astype("uint8")),
            "s2_item_id": (("time",), np.array([f"item {n} é" for n in range(4)], dtype=object)),
            "s2_time": (("time",), images + pd.Timedelta("10h")),
            "time_bnds": (("time", "nv"), np.stack([images - pd.Timedelta("5D"), images], axis=1)),
            "era5_tp_daily": (("time_daily",), rng.gamma(1, 2, len(daily)), {"units": "m"}),
            "cop_dem": (("y", "x"), hills(x, y).astype("float32"), {"units": "m", "long_name": "elevation"}),
            "cover": (("y", "x"), rng.integers(0, 4, x.shape).astype("uint8")),
            "orbit": ((), np.int32(22)),
        },
        {"time": images, "time_daily": daily, "y": grid.y, "x": grid.x},
        {"title": "An example", "history": "2021-01-01T00:00:00Z made by a test", "recipe": '{"a": 1}'},
    )
    cube["time"].attrs["bounds"] = "time_bnds"
    cube["spatial_ref"] = ((), np.int32(0), CRS(crs).to_cf())
    for name in ("s2_B04", "s2_mask", "cop_dem", "cover"):
        cube[name].attrs["grid_mapping"] = "spatial_ref"
    cube.s2_B04.encoding = {
        "dtype": "int16",
        "scale_factor": np.float32(1e-4),
        "_FillValue": np.int16(-32768),
    }
    return cube


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("terrain")
    for kind in (".nc", ".zarr"):
        save(example(), folder / f"valley{kind}")
    write_dem(folder / "dem.tif", around(GRID, 2000))
    return folder


@pytest.fixture
def make(folder, tmp_path, request):
    """`make(output="new.nc", **parameters)`: the new cube, opened by plain xarray; from dem.tif without a word."""

    def call(output="new.nc", cube=None, **parameters):
        path = tmp_path / output
        if not {"dem", "dem_variable"} & set(parameters):
            parameters["dem"] = folder / "dem.tif"
        if "dem" in parameters:
            parameters["dem"] = str(parameters["dem"])
        order = TerrainParameters(str(cube or folder / "valley.nc"), output=str(path), **parameters)
        result = terrain_variables(order, Progress())
        assert result.output == str(path)
        return opened(path, request)

    return call


def analytic(name, grid=GRID):
    """Of the hills, by derivatives of their formula."""
    x, y = np.meshgrid(grid.x - LEFT, grid.y - TOP)
    east = 80 / 140 * np.cos(x / 140 + 0.3) + 60 / 400 * np.sin(y / 110 - x / 400) + 0.05
    north = -60 / 110 * np.sin(y / 110 - x / 400)
    steep = np.hypot(east, north)
    second = -80 / 140**2 * np.sin(x / 140 + 0.3) - 60 * (1 / 400**2 + 1 / 110**2) * np.cos(y / 110 - x / 400)
    return {
        "slope": np.degrees(np.arctan(steep)), "northness": -north / steep, "eastness": -east / steep,
        "curvature": -second,
    }[name]  # fmt: skip


# --- the cube -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [".nc", ".zarr"])
@pytest.mark.parametrize("output", ["new.nc", "new.zarr"])
def test_everything_else_is_bit_exact(make, folder, kind, output, tmp_path):
    path = folder / f"valley{kind}"
    make(output, cube=path)
    with (
        read_packed(path) as old,
        read_packed(tmp_path / output) as made,
        read_cube(path) as plain,
        read_cube(tmp_path / output) as new,
    ):
        assert set(made.variables) == set(old.variables) | {"slope", "northness", "eastness"}
        for name in set(old.variables) - {"spatial_ref"}:
            assert made[name].dims == old[name].dims, name
            np.testing.assert_array_equal(new[name].values, plain[name].values, err_msg=name)
            if old[name].dtype.kind in "iuf":
                assert made[name].dtype == old[name].dtype, name
                np.testing.assert_array_equal(made[name].values, old[name].values, err_msg=name)
        assert made.s2_B04.attrs["scale_factor"] == np.float32(1e-4)
        first, second = made.attrs["history"].split("\n")
        assert first == "2021-01-01T00:00:00Z made by a test"
        assert f"terrainvariables of {path.name}: slope, northness, eastness from dem.tif" in second
        assert made.attrs["title"] == "An example" and made.attrs["recipe"] == '{"a": 1}'


def test_attributes_say_what_was_done(make):
    cube = make(variables=ALL, scales="50")
    for name in ALL:
        variable = cube[f"{name}_50m"]
        assert variable.dims == ("y", "x") and variable.dtype == "float32"
        said = variable.attrs
        assert said["source"] == "dem.tif" and said["scale"] == "50 m"
        assert said["resampling"] == "elevation average to 50 m; result bilinear to the pixels"
        assert said["long_name"].endswith("at a scale of 50 m") and said["references"]
        assert said["grid_mapping"] == "spatial_ref"
    assert cube.slope_50m.attrs["units"] == "degree" and cube.curvature_50m.attrs["units"] == "m-1"
    assert cube.ruggedness_50m.attrs["units"] == "m"
    assert cube.northness_50m.attrs["units"] == cube.twi_50m.attrs["units"] == "1"
    # 32 pixels of 50 m, and two for the windows; the lattice may reach a little further.
    assert "catchment areas are limited to 1700 m around the cube" in cube.twi_50m.attrs["comment"]
    assert make("fine.nc").slope.attrs["resampling"] == "elevation unchanged"


def test_job_has_a_name_and_layers(folder, tmp_path):
    result = run_job(
        "terrainvariables",
        {"cube": str(folder / "valley.nc"), "dem_variable": "cop_dem", "output": str(tmp_path / "a.nc")},
        Progress(),
    )
    assert {"slope", "northness", "eastness"} <= {layer["variable"] for layer in result["layers"]}
    assert result["coverage"]["slope"] == pytest.approx(100 * 46 * 38 / (48 * 40), abs=0.01)
    with rasterio.open(tmp_path / "a.layers" / "slope.vrt") as file:
        assert file.count == 1 and file.shape == GRID.shape


def test_parameters_of_the_job_are_plain():
    assert all(field.type in ("str", "tuple") for field in dataclasses.fields(TerrainParameters))


# --- values ---------------------------------------------------------------------------------------


def test_values_are_those_of_the_formula(make):
    cube = make(variables=("slope", "northness", "eastness", "curvature"))
    for name, most in (("slope", 0.1), ("northness", 0.02), ("eastness", 0.02), ("curvature", 2e-4)):
        difference = float(np.abs(cube[name].values - analytic(name)).max())
        print(f"{name}: {difference:.2e}")
        assert difference < most, name


@pytest.mark.parametrize("scales", ["", "20,35"])
def test_no_edge_effect(make, folder, tmp_path, scales):
    # A cube within another one has the same values to its last pixel; the other's middle knows nothing of edges.
    large = Grid(UTM, LEFT - 300, TOP + 200, 10.0, 10.0, 100, 90)
    path = save(example(large), tmp_path / "large.nc")
    small, whole = (
        make("s.nc", variables=LOCAL, scales=scales),
        make(cube=path, variables=LOCAL, scales=scales),
    )
    for name in small.data_vars:
        if name.split("_")[0] in LOCAL:
            found = small[name].values
            assert np.isfinite(found).all(), name
            np.testing.assert_allclose(
                found, whole[name].values[20:60, 30:78], rtol=1e-5, atol=1e-7, err_msg=name
            )


def test_scale_is_the_average_elevation_then_the_variable_then_the_pixels(make):
    cube = make(variables=("slope",), scales="20, 100")
    # By hand: pixels of 20 m are 2 x 2 of the model's, the lattice that of multiples of 20 m.
    grid = around(GRID, 60)
    z = hills(*np.meshgrid(grid.x, grid.y)).astype("float32").astype(float)
    coarse = z.reshape(grid.height // 2, 2, grid.width // 2, 2).mean(axis=(1, 3))
    from minicuber.core.terrain.derivatives import gradient, slope

    values = slope(*gradient(coarse, 20.0, 20.0))
    expected = (
        xr.DataArray(
            values, {"y": grid.y.reshape(-1, 2).mean(1), "x": grid.x.reshape(-1, 2).mean(1)}, ("y", "x")
        )
        .interp(y=GRID.y, x=GRID.x)
        .values
    )
    np.testing.assert_allclose(cube.slope_20m.values, expected, atol=1e-5)
    assert float(cube.slope_100m.std()) < float(cube.slope_20m.std())


def test_wetness_takes_the_water_from_beyond_the_cube(make, tmp_path, folder):
    # A valley that comes from the north: at the cube's upper edge it is as wet as the water above makes it.
    def valley(x, y):
        return 800 + 0.3 * np.abs(x - LEFT - 245) - 0.05 * (TOP - y)

    dem = write_dem(tmp_path / "valley.tif", around(GRID, 2000), valley)
    cube = make(variables=("twi",), dem=dem)
    inside = make("b.nc", variables=("twi",), dem_variable="cop_dem")
    assert np.isfinite(cube.twi.values).all()
    top = cube.twi.values[0]
    assert abs(int(np.argmax(top)) - 24) <= 1
    # More than a kilometre of valley above, and its walls: more than 0.3 km2 through 10 m at 5 per cent.
    assert top.max() > np.log(300_000 / 10 / 0.06)
    assert "limited to 1020 m around the cube" in cube.twi.attrs["comment"]
    assert "limited to the cube" in inside.twi.attrs["comment"]
    assert np.isnan(inside.twi.values[0]).all() and np.isfinite(inside.twi.values[1:-1, 1:-1]).all()


def test_variable_of_the_cube_has_no_edge_that_is_made_up(make):
    cube = make(dem_variable="cop_dem", variables=LOCAL)
    other = make("dem.nc", variables=LOCAL)
    for name in LOCAL:
        values = cube[name].values
        assert np.isfinite(values[1:-1, 1:-1]).all()
        assert np.isnan(values[[0, -1]]).all() and np.isnan(values[:, [0, -1]]).all()
        np.testing.assert_allclose(values[1:-1, 1:-1], other[name].values[1:-1, 1:-1], rtol=1e-4, atol=1e-5)
    assert cube.slope.attrs["source"] == "cop_dem of valley.nc"
    assert "missing at the cube's edge" in cube.slope.attrs["comment"]


def test_scale_of_a_variable_takes_whole_pixels_alone(make):
    # The lattice of 70 m: what it has of the cube is not a multiple, so pixels at the edges are not whole.
    cube = make(dem_variable="cop_dem", scales="70", variables=("slope",))
    reference = make("dem.nc", scales="70", variables=("slope",))
    both = np.isfinite(cube.slope_70m.values)
    assert 0.05 < both.mean() < 0.8
    np.testing.assert_allclose(cube.slope_70m.values[both], reference.slope_70m.values[both], atol=1e-4)


def test_scale_larger_than_the_cube_is_said(make, caplog):
    with caplog.at_level(logging.WARNING):
        assert np.isnan(make(dem_variable="cop_dem", scales="500").slope_500m.values).all()
    assert "slope_500m has no value: its window is larger than the cube" in caplog.text


def test_scale_finer_than_the_pixels_is_said(make, caplog, tmp_path):
    dem = write_dem(tmp_path / "coarse.tif", around(GRID, 900, 30.0))
    with caplog.at_level(logging.WARNING):
        cube = make(dem=dem, scales="5,20,60", variables=("slope",))
    assert "The scale of 5 m is finer" in caplog.text and "The scale of 20 m is finer" in caplog.text
    assert "60 m is finer" not in caplog.text
    np.testing.assert_array_equal(cube.slope_5m.values, cube.slope_20m.values)
    assert cube.slope_20m.attrs["scale"] == "30 m"
    assert "20 m were asked for" in cube.slope_20m.attrs["comment"]
    # On its own lattice the model is read as it is.
    assert cube.slope_20m.attrs["resampling"] == "elevation unchanged; result bilinear to the pixels"


# --- elevation models -----------------------------------------------------------------------------


def lattice_in(crs: str, size: float, metres: float = 1500.0) -> Grid:
    """A lattice of another CRS over the cube with a margin."""
    west, south, east, north = around(GRID, metres).bounds
    transformer = Transformer.from_crs(UTM, crs, always_xy=True)
    x0, y0, x1, y1 = transformer.transform_bounds(west, south, east, north)
    return Grid(crs, x0, y1, size, size, int((x1 - x0) / size), int((y1 - y0) / size))


@pytest.mark.parametrize(
    ("crs", "size", "how", "most"),
    [
        ("EPSG:2056", 2.0, "elevation average to 10 m", 0.4),  # LV95, as swissALTI3D
        ("EPSG:2056", 10.0, "elevation cubic to 10 m", 0.4),
        ("EPSG:4326", 1 / 3600, "elevation cubic to 31 m; result bilinear to the pixels", 3.0),
        (UTM, 5.0, "elevation average to 10 m", 0.1),
    ],
)
def test_models_of_other_lattices(make, tmp_path, crs, size, how, most):
    dem = write_dem(tmp_path / "other.tif", lattice_in(crs, size))
    cube = make(dem=dem)
    assert cube.slope.attrs["resampling"] == how
    difference = np.abs(cube.slope.values - analytic("slope"))
    print(f"{crs} {size:g}: at most {difference.max():.3f}, mean {difference.mean():.3f} degrees")
    assert np.isfinite(difference).all() and difference.max() < most


def test_real_model_is_as_gdalwarp_and_gdaldem_have_it(make, shared, tmp_path):
    dem = shared / "data" / "dem" / "Rome-30m-DEM.tif"
    if not dem.is_file() or not shutil.which("gdaldem") or not shutil.which("gdalwarp"):
        pytest.skip("the model of Rome, gdalwarp or gdaldem is not here")
    grid = Grid("EPSG:32633", 290_000.0, 4_655_000.0, 90.0, 90.0, 40, 50)
    cube = make(
        cube=save(example(grid, grid.crs), tmp_path / "rome.nc"), dem=dem, variables=("slope", "ruggedness")
    )
    west, south, east, north = (str(edge) for edge in around(grid, 90).bounds)
    warped = tmp_path / "warped.tif"
    warp = [
        "gdalwarp",
        "-q",
        "-novshift",
        "-ovr",
        "NONE",
        "-et",
        "0",
        "-r",
        "average",
        "-ot",
        "Float64",
        "-t_srs",
    ]
    size = ["-te", west, south, east, north, "-tr", "90", "90"]
    subprocess.run([*warp, grid.crs, *size, str(dem), str(warped)], check=True)
    # GDAL before 3.11 weighs the parts of pixels at the edges of an average a little differently.
    most = 1e-4 if GDALVersion.runtime().at_least("3.11") else 0.1  # degrees, metres
    for name, what in (("slope", ["slope"]), ("ruggedness", ["TRI", "-alg", "Riley"])):
        made = tmp_path / f"{name}.tif"
        subprocess.run(["gdaldem", what[0], str(warped), str(made), *what[1:], "-q"], check=True)
        with rasterio.open(made) as file:
            expected = file.read(1)[1:-1, 1:-1]
        difference = float(np.abs(cube[name].values - expected).max())
        print(f"Rome, {name}: {difference:.2e}")
        assert difference < most and expected.std() > 0.5


def test_heights_above_a_geoid_are_no_other_place(make, tmp_path):
    # A compound CRS, as of NASADEM and EPSG:9707; and a CRS that QGIS was told in place of the file's.
    flat = write_dem(tmp_path / "flat.tif", lattice_in("EPSG:4326", 1 / 3600))
    compound = write_dem(tmp_path / "compound.tif", lattice_in("EPSG:4326", 1 / 3600), crs="EPSG:9707")
    without = write_dem(tmp_path / "without.tif", lattice_in("EPSG:4326", 1 / 3600), crs="")
    expected = make("a.nc", dem=flat).slope.values
    np.testing.assert_array_equal(make("b.nc", dem=compound).slope.values, expected)
    np.testing.assert_array_equal(make("c.nc", dem=without, dem_crs="EPSG:4326").slope.values, expected)


@pytest.mark.parametrize("size", [2.0, 10.0])
def test_nodata_is_never_blended_in(make, tmp_path, size):
    grid = around(GRID, 500, size)
    n = int(500 / size)
    width = int(60 / size)
    hole = (slice(n + width, n + 2 * width), slice(n + width, n + 2 * width))  # 60 m, from 60 m on
    dem = write_dem(tmp_path / "holed.tif", grid, hole=hole)
    cube, whole = make(dem=dem, variables=ALL, scales=""), make("w.nc", variables=LOCAL)
    expected = np.zeros(GRID.shape, bool)
    expected[5:13, 5:13] = True
    for name in ALL:
        np.testing.assert_array_equal(np.isnan(cube[name].values), expected, err_msg=name)
    difference = np.abs(cube.slope.values - whole.slope.values)[~expected]
    assert difference.max() < 0.1
    assert cube.slope.attrs["coverage_percent"] == pytest.approx(100 * (1 - expected.mean()), abs=0.01)


def test_partial_cover_is_reported_and_missing_outside(make, tmp_path, caplog):
    half = Grid(UTM, LEFT - 500, TOP + 500, 10.0, 10.0, 50 + 24, 150)
    dem = write_dem(tmp_path / "half.tif", half)
    with caplog.at_level(logging.WARNING):
        cube = make(dem=dem)
    assert "half.tif covers 50 % of the cube; the rest is missing." in caplog.text
    values = cube.slope.values
    assert np.isfinite(values[:, :23]).all() and np.isnan(values[:, 23:]).all()


def test_numbers_of_the_file_are_scaled(tmp_path):
    path = write_dem(tmp_path / "packed.tif", GRID, dtype="int16")
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.5,), (100.0,)
    with rasterio.open(path) as file:
        values, how = elevation_on(model_of_file(file, "packed"), GRID)
        np.testing.assert_array_equal(values, file.read(1) * 0.5 + 100.0)
    assert how == "unchanged"


def test_numbers_that_are_none_besides_the_files_own(tmp_path):
    path = write_dem(tmp_path / "zeros.tif", GRID, lambda x, y: np.where(x < LEFT + 100, 0.0, hills(x, y)))
    with rasterio.open(path) as file:
        values, _ = elevation_on(model_of_file(file, "zeros", missing=[[0, 0], [8848, 9000]]), GRID)
    np.testing.assert_array_equal(np.isnan(values), np.broadcast_to(np.arange(GRID.width) < 10, GRID.shape))


def test_tiles_and_parts_make_no_difference(tmp_path, monkeypatch):
    path = write_dem(tmp_path / "fine.tif", around(GRID, 300, 1.0))
    grids = [
        Grid(UTM, LEFT - 60, TOP + 60, size, size, int(480 / size), int(420 / size)) for size in (10.0, 60.0)
    ]
    lv95 = lattice_in("EPSG:2056", 10.0, 0.0)
    with rasterio.open(path) as file:
        model = model_of_file(file, "fine")
        once = [elevation_on(model, grid)[0] for grid in (*grids, lv95)]
        monkeypatch.setattr(reading, "AT_ONCE", 30)
        for grid, expected in zip((*grids, lv95), once, strict=True):
            np.testing.assert_allclose(elevation_on(model, grid)[0], expected, atol=1e-6)
            assert np.isfinite(expected).mean() > 0.9


def test_bilinear_needs_what_it_is_made_of():
    lattice = Grid(UTM, 0.0, 40.0, 10.0, 10.0, 4, 4)
    values = np.arange(16.0).reshape(4, 4)
    values[0, 0] = np.nan
    found, how = bring_to(values, lattice, Grid(UTM, 5.0, 35.0, 10.0, 10.0, 3, 3))
    assert how == "bilinear"
    np.testing.assert_array_equal(found[1:, 1:], [[7.5, 8.5], [11.5, 12.5]])
    assert np.isnan(found[0, 0]) and found[0, 1] == 3.5
    same, how = bring_to(values, lattice, Grid(UTM, 10.0, 30.0, 10.0, 10.0, 2, 4))
    assert how == "unchanged"
    np.testing.assert_array_equal(same[:3], values[1:, 1:3])
    assert np.isnan(same[3]).all()  # beyond the lattice


def test_array_of_a_cube_is_read_as_it_is():
    values = np.random.default_rng(1).normal(size=GRID.shape)
    found, how = elevation_on(model_of_array(values, GRID, "z"), around(GRID, 20))
    assert how == "unchanged"
    np.testing.assert_array_equal(found[2:-2, 2:-2], values)
    assert np.isnan(found[:2]).all()


# --- wrong use ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dem": "", "dem_variable": ""}, "DEM is missing"),
        ({"dem_variable": "cop_dem"}, "DEM and DEM_VARIABLE are both given"),
        (
            {"dem": "", "dem_variable": "nasa_dem"},
            "the cube has no variable nasa_dem. It has: cop_dem, cover",
        ),
        ({"dem": "", "dem_variable": "s2_B04"}, r"s2_B04 of the cube is not a map of numbers \(y, x\)"),
        ({"dem": "", "dem_variable": "s2_item_id"}, r"not a map of numbers \(y, x\)"),
        ({"scales": "20,fine"}, "SCALES is no list of positive numbers: '20,fine'"),
        ({"scales": "20,-5"}, "SCALES is no list of positive numbers"),
        ({"scales": "0"}, "SCALES is no list of positive numbers"),
        ({"scales": "nan"}, "SCALES is no list of positive numbers"),
        ({"scales": "20, 20.0"}, "SCALES has a number twice"),
        ({"scales": "1e6"}, "10000 m is the largest"),
        ({"variables": ("slope", "hillshade")}, "VARIABLES has hillshade. Known: slope, northness"),
        ({"variables": ()}, "VARIABLES is empty"),
        ({"dem": "no/such.tif"}, "DEM cannot be read"),
        ({"dem": "nocrs.tif"}, "DEM has no CRS: nocrs.tif"),
        ({"dem": "elsewhere.tif"}, "has no value within the cube: elsewhere.tif"),
        ({"cube": "degrees.nc"}, "degrees.nc lies on degrees"),
        ({"cube": "taken.nc", "dem": "", "dem_variable": "slope"}, "DEM_VARIABLE slope would be replaced"),
        ({"cube": "no.nc"}, "CUBE does not exist"),
        ({"cube": ""}, "CUBE is missing"),
        ({"output": "a.tif"}, "does not end in .nc or .zarr"),
        ({"output": ""}, "OUTPUT is missing"),
    ],
)
def test_wrong_use_is_one_sentence_before_work(folder, tmp_path, monkeypatch, changes, words):
    inputs = tmp_path / "in"
    inputs.mkdir()
    monkeypatch.chdir(inputs)
    write_dem(inputs / "nocrs.tif", GRID, crs="")
    write_dem(inputs / "elsewhere.tif", Grid(UTM, LEFT + 90_000, TOP, 10.0, 10.0, 30, 30))
    save(example().assign(slope=lambda c: c.cop_dem), inputs / "taken.nc")
    degrees = Grid("EPSG:4326", 8.0, 47.0, 0.001, 0.001, 20, 20)
    save(example(degrees, "EPSG:4326"), inputs / "degrees.nc")
    before = sorted(inputs.iterdir())
    parameters = {
        "cube": str(folder / "valley.nc"), "dem": str(folder / "dem.tif"), "output": str(tmp_path / "new.nc"),
        **changes,
    }  # fmt: skip
    with pytest.raises(InputError, match=words):
        terrain_variables(TerrainParameters(**parameters), Progress())
    assert sorted(inputs.iterdir()) == before and sorted(tmp_path.iterdir()) == [inputs]


def test_scales_are_read_in_any_order_and_separator():
    assert checked_scales(" 100; 20,2.5 500") == (2.5, 20.0, 100.0, 500.0)
    assert checked_scales("  ") == ()


def test_map_that_stretches_is_said(make, tmp_path, caplog):
    web = Grid("EPSG:3857", 1_150_000.0, 5_930_000.0, 10.0, 10.0, 20, 20)
    path = save(example(web, "EPSG:3857"), tmp_path / "web.nc")
    with caplog.at_level(logging.WARNING):
        make(cube=path, dem_variable="cop_dem")
    assert "Lengths are 1.46 times too long in EPSG:3857 here" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        make("utm.nc")
    assert caplog.text == ""


def test_names_of_scales(make):
    cube = make(variables=("slope",), scales="12.5,1000")
    assert {"slope_12_5m", "slope_1000m"} <= set(cube.data_vars)


def test_cancel_leaves_nothing(folder, tmp_path):
    class Stops(Progress):
        def show(self, fraction, text):
            if fraction > 0.5:
                self.cancel()

    order = TerrainParameters(
        str(folder / "valley.nc"), dem_variable="cop_dem", output=str(tmp_path / "new.nc")
    )
    with pytest.raises(Cancelled):
        terrain_variables(order, Stops())
    assert list(tmp_path.iterdir()) == []
