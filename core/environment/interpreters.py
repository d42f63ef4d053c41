"""Finds the Pythons of this machine and says which of them can carry the core."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

from ..errors import EnvironmentProblem
from .processes import child_environ, python_command, run

MINIMUM = (3, 11)
MAXIMUM = (3, 14)
# The lock has wheels for all four. 3.13 and 3.12 come first: 3.11 gets older releases of numpy, rasterio and
# pyproj, and 3.14 is the one that the fewest libraries have been used with.
PREFERENCE = ((3, 13), (3, 12), (3, 14), (3, 11))

_PROBE = Path(__file__).resolve().parent / "_probe.py"
_PYTHON_NAME = re.compile(r"(?i)^python(\d(\.\d+)?)?(\.exe)?$")
_SYSTEMS = {"darwin": "macos", "win32": "windows"}


@dataclass(frozen=True)
class Interpreter:
    """A Python that was run and asked.

    `path`: its executable; `version`: (major, minor, patch); `bits`: 32 or 64; `system`: its `sys.platform`;
    `platform`: as `sysconfig.get_platform()`.
    """

    path: Path
    version: tuple[int, int, int]
    implementation: str
    bits: int
    system: str
    platform: str
    machine: str
    has_venv: bool
    has_ensurepip: bool

    @property
    def complete(self) -> bool:
        """Whether it can make a virtual environment with pip."""
        return self.has_venv and self.has_ensurepip

    @property
    def tag(self) -> str:
        """Its part of an environment's key: version, system and machine, e.g. "py312-linux-x86_64"."""
        system = _SYSTEMS.get(self.system, self.system)
        tag = f"py{self.version[0]}{self.version[1]}-{system}-{self.machine or self.bits}".lower()
        return re.sub(r"[^a-z0-9_-]", "", tag)

    @property
    def version_text(self) -> str:
        return ".".join(map(str, self.version))


@dataclass(frozen=True)
class Search:
    """What a search gave: usable interpreters, best first, and the others with the reason against them."""

    found: list[Interpreter]
    rejected: list[tuple[str, str]]


def probe(
    python: Union[str, Path], timeout: float = 20, environ: Optional[Mapping[str, str]] = None
) -> Interpreter:
    """Run `python` and return what it is.

    Raises `EnvironmentProblem` with one sentence if it does not run or cannot carry the core.
    """
    wanted = f"A CPython {_text(MINIMUM)} to {_text(MAXIMUM)} of 64 bits is needed."
    if not Path(python).is_file():
        raise EnvironmentProblem(f"There is no Python interpreter at {python}.", wanted)
    try:
        ended = run(python_command(python, _PROBE), child_environ(environ), timeout=timeout)
    except (OSError, TimeoutError) as error:
        reason = getattr(error, "strerror", None) or error
        raise EnvironmentProblem(f"The Python at {python} does not run: {reason}.", wanted) from error
    facts = _facts(ended.lines)
    if ended.code != 0 or facts is None:
        said = next((line.strip() for line in ended.lines if line.strip()), f"exit code {ended.code}")
        raise EnvironmentProblem(f"The Python at {python} does not run: {said.rstrip('.')}.", wanted)
    found = f"The Python at {python} is {facts['implementation']} {_text(facts['version'])}"
    if facts["implementation"] != "CPython":
        raise EnvironmentProblem(f"{found}.", wanted)
    if not MINIMUM <= tuple(facts["version"][:2]) <= MAXIMUM:
        raise EnvironmentProblem(f"{found}, which the packages of the core are not made for.", wanted)
    if facts["bits"] != 64:
        raise EnvironmentProblem(f"{found} of {facts['bits']} bits.", wanted)
    if facts["free_threaded"]:
        raise EnvironmentProblem(f"{found} without the global lock (free-threaded).", wanted)
    if re.match(r"mingw|msys|cygwin", facts["platform"]):
        raise EnvironmentProblem(f"{found} of {facts['platform']}, for which there are no packages.", wanted)
    return Interpreter(
        # Not its real path: a Homebrew link outlives the patch release that it points to.
        path=Path(facts["path"]),
        version=tuple(facts["version"]),
        implementation=facts["implementation"],
        bits=facts["bits"],
        system=facts["system"],
        platform=facts["platform"],
        machine=facts["machine"],
        has_venv=facts["has_venv"],
        has_ensurepip=facts["has_ensurepip"],
    )


def find_interpreters(
    preferred: Optional[str] = None, environ: Optional[Mapping[str, str]] = None
) -> list[Interpreter]:
    """Return the usable interpreters of this machine, best first; an unfit `preferred` is an error."""
    return search(preferred, environ).found


def search(
    preferred: Optional[str] = None,
    environ: Optional[Mapping[str, str]] = None,
    further: Iterable[Path] = (),
) -> Search:
    """Like `find_interpreters`, with the rejected ones; `further`: more places to look at.

    Raises `EnvironmentProblem` if `preferred` is given and unfit.
    """
    environ = os.environ if environ is None else environ
    first = probe(named(preferred, environ), environ=environ) if preferred else None
    found: list[Interpreter] = [] if first is None else [first]
    rejected: list[tuple[str, str]] = []
    seen = {os.path.realpath(interpreter.path) for interpreter in found}
    for candidate in [*_candidates(environ), *further]:
        real = os.path.realpath(candidate)
        if real in seen:
            continue
        seen.add(real)
        try:
            interpreter = probe(candidate, environ=environ)
        except EnvironmentProblem as problem:
            rejected.append((str(candidate), problem.message))
            continue
        real = os.path.realpath(interpreter.path)
        # A shim or a virtual environment leads to an interpreter that may stand in the list already.
        if all(real != os.path.realpath(other.path) for other in found):
            seen.add(real)
            found.append(interpreter)
    rest = found if first is None else found[1:]
    rest = sorted(rest, key=lambda item: (not item.complete, PREFERENCE.index(item.version[:2])))
    return Search(rest if first is None else [first, *rest], rejected)


