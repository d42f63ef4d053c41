"""How the variables of a cube look, of whoever's making: in colours that mean the same at all dates."""

from __future__ import annotations

import os
import subprocess
from datetime import date, timedelta

import pytest
from qgis.core import (
    QgsHillshadeRenderer,
    QgsLayerTreeModel,
    QgsPalettedRasterRenderer,
    QgsProject,
    QgsSingleBandGrayRenderer,
    QgsSingleBandPseudoColorRenderer,
)
from qgis.PyQt.QtGui import QColor, QPainter

# A cube as earthnet-minicuber writes it: time, lat, lon; packed anew in each cube; classes as floats without
# flags; elevation and land cover without dates. Half of the dates are cloud (0.9), all else is known.
EARTHNET = """
import sys, warnings
import numpy as np, xarray as xr
warnings.simplefilter("ignore")
n, size = 8, 20
dims = ("time", "lat", "lon")
time = np.datetime64("2021-05-01", "ns") + np.arange(n) * np.timedelta64(5, "D")
lat, lon = 47.3 - 2e-4 * np.arange(size), 8 + 2e-4 * np.arange(size)
row = np.broadcast_to(np.arange(size)[:, None] / size, (size, size))
def over_time(values, cloud=0.9):
    return np.stack([np.full_like(values, cloud) if k % 2 else values for k in range(n)]).astype("float32")
v = {}
for name, low in (("s2_B02", 0.02), ("s2_B03", 0.04), ("s2_B04", 0.06), ("s2_B8A", 0.2)):
    v[name] = (dims, over_time(low + 0.2 * row), {"description": "band", "provider": "Sentinel 2"})
scl = over_time(np.where(row < 0.5, 4.0, 5.0), 9.0)
scl[0, :3] = np.nan
v["s2_SCL"] = (dims, scl, {"provider": "Sentinel 2"})
v["s2_mask"] = (dims, over_time(np.zeros((size, size)), 1.0))
v["s2_ndvi"] = (dims, over_time(row * 1.5 - 0.5))
v["s2_AOT"] = (dims, over_time(0.1 + row / 10, 0.2))
v["temperature"] = (dims, over_time(280 + row, 281.0), {"units": "K"})
v["cop_dem"] = (dims[1:], (500 + 1000 * row).astype("float32"), {"units": "metre", "provider": "Copernicus DEM GLO-30"})
v["esawc_lc"] = (dims[1:], np.where(row < 0.5, 10.0, 60.0).astype("float32"))
v["forest"] = (dims[1:], (row > 0.5).astype("uint8"),
               {"flag_values": np.array([0, 1], "uint8"), "flag_meanings": "no_forest forest", "flag_colors": "#eeeeee #115511"})
v["types"] = (dims[1:], (row * 4).astype("uint8"),
              {"flag_values": np.arange(4, dtype="uint8"), "flag_meanings": "a b c d"})
cube = xr.Dataset(v, {"time": time, "lat": lat, "lon": lon}, {"history": "Created by a test", "license": "CC-BY-4.0; https://creativecommons.org/licenses/by/4.0/"})
encoding = {"s2_B8A": {"dtype": "int16", "scale_factor": 3.1e-5, "add_offset": 0.55, "_FillValue": -9999}}
cube.to_netcdf(sys.argv[1], engine="h5netcdf", encoding=encoding)
"""  # noqa: E501


