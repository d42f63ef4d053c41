"""Widgets for parameters that QGIS has none for. QGIS imports this module when it opens a dialog, by name."""

from __future__ import annotations

from functools import cache
from typing import Any

from .presets import preset_names


class CatalogWidget:
    """A line for a path, a URL or the name of a preset, with the presets to choose from.

    QGIS's own list of `value_hints` takes nothing that is not in it.
    """

    KIND = "catalogs"

    def __new__(cls, parameter: Any, dialog: Any, row: int = 0, column: int = 0) -> Any:
        if type(dialog).__name__ == "ModelerParametersDialog":
            # There a value may come from another step, which QGIS's own widget knows.
            from qgis.gui import QgsGui

            wrapper = QgsGui.processingGuiRegistry().createModelerParameterWidget(
                dialog.model, dialog.childId, parameter, dialog.context
            )
            wrapper.setDialog(dialog)
            return wrapper
        return _wrapper_class(cls.KIND)(parameter, dialog, row, column)


class ClimateWidget(CatalogWidget):
    """The same for stores of climate data."""

    KIND = "climate"


@cache
def _wrapper_class(kind: str) -> type:
    # QGIS's package, not ours; and only where there is a desktop.
    from processing.gui.wrappers import WidgetWrapper
    from qgis.PyQt.QtWidgets import QComboBox

    class Wrapper(WidgetWrapper):
        def createWidget(self) -> QComboBox:
            box = QComboBox()
            box.setEditable(True)
            for name in ("", *preset_names(kind)):
                box.addItem(name, name)
            box.setMinimumContentsLength(20)  # a path may be long; the dialog is not to be
            box.currentTextChanged.connect(lambda text: self.widgetValueHasChanged.emit(self))
            return box

        def setValue(self, value: Any) -> None:
            self.widget.setEditText("" if value is None else str(value))

        def value(self) -> str:
            return self.widget.currentText().strip()

    return Wrapper
