"""Layers in the project: a group per cube, styled, dated, replaced in place, from any thread."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from minicuber.processing.groups import update_group
from minicuber.processing.project import loader
from qgis.core import Qgis, QgsApplication, QgsLayerTreeGroup, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication, Qt


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


def test_loading_again_keeps_what_the_user_made_of_a_layer(run, cube):
    run("loadminicube", {"CUBE": cube})
    (group,) = groups()
    layer = layers(group)["s2_B08"]
    key = layer.id()
    layer.setName("near infrared")
    layer.renderer().contrastEnhancement().setMaximumValue(0.33)
    layer.renderer().setGrayBand(3)
    group.setName("my valley")
    nodes = {node.layer().name(): node for node in group.findLayers()}
    nodes["near infrared"].setItemVisibilityChecked(True)
    nodes["s2_rgb"].setItemVisibilityChecked(False)
    order = [node.layer().name() for node in group.findLayers()]
    run("loadminicube", {"CUBE": cube})
    (group,) = groups()
    assert group.name() == "my valley"
    assert [node.layer().name() for node in group.findLayers()] == order
    again = QgsProject.instance().mapLayer(key)
    assert again.name() == "near infrared"
    assert (again.renderer().contrastEnhancement().maximumValue(), again.renderer().grayBand()) == (0.33, 3)
    assert [n.layer().name() for n in group.findLayers() if n.itemVisibilityChecked()] == ["near infrared"]


def test_rebuilt_cube_is_shown_anew_in_the_same_layers(run, demo, tmp_path):
    order = {
        "EXTENT": demo["EXTENT"], "START": "2021-06-01", "END": "2021-06-30", "CATALOG": demo["CATALOG"],
        "S2_BANDS": ["B04", "B08"], "OUTPUT": str(tmp_path / "a.nc"),
    }  # fmt: skip
    run("buildminicube", order)
    found = layers(groups()[0])
    mine, theirs = found["s2_B04"], found["s2_B08"]
    mine.setOpacity(0.5)
    mine.renderer().setGrayBand(2)
    date = mine.bandName(2)[-10:]
    theirs.setName("B")
    run("buildminicube", {**order, "START": "2021-05-20", "LOAD": False})
    (group,) = groups()
    assert [node.layer().id() for node in group.findLayers()] == [mine.id(), theirs.id()]
    assert "2021-05-2" in group.name()
    assert theirs.bandCount() > 6
    # The user's style stays on the date that it showed, whatever its number is now.
    assert mine.opacity() == 0.5
    assert mine.bandName(mine.renderer().grayBand())[-10:] == date
    assert len(theirs.customProperty("minicuber/dates").split(",")) == theirs.bandCount()


def test_cube_that_is_not_open_is_not_loaded_when_that_was_not_asked(run, demo, tmp_path):
    run(
        "buildminicube",
        {
            "EXTENT": demo["EXTENT"], "START": "2021-06-01", "END": "2021-06-10", "CATALOG": demo["CATALOG"],
            "S2_BANDS": ["B04"], "OUTPUT": str(tmp_path / "a.nc"), "LOAD": False,
        },
    )  # fmt: skip
    assert groups() == []
    assert QgsProject.instance().mapLayers() == {}


def test_layers_of_the_user_in_the_group_are_kept(run, cube):
    run("loadminicube", {"CUBE": cube})
    mine = QgsVectorLayer("Point?crs=EPSG:32632", "mine", "memory")
    QgsProject.instance().addMapLayer(mine, False)
    groups()[0].addLayer(mine)
    run("loadminicube", {"CUBE": cube})
    assert "mine" in [layer.name() for layer in QgsProject.instance().mapLayers().values()]
    assert len(QgsProject.instance().mapLayersByName("s2_B08")) == 1


def test_group_that_was_moved_into_another_is_found(run, cube):
    run("loadminicube", {"CUBE": cube})
    root = QgsProject.instance().layerTreeRoot()
    outer = root.insertGroup(0, "outer")
    (ours,) = [group for group in root.findGroups() if group is not outer and group.name() != "outer"]
    outer.addChildNode(ours.clone())
    root.removeChildNode(ours)
    run("loadminicube", {"CUBE": cube})
    assert len(QgsProject.instance().mapLayersByName("s2_B08")) == 1
    assert [group.name()[:6] for group in root.findGroups()] == ["outer"]
    assert [group.name()[:6] for group in outer.findGroups()] == ["valley"]


def test_layers_of_a_group_that_was_dissolved_are_brought_up_to_date_where_they_are(run, cube):
    run("loadminicube", {"CUBE": cube})
    root = QgsProject.instance().layerTreeRoot()
    (group,) = groups()
    ids = set(QgsProject.instance().mapLayers())
    for node in group.findLayers():
        root.addChildNode(node.clone())
    group.removeCustomProperty("minicuber/source")
    root.removeChildNode(group)
    run("loadminicube", {"CUBE": cube})
    assert groups() == []
    assert set(QgsProject.instance().mapLayers()) == ids
    assert all(layer.isValid() for layer in QgsProject.instance().mapLayers().values())


def test_layer_that_cannot_be_shown_is_said(qgis_app, tmp_path):
    said = []
    QgsApplication.messageLog().messageReceived.connect(lambda text, tag, level: said.append((tag, text)))
    update_group(QgsProject.instance(), "x", "x", [{"path": str(tmp_path / "no.tif"), "name": "lost"}])
    assert [text for tag, text in said if tag == "Minicuber"] == [
        f"lost cannot be shown: {tmp_path / 'no.tif'}"
    ]
    QgsProject.instance().clear()


def test_cube_that_another_program_cut_and_thinned_is_shown_where_and_when_it_is(run, cube, tmp_path):
    # It keeps our attributes, GeoTransform too; its coordinates tell the truth.
    target = tmp_path / "cut.nc"
    code = (
        "import sys, xarray as xr\n"
        "with xr.open_dataset(sys.argv[1]) as cube:\n"
        "    part = cube.isel(x=slice(10, 40), y=slice(20, 50), time=slice(None, None, 2)).load()\n"
        "part['ndvi'] = ((part.s2_B08 - part.s2_B04) / (part.s2_B08 + part.s2_B04)).astype('float32')\n"
        "part.to_netcdf(sys.argv[2], engine='h5netcdf')\n"
    )
    subprocess.run([os.environ["MINICUBER_PYTHON"], "-I", "-c", code, cube, str(target)], check=True)
    run("loadminicube", {"CUBE": cube})
    whole = layers(groups()[0])["s2_B08"]
    bounds, days = whole.extent(), [whole.bandName(n)[-10:] for n in range(1, 14)]
    run("loadminicube", {"CUBE": str(target)})
    found = layers(next(group for group in groups() if group.name().startswith("cut")))
    part = found["s2_B08"]
    assert (part.extent().xMinimum(), part.extent().yMaximum()) == (
        bounds.xMinimum() + 100,
        bounds.yMaximum() - 200,
    )
    assert (part.width(), part.height()) == (30, 30)
    assert [part.bandName(n)[-10:] for n in range(1, part.bandCount() + 1)] == days[::2]
    assert found["ndvi"].isValid()
    middle = part.extent().center()
    values = found["ndvi"].dataProvider().sample(middle, 1)
    assert -1 <= values[0] <= 1


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


def by_date(group):
    """Name of a group within a cube's group to its layers."""
    inner = [child for child in group.children() if isinstance(child, QgsLayerTreeGroup)]
    return {child.name(): child for child in inner}


