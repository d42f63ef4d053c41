"""Virtual rasters beside a cube: one VRT per variable, one band per date, named by the ISO date.

They are what QGIS shows. Paths to a NetCDF are relative, so that cube and layers move together. Those to a Zarr
are absolute: GDAL before 3.8 needs an index per date, in a name in which no GDAL resolves a relative path. Whoever
describes a cube writes its layers again when they are not what they should be, so after a move too.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..grid import Grid, axis_mapping, gdal_wkt
from ..progress import Progress
from .encoding import Variable
from .part import is_zarr_name

GDAL_TYPES = {
    "int8": "Int16",  # Int8 came with GDAL 3.7
    "uint8": "Byte",
    "int16": "Int16",
    "uint16": "UInt16",
    "int32": "Int32",
    "uint32": "UInt32",
    "float32": "Float32",
    "float64": "Float64",
}


class Storage(NamedTuple):
    """How GDAL gets at the rows of a cube: `driver` NETCDF, HDF5 or ZARR; `south_up`: the first row it gives
    is the southernmost."""

    driver: str
    south_up: bool = False


def layers_folder(cube: Path) -> Path:
    """`NAME.layers` beside `NAME.nc` or `NAME.zarr`."""
    return cube.with_name(cube.stem + ".layers")


def check_output(cube: Path) -> None:
    """Raise `InputError`, before any work, when GDAL would have no name for a cube at this path, or when its layers
    folder holds something else, which nobody wants replaced."""
    _check_name(cube, "ZARR" if is_zarr_name(cube) else "NETCDF")
    folder = layers_folder(cube)
    if folder.is_dir() and any(not re.search(r"\.vrt(\.aux\.xml)?$", each.name) for each in folder.iterdir()):
        raise InputError(
            f"The folder {folder} holds something else than a cube's layers.",
            "Choose another OUTPUT, or move it.",
        )


def _check_name(cube: Path, driver: str) -> None:
    # Layers of a NetCDF name its file alone, those of a Zarr the whole path.
    if '"' in (str(cube.absolute()) if driver == "ZARR" else cube.name):
        raise InputError(
            f"The path of the cube has a quotation mark: {cube}.", "GDAL cannot open it; choose another name."
        )


RGB = ("s2_B04", "s2_B03", "s2_B02")
RGB_NAME = "s2_rgb"
RGB_DATES_NAME = "s2_rgb_dates"  # red, green and blue of the first date, then of the second, ...


def has_rgb(variables: list[Variable]) -> bool:
    """Whether a cube has the three bands of natural colours."""
    return set(RGB) <= {variable.name for variable in variables}


class FreshLayers:
    """A layers folder in the making. `swap` puts it in the cube's folder; `undo` takes that back."""

    def __init__(self, cube: Path, progress: Progress) -> None:
        self._cube, self._progress = cube, progress
        self._target = layers_folder(cube)
        self._work = Path(tempfile.mkdtemp(prefix=f".{self._target.name}.", suffix=".part", dir=cube.parent))
        progress.scratch(self._work)
        self.folder = self._work / "new"
        self._old = self._work / "old"
        self.folder.mkdir()

    def swap(self) -> None:
        """Take the place of the folder that is there, which is kept aside until `close`."""
        if self._target.exists():
            # GDAL writes a VRT again when it is closed, once somebody has asked for statistics: the earlier one
            # would come back in the place of ours.
            self._progress.release(self._cube)
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
    cube: Path,
    grid: Grid,
    dates: list[str],
    variables: list[Variable],
    best: int,
    progress: Progress,
    storage: Storage | None = None,
) -> Iterator[FreshLayers]:
    """Write the files of `layer_files` beside the cube; the caller swaps them in, an error swaps them back."""
    files = layer_files(cube, grid, dates, variables, best, storage)
    layers = FreshLayers(cube, progress)
    try:
        for name, text in files.items():
            (layers.folder / name).write_text(text, encoding="utf-8")
        yield layers
    except BaseException:
        layers.undo()
        raise
    finally:
        layers.close()


