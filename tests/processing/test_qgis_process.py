"""The algorithms in `qgis_process`: chained, cancelled, killed, and without an environment."""

from __future__ import annotations

import os
import signal
import time

import pytest
from helpers import alive, children_of, results, run, start, wait_until

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc"), reason="watches processes through /proc")


@pytest.fixture(scope="module")
def made(profile, tmp_path_factory):
    """The outputs of createdemodata in `qgis_process`."""
    folder = tmp_path_factory.mktemp("qp")
    code, text = run(profile, "run", "minicuber:createdemodata", "--", "OUTPUT=demo", cwd=folder)
    assert code == 0, text
    return {**results(text), "folder": folder}


def build(made, output, **changes):
    values = {
        "EXTENT": made["EXTENT"], "START": made["START"], "END": made["END"], "CATALOG": made["CATALOG"],
        "S2_BANDS": "B02,B03,B04,B05,B08,B11,SCL", "S2_MASK": "scl", "OUTPUT": str(output), **changes,
    }  # fmt: skip
    return ["run", "minicuber:buildminicube", "--", *(f"{name}={value}" for name, value in values.items())]


def wait_for_child(process) -> int:
    assert wait_until(lambda: children_of(process.pid), 20), "no child was started"
    return children_of(process.pid)[0]


def wait_for_reading(folder) -> None:
    """Until the cube is being written."""
    assert wait_until(lambda: any(folder.glob(".cube.nc.*.part")), 30), "the build did not begin"
    time.sleep(0.5)


def test_chain_from_demo_to_layers(made, profile, tmp_path):
    code, text = run(profile, *build(made, tmp_path / "cube.nc", START="2021-06-01", END="2021-06-30"))
    assert code == 0, text
    assert results(text)["OUTPUT"] == str(tmp_path / "cube.nc")
    assert int(results(text)["N_DATES"]) in (6, 7)
    code, text = run(profile, "run", "minicuber:loadminicube", "--", "CUBE=cube.nc", cwd=tmp_path)
    assert code == 0, text
    assert results(text)["N_LAYERS"] == "9"
    steps = ["CUBE=cube.nc", "VARIABLES=s2_B04,mean,s2_B08,p90", "STEP_DAYS=10", "OUTPUT=steps.nc"]
    code, text = run(profile, "run", "minicuber:aggregatetime", "--", *steps, cwd=tmp_path)
    assert code == 0, text
    assert results(text)["OUTPUT"] == str(tmp_path / "steps.nc")


def test_multi_enum_may_repeat_its_key(made, profile, tmp_path):
    arguments = [a for a in build(made, tmp_path / "cube.nc", DRY_RUN="true") if "S2_BANDS" not in a]
    code, text = run(profile, *arguments, "S2_BANDS=B04", "S2_BANDS=B08")
    assert code == 0, text
    assert not (tmp_path / "cube.nc").exists()


def test_help_prints_the_help_of_every_parameter(profile):
    code, text = run(profile, "help", "minicuber:buildminicube")
    assert code == 0
    assert "Everything" not in text
    assert "the path of a STAC catalog" in text


def test_typo_in_a_parameter_is_an_error(made, profile, tmp_path):
    code, text = run(profile, *build(made, tmp_path / "cube.nc", MAXCLOUD=5))
    assert code != 0
    assert "Unknown parameter: MAXCLOUD" in text


def test_without_environment_it_is_listed_and_says_what_to_do(made, profile, tmp_path):
    code, text = run(profile, "list", MINICUBER_PYTHON=None)
    assert "minicuber:buildminicube" in text
    code, text = run(profile, *build(made, tmp_path / "cube.nc"), MINICUBER_PYTHON=None)
    assert code == 1
    assert "Run Minicuber > Set up environment (algorithm minicuber:setupenvironment)" in text
    assert "Traceback" not in text


def test_interrupt_cancels_and_leaves_nothing(made, profile, tmp_path):
    process = start(profile, *build(made, tmp_path / "cube.nc"))
    child = wait_for_child(process)
    wait_for_reading(tmp_path)
    began = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=30)
    assert time.monotonic() - began < 4
    assert process.returncode == 1
    assert "Cancelled" in text
    assert not alive(child)
    assert list(tmp_path.iterdir()) == []


def test_killed_qgis_leaves_no_child_and_nothing_half_written(made, profile, tmp_path):
    process = start(profile, *build(made, tmp_path / "cube.nc"))
    child = wait_for_child(process)
    wait_for_reading(tmp_path)
    process.kill()
    assert wait_until(lambda: not alive(child), 3)
    process.communicate()
    assert list(tmp_path.iterdir()) == []


def test_qgis_killed_while_the_child_starts_leaves_no_child(made, profile, tmp_path):
    process = start(profile, *build(made, tmp_path / "cube.nc"))
    child = wait_for_child(process)
    process.kill()
    assert wait_until(lambda: not alive(child), 3)
    process.communicate()


def test_killed_child_is_one_clear_sentence(made, profile, tmp_path):
    process = start(profile, *build(made, tmp_path / "cube.nc"))
    child = wait_for_child(process)
    wait_for_reading(tmp_path)
    os.kill(child, signal.SIGKILL)
    text, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "The process that did the work ended before its result (killed by SIGKILL" in text
    assert "Traceback" not in text
    assert list(tmp_path.iterdir()) == []


def test_several_builds_at_once_do_not_disturb_each_other(made, profile, tmp_path):
    months = ["2021-04", "2021-05", "2021-06"]
    running = [
        start(profile, *build(made, tmp_path / f"{m}.nc", START=f"{m}-01", END=f"{m}-30")) for m in months
    ]
    for month, process in zip(months, running):
        text, _ = process.communicate(timeout=120)
        assert process.returncode == 0, text
        assert f"{month}: " in text
    assert len(list(tmp_path.glob("*.nc"))) == 3
