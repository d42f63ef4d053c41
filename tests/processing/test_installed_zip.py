"""The plugin as a user gets it: the zip unpacked into a fresh profile, before any environment was set up."""

from __future__ import annotations

import importlib.util
import zipfile

import helpers
import pytest

IDS = (
    "aggregatetime",
    "buildminicube",
    "createdemodata",
    "loadminicube",
    "setupenvironment",
    "spectralindices",
    "terrainvariables",
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory, root):
    """A QGIS configuration folder with the zip's plugin, enabled."""
    spec = importlib.util.spec_from_file_location(
        "minicuber_test_package", root / "tests" / "test_package.py"
    )
    packaging = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(packaging)
    path = packaging.make_zip(tmp_path_factory.mktemp("zip"))
    profile = tmp_path_factory.mktemp("installed")
    plugins = profile / "profiles" / "default" / "python" / "plugins"
    plugins.mkdir(parents=True)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(plugins)
    code, text = helpers.run(profile, "plugins", "enable", "minicuber", MINICUBER_PYTHON=None)
    assert code == 0, text
    return profile


def test_the_algorithms_appear_without_an_environment(installed):
    code, text = helpers.run(installed, "list", MINICUBER_PYTHON=None)
    assert code == 0, text
    assert [name for name in IDS if f"minicuber:{name}\t" not in text] == []
    assert "Traceback" not in text


def test_without_an_environment_an_algorithm_says_how_to_get_one(installed, tmp_path):
    arguments = ["run", "minicuber:createdemodata", "--", f"OUTPUT={tmp_path / 'demo'}"]
    code, text = helpers.run(installed, *arguments, MINICUBER_PYTHON=None)
    assert code != 0
    assert "minicuber:setupenvironment" in text
    assert "Traceback" not in text
