"""minicuber:setupenvironment: makes, removes and reports on the core's Python environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingOutputFolder,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
)

from ...core.environment.install import remove, set_up
from ...core.environment.report import report
from ...core.progress import Progress
from ..base import MinicuberAlgorithm
from ..child import FeedbackAdapter
from ..parameters import Parameters
from ..settings import environments_folder, python_setting
from ..text import tr

FILE, FOLDER = (
    getattr(getattr(QgsProcessingParameterFile, "Behavior", QgsProcessingParameterFile), name)
    for name in ("File", "Folder")
)


class _FeedbackProgress(Progress):
    """Shows progress in the feedback and takes its cancel; this job runs in QGIS itself, without a core."""

    def __init__(self, feedback) -> None:
        super().__init__()
        self._feedback = feedback
        self._adapter = FeedbackAdapter(feedback)

    def raise_if_cancelled(self) -> None:
        self._adapter.tick()
        if self._feedback.isCanceled():
            self.cancel()
        super().raise_if_cancelled()

    def show(self, fraction: float, text: str) -> None:
        self._adapter.progress(fraction, text)


class SetUpEnvironment(MinicuberAlgorithm):
    ID = "setupenvironment"
    NEEDS_CORE = False

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add(QgsProcessingParameterBoolean("RECREATE", "Make it anew", False, optional=True))
        self.add(QgsProcessingParameterFile("PYTHON", "Python", FILE, optional=True), advanced=True)
        self.add(
            QgsProcessingParameterFile("WHEELS", "Folder of packages", FOLDER, optional=True), advanced=True
        )
        self.add(
            QgsProcessingParameterBoolean(
                "ALLOW_UV", "Download a Python if none is found", False, optional=True
            ),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterBoolean("REMOVE", "Remove instead", False, optional=True), advanced=True
        )
        self.addOutput(QgsProcessingOutputFolder("ENVIRONMENT", tr("Environment")))
        self.addOutput(QgsProcessingOutputString("REPORT", tr("Report")))

    def read(self, parameters: Parameters) -> None:
        self._recreate = parameters.flag("RECREATE")
        self._remove = parameters.flag("REMOVE")
        self._allow_uv = parameters.flag("ALLOW_UV")
        self._preferred = parameters.file("PYTHON") or None
        wheels = parameters.file("WHEELS")
        self._wheels = Path(wheels) if wheels else None

    def work(self, feedback) -> dict[str, Any]:
        base = environments_folder()
        folder = ""
        if self._remove:
            removed = remove(base, feedback.pushInfo)
            feedback.pushInfo(tr("Removed: {}").format(", ".join(removed) or tr("nothing was there")))
        else:
            environment = set_up(
                base,
                preferred=self._preferred,
                wheels=self._wheels,
                recreate=self._recreate,
                allow_uv=self._allow_uv,
                extra_environ=self._environment,
                progress=_FeedbackProgress(feedback),
                log=feedback.pushInfo,
            )
            folder = str(environment.folder)
        text = report(
            base,
            setting=python_setting() or None,
            qgis_version=Qgis.QGIS_VERSION,
            extra_environ=self._environment,
        )
        feedback.pushInfo(text)
        return {"ENVIRONMENT": folder, "REPORT": text}
