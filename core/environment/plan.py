"""Says what a set-up will put where and how large it is, and stops one that cannot succeed."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ..errors import EnvironmentProblem
from .environment import COMPLETE, Environment
from .interpreters import Interpreter
from .requirements import HERE, Requirements
from .storage import check_writable, free_mb

_SYSTEMS = {"darwin": "macos", "win32": "windows"}


@dataclass(frozen=True)
class SetupPlan:
    """What a set-up will do. Sizes in 10^6 bytes; `folder` is None while no usable Python is known."""

    base: Path
    folder: Optional[Path]
    packages: int
    download_mb: float
    disk_mb: float
    free_mb: Optional[float]
    lines: tuple[str, ...]


def sizes(system: Optional[str] = None) -> dict[str, float]:
    """Return the measured sizes of the product's environment on a system: "download_mb", "disk_mb", and uv's.

    They stand in sizes.json, in 10^6 bytes, to be measured anew when the lock grows.
    """
    table = json.loads((HERE / "sizes.json").read_text(encoding="utf-8"))
    system = _SYSTEMS.get(system or sys.platform, system or sys.platform)
    return table.get(system) or table["linux"]


def plan_setup(
    base: Path,
    *,
    interpreter: Optional[Interpreter] = None,
    requirements: Optional[Requirements] = None,
    wheels: Optional[Path] = None,
    with_uv: bool = False,
    recreate: bool = False,
) -> SetupPlan:
    """Return the plan of a set-up under `base` with `interpreter` (None: not known yet); nothing is changed.

    `with_uv`: uv is to fetch a Python. Raises `EnvironmentProblem` if the disk has not enough room or the
    folder cannot be written.
    """
    requirements = requirements or Requirements.read()
    measured = sizes()
    # The stored sizes are the product's lock's; another lock is taken for as heavy per package.
    share = requirements.count / measured["packages"]
    download, disk = measured["download_mb"] * share, measured["disk_mb"] * share
    environment = None if interpreter is None else Environment.of(base, interpreter, requirements)
    lines = []
    if interpreter is not None:
        lines.append(f"Python {interpreter.version_text} at {interpreter.path} makes the environment.")
    elif with_uv:
        lines.append("No usable Python was found: uv and a Python of its own are fetched first.")
    if with_uv and interpreter is None:
        download += measured["uv_download_mb"]
        disk += measured["uv_disk_mb"]
    folder = environment.folder if environment else Path(base)
    lines.append(f"The environment goes to {folder}. Nothing else on this computer is changed.")
    source = f"from {wheels}" if wheels else f"downloaded (about {_mb(download)}) with pip"
    lines.append(f"{requirements.count} packages are {source}, each checked against its checksum.")
    free = free_mb(base)
    room = "" if free is None else f"; {_mb(free)} are free"
    lines.append(f"It takes about {_mb(disk)} on disk{room}.")
    if environment is not None and environment.state == COMPLETE and recreate:
        lines.append("The environment that is there serves until the new one is being made.")
    check_writable(base)
    # Downloaded wheels lie beside what is unpacked from them for a while.
    needed = 1.1 * (disk + download)
    if free is not None and free < needed:
        raise EnvironmentProblem(
            f"The disk of {base} has {_mb(free)} free, but the environment needs {_mb(needed)}.",
            "Make room, or use a QGIS profile on a larger disk.",
        )
    return SetupPlan(
        Path(base), environment and environment.folder, requirements.count, download, disk, free, tuple(lines)
    )


def _mb(size: float) -> str:
    return f"{size / 1000:.1f} GB" if size >= 1000 else f"{max(round(size), 1)} MB"
