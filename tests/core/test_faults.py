"""Everything that a server of files does wrong: what passes is overcome, what stays is counted and named."""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter

import numpy as np
import pytest
import urllib3
import xarray as xr
from minicuber.core.catalogs.ranges import ATTEMPTS
from minicuber.core.errors import SourceError
from minicuber.core.jobs import run_job
from minicuber.core.loading import GDAL_OPTIONS
from minicuber.core.progress import Progress
from scenery import collection_file, scene

CRS, CORNER = "EPSG:32632", (400_020.0, 5_200_020.0)
FAST = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_INGESTED_BYTES_AT_OPEN": 1024, "GDAL_HTTP_MAX_RETRY": 1,
    "GDAL_HTTP_RETRY_DELAY": 0.01, "GDAL_HTTP_TIMEOUT": 3,
    "CPL_VSIL_CURL_NON_CACHED": GDAL_OPTIONS.get("CPL_VSIL_CURL_NON_CACHED", ""),
}  # fmt: skip
DATES = range(1, 7)
VICTIM = 3


def name(day: int) -> str:
    return f"S2A_MSIL2A_202106{day:02d}T103031_N0214_R108_T32TMT_20210601T000000"


def lost_file(band: str = "B04") -> str:
    return f"{name(VICTIM)}_{band}.tif"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("scenes")
    items = [
        scene(
            place,
            name(day),
            CRS,
            CORNER,
            f"2021-06-{day:02d}T10:30:31Z",
            size=160,
            bands=("B02", "B04", "SCL"),
        )
        for day in DATES
    ]
    collection_file(place, items)
    return place


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("minicuber.core.loading.GDAL_OPTIONS", FAST)
    monkeypatch.setattr("minicuber.core.fetching.PAUSE", 0.02)
    monkeypatch.setattr("minicuber.core.catalogs.ranges.TIMEOUT", urllib3.Timeout(connect=3, read=3))
    monkeypatch.setattr(
        "minicuber.core.catalogs.ranges.ATTEMPTS", ATTEMPTS.new(total=1, read=0, backoff_factor=0.01)
    )


@pytest.fixture
def build(tmp_path):
    def call(catalog, output="cube.nc", **recipe):
        fields = {
            "extent": [400_020.0, 401_620.0, 5_198_420.0, 5_200_020.0], "extent_crs": CRS, "start": "2021-06-01",
            "end": "2021-06-30", "catalog": str(catalog), "s2_bands": ["B02", "B04"], "s2_mask": "scl", **recipe,
        }  # fmt: skip
        run_job("buildminicube", {"recipe": fields, "output": str(tmp_path / output)}, Progress())
        with xr.open_dataset(tmp_path / output, mask_and_scale=False) as cube:
            return cube.load()

    return call


@pytest.fixture(scope="module")
def clean(folder, tmp_path_factory):
    fields = {
        "extent": [400_020.0, 401_620.0, 5_198_420.0, 5_200_020.0], "extent_crs": CRS, "start": "2021-06-01",
        "end": "2021-06-30", "catalog": str(folder / "items.json"), "s2_bands": ["B02", "B04"], "s2_mask": "scl",
    }  # fmt: skip
    base = tmp_path_factory.mktemp("clean")
    order = {"recipe": fields, "output": str(base / "cube.nc"), "parts_folder": str(base / "parts")}
    run_job("buildminicube", order, Progress())
    with xr.open_dataset(base / "cube.nc", mask_and_scale=False) as cube:
        return cube.load()


def part(folder, asked, spoil=False) -> dict:
    """The answer to a request for a range of a file; `spoil`: with wrong bytes in its tiles."""
    data = bytearray((folder / asked.path).read_bytes())
    if spoil:
        for place in range(1200, len(data)):
            data[place] ^= 0x5A
    wanted = re.match(r"bytes=(\d+)-(\d*)$", asked.headers.get("Range", ""))
    if not wanted:
        return {"status": 200, "body": bytes(data)}
    start, end = int(wanted[1]), min(int(wanted[2] or len(data) - 1), len(data) - 1)
    headers = {"Content-Range": f"bytes {start}-{end}/{len(data)}"}
    return {"status": 206, "headers": headers, "body": bytes(data[start : end + 1])}


