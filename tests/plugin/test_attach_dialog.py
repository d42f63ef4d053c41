"""The dialog that attaches layers: what it lists and remembers, what it asks, and that it attaches really."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import helpers
import numpy as np
import pytest
from minicuber.plugin import attach_dialog
from minicuber.plugin.attach_dialog import AttachDialog
from minicuber.plugin.attach_run import _running
from minicuber.plugin.cubes import open_cubes
from minicuber.plugin.layer_model import BAND, CHOICES, LAYER, METHOD, NAME, PLACE, RED
from minicuber.plugin.layer_rows import PROPERTY, RASTER_METHODS, VECTOR_MODES, VECTOR_RULES, Row
from minicuber.plugin.plugin import MinicuberPlugin
from minicuber.processing.help import HELP
from osgeo import gdal, osr
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsPalettedRasterRenderer,
    QgsPointXY,
    QgsProcessingContext,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication, QEventLoop, Qt
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import QComboBox, QMessageBox

EDGE = 640.0  # m, of the cube


@pytest.fixture(scope="module")
def provider(qgis_app, qgis_processing):
    registry = QgsApplication.processingRegistry()
    if registry.providerById("minicuber") is None:
        MinicuberPlugin(None).initProcessing()
    yield registry.providerById("minicuber")
    registry.removeProvider("minicuber")


@pytest.fixture(scope="module")
def made(provider, tmp_path_factory):
    """The path of a cube, not to be changed."""
    import processing

    folder = tmp_path_factory.mktemp("attach")
    demo = processing.run("minicuber:createdemodata", {"OUTPUT": str(folder / "demo"), "LOAD": False})
    xmin, _, ymin, _ = (float(v) for v in demo["EXTENT"].split(" ")[0].split(","))
    order = {
        "EXTENT": f"{xmin},{xmin + EDGE},{ymin},{ymin + EDGE} [EPSG:32632]", "START": "2021-06-01",
        "END": "2021-06-20", "CATALOG": demo["CATALOG"], "S2_BANDS": ["B04"], "LOAD": False,
        "OUTPUT": str(folder / "valley.nc"),
    }  # fmt: skip
    return processing.run("minicuber:buildminicube", order)["OUTPUT"]


@pytest.fixture
def project(qgis_iface, provider):
    QgsProject.instance().clear()
    yield QgsProject.instance()
    assert wait_until(lambda: not _running)
    QgsProject.instance().clear()
    assert QgsProject.instance().mapLayers() == {}


@pytest.fixture
def cube(made, project, tmp_path):
    """The cube as a copy that is open in the project."""
    import processing

    path = str(tmp_path / "valley.nc")
    shutil.copy(made, path)
    processing.run("minicuber:loadminicube", {"CUBE": path})
    return path


@pytest.fixture
def dialogs():
    opened = []

    def make(cube="", **options):
        dialog = AttachDialog(cube=cube, **options)
        opened.append(dialog)
        dialog.show()
        assert wait_until(lambda: dialog.layers.model.cube is not None or dialog.notice.kind)
        return dialog

    yield make
    for dialog in opened:
        dialog.stop()
        dialog.close()
        dialog.deleteLater()


def wait_until(condition):
    """Let the interface live until it holds. The limit is for a machine that hangs, not for one that is slow."""

    def holds():
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)
        return condition()

    return helpers.wait_until(holds, 120)


def read(path, name):
    group = gdal.OpenEx(str(path), gdal.OF_MULTIDIM_RASTER).GetRootGroup()
    return group.OpenMDArray(name).ReadAsArray() if name in group.GetMDArrayNames() else None


def corner(path):
    return read(path, "x")[0] - 5, read(path, "y")[0] + 5


def raster(folder, name, left, top, size=64, value=7.0, bands=1):
    path = str(folder / f"{name}.tif")
    made = gdal.GetDriverByName("GTiff").Create(path, size, size, bands, gdal.GDT_Float32)
    made.SetGeoTransform((left, 10, 0, top, 0, -10))
    system = osr.SpatialReference()
    system.ImportFromEPSG(32632)
    made.SetProjection(system.ExportToWkt())
    for number in range(1, bands + 1):
        made.GetRasterBand(number).WriteArray(np.full((size, size), value + number - 1, np.float32))
    made = None
    layer = QgsRasterLayer(path, name)
    assert layer.isValid()
    QgsProject.instance().addMapLayer(layer)
    return layer


def parcels(*corners):
    """Squares of 100 m, each by its upper left corner."""
    layer = QgsVectorLayer("Polygon?crs=EPSG:32632&field=kind:string&field=yield:double", "parcels", "memory")
    for left, top in corners:
        feature = QgsFeature(layer.fields())
        feature.setAttributes(["maize", 3.5])
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(left, top - 100, left + 100, top)))
        layer.dataProvider().addFeature(feature)
    layer.updateExtents()
    QgsProject.instance().addMapLayer(layer)
    return layer


def cell(dialog, layer, column, role=Qt.ItemDataRole.DisplayRole):
    model = dialog.layers.model
    place = next(n for n, row in enumerate(model.rows) if row.layer is layer or row.layer.id() == layer.id())
    return model.index(place, column).data(role)


def choose(dialog, layer, column, value, role=Qt.ItemDataRole.EditRole):
    model = dialog.layers.model
    place = next(n for n, row in enumerate(model.rows) if row.layer.id() == layer.id())
    return model.setData(model.index(place, column), value, role)


def tick(dialog, layer, on=True):
    state = Qt.CheckState.Checked if on else Qt.CheckState.Unchecked
    choose(dialog, layer, LAYER, state, Qt.ItemDataRole.CheckStateRole)


def names(dialog):
    return [row.layer.name() for row in dialog.layers.model.rows]


def ended(dialog):
    assert wait_until(lambda: dialog._run is None)
    return dialog.notice.kind, dialog.notice.text()


def test_layers_are_listed_without_those_of_cubes(cube, dialogs, tmp_path):
    left, top = corner(cube)
    height = raster(tmp_path, "Höhe 2 m", left, top)
    bands = raster(tmp_path, "stack", left + 320, top, bands=3)
    fields = parcels((left, top))
    table = QgsVectorLayer("None?field=a:int", "table", "memory")
    QgsProject.instance().addMapLayer(table)
    dialog = dialogs()
    assert sorted(names(dialog)) == ["Höhe 2 m", "parcels", "stack"]
    assert cell(dialog, height, NAME) == "H_he_2_m"
    assert cell(dialog, height, PLACE) == "covers the cube"
    assert cell(dialog, bands, PLACE) == "covers 50 %"
    assert cell(dialog, fields, PLACE) == "covers part"
    assert [value for _, value in cell(dialog, bands, BAND, CHOICES)] == ["", "1", "2", "3"]
    assert [value for _, value in cell(dialog, fields, BAND, CHOICES)] == ["", "kind", "yield"]
    assert not dialog.layers.model.ticked() and not dialog.attach.isEnabled()
    dialog.layers.with_cubes.setChecked(True)
    assert "s2_B04" in names(dialog)


def test_ways_onto_the_grid_are_those_of_the_algorithm():
    """The core's lists cannot be imported here; its help names them."""
    said = HELP["attachlayers"]["OPTIONS"]
    of_rasters = re.search(r"Resampling of rasters: ([\w, ]+)", said)[1]
    of_vectors = re.search(r"of vectors: ([\w, ]+)", said)[1]
    assert set(of_rasters.split(", ")) == set(RASTER_METHODS)
    assert set(of_vectors.split(", ")) == {*VECTOR_MODES, *VECTOR_RULES}


