"""Virtual rasters beside a cube: one VRT per variable, one band per date, named by the ISO date.

They are what QGIS shows: paths are relative, so that cube and layers move together.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..grid import Grid, gdal_wkt
from ..progress import Progress
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


RGB = ("s2_B04", "s2_B03", "s2_B02")
RGB_NAME = "s2_rgb"


def has_rgb(variables: list[Variable]) -> bool:
    """Whether a cube has the three bands of natural colours."""
    return set(RGB) <= {variable.name for variable in variables}


class FreshLayers:
    """A layers folder in the making. `swap` puts it in the cube's folder; `undo` takes that back."""

    def __init__(self, cube: Path, progress: Progress) -> None:
        self._target = layers_folder(cube)
        self._work = Path(tempfile.mkdtemp(prefix=f".{self._target.name}.", suffix=".part", dir=cube.parent))
        progress.scratch(self._work)
        self.folder = self._work / "new"
        self._old = self._work / "old"
        self.folder.mkdir()

    def swap(self) -> None:
        """Take the place of the folder that is there, which is kept aside until `close`."""
        if self._target.exists():
            os.rename(self._target, self._old)
        os.rename(self.folder, self._target)

    def undo(self) -> None:
        """Put the earlier folder back, if the swap has begun."""
        if not self.folder.exists():
            os.rename(self._target, self.folder)
        if self._old.exists():
            os.rename(self._old, self._target)

    def close(self) -> None:
        shutil.rmtree(self._work, ignore_errors=True)


@contextmanager
def fresh_layers(
    cube: Path, grid: Grid, dates: list[str], variables: list[Variable], best: int, progress: Progress
) -> Iterator[FreshLayers]:
    """Write one VRT per variable beside the cube; the caller swaps them in, an error swaps them back.

    `dates`: ISO dates of the bands. Where the cube has red, green and blue, one more shows them together
    for date number `best` (from 1).
    """
    layers = FreshLayers(cube, progress)
    try:
        for variable in variables:
            bands = [(variable, number, date) for number, date in enumerate(dates, start=1)]
            (layers.folder / f"{variable.name}.vrt").write_text(vrt(cube.name, grid, bands), encoding="utf-8")
        if has_rgb(variables):
            by_name = {variable.name: variable for variable in variables}
            bands = [(by_name[name], best, f"{name} {dates[best - 1]}") for name in RGB]
            (layers.folder / f"{RGB_NAME}.vrt").write_text(vrt(cube.name, grid, bands), encoding="utf-8")
        yield layers
    except BaseException:
        layers.undo()
        raise
    finally:
        layers.close()


def vrt(cube_name: str, grid: Grid, bands: list[tuple[Variable, int, str]]) -> str:
    """A VRT document in the layers folder of a cube; a band is (variable, number of its date, name)."""
    height, width = grid.shape
    root = ET.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    srs = ET.SubElement(root, "SRS", dataAxisToSRSAxisMapping="1,2")
    srs.text = gdal_wkt(grid.crs)
    west, _, _, north = grid.bounds
    terms = (west, grid.resolution_x, 0.0, north, 0.0, -grid.resolution_y)
    ET.SubElement(root, "GeoTransform").text = ", ".join(repr(float(term)) for term in terms)
    for place, (variable, number, name) in enumerate(bands, start=1):
        _band(root, f'NETCDF:"../{cube_name}":{variable.name}', place, number, name, variable)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode")


def _band(root: ET.Element, source: str, place: int, number: int, name: str, variable: Variable) -> None:
    encoding = variable.encoding
    band = ET.SubElement(root, "VRTRasterBand", dataType=GDAL_TYPES[encoding.dtype], band=str(place))
    ET.SubElement(band, "Description").text = name
    if encoding.fill is not None:
        ET.SubElement(band, "NoDataValue").text = repr(encoding.fill)
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
    names = dict(
        zip(
            np.atleast_1d(attributes["flag_values"]).tolist(),
            attributes["flag_meanings"].split(),
            strict=True,
        )
    )
    categories = ET.SubElement(band, "CategoryNames")
    for value in range(max(names) + 1):
        ET.SubElement(categories, "Category").text = names.get(value, "")
