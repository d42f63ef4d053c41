"""The last rename: whole or not at all, for files and folders, whenever a run dies."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from contextlib import suppress

import pytest
from minicuber.core.cube.part import part_output, recover
from minicuber.core.errors import InputError, StorageError
from minicuber.core.progress import Progress


class Scratch(Progress):
    def __init__(self) -> None:
        super().__init__()
        self.announced = []

    def scratch(self, path) -> None:
        self.announced.append(path)


def make(target, text):
    """An output in the making, as far as before its rename."""
    context = part_output(target, Progress())
    part = context.__enter__()
    if part.is_folder:
        (part.path / ".zgroup").write_text("{}")
        (part.path / "deep").mkdir()
        (part.path / "deep" / "0.0").write_text(text)
    else:
        part.path.write_text(text)
    part.make_durable()
    return context, part


def finish(target, text):
    context, part = make(target, text)
    part.commit()
    context.__exit__(None, None, None)


def text_of(target):
    return (target / "deep" / "0.0" if target.is_dir() else target).read_text()


@pytest.mark.parametrize("name", ["a.nc", "a.zarr"])
def test_a_whole_output_replaces_the_earlier_one_and_nothing_stays_behind(tmp_path, name):
    target = tmp_path / "new folder" / name
    finish(target, "one")
    finish(target, "two")
    assert text_of(target) == "two"
    assert [path.name for path in target.parent.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.nc", "a.zarr"])
def test_temporary_output_is_announced_and_removed_on_an_error(tmp_path, name):
    finish(tmp_path / name, "one")
    progress = Scratch()
    with suppress(ZeroDivisionError), part_output(tmp_path / name, progress) as part:
        assert progress.announced == [part.path]
        assert part.path.parent == tmp_path
        _ = 1 / 0
    assert text_of(tmp_path / name) == "one"
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("name", ["a.nc", "a.zarr"])
def test_output_is_as_readable_for_others_as_any_file(tmp_path, name):
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "file").touch()
    finish(tmp_path / name, "one")
    for path in [tmp_path / name, *(tmp_path / name).rglob("*")]:
        like = plain if path.is_dir() else plain / "file"
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(like.stat().st_mode)


def test_folder_that_cannot_take_the_place_leaves_the_earlier_one(tmp_path, monkeypatch):
    target = tmp_path / "a.zarr"
    finish(target, "one")
    rename = os.rename

    def refuse(source, destination):
        if str(source).endswith(".part"):
            raise PermissionError(13, "used by another process", str(destination))
        rename(source, destination)

    context, part = make(target, "two")
    monkeypatch.setattr("minicuber.core.cube.part.os.rename", refuse)
    with pytest.raises(PermissionError) as caught:
        part.commit()
    with pytest.raises(StorageError, match="close what holds it open"):
        context.__exit__(PermissionError, caught.value, None)
    assert text_of(target) == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


DIES = """
import importlib.util, os, sys
from pathlib import Path
root, target, moment = sys.argv[1:]
spec = importlib.util.spec_from_file_location("minicuber", f"{root}/__init__.py", submodule_search_locations=[root])
sys.modules["minicuber"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["minicuber"])
from minicuber.core.cube.part import part_output
from minicuber.core.progress import Progress
rename, count = os.rename, 0
def dying(source, destination):
    global count
    rename(source, destination)
    count += 1
    if count == int(moment):
        os._exit(9)
os.rename = os.replace = dying
with part_output(Path(target), Progress()) as part:
    (part.path / ".zgroup").write_text("{}")
    (part.path / "deep").mkdir()
    (part.path / "deep" / "0.0").write_text("two")
    part.commit()
"""


@pytest.mark.parametrize(("moment", "text"), [(1, "one"), (2, "two"), (3, "two")])
def test_run_that_died_between_two_renames_is_put_right_at_the_next_start(tmp_path, root, moment, text):
    target = tmp_path / "a.zarr"
    finish(target, "one")
    command = [sys.executable, "-B", "-c", DIES, str(root), str(target), str(moment)]
    assert subprocess.run(command, check=False).returncode == 9
    assert target.exists() == (moment != 1)
    recover(target)
    assert text_of(target) == text
    assert not (tmp_path / ".a.zarr.old").exists()
    finish(target, "three")
    assert text_of(target) == "three"


def test_start_of_a_run_puts_the_folder_back_before_anything_else(tmp_path):
    target = tmp_path / "a.zarr"
    finish(target, "one")
    target.rename(tmp_path / ".a.zarr.old")
    with pytest.raises(ZeroDivisionError), part_output(target, Progress()):
        _ = 1 / 0
    assert text_of(target) == "one"


def test_folder_of_something_else_is_not_replaced(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "thesis.txt").write_text("years of work")
    with (
        pytest.raises(InputError, match="something else than a Zarr"),
        part_output(tmp_path / "a.zarr", Progress()),
    ):
        pass
    (tmp_path / "b.zarr").write_text("a file")
    with pytest.raises(InputError, match="is a file"), part_output(tmp_path / "b.zarr", Progress()):
        pass
    (tmp_path / "c.nc").mkdir()
    with pytest.raises(InputError, match="is a folder"), part_output(tmp_path / "c.nc", Progress()):
        pass
    assert (tmp_path / "a.zarr" / "thesis.txt").read_text() == "years of work"


def test_full_disk_is_said(tmp_path):
    with pytest.raises(StorageError, match="disk is full"), part_output(tmp_path / "a.zarr", Progress()):
        raise OSError(28, "No space left on device")
