"""Loads the checkout as the package `minicuber`, whatever its folder is called, and finds the real data."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("MINICUBER_SHARED", ROOT.parent / "shared"))


def _load(name: str, file: Path, folder: Path | None = None) -> None:
    """Import a file under a name of our choice; neither the checkout nor its tests come onto the path."""
    if name not in sys.modules:
        places = None if folder is None else [str(folder)]
        spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=places)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])


_load("minicuber", ROOT / "__init__.py", ROOT)
_load("helpers", ROOT / "tests" / "helpers.py")
if importlib.util.find_spec("rasterio"):  # the tests inside QGIS have none
    for _name in ("scenery", "cubes", "climate_stores"):
        _load(_name, ROOT / "tests" / f"{_name}.py")
if importlib.util.find_spec("osgeo"):
    _load("gdal_rasters", ROOT / "tests" / "gdal_rasters.py")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data; tests that need it are skipped where it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"the real data of ../shared are not here ({SHARED})")
    return SHARED
