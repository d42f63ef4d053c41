"""Files and folders of the environments: what is ours, removal that survives files in use, free space."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Callable, Optional

from ..errors import EnvironmentProblem
from .environment import KEY

LOG_NAME = "setup.log"
LOCK_NAME = "setup.lock"
# Everything that is ever made under the base; nothing else there is ever removed.
_ASIDE = re.compile(r"^(?P<name>.+)\.(?P<kind>old|gone)-[0-9a-f]{8}$")
_UV = re.compile(r"^uv-(pythons|cache|\d+\.\d+\.\d+)$")


def ours(name: str) -> bool:
    """Whether a name under the base is one that this package makes, whole, half-made or on its way out."""
    aside = _ASIDE.match(name)
    name = aside.group("name") if aside else name
    return bool(KEY.match(name) or _UV.match(name))


def aside(folder: Path, kind: str) -> Path:
    """Rename a folder out of the way, return where it is ("old": may come back; "gone": will be removed)."""
    target = folder.with_name(f"{folder.name}.{kind}-{uuid.uuid4().hex[:8]}")
    os.rename(folder, target)
    return target


def asides(folder: Path, kind: str) -> list[Path]:
    """Return what `aside` made of `folder` and nobody has removed or put back."""
    if not folder.parent.is_dir():
        return []
    matches = ((path, _ASIDE.match(path.name)) for path in sorted(folder.parent.iterdir()))
    return [path for path, m in matches if m and m.group("name") == folder.name and m.group("kind") == kind]


def discard(folder: Path, log: Callable[[str], None]) -> bool:
    """Remove a folder; True if it is gone. A failure is only logged: files in use stay for the next time.

    It is renamed first, so that nobody takes a half-removed environment for one.
    """
    if not os.path.lexists(folder):
        return True
    try:
        if folder.is_symlink() or not folder.is_dir():
            folder.unlink()
            return True
        match = _ASIDE.match(folder.name)
        target = folder if match and match.group("kind") == "gone" else aside(folder, "gone")
    except OSError as error:
        log(f"{folder} could not be removed: {error.strerror or error}.")
        return False
    shutil.rmtree(target, onerror=_retry_writable)
    if target.exists():
        log(f"{target} could not be removed completely; the next set-up tries again.")
        return False
    return True


def leftovers(base: Path) -> Iterator[Path]:
    """Folders that an interrupted removal left under the base."""
    if base.is_dir():
        for path in sorted(base.iterdir()):
            match = _ASIDE.match(path.name)
            if match and match.group("kind") == "gone" and ours(path.name):
                yield path


def existing_parent(path: Path) -> Path:
    """Return `path` or the nearest folder above it that exists."""
    path = Path(os.path.abspath(path))
    while not path.is_dir() and path.parent != path:
        path = path.parent
    return path


def free_mb(path: Path) -> Optional[float]:
    """Free space in 10^6 bytes on the disk of `path`, which need not exist; None if unknown."""
    try:
        return shutil.disk_usage(existing_parent(path)).free / 1e6
    except OSError:
        return None


def check_writable(path: Path) -> None:
    """Raise `EnvironmentProblem` if no folder can be made at `path`. Nothing is left behind."""
    parent = existing_parent(path)
    try:
        # os.access knows nothing of Windows' access lists: try it.
        os.rmdir(tempfile.mkdtemp(prefix=".minicuber-", dir=parent))
    except OSError as error:
        raise EnvironmentProblem(
            f"The folder {parent} cannot be written: {error.strerror or error}.",
            "Check its rights, or use a QGIS profile in another place.",
        ) from error


def folder_mb(folder: Path) -> float:
    """Size of a folder in 10^6 bytes as its files take it on disk; links count nothing."""
    total = 0
    for root, _folders, names in os.walk(folder):
        for name in names:
            info = os.lstat(os.path.join(root, name))
            if stat.S_ISREG(info.st_mode):
                total += getattr(info, "st_blocks", 0) * 512 or info.st_size
    return total / 1e6


def _retry_writable(function: Callable[[str], object], path: str, _error: object) -> None:
    try:
        os.chmod(path, stat.S_IRWXU)
        function(path)
    except OSError:
        # What stays is found, and said, by the caller.
        return
