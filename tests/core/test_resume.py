"""A build that is killed, cancelled, or loses the network continues, and ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from minicuber.core.catalogs.ranges import ATTEMPTS
from minicuber.core.errors import Cancelled, SourceError
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress
from scenery import collection_file, scene

CRS, CORNER = "EPSG:32632", (400_020.0, 5_200_020.0)
ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import importlib.util, json, os, sys
root = sys.argv[1]
spec = importlib.util.spec_from_file_location(
    "minicuber", root + "/__init__.py", submodule_search_locations=[root]
)
sys.modules["minicuber"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["minicuber"])
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress
class Told(Progress):
    def show(self, fraction, text):
        print(fraction, flush=True)
print("begin", flush=True)
run_job("buildminicube", json.loads(sys.argv[2]), Told())
print("end", flush=True)
"""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    """50 dates of two bands and a classification."""
    folder = tmp_path_factory.mktemp("scenes")
    rng = np.random.default_rng(5)
    items = [
        scene(folder, f"s{n:02d}", CRS, CORNER, f"2021-{6 + n // 25:02d}-{1 + n % 25:02d}T10:30:00Z", size=80,
              bands=("B02", "B04", "SCL"), values={"SCL": rng.choice([3, 4, 5, 9], (40, 40))},
              properties={"s2:processing_baseline": "05.00" if n > 30 else "02.14"})
        for n in range(50)
    ]  # fmt: skip
    return collection_file(folder, items)


def order(items, output, parts, **recipe):
    fields = {
        "extent": [400_020.0, 400_820.0, 5_199_220.0, 5_200_020.0], "extent_crs": CRS, "start": "2021-06-01",
        "end": "2021-07-31", "catalog": str(items), "s2_bands": ["B02", "B04"], "s2_mask": "scl", **recipe,
    }  # fmt: skip
    return {"recipe": fields, "output": str(output), "parts_folder": str(parts)}


def content(path):
    """Values, encodings and attributes, as stored."""
    with xr.open_dataset(path, mask_and_scale=False, decode_times=False) as cube:
        return cube.load()


