"""The part of a remote GeoTIFF that is fetched gives the pixels that the whole file gives."""

from __future__ import annotations

import contextlib
import struct
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from minicuber.core.catalogs.access import Access
from minicuber.core.catalogs.items import Raster
from minicuber.core.catalogs.ranges import NoRangesError, Ranges
from minicuber.core.catalogs.registry import load_registry
from minicuber.core.excerpt import HEADER, Bytes, NotPlainError, excerpt, header_of
from minicuber.core.grid import Grid
from minicuber.core.loading import read_band
from minicuber.core.sources.sentinel2 import BandFile
from rasterio.windows import Window

CRS, LEFT, TOP = "EPSG:32632", 400_020.0, 5_200_020.0
NOISE = np.random.default_rng(7).integers(1, 9000, (900, 1100))


@pytest.fixture(scope="module")
def access():
    return Access(load_registry())


def make(path, pixel=10.0, crs=CRS, dtype="uint16", mask=None, count=1, left=LEFT, **how):
    """A GeoTIFF of 1100 x 900 pixels of noise: too large for the first request."""
    values = NOISE.astype(dtype)
    how = {"tiled": True, "blockxsize": 128, "blockysize": 64, "compress": "deflate", "nodata": 0, **how}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path, "w", driver="GTiff", width=1100, height=900, count=count, dtype=dtype, crs=crs,
            transform=rasterio.Affine(pixel, 0, left, 0, -pixel, TOP), **how,
        ) as file,
    ):  # fmt: skip
        for band in range(count):
            file.write(values, band + 1)
        if mask is not None:
            file.write_mask(mask)
    return path


def band_file(href):
    return BandFile(Raster(str(href), CRS, None, None, None), 1e-4, 0.0, 0.0)


def grid_at(column, row, width, height, pixel=10.0):
    return Grid(CRS, LEFT + column * pixel, TOP - row * pixel, pixel, pixel, width, height)


def both_ways(serve, access, path, grid, classes=False, choice=None):
    """A band by the network and from the disk, and how the server was asked."""
    server = serve(path.parent)
    remote = read_band(band_file(f"{server.url}/{path.name}"), grid, classes, choice, access)
    local = read_band(band_file(path), grid, classes, choice)
    return remote, local, server.asked


LAYOUTS = {
    "deflate with differences": {"predictor": 2},
    "lzw": {"compress": "lzw"},
    "zstd": {"compress": "zstd"},
    "uncompressed": {"compress": None},
    "bytes of the other order": {"ENDIANNESS": "BIG"},
    "more than 4 GB": {"BIGTIFF": "YES"},
    "more than 4 GB, bytes of the other order": {"BIGTIFF": "YES", "ENDIANNESS": "BIG"},
    "floats": {"dtype": "float32", "predictor": 3, "nodata": -1},
    "signed": {"dtype": "int16", "nodata": -32768},
    "another nodata": {"nodata": 65535},
    "lossy": {"dtype": "uint8", "compress": "jpeg", "nodata": None},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("pixel", "target"), [(10.0, 10.0), (20.0, 10.0), (10.0, 30.0)])
def test_layout_is_decoded_like_the_whole_file(serve, access, tmp_path, layout, pixel, target):
    path = make(tmp_path / "a.tif", pixel, **LAYOUTS[layout])
    grid = Grid(CRS, LEFT + 1230.0, TOP - 1650.0, target, target, 90, 70)
    remote, local, asked = both_ways(serve, access, path, grid)
    assert np.isfinite(local).any()
    np.testing.assert_array_equal(remote, local)
    assert {each.method for each in asked} == {"GET"} and len(asked) <= 8


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    column=st.integers(-80, 1090),
    row=st.integers(-80, 890),
    width=st.integers(1, 200),
    height=st.integers(1, 200),
    pixel=st.sampled_from([10.0, 20.0, 60.0]),
    classes=st.booleans(),
    choice=st.sampled_from([None, None, "cubic", "bilinear", "nearest"]),
)
def test_any_window_has_the_pixels_of_the_whole_file(
    serve, access, tmp_path, column, row, width, height, pixel, classes, choice
):
    path = tmp_path / f"{pixel}-{classes}.tif"
    if not path.exists():
        make(path, pixel, dtype="uint8" if classes else "uint16")
    grid = Grid(CRS, LEFT + column * 10.0, TOP - row * 10.0, 10.0, 10.0, width, height)
    remote, local, _ = both_ways(serve, access, path, grid, classes, None if classes else choice)
    # Beyond copies GDAL's sums depend on where its windows begin, by the last digit of a float32.
    np.testing.assert_allclose(remote, local, rtol=0 if choice in (None, "nearest") or classes else 3e-6)