def test_filter_limits_what_tick_all_ticks(cube, dialogs, tmp_path):
    left, top = corner(cube)
    for name in ("slope", "soil", "snow"):
        raster(tmp_path, name, left, top)
    dialog = dialogs()
    dialog.layers.filter.setText("SO")
    dialog.layers.all.click()
    assert [row.layer.name() for row in dialog.layers.model.ticked()] == ["soil"]
    dialog.layers.filter.setText("")
    dialog.layers.all.click()
    assert len(dialog.layers.model.ticked()) == 3
    dialog.layers.none.click()
    assert dialog.layers.model.ticked() == []


def test_layers_that_come_and_go_keep_the_choices_of_the_others(cube, dialogs, tmp_path):
    left, top = corner(cube)
    first = raster(tmp_path, "first", left, top)
    dialog = dialogs()
    choose(dialog, first, NAME, "mine")
    second = raster(tmp_path, "second", left, top)
    assert wait_until(lambda: len(names(dialog)) == 2)
    assert cell(dialog, first, NAME) == "mine"
    QgsProject.instance().removeMapLayer(second.id())
    assert wait_until(lambda: names(dialog) == ["first"])
    assert dialog.parameters()["OPTIONS"] == [first.id(), "mine", "auto", ""]


def test_choices_are_remembered_in_the_saved_project(cube, dialogs, tmp_path, project):
    left, top = corner(cube)
    bands = raster(tmp_path, "stack", left, top, bands=3)
    other = raster(tmp_path, "other", left, top)
    dialog = dialogs()
    project.setDirty(False)
    for column, value in ((NAME, "snow_depth"), (METHOD, "cubic"), (BAND, "2")):
        choose(dialog, bands, column, value)
    dialog.close()
    assert project.isDirty()
    assert other.customProperty(PROPERTY) is None  # nothing was chosen for it
    assert project.write(str(tmp_path / "p.qgz"))
    project.clear()
    assert project.read(str(tmp_path / "p.qgz"))
    again = dialogs()
    (row,) = again.layers.model.ticked()
    assert row.cells()[1:] == ["snow_depth", "cubic", "2"]
    # A copy of the layer carries the property, and is another layer.
    copy = row.layer.clone()
    assert not Row.of(copy).ticked and Row.of(copy).name == "stack"


