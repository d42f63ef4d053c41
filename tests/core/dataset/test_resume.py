"""A run that is killed, or fails, goes on where it was and ends with the dataset of a run that nobody disturbed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from minicuber.core.dataset import checkpoints, writing
from minicuber.core.dataset import work as work_module
from minicuber.core.errors import StorageError

GIVEN = {
    "split": "temporal",
    "split_options": {"val_from": "2019-04-01", "test_from": "2019-06-01"},
    "max_samples": 20,
}
CHILD = """
import importlib.util, json, sys
root, given = sys.argv[1], json.loads(sys.argv[2])
spec = importlib.util.spec_from_file_location("minicuber", root + "/__init__.py", submodule_search_locations=[root])
sys.modules["minicuber"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["minicuber"])
import time
from minicuber.core.dataset import checkpoints, writing, work
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress
checkpoints.LEAST_SECONDS = 0.0
checkpoints.SHARE = 1e9
writing.SHARD_BYTES = 20_000
cube = work.Work._cube
def slow(*a):
    print("cube", a[1], flush=True)
    cube(*a)
    time.sleep(0.05)
work.Work._cube = slow
run_job("exportdataset", given, Progress())
"""


def arrays_and_numbers(folder, contents):
    """All bytes but the time of the run."""
    document = json.loads((folder / "dataset.json").read_text())
    return contents(folder), {**document, "history": [], "parameters": {}}


@pytest.fixture
def often(monkeypatch):
    """States after every block, shards of a few samples."""
    monkeypatch.setattr(checkpoints, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)
    monkeypatch.setattr(writing, "SHARD_BYTES", 20_000)


@pytest.fixture
def cubes(make):
    return [make(f"c{n}", left=400_000.0 + 1000 * n, seed=n) for n in range(8)]


@pytest.mark.parametrize("form", ["npz", "npz-sharded", "seed"])
def test_kill_9_and_run_again(cubes, export, contents, tmp_path, root, form, often):
    whole = arrays_and_numbers(export(cubes, "whole", format=form, **GIVEN), contents)
    given = {"cubes": [str(c) for c in cubes], "output": str(tmp_path / "killed"), "context": 6, "target": 3}
    program = [sys.executable, "-B", "-c", CHILD, str(root), json.dumps({**given, **GIVEN, "format": form})]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            if line == "cube 5\n":
                time.sleep(0.02)
                os.kill(child.pid, signal.SIGKILL)
                break
    assert child.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed").exists()
    opened = []
    real = work_module.CubeStream.batches

    def seen(self, units, only=()):
        if not only:
            opened.append(self._plan.label)
        return real(self, units, only)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work_module.CubeStream, "batches", seen)
        resumed = arrays_and_numbers(export(cubes, "killed", format=form, **GIVEN), contents)
    assert resumed == whole
    assert set(opened) <= {"c4", "c5", "c6", "c7"}
    assert not list(tmp_path.glob(".killed*"))


@pytest.mark.parametrize("form", ["npz", "npz-sharded"])
@pytest.mark.parametrize("after", [1, 7, 30])
def test_a_disk_that_fills_up(cubes, export, contents, monkeypatch, form, after, often):
    whole = arrays_and_numbers(export(cubes, "whole", format=form, **GIVEN), contents)
    written, real = [], writing.write_whole

    def failing(path, data):
        written.append(path)
        if len(written) > after:
            raise OSError(28, "No space left on device")
        real(path, data)

    with monkeypatch.context() as full:
        full.setattr(writing, "write_whole", failing)
        full.setattr("minicuber.core.dataset.npz.write_whole", failing)
        with pytest.raises(StorageError, match="disk is full"):
            export(cubes, "killed", format=form, **GIVEN)
    assert arrays_and_numbers(export(cubes, "killed", format=form, **GIVEN), contents) == whole


def test_other_parameters_do_not_continue_a_run(cubes, export, contents, monkeypatch, tmp_path, often):
    """Nor does what is left of it stay."""
    whole = contents(export(cubes, "whole", stride=2))
    with monkeypatch.context() as broken:
        broken.setattr(
            work_module.Work, "_save", lambda *_: (_ for _ in ()).throw(OSError(5, "input/output"))
        )
        with pytest.raises(StorageError):
            export(cubes, "other", stride=3)
    assert list(tmp_path.glob(".other*"))
    assert contents(export(cubes, "other", stride=2)) == whole
    assert not list(tmp_path.glob(".other*"))


def test_a_changed_cube_does_not_continue_a_run(make, export, samples_of, monkeypatch, often):
    import numpy as np

    path = make()
    with monkeypatch.context() as broken:
        broken.setattr(
            "minicuber.core.dataset.export.write_index", lambda *_: (_ for _ in ()).throw(OSError(5, "no"))
        )
        with pytest.raises(StorageError):
            export(path)
    make(seed=9)
    fresh = {str(a["sample_id"]): a for _, a in samples_of(export(path, "fresh"))}
    for _, arrays in samples_of(export(path)):
        np.testing.assert_array_equal(arrays["context"], fresh[str(arrays["sample_id"])]["context"])


def test_features_in_another_temporary_file_continue_a_run(
    cubes, export, contents, monkeypatch, tmp_path, often
):
    """QGIS writes PLACES to a new path in each run, which would have begun the export anew."""
    import shapely

    box = {"wkb": shapely.to_wkb(shapely.box(7.0, 46.0, 9.0, 48.0)).hex(), "value": "a"}
    paths = [tmp_path / name for name in ("first.jsonl", "second.jsonl")]
    for path in paths:
        path.write_text(json.dumps(box) + "\n")
    whole = contents(export(cubes, "whole", places=str(paths[0]), **GIVEN))
    with monkeypatch.context() as broken:
        broken.setattr(
            "minicuber.core.dataset.export.write_index", lambda *_: (_ for _ in ()).throw(OSError(5, "no"))
        )
        with pytest.raises(StorageError):
            export(cubes, "twice", places=str(paths[0]), **GIVEN)
    monkeypatch.setattr(work_module.Work, "_cube", lambda *_: pytest.fail("a cube is exported again"))
    assert contents(export(cubes, "twice", places=str(paths[1]), **GIVEN)) == whole


def test_a_damaged_state_is_not_trusted(cubes, export, contents, monkeypatch, tmp_path, often):
    whole = contents(export(cubes, "whole", **GIVEN))
    with monkeypatch.context() as broken:
        broken.setattr(
            "minicuber.core.dataset.export.write_index", lambda *_: (_ for _ in ()).throw(OSError(5, "no"))
        )
        with pytest.raises(StorageError):
            export(cubes, "hurt", **GIVEN)
    for name in ("state-0.npz", "state-1.npz"):
        (state,) = tmp_path.glob(f".hurt.parts/*/{name}")
        state.write_bytes(state.read_bytes()[:-100])
    assert contents(export(cubes, "hurt", **GIVEN)) == whole