def test_no_byte_is_fetched_beside_the_header_and_the_tiles_that_are_needed(serve, access, tmp_path):
    path = make(tmp_path / "a.tif")
    with rasterio.open(path) as file:
        size = sum(int(file.get_tag_item(f"BLOCK_SIZE_{x}_4", "TIFF", 1)) for x in (2, 3))
    remote, local, asked = both_ways(serve, access, path, grid_at(300, 260, 100, 50))
    np.testing.assert_array_equal(remote, local)
    assert len(asked) == 2
    first, last = (int(text) for text in asked[1].headers["Range"].removeprefix("bytes=").split("-"))
    assert asked[0].headers["Range"] == f"bytes=0-{HEADER - 1}" and last - first + 1 == size


def test_file_in_another_crs_is_warped_like_the_whole_file(serve, access, tmp_path):
    path = make(tmp_path / "a.tif", crs="EPSG:32633", left=-59_000.0)
    with rasterio.open(path) as file:
        west, south, east, north = rasterio.warp.transform_bounds("EPSG:32633", CRS, *file.bounds)
    grid = Grid(CRS, round((west + east) / 20) * 10.0, round((south + north) / 20) * 10.0, 10.0, 10.0, 60, 50)
    remote, local, asked = both_ways(serve, access, path, grid)
    assert np.isfinite(local).any()
    np.testing.assert_allclose(remote, local, rtol=1e-5)
    assert "HEAD" not in {each.method for each in asked}


def test_tiles_that_are_not_in_the_file_are_missing(serve, access, tmp_path):
    path = tmp_path / "sparse.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=1100, height=900, count=1, dtype="uint16", crs=CRS, nodata=0,
        transform=rasterio.Affine(10, 0, LEFT, 0, -10, TOP), tiled=True, blockxsize=128, blockysize=128,
        SPARSE_OK=True,
    ) as file:  # fmt: skip
        file.write(NOISE[:128, :128].astype("uint16"), 1, window=Window(128, 128, 128, 128))
    remote, local, _ = both_ways(serve, access, path, grid_at(100, 100, 200, 200))
    assert np.isnan(local).any() and np.isfinite(local).any()
    np.testing.assert_array_equal(remote, local)


@pytest.mark.parametrize(
    "how",
    [
        {"tiled": False, "blockysize": 16, "blockxsize": None},
        {"mask": np.tile([[0, 255]], (900, 550))},
        {"count": 2, "interleave": "pixel"},
        {"crs": "+proj=laea +lat_0=47 +lon_0=8 +datum=WGS84", "left": 0.0},
        {"crs": "EPSG:4326", "pixel": 0.001, "left": 8.0},
    ],
    ids=["strips", "a mask", "two samples", "a CRS without a code", "degrees"],
)
def test_what_is_not_plain_is_left_to_gdal_and_the_same(serve, access, tmp_path, how):
    path = make(tmp_path / "a.tif", **{key: value for key, value in how.items() if value is not None})
    with rasterio.open(path) as file:
        bounds = rasterio.warp.transform_bounds(file.crs, CRS, *file.bounds) if "left" in how else file.bounds
    if "pixel" in how:
        return _assert_not_plain(path)
    grid = Grid(CRS, round(bounds[0], -1) + 100.0, round(bounds[3], -1) - 300.0, 10.0, 10.0, 40, 40)
    if "mask" in how:
        # GDAL asks for the directory of a mask while it holds Python's lock: a server in this process cannot answer.
        with serving(path.parent) as url:
            remote = read_band(band_file(f"{url}/{path.name}"), grid, False, None, access)
        local = read_band(band_file(path), grid, False)
        assert np.isnan(local).mean() == 0.5
    else:
        remote, local, _ = both_ways(serve, access, path, grid)
    np.testing.assert_array_equal(remote, local)
    return _assert_not_plain(path)


