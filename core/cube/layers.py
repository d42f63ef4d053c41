"""Virtual rasters beside a cube: one VRT per variable, one band per date, named by the ISO date.

They are what QGIS shows: paths are relative, so that cube and layers move together.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
from pyproj import CRS

from ..grid import Grid
from .encoding import Variable

GDAL_TYPES = {
    "int8": "Int8",
    "uint8": "Byte",
    "int16": "Int16",
    "uint16": "UInt16",
    "int32": "Int32",
    "uint32": "UInt32",
    "float32": "Float32",
    "float64": "Float64",
}


def layers_folder(cube: Path) -> Path:
    """`NAME.layers` beside `NAME.nc`."""
    return cube.with_name(cube.stem + ".layers")


def write_layers(cube: Path, grid: Grid, dates: list[str], variables: list[Variable]) -> Path:
    """Write one VRT per variable into the cube's layers folder, which is replaced as a whole.

    `dates`: ISO dates of the bands. Returns the folder.
    """
    folder = layers_folder(cube)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=cube.parent))
    try:
        for variable in variables:
            document = vrt(f'NETCDF:"../{cube.name}":{variable.name}', grid, dates, variable)
            (fresh / f"{variable.name}.vrt").write_text(document, encoding="utf-8")
        os.chmod(fresh, 0o777 & ~0o022)
        aside = None
        if folder.exists():
            aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=cube.parent)) / "old"
            os.rename(folder, aside)
        os.rename(fresh, folder)
        if aside is not None:
            shutil.rmtree(aside.parent, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def vrt(source: str, grid: Grid, dates: list[str], variable: Variable) -> str:
    """The VRT document of one variable; `source` is relative to the VRT's folder."""
    height, width = grid.shape
    root = ET.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    ET.SubElement(root, "SRS", dataAxisToSRSAxisMapping="1,2").text = CRS.from_user_input(grid.crs).to_wkt("WKT1_GDAL")
    west, _, _, north = grid.bounds
    terms = (west, grid.resolution_x, 0.0, north, 0.0, -grid.resolution_y)
    ET.SubElement(root, "GeoTransform").text = ", ".join(repr(float(term)) for term in terms)
    for number, date in enumerate(dates, start=1):
        _band(root, source, number, date, variable)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode")


def _band(root: ET.Element, source: str, number: int, date: str, variable: Variable) -> None:
    encoding = variable.encoding
    band = ET.SubElement(root, "VRTRasterBand", dataType=GDAL_TYPES[encoding.dtype], band=str(number))
    ET.SubElement(band, "Description").text = date
    if encoding.fill is not None:
        ET.SubElement(band, "NoDataValue").text = str(encoding.fill)
    if encoding.scale is not None:
        ET.SubElement(band, "Scale").text = repr(float(encoding.scale))
        ET.SubElement(band, "Offset").text = "0"
    units = variable.attributes.get("units")
    if units and units != "1":
        ET.SubElement(band, "UnitType").text = str(units)
    _categories(band, variable.attributes)
    simple = ET.SubElement(band, "SimpleSource")
    ET.SubElement(simple, "SourceFilename", relativeToVRT="1").text = source
    ET.SubElement(simple, "SourceBand").text = str(number)


def _categories(band: ET.Element, attributes: dict[str, Any]) -> None:
    if "flag_values" not in attributes:
        return
    names = dict(zip(np.atleast_1d(attributes["flag_values"]).tolist(), attributes["flag_meanings"].split(), strict=True))
    categories = ET.SubElement(band, "CategoryNames")
    for value in range(max(names) + 1):
        ET.SubElement(categories, "Category").text = names.get(value, "")
