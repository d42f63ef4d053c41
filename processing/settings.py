"""Where Minicuber keeps things in a QGIS profile, and what the user set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qgis.core import QgsApplication, QgsSettings

PYTHON = "minicuber/python"
KEEP_CHUNKS = "minicuber/keep_chunks"
REMEMBERED = "minicuber/remembered/"
FORGOTTEN = {
    "EXTENT",
    "OUTPUT",
    "DRY_RUN",
    "RECIPE",
    "RECREATE",
    "REMOVE",
}  # belong to one run, not to a habit


def environments_folder() -> Path:
    """The folder of the environments that `minicuber:setupenvironment` makes in the profile."""
    return Path(QgsApplication.qgisSettingsDirPath()) / "minicuber" / "environments"


def parts_folder() -> Path:
    """The folder in the profile where unfinished work is kept."""
    return Path(QgsApplication.qgisSettingsDirPath()) / "minicuber" / "parts"


def chunk_cache() -> str:
    """The folder in the profile where chunks of climate stores are kept, "none" when the user wants none."""
    if not QgsSettings().value(KEEP_CHUNKS, True, type=bool):
        return "none"
    return str(Path(QgsApplication.qgisSettingsDirPath()) / "minicuber" / "chunks")


def python_setting() -> str:
    """The interpreter that the user chose for the core, "" when none."""
    return str(QgsSettings().value(PYTHON, "") or "")


def remember(algorithm: str, parameters: dict[str, Any]) -> None:
    """Keep the plain values of a run, for the next dialog."""
    plain = {
        name: value
        for name, value in parameters.items()
        if name not in FORGOTTEN and isinstance(value, (str, int, float, bool, list)) and value != ""
    }
    try:
        text = json.dumps(plain)
    except TypeError:
        return  # a list of layer objects or the like is nothing to remember
    QgsSettings().setValue(REMEMBERED + algorithm, text)


def remembered(algorithm: str) -> dict[str, Any]:
    """What `remember` kept for an algorithm, {} when nothing."""
    try:
        values = json.loads(str(QgsSettings().value(REMEMBERED + algorithm, "{}") or "{}"))
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
