"""Making, replacing and removing environments, for real and without any network."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest
from minicuber.core.environment import maker, plan, storage
from minicuber.core.environment.environment import environments
from minicuber.core.environment.install import remove, set_up
from minicuber.core.environment.mutex import exclusive
from minicuber.core.environment.plan import plan_setup, sizes
from minicuber.core.environment.requirements import Requirements
from minicuber.core.errors import Cancelled, EnvironmentProblem
from minicuber.core.progress import Progress

posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


class Recording(Progress):
    """Remembers what it was told; `at` cancels at the first text that begins so."""

    def __init__(self, at: str = "") -> None:
        super().__init__()
        self.seen, self.at, self.scratched = [], at, []

    def show(self, fraction, text):
        self.seen.append((fraction, text))
        if self.at and text.startswith(self.at):
            self.cancel()

    def scratch(self, path):
        self.scratched.append(path)


def processes_in(folder: Path) -> list[str]:
    """Command lines of living processes that name this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            text = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if str(folder) in text and f"/{os.getpid()}/" not in str(path):
                found.append(text)
    return found


def wait_until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not condition():
        time.sleep(0.05)
    return condition()


def copy(environment, base):
    """A complete environment in a base of its own: it can be moved, as its Python is run by path."""
    shutil.copytree(environment.base, base, symlinks=True)
    return dataclasses.replace(environment, base=base)


@pytest.fixture
def copied(made, tmp_path):
    return copy(made[0], tmp_path / "base")


def test_an_environment_is_made_offline_in_a_folder_with_blanks_and_umlauts(made, environ, helpers):
    """Profiles lie under names like "Jürgen Müller": no script with such a path in it starts."""
    environment, _lines = made
    assert helpers.folder_name in str(environment.folder)
    assert environment.state == "complete"
    code = "import toy_first, toy_second; print(toy_first.__version__)"
    ended = subprocess.run(
        [environment.python, "-I", "-c", code], capture_output=True, text=True, env=environ, check=True
    )
    assert ended.stdout.strip() == "1.0"
    details = environment.details()
    assert details["packages"]["toy-second"] == "1.0"
    assert details["python_version"].startswith("3.")


def test_what_will_happen_is_said_before_it_happens(made):
    """Half a gigabyte must not land in a profile unannounced."""
    environment, lines = made
    text = "\n".join(lines[: next(i for i, line in enumerate(lines) if line.startswith("Making"))])
    assert str(environment.folder) in text
    assert "2 packages" in text
    assert "on disk" in text
    assert "free" in text


def test_a_complete_environment_is_returned_at_once(made, toys, environ, monkeypatch):
    """The set-up stands in front of every job in some models: it must cost nothing."""
    monkeypatch.setattr(subprocess, "Popen", None)
    started = time.monotonic()
    again = set_up(made[0].base, requirements=toys.requirements, environ=environ)
    assert again == made[0]
    assert time.monotonic() - started < 0.5


@posix
def test_cancel_ends_pip_within_two_seconds_and_leaves_nothing(toys, python, environ, tmp_path, stalling):
    """A pip that goes on after cancel fills the folder that the next set-up makes."""
    index, stalled = stalling
    progress = Recording()
    cancelled_at = []

    def cancel():
        stalled.wait(30)
        cancelled_at.append(time.monotonic())
        progress.cancel()

    threading.Thread(target=cancel, daemon=True).start()
    base = tmp_path / "b"
    with pytest.raises(Cancelled):
        set_up(
            base,
            preferred=str(python),
            requirements=toys.requirements,
            environ={**environ, "PIP_INDEX_URL": index},
            progress=progress,
        )
    assert time.monotonic() - cancelled_at[0] < 2
    assert environments(base, toys.requirements.digest) == []
    assert processes_in(base) == []
    assert {path.name for path in base.iterdir()} <= {"setup.log", "setup.lock"}


