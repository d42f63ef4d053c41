"""Menu, toolbar, options and dialogs, on a QGIS interface."""

from __future__ import annotations

import threading
import time

import pytest
from minicuber import classFactory
from minicuber.core.environment import lookup
from minicuber.plugin.messages import Messages
from minicuber.plugin.options import OptionsPage
from minicuber.processing.project import loader
from minicuber.processing.settings import PYTHON, REMEMBERED, remember, remembered
from qgis.core import (
    Qgis,
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingModelAlgorithm,
    QgsProject,
    QgsRectangle,
    QgsSettings,
)
from qgis.gui import QgsMessageBar, QgsProcessingModelerParameterWidget
from qgis.PyQt.QtCore import QCoreApplication, QEventLoop
from qgis.PyQt.QtWidgets import QAction, QComboBox, QDialog, QToolBar, QToolButton, QWidget


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

    def activeLayer(self):
        return None

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

    def openMessageLog(self):
        self.messages.append("the log")


class Bar(Interface):
    """With a real message bar."""

    def __init__(self, qgis_iface) -> None:
        super().__init__(qgis_iface)
        self.bar = QgsMessageBar()

    def messageBar(self):
        return self.bar


def load_plugin(interface):
    registry = QgsApplication.processingRegistry()
    if registry.providerById("minicuber") is not None:  # of other tests in this process
        registry.removeProvider("minicuber")
    made = classFactory(interface)
    made.initGui()
    return made


@pytest.fixture
def plugin(qgis_iface, qgis_processing):
    interface = Interface(qgis_iface)
    made = load_plugin(interface)
    yield made
    made.unload()
    assert interface.menu == []
    assert interface.factories == []
    assert QgsApplication.processingRegistry().providerById("minicuber") is None


def test_menu_and_toolbar_lead_to_every_algorithm(plugin):
    texts = [action.text() for action in plugin.iface.menu]
    assert texts == [
        "Build minicube from canvas",
        "Attach layers to a minicube…",
        "Terrain variables…",
        "Spectral indices…",
        "Aggregate over time…",
        "Clean clouds…",
        "Export dataset…",
        "Split dataset anew…",
        "Load minicube…",
        "Create demo data…",
        "Set up environment…",
    ]
    assert [action.text() for action in plugin.toolbar.actions()] == texts[:2]
    assert all(not action.icon().isNull() for action in plugin.iface.menu)


def test_toolbar_opens_one_table_of_layers(plugin, qgis_new_project):
    action = plugin.toolbar.actions()[1]
    action.trigger()
    dialog = plugin._attach
    assert dialog.isVisible() and dialog.cube.path() == ""
    action.trigger()
    assert plugin._attach is dialog
    dialog.close()
    action.trigger()
    assert plugin._attach is not dialog and plugin._attach.isVisible()


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
    plugin.attach_layers()
    assert opened == ["minicuber:setupenvironment"] * 2
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


def wait_for(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)
    return condition()


def test_message_leads_to_the_cube_and_to_the_log(qgis_iface):
    interface = Bar(qgis_iface)
    Messages(interface).written("Build minicube", "/data/a b/Täler & <Co>.nc")
    assert wait_for(lambda: interface.bar.items())
    (item,) = interface.bar.items()
    assert item.level() == Qgis.MessageLevel.Success
    assert item.duration() == 0  # a build may end at night
    text = 'Cube written: <a href="file:///data/a%20b/T%C3%A4ler%20&amp;%20%3CCo%3E.nc">Täler &amp; &lt;Co&gt;.nc</a>'
    assert item.text() == text
    (button,) = (b for b in item.findChildren(QToolButton) if b.text() == "Log")
    button.click()
    assert interface.messages == ["the log"]


def test_a_dataset_is_not_called_a_cube(qgis_iface):
    interface = Bar(qgis_iface)
    Messages(interface).written("Export dataset", "/data/forest")
    assert wait_for(lambda: interface.bar.items())
    assert interface.bar.items()[0].text().startswith("Dataset written: <a ")


def test_failure_is_said_as_one_and_success_never_with_it(qgis_iface, qgis_processing):
    interface = Bar(qgis_iface)
    plugin = load_plugin(interface)
    try:
        import processing

        order = {
            "EXTENT": "7,8,46,47 [EPSG:4326]",
            "START": "2021-01-01",
            "END": "2021-01-02",
            "OUTPUT": "/tmp/a.nc",
        }
        with pytest.raises(QgsProcessingException):
            processing.run("minicuber:buildminicube", {**order, "CATALOG": "/no/such/catalog.json"})
        assert wait_for(lambda: interface.bar.items())
        (item,) = interface.bar.items()
        assert item.level() == Qgis.MessageLevel.Critical
        assert item.text().startswith("Build minicube: ")
        assert "/no/such/catalog.json" in item.text()
    finally:
        plugin.unload()


def test_word_from_another_thread_arrives_on_the_main_one_and_never_after_unloading(
    qgis_iface, qgis_processing
):
    interface = Bar(qgis_iface)
    plugin = load_plugin(interface)
    seen = []
    plugin._messages._push = lambda text, level: seen.append(threading.current_thread())
    thread = threading.Thread(target=lambda: loader().written.emit("Build minicube", "/data/a.nc"))
    thread.start()
    thread.join()
    assert wait_for(lambda: seen)
    assert seen == [threading.main_thread()]
    plugin.unload()
    loader().written.emit("Build minicube", "/data/a.nc")
    assert not wait_for(lambda: len(seen) > 1 or interface.bar.items(), 1.2)


@pytest.mark.parametrize("name", ["CATALOG", "FALLBACK_CATALOG"])
def test_any_catalog_can_be_written_and_presets_be_chosen(plugin, name):
    from processing.gui.wrappers import WidgetWrapperFactory

    algorithm = QgsApplication.processingRegistry().createAlgorithmById("minicuber:buildminicube")
    wrapper = WidgetWrapperFactory.create_wrapper(algorithm.parameterDefinition(name), QWidget())
    box = wrapper.widget
    assert isinstance(box, QComboBox) and box.isEditable()
    assert wrapper.parameterValue() == ""
    wrapper.setParameterValue("/data/my catalog.json", QgsProcessingContext())
    assert wrapper.parameterValue() == "/data/my catalog.json"
    box.setCurrentIndex(box.findText("planetary-computer"))
    assert wrapper.parameterValue() == "planetary-computer"
    box.setEditText(" https://example.org/stac ")
    assert wrapper.parameterValue() == "https://example.org/stac"


def test_catalog_of_a_model_can_come_from_another_step(plugin):
    from processing.gui.wrappers import WidgetWrapperFactory

    algorithm = QgsApplication.processingRegistry().createAlgorithmById("minicuber:buildminicube")

    class ModelerParametersDialog(QDialog):
        model, childId, context = QgsProcessingModelAlgorithm(), "build", QgsProcessingContext()  # noqa: N815

    wrapper = WidgetWrapperFactory.create_wrapper(
        algorithm.parameterDefinition("CATALOG"), ModelerParametersDialog()
    )
    assert isinstance(wrapper, QgsProcessingModelerParameterWidget)