@pytest.fixture(scope="module")
def earthnet(provider, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("earthnet") / "minicube.nc"
    subprocess.run([os.environ["MINICUBER_PYTHON"], "-I", "-c", EARTHNET, str(path)], check=True)
    return str(path)


@pytest.fixture
def loaded(run, earthnet):
    run("loadminicube", {"CUBE": earthnet})
    return {layer.name(): layer for layer in QgsProject.instance().mapLayers().values()}


def limits(layer):
    renderer = layer.renderer()
    if isinstance(renderer, QgsSingleBandGrayRenderer):
        stretch = renderer.contrastEnhancement()
        return stretch.minimumValue(), stretch.maximumValue()
    return renderer.classificationMin(), renderer.classificationMax()


def items(layer):
    return layer.renderer().shader().rasterShaderFunction().colorRampItemList()


def labels(layer):
    """Value to label of the classes."""
    return {c.value: c.label for c in layer.renderer().classes()}


def test_clouds_have_no_say_in_the_stretch(loaded):
    # Half of the dates are 0.9 all over. All but the tails of 0.02 to 0.21, and of 0.06 to 0.25 for red.
    low, high = limits(loaded["s2_B02"])
    assert 0.02 <= low < 0.04
    assert 0.19 < high < 0.25
    red = loaded["s2_rgb"].renderer().redContrastEnhancement()
    green = loaded["s2_rgb"].renderer().greenContrastEnhancement()
    assert (red.minimumValue(), green.minimumValue()) == (0, 0)
    assert red.maximumValue() == green.maximumValue()
    assert 0.23 < red.maximumValue() < 0.3


def test_values_that_are_packed_in_another_way_are_stretched_in_their_units(loaded):
    low, high = limits(loaded["s2_B8A"])
    assert 0.2 <= low < 0.22
    assert 0.38 < high < 0.45


def test_index_is_green_between_fixed_values(loaded):
    layer = loaded["s2_ndvi"]
    assert limits(layer) == (-0.2, 0.9)
    low, high = items(layer)[0], items(layer)[-1]
    assert (low.value, high.value) == pytest.approx((-0.2, 0.9))
    assert high.color.green() > high.color.red()
    assert low.color.red() > low.color.green()


def test_classes_without_flags_have_their_names_and_colours(loaded):
    assert isinstance(loaded["s2_SCL"].renderer(), QgsPalettedRasterRenderer)
    scl = labels(loaded["s2_SCL"])
    assert (scl[4], scl[9], len(scl)) == ("vegetation", "cloud high probability", 12)
    assert labels(loaded["s2_mask"])[2] == "cloud shadow"
    cover = {c.value: (c.label, c.color.name()) for c in loaded["esawc_lc"].renderer().classes()}
    assert cover[10] == ("tree cover", "#006400")
    assert labels(loaded["forest"]) == {0: "no forest", 1: "forest"}
    assert [c.color.name() for c in loaded["forest"].renderer().classes()] == ["#eeeeee", "#115511"]
    assert len({c.color.name() for c in loaded["types"].renderer().classes()}) == 4


def test_classes_that_are_stored_as_floats_are_drawn_in_their_colours(loaded, draw):
    image = draw(loaded["s2_SCL"])
    assert image.pixelColor(30, 20) == QColor("#00a000")
    assert image.pixelColor(30, 50) == QColor("#ffe65a")
    assert draw(loaded["esawc_lc"]).pixelColor(30, 10) == QColor("#006400")


def test_elevation_has_relief_in_a_group_of_its_own(loaded, draw):
    dem, shade = loaded["cop_dem"], loaded["cop_dem hillshade"]
    assert isinstance(dem.renderer(), QgsSingleBandPseudoColorRenderer)
    low, high = limits(dem)
    assert 500 <= low < 530
    assert 1400 < high <= 1450
    assert isinstance(shade.renderer(), QgsHillshadeRenderer)
    assert shade.blendMode() == QPainter.CompositionMode.CompositionMode_Multiply
    # Degrees are no metres: without a factor all slopes would be vertical.
    assert shade.renderer().zFactor() == pytest.approx(9e-6, rel=0.01)
    node = QgsProject.instance().layerTreeRoot().findLayer(dem)
    folder = node.parent()
    assert folder.name() == "cop_dem"
    assert [n.layer().name() for n in folder.findLayers()] == ["cop_dem hillshade", "cop_dem"]
    assert not folder.isExpanded() and not folder.itemVisibilityChecked()
    assert dem.bandCount() == 1
    assert not dem.temporalProperties().isActive()
    image = draw(shade, dem)
    assert len({image.pixel(30, row) for row in range(60)}) > 10


def test_other_numbers_have_a_ramp_over_all_but_their_tails_and_units(loaded):
    low, high = limits(loaded["temperature"])
    assert 279.9 <= low < 280.1 and 280.9 < high <= 281.1
    settings = loaded["temperature"].renderer().shader().rasterShaderFunction().legendSettings()
    assert settings.suffix() == " K"
    low, high = limits(loaded["s2_AOT"])
    assert 0.1 <= low < 0.11 and 0.19 <= high <= 0.21


def test_static_variables_come_last_and_are_not_multiplied_by_date(run, earthnet):
    run("loadminicube", {"CUBE": earthnet, "VARIABLES": "s2_B04,cop_dem,forest", "PER_DATE": True})
    (group,) = QgsProject.instance().layerTreeRoot().findGroups()
    assert [child.name() for child in group.children()] == ["s2_B04", "cop_dem", "forest", "s2_B04 by date"]
    assert len(QgsProject.instance().mapLayers()) == 4 + 8


def test_metadata_of_others_is_told_as_far_as_it_goes(loaded):
    metadata = loaded["cop_dem"].metadata()
    assert "Copernicus DEM GLO-30" in metadata.abstract()
    assert metadata.rights() == ["CC-BY-4.0"]
    assert [link.url for link in metadata.links()] == ["https://creativecommons.org/licenses/by/4.0/"]
    assert metadata.history() == ["Created by a test"]


def test_legends_are_collapsed(loaded):
    nodes = QgsProject.instance().layerTreeRoot().findLayers()
    assert len(nodes) == len(loaded)
    assert not any(node.isExpanded() for node in nodes)


def test_date_of_the_image_is_a_day_in_the_legend(run, demo, tmp_path):
    run(
        "buildminicube",
        {
            "EXTENT": demo["EXTENT"], "START": "2021-06-01", "END": "2021-07-31", "CATALOG": demo["CATALOG"],
            "S2_BANDS": ["B04", "SCL"], "TIME_AXIS": "regular", "STEP_DAYS": 10, "OUTPUT": str(tmp_path / "a.nc"),
        },
    )  # fmt: skip
    (layer,) = QgsProject.instance().mapLayersByName("s2_image_date")
    days = labels(layer)
    assert next(iter(days.values())) == "2021-06-01"
    assert days[(date(2021, 6, 15) - date(1970, 1, 1)).days] == "2021-06-15"
    # Days that follow each other differ, and no day of any step has no colour.
    colours = [c.color.name() for c in layer.renderer().classes()]
    assert all(a != b for a, b in zip(colours, colours[1:]))
    assert (
        len(days) == (date.fromisoformat(layer.bandName(layer.bandCount())[-10:]) - date(2021, 6, 1)).days + 1
    )
    # The legend has the days of the step that is shown, not those of the whole cube.
    last = date.fromisoformat(layer.bandName(layer.renderer().usesBands()[0])[-10:])
    root = QgsProject.instance().layerTreeRoot()
    model = QgsLayerTreeModel(root)
    shown = [node.data(0) for node in model.layerLegendNodes(root.findLayer(layer))]
    assert shown[1:] == [(last - timedelta(k)).isoformat() for k in range(9, -1, -1)]
