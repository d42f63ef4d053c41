"""CF, checked by a program of others: IOOS's compliance checker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from minicuber.core.aggregate_cube import AggregateParameters, aggregate_time
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress

from .conftest import VARIABLES

# Nothing may be fetched: the table of standard names comes with the checker.
OFFLINE = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
# It knows no unsigned packing, which CF 1.11 (8.1) allows.
KNOWN = ("is not of type byte, short, or int",)


def check(path: Path, report: Path) -> dict:
    command = [sys.executable, "-W", "ignore", str(Path(sys.executable).with_name("cchecker.py"))]
    options = ["--test=cf:1.11", "--format=json", f"--output={report}", str(path)]
    ended = subprocess.run(
        [*command, *options], capture_output=True, text=True, check=False, env={**os.environ, **OFFLINE}
    )
    assert report.exists(), ended.stdout + ended.stderr
    return json.loads(report.read_text())["cf:1.11"]


def messages(result: dict, priority: str) -> list[str]:
    return [text for entry in result[f"{priority}_priorities"] for text in entry["msgs"]]


def test_cube_of_all_kinds_of_variables_follows_cf(example, tmp_path):
    result = check(example[".nc"], tmp_path / "report.json")
    assert messages(result, "high") == []
    assert [text for text in messages(result, "medium") if not any(known in text for known in KNOWN)] == []


@pytest.mark.parametrize("like", ["", "s2_B02"])
def test_aggregated_cube_follows_cf(example, tmp_path, like):
    pairs = (
        ("s2_B04", "mean"),
        ("s2_SCL", "max"),
        ("s2_SCL", "median"),
        ("s2_ndvi", "p90"),
        ("s2_clear_share", "std"),
    )
    order = AggregateParameters(str(example[".nc"]), pairs, 10, like, str(tmp_path / "steps.nc"))
    result = check(Path(aggregate_time(order, Progress()).output), tmp_path / "report.json")
    assert messages(result, "high") == []
    assert [text for text in messages(result, "medium") if not any(known in text for known in KNOWN)] == []


def test_checker_finds_what_is_wrong(tmp_path, make_example):
    band = VARIABLES[0]
    wrong = replace(band, attributes={**band.attributes, "standard_name": "greenness"})
    result = check(make_example(tmp_path / "a.nc", [wrong]), tmp_path / "report.json")
    assert any("greenness" in text for text in messages(result, "high"))


def test_cube_with_climate_follows_cf(demo_data, tmp_path):
    choice = [
        "t",
        "mean",
        "t",
        "p95",
        "t",
        "std",
        "tp",
        "sum",
        "sr",
        "",
        "vpd",
        "",
        "et0",
        "",
        "gdd",
        "",
        "rh",
        "min",
    ]
    recipe = {
        "extent": [405_000.0, 405_300.0, 5_200_500.0, 5_200_800.0], "extent_crs": "EPSG:32632", "start": "2021-06-01",
        "end": "2021-06-20", "catalog": str(demo_data["catalog"]), "s2_bands": ["B04"],
        "era5_source": str(demo_data["era5"]), "era5_variables": choice, "era5_daily": True,
    }  # fmt: skip
    for space in ("nearest", "bilinear"):
        output = tmp_path / f"{space}.nc"
        order = {
            "recipe": {**recipe, "era5_space": space},
            "output": str(output),
            "parts_folder": str(tmp_path / "p"),
        }
        run_job("buildminicube", order, Progress())
        result = check(output, tmp_path / "report.json")
        assert messages(result, "high") == []
        assert messages(result, "medium") == []
