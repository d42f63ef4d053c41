"""Cubes where grids go wrong: zone borders, Norway, Svalbard, the south, the antimeridian, odd pixels.

Every pixel of the synthetic scenes says where it lies, so a displacement by one pixel is seen.
"""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
import rasterio
import xarray as xr
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress
from pyproj import Transformer
from scenery import collection_file, dn_at, scene

DAY = "2021-06-10T10:30:00Z"


def build(folder, items, lon, lat, width=20, height=16, **recipe):
    order = {
        "extent": [lon, lon, lat, lat], "extent_crs": "EPSG:4326", "width": width, "height": height,
        "start": "2021-06-01", "end": "2021-06-30", "s2_bands": ["B02"],
        "catalog": str(collection_file(folder, items)), **recipe,
    }  # fmt: skip
    output = folder / "cube.nc"
    run_job("buildminicube", {"recipe": order, "output": str(output)}, Progress())
    with xr.open_dataset(output, mask_and_scale=False) as cube:
        return cube.load()


def crs_of(cube) -> str:
    from pyproj import CRS

    return ":".join(CRS.from_wkt(cube.spatial_ref.attrs["crs_wkt"]).to_authority())


def around(crs: str, lon: float, lat: float, south: bool = False) -> tuple[float, float]:
    """The corner of a scene of 1200 m around a place, on the lattice of Sentinel-2's tiles."""
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    return round((x - 600) / 60) * 60, round((y + 600 - 40 * south) / 60) * 60 + 40 * south


@pytest.mark.parametrize(
    ("name", "lon", "lat", "crs"),
    [
        ("bergen", 5.32, 60.39, "EPSG:32632"),  # zone 31 by longitude, 32V by MGRS
        ("longyearbyen", 15.6, 78.22, "EPSG:32633"),
        ("west_of_9E_svalbard", 8.6, 78.5, "EPSG:32631"),
        ("east_svalbard", 21.4, 78.6, "EPSG:32635"),
        ("bern", 7.45, 46.95, "EPSG:32632"),
        ("cape_town", 18.4, -33.9, "EPSG:32734"),
        ("fiji_east_of_the_line", -179.99, -16.8, "EPSG:32701"),
        ("fiji_west_of_the_line", 179.99, -16.8, "EPSG:32760"),
        ("equator_south_side", 36.9, -0.01, "EPSG:32737"),
    ],
)
def test_cube_is_in_the_mgrs_zone_on_the_tiles_lattice_to_the_pixel(tmp_path, name, lon, lat, crs):
    item = scene(tmp_path, name, crs, around(crs, lon, lat, south=lat < 0), DAY)
    cube = build(tmp_path, [item], lon, lat)
    assert crs_of(cube) == crs
    assert (cube.sizes["y"], cube.sizes["x"]) == (16, 20)
    left, top = float(cube.x[0]) - 5, float(cube.y[0]) + 5
    assert left % 10 == 0 and top % 10 == 0
    np.testing.assert_array_equal(
        cube.s2_B02[0].values, dn_at(cube.x.values[None, :], cube.y.values[:, None])
    )
    # The place asked for lies within half a pixel of the centre.
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    assert abs(left + 100 - x) <= 5 and abs(top - 80 - y) <= 5
    assert cube.s2_B02.attrs["resampling"] == "none, the lattices are equal"


def test_pixels_of_60_m_of_the_south_keep_their_edges(tmp_path):
    """Multiples of the resolution would be 20 m off: northings there are 40 modulo 60."""
    crs = "EPSG:32734"
    corner = around(crs, 18.4, -33.9, south=True)
    item = scene(tmp_path, "a", crs, corner, DAY)
    cube = build(tmp_path, [item], 18.4, -33.9, 8, 8, resolution=60)
    assert (float(cube.y[0]) + 30) % 60 == 40
    assert (float(cube.x[0]) - 30) % 60 == 0
    # 6 x 6 pixels of 10 m make one of 60 m: their mean, to half a DN.
    x = cube.x.values[:, None] - 25 + 10 * np.arange(6)
    y = cube.y.values[:, None] + 25 - 10 * np.arange(6)
    fine = dn_at(x.reshape(-1)[None, :], y.reshape(-1)[:, None]).reshape(8, 6, 8, 6)
    assert np.abs(cube.s2_B02[0].values - fine.mean(axis=(1, 3))).max() <= 0.5 + 1e-3


