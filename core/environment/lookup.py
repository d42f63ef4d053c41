"""Which Python runs the core: the order of lookup, without starting a process."""

from __future__ import annotations

import os
import shutil
import site
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Optional

from ..errors import EnvironmentProblem
from .environment import current, environments
from .interpreters import MINIMUM, named, own_executable
from .requirements import Requirements, at_least

VARIABLE = "MINICUBER_PYTHON"
HOW = "Run Minicuber > Set up environment (algorithm minicuber:setupenvironment)"

ORIGINS = {
    "variable": f"the environment variable {VARIABLE}",
    "setting": "the plugin's setting",
    "environment": "the environment that Minicuber set up",
    "qgis": "QGIS's own Python",
}


@dataclass(frozen=True)
class CorePython:
    """The Python of the core: `path`, and where it comes from (`origin`: a key of `ORIGINS`)."""

    path: Path
    origin: str

    @property
    def text(self) -> str:
        """Where it comes from, in words."""
        return ORIGINS[self.origin]


def find_core_python(
    setting: Optional[str],
    base: Path,
    environ: Optional[Mapping[str, str]] = None,
    requirements: Optional[Requirements] = None,
) -> CorePython:
    """Return the Python of the core: MINICUBER_PYTHON, the setting, the environment under `base`, QGIS's own.

    Starts no process. Raises `EnvironmentProblem` with one sentence that says how to set it up; a variable
    or setting that names no interpreter is an error and is not passed over.
    """
    environ = os.environ if environ is None else environ
    for origin, value in (("variable", environ.get(VARIABLE)), ("setting", setting)):
        if value and value.strip():
            return CorePython(_given(value, origin, environ), origin)
    requirements = requirements or Requirements.read()
    environment = current(base, requirements)
    if environment is not None:
        return CorePython(environment.python, "environment")
    own, _reason = own_python(requirements)
    if own is not None:
        return CorePython(own, "qgis")
    existing = environments(base, requirements.digest)
    if existing:
        state, reason = existing[0].assess()
        raise EnvironmentProblem(
            f"The Python environment of Minicuber is {state}: {reason}.", f"{HOW} again."
        )
    raise EnvironmentProblem(
        "Minicuber has no Python environment yet.",
        f"{HOW}, or name a Python that has the packages in Minicuber's options or in {VARIABLE}.",
    )


def own_python(
    requirements: Requirements,
    executable: Optional[str] = None,
    prefix: Optional[str] = None,
    folders: Optional[Sequence[str]] = None,
    version: Optional[tuple[int, int]] = None,
) -> tuple[Optional[Path], str]:
    """Return the Python of this process if it can carry the core as it is, else None and the reason.

    Only packages in `folders` count (default: this Python's own site folders): the child runs isolated and
    sees neither the user's site nor QGIS's plugin folders. Nothing is imported.
    """
    version = version or sys.version_info[:2]
    if version < MINIMUM:
        return None, f"it is Python {version[0]}.{version[1]}"
    folders = site.getsitepackages() if folders is None else folders
    for name, minimum in requirements.wanted.items():
        found = next(iter(metadata.distributions(name=name, path=list(folders))), None)
        if found is None:
            return None, f"it has no {name}"
        if minimum and not at_least(found.version, minimum):
            return None, f"its {name} is {found.version}, older than {minimum}"
    path = own_executable(executable, prefix)
    return path, "" if path else "its binary was not found"


def _given(value: str, origin: str, environ: Mapping[str, str]) -> Path:
    path = named(value, environ)
    if path.is_file() and (os.access(path, os.X_OK) or shutil.which(str(path))):
        return path
    reason = "which is not an executable file" if path.exists() else "which does not exist"
    raise EnvironmentProblem(
        f"{ORIGINS[origin][0].upper()}{ORIGINS[origin][1:]} names the Python {value.strip()}, {reason}.",
        "Correct it, or clear it to use the environment that Minicuber sets up.",
    )
