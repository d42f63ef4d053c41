"""Layers in the project: a group per cube, styled, dated, replaced in place, from any thread."""

from __future__ import annotations

import threading

import pytest
from minicuber.processing.project import loader
from qgis.core import Qgis, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QCoreApplication


@pytest.fixture(scope="module")
def cube(provider, demo, tmp_path_factory):
    import processing

    output = tmp_path_factory.mktemp("cube") / "valley.nc"
    return processing.run(
        "minicuber:buildminicube",
        {
            "EXTENT": demo["EXTENT"], "START": "2021-06-01", "END": "2021-07-31", "CATALOG": demo["CATALOG"],
            "S2_BANDS": ["B02", "B03", "B04", "B08", "SCL"], "S2_MASK": "scl", "OUTPUT": str(output), "LOAD": False,
        },
    )["OUTPUT"]  # fmt: skip


def groups():
    return QgsProject.instance().layerTreeRoot().findGroups()


def layers(group):
    return {node.layer().name(): node.layer() for node in group.findLayers()}


def test_group_is_named_by_file_and_period_and_shows_natural_colours_first(run, cube):
    assert run("loadminicube", {"CUBE": cube})["N_LAYERS"] == 7
    (group,) = groups()
    days = layers(group)["s2_B08"]
    assert group.name() == f"valley, {days.bandName(1)[-10:]} to {days.bandName(13)[-10:]}"
    shown = [node.layer().name() for node in group.findLayers() if node.itemVisibilityChecked()]
    assert shown == ["s2_rgb"]


def test_bands_are_dates_and_classes_have_names(run, cube):
    run("loadminicube", {"CUBE": cube})
    found = layers(groups()[0])
    assert found["s2_B08"].bandCount() == 13
    assert "2021-06-" in found["s2_B08"].bandName(1)
    classes = found["s2_mask"].renderer().classes()
    assert [c.label for c in classes] == ["clear", "cloud", "cloud shadow", "snow", "other or no data"]
    assert [c.value for c in found["s2_SCL"].renderer().classes()] == list(range(12))
    stretch = found["s2_B08"].renderer().contrastEnhancement()
    assert (stretch.minimumValue(), stretch.maximumValue()) == (0.0, 0.5)


def test_each_band_has_its_day_where_qgis_can_hold_one(run, cube):
    run("loadminicube", {"CUBE": cube})
    layer = layers(groups()[0])["s2_B08"]
    if not hasattr(getattr(Qgis, "RasterTemporalMode", None), "FixedRangePerBand"):
        assert not layer.temporalProperties().isActive()
        pytest.skip("this QGIS has no temporal range per band (it came with 3.38)")
    ranges = layer.temporalProperties().fixedRangePerBand()
    assert len(ranges) == 13
    first = ranges[1]
    assert first.begin().toString("yyyy-MM-dd HH:mm") == layer.bandName(1)[-10:] + " 00:00"
    assert first.begin().secsTo(first.end()) == 86400
    assert first.includeBeginning() and not first.includeEnd()


def test_chosen_variables_alone_are_loaded_and_unknown_ones_named(run, cube):
    assert run("loadminicube", {"CUBE": cube, "VARIABLES": "s2_B08, s2_mask"})["N_LAYERS"] == 2
    with pytest.raises(Exception, match="no variable s2_B99"):
        run("loadminicube", {"CUBE": cube, "VARIABLES": "s2_B99"})


def test_loading_again_replaces_the_group_in_its_place(run, cube, tmp_path):
    run("loadminicube", {"CUBE": cube})
    root = QgsProject.instance().layerTreeRoot()
    root.insertGroup(0, "on top")
    run("loadminicube", {"CUBE": cube, "VARIABLES": "s2_B08"})
    assert [group.name()[:6] for group in root.findGroups()] == ["on top", "valley"]
    assert len(QgsProject.instance().mapLayers()) == 1


def test_loading_from_another_thread_happens_on_the_main_one(run, cube):
    entry = {
        "variable": "s2_B08", "path": cube.replace(".nc", ".layers/s2_B08.vrt"), "kind": "reflectance",
        "long_name": "x", "units": "1", "dates": ["2021-06-01"], "classes": {}, "best": 1,
    }  # fmt: skip
    thread = threading.Thread(target=lambda: loader().request("from a thread", "x", [entry]))
    thread.start()
    thread.join()
    assert groups() == []
    QCoreApplication.processEvents()
    assert [group.name() for group in groups()] == ["from a thread"]


def test_demo_layers_are_loaded_as_they_are(run, tmp_path):
    run("createdemodata", {"OUTPUT": str(tmp_path / "demo")})
    (group,) = groups()
    assert set(layers(group)) == {"dem", "landcover", "forest_mask"}
    assert all(layer.isValid() for layer in layers(group).values())


def test_cube_that_is_none_is_one_sentence(run, tmp_path):
    (tmp_path / "a.nc").write_text("hello")
    with pytest.raises(Exception, match=r"a\.nc is not a readable NetCDF"):
        run("loadminicube", {"CUBE": str(tmp_path / "a.nc")})
    with pytest.raises(Exception, match="CUBE does not exist"):
        run("loadminicube", {"CUBE": str(tmp_path / "b.nc")})


def test_layers_folder_is_made_again_when_it_is_lost(run, cube, tmp_path):
    import shutil

    copy = tmp_path / "copy.nc"
    shutil.copy(cube, copy)
    run("loadminicube", {"CUBE": str(copy)})
    layer = QgsRasterLayer(str(tmp_path / "copy.layers/s2_B04.vrt"), "x", "gdal")
    assert layer.isValid()
    assert layer.bandCount() == 13
