"""Runs a job of the core in its child process on behalf of an algorithm: progress, log and errors go to
the Processing feedback.
"""

from __future__ import annotations

import time
from typing import Any, Callable

from qgis.core import Qgis, QgsMessageLog, QgsProcessingFeedback

from .. import __version__
from ..core.environment.lookup import CorePython
from ..core.worker.client import run_in_child

TEXT_EVERY = 0.5  # seconds; each text becomes a line of the log


class FeedbackAdapter:
    """Passes what a job says on to a `QgsProcessingFeedback`."""

    def __init__(self, feedback: QgsProcessingFeedback) -> None:
        self._feedback = feedback
        self._per_cent = 0.0
        self._ticks = 0
        self._text = ""
        self._shown = ("", 0.0)

    def progress(self, fraction: float, text: str) -> None:
        self._per_cent = 100.0 * fraction
        self._text = text
        self.tick()

    def log(self, level: str, text: str) -> None:
        if level in ("ERROR", "CRITICAL"):
            self._feedback.reportError(text)
        elif level == "WARNING":
            self._feedback.pushWarning(text)
        elif level == "INFO":
            self._feedback.pushInfo(text)
        else:
            self._feedback.pushDebugInfo(text)

    def tick(self) -> None:
        """Called about ten times a second. `qgis_process` sees Ctrl+C only while progress changes: so it does,
        by less than anybody sees."""
        self._ticks += 1
        self._feedback.setProgress(min(self._per_cent + 1e-9 * self._ticks, 100.0))
        shown, when = self._shown
        if self._text != shown and time.monotonic() - when > TEXT_EVERY:
            self._feedback.setProgressText(self._text)
            self._shown = (self._text, time.monotonic())


def run_job(
    python: CorePython,
    job: str,
    parameters: dict[str, Any],
    environment: dict[str, str],
    feedback: QgsProcessingFeedback,
    on_release: Callable[[str], None] = lambda path: None,
) -> dict[str, Any]:
    """Run a job of the core and return its result; raises what `run_in_child` raises.

    `on_release(path)` is called just before the job replaces a file or folder.
    """
    adapter = FeedbackAdapter(feedback)
    return run_in_child(
        str(python.path),
        job,
        parameters,
        version=__version__,
        environment=environment,
        on_progress=adapter.progress,
        on_log=adapter.log,
        on_release=on_release,
        on_tick=adapter.tick,
        is_cancelled=feedback.isCanceled,
    )


def keep_log(feedback: QgsProcessingFeedback) -> None:
    """Put the log of a run into QGIS's log messages, where it outlives the dialog."""
    text = feedback.textLog().strip()
    if text:
        QgsMessageLog.logMessage(text, "Minicuber", Qgis.MessageLevel.Info, False)