@posix
def test_a_killed_set_up_leaves_no_pip_and_the_next_one_recovers(
    toys, python, environ, tmp_path, stalling, set_up_process
):
    """kill -9 of QGIS: the half-made folder stays, pip lives on, and the lock seems to be held."""
    index, stalled = stalling
    base = tmp_path / "b"
    process = set_up_process(base, toys, {**environ, "PIP_INDEX_URL": index}, preferred=str(python))
    assert stalled.wait(30), process.communicate(timeout=5)
    assert [item.state for item in environments(base, toys.requirements.digest)] == ["incomplete"]
    assert processes_in(base)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert wait_until(lambda: not processes_in(base))
    lines = []
    made = set_up(
        base,
        preferred=str(python),
        wheels=toys.folder,
        requirements=toys.requirements,
        environ=environ,
        log=lines.append,
    )
    assert made.state == "complete"
    assert any("half-made" in line for line in lines)


@posix
def test_two_set_ups_at_once_make_one_environment(toys, python, environ, tmp_path, set_up_process):
    """Two QGIS windows with one profile: two pips in one folder."""
    base = tmp_path / "b"
    arguments = {"preferred": str(python), "wheels": str(toys.folder)}
    both = [set_up_process(base, toys, environ, **arguments) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sorted("Making the environment." in output for output in outputs) == [False, True]
    assert sorted("Waiting for another set-up" in output for output in outputs) == [False, True]


def test_a_lock_file_of_a_dead_process_does_not_block(tmp_path):
    """The number in it may belong to another program by now: then the set-up would wait for ever."""
    lock = tmp_path / "setup.lock"
    lock.write_text(str(os.getppid()))
    with exclusive(lock, Progress(), print, patience=0):
        assert lock.read_text() == str(os.getpid())


def test_a_held_lock_gives_a_clear_error_and_can_be_cancelled(tmp_path):
    """Waiting without a word looks like a hang."""
    lock = tmp_path / "setup.lock"
    with exclusive(lock, Progress(), print):
        with pytest.raises(EnvironmentProblem, match=f"running \\(process {os.getpid()}\\)"):
            exclusive(lock, Progress(), print, patience=0).__enter__()
        progress = Recording(at="Waiting")
        with pytest.raises(Cancelled):
            exclusive(lock, progress, print).__enter__()


@pytest.fixture(scope="module")
def failed(made, toys, python, tmp_path_factory, helpers):
    """A complete environment whose replacement failed at a dead proxy; the error; all that was said."""
    environment = copy(made[0], tmp_path_factory.mktemp("failed") / "base")
    commands, lines = [], []

    class Spy(subprocess.Popen):
        def __init__(self, command, **arguments):
            commands.append(" ".join(map(str, command)))
            super().__init__(command, **arguments)

    proxy = "http://anna:Geheim%401@127.0.0.1:9"
    index = "http://bernd:Zweites2@localhost:9/simple"
    patch = pytest.MonkeyPatch()
    patch.setattr(subprocess, "Popen", Spy)
    with pytest.raises(EnvironmentProblem) as caught:
        set_up(
            environment.base,
            preferred=str(python),
            recreate=True,
            requirements=toys.requirements,
            environ=helpers.clean_environ(PIP_RETRIES="0", PIP_INDEX_URL=index),
            extra_environ={"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy},
            log=lines.append,
        )
    patch.undo()
    assert len(commands) >= 4
    written = (environment.base / "setup.log").read_text(encoding="utf-8")
    return environment, caught.value, "\n".join([*lines, *commands, str(caught.value), written])


def test_an_environment_comes_back_if_its_replacement_fails(failed):
    """ "Recreate" without a network left the user with nothing."""
    environment, problem, said = failed
    assert problem.message == "The proxy refused the connection to the package index."
    assert environment.state == "complete"
    assert {path.name for path in environment.base.iterdir()} == {environment.key, "setup.log", "setup.lock"}
    assert "put back" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_does_not_stop_at_the_log(copied, toys, environ):
    """The first to meet a full disk is our own log: its error hid the cause and left the half-made folder."""
    (copied.base / "setup.log").unlink()
    (copied.base / "setup.log").symlink_to("/dev/full")
    lines = []
    assert set_up(copied.base, requirements=toys.requirements, environ=environ, log=lines.append) == copied
    assert any("complete" in line for line in lines)


def test_an_error_of_the_system_becomes_one_sentence(copied, toys, environ, monkeypatch):
    """A bare OSError would be shown as a bug, with a traceback."""

    def full(_environment):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(maker, "current", lambda *_arguments: full(None))
    with pytest.raises(EnvironmentProblem, match="disk became full"):
        set_up(copied.base, requirements=toys.requirements, environ=environ)


def test_passwords_reach_neither_log_nor_file_nor_command_line(failed):
    """Processing's log is pasted into issues, and every user of the machine sees command lines."""
    assert "127.0.0.1:9" in failed[2] or "localhost:9" in failed[2]
    for secret in ("Geheim@1", "Geheim%401", "Zweites2"):
        assert secret not in failed[2]


def test_an_environment_laid_aside_comes_back_after_a_kill(copied, toys, environ):
    """Killed while recreating: the old one lies under another name and the new one is half-made."""
    storage.aside(copied.folder, "old")
    (copied.folder / "bin").mkdir(parents=True)
    lines = []
    assert set_up(copied.base, requirements=toys.requirements, environ=environ, log=lines.append) == copied
    assert copied.state == "complete"
    assert any("put back" in line for line in lines)


def test_recreate_makes_it_anew_and_old_ones_go(copied, toys, python, environ):
    """Every release with another lock left half a gigabyte in the profile."""
    old = copied.base / "py311-linux-x86_64-0123456789ab"
    shutil.copytree(copied.folder, old, symlinks=True)
    foreign = copied.base / "my notes"
    foreign.mkdir()
    (copied.folder / "stray").touch()
    made = set_up(
        copied.base,
        preferred=str(python),
        wheels=toys.folder,
        recreate=True,
        requirements=toys.requirements,
        environ=environ,
    )
    assert made.state == "complete"
    assert not (made.folder / "stray").exists()
    assert not old.exists()
    assert foreign.is_dir()


def test_a_package_that_cannot_be_imported_is_found_by_the_set_up(copied, toys, environ):
    """A missing system library shows at the import only: better now than in the first job."""
    module = next(copied.folder.glob("lib/python3*/site-packages/toy_second")) / "__init__.py"
    module.write_text("raise ImportError('libexpat.so.1: cannot open shared object file')\n")
    lines = []
    making = maker.Maker(copied.base, toys.requirements, environ, Progress(), lines.append)
    with pytest.raises(
        EnvironmentProblem, match=r"toy-second was installed but cannot be imported.*libexpat"
    ):
        making._verify(copied)
    assert "toy-second: ImportError: libexpat.so.1: cannot open shared object file" in lines


def test_a_python_without_ensurepip_names_the_package_to_install(
    fake_python, toys, environ, tmp_path, monkeypatch
):
    """Debian's message speaks of apt and a virtual environment that the user never asked for."""
    path = fake_python(has_ensurepip=False)
    with pytest.raises(EnvironmentProblem) as caught:
        set_up(tmp_path / "b", preferred=str(path), requirements=toys.requirements, environ=environ)
    assert "python3.12-venv" in caught.value.hint
    monkeypatch.setattr(maker, "search", lambda **_arguments: maker.Search([], []))
    with pytest.raises(EnvironmentProblem, match=r"No Python 3\.11 to 3\.14 was found"):
        set_up(tmp_path / "b", requirements=toys.requirements, environ=environ)


def test_a_full_disk_and_a_folder_without_rights_are_found_before(tmp_path, monkeypatch):
    """Found by pip, after half of the download."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda _path: usage(10**9, 10**9, 10**8))
    with pytest.raises(EnvironmentProblem, match="100 MB free"):
        plan_setup(tmp_path)
    monkeypatch.undo()
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentProblem, match="cannot be written"):
        set_up(Path("/proc/minicuber") if Path("/proc").is_dir() else tmp_path / "file/base")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_remove_takes_all_that_is_ours_and_nothing_else(copied):
    """A folder of the user's own in a wrongly chosen base must survive."""
    base = copied.base
    for name in (
        "uv-0.13.9",
        "uv-pythons",
        "uv-cache",
        f"{copied.key}.gone-0123abcd",
        f"{copied.key}.old-0123abcd",
    ):
        (base / name / "sub").mkdir(parents=True)
    for name in ("py312", "uv-notes", "pythons"):
        (base / name).mkdir()
    lines = []
    removed = remove(base, lines.append)
    assert len(removed) == 6
    assert sorted(path.name for path in base.iterdir()) == ["py312", "pythons", "uv-notes"]
    assert lines == []
    assert remove(base / "nowhere") == []


def test_remove_waits_for_no_running_set_up(copied):
    """Removing under a running pip leaves a wreck that looks like an environment."""
    lock = copied.base / "setup.lock"
    with exclusive(lock, Progress(), print), pytest.raises(EnvironmentProblem, match="is running"):
        remove(copied.base)
    assert copied.state == "complete"


def test_a_failing_removal_is_logged_and_not_fatal(copied, toys, environ, monkeypatch):
    """Windows refuses to rename what a running job has open; the new environment is fine all the same."""
    old = copied.base / "py311-linux-x86_64-0123456789ab"
    shutil.copytree(copied.folder, old, symlinks=True)
    marker = json.loads((old / "complete.json").read_text())
    (old / "complete.json").write_text(json.dumps({**marker, "lock": "0" * 64}))

    def refuse(_source, _target):
        raise PermissionError(13, "in use")

    lines = []
    monkeypatch.setattr(storage.os, "rename", refuse)
    assert storage.discard(old, lines.append) is False
    assert "in use" in lines[0]


def test_the_command_line_works_from_a_clean_clone(toys, python, environ, tmp_path, helpers):
    """The Makefile makes its environment with the product's own code, with nothing installed."""
    script = helpers.root / "core/environment/__main__.py"
    base = tmp_path / "b"
    command = [sys.executable, "-B", str(script), "--base", str(base)]
    arguments = {"capture_output": True, "text": True, "env": environ, "cwd": tmp_path, "check": False}
    ended = subprocess.run([*command, "--python", str(tmp_path / "nowhere")], **arguments)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("There is no Python interpreter at")
    ended = subprocess.run([*command, "--remove"], **arguments)
    assert (ended.returncode, base.exists()) == (0, False)


def test_a_developers_extra_is_installed_within_the_locks_versions(toys, python, environ, tmp_path, helpers):
    """Test tools that pull in another version of a package test another product."""
    helpers.make_wheel(toys.folder, "toy-tool")
    helpers.make_wheel(toys.folder, "toy-second", "2.0")
    extra = tmp_path / "extra.txt"
    extra.write_text("toy-tool  # a test tool\ntoy-second\n")
    with_extra = Requirements.read(toys.requirements.lock, extra=extra)
    assert with_extra.digest != toys.requirements.digest
    progress = Recording()
    made = set_up(
        tmp_path / "b",
        preferred=str(python),
        wheels=toys.folder,
        requirements=with_extra,
        environ=environ,
        progress=progress,
    )
    packages = made.details()["packages"]
    assert (packages["toy-tool"], packages["toy-second"]) == ("1.0", "1.0")
    # A bar that stands still for half a minute looks like a hang, and one that falls back like an error.
    fractions = [fraction for fraction, _text in progress.seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    texts = [text for _fraction, text in progress.seen]
    assert "Downloading toy_second (2 of 2)" in texts
    assert any(text.startswith("Installing") for text in texts)
    assert progress.scratched == [made.folder]


def test_stored_sizes_are_those_of_a_real_environment(helpers):
    """The announcement of megabytes must not age when the lock grows: correct core/environment/sizes.json."""
    requirements = Requirements.read()
    build = helpers.root / "build"
    found = [
        item
        for base in [build, *build.glob("*")]
        for item in environments(base, requirements.digest)
        if item.state == "complete" and len(item.details()["packages"]) <= requirements.count + 1
    ]
    stored = sizes()
    assert stored["packages"] == pytest.approx(requirements.count, rel=0.5), "measure sizes.json anew"
    if not found:
        pytest.skip("no environment of the product's lock in build/")
    announced = stored["disk_mb"] * requirements.count / stored["packages"]
    assert announced / 1.5 < storage.folder_mb(found[0].folder) < announced * 1.5


def test_every_system_has_sizes():
    """A system without an entry would announce nothing."""
    for system in ("linux", "darwin", "win32", "freebsd14"):
        assert set(sizes(system)) == {"packages", "download_mb", "disk_mb", "uv_download_mb", "uv_disk_mb"}
    assert plan.sizes("darwin") != plan.sizes("linux")
