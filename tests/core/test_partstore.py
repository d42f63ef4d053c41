"""Finished steps survive everything; what is not whole is done again; old stores go."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from minicuber.core.partstore import JOURNAL, LOCK, PartStore, checksum, clean, open_store
from minicuber.core.progress import Progress

ARRAYS = {"a": np.arange(12, dtype=np.int16).reshape(3, 4), "b": np.array([], dtype=np.float32)}


@pytest.fixture
def root(tmp_path):
    return tmp_path / "parts"


def fill(root, key="k", *steps, fail=True):
    """A run that records steps and dies."""
    try:
        with open_store(root, key, Progress()) as store:
            for step in steps:
                store.record(step, ARRAYS, {"n": len(step)})
            if fail:
                raise RuntimeError("the run dies")
            store.complete()
    except RuntimeError:
        pass


def test_finished_steps_are_there_in_the_next_run_with_values_and_types(root):
    fill(root, "k", "one", "two")
    with open_store(root, "k", Progress()) as store:
        assert store.n_finished == 2
        assert store.finished("two") == {"n": 3}
        assert store.finished("three") is None
        found = store.arrays("one")
        assert set(found) == set(ARRAYS)
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype
        assert set(store.arrays("one", "a")) == {"a"}


def test_store_of_finished_work_goes(root):
    fill(root, "k", "one", fail=False)
    assert not (root / "k").exists()


def test_other_key_does_not_continue(root):
    fill(root, "k", "one")
    with open_store(root, "other", Progress()) as store:
        assert store.finished("one") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.unlink(),
        lambda file: file.write_bytes(file.read_bytes()[:-40]),
        lambda file: file.write_bytes(b""),
        lambda file: np.savez(file, a=ARRAYS["a"] + 1, b=ARRAYS["b"]),
        lambda file: np.savez(file, a=ARRAYS["a"].astype(np.int32), b=ARRAYS["b"]),
    ],
)
def test_damaged_step_is_done_again_and_the_others_stay(root, damage):
    fill(root, "k", "one", "two")
    damage(root / "k" / "one.npz")
    with open_store(root, "k", Progress()) as store:
        assert store.finished("one") is None
        assert store.finished("two") is not None
        store.record("one", ARRAYS, {"n": 1})
        assert store.finished("one") == {"n": 1}


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_journal_that_was_cut_while_it_was_written_loses_one_step(root, cut):
    fill(root, "k", "one", "two")
    journal = root / "k" / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-cut])
    with open_store(root, "k", Progress()) as store:
        assert store.finished("one") is not None
        assert (store.finished("two") is None) is (cut > 1)  # only the line's end was lost
        store.record("three", ARRAYS, {})
        assert PartStore(root / "k").finished("three") == {}


def test_arrays_never_come_from_a_pickle(root):
    fill(root, "k", "one")
    np.savez(root / "k" / "one.npz", a=np.array([{"x": 1}], dtype=object), b=ARRAYS["b"])
    with open_store(root, "k", Progress()) as store:
        assert store.finished("one") is None


def test_second_run_of_the_same_key_at_the_same_time_does_not_share(root):
    with open_store(root, "k", Progress()) as first:
        first.record("one", ARRAYS, {})
        with open_store(root, "k", Progress()) as second:
            assert second.finished("one") is None
            assert second.folder != first.folder
            second.record("two", ARRAYS, {})
        assert not second.folder.exists()
        assert first.finished("one") == {}


def test_lock_of_a_killed_process_is_taken_at_once(root, tmp_path):
    code = (
        "import fcntl, os, sys, time; f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT);"
        "fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); time.sleep(60)"
    )
    fill(root, "k", "one")
    child = subprocess.Popen([sys.executable, "-c", code, str(root / "k" / LOCK)], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"held\n"
    child.kill()
    child.wait()
    child.stdout.close()
    with open_store(root, "k", Progress()) as store:
        assert store.finished("one") is not None


def test_folder_that_cannot_be_written_is_no_end_of_the_run(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with open_store(tmp_path / "file" / "parts", "k", Progress()) as store:
        store.record("one", ARRAYS, {})
        folder = store.folder
    assert "cannot be continued later" in caplog.text and not folder.exists()


def test_old_and_large_stores_go_and_the_newest_stay(root):
    for age, key in ((40, "old"), (3, "elder"), (1, "younger")):
        fill(root, key, "one")
        for path in (root / key).iterdir():
            os.utime(path, (time.time() - age * 86400,) * 2)
    (root / "not ours").mkdir()
    clean(root, max_age=30 * 86400)
    assert {path.name for path in root.iterdir()} == {"elder", "younger", "not ours"}
    size = sum(path.stat().st_size for path in (root / "younger").iterdir())
    clean(root, max_bytes=size + 10)
    assert {path.name for path in root.iterdir()} == {"younger", "not ours"}


def test_store_that_is_in_use_is_never_cleaned_away(root):
    with open_store(root, "k", Progress()) as store:
        store.record("one", ARRAYS, {})
        clean(root, max_age=-1)
        assert store.finished("one") == {}
        assert (root / "k").exists()


def test_checksum_sees_values_names_types_and_shapes():
    base = checksum(ARRAYS)
    a, b = ARRAYS["a"], ARRAYS["b"]
    for changed in (
        {"a": a + 1, "b": b},
        {"c": a, "b": b},
        {"a": a.astype("i4"), "b": b},
        {"a": a.T, "b": b},
        {"a": a},
    ):
        assert checksum(changed) != base
    assert checksum({"b": b, "a": np.asfortranarray(a)}) == base
