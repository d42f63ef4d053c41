"""minicuber:attachlayers in QGIS: what a child that reads paths would not see, and what a row of OPTIONS may say."""

from __future__ import annotations

import numpy as np
import pytest
from gdal_rasters import corner, raster, read
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsFillSymbol,
    QgsGeometry,
    QgsPalettedRasterRenderer,
    QgsPointXY,
    QgsProcessingException,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsRendererCategory,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor, QImage

UTM = QgsCoordinateReferenceSystem("EPSG:32632")


def memory(name, geometries, crs="EPSG:32632", fields="", values=()):
    layer = QgsVectorLayer(f"{geometries[0].split(' ')[0]}?crs={crs}{fields}", name, "memory")
    for number, text in enumerate(geometries):
        feature = QgsFeature(layer.fields())
        feature.setGeometry(QgsGeometry.fromWkt(text))
        if values:
            feature.setAttributes(list(values[number]))
        layer.dataProvider().addFeature(feature)
    QgsProject.instance().addMapLayer(layer)
    return layer


def box(left, bottom, right, top):
    return f"Polygon (({left} {bottom}, {right} {bottom}, {right} {top}, {left} {top}, {left} {bottom}))"


def test_demo_layers_become_variables_in_the_project(run, cube, demo, tmp_path):
    output = tmp_path / "out.nc"
    result = run("attachlayers", {"CUBE": cube, "LAYERS": demo["LAYERS"], "OUTPUT": str(output)})
    assert set(result["COVERAGE"].replace(":", ",").split(", ")) >= {"dem", "landcover", "forest_mask"}
    names = {layer.name() for layer in QgsProject.instance().mapLayers().values()}
    assert {"dem", "landcover", "forest_mask", "s2_B08"} <= names
    heights, _ = read(output, "dem")
    assert 400 < np.nanmin(heights) < np.nanmax(heights) < 2000
    forest, attributes = read(output, "forest_mask")
    assert set(np.unique(forest)) == {0, 1} and attributes["flag_meanings"] == "outside inside"
    np.testing.assert_array_equal(read(output, "s2_B08")[0], read(cube, "s2_B08")[0])


def test_filter_unsaved_edits_and_other_crs_are_seen(run, cube, tmp_path):
    left, top, width, height = corner(cube)
    a, b = box(left, top - 100, left + 100, top), box(left + 200, top - 100, left + 300, top)
    layer = memory(
        "wood", [a, b], fields="&field=kind:string&field=n:integer", values=[("oak", 1), ("fir", 2)]
    )
    layer.setSubsetString("\"kind\" = 'fir'")
    edited = memory("cut", [a])
    edited.startEditing()
    feature = QgsFeature(edited.fields())
    feature.setGeometry(QgsGeometry.fromWkt(b))
    edited.addFeature(feature)
    change = QgsCoordinateTransform(UTM, QgsCoordinateReferenceSystem("EPSG:4326"), QgsProject.instance())
    far = QgsGeometry.fromWkt(a)
    far.transform(change)
    degrees = memory("degrees", [far.asWkt(12)], crs="EPSG:4326")
    output = tmp_path / "out.nc"
    run(
        "attachlayers",
        {"CUBE": cube, "LAYERS": [layer, edited, degrees], "OUTPUT": str(output), "LOAD": False},
    )
    only_a, only_b = np.zeros((height, width)), np.zeros((height, width))
    only_a[:10, :10], only_b[:10, 20:30] = 1, 1
    if layer.subsetString():  # QGIS 3.22 filters no memory layers
        np.testing.assert_array_equal(read(output, "wood")[0], only_b)
    np.testing.assert_array_equal(read(output, "cut")[0], only_a + only_b)
    np.testing.assert_array_equal(read(output, "degrees")[0], only_a)
    edited.rollBack()


def test_field_share_and_legend(run, cube, tmp_path):
    left, top, *_ = corner(cube)
    shapes = [box(left, top - 95, left + 95, top), box(left + 200, top - 100, left + 300, top)]
    layer = memory(
        "soil", shapes, fields="&field=kind:string&field=depth:double", values=[("clay", 0.5), ("sand", 1.5)]
    )
    categories = [
        QgsRendererCategory(kind, QgsFillSymbol.createSimple({"color": colour}), kind)
        for kind, colour in (("clay", "#aa0000"), ("sand", "#ffee00"))
    ]
    layer.setRenderer(QgsCategorizedSymbolRenderer("kind", categories))
    outputs = {}
    for method, field in (("share", ""), ("mean", "depth"), ("", "kind")):
        outputs[method] = tmp_path / f"{method or 'class'}.nc"
        run(
            "attachlayers",
            {
                "CUBE": cube, "LAYERS": [layer], "OPTIONS": ["soil", "v", method, field],
                "OUTPUT": str(outputs[method]), "LOAD": False,
            },
        )  # fmt: skip
    share, _ = read(outputs["share"], "v")
    assert share[0, 0] == 1 and share[0, 9] == pytest.approx(0.5) and share[9, 9] == pytest.approx(0.25)
    depth, _ = read(outputs["mean"], "v")
    assert depth[0, 0] == 0.5 and depth[0, 25] == 1.5 and np.isnan(depth[0, 15])
    classes, attributes = read(outputs[""], "v")
    assert attributes["flag_meanings"] == "none clay sand"
    assert attributes["flag_colors"] == "#ffffff #aa0000 #ffee00"
    assert (classes[0, 0], classes[0, 15], classes[0, 25]) == (1, 0, 2)


