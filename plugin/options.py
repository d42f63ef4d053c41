"""The page of Minicuber in QGIS's options: which Python computes, and what is kept on disk."""

from __future__ import annotations

from qgis.core import QgsSettings
from qgis.gui import QgsFileWidget, QgsOptionsPageWidget, QgsOptionsWidgetFactory
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QCheckBox, QFormLayout, QLabel

from ..core.environment.lookup import find_core_python
from ..core.errors import MinicuberError
from ..processing.base import ICON
from ..processing.settings import KEEP_CHUNKS, PYTHON, chunk_cache, environments_folder, python_setting
from ..processing.text import tr


class OptionsFactory(QgsOptionsWidgetFactory):
    def __init__(self) -> None:
        super().__init__()
        self.setTitle("Minicuber")

    def icon(self) -> QIcon:
        return QIcon(str(ICON))

    def createWidget(self, parent) -> OptionsPage:
        return OptionsPage(parent)


class OptionsPage(QgsOptionsPageWidget):
    def __init__(self, parent) -> None:
        super().__init__(parent)
        self._python = QgsFileWidget()
        self._python.setFilePath(python_setting())
        self._python.setDialogTitle(tr("Python of Minicuber"))
        self._state = QLabel(self._used())
        self._state.setWordWrap(True)
        hint = QLabel(
            tr(
                "Leave it empty to use the environment that “Set up environment” makes. A Python given here needs "
            )
            + tr("the packages that Minicuber lists in core/environment/requirements.in.")
        )
        hint.setWordWrap(True)
        layout = QFormLayout(self)
        layout.addRow(tr("Python of Minicuber"), self._python)
        layout.addRow(hint)
        layout.addRow(tr("Used now"), self._state)
        self._keep = QCheckBox(
            tr("Keep what was read of climate stores for a week (up to 2 GB, in the profile)")
        )
        self._keep.setChecked(chunk_cache() != "none")
        layout.addRow(tr("Climate data"), self._keep)

    @staticmethod
    def _used() -> str:
        try:
            found = find_core_python(python_setting(), environments_folder())
        except MinicuberError as problem:
            return str(problem)
        return f"{found.path} ({found.text})"

    def apply(self) -> None:
        QgsSettings().setValue(PYTHON, self._python.filePath().strip())
        QgsSettings().setValue(KEEP_CHUNKS, self._keep.isChecked())