def test_reasons_against_a_row_stand_at_its_cells(cube, dialogs, tmp_path):
    left, top = corner(cube)
    layer = raster(tmp_path, "a", left, top)
    fields = parcels((left, top))
    dialog = dialogs()
    for wrong, why in (("2m", "a letter first"), ("", "needs a name"), ("time", "for its axes")):
        choose(dialog, layer, NAME, wrong)
        assert cell(dialog, layer, NAME, Qt.ItemDataRole.ForegroundRole).color() == QColor(RED)
        assert why in cell(dialog, layer, NAME, Qt.ItemDataRole.ToolTipRole)
        dialog.run()
        assert dialog.notice.kind == "error" and why in dialog.notice.text() and dialog._run is None
    choose(dialog, layer, NAME, "a")
    assert cell(dialog, layer, NAME, Qt.ItemDataRole.ForegroundRole) is None
    for method, field, why in (
        ("mean", "", "choose one"),
        ("mean", "kind", "field of texts"),
        ("mean", "yield", ""),
    ):
        choose(dialog, fields, METHOD, method)
        choose(dialog, fields, BAND, field)
        assert (why in dialog.problem()) if why else dialog.problem() == ""
    classes = [QgsPalettedRasterRenderer.Class(7, QColor("red"), "seven")]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes))
    assert "average" not in [value for _, value in cell(dialog, layer, METHOD, CHOICES)]


def test_list_of_a_cell_takes_what_is_chosen_and_ticks_the_layer(cube, dialogs, tmp_path):
    left, top = corner(cube)
    layer = raster(tmp_path, "height", left, top)
    dialog = dialogs()
    view = dialog.layers.view
    view.clicked.emit(view.model().index(0, METHOD))
    (box,) = view.viewport().findChildren(QComboBox)
    assert box.currentData() == "auto"
    box.setCurrentIndex(box.findData("median"))
    box.activated.emit(box.currentIndex())
    assert dialog.parameters()["OPTIONS"] == [layer.id(), "height", "median", ""]


def test_dated_layers_may_share_a_name(cube, dialogs, tmp_path):
    left, top = corner(cube)
    both = [raster(tmp_path, f"snow_202106{day}", left, top) for day in ("05", "10")]
    dialog = dialogs()
    for layer in both:
        choose(dialog, layer, NAME, "snow")
    assert dialog.problem() == ""
    assert "one variable over time" in cell(dialog, both[0], NAME, Qt.ItemDataRole.ToolTipRole)
    assert "(snow)" in dialog.layers.model.summary()
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("minicuber:attachlayers")
    known = {definition.name() for definition in algorithm.parameterDefinitions()}
    assert set(dialog.parameters()) <= known
    for name in ("DATE_MATCH", "DATE_TOLERANCE"):
        assert (name in dialog.parameters()) == (name in known)


