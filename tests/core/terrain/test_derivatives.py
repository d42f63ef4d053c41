"""Slope, aspect, ruggedness and curvature beside gdaldem's and beside geometry."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
import rasterio
from minicuber.core.terrain import derivatives as d
from rasterio.warp import Resampling, calculate_default_transform, reproject
from rasterio.windows import Window

RNG = np.random.default_rng(5)


def gdaldem(z, pixel, tmp_path, *what) -> np.ndarray:
    """NaN where gdaldem has no value."""
    if shutil.which("gdaldem") is None:
        pytest.skip("gdaldem is not installed")
    source, target = tmp_path / "z.tif", tmp_path / "made.tif"
    profile = {
        "driver": "GTiff", "height": z.shape[0], "width": z.shape[1], "count": 1, "dtype": "float32",
        "crs": "EPSG:32632", "nodata": -9999, "transform": rasterio.Affine(pixel, 0, 4e5, 0, -pixel, 5e6),
    }  # fmt: skip
    with rasterio.open(source, "w", **profile) as file:
        file.write(np.where(np.isfinite(z), z, -9999).astype("float32"), 1)
    subprocess.run(["gdaldem", *what, str(source), str(target), "-q"], check=True)
    with rasterio.open(target) as file:
        return file.read(1, masked=True).astype(float).filled(np.nan)


def real(shared, name) -> tuple[np.ndarray, float]:
    """A part of a real elevation model on pixels of 30 m: (elevation, pixel size)."""
    path = shared / "data" / "dem" / name
    if not path.is_file():
        pytest.skip(f"{name} is not here")
    with rasterio.open(path) as file:
        # The one is a town, the other the side of a volcano.
        crs, window = ("EPSG:32633", Window(0, 0, 360, 360)) if name.startswith("Rome") else (
            "EPSG:32632", Window(1750, 2400, 500, 450))  # fmt: skip
        transform, width, height = calculate_default_transform(
            file.crs, crs, window.width, window.height, *file.window_bounds(window), resolution=30.0
        )
        out = np.full((height, width), np.nan, "float32")
        reproject(file.read(1, window=window).astype("float32"), out, src_transform=file.window_transform(window),
                  src_crs=file.crs, dst_crs=crs, dst_transform=transform, dst_nodata=np.nan,
                  resampling=Resampling.cubic)  # fmt: skip
    return out, 30.0


@pytest.fixture(params=["Rome-30m-DEM.tif", "Copernicus_DSM_COG_10_N00_00_E006_00_DEM.tif", "hills"])
def ground(request, shared):
    """(elevation, pixel size). In steps of 1/64 m, of which float32, in which gdaldem adds up, loses nothing."""
    if request.param != "hills":
        z, pixel = real(shared, request.param)
    else:
        pixel = 10.0
        y, x = np.mgrid[:150, :170]
        z = 900 + 60 * np.sin(x / 9) + 40 * np.cos(y / 7 + x / 20) + RNG.normal(0, 0.5, x.shape)
        z[20:23, 30:35] = np.nan
        z[90, 60] = np.nan
    return np.round(z.astype("float64") * 64) / 64, pixel


def largest_difference(found, expected) -> float:
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    assert np.isfinite(expected).mean() > 0.5, "the test would compare nothing"
    return float(np.nanmax(np.abs(found - expected)))


def test_slope_is_gdaldems(ground, tmp_path):
    z, pixel = ground
    difference = largest_difference(
        d.slope(*d.gradient(z, pixel, pixel)), gdaldem(z, pixel, tmp_path, "slope")
    )
    print(f"slope: {difference:.2e} degrees")
    assert difference < 1e-4


def test_northness_and_eastness_are_of_gdaldems_aspect(ground, tmp_path):
    z, pixel = ground
    gradient = d.gradient(z, pixel, pixel)
    aspect = np.radians(gdaldem(z, pixel, tmp_path, "aspect"))
    steep = np.nan_to_num(d.slope(*gradient)) > 0.5  # elsewhere the last digit of an elevation turns it
    assert steep.mean() > 0.2
    for found, expected in (
        (d.northness(*gradient), np.cos(aspect)),
        (d.eastness(*gradient), np.sin(aspect)),
    ):
        difference = float(np.abs(found - expected)[steep].max())
        print(f"aspect: {difference:.2e}")
        assert difference < 1e-4
        # gdaldem has no aspect on flat ground.
        flat = np.isnan(aspect) & np.isfinite(found)
        assert np.all(np.abs(d.slope(*gradient)[flat]) < 1e-6)
        assert np.all(found[flat] == 0)


def test_ruggedness_is_gdaldems(ground, tmp_path):
    z, pixel = ground
    expected = gdaldem(z, pixel, tmp_path, "TRI", "-alg", "Riley")
    difference = largest_difference(d.ruggedness(z), expected)
    print(f"TRI: {difference:.2e} m")
    assert difference < 1e-4


def plane(rise_east, rise_north, dx=10.0, dy=10.0, shape=(12, 15)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return 500 + rise_east * x * dx - rise_north * y * dy


@pytest.mark.parametrize(
    ("rise", "faces"),
    [((0, -0.3), (1, 0)), ((0, 0.3), (-1, 0)), ((-0.3, 0), (0, 1)), ((0.3, 0), (0, -1)),
     ((-0.2, -0.2), (0.5**0.5, 0.5**0.5)), ((0.6, -0.8), (0.8, -0.6))],
)  # fmt: skip
def test_plane_faces_where_it_falls(rise, faces):
    z = plane(*rise, dx=10.0, dy=20.0)
    gradient = d.gradient(z, 10.0, 20.0)
    inner = (slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(d.slope(*gradient)[inner], np.degrees(np.arctan(np.hypot(*rise))), atol=1e-9)
    np.testing.assert_allclose(d.northness(*gradient)[inner], faces[0], atol=1e-9)
    np.testing.assert_allclose(d.eastness(*gradient)[inner], faces[1], atol=1e-9)
    np.testing.assert_allclose(d.curvature(z, 10.0, 20.0)[inner], 0, atol=1e-9)


def test_plane_has_the_ruggedness_of_riley():
    # Of a rise of 1 m a pixel: six neighbours are 1 m higher or lower.
    np.testing.assert_allclose(d.ruggedness(plane(0.1, 0))[1:-1, 1:-1], 6**0.5)


def test_flat_ground_faces_nowhere():
    z = np.full((5, 5), 312.7) + RNG.normal(0, 1e-12, (5, 5))  # the rounding of averages
    gradient = d.gradient(z, 10.0, 10.0)
    assert np.all(d.northness(*gradient)[1:-1, 1:-1] == 0) and np.all(d.eastness(*gradient)[1:-1, 1:-1] == 0)
    assert np.all(d.slope(*gradient)[1:-1, 1:-1] < 1e-6)


def test_paraboloid_has_its_curvature_and_a_hill_is_positive():
    y, x = np.mgrid[-10:11, -12:13]
    z = 800 - (x * 10.0) ** 2 / (2 * 400) - (y * 20.0) ** 2 / (2 * 900)
    np.testing.assert_allclose(d.curvature(z, 10.0, 20.0)[1:-1, 1:-1], 1 / 400 + 1 / 900, atol=1e-12)
    assert np.nanmax(d.curvature(-z, 10.0, 20.0)) < 0


def test_cone_has_one_slope_and_faces_outwards():
    y, x = np.mgrid[-60:61, -60:61].astype(float)
    radius = np.hypot(x, y)
    gradient = d.gradient(1000 - 0.5 * 10 * radius, 10.0, 10.0)
    away = (radius > 25) & (np.maximum(abs(x), abs(y)) < 60)
    np.testing.assert_allclose(d.slope(*gradient)[away], np.degrees(np.arctan(0.5)), atol=0.02)
    np.testing.assert_allclose(d.northness(*gradient)[away], (-y / np.maximum(radius, 1))[away], atol=1e-3)
    np.testing.assert_allclose(d.eastness(*gradient)[away], (x / np.maximum(radius, 1))[away], atol=1e-3)


def test_nothing_is_made_up_at_edges_and_holes():
    z = plane(0.3, 0.1)
    z[5, 6] = np.nan
    expected = np.ones(z.shape, bool)
    expected[1:-1, 1:-1] = False
    expected[4:7, 5:8] = True
    gradient = d.gradient(z, 10.0, 10.0)
    for found in (
        d.slope(*gradient), d.northness(*gradient), d.eastness(*gradient), d.ruggedness(z), d.curvature(z, 10.0, 10.0)
    ):  # fmt: skip
        np.testing.assert_array_equal(np.isnan(found), expected)


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (3, 3)])
def test_small_models_have_no_or_one_value(shape):
    z = np.zeros(shape)
    for found in (d.slope(*d.gradient(z, 1, 1)), d.ruggedness(z), d.curvature(z, 1, 1)):
        assert found.shape == (max(shape[0], 2), max(shape[1], 2)) or found.shape == shape
        assert np.isfinite(found).sum() == (shape == (3, 3))
