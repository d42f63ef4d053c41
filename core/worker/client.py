"""Runs one job in one child process and tells what happens in it.

Standard library only, Python 3.9: this half runs inside QGIS. Nothing here blocks for longer than
`POLL` seconds, so a caller that ticks its event loop in `on_tick` stays responsive.
"""

from __future__ import annotations

import contextlib
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable

from ..environment.processes import child_environ, kill, python_command, session_options
from ..errors import BY_NAME, Cancelled, EnvironmentProblem, WorkerCrash
from .child import remove_scratch
from .messages import PROTOCOL, decode, encode

POLL = 0.1  # seconds between two looks at cancel
GRACE = 1.5  # seconds that a cancelled job has to clean up after itself
STARTUP = 60.0  # seconds until the child must have said hello (a virus scanner may read every file first)
TAIL = 300  # lines of the child's output that a crash report shows

CHILD = Path(__file__).resolve().parent / "child.py"


def run_in_child(
    python: str,
    job: str,
    parameters: Mapping[str, Any],
    *,
    version: str,
    environment: Mapping[str, str] | None = None,
    on_progress: Callable[[float, str], None] = lambda fraction, text: None,
    on_log: Callable[[str, str], None] = lambda level, text: None,
    on_release: Callable[[str], None] = lambda path: None,
    on_tick: Callable[[], None] = lambda: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Run `job` with `parameters` (JSON values) in a child process of `python`; return its result.

    `version` is the plugin's, compared with the child's. `environment` (proxies, certificate files)
    reaches the child through its standard input. `on_log(level, text)` gets a level name of `logging`.
    `on_release(path)` is called just before the job replaces a file or folder, and returns when nobody here holds
    it open any more.
    Raises the job's own `MinicuberError`, `Cancelled` within 3 s of `is_cancelled()`, `WorkerCrash`
    when the child dies or fails by a bug, `EnvironmentProblem` when it does not start.
    """
    child = _Child(python)
    try:
        child.send(
            {
                "protocol": PROTOCOL,
                "version": version,
                "job": job,
                "parameters": dict(parameters),
                "environment": dict(environment or {}),
            }
        )
        return _converse(child, version, on_progress, on_log, on_release, on_tick, is_cancelled)
    finally:
        child.end()


def _converse(child, version, on_progress, on_log, on_release, on_tick, is_cancelled):
    started = time.monotonic()
    greeted = False
    kill_at = None
    while True:
        message = child.next_message(POLL)
        on_tick()
        now = time.monotonic()
        if kill_at is None and is_cancelled():
            kill_at = now + GRACE
            child.send({"cancel": True})
        if kill_at is not None and now > kill_at:
            raise Cancelled()
        if message is None:
            if not greeted and now - started > STARTUP:
                raise EnvironmentProblem(
                    f"The Python of Minicuber at {child.python} did not answer for {STARTUP:.0f} s.",
                    "Run the algorithm minicuber:setupenvironment with RECREATE.",
                )
            continue
        kind = message.get("type")
        if kind == "hello":
            greeted = True
            if (message.get("protocol"), message.get("version")) != (PROTOCOL, version):
                raise EnvironmentProblem(
                    f"The plugin in memory is version {version}, the one on disk {message.get('version')}.",
                    "Restart QGIS.",
                )
        elif kind == "progress":
            on_progress(message["fraction"], message["text"])
        elif kind == "log":
            on_log(message["level"], message["message"])
        elif kind == "release":
            try:
                on_release(message["path"])
            finally:
                child.send({"released": True})
        elif kind == "scratch":
            child.scratch.append(Path(message["path"]))
        elif kind == "result":
            child.scratch.clear()
            return message["value"]
        elif kind == "error":
            raise _error_of(message)
        elif kind == "end":
            if kill_at is not None:
                raise Cancelled()
            raise child.crash(greeted)


def _error_of(message):
    details = message.get("traceback", "")
    if message["kind"] in BY_NAME:
        return BY_NAME[message["kind"]](message["message"], message["hint"], details)
    return WorkerCrash(
        f"Minicuber failed unexpectedly: {message['message']}.",
        "This is a bug: please report it with the log.",
        details,
    )


class _Child:
    """The process, its two reading threads and what it leaves behind."""

    def __init__(self, python: str) -> None:
        self.python = python
        self.scratch: list[Path] = []
        self.tail: deque[str] = deque(maxlen=TAIL)
        self._messages: queue.SimpleQueue = queue.SimpleQueue()
        try:
            self.process = subprocess.Popen(
                python_command(python, CHILD),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=tempfile.gettempdir(),
                env=child_environ(),
                **session_options(),
            )
        except OSError as error:
            raise EnvironmentProblem(
                f"The Python of Minicuber cannot be started: {python} ({error.strerror}).",
                "Run the algorithm minicuber:setupenvironment with RECREATE, or correct the setting.",
            ) from error
        # The tail's thread first: the other one waits for it, and a child may end at once.
        self._threads = [
            threading.Thread(target=self._read_tail, daemon=True),
            threading.Thread(target=self._read_messages, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read_messages(self) -> None:
        for line in self.process.stdout:
            message = decode(line)
            if message is None:
                self.tail.append(line.decode("utf-8", "replace").rstrip())
            else:
                self._messages.put(message)
        self.process.wait()
        self._threads[0].join(1)
        self._messages.put({"type": "end"})

    def _read_tail(self) -> None:
        for line in self.process.stderr:
            self.tail.append(line.decode("utf-8", "replace").rstrip())

    def send(self, message: dict[str, Any]) -> None:
        # A child that is already dead is reported by its end, with its last lines, not by this write.
        with contextlib.suppress(OSError):
            self.process.stdin.write(encode(message))
            self.process.stdin.flush()

    def next_message(self, timeout: float) -> dict[str, Any] | None:
        try:
            return self._messages.get(timeout=timeout)
        except queue.Empty:
            return None

    def crash(self, greeted: bool) -> Exception:
        code = self.process.returncode
        details = "\n".join(self.tail)
        if not greeted:
            return EnvironmentProblem(
                f"The Python of Minicuber at {self.python} ended at once ({_how(code)}).",
                "Run the algorithm minicuber:setupenvironment with RECREATE.",
                details,
            )
        return WorkerCrash(
            f"The process that did the work ended before its result ({_how(code)}).",
            "Run it again; if that repeats, choose a smaller extent or report it with the log.",
            details,
        )

    def end(self) -> None:
        """Make sure that the process is gone, and with it what it left half-written."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(0.3)
        except subprocess.TimeoutExpired:
            kill(self.process)
        for thread in self._threads:
            thread.join(1)
        self.process.stdout.close()
        self.process.stderr.close()
        remove_scratch(self.scratch)


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = str(-code)
        reason = ", often for lack of memory" if name == "SIGKILL" else ""
        return f"killed by {name}{reason}"
    return f"exit code {code}"
