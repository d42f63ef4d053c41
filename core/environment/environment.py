"""One private environment on disk: where it lies, whether it is whole, and what its marker says."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional

from .interpreters import Interpreter
from .requirements import Requirements

MARKER = "complete.json"
KEY = re.compile(r"^py3\d+-[a-z0-9_-]+-[0-9a-f]{12}$")

MISSING, INCOMPLETE, COMPLETE, OUTDATED = "missing", "incomplete", "complete", "outdated"


@dataclass(frozen=True)
class Environment:
    """A virtual environment under `base`, named by `key`; `digest`: of the requirements it should hold."""

    base: Path
    key: str
    digest: str

    @classmethod
    def of(cls, base: Path, interpreter: Interpreter, requirements: Requirements) -> Environment:
        """The environment that `interpreter` and `requirements` make."""
        key = f"{interpreter.tag}-{requirements.digest[:12]}"
        return cls(Path(base), key, requirements.digest)

    @property
    def folder(self) -> Path:
        return self.base / self.key

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def marker(self) -> Path:
        """The file that is written last: without it the environment is half-made."""
        return self.folder / MARKER

    @property
    def state(self) -> str:
        """ "missing", "incomplete", "complete" or "outdated"; no process is started, see `assess`."""
        return self.assess()[0]

    def assess(self) -> tuple[str, str]:
        """Return the state and, in a few words, the reason for it. Reads three small files at most."""
        if not self.folder.is_dir():
            return MISSING, "it was never set up"
        details = self.details()
        if details is None:
            return INCOMPLETE, "its set-up did not finish"
        broken = self._broken(details)
        if broken:
            return INCOMPLETE, broken
        if details["lock"] != self.digest:
            return OUTDATED, "the plugin now needs other packages"
        return COMPLETE, ""

    def details(self) -> Optional[dict[str, Any]]:
        """Return what the marker says: lock, python_version, interpreter, packages, created; else None."""
        try:
            details = json.loads(self.marker.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        needed = ("lock", "python_version", "packages", "created")
        return details if isinstance(details, dict) and all(name in details for name in needed) else None

    def write_marker(self, interpreter: Interpreter, packages: dict[str, str]) -> None:
        """Declare it complete: atomically, and durably before anybody may believe it."""
        details = {
            "format": 1,
            "lock": self.digest,
            "python_version": interpreter.version_text,
            "interpreter": str(interpreter.path),
            "packages": packages,
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        temporary = self.marker.with_suffix(".part")
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(details, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.marker)

    def _broken(self, details: dict[str, Any]) -> str:
        """Why a finished environment no longer runs, for instance after an upgrade of the system's Python."""
        if not os.access(self.python, os.X_OK):
            return f"its interpreter {details.get('interpreter', self.python)} is gone"
        minor = str(details["python_version"]).split(".")[1:2]
        if os.name != "nt":
            # /usr/bin/python3 may become another Python under the environment's feet.
            now = re.match(r"python3\.(\d+)", os.path.basename(os.path.realpath(self.python)))
            if now and [now.group(1)] != minor:
                return f"its interpreter has become Python 3.{now.group(1)}"
        try:
            configuration = (self.folder / "pyvenv.cfg").read_text(encoding="utf-8")
        except OSError:
            return "its file pyvenv.cfg is gone"
        home = re.search(r"(?m)^home\s*=\s*(.+?)\s*$", configuration)
        if home is None or not os.path.isdir(home.group(1)):
            return "the Python that it was made from is gone"
        if os.name == "nt" and not os.path.isfile(os.path.join(home.group(1), "python.exe")):
            return "the Python that it was made from is gone"
        return ""


def environments(base: Path, digest: str) -> list[Environment]:
    """Return all environments under `base`, complete ones first, newest first; `digest` as there."""
    try:
        names = sorted(name for name in os.listdir(base) if KEY.match(name))
    except OSError:
        return []
    found = [Environment(Path(base), name, digest) for name in names]
    order = {COMPLETE: 0, OUTDATED: 1, INCOMPLETE: 2, MISSING: 3}
    found.sort(key=lambda item: (item.details() or {}).get("created", ""), reverse=True)
    return sorted(found, key=lambda item: order[item.state])


def current(base: Path, requirements: Requirements) -> Optional[Environment]:
    """Return the complete environment for `requirements`, or None. Fast: for the main thread."""
    for environment in environments(base, requirements.digest):
        return environment if environment.state == COMPLETE else None
    return None
