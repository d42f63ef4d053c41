"""Child processes: a clean environment for them, their output line by line, and their end."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Callable, NamedTuple, Optional, Union

from ..progress import Progress

_HERE = Path(__file__).resolve().parent

# What QGIS, conda and OSGeo4W set for their own libraries and what misleads another Python. All variables
# that begin with PYTHON go too.
_DROPPED = {
    "__PYVENV_LAUNCHER__",
    "CONDA_PREFIX",
    "GDAL_DATA",
    "GDAL_DRIVER_PATH",
    "GDAL_PYTHON_DRIVER_PATH",
    "OGR_DRIVER_PATH",
    "PROJ_DATA",
    "PROJ_LIB",
    "QGIS_PREFIX_PATH",
    "QT_PLUGIN_PATH",
    "VIRTUAL_ENV",
}
# Search paths of the loader: only those parts go that lie inside the application that set them, for a
# cluster's module system needs the others.
_LOADER = {
    "DYLD_FALLBACK_LIBRARY_PATH",
    "DYLD_FRAMEWORK_PATH",
    "DYLD_INSERT_LIBRARIES",
    "DYLD_LIBRARY_PATH",
    "HDF5_PLUGIN_PATH",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
}
_PREFIXES = ("APPDIR", "CONDA_PREFIX", "OSGEO4W_ROOT", "QGIS_PREFIX_PATH", "SNAP")


class Finished(NamedTuple):
    """How a child ended: its exit code and its output (standard output and error, as lines)."""

    code: int
    lines: list[str]


def child_environ(
    base: Optional[Mapping[str, str]] = None, extra: Optional[Mapping[str, str]] = None
) -> dict[str, str]:
    """Return a clean environment for any child process of ours, made from `base` (default: our own).

    PATH, HOME, proxies, certificate authorities and the user's PIP_* stay; `extra` is laid over the result.
    """
    base = os.environ if base is None else base
    prefixes = [base[name] for name in _PREFIXES if base.get(name)]
    environ = {}
    for name, value in base.items():
        upper = name.upper()
        if upper in _DROPPED or upper.startswith("PYTHON"):
            continue
        if upper in _LOADER:
            value = _outside(value, prefixes)
            if not value:
                continue
        environ[name] = value
    environ.update(extra or {})
    environ.update(PYTHONUTF8="1", PYTHONIOENCODING="utf-8")
    return environ


def python_command(python: Union[str, Path], *arguments: Union[str, Path]) -> list[str]:
    """Return the command that runs `python` isolated and in UTF-8.

    `-I` ignores PYTHONUTF8 as it ignores all of PYTHON*: UTF-8 must be asked for on the command line.
    """
    return [str(python), "-I", "-B", "-X", "utf8", *map(str, arguments)]


def module_command(python: Union[str, Path], module: str, *arguments: Union[str, Path]) -> list[str]:
    """Return the command that runs a module in `python` and ends when we do (see `_run_module`).

    Such a child must be given `held=True` in `run`. Bytecode is written: it speeds up every later start.
    """
    return [str(python), "-I", "-X", "utf8", str(_HERE / "_run_module.py"), module, *map(str, arguments)]


def run(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    cwd: Optional[Path] = None,
    progress: Optional[Progress] = None,
    on_line: Optional[Callable[[str], None]] = None,
    on_tick: Optional[Callable[[], None]] = None,
    timeout: Optional[float] = None,
    held: bool = False,
) -> Finished:
    """Run `command` to its end and return how it ended.

    A cancel of `progress` is seen about five times a second and kills the child with all its children.
    `held`: the child's standard input stays open as long as we live. Raises `TimeoutError`, `OSError` and
    whatever `progress`, `on_line` or `on_tick` raise; the child is dead by then.
    """
    process = subprocess.Popen(
        list(command),
        env=dict(environ),
        cwd=None if cwd is None else str(cwd),
        stdin=subprocess.PIPE if held else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **session_options(),
    )
    output: queue.Queue[Optional[str]] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process, output), daemon=True)
    reader.start()
    lines: list[str] = []
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        ended = False
        while not ended:
            ended = _drain(output, lines, on_line)
            if progress is not None:
                progress.raise_if_cancelled()
            if on_tick is not None:
                on_tick()
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"no answer within {timeout:g} s")
            # A grandchild may hold the pipe open after the child's end: do not wait for its end.
            if process.poll() is not None and not ended:
                reader.join(0.5)
                _drain(output, lines, on_line)
                break
        process.wait(10)
    finally:
        kill(process)
        for pipe in (process.stdin, process.stdout):
            # A reader that still waits on a grandchild's pipe owns it; closing under it would block.
            if pipe is not None and not (pipe is process.stdout and reader.is_alive()):
                with contextlib.suppress(OSError):
                    pipe.close()
    return Finished(process.returncode, lines)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a child of ours and all its children: politely, then for good half a second later."""
    if os.name == "nt":
        if process.poll() is None:
            command = ["taskkill", "/PID", str(process.pid), "/T", "/F"]
            subprocess.run(command, capture_output=True, check=False, **session_options())
            process.wait(5)
        return
    alive = process.poll() is None
    if alive:
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
    _signal_group(process.pid, signal.SIGKILL)
    if alive:
        process.wait(5)


def _signal_group(group: int, number: int) -> None:
    # The group is the child's own session, made by start_new_session; it may be gone already.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def session_options() -> dict[str, object]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def _read(process: subprocess.Popen[bytes], output: queue.Queue[Optional[str]]) -> None:
    with contextlib.suppress(ValueError, OSError):
        for line in process.stdout or ():
            output.put(line.decode("utf-8", "replace").rstrip("\r\n"))
    output.put(None)


def _drain(
    output: queue.Queue[Optional[str]], lines: list[str], on_line: Optional[Callable[[str], None]]
) -> bool:
    """Take what is there, waiting 0.2 s at most for the first line; True after the last one."""
    wait = 0.2
    while True:
        try:
            line = output.get(timeout=wait)
        except queue.Empty:
            return False
        if line is None:
            return True
        lines.append(line)
        if on_line is not None:
            on_line(line)
        wait = 0.001


def _outside(value: str, prefixes: Sequence[str]) -> str:
    parts = [part for part in value.split(os.pathsep) if part]
    roots = [os.path.normcase(os.path.normpath(prefix)) for prefix in prefixes]
    # "/usr" as QGIS's prefix (Debian's) holds the system's own libraries: those misled nobody.
    roots = [root for root in roots if root not in ("/usr", "/usr/local", os.sep)]
    return os.pathsep.join(
        part
        for part in parts
        if not any(
            (os.path.normcase(os.path.normpath(part)) + os.sep).startswith(root + os.sep) for root in roots
        )
    )
