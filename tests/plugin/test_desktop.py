"""The real QGIS desktop under Xvfb: toolbar, dialog, build, layers; and what happens when it is killed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers import ROOT, alive, environment, make_profile, results, run, wait_until

pytestmark = pytest.mark.skipif(
    not (shutil.which("Xvfb") and shutil.which("qgis")), reason="needs Xvfb and the QGIS desktop"
)
SETTINGS = """[PythonPlugins]
minicuber=true
[qgis]
checkVersion=false
newsFeed\\httpsfeedqgisorg\\disabled=true
showTips=false
[app]
firstRunVersion=99999
[migration]
settings=true
"""


@pytest.fixture(scope="module")
def display():
    """An X server of our own."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1400x900x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait(10)


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    folder = make_profile(tmp_path_factory.mktemp("desktop"))
    ini = folder / "profiles/default/QGIS/QGIS3.ini"
    ini.parent.mkdir(parents=True, exist_ok=True)
    ini.write_text(SETTINGS)
    return folder


@pytest.fixture(scope="module")
def demo(profile, tmp_path_factory):
    code, text = run(
        profile, "run", "minicuber:createdemodata", "--", f"OUTPUT={tmp_path_factory.mktemp('d') / 'demo'}"
    )
    assert code == 0, text
    return results(text)


def start_desktop(profile: Path, display: str, folder: Path, order: dict) -> subprocess.Popen:
    (folder / "order.json").write_text(json.dumps(order))
    script = ROOT / "tests/plugin/desktop_script.py"
    command = ["qgis", "--nologo", "--noversioncheck", "--profiles-path", str(profile), "--code", str(script)]
    variables = environment(
        profile, DISPLAY=display, QT_QPA_PLATFORM="xcb", MINICUBER_DESKTOP_TEST=str(folder)
    )
    with open(folder / "qgis.log", "wb") as log:
        return subprocess.Popen(command, env=variables, stdout=log, stderr=log, start_new_session=True)


def order(demo, output, **more):
    return {
        "CATALOG": demo["CATALOG"], "EXTENT": demo["EXTENT"], "START": "2020-03-03", "END": "2022-08-30",
        "S2_BANDS": ["B02", "B03", "B04", "B08", "SCL"], "S2_MASK": "scl", "OUTPUT": str(output), **more,
    }  # fmt: skip


def test_build_from_the_toolbar_loads_the_cube_and_never_freezes(profile, display, demo, tmp_path):
    process = start_desktop(profile, display, tmp_path, order(demo, tmp_path / "valley.nc"))
    try:
        assert wait_until(lambda: (tmp_path / "seen.json").exists(), 150), (
            tmp_path / "qgis.log"
        ).read_text()[-2000:]
    finally:
        wait_until(lambda: process.poll() is not None, 10)
        process.kill()
        process.wait()
    seen = json.loads((tmp_path / "seen.json").read_text())
    keep = os.environ.get("MINICUBER_PICTURES")
    if keep:
        for image in tmp_path.glob("*.png"):
            shutil.copy(image, keep)
    assert seen["problems"] == []
    assert seen["menu"][0] == "Build minicube from canvas"
    assert seen["toolbar_visible"]
    assert "Build minicube" in seen["dialog"]
    assert "[EPSG:32632]" in seen["extent_in_dialog"]
    assert seen["child_started"]
    assert seen["loaded"]
    assert json.loads(seen["remembered"])["CATALOG"] == demo["CATALOG"]
    # Showing the cube leaves no statistics beside it.
    assert not list(tmp_path.rglob("*.aux.xml"))
    assert seen["groups"] == ["valley, 2020-03-03 to 2022-08-30"]
    assert seen["layers"] == ["s2_rgb", "s2_B02", "s2_B03", "s2_B04", "s2_B08", "s2_SCL", "s2_mask"]
    assert len(seen["messages"]) == 1
    assert f'href="file://{tmp_path}/valley.nc">valley.nc</a>' in seen["messages"][0]
    # What the message's button leads to: the log of the run, which outlives the dialog.
    assert f"Cube written: {tmp_path}/valley.nc" in seen["logged"]
    # No wall-clock promise, only that the interface was not blocked for the length of a build.
    assert seen["gap_while_building"] < 2.0
    for name in ("dialog", "running", "loaded"):
        assert (tmp_path / f"{name}.png").stat().st_size > 5000


def test_killed_desktop_leaves_no_child_and_nothing_half_written(profile, display, demo, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    bands = [
        "B01",
        "B02",
        "B03",
        "B04",
        "B05",
        "B06",
        "B07",
        "B08",
        "B8A",
        "B09",
        "B11",
        "B12",
        "AOT",
        "WVP",
        "SCL",
    ]
    values = order(demo, out / "valley.nc", S2_BANDS=bands, hang=True)
    process = start_desktop(profile, display, tmp_path, values)
    try:
        assert wait_until(lambda: (tmp_path / "children.json").exists(), 90), (
            tmp_path / "qgis.log"
        ).read_text()[-2000:]
    finally:
        process.kill()
        process.wait()
    children = json.loads((tmp_path / "children.json").read_text())
    assert children
    assert wait_until(lambda: not any(alive(child) for child in children), 3)
    assert list(out.iterdir()) == []
