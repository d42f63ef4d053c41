"""Making the demo: whole or not at all, always the same, never in place of something else."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest
from minicuber.core.demo import create, place, site
from minicuber.core.demo.create import DemoParameters
from minicuber.core.errors import Cancelled, InputError, StorageError
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress


def _make(folder: Path, progress: Progress | None = None, dates: int = 3):
    """A demo of the first few dates."""
    return create._create(DemoParameters(str(folder)), progress or Progress(), site.DATES[:dates])


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_size_and_progress(demo):
    """It must stay small, and whoever waits must see that it moves."""
    assert sum(path.stat().st_size for path in demo.folder.rglob("*") if path.is_file()) < 60e6
    fractions = [fraction for fraction, _ in demo.progress.shown]
    assert len(fractions) > 50
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert any("of 183 dates" in text for _, text in demo.progress.shown)


def test_same_bytes_each_time(demo, tmp_path):
    """A time stamp, a path or the order of threads in a file breaks checksums of all that is built on it."""
    _make(tmp_path / "one")
    _make(tmp_path / "other place")
    first, second = _digests(tmp_path / "one"), _digests(tmp_path / "other place")
    assert first == second
    whole = _digests(demo.folder)
    catalogs = {"items.json", str(Path(site.COLLECTION) / "collection.json")}  # these list all dates
    assert {name: whole[name] for name in first if name not in catalogs} == {
        name: digest for name, digest in first.items() if name not in catalogs
    }
    for path in (tmp_path / "one").rglob("*"):
        assert not path.is_file() or str(tmp_path).encode() not in path.read_bytes()


def test_runs_as_a_job_by_name(tmp_path, monkeypatch):
    """The worker knows jobs by name and plain values."""
    monkeypatch.setattr(site, "DATES", site.DATES[:1])
    result = run_job("createdemodata", {"output": str(tmp_path / "set")}, Progress())
    assert result["catalog"] == str(tmp_path / "set" / "catalog.json")
    assert [Path(layer).name for layer in result["layers"]] == [
        "dem.tif",
        "landcover.tif",
        "forest_mask.geojson",
    ]
    assert all(Path(layer).is_file() for layer in result["layers"])
    assert result["extent"] == "404880,406160,5200040,5201320 [EPSG:32632]"


@pytest.mark.parametrize("updates", [1, 3, 5])
def test_cancel_leaves_nothing(tmp_path, recorder, updates):
    """A half demo, a hidden folder or a thread that goes on after a cancel."""
    progress = recorder(cancel_after=updates)
    with pytest.raises(Cancelled):
        _make(tmp_path / "new" / "set", progress, dates=60)
    assert list(tmp_path.iterdir()) == []
    assert len(progress.announced) == 1
    assert progress.announced[0].parent == tmp_path / "new"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("demo")]


def test_cancel_keeps_the_earlier_demo(tmp_path, recorder):
    """Replacing must not begin by destroying."""
    _make(tmp_path / "set", dates=1)
    before = _digests(tmp_path / "set")
    with pytest.raises(Cancelled):
        _make(tmp_path / "set", recorder(cancel_after=5), dates=10)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert _digests(tmp_path / "set") == before


def test_empty_folder_and_earlier_demo_are_replaced(tmp_path):
    """QGIS may make the folder before; and making the demo again must just work."""
    (tmp_path / "set").mkdir()
    _make(tmp_path / "set", dates=2)
    (tmp_path / "set" / "dem.tif.aux.xml").touch()  # QGIS leaves statistics beside a raster it showed
    _make(tmp_path / "set", dates=1)
    assert len(list((tmp_path / "set").rglob("SCL.tif"))) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("own", [False, True])
def test_foreign_folder_is_refused_untouched(tmp_path, own):
    """A wrong click must not cost somebody his data, not even beside an earlier demo."""
    folder = tmp_path / "thesis"
    folder.mkdir()
    if own:
        (folder / "README.txt").write_text(f"{place.MARKER}\n", encoding="utf-8")
    (folder / "cube.nc").write_bytes(b"years of work")
    before = _digests(folder)
    with pytest.raises(InputError, match=r"cube\.nc") as caught:
        _make(folder)
    assert caught.value.hint
    assert _digests(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]


def test_readme_of_something_else_is_no_demo(tmp_path):
    """Files that only bear the demo's names are somebody's all the same."""
    (tmp_path / "README.txt").write_text("My notes\n", encoding="utf-8")
    with pytest.raises(InputError):
        _make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.txt"]


def test_file_and_nothing_as_output_are_refused(tmp_path):
    (tmp_path / "file").touch()
    for output in (str(tmp_path / "file"), "", "  "):
        with pytest.raises(InputError):
            create._create(DemoParameters(output), Progress(), site.DATES[:1])


def test_folder_that_cannot_be_made_is_a_storage_error(tmp_path):
    """A traceback instead of a sentence when the place cannot be written."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageError) as caught:
        _make(tmp_path / "file" / "set")
    assert caught.value.hint


def test_full_disk_leaves_nothing(tmp_path, monkeypatch):
    """An error in a writing thread must end the job, clean up, and say what happened."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(create, "write_item", full)
    with pytest.raises(StorageError, match="No space left"):
        _make(tmp_path / "set", dates=20)
    assert list(tmp_path.iterdir()) == []


def test_run_that_died_between_its_renames_is_recovered(tmp_path):
    """Killed after the old demo went aside: the next run must not leave it there, nor trip over it."""
    _make(tmp_path / "set", dates=1)
    (tmp_path / "set").rename(tmp_path / ".set.earlier-demo")
    _make(tmp_path / "set", dates=2)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert len(list((tmp_path / "set").rglob("SCL.tif"))) == 4
