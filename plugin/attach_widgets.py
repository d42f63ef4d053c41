"""Parts of the dialog that attaches layers: the cube, the output, how dates match, and a line that says how it went."""

from __future__ import annotations

import os
from html import escape
from typing import Any

from qgis.core import QgsProcessingAlgorithm, QgsProject
from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QRadioButton,
    QSizePolicy,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..processing.text import tr
from .cubes import open_cubes

MOST_DAYS = 36_500  # a century
ENDINGS = (".nc", ".zarr")


class CubeChooser(QWidget):
    """A list of the cubes that are open in the project, and a button for any other; `chosen` when it is another."""

    chosen = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.list = QComboBox()
        self.list.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        # A path may be long; the dialog is not to be.
        self.list.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.list.setMinimumContentsLength(30)
        self.list.currentIndexChanged.connect(self._changed)
        self.browse = QToolButton()
        self.browse.setText("…")
        self.browse.setToolTip(tr("Choose a minicube that is not open in the project"))
        self.browse.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.browse)
        menu.addAction(tr("NetCDF File…")).triggered.connect(lambda checked=False: self._choose_file())
        menu.addAction(tr("Zarr Folder…")).triggered.connect(lambda checked=False: self._choose_folder())
        self.browse.setMenu(menu)
        self._facts = QLabel()
        self._others: dict[str, str] = {}
        self._said = None
        line = QHBoxLayout()
        line.addWidget(self.list, 1)
        line.addWidget(self.browse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(line)
        layout.addWidget(self._facts)

    def path(self) -> str:
        """The cube that is chosen, "" when none is."""
        return self.list.currentData() or ""

    def choose(self, path: str) -> None:
        """Choose the cube at a path, which need not be open in the project."""
        if self._place(path) < 0:
            self._others[path] = os.path.basename(path)
            self._add(path, os.path.basename(path))
        self.list.setCurrentIndex(self._place(path))

    def refresh(self, project: QgsProject, path: str = "") -> None:
        """List the cubes that are open now. What was chosen stays, else it is `path`, else the first."""
        path = path or self.path()
        self.list.blockSignals(True)
        self.list.clear()
        opened = open_cubes(project)
        for each, title in {**opened, **{k: v for k, v in self._others.items() if k not in opened}}.items():
            self._add(each, title)
        if path and self._place(path) < 0 and os.path.exists(path):
            self._others[path] = os.path.basename(path)
            self._add(path, os.path.basename(path))
        self.list.setCurrentIndex(max(0, self._place(path)) if self.list.count() else -1)
        self.list.blockSignals(False)
        self._changed()

    def say(self, text: str) -> None:
        """Say what the cube is, below its name."""
        self._facts.setText(text)

    def _place(self, path: str) -> int:
        for place in range(self.list.count()):
            if os.path.normcase(self.list.itemData(place)) == os.path.normcase(path):
                return place
        return -1

    def _add(self, path: str, title: str) -> None:
        self.list.addItem(f"{title}  –  {path}", path)

    def _changed(self, place: int = 0) -> None:
        self.list.setToolTip(self.path())
        if self.path() != self._said:
            self._said = self.path()
            self.chosen.emit(self._said)

    def _choose_file(self) -> None:
        kinds = tr("Minicubes") + " (*.nc);;" + tr("All files") + " (*)"
        path, _ = QFileDialog.getOpenFileName(self, tr("Minicube"), os.path.dirname(self.path()), kinds)
        if path:
            self.choose(path)

    def _choose_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(
            self, tr("Zarr Folder of a Minicube"), os.path.dirname(self.path())
        )
        if path:
            self.choose(path)


class OutputChooser(QWidget):
    """The cube itself, or another file."""

    changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.same = QRadioButton(tr("the minicube itself"))
        self.same.setToolTip(tr("It is replaced at once when all is written, and stays as it was till then"))
        self.other = QRadioButton(tr("another file:"))
        self.file = QgsFileWidget()
        self.file.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        self.file.setFilter(tr("NetCDF files") + " (*.nc);;" + tr("Zarr folders") + " (*.zarr)")
        self.file.setDialogTitle(tr("Minicube to Write"))
        self.file.fileChanged.connect(self._typed)
        self.same.setChecked(True)
        self.same.toggled.connect(self.changed)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.same)
        layout.addWidget(self.other)
        layout.addWidget(self.file, 1)

    def path(self) -> str:
        """The file to write, "" for the cube itself."""
        return "" if self.same.isChecked() else self.file.filePath().strip()

    def problem(self) -> str:
        """A sentence on what is wrong with it, "" when nothing."""
        if self.same.isChecked():
            return ""
        path = self.path()
        if not path:
            return tr("Choose the file to write, or let it be the minicube itself.")
        if not path.lower().endswith(ENDINGS):
            return tr("A minicube is a .nc file or a .zarr folder, not {}.").format(os.path.basename(path))
        return ""

    def _typed(self, path: str) -> None:
        if path.strip():
            self.other.setChecked(True)
        self.changed.emit()


