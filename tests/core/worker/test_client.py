"""One child per job: what it says, how it ends, and that it never stays behind. Real children, real jobs."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import xarray as xr
from helpers import alive, children_of, wait_until
from minicuber import __version__
from minicuber.core.errors import Cancelled, EnvironmentProblem, InputError, WorkerCrash
from minicuber.core.worker.client import run_in_child

ROOT = Path(__file__).resolve().parents[3]
posix = pytest.mark.skipif(os.name == "nt", reason="signals and /proc are POSIX")


def run(job, parameters, **options):
    return run_in_child(
        options.pop("python", sys.executable), job, parameters, version=__version__, **options
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A demo made by a child, with everything that it said."""
    said = {"progress": [], "log": []}
    folder = tmp_path_factory.mktemp("demo") / "Dä mo"
    result = run(
        "createdemodata",
        {"output": str(folder)},
        on_progress=lambda fraction, text: said["progress"].append((fraction, text)),
        on_log=lambda level, text: said["log"].append((level, text)),
    )
    return result, said


def test_progress_rises_to_one_in_numbers_and_words(demo):
    result, said = demo
    fractions = [fraction for fraction, _ in said["progress"]]
    assert fractions == sorted(fractions)
    assert fractions[0] >= 0 and fractions[-1] == 1
    assert any("2021-03" in text for _, text in said["progress"])
    assert Path(result["catalog"]).is_file()


def test_logging_of_the_core_arrives_with_its_level(demo):
    assert any(level == "INFO" and "183 dates" in text for level, text in demo[1]["log"])


def test_job_asks_for_a_release_before_it_replaces_and_waits_for_it(demo, tmp_path):
    cube = tmp_path / "a.nc"
    result, _ = demo
    recipe = {
        "extent": [404880, 405080, 5200040, 5200240],
        "extent_crs": "EPSG:32632",
        "start": "2021-06-01",
        "end": "2021-06-10",
        "catalog": result["catalog"],
        "s2_bands": ["B04"],
    }
    asked = []

    def release(path):
        time.sleep(0.3)
        asked.append((path, cube.stat().st_ino))

    for _ in range(2):
        run("buildminicube", {"recipe": recipe, "output": str(cube)}, on_release=release)
        first = asked[:] or cube.stat().st_ino
    # Not at the first build, when there was nothing; then before anything had changed.
    assert asked
    assert all(path == str(cube) for path, _ in asked)
    assert {inode for _, inode in asked} != {cube.stat().st_ino}
    assert first == asked


def test_users_error_is_one_sentence_with_its_kind():
    with pytest.raises(InputError, match="There is no job named 'nothing'"):
        run("nothing", {})
    with pytest.raises(InputError, match="Unknown parameter: colour"):
        run("createdemodata", {"output": "x", "colour": 1})
    with pytest.raises(InputError, match="Missing parameter: output"):
        run("createdemodata", {})
    with pytest.raises(InputError, match="output cannot be 3"):
        run("createdemodata", {"output": 3})


def test_bug_is_said_to_be_one_and_keeps_its_traceback(tmp_path):
    # QGIS always sends names of bands; lists in their place are no error that the job foresees.
    recipe = {
        "extent": [0, 1, 2, 3],
        "s2_bands": [["B02"]],
        "extent_crs": "EPSG:32632",
        "start": "2021-06-01",
        "end": "2021-06-02",
    }
    order = {"recipe": {**recipe, "catalog": "x"}, "output": str(tmp_path / "a.nc")}
    with pytest.raises(WorkerCrash, match="This is a bug") as caught:
        run("buildminicube", order)
    assert "Traceback" in caught.value.details


def test_interpreter_that_is_not_there_is_named(tmp_path):
    with pytest.raises(EnvironmentProblem, match="no-python"):
        run("createdemodata", {"output": "x"}, python=str(tmp_path / "no-python"))