def test_layer_for_each_date_has_its_day_and_shows_it(run, cube):
    result = run("loadminicube", {"CUBE": cube, "VARIABLES": "s2_B08,s2_mask,s2_rgb", "PER_DATE": True})
    assert result["N_LAYERS"] == 3 + 3 * 13
    (group,) = groups()
    inner = by_date(group)
    assert sorted(inner) == ["s2_B08 by date", "s2_mask by date", "s2_rgb by date"]
    for folder in inner.values():
        assert not folder.isExpanded()
        assert not folder.itemVisibilityChecked()
        assert all(node.itemVisibilityChecked() for node in folder.findLayers())
    bands = inner["s2_B08 by date"].findLayers()
    dates = [layers(group)["s2_B08"].bandName(number)[-10:] for number in range(1, 14)]
    assert [node.layer().name() for node in bands] == [f"s2_B08 {date}" for date in dates]
    third = bands[2].layer()
    point = third.extent().center()
    series = layers(group)["s2_B08"].dataProvider()
    assert third.dataProvider().sample(point, third.renderer().grayBand()) == series.sample(point, 3)
    day = third.temporalProperties().fixedTemporalRange()
    assert third.temporalProperties().isActive()
    assert day.begin().toString("yyyy-MM-dd HH:mm") == f"{dates[2]} 00:00"
    assert day.begin().timeSpec() == day.end().timeSpec() == Qt.TimeSpec.UTC
    assert day.begin().secsTo(day.end()) == 86400
    assert day.includeBeginning() and not day.includeEnd()
    mask = inner["s2_mask by date"].findLayers()[2].layer()
    assert [c.label for c in mask.renderer().classes()][:2] == ["clear", "cloud"]
    colours = inner["s2_rgb by date"].findLayers()[2].layer()
    names = [colours.bandName(band) for band in colours.renderer().usesBands()]
    assert [name[-17:] for name in names] == [f"s2_{band} {dates[2]}" for band in ("B04", "B03", "B02")]
    assert not list(Path(cube).parent.glob("**/vrt:*"))


