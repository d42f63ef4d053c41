"""Finding and probing Pythons."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from minicuber.core.environment import interpreters
from minicuber.core.environment.interpreters import find_interpreters, named, own_executable, probe, search
from minicuber.core.errors import EnvironmentProblem


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine whose only Pythons are those on PATH: no home, none of our own."""
    monkeypatch.setattr(interpreters, "own_executable", lambda: None)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return lambda *folders: {"PATH": os.pathsep.join([*map(str, folders), "/bin"]) if folders else "/none"}


@pytest.fixture
def alone(bare, monkeypatch):
    """Like `bare`, and the system's own folders are not looked at (fakes need /bin for cat)."""
    real = interpreters.shutil.which
    monkeypatch.setattr(
        interpreters.shutil,
        "which",
        lambda name, path=None: None if path == "/bin" else real(name, path=path),
    )
    return bare


def test_a_real_python_is_probed(python):
    """The probe is what the choice rests on: run one for real."""
    found = probe(python)
    assert found.implementation == "CPython"
    assert interpreters.MINIMUM <= found.version[:2] <= interpreters.MAXIMUM
    assert found.complete
    assert found.tag.startswith(f"py3{found.version[1]}-")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"version": [3, 9, 18]}, "CPython 3.9.18"),
        ({"version": [3, 15, 0]}, "CPython 3.15.0"),
        ({"implementation": "PyPy"}, "PyPy 3.12.1"),
        ({"bits": 32}, "32 bits"),
        ({"free_threaded": True}, "free-threaded"),
        ({"platform": "mingw_x86_64_ucrt"}, "mingw"),
    ],
)
def test_an_unfit_python_is_refused_with_what_was_found(fake_python, facts, said):
    """pip would fail on it after minutes, with a message about a wheel."""
    path = fake_python(**facts)
    with pytest.raises(EnvironmentProblem) as caught:
        probe(path)
    assert said in caught.value.message
    assert str(path) in caught.value.message
    assert "3.11 to 3.14" in caught.value.hint


def test_a_missing_python_is_named(tmp_path):
    """A typing error in the setting must show what was read."""
    with pytest.raises(EnvironmentProblem, match="nowhere"):
        probe(tmp_path / "nowhere")