def test_run_attaches_to_the_cube_and_shows_it(cube, dialogs, tmp_path, project):
    left, top = corner(cube)
    bands = raster(tmp_path, "stack", left, top, bands=3)
    fields = parcels((left, top))
    dialog = dialogs()
    assert dialog.cube.path() == cube
    choose(dialog, bands, NAME, "second")
    choose(dialog, bands, BAND, "2")
    choose(dialog, fields, METHOD, "share")
    dialog.attach.click()
    kind, text = ended(dialog)
    assert kind == "success" and "second: 100" in text
    assert (read(cube, "second") == 8).all()
    assert read(cube, "parcels").sum() == pytest.approx(100)
    assert {"second", "parcels", "s2_B04"} <= {layer.name() for layer in project.mapLayers().values()}
    assert wait_until(lambda: dialog.layers.model.cube is not None)
    assert sorted(dialog.replaced()) == ["parcels", "second"]
    assert dialog.notice.kind == "success"
    assert "second: 100" in dialog.log.toPlainText() and sorted(names(dialog)) == ["parcels", "stack"]


def test_other_file_leaves_the_cube_alone(cube, dialogs, tmp_path):
    left, top = corner(cube)
    dialog = dialogs()
    layer = raster(tmp_path, "height", left, top)
    assert wait_until(lambda: names(dialog) == ["height"])
    tick(dialog, layer)
    dialog.output.other.setChecked(True)
    assert "Choose the file" in dialog.problem()
    dialog.output.file.setFilePath(str(tmp_path / "b.tif"))
    assert "not b.tif" in dialog.problem()
    dialog.output.file.setFilePath(str(tmp_path / "b.nc"))
    dialog.load.setChecked(False)
    before = Path(cube).read_bytes()
    dialog.attach.click()
    assert ended(dialog)[0] == "success"
    assert (read(tmp_path / "b.nc", "height") == 7).all()
    assert Path(cube).read_bytes() == before
    assert list(open_cubes(QgsProject.instance())) == [cube]


def test_asks_before_it_replaces(cube, dialogs, tmp_path, monkeypatch):
    left, top = corner(cube)
    layer = raster(tmp_path, "b", left, top)
    dialog = dialogs()
    choose(dialog, layer, NAME, "s2_B04")
    asked, answers = [], [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]

    def question(parent, title, text, *buttons):
        asked.append(text)
        return answers.pop(0)

    monkeypatch.setattr(attach_dialog.QMessageBox, "question", question)
    before = Path(cube).read_bytes()
    dialog.attach.click()
    assert dialog._run is None and Path(cube).read_bytes() == before
    dialog.attach.click()
    assert ended(dialog)[0] == "success"
    assert asked == ["The cube has a variable s2_B04 already. Replace it?"] * 2
    assert (read(cube, "s2_B04") == 7).all()


def test_cube_that_changed_meanwhile_is_read_again_before_asking(cube, dialogs, tmp_path, monkeypatch):
    import processing

    left, top = corner(cube)
    layer = raster(tmp_path, "height", left, top)
    dialog = dialogs()
    tick(dialog, layer)
    assert dialog.replaced() == []
    other = str(tmp_path / "other.nc")
    order = {"CUBE": cube, "LAYERS": [layer.id()], "OUTPUT": other, "LOAD": False}
    processing.run("minicuber:attachlayers", order)
    os.replace(other, cube)  # as another program would
    asked = []

    def question(parent, title, text, *buttons):
        asked.append(text)
        return QMessageBox.StandardButton.No

    monkeypatch.setattr(attach_dialog.QMessageBox, "question", question)
    dialog.attach.click()
    assert wait_until(lambda: asked)
    assert "height" in asked[0] and dialog._run is None


def test_cancel_leaves_the_cube_as_it_was(cube, dialogs, tmp_path):
    left, top = corner(cube)
    for number in range(40):
        raster(tmp_path, f"layer_{number}", left, top)
    dialog = dialogs()
    dialog.layers.all.click()
    before = Path(cube).read_bytes()
    dialog.attach.click()
    assert dialog.cancel.isVisible() and not dialog.attach.isEnabled()
    dialog.cancel.click()
    assert ended(dialog) == ("plain", "Cancelled: nothing was written.")
    assert Path(cube).read_bytes() == before
    assert dialog.attach.isEnabled() and not dialog.cancel.isVisible()


