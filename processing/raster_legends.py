"""What classes a raster has: of the style of its layer, else of its file: attribute table, category names, colours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from osgeo import gdal
from qgis.core import QgsRasterLayer

WHOLE = ("Byte", "Int8", "UInt16", "Int16", "UInt32", "Int32", "UInt64", "Int64")
MIXING = ("bilinear", "cubic", "average", "median")  # methods of which classes have none


@dataclass
class RasterLegend:
    """`names`: value (as text) to name, `colours`: value to #rrggbb, of band `band` of the layer. `why`: what makes
    them classes, empty where there are none."""

    band: int = 0
    why: str = ""
    names: dict[str, str] = field(default_factory=dict)
    colours: dict[str, str] = field(default_factory=dict)


def legend_of_style(layer: QgsRasterLayer) -> RasterLegend:
    """The classes of a layer that shows unique values, all of them whole numbers; a label that only repeats the value
    is no name."""
    renderer = layer.renderer()
    if renderer is None or renderer.type() != "paletted":
        return RasterLegend()
    band = renderer.inputBand() if hasattr(renderer, "inputBand") else renderer.band()
    classes = renderer.classes()
    if not classes or any(float(each.value) != int(each.value) for each in classes):
        return RasterLegend()
    legend = RasterLegend(band, "unique values of the style")
    for each in classes:
        value = str(int(each.value))
        legend.colours[value] = each.color.name()
        if each.label.strip() and not _is_number(each.label, each.value):
            legend.names[value] = each.label
    return legend


def legend_of_file(path: str, band: int) -> RasterLegend:
    """The classes that a file says of a band (from 1) of whole numbers: by its raster attribute table, else by its
    category names and colour table. None of a file that GDAL does not open; whoever reads it says why."""
    try:
        file = gdal.Open(path)
        found = file.GetRasterBand(band) if file is not None else None
    except RuntimeError:  # as GDAL is asked to be in some programs, and is in newer versions
        return RasterLegend()
    if found is None or gdal.GetDataTypeName(found.DataType) not in WHOLE:
        return RasterLegend()
    if (found.GetScale() or 1.0, found.GetOffset() or 0.0) != (1.0, 0.0):
        return RasterLegend()
    legend = _of_table(found.GetDefaultRAT(), band)
    colours = _of_colour_table(found.GetColorTable())
    names = {str(value): name for value, name in enumerate(found.GetCategoryNames() or ()) if name}
    if legend.why:
        legend.names = legend.names or names
        legend.colours = legend.colours or colours
        return legend
    if names:
        return RasterLegend(band, "category names of the file", names, colours)
    return RasterLegend(band, "colour table", {}, colours) if colours else RasterLegend()


def completed(style: RasterLegend, file: RasterLegend) -> RasterLegend:
    """The classes of the style, with the names that the file has of those that the style does not name."""
    if not style.why or file.band != style.band:
        return style if style.why else file
    known = {value: name for value, name in file.names.items() if value in style.colours}
    return RasterLegend(style.band, style.why, {**known, **style.names}, style.colours)


def _of_table(table: Any, band: int) -> RasterLegend:
    """The classes of a raster attribute table: a row for each value. One that counts pixels in bins has none."""
    if table is None or not table.GetRowCount():
        return RasterLegend()
    if hasattr(table, "GetTableType") and table.GetTableType() == gdal.GRTT_ATHEMATIC:
        return RasterLegend()
    columns = range(table.GetColumnCount())
    usage = {table.GetUsageOfCol(column): column for column in reversed(columns)}
    texts = [column for column in columns if table.GetTypeOfCol(column) == gdal.GFT_String]
    name = usage.get(gdal.GFU_Name, texts[0] if texts else None)
    bands = [usage.get(each) for each in (gdal.GFU_Red, gdal.GFU_Green, gdal.GFU_Blue)]
    if name is None and None in bands:
        return RasterLegend()
    legend = RasterLegend(band, "raster attribute table")
    for row in range(table.GetRowCount()):
        value = _value_of(table, usage, row)
        if value is None:
            return RasterLegend()
        text = (table.GetValueAsString(row, name) or "").strip() if name is not None else ""
        if text:
            legend.names[value] = text
        if None not in bands:
            legend.colours[value] = "#{:02x}{:02x}{:02x}".format(
                *(_level(table, row, each) for each in bands)
            )
    return legend


def _value_of(table: Any, usage: dict[int, int], row: int) -> str | None:
    """The value that a row of a table is of; None where it is a range, or no whole number."""
    binned, first, size = table.GetLinearBinning()
    if gdal.GFU_MinMax in usage:
        low = high = table.GetValueAsDouble(row, usage[gdal.GFU_MinMax])
    elif gdal.GFU_Min in usage and gdal.GFU_Max in usage:
        low, high = (table.GetValueAsDouble(row, usage[each]) for each in (gdal.GFU_Min, gdal.GFU_Max))
    else:
        # Without a column of values the number of the row is the value.
        low = high = first + row * size if binned else row
    return str(int(low)) if low == high and low == int(low) else None


def _level(table: Any, row: int, column: int) -> int:
    """0 to 255 of a column of red, green or blue, which some programs write as 0 to 1."""
    share = table.GetTypeOfCol(column) == gdal.GFT_Real
    level = table.GetValueAsDouble(row, column)
    return min(255, max(0, round(255 * level if share and level <= 1 else level)))


def _of_colour_table(table: Any) -> dict[str, str]:
    """Value to #rrggbb of the colours that are not transparent; empty where they are mere grey, which is no legend."""
    if table is None:
        return {}
    entries = {value: table.GetColorEntry(value) for value in range(table.GetCount())}
    entries = {value: entry for value, entry in entries.items() if entry[3]}
    if all(len(set(entry[:3])) == 1 for entry in entries.values()):
        return {}
    return {str(value): "#{:02x}{:02x}{:02x}".format(*entry[:3]) for value, entry in entries.items()}


def _is_number(text: str, value: float) -> bool:
    try:
        return float(text) == float(value)
    except ValueError:
        return False
