"""Temperature moved to the elevation of the pixels."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
import rasterio
import xarray as xr
from minicuber.core.catalogs.http import Credentials
from minicuber.core.catalogs.registry import load_registry
from minicuber.core.climate.lapse import elevation_of_cell, elevation_on, is_corrected
from minicuber.core.climate.weather import Climate
from minicuber.core.cube.write import open_cube
from minicuber.core.errors import InputError
from minicuber.core.grid import Grid
from minicuber.core.partstore import open_store
from minicuber.core.progress import Progress
from minicuber.core.recipe import Recipe

GRID = Grid("EPSG:32632", 408_000.0, 5_207_000.0, 10.0, 10.0, 30, 20)
DAYS = [dt.date(2021, 6, 5), dt.date(2021, 6, 10)]
STANDARD = 101_325.0  # Pa


def pressure_at(height):
    """ISO 2533, table 1: 1000 m has 89874.6 Pa, 2000 m 79495.2 Pa, where the air at sea level has 288.15 K."""
    return STANDARD * (1 - 0.0065 * height / 288.15) ** 5.25588


@pytest.fixture
def dem(tmp_path):
    path = tmp_path / "dem.tif"
    heights = np.add.outer(np.arange(20) * 10.0, np.arange(30) * 1.0) + 500
    with rasterio.open(
        path, "w", driver="GTiff", width=30, height=20, count=1, dtype="float32", crs=GRID.crs,
        transform=GRID.geobox.transform, nodata=-9999,
    ) as file:  # fmt: skip
        file.write(heights.astype("float32"), 1)
    return path, heights


def store(path, height, temperature):
    times = np.arange("2021-05-30T00", "2021-06-12T00", dtype="datetime64[h]").astype("datetime64[ns]")
    lat, lon = np.array([47.5, 47.25, 47.0, 46.75, 46.5]), np.array([7.25, 7.5, 7.75, 8.0, 8.25])
    height = np.broadcast_to(np.asarray(height, float), (5, 5))

    def field(values):
        return (("time", "latitude", "longitude"), np.broadcast_to(values, (len(times), 5, 5)).astype("f8"))

    air = temperature - 0.0065 * height
    xr.Dataset(
        {"t2m": field(air), "sp": field(pressure_at(height)), "msl": field(STANDARD), "tp": field(0.001)},
        {"time": times, "latitude": lat, "longitude": lon},
    ).to_netcdf(path, engine="h5netcdf")
    return path


def cube_of(tmp_path, source, dem, space="auto", choice=("t", "mean", "t", "std", "tp", "sum")):
    recipe = Recipe(
        (7.7, 7.8, 46.9, 47.0), "EPSG:4326", "2021-06-01", "2021-06-10", "x", era5_source=str(source),
        era5_variables=choice, era5_space=space, era5_dem=str(dem), step_days=5,
    )  # fmt: skip
    climate = Climate(recipe, load_registry(), Credentials(), GRID, DAYS, None)
    climate.look(Progress())
    with open_store(tmp_path / "parts", "x", Progress()) as parts:
        climate.read(parts, Progress())
    path = tmp_path / "cube.nc"
    path.write_bytes(b"")
    with open_cube(path, GRID, DAYS, climate.variables(), {}) as cube:
        climate.write(cube, DAYS, Progress())
    with xr.open_dataset(path) as made:
        return made.load()


def test_elevation_of_a_cell_is_that_of_the_standard_atmosphere():
    for height, pressure in ((0.0, 101_325.0), (1000.0, 89_874.6), (2000.0, 79_495.2)):
        found = elevation_of_cell(np.array(pressure), np.array(STANDARD), np.array(288.15 - 0.0065 * height))
        assert found == pytest.approx(height, abs=0.05)


@pytest.mark.parametrize("space", ["nearest", "bilinear"])
def test_pixels_have_the_temperature_of_their_elevation(tmp_path, dem, space):
    path, heights = dem
    made = cube_of(tmp_path, store(tmp_path / "era5.nc", 1200.0, 288.15), path, space)
    np.testing.assert_allclose(made.era5_t_mean, (288.15 - 0.0065 * heights)[None].repeat(2, 0), atol=2e-3)
    assert "elevation of each pixel" in made.era5_t_mean.attrs["resampling"]
    # What does not move with temperature stays as it is.
    assert "elevation" not in made.era5_t_std.attrs["resampling"]
    np.testing.assert_allclose(made.era5_t_std, 0, atol=1e-9)


def test_cells_of_different_elevation_do_not_mix_their_elevations(tmp_path, dem):
    """Interpolated as they are, the temperatures of a valley's and a mountain's cell would give a slope's."""
    path, heights = dem
    ground = np.linspace(200, 3000, 25).reshape(5, 5)
    made = cube_of(tmp_path, store(tmp_path / "era5.nc", ground, 288.15), path, "bilinear")
    np.testing.assert_allclose(made.era5_t_mean, (288.15 - 0.0065 * heights)[None].repeat(2, 0), atol=5e-3)


def test_only_temperatures_that_move_are_corrected():
    assert is_corrected("t", "p95") and is_corrected("mint", "min")
    assert not is_corrected("t", "std") and not is_corrected("t", "sum") and not is_corrected("dp", "mean")


def test_elevation_model_that_is_elsewhere_is_refused(tmp_path, dem):
    path, _ = dem
    far = Grid(GRID.crs, 500_000.0, 5_000_000.0, 10.0, 10.0, 5, 5)
    with pytest.raises(InputError, match="does not cover"):
        elevation_on(far, str(path))
    with pytest.raises(InputError, match="cannot be read"):
        elevation_on(GRID, str(tmp_path / "none.tif"))
