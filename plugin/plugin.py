"""The plugin object that QGIS makes: registers the provider, the menu, the toolbar and the options page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction

from ..processing.base import ICON
from ..processing.groups import CUBE_PROPERTY
from ..processing.help import HELP
from ..processing.parameters import crs_text
from ..processing.project import loader
from ..processing.provider import MinicuberProvider
from ..processing.settings import remember, remembered
from ..processing.text import tr
from .attach_dialog import ATTACH_ICON, AttachDialog
from .cubes import of_a_cube
from .messages import Messages
from .options import OptionsFactory

MENU = "&Minicuber"


IN_MENU = (
    "terrainvariables", "spectralindices", "aggregatetime", "cleanclouds", "exportdataset", "resplitdataset",
    "loadminicube", "createdemodata", "setupenvironment",
)  # fmt: skip


class MinicuberPlugin:
    """`initProcessing` is all that `qgis_process` calls; `initGui` adds the desktop's part."""

    def __init__(self, iface: Any) -> None:
        self.iface = iface
        self.provider: MinicuberProvider | None = None
        self.actions: list[QAction] = []
        self.toolbar = None
        self.options: OptionsFactory | None = None
        self._dialogs: list[Any] = []
        self._attach: AttachDialog | None = None
        self._messages: Messages | None = None

    def initProcessing(self) -> None:
        if self.provider is None:
            provider = MinicuberProvider()
            # QGIS deletes a provider that it does not take, as when another copy of the plugin is loaded.
            if QgsApplication.processingRegistry().addProvider(provider):
                self.provider = provider

    def initGui(self) -> None:
        self.initProcessing()
        self.toolbar = self.iface.addToolBar("Minicuber")
        self.toolbar.setObjectName("MinicuberToolBar")
        self._add_action("build", tr("Build minicube from canvas"), self.build_from_canvas, toolbar=True)
        attach = tr("Attach layers to a minicube") + "…"
        self._add_action("attachlayers", attach, self.attach_layers, toolbar=True, icon=ATTACH_ICON)
        for name in IN_MENU:
            self._add_action(name, tr(HELP[name]["NAME"]) + "…", self._opener(name))
        self.options = OptionsFactory()
        self.iface.registerOptionsWidgetFactory(self.options)
        # However an algorithm was started: from its dialog, the toolbox, a model or a script.
        self._messages = Messages(self.iface)
        loader().written.connect(self._messages.written)
        loader().failed.connect(self._messages.failed)

    def unload(self) -> None:
        if self._attach is not None:
            self._attach.stop()
            self._attach.close()
            self._attach.deleteLater()
            self._attach = None
        if self._messages is not None:
            loader().written.disconnect(self._messages.written)
            loader().failed.disconnect(self._messages.failed)
            self._messages = None
        for action in self.actions:
            self.iface.removePluginMenu(MENU, action)
            action.deleteLater()
        self.actions.clear()
        if self.toolbar is not None:
            self.toolbar.deleteLater()
            self.toolbar = None
        if self.options is not None:
            self.iface.unregisterOptionsWidgetFactory(self.options)
            self.options = None
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None

    def build_from_canvas(self) -> Any:
        """Open the dialog of `minicuber:buildminicube` with the canvas extent filled in."""
        return self.open_dialog("buildminicube", {"EXTENT": self.canvas_extent()})

    def attach_layers(self) -> Any:
        """Open the table of layers to attach; the set-up instead, where there is no environment of the core."""
        if not self._can_execute("attachlayers"):
            return self.open_dialog("attachlayers", {})
        if self._attach is None or not self._attach.isVisible():
            if self._attach is not None:
                self._attach.deleteLater()
            self._attach = AttachDialog(
                self.iface.mainWindow(),
                lambda parameters: self.open_dialog("attachlayers", parameters),
                self._active_cube(),
            )
            self._attach.show()
        self._attach.raise_()
        self._attach.activateWindow()
        return self._attach

    def _active_cube(self) -> str:
        """The cube of the layer that is current in the tree of layers, "" when it is of none."""
        layer = self.iface.activeLayer()
        return str(layer.customProperty(CUBE_PROPERTY, "")) if layer is not None and of_a_cube(layer) else ""

    def _can_execute(self, algorithm: str) -> bool:
        made = QgsApplication.processingRegistry().createAlgorithmById(f"minicuber:{algorithm}")
        return made.canExecute()[0]

    def canvas_extent(self) -> str:
        """The extent that the canvas shows, with the project's CRS, as Processing writes it."""
        canvas = self.iface.mapCanvas()
        box, crs = canvas.extent(), canvas.mapSettings().destinationCrs()
        name = crs_text(crs)
        corners = (box.xMinimum(), box.xMaximum(), box.yMinimum(), box.yMaximum())
        return ",".join(f"{value:.9f}" for value in corners) + f" [{name}]"

    def open_dialog(self, algorithm: str, parameters: dict[str, Any]) -> Any:
        """Open an algorithm's dialog with the values of its last run, overlaid by `parameters`.

        Without the core's environment the dialog that sets it up opens instead, with a word why.
        """
        made = QgsApplication.processingRegistry().createAlgorithmById(f"minicuber:{algorithm}")
        allowed, why = made.canExecute()
        if not allowed:
            self.iface.messageBar().pushInfo("Minicuber", why)
            algorithm, parameters = "setupenvironment", {}
        # QGIS's package, not ours: imports are absolute.
        from processing import createAlgorithmDialog

        dialog = createAlgorithmDialog(f"minicuber:{algorithm}", {**remembered(algorithm), **parameters})
        dialog.algorithmFinished.connect(
            lambda done, results: remember(algorithm, dialog.createProcessingParameters()) if done else None
        )
        dialog.setModal(False)
        dialog.show()
        # Python would collect a dialog that nobody holds; a closed one is let go at the next opening.
        self._dialogs = [kept for kept in self._dialogs if kept.isVisible()] + [dialog]
        return dialog

    def _opener(self, algorithm: str):
        return lambda: self.open_dialog(algorithm, {})

    def _add_action(self, name: str, text: str, slot, toolbar: bool = False, icon: Path = ICON) -> None:
        action = QAction(QIcon(str(icon)), text, self.iface.mainWindow())
        action.setObjectName(f"minicuber_{name}")
        action.triggered.connect(lambda checked=False: slot())
        self.iface.addPluginToMenu(MENU, action)
        if toolbar:
            self.toolbar.addAction(action)
        self.actions.append(action)