def test_a_shim_without_its_python_is_refused_with_its_words(tmp_path, environ):
    """pyenv's shims exist for versions that are switched off; they exit 127."""
    shim = tmp_path / "python3.12"
    shim.write_text("#!/bin/sh\necho 'pyenv: python3.12: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    with pytest.raises(EnvironmentProblem, match="command not found"):
        probe(shim, environ=environ)


def test_a_python_that_hangs_is_given_up(tmp_path):
    """A stub that waits for a person must not stop the search."""
    path = tmp_path / "python3"
    path.write_text("#!/bin/sh\nsleep 60\n")
    path.chmod(0o755)
    started = time.monotonic()
    with pytest.raises(EnvironmentProblem, match="does not run"):
        probe(path, timeout=0.5)
    assert time.monotonic() - started < 5


def test_qgis_variables_do_not_reach_the_probed_python(python, environ):
    """With QGIS's PYTHONHOME another Python dies at its start."""
    assert probe(
        python, environ={**environ, "PYTHONHOME": "/nonexistent", "PYTHONPATH": "/nonexistent"}
    ).complete


def test_the_preferred_python_leads_and_is_never_passed_over(fake_python, alone, tmp_path):
    """A wrong setting that is silently skipped makes an environment from a Python nobody chose."""
    fake_python("python3.13", tmp_path / "bin", version=[3, 13, 1])
    chosen = fake_python("python3.11", tmp_path / "own", version=[3, 11, 1])
    found = find_interpreters(str(chosen), alone(tmp_path / "bin"))
    assert [item.version[1] for item in found] == [11, 13]
    with pytest.raises(EnvironmentProblem, match="nowhere"):
        find_interpreters(str(tmp_path / "nowhere"), alone(tmp_path / "bin"))


def test_the_order_is_by_wheels_and_by_what_can_make_environments(fake_python, alone, tmp_path):
    """Debian without python3-venv has a Python that cannot serve while an older one can."""
    for minor in (11, 12, 13, 14):
        fake_python(f"python3.{minor}", tmp_path / "bin", version=[3, minor, 1], has_ensurepip=minor != 13)
    found = find_interpreters(environ=alone(tmp_path / "bin"))
    assert [item.version[1] for item in found] == [12, 14, 11, 13]


def test_one_python_under_many_names_is_found_once(fake_python, alone, tmp_path):
    """python, python3 and python3.12 are one file on most systems."""
    real = fake_python("python3.12", tmp_path / "bin")
    (tmp_path / "bin/python3").symlink_to(real)
    (tmp_path / "bin/python").symlink_to(real)
    (tmp_path / "venv").mkdir()
    fake_python("python3", tmp_path / "venv", path=str(real))
    assert len(find_interpreters(environ=alone(tmp_path / "venv", tmp_path / "bin"))) == 1


def test_a_broken_python_does_not_stop_the_search(fake_python, alone, tmp_path):
    """Python 2, a shim or a 3.9 first on PATH hid the good one behind it."""
    fake_python("python3", tmp_path / "a", version=[3, 9, 2])
    broken = tmp_path / "a/python3.12"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    fake_python("python3.12", tmp_path / "b")
    found = search(environ=alone(tmp_path / "a", tmp_path / "b"))
    assert [item.path for item in found.found] == [tmp_path / "b/python3.12"]
    assert len(found.rejected) == 2


def test_a_name_is_looked_up_on_path_and_a_tilde_is_expanded(fake_python, tmp_path, monkeypatch):
    """People write "python3.12" or "~/miniconda3/bin/python" into a setting."""
    path = fake_python("python3.12", tmp_path / "bin")
    assert named("python3.12", {"PATH": str(tmp_path / "bin")}) == path
    monkeypatch.setenv("HOME", str(tmp_path))
    assert named("~/bin/python3.12", {}) == path
    assert named(f' "{path}" ', {}) == path


def test_store_stubs_and_apples_stub_are_not_run(monkeypatch):
    """Running one opens the Windows Store, or a dialog that offers Apple's developer tools."""
    monkeypatch.setattr(interpreters.sys, "platform", "win32")
    assert interpreters._stub(r"C:\Users\a\AppData\Local\Microsoft\WindowsApps\python3.exe", {})
    assert not interpreters._stub(r"C:\Program Files\Python312\python.exe", {})
    monkeypatch.setattr(interpreters.sys, "platform", "darwin")
    assert interpreters._stub("/usr/bin/python3", {})
    assert not interpreters._stub("/opt/homebrew/bin/python3", {})


def test_the_launcher_of_windows_is_understood():
    """`py -0p` marks the default with a star and lists Store Pythons too."""
    listed = [
        " -V:3.13 *        C:\\Users\\Anna Maria\\AppData\\Local\\Programs\\Python\\Python313\\python.exe",
        " -3.11-64         C:\\Python311\\python.exe",
        " -V:3.12          C:\\Users\\a\\AppData\\Local\\Microsoft\\WindowsApps\\x\\python.exe",
        "Installed Pythons found by py Launcher for Windows",
    ]
    assert [str(path) for path in interpreters.launcher_paths(listed)] == [
        "C:\\Users\\Anna Maria\\AppData\\Local\\Programs\\Python\\Python313\\python.exe",
        "C:\\Python311\\python.exe",
    ]


def test_qgis_is_not_taken_for_a_python(tmp_path):
    """On Windows and macOS sys.executable is QGIS: starting it opens a second QGIS."""
    qgis = tmp_path / "qgis-ltr-bin.exe"
    qgis.touch()
    assert own_executable(str(qgis), str(tmp_path / "apps")) is None
    binary = tmp_path / "apps/python.exe"
    binary.parent.mkdir()
    binary.touch()
    assert own_executable(str(qgis), str(tmp_path / "apps")) == binary
    assert own_executable() == Path(sys.executable)