def test_layers_by_date_stay_when_the_cube_is_rebuilt_and_go_when_not_asked_for(run, demo, tmp_path):
    order = {
        "EXTENT": demo["EXTENT"], "START": "2021-06-01", "END": "2021-06-10", "CATALOG": demo["CATALOG"],
        "S2_BANDS": ["B04"], "OUTPUT": str(tmp_path / "a.nc"),
    }  # fmt: skip
    run("buildminicube", {**order, "LOAD": False})
    run("loadminicube", {"CUBE": order["OUTPUT"], "PER_DATE": True})
    few = len(by_date(groups()[0])["s2_B04 by date"].findLayers())
    run("buildminicube", {**order, "END": "2021-06-20"})
    many = by_date(groups()[0])["s2_B04 by date"].findLayers()
    assert len(many) == few + 2
    assert all(node.layer().isValid() for node in many)
    assert not by_date(groups()[0])["s2_B04 by date"].itemVisibilityChecked()
    run("loadminicube", {"CUBE": order["OUTPUT"]})
    assert by_date(groups()[0]) == {}
    assert len(QgsProject.instance().mapLayers()) == 1


def test_layers_by_date_are_bounded(run, cube, feedback_class, monkeypatch):
    from minicuber.processing.algorithms import loadminicube

    feedback = feedback_class()
    monkeypatch.setattr(loadminicube, "MANY_LAYERS", 12)
    run("loadminicube", {"CUBE": cube, "VARIABLES": "s2_B08", "PER_DATE": True}, feedback)
    assert any("13 layers, one for each date" in word for word in feedback.words)
    QgsProject.instance().clear()
    monkeypatch.setattr(loadminicube, "MOST_LAYERS", 25)
    with pytest.raises(Exception, match="would be 26 layers; QGIS bears 25 of them"):
        run("loadminicube", {"CUBE": cube, "VARIABLES": "s2_B08,s2_B04", "PER_DATE": True})
    assert groups() == []


def test_metadata_says_whose_data_it_is(run, cube):
    run("loadminicube", {"CUBE": cube})
    found = layers(groups()[0])
    for name in ("s2_rgb", "s2_B08", "s2_mask"):
        metadata = found[name].metadata()
        assert metadata.rights() == ["Contains modified Copernicus Sentinel data"], name
        assert "Contains modified Copernicus Sentinel data" in metadata.licenses()
        assert any(link.url.startswith("https://sentinels.copernicus.eu/") for link in metadata.links())
        assert "13 dates, 2021-06-" in metadata.abstract()
        assert "Catalog: " in metadata.abstract()
        assert "buildminicube" in metadata.history()[0]
    assert found["s2_B08"].metadata().title() == "Sentinel-2 B08, near infrared"


def test_cube_that_is_none_is_one_sentence(run, tmp_path):
    (tmp_path / "a.nc").write_text("hello")
    with pytest.raises(Exception, match=r"a\.nc is not a readable NetCDF"):
        run("loadminicube", {"CUBE": str(tmp_path / "a.nc")})
    with pytest.raises(Exception, match="CUBE does not exist"):
        run("loadminicube", {"CUBE": str(tmp_path / "b.nc")})


def test_layers_folder_is_made_again_when_it_is_lost(run, cube, tmp_path):
    copy = tmp_path / "copy.nc"
    shutil.copy(cube, copy)
    run("loadminicube", {"CUBE": str(copy)})
    layer = QgsRasterLayer(str(tmp_path / "copy.layers/s2_B04.vrt"), "x", "gdal")
    assert layer.isValid()
    assert layer.bandCount() == 13