def test_assigned_crs_classes_and_colours_of_a_raster(run, cube, tmp_path):
    left, top, width, height = corner(cube)
    values = np.ones((height, width), np.uint8)
    values[:, 10:] = 4
    layer = QgsRasterLayer(raster(tmp_path / "a.tif", values, left, top, epsg=None), "cover")
    layer.setCrs(UTM)
    kinds = [
        QgsPalettedRasterRenderer.Class(1, QColor("#112233"), "Open land"),
        QgsPalettedRasterRenderer.Class(4, QColor("#445566"), "Forest"),
    ]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, kinds))
    QgsProject.instance().addMapLayer(layer)
    output = tmp_path / "out.nc"
    run("attachlayers", {"CUBE": cube, "LAYERS": [layer], "OUTPUT": str(output), "LOAD": False})
    stored, attributes = read(output, "cover")
    np.testing.assert_array_equal(stored, values)
    assert (
        attributes["flag_meanings"] == "Open_land Forest" and attributes["flag_colors"] == "#112233 #445566"
    )


def test_nodata_that_the_user_set_is_missing(run, cube, tmp_path):
    """The file does not say it."""
    from qgis.core import QgsRasterRange

    left, top, width, height = corner(cube)
    values = np.full((height, width), 5, np.float32)
    values[:4] = 77
    layer = QgsRasterLayer(raster(tmp_path / "a.tif", values, left, top), "height")
    layer.dataProvider().setUserNoDataValue(1, [QgsRasterRange(77, 77)])
    QgsProject.instance().addMapLayer(layer)
    output = tmp_path / "out.nc"
    run("attachlayers", {"CUBE": cube, "LAYERS": [layer], "OUTPUT": str(output), "LOAD": False})
    stored, _ = read(output, "height")
    assert np.isnan(stored[:4]).all() and (stored[4:] == 5).all()


