"""Lets go of the files of a cube that is open in the project, while they are replaced: Windows replaces nothing
that is open.

A released layer keeps its place, look and name; it shows an empty raster of its own size that needs no file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from osgeo import gdal
from qgis.core import QgsDataProvider, QgsProject, QgsRasterLayer


@dataclass
class Release:
    """What was let go of for a cube: `held`, id of a layer to its data source.

    `done` is set when it is; a release that nobody waits for any more is `abandoned`, and must not happen later.
    """

    cube: str
    held: dict[str, str] = field(default_factory=dict)
    done: Event = field(default_factory=Event)
    abandoned: bool = False


def release(project: QgsProject, ticket: Release) -> None:
    """Close every raster of the project that reads the cube or its layers folder."""
    for layer in project.mapLayers().values():
        if isinstance(layer, QgsRasterLayer) and shows(layer, ticket.cube):
            ticket.held[layer.id()] = layer.source()
            set_source(layer, _empty(layer))


def restore(project: QgsProject, ticket: Release) -> None:
    """Open again what was released, as it was; layers that the user removed meanwhile are forgotten."""
    for key, source in ticket.held.items():
        layer = project.mapLayer(key)
        if layer is not None:
            set_source(layer, source)
            layer.triggerRepaint()
    ticket.held.clear()


def shows(layer: QgsRasterLayer, cube: str) -> bool:
    """Whether a layer's data source is in the cube, or in the folder of its layers."""
    source = _plain(layer.source())
    if source.startswith("vrt://"):
        source = source[len("vrt://") :]
    path = Path(cube)
    folder = _plain(str(path.with_name(path.stem + ".layers")))
    return source.startswith(folder + "/") or bool(
        re.search(r'(?:^|["/:=])' + re.escape(_plain(cube)) + r'(?:$|[":/|])', source)
    )


def _plain(path: str) -> str:
    """A path, or a name of GDAL that has one in it, as text that can be compared."""
    return os.path.normcase(path).replace("\\", "/")


def set_source(layer: QgsRasterLayer, source: str) -> None:
    """Give a layer another raster, and leave all else of it alone."""
    with no_statistics_files():
        layer.setDataSource(source, layer.name(), "gdal", QgsDataProvider.ProviderOptions())


def _empty(layer: QgsRasterLayer) -> str:
    """A raster as large as a layer's, with as many bands, without values: text that GDAL opens as a file."""
    provider, extent = layer.dataProvider(), layer.extent()
    columns, rows = max(1, layer.width()), max(1, layer.height())
    raster = gdal.GetDriverByName("VRT").Create(
        "", columns, rows, max(1, layer.bandCount()), gdal.GDT_Float32
    )
    west, north = extent.xMinimum(), extent.yMaximum()
    raster.SetGeoTransform(
        (west, (extent.xMaximum() - west) / columns, 0, north, 0, (extent.yMinimum() - north) / rows)
    )
    for number in range(1, raster.RasterCount + 1):
        raster.GetRasterBand(number).SetNoDataValue(0)
    raster.SetProjection((provider.crs() if provider is not None else layer.crs()).toWkt())
    return raster.GetMetadata("xml:VRT")[0]


@contextmanager
def no_statistics_files() -> Iterator[None]:
    """QGIS computes a stretch of its own for every new layer, which ours replaces; GDAL would keep its histograms
    beside the cube, where they outlive it."""
    earlier = gdal.GetThreadLocalConfigOption("GDAL_PAM_ENABLED")
    gdal.SetThreadLocalConfigOption("GDAL_PAM_ENABLED", "NO")
    try:
        yield
    finally:
        gdal.SetThreadLocalConfigOption("GDAL_PAM_ENABLED", earlier)
