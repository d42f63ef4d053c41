"""Menu, toolbar, options and dialogs, on a QGIS interface."""

from __future__ import annotations

import pytest
from minicuber import classFactory
from minicuber.core.environment import lookup
from minicuber.plugin.options import OptionsPage
from minicuber.processing.settings import PYTHON, REMEMBERED, remember, remembered
from qgis.core import QgsApplication, QgsCoordinateReferenceSystem, QgsProject, QgsRectangle, QgsSettings
from qgis.PyQt.QtWidgets import QAction, QToolBar, QWidget


class Interface:
    """What the plugin asks of QGIS's interface, kept for looking at (a stand-in for the real one, which the
    desktop test uses)."""

    def __init__(self, qgis_iface) -> None:
        self._iface = qgis_iface
        self.menu: list[QAction] = []
        self.toolbars: list[QToolBar] = []
        self.factories: list = []
        self.messages: list[str] = []

    def mainWindow(self) -> QWidget:
        return self._iface.mainWindow()

    def mapCanvas(self):
        return self._iface.mapCanvas()

    def addToolBar(self, name):
        self.toolbars.append(QToolBar(name))
        return self.toolbars[-1]

    def addPluginToMenu(self, name, action):
        self.menu.append(action)

    def removePluginMenu(self, name, action):
        self.menu.remove(action)

    def registerOptionsWidgetFactory(self, factory):
        self.factories.append(factory)

    def unregisterOptionsWidgetFactory(self, factory):
        self.factories.remove(factory)

    def messageBar(self):
        return self

    def pushInfo(self, title, text):
        self.messages.append(text)


@pytest.fixture
def plugin(qgis_iface, qgis_processing):
    interface = Interface(qgis_iface)
    registry = QgsApplication.processingRegistry()
    if registry.providerById("minicuber") is not None:  # of other tests in this process
        registry.removeProvider("minicuber")
    made = classFactory(interface)
    made.initGui()
    yield made
    made.unload()
    assert interface.menu == []
    assert interface.factories == []
    assert QgsApplication.processingRegistry().providerById("minicuber") is None


def test_menu_and_toolbar_lead_to_every_algorithm(plugin):
    texts = [action.text() for action in plugin.iface.menu]
    assert texts == [
        "Build minicube from canvas",
        "Load minicube…",
        "Create demo data…",
        "Set up environment…",
    ]
    assert [action.text() for action in plugin.toolbar.actions()] == ["Build minicube from canvas"]
    assert all(not action.icon().isNull() for action in plugin.iface.menu)


def test_second_start_of_processing_adds_no_second_provider(plugin):
    provider = plugin.provider
    plugin.initProcessing()
    assert plugin.provider is provider


def test_second_copy_of_the_plugin_unloads_without_harm(plugin):
    second = classFactory(plugin.iface)
    second.initProcessing()
    assert second.provider is None
    second.unload()
    assert QgsApplication.processingRegistry().providerById("minicuber") is not None


def test_canvas_extent_is_in_the_projects_crs(plugin, qgis_new_project):
    canvas = plugin.iface.mapCanvas()
    crs = QgsCoordinateReferenceSystem("EPSG:2056")
    QgsProject.instance().setCrs(crs)
    canvas.setDestinationCrs(crs)
    canvas.setExtent(QgsRectangle(2600000, 1200000, 2601280, 1201280))
    text = plugin.canvas_extent()
    assert text.endswith(" [EPSG:2056]")
    xmin, xmax, ymin, ymax = (float(number) for number in text.split(" ")[0].split(","))
    shown = canvas.extent()
    assert (xmin, xmax, ymin, ymax) == pytest.approx(
        (shown.xMinimum(), shown.xMaximum(), shown.yMinimum(), shown.yMaximum())
    )


def test_dialog_opens_with_the_canvas_extent_and_the_last_values(plugin, monkeypatch):
    opened = {}

    class Signal:
        def connect(self, slot):
            opened["finished"] = slot

    class Dialog:
        algorithmFinished = Signal()  # noqa: N815  (the name is QGIS's)

        def createProcessingParameters(self):
            return {"CATALOG": "https://example.org/new", "OUTPUT": "/tmp/x.nc"}

        def setModal(self, modal):
            opened["modal"] = modal

        def show(self):
            opened["shown"] = True

        def isVisible(self):
            return True

    def create(algorithm, parameters):
        opened.update(algorithm=algorithm, parameters=parameters)
        return Dialog()

    import processing

    monkeypatch.setattr(processing, "createAlgorithmDialog", create)
    remember(
        "buildminicube", {"CATALOG": "https://example.org/stac", "EXTENT": "old", "OUTPUT": "/tmp/old.nc"}
    )
    plugin.build_from_canvas()
    assert opened["algorithm"] == "minicuber:buildminicube"
    assert opened["shown"]
    assert opened["modal"] is False
    assert opened["parameters"]["CATALOG"] == "https://example.org/stac"
    assert opened["parameters"]["EXTENT"] == plugin.canvas_extent()
    assert "OUTPUT" not in opened["parameters"]
    opened["finished"](False, {})
    assert remembered("buildminicube")["CATALOG"] == "https://example.org/stac"
    opened["finished"](True, {})
    assert remembered("buildminicube") == {"CATALOG": "https://example.org/new"}


def test_without_environment_the_set_up_opens_and_says_why(plugin, monkeypatch):
    monkeypatch.delenv(lookup.VARIABLE, raising=False)
    opened = []

    class Signal:
        def connect(self, slot): ...

    class Dialog:
        algorithmFinished = Signal()  # noqa: N815  (the name is QGIS's)

        def setModal(self, modal): ...

        def show(self): ...

        def isVisible(self):
            return True

    import processing

    def create(name, parameters):
        opened.append(name)
        return Dialog()

    monkeypatch.setattr(processing, "createAlgorithmDialog", create)
    plugin.build_from_canvas()
    assert opened == ["minicuber:setupenvironment"]
    assert "Set up environment" in plugin.iface.messages[0]


def test_option_is_the_interpreter_that_is_used(plugin, monkeypatch, tmp_path):
    monkeypatch.delenv(lookup.VARIABLE, raising=False)
    page = OptionsPage(None)
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    page._python.setFilePath(str(python))
    page.apply()
    assert QgsSettings().value(PYTHON) == str(python)
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("minicuber:buildminicube")
    assert str(algorithm.core_python().path) == str(python)
    assert str(python) in OptionsPage._used()
    QgsSettings().remove(PYTHON)


def test_remembered_values_are_plain_and_never_secrets_of_one_run(plugin):
    remember("x", {"A": 1, "B": [1, 2], "LAYER": object(), "OUTPUT": "/tmp/a", "EMPTY": ""})
    assert remembered("x") == {"A": 1, "B": [1, 2]}
    QgsSettings().setValue(REMEMBERED + "x", "not json")
    assert remembered("x") == {}
