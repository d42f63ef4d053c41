"""This half runs inside QGIS: Python 3.9 and the standard library."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "core/environment"
SOURCES = sorted(FOLDER.glob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_it_parses_as_python_39_and_imports_the_standard_library(path):
    """QGIS on macOS carried Python 3.9 up to 3.40.2: a newer syntax keeps the whole plugin from loading."""
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.partition(".")[0])
    assert names <= set(sys.stdlib_module_names) | {"winreg", "msvcrt"}
    assert "tomllib" not in names


def _python39() -> str | None:
    candidates = [
        shutil.which("python3.9"),
        *map(str, Path.home().glob(".pyenv/versions/3.9*/bin/python3.9")),
    ]
    for candidate in filter(None, candidates):
        if subprocess.run([candidate, "--version"], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def test_it_runs_on_python_39(tmp_path, helpers):
    """A function of 3.10 parses well and fails when it is called."""
    old = _python39()
    if old is None:
        pytest.skip("no Python 3.9 on this machine")
    base = tmp_path / "base"
    base.mkdir()
    script = str(FOLDER / "__main__.py")
    command = [old, "-B", script, "--base", str(base), "--report"]
    ended = subprocess.run(command, capture_output=True, text=True, env=helpers.clean_environ(), check=False)
    assert ended.returncode == 0, ended.stderr
    assert "it is Python 3.9" in ended.stdout
    assert os.listdir(base) == []
    plan = subprocess.run([*command[:-1], "--plan"], capture_output=True, text=True, check=False)
    assert "packages are downloaded" in plan.stdout, plan.stderr
