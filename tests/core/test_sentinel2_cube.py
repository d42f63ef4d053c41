"""What a built cube says of itself: CF, provenance, licences, and what stands beside each date."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress
from scenery import collection_file, scene

CRS, CORNER = "EPSG:32632", (400_020.0, 5_200_020.0)
ANGLES = {
    "view:sun_azimuth": 151.5,
    "view:sun_elevation": 61.2,
    "view:azimuth": 101.0,
    "view:incidence_angle": 4.5,
}


@pytest.fixture
def build(tmp_path):
    def call(name="cube.nc", catalogs_file="", **recipe):
        items = [
            scene(tmp_path, f"S2A_MSIL2A_202106{day:02d}T103031_N0500_R108_T32TMT_20230601T000000", CRS, CORNER,
                  f"2021-06-{day:02d}T10:30:31Z", bands=("B02", "B04", "SCL"),
                  properties={**ANGLES, "s2:processing_baseline": "05.00", "eo:cloud_cover": 12.5})
            for day in (1, 3, 6)
        ]  # fmt: skip
        for item in items:
            item["collection"] = "our-l2a"
        fields = {
            "extent": [400_020.0, 400_420.0, 5_199_620.0, 5_200_020.0], "extent_crs": CRS, "start": "2021-06-01",
            "end": "2021-06-30", "catalog": str(collection_file(tmp_path, items)), "s2_bands": ["B02", "B04", "SCL"],
            "s2_mask": "scl", **recipe,
        }  # fmt: skip
        order = {"recipe": fields, "output": str(tmp_path / name), "catalogs_file": catalogs_file}
        run_job("buildminicube", order, Progress())
        return tmp_path / name

    return call


@pytest.mark.parametrize(
    "recipe", [{}, {"time_axis": "regular", "step_days": 4}, {"crs": "EPSG:2056"}, {"crs": "EPSG:3035"}]
)
def test_built_cube_follows_cf_without_an_error_or_a_warning(build, tmp_path, recipe):
    path, report = build(**recipe), tmp_path / "report.json"
    checker = str(Path(sys.executable).with_name("cchecker.py"))
    offline = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    command = [
        sys.executable,
        "-W",
        "ignore",
        checker,
        "--test=cf:1.11",
        "--format=json",
        f"--output={report}",
        path,
    ]
    subprocess.run(command, check=False, capture_output=True, env={**os.environ, **offline})
    result = json.loads(report.read_text())["cf:1.11"]
    told = [
        text
        for level in ("high", "medium")
        for entry in result[f"{level}_priorities"]
        for text in entry["msgs"]
    ]
    assert told == []


def test_each_date_says_what_it_was_made_of(build):
    with xr.open_dataset(build()) as cube:
        assert cube.s2_platform.values.tolist() == ["sentinel-2a"] * 3
        assert cube.s2_processing_baseline.values.tolist() == ["05.00"] * 3
        assert cube.s2_relative_orbit.values.tolist() == [108] * 3
        assert cube.s2_cloud_cover.values.tolist() == [12.5] * 3
        assert str(cube.s2_time.values[0])[:19] == "2021-06-01T10:30:31"
        assert cube.s2_missing_assets.values.tolist() == [""] * 3
        names = ("s2_sun_azimuth", "s2_sun_elevation", "s2_view_azimuth", "s2_view_incidence_angle")
        for name, value in zip(names, ANGLES.values(), strict=True):
            np.testing.assert_allclose(cube[name].values, value, rtol=1e-6)
            assert cube[name].attrs["units"] == "degree"
        assert set(cube.s2_SCL.attrs["flag_meanings"].split()) >= {"vegetation", "water", "snow"}


def test_license_and_references_are_those_of_the_collection(build, tmp_path):
    """A user's own entry of the registry reaches the cube."""
    entry = {
        "id": "our", "title": "Our catalog", "url": "https://stac.example.org",
        "collections": [
            {"id": "our-l2a", "sensor": "sentinel-2", "level": "L2A", "offset": "none",
             "bands": {"B02": "blue", "B04": "red", "SCL": "scl"}, "license": "Our licence",
             "references": ["https://example.org/doc"], "attribution": "(c) us", "files": [str(tmp_path)]}
        ],
    }  # fmt: skip
    (tmp_path / "catalogs.json").write_text(json.dumps({"catalogs": [entry]}))
    with xr.open_dataset(build(catalogs_file=str(tmp_path / "catalogs.json"))) as cube:
        assert cube.attrs["license"] == "Our licence"
        assert cube.attrs["references"] == "https://example.org/doc"
        assert cube.attrs["attribution"] == "(c) us"
        assert cube.attrs["source"].endswith("our-l2a")
        # Its rule is "none": the baseline of the items raises nothing.
        assert float(cube.s2_B02.min()) > 0.05
    with xr.open_dataset(build(name="plain.nc")) as cube:
        assert "Copernicus" in cube.attrs["license"] and float(cube.s2_B02.min()) < 0.05


def test_history_names_version_and_run(build, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    with xr.open_dataset(build()) as cube:
        assert cube.attrs["history"].startswith("2023-11-14T22:13:20Z minicuber ")
        assert cube.attrs["history"].endswith(": buildminicube")