FAULTS = {
    "429": lambda folder, asked: {"status": 429, "headers": {"Retry-After": "0"}},
    "500": lambda folder, asked: 500,
    "503": lambda folder, asked: 503,
    "connection cut": lambda folder, asked: {**part(folder, asked), "cut": True},
    "stall": lambda folder, asked: {**part(folder, asked), "delay": 4.0},
    "corrupt tile": lambda folder, asked: part(folder, asked, spoil=True),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_that_passes_leaves_no_trace(folder, clean, build, serve, fault):
    server, lock, times = serve(folder), threading.Lock(), Counter()

    def rule(asked):
        with lock:
            if asked.path in (lost_file(), lost_file("SCL")):
                times[asked.path] += 1
                if times[asked.path] <= 2:
                    return FAULTS[fault](folder, asked)
        return None

    server.rule = rule
    cube = build(f"{server.url}/items.json")
    for variable in ("s2_B02", "s2_B04", "s2_mask", "s2_avail", "s2_clear_share"):
        np.testing.assert_array_equal(cube[variable], clean[variable], err_msg=variable)
    assert set(cube.s2_missing_assets.values.tolist()) == {""}


@pytest.mark.parametrize("fault", [*FAULTS, "404"])
def test_fault_that_stays_is_missing_counted_and_named_and_costs_nothing_else(
    folder, clean, build, serve, fault, caplog
):
    server = serve(folder)
    answer = FAULTS.get(fault, lambda folder, asked: 404)
    server.rule = lambda asked: answer(folder, asked) if asked.path == lost_file() else None
    with caplog.at_level(logging.WARNING):
        cube = build(f"{server.url}/items.json")
    at = VICTIM - 1
    others = [number for number in range(6) if number != at]
    assert (cube.s2_B04[at] == -32768).all()
    assert (cube.s2_mask[at] == 4).all() and cube.s2_clear_share.values[at] == 0
    np.testing.assert_array_equal(cube.s2_B02, clean.s2_B02)
    np.testing.assert_array_equal(cube.s2_B04[others], clean.s2_B04[others])
    assert cube.s2_missing_assets.values.tolist() == [
        f"B04 of {name(VICTIM)}" if n == at else "" for n in range(6)
    ]
    assert cube.s2_avail.values.tolist() == [1] * 6
    assert f"Missing: B04 of {name(VICTIM)}" in caplog.text and "1 files could not be had" in caplog.text


def test_missing_file_ends_the_run_when_the_user_says_so(folder, build, serve, tmp_path):
    server = serve(folder)
    server.answers[lost_file()] = 404
    with pytest.raises(SourceError, match=r"B04\.tif cannot be read .*404"):
        build(f"{server.url}/items.json", fail_on_missing=True)
    assert not (tmp_path / "cube.nc").exists()


def test_nothing_but_missing_files_makes_no_cube(folder, build, serve, tmp_path):
    server = serve(folder)
    server.rule = lambda asked: 404 if asked.path.endswith(".tif") else None
    with pytest.raises(SourceError, match=r"No file could be read.*404"):
        build(f"{server.url}/items.json")
    assert not (tmp_path / "cube.nc").exists()


def test_fallback_catalog_gives_the_file_that_the_first_has_not(folder, clean, build, serve, caplog):
    first, second = serve(folder), serve(folder)
    first.answers[lost_file()] = 404
    with caplog.at_level(logging.WARNING):
        cube = build(f"{first.url}/items.json", fallback_catalog=f"{second.url}/items.json")
    np.testing.assert_array_equal(cube.s2_B04, clean.s2_B04)
    assert set(cube.s2_missing_assets.values.tolist()) == {""}
    assert "Taken from the fallback catalog" in caplog.text
    assert [path for path in second.requests if path.endswith(".tif")] == [lost_file()]


def test_classification_that_is_missing_leaves_the_date_out_by_name(folder, build, serve, caplog):
    server = serve(folder)
    server.answers[lost_file("SCL")] = 404
    with caplog.at_level(logging.WARNING):
        cube = build(f"{server.url}/items.json", min_clear=10.0)
    assert cube.sizes["time"] == 5
    assert "Left out because their scene classification cannot be had: 2021-06-03" in caplog.text


def test_what_was_missing_is_asked_for_again_by_the_next_run(
    folder, clean, build, serve, tmp_path, monkeypatch
):
    """A block with a hole counts for its cube, not for a run that continues."""
    server = serve(folder)
    server.answers[lost_file()] = 404
    monkeypatch.setattr("minicuber.core.build.describe_reading", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build(f"{server.url}/items.json")
    monkeypatch.undo()
    server.answers.clear()
    cube = build(f"{server.url}/items.json")
    np.testing.assert_array_equal(cube.s2_B04, clean.s2_B04)
