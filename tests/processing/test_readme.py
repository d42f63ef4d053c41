"""Every command and snippet of the README, run as it stands there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys

import helpers
import pytest
from qgis.core import QgsProject


@pytest.fixture(scope="module")
def readme(root):
    return (root / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def blocks(readme):
    found = re.findall(r"```(\w+)\n(.*?)```", readme, re.DOTALL)
    assert [language for language, _ in found] == [
        "sh",
        "sh",
        "python",
        "python",
        "python",
        "python",
        "python",
    ]
    return [code for _, code in found]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("readme")


def test_the_two_commands_are_targets(blocks, root):
    lines = blocks[0].split("\n")[:-1]
    assert lines == ["make demo", "make test"]
    for line in lines:
        done = subprocess.run(
            [*shlex.split(line), "-n"], cwd=root, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_commands_of_the_terminal_run_in_order(blocks, place, tmp_path):
    profile = helpers.make_profile(tmp_path)
    for command in blocks[1].replace("\\\n", " ").splitlines():
        words = shlex.split(command)
        assert words[0] == "qgis_process"
        code, text = helpers.run(profile, *words[1:], cwd=place)
        assert code == 0, text
    assert (place / "cube.nc").is_file() and (place / "dataset" / "index.gpkg").is_file()


def test_snippet_of_pyqgis_runs(blocks, provider, place, monkeypatch, qgis_processing):
    monkeypatch.chdir(place)
    names: dict = {}
    exec(compile(blocks[2], "README.md", "exec"), names)  # noqa: S102  (our own file)
    assert os.path.samefile(names["cube"]["OUTPUT"], place / "cube.nc")
    assert len(QgsProject.instance().layerTreeRoot().findGroups()) == 2
    QgsProject.instance().clear()


@pytest.mark.parametrize("number", [3, 4, 6])
def test_snippets_of_plain_python_run_in_the_cores_environment(blocks, place, number):
    said = helpers.in_the_core(blocks[number], place)
    if number in (3, 4):
        assert "2021-06-" in said


def test_snippet_of_pytorch_runs(blocks, root, place):
    """In an environment with PyTorch's build for processors, the small one, where the package index has it."""
    folder = root / "build" / "torch"
    python = folder / "bin" / "python"
    if not (folder / "complete").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
        index = subprocess.run(
            [str(python), "-m", "pip", "install", "-q", "torch==2.13.0+cpu", "numpy"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if index.returncode != 0:
            pytest.skip(f"no PyTorch to be had: {index.stderr.strip().splitlines()[-1]}")
        (folder / "complete").touch()
    done = subprocess.run(
        [str(python), "-I", "-B", "-c", blocks[5]], cwd=place, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "torch.Size([8, 4, 8])" in done.stdout


def test_links_and_pictures_are_there(readme, root):
    for target in re.findall(r"\]\(([^)#]+)\)", readme):
        if "://" not in target and not target.startswith("#"):
            assert (root / target).is_file(), target
