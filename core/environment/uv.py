"""The way without a usable Python, with the user's consent: uv from the package index fetches one.

uv comes as a wheel of a pinned version and checksum (uv.json); what it fetches stays under the base folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import stat
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from ..errors import EnvironmentProblem
from ..progress import Progress
from .index import DEFAULT_INDEX, LARGEST, Index, in_thread
from .interpreters import Interpreter, probe
from .pip_errors import classify
from .processes import child_environ, run
from .requirements import HERE

_SYSTEMS = {"darwin": "macos", "win32": "windows"}
_MACHINES = {"x86_64": "x86_64", "amd64": "amd64", "aarch64": "aarch64", "arm64": "arm64"}
# uv's own switches to reach a mirror stay; whatever else of UV_* the user has set is about his own projects.
_KEPT = {
    "UV_HTTP_RETRIES",
    "UV_HTTP_TIMEOUT",
    "UV_NATIVE_TLS",
    "UV_PYTHON_DOWNLOADS_JSON_URL",
    "UV_PYTHON_INSTALL_MIRROR",
    "UV_SYSTEM_CERTS",
}


@dataclass(frozen=True)
class Wheel:
    """The pinned wheel of uv for one platform."""

    version: str
    file: str
    sha256: str
    size: int


def pinned(system: Optional[str] = None, machine: Optional[str] = None) -> Wheel:
    """Return the wheel for a system (`sys.platform`) and machine; `EnvironmentProblem` if there is none."""
    table = json.loads((HERE / "uv.json").read_text(encoding="utf-8"))
    system = system or sys.platform
    machine = (machine or platform.machine()).lower()
    entry = table["wheels"].get(f"{_SYSTEMS.get(system, system)}-{_MACHINES.get(machine, machine)}")
    if entry is None:
        raise EnvironmentProblem(
            f"There is no uv for this system ({system}, {machine}).", "Install Python 3.11 to 3.14 yourself."
        )
    return Wheel(table["version"], entry["file"], entry["sha256"], entry["size"])


def get_uv(base: Path, *, environ: Mapping[str, str], progress: Progress, log: Callable[[str], None]) -> Path:
    """Return a uv to run: the one fetched before, one on PATH, or the pinned one, fetched now."""
    wheel = pinned()
    binary = Path(base, f"uv-{wheel.version}", "uv.exe" if os.name == "nt" else "uv")
    if binary.is_file():
        return binary
    on_path = shutil.which("uv", path=environ.get("PATH", os.defpath))
    if on_path is not None and _runs(on_path, environ):
        log(f"uv on PATH is used: {on_path}")
        return Path(on_path)
    return fetch_uv(binary, wheel, environ=environ, progress=progress, log=log)


def fetch_uv(
    binary: Path,
    wheel: Wheel,
    *,
    environ: Mapping[str, str],
    progress: Progress,
    log: Callable[[str], None],
) -> Path:
    """Fetch the wheel from the package index of `environ`, check it, and unpack uv itself to `binary`."""
    index = (environ.get("PIP_INDEX_URL") or DEFAULT_INDEX).rstrip("/")
    log(f"uv {wheel.version} is fetched from the package index.")
    web = Index(index, environ)
    folder = binary.parent
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "uv.whl.part"
    try:
        progress.update(0.0, "Looking for uv")
        url = in_thread(lambda _stop: web.find(wheel.file), progress)
        progress.update(0.1, "Downloading uv")
        digest = in_thread(lambda stop: web.download(url, part, stop), progress)
        if digest != wheel.sha256:
            raise EnvironmentProblem(
                "The downloaded uv is not the one that Minicuber was tested with: its checksum differs.",
                "Ask who runs your package index or proxy.",
            )
        unpack_uv(part, binary)
    except (OSError, zipfile.BadZipFile) as error:
        text = f"{error} {getattr(error, 'reason', '')}"
        raise classify([text], "uv could not be fetched") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
        if not binary.exists():
            shutil.rmtree(folder, ignore_errors=True)
    progress.update(1.0, "uv is there")
    return binary


def unpack_uv(wheel: Path, binary: Path) -> None:
    """Unpack uv's binary, and nothing else, from its wheel; names in the archive are never used as paths."""
    with zipfile.ZipFile(wheel) as archive:
        entries = [
            entry
            for entry in archive.infolist()
            if entry.filename.split("/")[-2:] == ["scripts", binary.name] and not entry.is_dir()
        ]
        if len(entries) != 1 or entries[0].file_size > LARGEST:
            raise EnvironmentProblem(
                "The wheel of uv does not hold what it should.", "Tell Minicuber's authors."
            )
        temporary = binary.with_suffix(".part")
        with archive.open(entries[0]) as source, open(temporary, "wb") as target:
            shutil.copyfileobj(source, target)
    temporary.chmod(temporary.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    os.replace(temporary, binary)


def install_python(
    uv: Path,
    base: Path,
    *,
    environ: Mapping[str, str],
    progress: Progress,
    log: Callable[[str], None],
) -> Interpreter:
    """Let uv fetch a Python into `base` and return it; one fetched before is taken as it is."""
    folder = Path(base, "uv-pythons")
    version = json.loads((HERE / "uv.json").read_text(encoding="utf-8"))["python"]
    found = managed_pythons(base, version)
    if not found:
        progress.update(0.0, f"uv is fetching Python {version}")
        command = [str(uv), "python", "install", version, "--install-dir", str(folder), "--no-bin"]
        if os.name == "nt":
            command.append("--no-registry")
        ended = run(command, uv_environ(environ, base), progress=progress, on_line=log)
        if ended.code != 0:
            raise _uv_problem(ended.lines)
        found = managed_pythons(base, version)
    if not found:
        raise EnvironmentProblem(
            f"uv ended without a Python {version}.",
            "Install Python 3.11 to 3.14 yourself, then run the set-up again.",
        )
    return probe(found[0], environ=environ)


def managed_pythons(base: Path, version: str = "3.") -> list[Path]:
    """Return the interpreters that uv has put under `base`."""
    name = "python.exe" if os.name == "nt" else "bin/python3"
    folders = sorted(Path(base, "uv-pythons").glob(f"cpython-{version}*"), key=lambda path: len(path.name))
    return [folder / name for folder in folders if (folder / name).is_file()]


def uv_environ(environ: Mapping[str, str], base: Path) -> dict[str, str]:
    """Return the environment for uv: it writes under `base` alone, and no file of the user configures it."""
    kept = {n: v for n, v in child_environ(environ).items() if not n.upper().startswith("UV_") or n in _KEPT}
    kept.update(
        UV_CACHE_DIR=str(Path(base, "uv-cache")),
        UV_NO_CONFIG="1",
        UV_NO_PROGRESS="1",
        UV_PYTHON_INSTALL_DIR=str(Path(base, "uv-pythons")),
    )
    bundle = kept.get("PIP_CERT") or kept.get("REQUESTS_CA_BUNDLE")
    if bundle:
        kept.setdefault("SSL_CERT_FILE", bundle)
    return kept


def _uv_problem(lines: list[str]) -> EnvironmentProblem:
    problem = classify(lines, "uv could not fetch a Python")
    return EnvironmentProblem(
        problem.message.replace("the package index", "the server of uv's Pythons"),
        "Install Python 3.11 to 3.14 yourself (python.org, the Software Centre or your administrator), "
        "then run the set-up again.",
    )


def _runs(uv: str, environ: Mapping[str, str]) -> bool:
    try:
        return run([uv, "--version"], child_environ(environ), timeout=20).code == 0
    except (OSError, TimeoutError):
        return False
