"""The names of the catalogs and climate stores that the registry knows, for dialogs, and the user's own entries."""

from __future__ import annotations

import json
from pathlib import Path

from qgis.core import QgsApplication

REGISTRY = Path(__file__).resolve().parent.parent / "core" / "catalogs" / "registry.json"


def catalogs_file() -> str:
    """The path of `minicuber/catalogs.json` in the profile, "" when there is none."""
    path = Path(QgsApplication.qgisSettingsDirPath()) / "minicuber" / "catalogs.json"
    return str(path) if path.is_file() else ""


def preset_names(kind: str = "catalogs", aliases: bool = False) -> list[str]:
    """The ids of our presets, then of the user's, of catalogs or of "climate" stores.

    A file of the user's that is wrong is left to the core to refuse.
    """
    names: list[str] = []
    for path in (str(REGISTRY), catalogs_file()):
        if not path:
            continue
        try:
            entries = json.loads(Path(path).read_text(encoding="utf-8")).get(kind, [])
            for entry in entries:
                every = [str(entry["id"]), *map(str, entry.get("aliases", ()) if aliases else ())]
                names += [name for name in every if name not in names]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return names