@pytest.fixture(autouse=True)
def one_time(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


@pytest.mark.parametrize(
    "recipe",
    [{}, {"time_axis": "regular", "step_days": 4}, {"min_clear": 24.0}],
    ids=["s2", "regular", "min_clear"],
)
def test_build_killed_at_random_moments_ends_as_one_that_was_not(catalog, tmp_path, recipe):
    run_job("buildminicube", order(catalog, tmp_path / "whole.nc", tmp_path / "p0", **recipe), Progress())
    whole = content(tmp_path / "whole.nc")
    rng = np.random.default_rng(11)
    parts, output = tmp_path / "parts", tmp_path / "killed.nc"
    command = [
        sys.executable,
        "-B",
        "-c",
        CHILD,
        str(ROOT),
        json.dumps(order(catalog, output, parts, **recipe)),
    ]
    seen = 0
    for _ in range(7):  # three recipes, about twenty kills together
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert child.stdout.readline() == "begin\n"
        wanted = rng.uniform(0.0, 1.0)
        for line in child.stdout:
            if line == "end\n" or float(line) >= wanted:
                break
        time.sleep(rng.uniform(0, 0.05))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        assert not output.exists() or content(output).identical(whole)
        seen = max(seen, len(list(parts.rglob("*.npz"))))
    assert seen > 0, "no block was kept: the test would not test"
    run_job("buildminicube", order(catalog, output, parts, **recipe), Progress())
    xr.testing.assert_identical(content(output), whole)
    assert list(parts.iterdir()) == []


def test_second_run_reads_only_what_the_first_had_not(catalog, tmp_path, monkeypatch):
    import rasterio

    class Half(Progress):
        def show(self, fraction, text):
            if fraction > 0.6:
                self.cancel()

    with pytest.raises(Cancelled):
        run_job("buildminicube", order(catalog, tmp_path / "a.nc", tmp_path / "parts"), Half())
    assert not (tmp_path / "a.nc").exists()
    opened = []
    original = rasterio.open
    monkeypatch.setattr(
        rasterio, "open", lambda path, *a, **k: opened.append(path) or original(path, *a, **k)
    )
    # Another output, as a temporary one would be: the recipe is the key.
    run_job("buildminicube", order(catalog, tmp_path / "b.nc", tmp_path / "parts"), Progress())
    assert 0 < len(opened) <= 150 - 3 * 16
    monkeypatch.undo()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    run_job("buildminicube", order(catalog, tmp_path / "c.nc", tmp_path / "p2"), Progress())
    xr.testing.assert_identical(content(tmp_path / "b.nc"), content(tmp_path / "c.nc"))


def test_changed_recipe_does_not_take_the_blocks_of_another(catalog, tmp_path):
    class Late(Progress):
        def show(self, fraction, text):
            if fraction > 0.8:
                self.cancel()

    for number, recipe in enumerate(
        ({}, {"resolution": 20.0}, {"s2_bands": ["B04"]}, {"resampling": {"SCL": "mode"}})
    ):
        with pytest.raises(Cancelled):
            run_job(
                "buildminicube",
                order(catalog, tmp_path / f"{number}.nc", tmp_path / "parts", **recipe),
                Late(),
            )
    for number, recipe in enumerate(({}, {"resolution": 20.0}, {"s2_bands": ["B04"]})):
        run_job(
            "buildminicube",
            order(catalog, tmp_path / f"{number}.nc", tmp_path / "parts", **recipe),
            Progress(),
        )
        run_job(
            "buildminicube", order(catalog, tmp_path / "fresh.nc", tmp_path / "other", **recipe), Progress()
        )
        xr.testing.assert_identical(content(tmp_path / f"{number}.nc"), content(tmp_path / "fresh.nc"))


def test_image_that_came_meanwhile_is_in_the_cube(tmp_path):
    items = [
        scene(tmp_path, f"s{n}", CRS, CORNER, f"2021-06-{n:02d}T10:30:00Z", size=80) for n in range(1, 21)
    ]

    class Late(Progress):
        def show(self, fraction, text):
            if fraction > 0.95:
                self.cancel()

    recipe = {"s2_bands": ["B02"], "s2_mask": "none"}
    catalog = collection_file(tmp_path, items[:5] + items[6:])
    with pytest.raises(Cancelled):
        run_job("buildminicube", order(catalog, tmp_path / "a.nc", tmp_path / "parts", **recipe), Late())
    collection_file(tmp_path, items)
    run_job("buildminicube", order(catalog, tmp_path / "a.nc", tmp_path / "parts", **recipe), Progress())
    cube = content(tmp_path / "a.nc")
    assert cube.sizes["time"] == 20 and "s6" in cube.s2_item_id.values.tolist()
    assert (cube.s2_B02 != -32768).all()


def test_network_that_is_lost_ends_the_run_and_the_next_one_continues(catalog, tmp_path, serve, monkeypatch):
    """Not a cube full of holes."""
    monkeypatch.setattr("minicuber.core.fetching.PAUSE", 0.01)
    monkeypatch.setattr("minicuber.core.loading.GDAL_OPTIONS", FAST)
    server = serve(catalog.parent)
    recipe = {"catalog": f"{server.url}/items.json"}

    monkeypatch.setattr("minicuber.core.catalogs.ranges.ATTEMPTS", ATTEMPTS.new(total=1, backoff_factor=0.01))
    files = []

    def rule(asked):
        files.extend([asked.path] * asked.path.endswith(".tif"))
        return 503 if len(files) > 100 and asked.path.endswith(".tif") else None

    server.rule = rule
    with pytest.raises(SourceError, match=r"cannot be reached any more.*continues where it was"):
        run_job("buildminicube", order(catalog, tmp_path / "a.nc", tmp_path / "parts", **recipe), Progress())
    assert not (tmp_path / "a.nc").exists()
    server.rule = lambda asked: None
    server.requests.clear()
    run_job("buildminicube", order(catalog, tmp_path / "a.nc", tmp_path / "parts", **recipe), Progress())
    read = {path for path in server.requests if path.endswith(".tif")}
    assert len(read) <= 150 - 3 * 16
    run_job("buildminicube", order(catalog, tmp_path / "b.nc", tmp_path / "p2", **recipe), Progress())
    xr.testing.assert_identical(content(tmp_path / "a.nc"), content(tmp_path / "b.nc"))


FAST = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_HTTP_MAX_RETRY": 1, "GDAL_HTTP_RETRY_DELAY": 0.01,
    "GDAL_HTTP_TIMEOUT": 5,
}  # fmt: skip


def test_threads_give_up_soon_after_a_cancel(catalog, tmp_path, serve, monkeypatch):
    server = serve(catalog.parent)
    server.answers.update({path.name: 503 for path in catalog.parent.glob("*.tif")})
    monkeypatch.setattr("minicuber.core.loading.GDAL_OPTIONS", FAST)
    monkeypatch.setattr("minicuber.core.fetching.PAUSE", 3600.0)
    progress = Progress()
    threading.Timer(1.0, progress.cancel).start()
    with pytest.raises(Cancelled):  # else it hangs: nobody may wait out that pause
        run_job(
            "buildminicube",
            order(catalog, tmp_path / "a.nc", tmp_path / "parts", catalog=f"{server.url}/items.json"),
            progress,
        )
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".a.nc")]