def test_extent_across_the_antimeridian_is_one_small_cube(tmp_path):
    """A box from -180 to 180 would search the whole world and make a cube around it."""
    lat = -16.8
    east = scene(tmp_path, "east", "EPSG:32701", around("EPSG:32701", -179.998, lat, True), DAY, size=240)
    west = scene(tmp_path, "west", "EPSG:32760", around("EPSG:32760", 179.998, lat, True), DAY, size=240)
    far = scene(tmp_path, "far", "EPSG:32734", around("EPSG:32734", 18.4, lat, True), DAY)
    cube = build(
        tmp_path,
        [east, west, far],
        0,
        0,
        width=0,
        height=0,
        extent=[179.996, 180.004, lat - 0.003, lat + 0.003],
    )
    assert crs_of(cube) == "EPSG:32701"
    assert cube.sizes["x"] < 120 and cube.sizes["y"] < 120
    assert sorted(cube.s2_item_id.item().split()) == ["east", "west"]
    assert cube.s2_item_id.item().split()[0] == "east"  # in the grid's own CRS
    own = cube.s2_B02[0].values
    seen = own != -32768
    exact = dn_at(cube.x.values[None, :], cube.y.values[:, None])
    assert seen.all()
    x0, y0 = around("EPSG:32701", -179.998, lat, True)
    inside = (cube.x.values[None, :] > x0 - 600 + 600) & (cube.y.values[:, None] < y0)
    assert (own == exact)[inside].mean() > 0.9


def test_two_zones_of_one_day_are_fused_and_each_is_exact(tmp_path):
    """The first item's EPSG used for all items would put the second zone's pixels elsewhere."""
    lon, lat = 11.999, 47.0
    own = scene(tmp_path, "own", "EPSG:32632", around("EPSG:32632", 11.993, lat), DAY)
    other = scene(tmp_path, "other", "EPSG:32633", around("EPSG:32633", 12.004, lat), DAY)
    cube = build(tmp_path, [own, other], lon, lat, 120, 40)
    assert crs_of(cube) == "EPSG:32632"
    values, exact = cube.s2_B02[0].values, dn_at(cube.x.values[None, :], cube.y.values[:, None])
    west, north = around("EPSG:32632", 11.993, lat)
    inside = (
        (cube.x.values[None, :] > west)
        & (cube.x.values[None, :] < west + 1200)
        & (cube.y.values[:, None] < north)
    )
    np.testing.assert_array_equal(values[inside], exact[inside])
    # Beyond it the other zone, as GDAL itself warps it.
    if shutil.which("gdalwarp") is None:
        pytest.skip("gdalwarp is not installed")
    bounds = [float(cube.x[0]) - 5, float(cube.y[-1]) - 5, float(cube.x[-1]) + 5, float(cube.y[0]) + 5]
    warped = tmp_path / "warped.tif"
    subprocess.run(
        ["gdalwarp", "-q", "-ovr", "NONE", "-r", "bilinear", "-ot", "Float32", "-dstnodata", "nan", "-t_srs",
         "EPSG:32632", "-te", *map(repr, bounds), "-tr", "10", "10", str(tmp_path / "other_B02.tif"), str(warped)],
        check=True,
    )  # fmt: skip
    with rasterio.open(warped) as file:
        reference = file.read(1)
    outside = ~inside & np.isfinite(reference) & (values != -32768)
    assert outside.sum() > 500
    # GDAL's versions scale the kernel differently where a file covers a part only; a pixel's shift is 17 or 31 DN.
    off = np.abs(values[outside] - reference[outside])
    assert np.median(off) < 1.5 and np.percentile(off, 90) < 4


@pytest.mark.parametrize(("crs", "resolution"), [("EPSG:2056", 10), ("EPSG:3035", 20), ("EPSG:32631", 10)])
def test_cube_in_any_projection_has_its_anchor_at_zero(tmp_path, crs, resolution):
    item = scene(tmp_path, "a", "EPSG:32632", around("EPSG:32632", 7.45, 46.95), DAY)
    cube = build(tmp_path, [item], 7.45, 46.95, crs=crs, resolution=resolution)
    assert crs_of(cube) == crs
    assert (float(cube.x[0]) - resolution / 2) % resolution == pytest.approx(0, abs=1e-9)
    assert (float(cube.y[0]) + resolution / 2) % resolution == pytest.approx(0, abs=1e-9)
    assert (cube.s2_B02.values != -32768).all()


@pytest.mark.real
def test_pixels_of_9_995_m_stay_as_they_are(shared, tmp_path):
    folder = shared / "data/s2_stac/eolearn_si_l1c_2015"
    with rasterio.open(next(folder.rglob("*B02*.tif"), None) or next(folder.rglob("*.tif"))) as file:
        transform, shape = file.transform, file.shape
    east, south = transform.c + shape[1] * transform.a, transform.f + shape[0] * transform.e
    recipe = {
        "extent": [transform.c, east, south, transform.f],
        "extent_crs": "EPSG:32633", "start": "2015-01-01", "end": "2015-12-31", "resolution": 0,
        "s2_bands": ["B02"], "catalog": str(folder),
    }  # fmt: skip
    run_job("buildminicube", {"recipe": recipe, "output": str(tmp_path / "cube.nc")}, Progress())
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        assert (cube.sizes["y"], cube.sizes["x"]) == shape
        assert float(cube.x[1] - cube.x[0]) == pytest.approx(transform.a, abs=1e-9)
        assert cube.s2_B02.attrs["resampling"] == "none, the lattices are equal"
