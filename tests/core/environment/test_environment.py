"""The state of an environment on disk, without starting anything."""

from __future__ import annotations

import json
import os
import subprocess
import time

import pytest
from minicuber.core.environment.environment import Environment, current, environments
from minicuber.core.environment.interpreters import Interpreter
from minicuber.core.environment.requirements import Requirements

posix = pytest.mark.skipif(os.name == "nt", reason="symbolic links")


@pytest.fixture
def interpreter(tmp_path) -> Interpreter:
    path = tmp_path / "usr/bin/python3.12"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return Interpreter(path, (3, 12, 1), "CPython", 64, "linux", "linux-x86_64", "x86_64", True, True)


@pytest.fixture
def whole(tmp_path, interpreter, toys) -> Environment:
    """An environment as a set-up leaves it, without its packages."""
    environment = Environment.of(tmp_path / "base", interpreter, toys.requirements)
    environment.python.parent.mkdir(parents=True)
    environment.python.symlink_to(interpreter.path)
    (environment.folder / "pyvenv.cfg").write_text(f"home = {interpreter.path.parent}\nversion = 3.12.1\n")
    environment.write_marker(interpreter, {"toy-first": "1.0"})
    return environment


def test_the_key_names_python_platform_and_lock(whole, toys):
    """Two QGIS of different age or processor share a profile: each needs its own environment."""
    assert whole.key == f"py312-linux-x86_64-{toys.requirements.digest[:12]}"


@posix
def test_states(whole, interpreter):
    """A half-made environment that counts as complete fails later, in the middle of a job."""
    assert whole.state == "complete"
    assert Environment(whole.base, whole.key, "0" * 64).state == "outdated"
    assert Environment(whole.base, "py312-linux-x86_64-000000000000", whole.digest).state == "missing"
    text = whole.marker.read_text()
    whole.marker.write_text(text[:-20])
    assert whole.state == "incomplete"
    whole.marker.write_text("[]")
    assert whole.state == "incomplete"
    whole.marker.unlink()
    assert whole.assess() == ("incomplete", "its set-up did not finish")


@posix
def test_an_upgrade_of_the_system_is_noticed(whole, interpreter):
    """The link in the environment dangles after an upgrade, or leads to a Python without the packages."""
    interpreter.path.rename(interpreter.path.with_name("away"))
    state, reason = whole.assess()
    assert (state, "is gone" in reason) == ("incomplete", True)
    newer = interpreter.path.with_name("python3.13")
    newer.write_text("#!/bin/sh\n")
    newer.chmod(0o755)
    interpreter.path.symlink_to(newer)
    assert whole.assess() == ("incomplete", "its interpreter has become Python 3.13")


def test_the_marker_is_replaced_atomically(whole, interpreter, monkeypatch):
    """A marker half-written at a power cut must not be read as an environment."""
    before = whole.marker.read_text()

    def fail(*_arguments):
        raise OSError("power cut")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="power cut"):
        whole.write_marker(interpreter, {})
    assert whole.marker.read_text() == before
    assert set(json.loads(before)) >= {"lock", "python_version", "packages", "created", "interpreter"}


@posix
def test_the_state_is_fast_and_starts_no_process(whole, toys, monkeypatch):
    """It is asked on QGIS's main thread: a process there freezes the window."""
    monkeypatch.setattr(subprocess, "Popen", None)
    current(whole.base, toys.requirements)
    started = time.perf_counter()
    for _ in range(20):
        assert current(whole.base, Requirements.read(toys.requirements.lock)) == whole
    assert (time.perf_counter() - started) / 20 < 0.005


def test_reading_the_products_lock_is_fast():
    """The lock is read at every start of a job; it holds thousands of hashes."""
    Requirements.read()
    started = time.perf_counter()
    for _ in range(10):
        Requirements.read()
    assert (time.perf_counter() - started) / 10 < 0.02


@posix
def test_complete_ones_come_first(whole, toys):
    """A half-made folder beside a complete one must not hide it."""
    (whole.base / f"py311-linux-x86_64-{toys.requirements.digest[:12]}").mkdir()
    (whole.base / "something else").mkdir()
    assert [item.state for item in environments(whole.base, whole.digest)] == ["complete", "incomplete"]
    assert environments(whole.base / "nowhere", whole.digest) == []


def test_comments_and_line_ends_do_not_change_the_key(toys, tmp_path):
    """git's line ends on Windows, or a new "# via" line, made everybody install everything again."""
    lock = tmp_path / "small.lock"
    text = toys.requirements.lock.read_text().replace("    # via test\n", "    # via other\n    #   more\n")
    lock.write_bytes(text.replace("\n", "\r\n").encode())
    (tmp_path / "small.in").write_text("toy-first>=1.0\n")
    assert Requirements.read(lock).digest == toys.requirements.digest
    lock.write_text(text.replace("toy-first==1.0", "toy-first==1.1"))
    assert Requirements.read(lock).digest != toys.requirements.digest


def test_the_lock_holds_no_address_and_a_hash_for_every_package():
    """An index URL or a machine's path in the lock fails on every other machine."""
    requirements = Requirements.read()
    text = requirements.lock.read_text(encoding="utf-8")
    assert not [
        word
        for word in ("http:", "https:", "file:", "--index", "--find-links", " -c ", "/tmp")
        if word in text
    ]
    blocks = [block for block in text.replace("\\\n", "").splitlines() if "==" in block]
    assert blocks
    assert all("--hash=sha256:" in block for block in blocks)
    assert set(requirements.wanted) <= set(requirements.pins)