@posix
def test_interpreter_that_ends_at_once_says_so_with_its_last_lines(tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho broken library >&2\nexit 7\n")
    script.chmod(0o755)
    with pytest.raises(EnvironmentProblem, match="exit code 7") as caught:
        run("createdemodata", {"output": "x"}, python=str(script))
    assert "broken library" in caught.value.details


@posix
def test_interpreter_that_ends_at_once_is_not_waited_for_however_often(tmp_path):
    # The thread that reads its messages may see the end before the other thread has begun.
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nexit 7\n")
    script.chmod(0o755)
    for _ in range(20):
        with pytest.raises(EnvironmentProblem, match="exit code 7"):
            run("createdemodata", {"output": "x"}, python=str(script))


def test_other_version_on_disk_asks_for_a_restart(tmp_path):
    with pytest.raises(EnvironmentProblem, match="Restart QGIS"):
        run_in_child(sys.executable, "createdemodata", {"output": str(tmp_path / "x")}, version="0.0.0")
    assert not (tmp_path / "x").exists()


def test_cancel_ends_within_three_seconds_and_leaves_nothing(tmp_path):
    cancel = threading.Event()
    asked = []

    def progress(fraction, text):
        if fraction > 0.2 and not cancel.is_set():
            cancel.set()
            asked.append(time.monotonic())

    with pytest.raises(Cancelled):
        run(
            "createdemodata",
            {"output": str(tmp_path / "demo")},
            on_progress=progress,
            is_cancelled=cancel.is_set,
        )
    assert time.monotonic() - asked[0] < 3
    assert list(tmp_path.iterdir()) == []
    assert children_of(os.getpid()) == []


@posix
def test_child_that_does_not_listen_to_cancel_is_killed(tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\ntrap '' TERM INT\nwhile :; do sleep 1; done\n")
    script.chmod(0o755)
    started = time.monotonic()
    with pytest.raises(Cancelled):
        run("createdemodata", {"output": "x"}, python=str(script), is_cancelled=lambda: True)
    assert time.monotonic() - started < 3
    assert wait_until(lambda: children_of(os.getpid()) == [], 1)


@posix
def test_killed_child_is_one_clear_sentence_and_its_scratch_is_removed(tmp_path):
    killed = []

    def progress(fraction, text):
        if fraction > 0.2 and not killed:
            killed.extend(children_of(os.getpid()))
            os.kill(killed[0], signal.SIGKILL)

    with pytest.raises(WorkerCrash, match="killed by SIGKILL") as caught:
        run("createdemodata", {"output": str(tmp_path / "demo")}, on_progress=progress)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@posix
def test_segmentation_fault_shows_the_last_lines_of_the_log(tmp_path):
    crashed = []

    def progress(fraction, text):
        if fraction > 0.1 and not crashed:
            crashed.extend(children_of(os.getpid()))
            os.kill(crashed[0], signal.SIGSEGV)

    with pytest.raises(WorkerCrash, match="SIGSEGV") as caught:
        run("createdemodata", {"output": str(tmp_path / "demo")}, on_progress=progress)
    assert "Segmentation fault" in caught.value.details


OWNER = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("minicuber", {init!r}, submodule_search_locations=[{root!r}])
package = importlib.util.module_from_spec(spec)
sys.modules["minicuber"] = package
spec.loader.exec_module(package)
from minicuber.core.worker.client import run_in_child
run_in_child(sys.executable, "createdemodata", {{"output": {output!r}}}, version=package.__version__,
             on_progress=lambda fraction, text: print(fraction, flush=True))
"""


@posix
def test_child_does_not_outlive_a_killed_owner_and_removes_its_scratch(tmp_path):
    output = tmp_path / "out" / "demo"
    output.parent.mkdir()
    code = OWNER.format(init=str(ROOT / "__init__.py"), root=str(ROOT), output=str(output))
    owner = subprocess.Popen([sys.executable, "-B", "-c", code], stdout=subprocess.PIPE, text=True)
    for line in owner.stdout:
        if float(line) > 0.2:
            break
    (child,) = children_of(owner.pid)
    owner.kill()
    assert wait_until(lambda: not alive(child), 3)
    owner.wait()
    owner.stdout.close()
    assert list(output.parent.iterdir()) == []


def test_several_jobs_at_once_do_not_disturb_each_other(tmp_path, demo):
    results, errors = {}, []

    def work(name: str, variables: int) -> None:
        try:
            cube = tmp_path / f"{name}.nc"
            recipe = {
                "extent": [405000, 405100 + 10 * variables, 5200100, 5200200],
                "extent_crs": "EPSG:32632",
                "start": "2021-06-01",
                "end": "2021-06-30",
                "catalog": demo[0]["catalog"],
            }
            results[name] = run("buildminicube", {"recipe": recipe, "output": str(cube)})
        except Exception as error:  # noqa: BLE001  (shown by the assertion below)
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"cube{n}", n)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [results[f"cube{n}"]["grid"]["width"] for n in range(3)] == [10, 11, 12]


def test_neither_working_folder_nor_pythonpath_shadow_the_childs_modules(tmp_path, monkeypatch):
    (tmp_path / "queue.py").write_text("raise RuntimeError('shadowed')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(InputError, match="no job"):
        run("nothing", {})


def test_child_writes_no_bytecode_beside_the_code(tmp_path):
    copy = tmp_path / "minicuber copy"
    shutil.copytree(ROOT / "core", copy / "core", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "__init__.py", copy)
    code = OWNER.format(init=str(copy / "__init__.py"), root=str(copy), output=str(tmp_path / "demo"))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run([sys.executable, "-B", "-c", code], check=True, capture_output=True, env=environ)
    assert (tmp_path / "demo/catalog.json").is_file()
    assert list(copy.rglob("__pycache__")) == []


def test_child_ends_although_its_scratch_cannot_be_removed(tmp_path):
    # As on Windows, where the process that ends still holds the file open; /proc refuses in the same way.
    code = (
        "import sys; sys.argv=['x']\n"
        + OWNER.split("from minicuber")[0].format(init=str(ROOT / "__init__.py"), root=str(ROOT))
        + "from pathlib import Path\nfrom minicuber.core.worker.child import Channel\n"
        "channel = Channel()\nchannel.add_scratch(Path('/proc/version'))\nchannel.leave(7)\n"
    )
    assert (
        subprocess.run(
            [sys.executable, "-B", "-c", code], capture_output=True, check=False, timeout=20
        ).returncode
        == 7
    )


@posix
def test_environment_reaches_the_child_through_its_input_alone(tmp_path):
    # The variable is seen by GDAL and requests in the child, and not in the command line of anybody.
    seen = []

    def tick():
        for pid in children_of(os.getpid()):
            with contextlib.suppress(OSError):
                seen.append(
                    Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
                )

    with pytest.raises(Cancelled):
        run(
            "createdemodata",
            {"output": str(tmp_path / "demo")},
            environment={"HTTPS_PROXY": "http://user:geheim@127.0.0.1:9"},
            on_tick=tick,
            is_cancelled=lambda: len(seen) > 3,
        )
    assert seen
    assert not any(b"geheim" in text for text in seen)


def test_environment_is_in_force_in_the_child(tmp_path):
    # The child's own time of writing follows SOURCE_DATE_EPOCH, which it can have from its input alone.
    result = run("createdemodata", {"output": str(tmp_path / "demo")})
    order = {
        "recipe": {
            "extent": [405000, 405100, 5200100, 5200200], "extent_crs": "EPSG:32632", "start": "2021-06-01",
            "end": "2021-06-10", "catalog": result["catalog"], "s2_bands": ["B04"],
        },
        "output": str(tmp_path / "a.nc"),
    }  # fmt: skip
    run("buildminicube", order, environment={"SOURCE_DATE_EPOCH": "1700000000"})
    with xr.open_dataset(tmp_path / "a.nc") as cube:
        assert cube.attrs["history"].startswith("2023-11-14T22:13:20Z")
