"""The child process: reads one job from its standard input, runs it, reports, ends.

Started as a script, isolated (`python -I -B -X utf8 child.py`), so the package is loaded by its spec:
the plugins folder of a QGIS profile never comes onto the path. Whoever holds the other end of
standard input owns this process; when that end closes, it ends.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib.util
import logging
import os
import shutil
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EXIT_OWNER_GONE = 3
RELEASE_LIMIT = 30.0  # seconds that the client has to let go of a file
OWNER_GONE_GRACE = 1.0  # seconds


def load_package() -> Any:
    """Import the plugin's root folder as `minicuber`, whatever the folder is called."""
    spec = importlib.util.spec_from_file_location(
        "minicuber", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["minicuber"] = package
    spec.loader.exec_module(package)
    return package


class Channel:
    """The way back to the client. Thread-safe; the process's own stdout is turned to stderr."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fd = os.dup(1)
        os.dup2(2, 1)
        self._scratch: list[Path] = []

    def send(self, type: str, **fields: Any) -> None:
        from minicuber.core.worker.messages import encode

        line = encode({"type": type, **fields})
        # A client that is gone cannot be told anything; the thread that watches the input ends us.
        with self._lock, contextlib.suppress(OSError):
            while line:
                line = line[os.write(self._fd, line) :]

    def add_scratch(self, path: Path) -> None:
        self._scratch.append(Path(path))
        self.send("scratch", path=str(path))

    def leave(self, code: int) -> None:
        """End the process now; temporary files that the job announced are removed first."""
        try:
            remove_scratch(self._scratch)
        finally:
            os._exit(code)


def remove_scratch(paths: list[Path]) -> None:
    """Remove temporary files and folders that a job announced and could not remove itself."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            # Windows: somebody holds it open, perhaps this very process. It is removed by whoever comes later.
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


class LineReader:
    """Lines of file descriptor 0, read without Python's buffers, which a blocked thread would hold
    locked when the interpreter ends."""

    def __init__(self) -> None:
        self._rest = b""

    def readline(self) -> bytes:
        """The next line; empty at the end of the input."""
        while b"\n" not in self._rest:
            block = os.read(0, 65536)
            if not block:
                return b""
            self._rest += block
        line, self._rest = self._rest.split(b"\n", 1)
        return line


class LogHandler(logging.Handler):
    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        from minicuber.core.secrets import redacted

        self._channel.send(
            "log", level=record.levelname, logger=record.name, message=redacted(self.format(record))
        )


def main() -> None:
    faulthandler.enable()
    reader = LineReader()
    package = load_package()
    channel = Channel()

    from minicuber.core.errors import Cancelled, EnvironmentProblem, InputError, MinicuberError
    from minicuber.core.progress import Progress
    from minicuber.core.secrets import redacted
    from minicuber.core.worker.messages import PROTOCOL, decode

    order = decode(reader.readline()) or {}

    class ChildProgress(Progress):
        def show(self, fraction: float, text: str) -> None:
            channel.send("progress", fraction=fraction, text=text)

        def scratch(self, path: Path) -> None:
            channel.add_scratch(path)

        def release(self, path: Path) -> None:
            released.clear()
            channel.send("release", path=str(path))
            # A client that does not answer is no reason to lose the work: the replacing itself will tell.
            released.wait(RELEASE_LIMIT)

    released = threading.Event()
    progress = ChildProgress()

    def watch() -> None:
        while True:
            line = reader.readline()
            if not line:
                # The job may end by itself, and clean up; threads that write would undo our cleaning.
                progress.cancel()
                time.sleep(OWNER_GONE_GRACE)
                channel.leave(EXIT_OWNER_GONE)
            message = decode(line) or {}
            if message.get("cancel"):
                progress.cancel()
            if message.get("released"):
                released.set()

    # The environment of this process alone: proxies and certificate files, which libraries read at
    # their import. It comes over standard input because a proxy's address may hold a password.
    os.environ.update(order.get("environment") or {})
    threading.Thread(target=watch, name="owner-watch", daemon=True).start()
    channel.send(
        "hello",
        protocol=PROTOCOL,
        version=package.__version__,
        python=sys.version.split()[0],
        pid=os.getpid(),
    )
    if order.get("protocol") != PROTOCOL or order.get("version") != package.__version__:
        # The client tells the user; it compares the same numbers.
        channel.leave(2)

    def fail(error: BaseException) -> None:
        """Report an error and end; what no user is meant to see is a bug, and named so by the client."""
        known = isinstance(error, MinicuberError)
        channel.send(
            "error",
            kind=type(error).__name__ if known else "bug",
            message=error.message if known else redacted(f"{type(error).__name__}: {error}"),
            hint=error.hint if known else "",
            traceback="" if isinstance(error, Cancelled) else redacted(traceback.format_exc()),
        )
        channel.leave(0 if known else 1)

    logging.getLogger().addHandler(LogHandler(channel))
    logging.getLogger("minicuber").setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        from minicuber.core.jobs import run_job

        result = run_job(order["job"], order.get("parameters") or {}, progress)
    except MinicuberError as error:
        fail(error)
    except MemoryError:
        fail(
            InputError(
                "There is not enough memory for this job.", "Choose a smaller extent, fewer dates or bands."
            )
        )
    except ModuleNotFoundError as error:
        if (error.name or "minicuber").split(".")[0] == "minicuber":
            fail(error)
        fail(
            EnvironmentProblem(
                f"The Python of Minicuber at {sys.executable} has no package {error.name}.",
                "Run the algorithm minicuber:setupenvironment, or correct the setting.",
            )
        )
    except BaseException as error:  # noqa: BLE001  (a bug: the client shows it as one, with the traceback)
        fail(error)
    channel.send("result", value=result)
    # Not sys.exit: libraries' threads and GDAL's teardown must not keep a finished job waiting.
    channel.leave(0)


if __name__ == "__main__":
    main()