SERVER = """
import re, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        data = open("." + self.path, "rb").read()
        asked = re.match(r"bytes=(\\d+)-(\\d+)", self.headers.get("Range", ""))
        if asked:
            first, last = int(asked[1]), min(int(asked[2]), len(data) - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            data = data[first : last + 1]
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    do_HEAD = do_GET

server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@contextlib.contextmanager
def serving(folder):
    """A server of files in a process of its own."""
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


def _assert_not_plain(path):
    with pytest.raises(NotPlainError):
        header_of(of(path.read_bytes()))


def of(data):
    return Bytes(lambda start, stop: data[start:stop])


def test_pixels_that_are_points_are_left_to_gdal(tmp_path):
    """Their tie point is a centre: read as a corner the file would lie half a pixel off."""
    path = make(tmp_path / "a.tif")
    with rasterio.open(path, "r+") as file:
        file.update_tags(AREA_OR_POINT="Point")
    _assert_not_plain(path)


def test_server_without_ranges_is_not_asked_twice(serve, tmp_path):
    path = make(tmp_path / "a.tif")
    server = serve(tmp_path)
    whole = path.read_bytes()
    server.rule = lambda asked: {"status": 200, "body": whole}
    url = f"{server.url}/a.tif"
    ranges = Ranges()
    for _ in range(2):
        with pytest.raises(NoRangesError):
            ranges.get(url, {}, 0, HEADER)
    assert len(server.asked) == 1


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=400), order=st.sampled_from([b"II", b"MM"]), big=st.booleans())
def test_no_header_is_too_wild(data, order, big):
    code = "<" if order == b"II" else ">"
    head = struct.pack(f"{code}HHHQ", 43, 8, 0, 16) if big else struct.pack(f"{code}HI", 42, 8)
    with pytest.raises(NotPlainError):
        header_of(of(order + head + data))


def test_tile_that_says_it_is_huge_is_not_fetched(serve, access, tmp_path):
    """A count is the server's word: nothing is allocated because of it."""
    path = make(tmp_path / "a.tif", blockxsize=256, blockysize=256)
    data = bytearray(path.read_bytes())
    header = header_of(of(bytes(data)))
    kind, number, at = header.tags.entries[325]
    assert (kind, number) == (4, 20)
    struct.pack_into(f"<{number}I", data, at, *[2**31] * number)
    (tmp_path / "evil.tif").write_bytes(data)
    server = serve(tmp_path)
    with pytest.raises(NotPlainError):
        excerpt(access.ranges, access.address(f"{server.url}/evil.tif"), lambda h: Window(0, 0, 10, 10))
    assert len(server.asked) == 1


def test_redirects_are_followed_and_credentials_stay_behind(serve, tmp_path):
    path = make(tmp_path / "a.tif")
    there = serve(tmp_path)
    here = serve(tmp_path)
    here.rule = lambda asked: {"status": 302, "headers": {"Location": f"{there.url}/a.tif"}}
    got = Ranges().get(f"{here.url}/a.tif", {"X-Key": "secret"}, 10, 50)
    assert got == path.read_bytes()[10:50]
    assert here.asked[0].headers["X-Key"] == "secret" and "X-Key" not in there.asked[0].headers
