"""Ready-made packages of the lock for every system of QGIS, asked of the package index."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from minicuber.core.environment.requirements import Requirements

# macOS 14 is the oldest that the wheels of rasterio and pyproj serve on Apple's processors, 15 on Intel's:
# raising a pin may raise them, and the sentence about it in pip_errors.py with them.
SYSTEMS = [
    ("x86_64-manylinux_2_28", ""),
    ("aarch64-manylinux_2_28", ""),
    ("aarch64-apple-darwin", "14.0"),
    ("x86_64-apple-darwin", "15.0"),
    ("x86_64-pc-windows-msvc", ""),
]


@pytest.fixture(scope="module")
def uv():
    """A uv whose index can be reached."""
    found = shutil.which("uv")
    if found is None:
        pytest.skip("no uv on this machine")
    command = [found, "pip", "compile", "--no-config", "-q", "-", "--no-deps"]
    ended = subprocess.run(command, input="affine", capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        pytest.skip("the package index cannot be reached")
    return found


@pytest.mark.network
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize(("system", "macos"), SYSTEMS, ids=[system for system, _macos in SYSTEMS])
def test_every_package_has_a_wheel(uv, tmp_path, system, macos, version):
    """One pin without a wheel for macOS keeps every user of macOS out, and nobody here sees it."""
    command = [uv, "pip", "install", "--no-config", "--dry-run", "--no-deps", "--require-hashes"]
    command += ["--only-binary", ":all:", "--target", str(tmp_path), "--python-version", version]
    environ = {**os.environ, "MACOSX_DEPLOYMENT_TARGET": macos} if macos else None
    ended = subprocess.run(
        [*command, "--python-platform", system, "-r", str(Requirements.read().lock)],
        capture_output=True,
        text=True,
        env=environ,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