def layer_files(
    cube: Path,
    grid: Grid,
    dates: list[str],
    variables: list[Variable],
    best: int,
    storage: Storage | None = None,
) -> dict[str, str]:
    """The files of a cube's layers folder, name to text: one VRT per variable.

    `dates`: ISO dates of the bands. Where the cube has red, green and blue, one more shows them together
    for date number `best` (from 1), and another holds those of all dates. `storage`: None for a cube that this
    package wrote. Raises `InputError` when GDAL has no name for the cube.
    """
    storage = storage or Storage("ZARR" if is_zarr_name(cube) else "NETCDF")
    _check_name(cube, storage.driver)
    rasters = {
        v.name: [(v, 1, v.name)]
        if v.static
        else [(v, number, date) for number, date in enumerate(dates, start=1)]
        for v in variables
    }
    if has_rgb(variables):
        by_name = {variable.name: variable for variable in variables}
        every = [
            [(by_name[name], number, f"{name} {date}") for name in RGB]
            for number, date in enumerate(dates, start=1)
        ]
        rasters[RGB_NAME] = every[best - 1]
        rasters[RGB_DATES_NAME] = [band for bands in every for band in bands]
    return {f"{name}.vrt": _vrt(cube, grid, bands, storage) for name, bands in rasters.items()}


def _vrt(cube: Path, grid: Grid, bands: list[tuple[Variable, int, str]], storage: Storage) -> str:
    """A VRT document in the layers folder of a cube; a band is (variable, number of its date, name)."""
    height, width = grid.shape
    root = ET.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    srs = ET.SubElement(root, "SRS", dataAxisToSRSAxisMapping=axis_mapping(grid.crs))
    srs.text = gdal_wkt(grid.crs)
    west, south, _, north = grid.bounds
    first, step = (south, grid.resolution_y) if storage.south_up else (north, -grid.resolution_y)
    terms = (west, grid.resolution_x, 0.0, first, 0.0, step)
    ET.SubElement(root, "GeoTransform").text = ", ".join(repr(float(term)) for term in terms)
    for place, (variable, number, name) in enumerate(bands, start=1):
        source = _source(cube, variable, number, storage.driver)
        _band(root, source, place, name, variable)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode")


def _source(cube: Path, variable: Variable, number: int, driver: str) -> tuple[str, bool, int]:
    """(GDAL's name, whether it is relative to the VRT, number of the band in it) of one date of a variable."""
    name = variable.name
    if driver == "ZARR":
        index = "" if variable.static else f":{number - 1}"
        return f'ZARR:"{cube.absolute().as_posix()}":/{name}{index}', False, 1
    return f'{driver}:"../{cube.name}":{"//" if driver == "HDF5" else ""}{name}', True, number


def _band(root: ET.Element, source: tuple[str, bool, int], place: int, name: str, variable: Variable) -> None:
    encoding = variable.encoding
    band = ET.SubElement(root, "VRTRasterBand", dataType=GDAL_TYPES[encoding.dtype], band=str(place))
    ET.SubElement(band, "Description").text = name
    if encoding.fill is not None:
        ET.SubElement(band, "NoDataValue").text = repr(encoding.fill)
    if encoding.scale is not None:
        ET.SubElement(band, "Scale").text = repr(float(encoding.scale))
        ET.SubElement(band, "Offset").text = repr(encoding.offset) if encoding.offset else "0"
    units = variable.attributes.get("units")
    if units and units != "1":
        ET.SubElement(band, "UnitType").text = str(units)
    _categories(band, variable.attributes)
    simple = ET.SubElement(band, "SimpleSource")
    filename, relative, number = source
    ET.SubElement(simple, "SourceFilename", relativeToVRT=str(int(relative))).text = filename
    ET.SubElement(simple, "SourceBand").text = str(number)


def classes_of(attributes: dict[str, Any]) -> dict[int, str]:
    """Value to name of a variable of classes; empty when it is none, or when values and names do not match."""
    if "flag_values" not in attributes or "flag_meanings" not in attributes:
        return {}
    values = np.atleast_1d(attributes["flag_values"]).tolist()
    names = str(attributes["flag_meanings"]).split()
    if len(values) != len(names) or not all(float(value).is_integer() for value in values):
        return {}
    return {int(value): name for value, name in zip(values, names, strict=True)}


def _categories(band: ET.Element, attributes: dict[str, Any]) -> None:
    names = classes_of(attributes)
    if not names or min(names) < 0 or max(names) > 255:
        return
    categories = ET.SubElement(band, "CategoryNames")
    for value in range(max(names) + 1):
        ET.SubElement(categories, "Category").text = names.get(value, "")