def named(python: str, environ: Mapping[str, str]) -> Path:
    """Return the path of an interpreter that a person named: a path, "~/...", or a command on PATH."""
    expanded = os.path.expanduser(python.strip().strip('"'))
    if os.path.dirname(expanded):
        return Path(os.path.abspath(expanded))
    on_path = shutil.which(expanded, path=environ.get("PATH", os.defpath))
    return Path(on_path or expanded)


def own_executable(executable: Optional[str] = None, prefix: Optional[str] = None) -> Optional[Path]:
    """Return the Python binary of this process; inside QGIS `sys.executable` may be QGIS itself."""
    executable = sys.executable if executable is None else executable
    prefix = sys.prefix if prefix is None else prefix
    if executable and _PYTHON_NAME.match(os.path.basename(executable)) and os.path.isfile(executable):
        return Path(executable)
    version = _text(sys.version_info[:2])
    for place in ("python.exe", "python3.exe", f"bin/python{version}", "bin/python3"):
        candidate = Path(prefix, place)
        if candidate.is_file():
            return candidate
    return None


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    names = [f"python{_text(version)}" for version in PREFERENCE] + ["python3", "python"]
    folders = [folder for folder in environ.get("PATH", os.defpath).split(os.pathsep) if folder]
    home = Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        names = ["python3", "python"]
    elif sys.platform == "darwin":
        # A program started from the Finder has a PATH of nothing but the system's folders.
        framework = Path("/Library/Frameworks/Python.framework/Versions")
        folders += [str(path) for path in sorted(framework.glob("3.*/bin"))]
        folders += ["/opt/homebrew/bin", "/usr/local/bin", "/opt/local/bin"]
    if sys.platform != "win32":
        folders += [str(home / ".local/bin")]
        managed = [home / ".pyenv/versions", home / ".local/share/uv/python"]
        folders += [str(path) for place in managed for path in sorted(place.glob("*3.1[1-9]*/bin"))]
    for name in names:
        for folder in folders:
            path = shutil.which(name, path=folder)
            if path is not None and not _stub(path, environ):
                yield Path(path)
    if sys.platform == "win32":
        yield from _windows_candidates(environ)
    own = own_executable()
    if own is not None:
        yield own


def _stub(path: str, environ: Mapping[str, str]) -> bool:
    """Whether running this would do something else than run Python.

    The aliases of the Windows Store open the Store, and a Store Python sees a virtual AppData that QGIS
    does not see; the /usr/bin/python3 of macOS offers to install Apple's developer tools and is 3.9 at best.
    """
    if sys.platform == "darwin":
        return os.path.dirname(path) == "/usr/bin"
    return "\\windowsapps\\" in path.lower().replace("/", "\\")


def _windows_candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    launcher = shutil.which("py", path=environ.get("PATH", os.defpath))
    if launcher is not None:
        try:
            listed = run([launcher, "-0p"], child_environ(environ), timeout=20).lines
        except (OSError, TimeoutError):
            listed = []
        yield from launcher_paths(listed)
    yield from registry_paths()
    for variable in ("LOCALAPPDATA", "ProgramFiles"):
        root = environ.get(variable)
        if root:
            for pattern in ("Programs/Python/Python3*/python.exe", "Python3*/python.exe"):
                yield from sorted(Path(root).glob(pattern), reverse=True)


def launcher_paths(lines: Iterable[str]) -> list[Path]:
    """Return the interpreters in what `py -0p` prints, Store ones left out."""
    found = [re.search(r"([A-Za-z]:[\\/].*python\.exe)\s*$", line, re.IGNORECASE) for line in lines]
    return [Path(m.group(1)) for m in found if m and "windowsapps" not in m.group(1).lower()]


def registry_paths() -> list[Path]:
    """Return the interpreters that Windows' registry knows (PEP 514); nothing on other systems."""
    try:
        import winreg
    except ImportError:
        return []
    found = []
    for hive in (winreg.HKEY_CURRENT_USER, winreg.HKEY_LOCAL_MACHINE):
        for minor in range(MAXIMUM[1], MINIMUM[1] - 1, -1):
            try:
                key = rf"Software\Python\PythonCore\3.{minor}\InstallPath"
                with winreg.OpenKey(hive, key) as opened:
                    found.append(Path(winreg.QueryValue(opened, None), "python.exe"))
            except OSError:
                continue
    return [path for path in found if path.is_file()]


def _facts(lines: Iterable[str]) -> Optional[dict]:
    for line in lines:
        if line.startswith("{"):
            try:
                return json.loads(line)
            except ValueError:
                return None
    return None


def _text(version: Iterable[int]) -> str:
    return ".".join(str(part) for part in version)