class DateWidgets(QWidget):
    """How dated layers are matched to the dates of the cube: those parameters of it that the algorithm has."""

    def __init__(self, algorithm: QgsProcessingAlgorithm) -> None:
        super().__init__()
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.match = self.tolerance = self.pattern = None
        line = QHBoxLayout()
        definition = algorithm.parameterDefinition("DATE_MATCH")
        if definition is not None:
            self.match = _match_list(definition)
            line.addWidget(_with_help(self.match, definition), 1)
        definition = algorithm.parameterDefinition("DATE_TOLERANCE")
        if definition is not None:
            self.tolerance = QSpinBox()
            self.tolerance.setRange(0, MOST_DAYS)
            self.tolerance.setValue(int(definition.defaultValue() or 0))
            self.tolerance.setSpecialValueText(tr("however far away"))
            self.tolerance.setPrefix(tr("at most") + " ")
            self.tolerance.setSuffix(" " + tr("days away"))
            line.addWidget(_with_help(self.tolerance, definition))
        if line.count():
            layout.addRow(tr("A date of the cube gets"), line)
        if self.match is not None and self.tolerance is not None:
            self.match.currentIndexChanged.connect(self._allow_tolerance)
            self._allow_tolerance()
        definition = algorithm.parameterDefinition("DATE_PATTERN")
        if definition is not None:
            self.pattern = QLineEdit()
            self.pattern.setPlaceholderText(tr("automatic; else a pattern such as %Y%j"))
            layout.addRow(tr("Dates in names"), _with_help(self.pattern, definition))
        self.any = layout.rowCount() > 0

    def parameters(self) -> dict[str, Any]:
        """The parameters that the algorithm knows."""
        found: dict[str, Any] = {}
        if self.match is not None:
            found["DATE_MATCH"] = self.match.currentData()
        if self.tolerance is not None:
            found["DATE_TOLERANCE"] = self.tolerance.value()
        if self.pattern is not None and self.pattern.text().strip():
            found["DATE_PATTERN"] = self.pattern.text().strip()
        return found

    def _allow_tolerance(self, place: int = 0) -> None:
        self.tolerance.setEnabled(self.match.currentData() != "exact")


def _match_list(definition: Any) -> QComboBox:
    texts = {
        "exact": tr("the layer of that very day"),
        "nearest": tr("the nearest layer in time"),
        "last": tr("the last layer before it"),
    }
    box = QComboBox()
    for value in definition.options():
        box.addItem(texts.get(value, value), value)
    box.setCurrentIndex(max(0, box.findData(definition.defaultValue())))
    return box


def _with_help(widget: QWidget, definition: Any) -> QWidget:
    # With the parameter's name, as errors have it.
    widget.setToolTip(f"<p><b>{definition.name()}</b>: {escape(definition.help())}</p>")
    return widget


class Notice(QLabel):
    """One sentence that says how it went, hidden while there is none."""

    COLOURS = {  # noqa: RUF012  (as in QGIS's own bar of messages)
        "error": ("#d65253", "#fce4e4"),
        "success": ("#3c9d4e", "#e3f4e6"),
        "plain": ("#6b8fb5", "#e7f0f9"),
    }

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.kind = ""
        self.hide()

    def error(self, text: str) -> None:
        """Why it cannot be, or was not, done."""
        self.put(("error", text))

    def success(self, text: str) -> None:
        """That it was done."""
        self.put(("success", text))

    def say(self, text: str) -> None:
        """Neither of these."""
        self.put(("plain", text))

    def clear(self) -> None:
        """Say nothing any more."""
        self.put(("", ""))

    def kept(self) -> tuple[str, str]:
        """What `put` puts back."""
        return self.kind, self.text()

    def put(self, kept: tuple[str, str]) -> None:
        self.kind, text = kept
        self.setText(text)
        if text:
            line, ground = self.COLOURS[self.kind]
            self.setStyleSheet(
                f"QLabel {{ background: {ground}; color: #222; padding: 6px; border: 1px solid {line}; "
                f"border-left: 4px solid {line}; border-radius: 2px; }}"
            )
        self.setVisible(bool(text))