def test_tiles_of_a_service_are_handed_over_by_qgis(run, cube, tmp_path):
    """A basemap: no file that a child could read, in the CRS of the web. Its colours are bands."""
    left, top, width, height = corner(cube)
    web = QgsCoordinateTransform(UTM, QgsCoordinateReferenceSystem("EPSG:3857"), QgsProject.instance())
    size, half = 40_075_016.685578488 / 2**15, 20_037_508.342789244
    there = web.transformBoundingBox(
        QgsRectangle(left - 99, top - 10 * height - 99, left + 10 * width + 99, top + 99)
    )
    for column in range(int((there.xMinimum() + half) // size), int((there.xMaximum() + half) // size) + 1):
        folder = tmp_path / "15" / str(column)
        folder.mkdir(parents=True)
        for row in range(int((half - there.yMaximum()) // size), int((half - there.yMinimum()) // size) + 1):
            image = QImage(256, 256, QImage.Format.Format_ARGB32)
            image.fill(QColor(10 + 40 * (column % 5), 20 + 40 * (row % 5), 200))
            image.save(str(folder / f"{row}.png"))
    source = f"type=xyz&url=file://{tmp_path}/%7Bz%7D/%7Bx%7D/%7By%7D.png&zmin=15&zmax=15"
    layer = QgsRasterLayer(source, "basemap", "wms")
    assert layer.isValid()
    QgsProject.instance().addMapLayer(layer)
    output = tmp_path / "out.nc"
    for variable, band in (("red", ""), ("green", "Green"), ("blue", "3")):
        row = ["basemap", variable, "", band]
        run(
            "attachlayers",
            {"CUBE": cube, "LAYERS": [layer], "OPTIONS": row, "OUTPUT": str(output), "LOAD": False},
        )
        stored, attributes = read(output, variable)
        assert "by QGIS" in attributes["resampling"]
        x, y = np.meshgrid(left + 10 * np.arange(width) + 5, top - 10 * np.arange(height) - 5)
        points = [web.transform(QgsPointXY(*pair)) for pair in zip(x.ravel(), y.ravel())]
        column = np.array([(point.x() + half) / size for point in points]).reshape(x.shape)
        line = np.array([(half - point.y()) / size for point in points]).reshape(x.shape)
        expected = {
            "red": 10 + 40 * (column // 1 % 5),
            "green": 20 + 40 * (line // 1 % 5),
            "blue": 200 + 0 * x,
        }
        inner = np.minimum(np.abs(column - np.rint(column)), np.abs(line - np.rint(line))) > 0.02
        np.testing.assert_array_equal(stored[inner], expected[variable][inner])


def test_lv95_and_lat_lon_rasters_and_sublayers(run, cube, tmp_path):
    left, top, width, height = corner(cube)
    change = QgsCoordinateTransform(UTM, QgsCoordinateReferenceSystem("EPSG:2056"), QgsProject.instance())
    there = change.transformBoundingBox(QgsRectangle(left, top - 10 * height, left + 10 * width, top))
    x = np.arange(400) * 10 + there.xMinimum() - 300
    plane = np.tile(x, (400, 1)).astype(np.float32)
    lv95 = raster(tmp_path / "lv95.tif", plane, x[0] - 5, there.yMaximum() + 300, epsg=2056)
    package = str(tmp_path / "many.gpkg")
    for number, name in enumerate(("one", "two")):
        layer = memory(name, [box(left + 100 * number, top - 50, left + 100 * number + 50, top)])
        options = QgsVectorFileWriter.SaveVectorOptions()
        options.driverName, options.layerName = "GPKG", name
        if number:
            options.actionOnExistingFile = QgsVectorFileWriter.CreateOrOverwriteLayer
        QgsVectorFileWriter.writeAsVectorFormatV3(
            layer, package, QgsProject.instance().transformContext(), options
        )
    sublayers = [QgsVectorLayer(f"{package}|layername={name}", "many", "ogr") for name in ("one", "two")]
    QgsProject.instance().addMapLayers(sublayers)
    order = {
        "CUBE": cube, "LAYERS": [lv95, *sublayers], "OUTPUT": str(tmp_path / "out.nc"), "LOAD": False,
        "OPTIONS": ["lv95", "east", "bilinear", "", "one", "first_one", "", "", "3", "second_one", "", ""],
    }  # fmt: skip
    run("attachlayers", order)
    east, _ = read(tmp_path / "out.nc", "east")
    back = QgsCoordinateTransform(UTM, QgsCoordinateReferenceSystem("EPSG:2056"), QgsProject.instance())
    place = back.transform(left + 505, top - 305)
    assert east[30, 50] == pytest.approx(place.x(), abs=0.1)
    assert (
        read(tmp_path / "out.nc", "first_one")[0][0, 0] == 1
        and read(tmp_path / "out.nc", "second_one")[0][0, 12] == 1
    )
    with pytest.raises(QgsProcessingException, match="'many' fits several layers"):
        run("attachlayers", {**order, "OPTIONS": ["many", "x", "", ""]})
    with pytest.raises(QgsProcessingException, match="'nothing' fits no layer"):
        run("attachlayers", {**order, "OPTIONS": ["nothing", "x", "", ""]})


def test_raster_that_misses_the_cube_is_refused(run, cube, tmp_path):
    left, top, *_ = corner(cube)
    far = raster(tmp_path / "far.tif", np.ones((5, 5), np.float32), left + 90_000, top)
    with pytest.raises(QgsProcessingException, match="The layer far has no value within the cube"):
        run("attachlayers", {"CUBE": cube, "LAYERS": [far], "OUTPUT": str(tmp_path / "out.nc")})
    assert not (tmp_path / "out.nc").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"LAYERS": []}, "LAYERS is empty"),
        ({"LAYERS": ["/nowhere.tif"]}, "LAYERS"),
        ({"OPTIONS": ["1", "x", "lanczos", ""]}, "cannot be brought onto the grid by 'lanczos'"),
        ({"OPTIONS": ["1", "x", "", "9"]}, "has no band 9"),
        ({"OPTIONS": ["1", "s2_B02", "", ""], "REPLACE": False}, "has a variable s2_B02 already"),
        ({"CUBE": ""}, "CUBE"),
    ],
)
def test_wrong_use_is_one_sentence(run, cube, demo, tmp_path, changes, message):
    order = {"CUBE": cube, "LAYERS": demo["LAYERS"][:1], "OUTPUT": str(tmp_path / "out.nc"), **changes}
    with pytest.raises(QgsProcessingException, match=message):
        run("attachlayers", order)
    assert not (tmp_path / "out.nc").exists()
