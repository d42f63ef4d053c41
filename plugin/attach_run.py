"""Runs `minicuber:attachlayers` for its dialog, and reads where a cube lies, both as tasks of QGIS: nothing waits."""

from __future__ import annotations

import os
from typing import Any

from qgis.core import (
    QgsApplication,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
    QgsTask,
)
from qgis.gui import QgsGui
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..core.environment.lookup import find_core_python
from ..core.errors import MinicuberError
from ..processing.child import run_job
from ..processing.network import network_environment
from ..processing.settings import environments_folder, python_setting
from ..processing.text import tr

ALGORITHM = "minicuber:attachlayers"

# Tasks and what they use; a dialog may be closed before they end.
_running: list[Any] = []


class Talk(QgsProcessingFeedback):
    """What a run says, as signals: a level ("info", "warning", "error", "debug") and a text."""

    said = pyqtSignal(str, str)
    step = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__(False)
        self.errors: list[str] = []

    def setProgressText(self, text: str) -> None:
        super().setProgressText(text)
        self.step.emit(text)

    def pushInfo(self, info: str) -> None:
        super().pushInfo(info)
        self.said.emit("info", info)

    def pushWarning(self, warning: str) -> None:
        super().pushWarning(warning)
        self.said.emit("warning", warning)

    def pushDebugInfo(self, info: str) -> None:
        super().pushDebugInfo(info)
        self.said.emit("debug", info)

    def reportError(self, error: str, fatalError: bool = False) -> None:
        super().reportError(error, fatalError)
        self.errors.append(error)
        self.said.emit("error", error)


class AttachRun(QObject):
    """One run of the algorithm. `ended(done, results, why)`: `why` says in a sentence why it was not done, "" when
    it was cancelled."""

    progress = pyqtSignal(float)
    step = pyqtSignal(str)
    said = pyqtSignal(str, str)
    ended = pyqtSignal(bool, object, str)

    def __init__(self) -> None:
        super().__init__()
        self._talk = Talk()
        self._talk.progressChanged.connect(self.progress)
        self._talk.step.connect(self.step)
        self._talk.said.connect(self.said)
        self._context = QgsProcessingContext()
        self._task: QgsProcessingAlgRunnerTask | None = None

    def start(self, parameters: dict[str, Any]) -> None:
        """Start it; once."""
        self._algorithm = QgsApplication.processingRegistry().createAlgorithmById(ALGORITHM)
        self._context.setProject(QgsProject.instance())
        self._context.setFeedback(self._talk)
        note_in_history(self._algorithm, parameters, self._context)
        self._task = QgsProcessingAlgRunnerTask(self._algorithm, parameters, self._context, self._talk)
        self._task.executed.connect(self._executed)
        _running.append(self)
        QgsApplication.taskManager().addTask(self._task)

    def cancel(self) -> None:
        """Ask it to stop; `ended` follows."""
        self._talk.cancel()

    def _executed(self, done: bool, results: dict[str, Any]) -> None:
        _running.remove(self)
        self._task = None
        why = ""
        if not done and not self._talk.isCanceled():
            unsaid = tr("The layers were not attached; the log says more.")
            why = self._talk.errors[-1] if self._talk.errors else unsaid
        self.ended.emit(done, dict(results or {}), why)


def note_in_history(algorithm: Any, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
    """Put a run into the history of Processing, as its own dialog does."""
    command = algorithm.asPythonCommand(parameters, context)
    if hasattr(QgsGui, "historyProviderRegistry"):
        said = {
            "python_command": command,
            "algorithm_id": algorithm.id(),
            "parameters": algorithm.asMap(parameters, context),
        }
        QgsGui.historyProviderRegistry().addEntry("processing", said)
        return
    # QGIS's package, not ours: imports are absolute.
    from processing.core.ProcessingLog import ProcessingLog

    ProcessingLog.addToLog(command)


class CubeReader(QObject):
    """Reads grid and names of one cube after the other. `read(path, facts)` has what the job `cubegrid` says;
    `failed(path, why)` a sentence. Of an earlier cube nothing is said any more."""

    read = pyqtSignal(str, object)
    failed = pyqtSignal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self._task: _Reading | None = None

    def ask(self, path: str) -> None:
        """Start to read the cube at `path`."""
        self.cancel()
        try:
            self._task = _Reading(path)
        except MinicuberError as problem:
            self.failed.emit(path, tr(str(problem)))
            return
        self._task.answered.connect(self._answered)
        _running.append(self._task)
        QgsApplication.taskManager().addTask(self._task)

    def cancel(self) -> None:
        """Forget the cube that is being read."""
        if self._task is not None:
            self._task.answered.disconnect(self._answered)
            self._task.talk.cancel()
            self._task = None

    def _answered(self, path: str, grid: Any, why: str) -> None:
        self._task = None
        if why:
            self.failed.emit(path, why)
        else:
            self.read.emit(path, grid)


class _Reading(QgsTask):
    answered = pyqtSignal(str, object, str)

    def __init__(self, path: str) -> None:
        super().__init__(tr("Reading the minicube {}").format(os.path.basename(path)))
        self._path, self._why, self._grid = path, "", None
        self.talk = QgsProcessingFeedback(False)
        self._python = find_core_python(python_setting(), environments_folder())
        self._environment = network_environment()

    def run(self) -> bool:
        try:
            self._grid = run_job(self._python, "cubegrid", {"cube": self._path}, self._environment, self.talk)
        except MinicuberError as problem:
            self._why = tr(str(problem))
        except Exception as error:  # noqa: BLE001  (QGIS would drop it, and the dialog wait for ever)
            self._why = f"{type(error).__name__}: {error}"
        return not self._why

    def cancel(self) -> None:
        self.talk.cancel()
        super().cancel()

    def finished(self, done: bool) -> None:
        if self in _running:
            _running.remove(self)
        unread = tr("The minicube was not read.")
        self.answered.emit(self._path, self._grid, self._why or ("" if self._grid else unread))


def signature(path: str) -> tuple[Any, ...]:
    """Changes when the cube at `path` is replaced."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_ino, found.st_size
