"""The dialog that attaches layers of the project to a minicube: which cube, which layers as what, where to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Callable

from qgis.core import QgsApplication, QgsProcessingContext, QgsProject
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QMenu,
    QMessageBox,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..processing.base import ICON
from ..processing.project import loader
from ..processing.text import tr
from .attach_run import ALGORITHM, AttachRun, CubeReader, signature
from .attach_widgets import CubeChooser, DateWidgets, Notice, OutputChooser
from .cubes import CubeFacts
from .layer_table import LayerTable

ATTACH_ICON = ICON.with_name("attach.svg")
BOX = 24  # pixels that a group box adds
MOST_NAMES = 12  # that the question before replacing lists


class AttachDialog(QDialog):
    """Makes the parameters of `minicuber:attachlayers` and runs it as a task; stays open for the next layers.

    `open_algorithm(parameters)` opens the algorithm's own dialog.
    """

    def __init__(
        self,
        parent: QWidget | None = None,
        open_algorithm: Callable[[Mapping[str, Any]], Any] | None = None,
        cube: str = "",
    ) -> None:
        super().__init__(parent)
        self.setObjectName("MinicuberAttachDialog")
        self.setWindowTitle(tr("Attach Layers to a Minicube"))
        self.setWindowIcon(QIcon(str(ATTACH_ICON)))
        self._project = QgsProject.instance()
        self._open_algorithm = open_algorithm
        self._algorithm = QgsApplication.processingRegistry().createAlgorithmById(ALGORITHM)
        self._run: AttachRun | None = None
        self._read_at: tuple[Any, ...] = ()
        self._run_when_read = self._dates_shown = False
        self._reader = CubeReader()
        self._reader.read.connect(self._cube_read)
        self._reader.failed.connect(self._cube_failed)
        self._make_widgets()
        self._lay_out()
        self._follow_project()
        self.cube.refresh(self._project, cube)
        self._update()
        self.resize(860, 640)

    # --- how it looks ----------------------------------------------------------------------------

    def _make_widgets(self) -> None:
        self.cube = CubeChooser()
        self.cube.chosen.connect(self._cube_chosen)
        self.layers = LayerTable(self._project)
        self.layers.changed.connect(self._update)
        self.dates = DateWidgets(self._algorithm)
        self.output = OutputChooser()
        self.output.changed.connect(self._update)
        self.load = QCheckBox(tr("Load the cube into the project when it is written"))
        self.load.setChecked(True)
        self.notice = Notice()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.cancel = QPushButton(tr("Cancel"))
        self.cancel.clicked.connect(lambda checked=False: self.stop())
        self.step = QLabel()
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMinimumHeight(90)
        self.advanced = QPushButton(tr("Advanced"))
        menu = QMenu(self.advanced)
        self.as_algorithm = menu.addAction(tr("As Processing Algorithm…"))
        self.as_algorithm.triggered.connect(lambda checked=False: self.open_algorithm())
        self.as_algorithm.setEnabled(self._open_algorithm is not None)
        self.as_python = menu.addAction(tr("Copy as Python Command"))
        self.as_python.triggered.connect(lambda checked=False: self.copy_python())
        self.advanced.setMenu(menu)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.buttons.rejected.connect(self.reject)
        self.attach = self.buttons.addButton(tr("Attach"), QDialogButtonBox.ButtonRole.ActionRole)
        self.attach.clicked.connect(lambda checked=False: self.run())
        for button in self.buttons.buttons():
            button.setAutoDefault(False)  # Enter ends the editing of a name
        self.advanced.setAutoDefault(False)
        self.cancel.setAutoDefault(False)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow(tr("Minicube"), self.cube)
        layers = QGroupBox(tr("Layers of the project"))
        QVBoxLayout(layers).addWidget(self.layers)
        self._dated = QgsCollapsibleGroupBox(tr("Layers with dates"))
        QVBoxLayout(self._dated).addWidget(self.dates)
        self._dated.setCollapsed(True)
        self._dated.setVisible(self.dates.any)
        output = QFormLayout()
        output.addRow(tr("Write to"), self.output)
        output.addRow("", self.load)
        self._log_box = QgsCollapsibleGroupBox(tr("Log"))
        QVBoxLayout(self._log_box).addWidget(self.log)
        self._log_box.setCollapsed(True)
        self._log_box.hide()
        for box, inside in ((self._log_box, self.log), (self._dated, self.dates)):
            box.collapsedStateChanged.connect(lambda closed, inside=inside: self._grow(inside, not closed))
        running = QHBoxLayout()
        running.addWidget(self.bar, 1)
        running.addWidget(self.cancel)
        bottom = QHBoxLayout()
        bottom.addWidget(self.advanced)
        bottom.addWidget(self.step, 1)
        bottom.addWidget(self.buttons)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(layers, 1)
        layout.addWidget(self._dated)
        layout.addLayout(output)
        layout.addWidget(self.notice)
        layout.addWidget(self._log_box)
        layout.addLayout(running)
        layout.addLayout(bottom)

    def _grow(self, inside: QWidget, more: bool) -> None:
        """Take the room for a part from the screen, not from the table."""
        height = max(inside.minimumHeight(), inside.minimumSizeHint().height()) + BOX
        self.resize(self.width(), self.height() + (height if more else -height))

    def _follow_project(self) -> None:
        # Layers come one by one, and into the tree after the project: one look at all when they are there.
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._refresh)
        self._project.layersAdded.connect(self._project_changed)
        self._project.layersWillBeRemoved.connect(self._layers_go)
        self._project.layersRemoved.connect(self._project_changed)
        self._project.layerTreeRoot().nameChanged.connect(self._project_changed)
        loader().written.connect(self._cube_written)

    def _project_changed(self, *ignored: Any) -> None:
        self._soon.start()

    def _layers_go(self, ids: list[str]) -> None:
        self.layers.model.forget(ids)

    def _refresh(self) -> None:
        self.layers.model.refresh()
        self.cube.refresh(self._project)

    def _update(self) -> None:
        """What can be done now."""
        if self.layers.model.has_dates() and not self._dates_shown:
            self._dates_shown = True  # once: who closes it means it
            self._dated.setCollapsed(False)
        busy = self._run is not None
        known = self.layers.model.cube is not None
        self.attach.setEnabled(not busy and known and bool(self.layers.model.ticked()))
        self.cancel.setVisible(busy)
        self.bar.setVisible(busy)
        for widget in (self.cube, self.layers, self.dates, self.output, self.load, self.advanced):
            widget.setEnabled(not busy)

    # --- the cube ----------------------------------------------------------------------------------

    def _cube_chosen(self, path: str) -> None:
        self.layers.model.set_cube(None)
        self.notice.clear()
        self._reader.cancel()
        if path:
            self.cube.say(tr("Reading where the cube lies…"))
            self._read_at = signature(path)
            self._reader.ask(path)
        else:
            self.cube.say(tr("No minicube is open: choose the file or folder of one."))
        self._update()

    def _cube_read(self, path: str, grid: dict[str, Any]) -> None:
        facts = CubeFacts.of(path, grid)
        self.cube.say(facts.text())
        self.layers.model.set_cube(facts)
        self._update()
        if self._run_when_read:
            self._run_when_read = False
            self.run()

    def _cube_failed(self, path: str, why: str) -> None:
        self._run_when_read = False
        self.cube.say(tr("This cannot be read as a minicube."))
        self.notice.error(why)
        self._update()

    def _cube_written(self, algorithm: str, path: str) -> None:
        """Some algorithm wrote a cube: it may be this one, with other variables than before."""
        if self._run is None and os.path.normcase(path) == os.path.normcase(self.cube.path()):
            self._cube_chosen(self.cube.path())

    # --- what it asks for ----------------------------------------------------------------------------

    def parameters(self, replace: bool = True) -> dict[str, Any]:
        """The parameters of the algorithm for what is chosen."""
        rows = self.layers.model.ticked()
        return {
            "CUBE": self.cube.path(),
            "LAYERS": [row.layer.id() for row in rows],
            "OPTIONS": [cell for row in rows for cell in row.cells()],
            "REPLACE": replace,
            **self.dates.parameters(),
            "LOAD": self.load.isChecked(),
            "OUTPUT": self.output.path() or self.cube.path(),
        }

    def problem(self) -> str:
        """A sentence on what must be changed first, "" when nothing."""
        rows = self.layers.model.ticked()
        if not rows:
            return tr("No layer is ticked: tick those to attach.")
        for row in rows:
            for sentence in self.layers.model.problems(row).values():
                return f"{row.layer.name()}: {sentence}"
        return self.output.problem()

    def replaced(self) -> list[str]:
        """The names of the cube's variables that would be replaced."""
        cube = self.layers.model.cube
        names = dict.fromkeys(row.name for row in self.layers.model.ticked())
        return [name for name in names if cube is not None and name in cube.names]

    def open_algorithm(self) -> None:
        """Open the algorithm's own dialog with what is chosen here."""
        self.remember()
        self._open_algorithm(self.parameters())

    def copy_python(self) -> None:
        """Put the call of `processing.run` onto the clipboard."""
        context = QgsProcessingContext()
        context.setProject(self._project)
        QgsApplication.clipboard().setText(self._algorithm.asPythonCommand(self.parameters(), context))
        self.notice.success(tr("The Python command was copied."))

    def remember(self) -> None:
        """Keep the choice of each layer in the project."""
        changed = [row for row in self.layers.model.rows if row.remember()]
        if changed:
            self._project.setDirty(True)

    # --- the run ----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Attach what is ticked, after asking when variables of the cube would be replaced."""
        if self._run is not None:
            return
        self.layers.finish_editing()
        self.notice.clear()
        why = self.problem()
        if why:
            self.notice.error(why)
            return
        path = self.cube.path()
        if signature(path) != self._read_at:  # another cube than the one whose names are known
            self._run_when_read = True
            self._cube_chosen(path)
            return
        names = self.replaced()
        if names and not self._may_replace(names):
            return
        self.remember()
        self._start(self.parameters(replace=bool(names)))

    def _may_replace(self, names: list[str]) -> bool:
        listed = ", ".join(names[:MOST_NAMES]) + (", …" if len(names) > MOST_NAMES else "")
        if len(names) == 1:
            text = tr("The cube has a variable {} already. Replace it?").format(listed)
        else:
            text = tr("The cube has {} of these variables already: {}. Replace them?").format(
                len(names), listed
            )
        yes, no = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No
        return QMessageBox.question(self, tr("Replace Variables"), text, yes | no, no) == yes

    def _start(self, parameters: dict[str, Any]) -> None:
        self.log.clear()
        self._log_box.show()
        self.bar.setRange(0, 0)
        self.step.setText(tr("Starting…"))
        self.cancel.setEnabled(True)
        self._run = AttachRun()
        self._run.progress.connect(self._progress)
        self._run.step.connect(self.step.setText)
        self._run.said.connect(self._said)
        self._run.ended.connect(self._ended)
        self._update()
        self._run.start(parameters)

    def stop(self) -> None:
        """Cancel the run; the cube stays as it was."""
        if self._run is not None:
            self.cancel.setEnabled(False)
            self.step.setText(tr("Cancelling…"))
            self._run.cancel()

    def _progress(self, per_cent: float) -> None:
        if per_cent >= 0.1:
            self.bar.setRange(0, 100)
            self.bar.setValue(int(per_cent))

    def _said(self, level: str, text: str) -> None:
        self.log.appendPlainText(f"{tr('Warning')}: {text}" if level == "warning" else text)

    def _ended(self, done: bool, results: dict[str, Any], why: str) -> None:
        self._run = None
        self.step.clear()
        self._update()
        if done:
            covered = results.get("COVERAGE", "")
            text = tr("Attached. Per cent of the pixels with a value: {}.").format(covered)
            self.notice.success(text)
        elif why:
            self.notice.error(why)
        else:
            self.notice.say(tr("Cancelled: nothing was written."))
        # Of the dialog's own cube the names are others now.
        if signature(self.cube.path()) != self._read_at:
            kept = self.notice.kept()
            self._cube_chosen(self.cube.path())
            self.notice.put(kept)

    # --- its end ------------------------------------------------------------------------------------------

    def done(self, result: int) -> None:
        """Close it; a run goes on as a task of QGIS, where it can be cancelled."""
        self.remember()
        self._reader.cancel()
        super().done(result)
