"""What all algorithms share: checks, help, the child process, errors, and loading of results.

The toolbox, models, scripts and `qgis_process` call different parts of an algorithm, on different
threads (design: "the base class checks what the toolbox checks"). So a subclass says only what it reads
(`read`, on the thread that prepares) and what it does (`work`); problems found while reading are kept
and raised by `processAlgorithm`, whose exceptions every caller shows.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
)
from qgis.PyQt.QtGui import QIcon

from ..core.environment.lookup import CorePython, find_core_python
from ..core.errors import MinicuberError
from ..core.secrets import holds_secret
from .child import keep_log, run_job
from .help import HELP
from .network import network_environment
from .parameters import Parameters
from .project import loader
from .settings import environments_folder, python_setting
from .text import tr

ICON = Path(__file__).resolve().parent.parent / "resources" / "icons" / "minicuber.svg"
ADVANCED = getattr(QgsProcessingParameterDefinition, "Flag", QgsProcessingParameterDefinition).FlagAdvanced


class MinicuberAlgorithm(QgsProcessingAlgorithm):
    """Base of all algorithms. A subclass sets `ID` and writes `initAlgorithm`, `read` and `work`."""

    ID = ""
    NEEDS_CORE = True

    # --- what QGIS asks for -------------------------------------------------------------------

    def createInstance(self) -> MinicuberAlgorithm:
        return type(self)()

    def name(self) -> str:
        return self.ID

    def displayName(self) -> str:
        return tr(HELP[self.ID]["NAME"])

    def shortDescription(self) -> str:
        return tr(HELP[self.ID]["SHORT"])

    def shortHelpString(self) -> str:
        return tr(HELP[self.ID]["HELP"])

    def group(self) -> str:
        return tr(HELP[self.ID]["GROUP"])

    def groupId(self) -> str:
        return HELP[self.ID]["GROUP_ID"]

    def tags(self) -> list[str]:
        return HELP[self.ID]["TAGS"].split()

    def icon(self) -> QIcon:
        return QIcon(str(ICON))

    def canExecute(self) -> tuple[bool, str]:
        """The toolbox and menus ask this; models, scripts and `qgis_process` find out in `processAlgorithm`."""
        if self.NEEDS_CORE:
            try:
                self.core_python()
            except MinicuberError as problem:
                return False, tr(str(problem))
        return True, ""

    def checkParameterValues(self, parameters: dict[str, Any], context) -> tuple[bool, str]:
        """Refuses names that no parameter has: QGIS itself drops them in silence."""
        known = {definition.name() for definition in self.parameterDefinitions()}
        unknown = sorted(set(parameters) - known)
        if unknown:
            text = tr("Unknown parameter: {}. Known parameters: {}.")
            return False, text.format(", ".join(unknown), ", ".join(sorted(known)))
        for name, value in parameters.items():
            if isinstance(value, str) and holds_secret(value):
                # Before anything is recorded: QGIS keeps the parameters of every run in its history.
                text = tr(
                    "{} holds a password, key or token, which the history would keep. Leave it out of the address."
                )
                return False, text.format(name)
        return super().checkParameterValues(parameters, context)

    def prepareAlgorithm(self, parameters: dict[str, Any], context, feedback) -> bool:
        self._problem, self._working = None, False
        # A pointer is compared, the project not touched: this may not be the main thread (models on 3.22).
        self._has_project = context.project() is not None
        try:
            allowed, text = self.checkParameterValues(parameters, context)
            if not allowed:
                raise MinicuberError(text)
            if self.NEEDS_CORE:
                self._python = self.core_python()
            self._environment = network_environment()
            self.read(Parameters(self, parameters, context))
        except MinicuberError as problem:
            self._problem = problem
        return True

    def processAlgorithm(self, parameters: dict[str, Any], context, feedback) -> dict[str, Any]:
        try:
            if self._problem is not None:
                raise self._problem
            if self.NEEDS_CORE:
                feedback.pushDebugInfo(f"Python of the core: {self._python.path} ({self._python.text})")
            self._working = True
            results = self.work(feedback)
        except MinicuberError as problem:
            if problem.details:
                feedback.pushDebugInfo(problem.details)
            raise self._failure(tr(str(problem)), feedback) from problem
        except QgsProcessingException:
            raise
        except Exception as error:
            feedback.pushDebugInfo(traceback.format_exc())
            text = tr("Minicuber failed unexpectedly ({}: {}). This is a bug: please report it with the log.")
            raise self._failure(text.format(type(error).__name__, error), feedback) from error
        finally:
            keep_log(feedback)
        return results

    def _failure(self, text: str, feedback) -> QgsProcessingException:
        """The exception to raise. The desktop is told too, when the work had begun: its dialog may be closed."""
        if self._working and not feedback.isCanceled():
            loader().failed.emit(self.displayName(), text)
        return QgsProcessingException(text)

    # --- what a subclass writes ---------------------------------------------------------------

    def read(self, parameters: Parameters) -> None:
        """Read and check the parameters; keep them on `self`. Raises `InputError`."""
        raise NotImplementedError

    def work(self, feedback) -> dict[str, Any]:
        """Do the work and return the outputs; may run on any thread, so no project, no GUI."""
        raise NotImplementedError

    # --- what a subclass uses -----------------------------------------------------------------

    def add(self, parameter: QgsProcessingParameterDefinition, advanced: bool = False) -> None:
        """Add a parameter with its help."""
        parameter.setHelp(tr(HELP[self.ID][parameter.name()]))
        parameter.setDescription(tr(parameter.description()))
        if advanced:
            parameter.setFlags(parameter.flags() | ADVANCED)
        self.addParameter(parameter)

    def add_cube(self) -> None:
        """Add CUBE, which every algorithm has that reads one."""
        # The widget cannot choose a folder: a Zarr store is chosen by the file in it, or its path is written.
        files = tr("Minicubes") + " (*.nc *.zgroup zarr.json);;" + tr("All files") + " (*)"
        self.add(QgsProcessingParameterFile("CUBE", "Minicube", fileFilter=files))

    def add_cube_output(self) -> None:
        """Add OUTPUT of an algorithm that writes a cube."""
        kinds = tr("NetCDF files") + " (*.nc);;" + tr("Zarr folders") + " (*.zarr)"
        self.add(
            QgsProcessingParameterFileDestination(
                "OUTPUT", "Minicube", kinds, optional=True, createByDefault=True
            )
        )

    def add_load(self) -> None:
        """Add LOAD, which every algorithm has that writes a cube or layer."""
        self.add(
            QgsProcessingParameterBoolean("LOAD", "Load the result into the project", True, optional=True)
        )

    def show(self, result: dict[str, Any], load: bool, feedback) -> None:
        """Show the cube that a job wrote: its layers, where `load` says so, and where it is. What is open of an
        earlier cube of that name is brought up to date in any case."""
        if result["layers"]:
            self.load(
                result["title"],
                result["output"],
                result["layers"],
                feedback,
                by_date=None,
                only_open=not load,
            )
        if result["output"]:
            self.announce(result["output"])

    @staticmethod
    def core_python() -> CorePython:
        """The Python of the core. Raises `EnvironmentProblem` that says how to get one."""
        return find_core_python(python_setting(), environments_folder())

    def run_core(self, job: str, parameters: dict[str, Any], feedback) -> dict[str, Any]:
        """Run a job of the core in its child process. What it replaces is let go of in the project, and opened
        again however the job ends."""
        released = []

        def release(path: str) -> None:
            if self._has_project:
                released.append(loader().release(path))

        try:
            return run_job(self._python, job, parameters, self._environment, feedback, release)
        finally:
            for ticket in released:
                loader().restore(ticket)

    def load(self, title: str, source: str, layers: list[dict[str, Any]], feedback, **options: Any) -> None:
        """Show layers in the project, as a group; `source` identifies it, so that a rebuilt cube is reloaded.

        `options`: those of `update_group`, which are `by_date` and `only_open`.
        """
        if self._has_project:
            loader().request(title, source, layers, **options)
        elif not options.get("only_open"):
            feedback.pushInfo(tr("No project is open, so nothing is loaded into one."))

    def announce(self, path: str) -> None:
        """Tell the desktop that an output was written."""
        loader().written.emit(self.displayName(), path)