def test_layer_beside_the_cube_is_said_before_anything_runs(cube, dialogs, tmp_path):
    left, top = corner(cube)
    far = raster(tmp_path, "far", left + 50_000, top)
    dialog = dialogs()
    tick(dialog, far)
    assert cell(dialog, far, PLACE) == "misses the cube"
    dialog.attach.click()
    assert dialog.notice.kind == "error" and dialog.notice.text().startswith("far: The layer lies beside")
    assert dialog._run is None


def test_what_the_core_refuses_is_one_sentence(cube, dialogs):
    """The extent of features says nothing of where between its edges they are."""
    left, top = corner(cube)
    layer = parcels((left - 5000, top + 5000), (left + 5000, top - 5000))
    dialog = dialogs()
    tick(dialog, layer)
    assert cell(dialog, layer, PLACE) == "covers the cube"
    dialog.attach.click()
    kind, text = ended(dialog)
    assert kind == "error" and "parcels has no feature within the cube" in text
    assert "\n" not in text and "Traceback" not in text


def test_places_of_points_and_of_layers_without_features(cube, dialogs):
    left, top = corner(cube)
    point = QgsVectorLayer("Point?crs=EPSG:32632", "point", "memory")
    feature = QgsFeature()
    feature.setGeometry(QgsGeometry.fromPointXY(QgsPointXY(left + 50, top - 50)))
    point.dataProvider().addFeature(feature)
    point.updateExtents()
    empty = QgsVectorLayer("Polygon?crs=EPSG:4326", "empty", "memory")
    homeless = QgsVectorLayer("Polygon", "homeless", "memory")
    homeless.setCrs(QgsCoordinateReferenceSystem())
    QgsProject.instance().addMapLayers([point, empty, homeless])
    dialog = dialogs()
    assert cell(dialog, point, PLACE) == "covers part"
    assert cell(dialog, empty, PLACE) == "has no extent"
    assert cell(dialog, homeless, PLACE) == "cannot be used"
    tick(dialog, homeless)
    assert "has no CRS" in dialog.problem()


def test_file_that_is_no_cube_is_said(project, dialogs, tmp_path):
    path = tmp_path / "no.nc"
    path.write_text("nothing")
    dialog = dialogs(str(path))
    assert dialog.notice.kind == "error" and "no.nc" in dialog.notice.text()
    assert not dialog.attach.isEnabled()


def test_cube_that_is_not_open_can_be_chosen(made, project, dialogs, tmp_path):
    left, top = corner(made)
    raster(tmp_path, "height", left, top)
    dialog = dialogs(made)
    assert dialog.cube.path() == made
    assert dialog.layers.model.cube.names >= {"s2_B04"}
    assert "64 × 64 pixels of 10 m" in dialog.cube._facts.text()


def test_same_parameters_as_python_and_in_the_algorithms_dialog(
    cube, dialogs, tmp_path, qgis_iface, monkeypatch
):
    import processing

    # The interface of the tests lacks what QGIS's dialog asks of the real one.
    monkeypatch.setattr(qgis_iface, "browserModel", lambda: None, raising=False)

    left, top = corner(cube)
    layer = raster(tmp_path, "height", left, top)
    opened = []
    dialog = dialogs(open_algorithm=opened.append)
    choose(dialog, layer, METHOD, "cubic")
    dialog.output.file.setFilePath(str(tmp_path / "b.nc"))
    dialog.as_python.trigger()
    command = QgsApplication.clipboard().text()
    assert command.startswith("processing.run(")
    exec(command, {"processing": processing})  # noqa: S102  (our own words)
    assert (read(tmp_path / "b.nc", "height") == 7).all()
    dialog.as_algorithm.trigger()
    assert opened == [dialog.parameters()]
    made = processing.createAlgorithmDialog("minicuber:attachlayers", opened[0])
    shown = made.createProcessingParameters()
    assert shown["OPTIONS"] == opened[0]["OPTIONS"]
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    assert made.algorithm().parameterAsLayerList(shown, "LAYERS", context) == [layer]
    made.close()


def test_run_outlives_its_dialog(cube, dialogs, tmp_path):
    """A dialog that is closed leaves its run to QGIS's tasks."""
    left, top = corner(cube)
    layer = raster(tmp_path, "height", left, top)
    dialog = dialogs()
    tick(dialog, layer)
    dialog.attach.click()
    dialog.close()
    dialog.deleteLater()
    QCoreApplication.sendPostedEvents(dialog, 0)
    assert wait_until(lambda: not _running)
    QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)
    assert (read(cube, "height") == 7).all()
