"""minicuber:attachlayers in QGIS: rasters with dates, legends that the file has, and sixty layers at once."""

from __future__ import annotations

import time

import numpy as np
import pytest
from gdal_rasters import corner, raster, read
from osgeo import gdal
from qgis.core import (
    Qgis,
    QgsDateTimeRange,
    QgsPalettedRasterRenderer,
    QgsProcessingException,
    QgsProject,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QDate, QDateTime, Qt, QTime
from qgis.PyQt.QtGui import QColor

EPOCH = np.datetime64("1970-01-01")
PER_BAND = getattr(getattr(Qgis, "RasterTemporalMode", None), "FixedRangePerBand", None)


@pytest.fixture
def place(cube):
    """The cube's corner, its shape and its dates."""
    left, top, width, height = corner(cube)
    days, _ = read(cube, "time")
    return left, top, (height, width), [EPOCH + int(day) for day in days]


@pytest.fixture
def attach(run, cube, tmp_path):
    """`attach(layers, **parameters)`: what the new cube holds, as `read` gives it, by name."""

    def call(layers, feedback=None, **parameters):
        output = tmp_path / "out.nc"
        order = {"CUBE": cube, "LAYERS": layers, "OUTPUT": str(output), "LOAD": False, **parameters}
        call.result = run("attachlayers", order, feedback)
        return lambda name: read(output, name)

    return call


@pytest.fixture
def tokyo(monkeypatch):
    """A machine in Japan, where that can be set."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "Asia/Tokyo")
        getattr(time, "tzset", bool)()
        yield
    getattr(time, "tzset", bool)()


def layer(path, name):
    made = QgsRasterLayer(str(path), name)
    assert made.isValid()
    QgsProject.instance().addMapLayer(made)
    return made


def day_range(day, spec=Qt.TimeSpec.UTC):
    begin = QDateTime(QDate.fromString(str(day), Qt.DateFormat.ISODate), QTime(0, 0), spec)
    return QgsDateTimeRange(begin, begin.addDays(1), True, False)


def set_day(made, day, spec=Qt.TimeSpec.UTC):
    from minicuber.processing.temporal import _fixed_mode

    properties = made.temporalProperties()
    properties.setMode(_fixed_mode())
    properties.setFixedTemporalRange(day_range(day, spec))
    properties.setIsActive(True)


def test_rows_that_name_one_variable_make_it_one_over_time(attach, place, tmp_path, feedback_class):
    left, top, shape, days = place
    chosen = [days[4], days[0], days[2] + 1]
    paths = [
        raster(tmp_path / f"vhi_{str(day).replace('-', '')}.tif", np.full(shape, n, np.float32), left, top)
        for n, day in enumerate(chosen)
    ]
    rows = [cell for path in paths for cell in (path, "vhi", "", "")]
    feedback = feedback_class()
    made = attach(paths, feedback, OPTIONS=rows)
    values, attributes = made("vhi")
    expected = np.full(len(days), np.nan)
    expected[4], expected[0] = 0, 1
    np.testing.assert_array_equal(values[:, 5, 5], expected)
    assert attributes["steps_with_raster"] == 2 and any(
        f"2 of the {len(days)} steps" in w for w in feedback.words
    )
    taken, _ = made("vhi_date")
    assert EPOCH + int(taken[4]) == days[4] and (taken[1:4] < -100_000).all()
    values, _ = attach(paths, OPTIONS=rows, DATE_MATCH="nearest", DATE_TOLERANCE=1)("vhi")
    expected[2] = 2
    np.testing.assert_array_equal(values[:, 5, 5], expected)
    values, _ = attach(paths, OPTIONS=rows, DATE_MATCH="last")("vhi")
    np.testing.assert_array_equal(values[:, 5, 5], [1, 1, 1, 2, *[0] * (len(days) - 4)])


@pytest.mark.parametrize("spec", [Qt.TimeSpec.UTC, Qt.TimeSpec.LocalTime])
def test_dates_of_temporal_properties_count_as_they_are_written(attach, place, tmp_path, spec, tokyo):
    """In local time midnight of a date is another UTC date east of Greenwich."""
    left, top, shape, days = place
    layers = []
    for n in (1, 3):
        layers.append(
            layer(raster(tmp_path / f"{n}.tif", np.full(shape, n, np.float32), left, top), "moisture")
        )
        set_day(layers[-1], days[n], spec)
    values, _ = attach(layers)("moisture")
    expected = np.full(len(days), np.nan)
    expected[1], expected[3] = 1, 3
    np.testing.assert_array_equal(values[:, 0, 0], expected)


@pytest.mark.skipif(PER_BAND is None, reason="QGIS before 3.38 has no temporal range per band")
def test_temporal_ranges_of_bands_are_dates(attach, place, tmp_path):
    left, top, shape, days = place
    values = np.stack([np.full(shape, n, np.float32) for n in (1, 2)])
    made = layer(raster(tmp_path / "a.tif", values, left, top), "moisture")
    properties = made.temporalProperties()
    properties.setMode(PER_BAND)
    properties.setFixedRangePerBand({1: day_range(days[2]), 2: day_range(days[0])})
    properties.setIsActive(True)
    found, _ = attach([made])("moisture")
    assert found[0, 0, 0] == 2 and found[2, 0, 0] == 1 and np.isnan(found[1]).all()


def test_bands_named_by_dates_are_a_series_and_a_chosen_one_is_not(attach, place, tmp_path):
    left, top, shape, days = place
    values = np.stack([np.full(shape, n, np.float32) for n in range(3)])
    path = raster(tmp_path / "stack.tif", values, left, top, names=[str(day) for day in days[1:4]])
    found, _ = attach([path])("stack")
    assert found.shape[0] == len(days) and found[1:4, 0, 0].tolist() == [0, 1, 2]
    found, _ = attach([path], OPTIONS=["stack", "one", "", str(days[3])])("one")
    assert found.ndim == 2 and (found == 2).all()


def test_layers_of_another_cube_are_dated_variables_here(attach, run, cube, place):
    """The layers of a cube in the project name their bands by date: what was cleaned elsewhere can be attached."""
    run("loadminicube", {"CUBE": cube, "VARIABLES": ["s2_B04"]})
    (shown,) = [each for each in QgsProject.instance().mapLayers().values() if each.name() == "s2_B04"]
    found, attributes = attach([shown], OPTIONS=["1", "again", "", ""])("again")
    stored, _ = read(cube, "s2_B04")
    scaled = np.where(stored == -32768, np.nan, stored * 1e-4)
    np.testing.assert_allclose(found, scaled, atol=1e-6)
    assert attributes["resampling"] == "none, the lattices are equal"


def test_undated_layers_of_one_name_and_dates_that_never_meet_are_refused(attach, place, tmp_path):
    left, top, shape, _ = place
    values = np.ones(shape, np.float32)
    paths = [
        raster(tmp_path / f"{name}.tif", values, left, top) for name in ("a", "b_19990101", "c_19990102")
    ]
    rows = [cell for path in paths for cell in (path, "wet", "", "")]
    with pytest.raises(QgsProcessingException, match=r"3 layers would become the variable wet.* a has none"):
        attach(paths, OPTIONS=rows)
    with pytest.raises(QgsProcessingException, match="of 1999-01-01 to 1999-01-02, the cube is of 2021"):
        attach(paths[1:], OPTIONS=rows[4:])
    with pytest.raises(QgsProcessingException, match="DATE_PATTERN has no year"):
        attach(paths, OPTIONS=rows, DATE_PATTERN="%d%m")


def attribute_table(path, rows, columns):
    """Write a raster attribute table: `columns` are (name, type, usage)."""
    file = gdal.Open(path, gdal.GA_Update)
    table = gdal.RasterAttributeTable()
    for name, kind, usage in columns:
        table.CreateColumn(name, kind, usage)
    table.SetRowCount(len(rows))
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            (table.SetValueAsString if isinstance(cell, str) else table.SetValueAsDouble)(row, column, cell)
    file.GetRasterBand(1).SetDefaultRAT(table)
    file.FlushCache()


VALUE = ("Value", gdal.GFT_Integer, gdal.GFU_MinMax)
NAME = ("Class", gdal.GFT_String, gdal.GFU_Name)
COLOURS = [
    (name, gdal.GFT_Integer, usage)
    for name, usage in (("R", gdal.GFU_Red), ("G", gdal.GFU_Green), ("B", gdal.GFU_Blue))
]


def test_attribute_table_is_the_legend_of_a_layer_without_classes(attach, place, tmp_path):
    left, top, shape, _ = place
    values = np.full(shape, 3, np.uint8)
    values[:, 10:] = 7
    path = raster(tmp_path / "soil.tif", values, left, top)
    attribute_table(
        path, [(3, "Cambisol", 170, 0, 0), (7, "Fluvisol, gleyic", 0, 0, 255)], [VALUE, NAME, *COLOURS]
    )
    found, said = attach([layer(path, "soil")])("soil")
    np.testing.assert_array_equal(found, values)
    assert said["flag_meanings"] == "Cambisol Fluvisol_gleyic" and said["flag_colors"] == "#aa0000 #0000ff"
    # Newer versions of QGIS style a layer by its attribute table when they open it.
    why = ("auto: classes (raster attribute table)", "auto: classes (unique values of the style)")
    assert said["resampling_choice"].startswith(why)
    # A method that mixes values is the user's word that they are numbers.
    found, said = attach([path], OPTIONS=["1", "soil", "average", ""])("soil")
    assert "flag_values" not in said and "average mixes values" in said["resampling_choice"]


def test_attribute_table_of_bins_is_no_legend(attach, place, tmp_path):
    left, top, shape, _ = place
    path = raster(tmp_path / "height.tif", np.full(shape, 90, np.uint8), left, top)
    columns = [("Low", gdal.GFT_Real, gdal.GFU_Min), ("High", gdal.GFT_Real, gdal.GFU_Max), NAME]
    attribute_table(path, [(0.0, 50.0, "low"), (50.0, 255.0, "high")], columns)
    _, said = attach([path])("height")
    assert "flag_values" not in said
    assert said["resampling_choice"].startswith("auto: continuous (whole numbers without a legend)")


def test_category_names_and_colour_table_of_a_file(attach, place, tmp_path):
    left, top, shape, _ = place
    path = raster(tmp_path / "cover.tif", np.full(shape, 2, np.uint8), left, top)
    file = gdal.Open(path, gdal.GA_Update)
    table = gdal.ColorTable()
    for value, colour in ((0, (9, 9, 9, 255)), (1, (0, 100, 0, 255)), (2, (255, 255, 76, 255))):
        table.SetColorEntry(value, colour)
    file.GetRasterBand(1).SetColorTable(table)
    file.GetRasterBand(1).SetCategoryNames(["none", "Forest", "Grass land"])
    del file
    _, said = attach([path])("cover")
    assert said["flag_meanings"] == "none Forest Grass_land"
    assert said["flag_colors"] == "#090909 #006400 #ffff4c"


def test_style_without_names_takes_those_of_the_file(attach, place, tmp_path):
    """QGIS labels classes by their value until somebody writes more."""
    left, top, shape, _ = place
    path = raster(tmp_path / "soil.tif", np.full(shape, 3, np.uint8), left, top)
    attribute_table(path, [(3, "Cambisol"), (7, "Fluvisol")], [VALUE, NAME])
    made = layer(path, "soil")
    kinds = [
        QgsPalettedRasterRenderer.Class(3, QColor("#112233"), "3"),
        QgsPalettedRasterRenderer.Class(7, QColor("#445566"), "Wet soil"),
    ]
    made.setRenderer(QgsPalettedRasterRenderer(made.dataProvider(), 1, kinds))
    _, said = attach([made])("soil")
    assert said["flag_meanings"] == "Cambisol Wet_soil" and said["flag_colors"] == "#112233 #445566"
    assert "unique values of the style" in said["resampling_choice"]


def test_sixty_layers_at_once(attach, place, tmp_path):
    """As the forest study had them: classes and numbers, in two resolutions and two CRS; each keeps its own values."""
    left, top, shape, _ = place
    layers = []
    for n in range(60):
        if n % 3 == 0:  # in degrees, around the cube
            path = raster(tmp_path / f"v{n}.tif", np.full((60, 60), n, np.float32), 7.6, 47.1, 0.01, 4326)
        elif n % 3 == 1:
            path = raster(tmp_path / f"v{n}.tif", np.full((40, 40), n, np.uint8), left - 300, top + 300, 60)
        else:
            path = raster(tmp_path / f"v{n}.tif", np.full(shape, n, np.float32), left, top)
        layers.append(layer(path, f"v{n}"))
    made = attach(layers)
    for n in range(60):
        values, said = made(f"v{n}")
        assert values.shape == shape and np.allclose(values, n), n
        assert said["coverage_percent"] == 100
    assert len(attach.result["COVERAGE"].split(", ")) == 60
