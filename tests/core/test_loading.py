"""Reading onto the grid, compared with gdalwarp and with the source's own pixels."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from minicuber.core.catalogs.items import Raster
from minicuber.core.errors import SourceError
from minicuber.core.grid import Grid
from minicuber.core.loading import read_band
from minicuber.core.placement import placement, resampling_for
from minicuber.core.sources.sentinel2 import BandFile
from rasterio.enums import Resampling

UTM32 = "EPSG:32632"


def write(path, values, *, left=400_000.0, top=5_200_000.0, size=10.0, crs=UTM32, nodata=0):
    rows, columns = values.shape
    profile = {
        "driver": "GTiff",
        "height": rows,
        "width": columns,
        "count": 1,
        "dtype": values.dtype,
        "crs": crs,
        "transform": rasterio.Affine(size, 0, left, 0, -size, top),
        "nodata": nodata,
        "tiled": True,
        "blockxsize": 64,
        "blockysize": 64,
    }
    with rasterio.open(path, "w", **profile) as file:
        file.write(values, 1)
        if rows >= 64:
            file.build_overviews([2, 4], Resampling.average)
    return BandFile(Raster(str(path), crs, None, None, nodata), 1e-4, 0.0, nodata)


@pytest.fixture
def dn():
    rng = np.random.default_rng(7)
    values = rng.integers(1, 10_000, (160, 170), dtype=np.uint16)
    values[20:40, 30:55] = 0
    values[rng.random(values.shape) < 0.02] = 0
    return values


def gdalwarp(source, grid: Grid, method: str, tmp_path, dtype="Float32", nodata="nan"):
    if shutil.which("gdalwarp") is None:
        pytest.skip("gdalwarp is not installed")
    target = tmp_path / f"warped_{method}.tif"
    west, south, east, north = grid.bounds
    command = [
        "gdalwarp",
        "-q",
        "-ovr",
        "NONE",
        "-r",
        method,
        "-ot",
        dtype,
        "-dstnodata",
        nodata,
        "-t_srs",
        grid.crs,
        "-te",
        *map(repr, (west, south, east, north)),
        "-ts",
        str(grid.width),
        str(grid.height),
        str(source),
        str(target),
    ]
    subprocess.run(command, check=True)
    with rasterio.open(target) as file:
        return file.read(1)


def test_same_lattice_is_copied_and_outside_is_missing(dn, tmp_path):
    file = write(tmp_path / "a.tif", dn)
    grid = Grid(UTM32, 399_950.0, 5_200_030.0, 10.0, 10.0, 100, 80)
    out = read_band(file, grid, classes=False)
    expected = np.full(grid.shape, np.nan, np.float32)
    inner = dn[:77, :95].astype(np.float32)
    inner[inner == 0] = np.nan
    expected[3:, 5:] = inner
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    ("grid", "method"),
    [
        (Grid(UTM32, 400_005.0, 5_199_995.0, 10.0, 10.0, 90, 90), "bilinear"),  # same size, half a pixel off
        (Grid(UTM32, 400_004.0, 5_199_997.0, 10.0, 10.0, 90, 90), "bilinear"),
        (Grid(UTM32, 400_000.0, 5_200_000.0, 20.0, 20.0, 60, 60), "average"),
        (Grid(UTM32, 400_007.0, 5_199_991.0, 30.0, 30.0, 40, 40), "average"),
        (Grid(UTM32, 400_000.0, 5_200_000.0, 5.0, 5.0, 200, 200), "near"),  # nests
        (Grid(UTM32, 400_002.0, 5_200_000.0, 4.0, 4.0, 200, 200), "bilinear"),  # coarser, does not nest
        (Grid("EPSG:2056", 2_619_200.0, 1_199_000.0, 10.0, 10.0, 60, 60), "bilinear"),
        (Grid("EPSG:32631", 856_700.0, 5_209_600.0, 20.0, 20.0, 60, 60), "average"),
    ],
)
def test_default_resampling_equals_gdalwarp_without_overviews(dn, tmp_path, grid, method):
    file = write(tmp_path / "a.tif", dn)
    out = read_band(file, grid, classes=False)
    expected = gdalwarp(tmp_path / "a.tif", grid, method, tmp_path)
    assert np.isfinite(expected).mean() > 0.2, "the grid misses the source: the test would compare nothing"
    np.testing.assert_array_equal(np.isnan(out), np.isnan(expected))
    np.testing.assert_allclose(out, expected, rtol=2e-6)


@pytest.mark.parametrize(
    ("grid", "method"),
    [
        (Grid(UTM32, 400_003.0, 5_199_996.0, 10.0, 10.0, 90, 90), "near"),
        (Grid(UTM32, 400_000.0, 5_200_000.0, 5.0, 5.0, 200, 200), "near"),
        (Grid(UTM32, 400_000.0, 5_200_000.0, 30.0, 30.0, 50, 50), "mode"),
    ],
)
def test_classes_equal_gdalwarp_nearest_and_mode(tmp_path, grid, method):
    values = np.random.default_rng(3).integers(1, 12, (160, 170), dtype=np.uint8)
    values[10:30, 10:30] = 0
    file = write(tmp_path / "scl.tif", values)
    out = read_band(file, grid, classes=True)
    expected = gdalwarp(tmp_path / "scl.tif", grid, method, tmp_path, "Byte", "0")
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out, expected)


def test_nearest_classes_are_not_displaced_by_pasting(tmp_path):
    # Pasting a lattice that is 0.7 pixel off (as odc-loader does for nearest) labels pixels wrongly.
    values = np.arange(1, 65, dtype=np.uint8).reshape(8, 8)
    file = write(tmp_path / "c.tif", values)
    grid = Grid(UTM32, 400_007.0, 5_200_000.0, 10.0, 10.0, 4, 4)
    np.testing.assert_array_equal(read_band(file, grid, classes=True), values[:4, 1:5])


def test_missing_pixels_are_masked_before_resampling(tmp_path):
    values = np.full((8, 8), 5000, np.uint16)
    values[:, 4:] = 0
    file = write(tmp_path / "edge.tif", values)
    out = read_band(file, Grid(UTM32, 400_005.0, 5_199_995.0, 10.0, 10.0, 6, 6), classes=False)
    assert set(out[np.isfinite(out)].tolist()) == {5000.0}


def test_nodata_comes_from_the_file_else_from_the_catalog(tmp_path):
    values = np.array([[0, 1], [2, 3]], np.uint16)
    file = write(tmp_path / "n.tif", values, nodata=None)
    file = BandFile(file.raster, 1e-4, 0.0, 0.0)
    out = read_band(file, Grid(UTM32, 400_000.0, 5_200_000.0, 10.0, 10.0, 2, 2), classes=False)
    np.testing.assert_array_equal(out, [[np.nan, 1], [2, 3]])


def test_lattices_that_differ_by_rounding_are_the_same():
    grid = Grid(UTM32, 400_000.0, 5_200_000.0, 10.0, 10.0, 128, 128)
    assert placement(rasterio.Affine(10.0000001, 0, 399_960.0000004, 0, -10, 5_300_040), UTM32, grid).copied
    assert not placement(rasterio.Affine(10, 0, 399_965, 0, -10, 5_300_040), UTM32, grid).copied
    # 9.995 m pixels drift by half a pixel over a hundred: not the same lattice as 10 m.
    assert not placement(rasterio.Affine(9.995, 0, 400_000, 0, -9.995, 5_200_000), UTM32, grid).copied
    twenty = placement(rasterio.Affine(20, 0, 399_960, 0, -20, 5_300_040), UTM32, grid)
    assert twenty.nests and not twenty.copied
    assert resampling_for(twenty, classes=False) is Resampling.nearest
    odd = placement(rasterio.Affine(20, 0, 399_965, 0, -20, 5_300_040), UTM32, grid)
    assert not odd.nests and resampling_for(odd, classes=False) is Resampling.bilinear


def test_remote_vrt_cannot_name_local_files(tmp_path, dn):
    write(tmp_path / "secret.tif", dn)
    vrt = tmp_path / "innocent.tif"
    vrt.write_text(
        '<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="UInt16" band="1"><SimpleSource>'
        f"<SourceFilename>{tmp_path / 'secret.tif'}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    file = BandFile(Raster(str(vrt), UTM32, None, None, 0), 1e-4, 0.0, 0.0)
    with pytest.raises(SourceError, match=r"innocent\.tif"):
        read_band(file, Grid(UTM32, 400_000.0, 5_200_000.0, 10.0, 10.0, 4, 4), classes=False)


def test_truncated_file_is_named_and_signature_is_not_shown(tmp_path, dn):
    file = write(tmp_path / "t.tif", dn)
    data = (tmp_path / "t.tif").read_bytes()
    (tmp_path / "t.tif").write_bytes(data[: len(data) // 4])
    with pytest.raises(SourceError, match=r"t\.tif cannot be read"):
        read_band(file, Grid(UTM32, 400_000.0, 5_200_000.0, 10.0, 10.0, 160, 160), classes=False)


def test_signature_is_not_shown_when_a_token_ended(tmp_path, serve):
    # The usual answer: 200 with a web page, and GDAL's error holds the whole address.
    server = serve(tmp_path)
    server.answers["x.tif"] = ("text/html", b"<html>Sign in</html>" * 100)
    file = BandFile(Raster(f"{server.url}/x.tif?sig=SECRET&se=1", UTM32, None, None, 0), 1e-4, 0.0, 0.0)
    with pytest.raises(SourceError, match=r"x\.tif cannot be read") as caught:
        read_band(file, Grid(UTM32, 400_000.0, 5_200_000.0, 10.0, 10.0, 4, 4), classes=False)
    assert "SECRET" not in str(caught.value)
    assert "not recognized" in str(caught.value)


def test_dn_0_is_missing_beside_another_nodata(tmp_path):
    values = np.full((40, 40), 5000, np.uint16)
    values[10:20], values[20:30] = 0, 65535
    file = write(tmp_path / "n.tif", values, nodata=65535)
    for grid in (
        Grid(UTM32, 400_000.0, 5_200_000.0, 10.0, 10.0, 40, 40),
        Grid(UTM32, 400_003.0, 5_199_996.0, 10.0, 10.0, 30, 30),
        Grid(UTM32, 400_000.0, 5_200_000.0, 20.0, 20.0, 20, 20),
        Grid(UTM32, 400_000.0, 5_200_000.0, 5.0, 5.0, 80, 80),
    ):
        out = read_band(file, grid, classes=False)
        assert set(out[np.isfinite(out)].tolist()) == {5000.0}
        assert 0.4 < np.isnan(out).mean() < 0.7


def test_warping_around_two_nodata_numbers_equals_warping_around_one(tmp_path, dn):
    file = write(tmp_path / "one.tif", dn)
    other = np.where(dn == 0, 65535, dn).astype(np.uint16)
    other[30, 30:55] = 0
    twice = write(tmp_path / "two.tif", other, nodata=65535)
    for grid in (
        Grid("EPSG:2056", 2_619_200.0, 1_199_000.0, 10.0, 10.0, 60, 60),
        Grid("EPSG:32631", 856_700.0, 5_209_600.0, 30.0, 30.0, 40, 40),
    ):
        np.testing.assert_allclose(read_band(twice, grid, False), read_band(file, grid, False), rtol=2e-5)


@given(
    st.floats(0, 10).map(lambda value: round(value, 2)),
    st.floats(0, 10).map(lambda value: round(value, 2)),
    st.sampled_from([2.5, 4.0, 5.0, 7.0, 10.0, 12.5, 20.0, 33.0, 60.0]),
    st.sampled_from([None, "nearest", "bilinear", "average", "cubic"]),
)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
def test_parity_with_gdalwarp_on_any_lattice(dn, tmp_path, dx, dy, resolution, choice):
    """Before packing: exact for nearest, to float rounding for all others; half-pixel ties excluded."""
    count = int(min(700 / resolution, 90))
    grid = Grid(UTM32, 400_200.0 + dx, 5_199_800.0 - dy, resolution, resolution, count, count)
    file = write(tmp_path / "a.tif", dn)
    place = placement(rasterio.Affine(10, 0, 400_000, 0, -10, 5_200_000), UTM32, grid)
    method = "nearest" if place.copied else resampling_for(place, False, choice).name
    if method == "nearest":
        centres = [
            (dx + (np.arange(count) + 0.5) * resolution) / 10,
            (dy + (np.arange(count) + 0.5) * resolution) / 10,
        ]
        assume(all(np.abs(each - np.round(each)).min() > 1e-6 for each in centres))
    out = read_band(file, grid, False, choice)
    expected = gdalwarp(tmp_path / "a.tif", grid, {"nearest": "near"}.get(method, method), tmp_path)
    np.testing.assert_array_equal(np.isnan(out), np.isnan(expected))
    if method == "nearest":
        np.testing.assert_array_equal(out, expected)
    else:
        np.testing.assert_allclose(out, expected, rtol=3e-6, atol=1e-2 if method == "cubic" else 0)
    for warped in tmp_path.glob("warped_*.tif"):
        warped.unlink()


def test_mask_inside_a_file_is_missing(tmp_path):
    """Some catalogs mark what is missing by a mask and by no number."""
    values = np.full((64, 64), 500, np.uint16)
    profile = {
        "driver": "GTiff", "height": 64, "width": 64, "count": 1, "dtype": "uint16", "crs": UTM32,
        "transform": rasterio.Affine(10, 0, 400_000, 0, -10, 5_200_000),
    }  # fmt: skip
    mask = np.full((64, 64), 255, np.uint8)
    mask[:, :32] = 0
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(tmp_path / "m.tif", "w", **profile) as file,
    ):
        file.write(values, 1)
        file.write_mask(mask)
    file = BandFile(Raster(str(tmp_path / "m.tif"), UTM32, None, None, None), 1e-4, 0.0, 0.0)
    same = read_band(file, Grid(UTM32, 400_000.0, 5_200_000.0, 10.0, 10.0, 64, 64), False)
    assert np.isnan(same[:, :32]).all() and (same[:, 32:] == 500).all()
    coarse = read_band(file, Grid(UTM32, 400_000.0, 5_200_000.0, 20.0, 20.0, 32, 32), False)
    assert np.isnan(coarse[:, :16]).all() and (coarse[:, 16:] == 500).all()


def test_file_that_lies_elsewhere_is_missing_not_an_error(tmp_path):
    """Its item's box said otherwise; with a number for missing besides 0 the window below the grid is empty."""
    file = write(tmp_path / "a.tif", np.full((64, 64), 5, np.int16), nodata=-999)
    out = read_band(file, Grid(UTM32, 500_000.0, 5_200_000.0, 20.0, 20.0, 8, 8), False)
    assert np.isnan(out).all()
