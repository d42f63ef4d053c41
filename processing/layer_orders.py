"""What a layer of a project is for the core: a file that GDAL reads, or features and pixels that QGIS has to hand over.

A child that reads paths sees no filter, no unsaved edit, no memory layer, no assigned CRS and no login. So features
are always exported by QGIS, and rasters where the layer is more than its file.
"""

from __future__ import annotations

import os
import re
from typing import Any

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsProcessingUtils,
    QgsRasterFileWriter,
    QgsRasterLayer,
    QgsRasterPipe,
    QgsRasterProjector,
    QgsRectangle,
    QgsVectorLayer,
)

from ..core.errors import InputError
from ..core.secrets import redacted
from .features import Features
from .parameters import crs_text
from .raster_legends import MIXING, RasterLegend, completed, legend_of_file, legend_of_style
from .temporal import dates_of

COLUMNS = ("layer", "variable", "resampling", "band")
COLOURS = (Qgis.DataType.ARGB32, Qgis.DataType.ARGB32_Premultiplied)
PICTURE = ["Red", "Green", "Blue", "Alpha"]


class LayerOrder:
    """A layer with what the user wants of it; made where the project may be touched, exported anywhere."""

    def __init__(self, layer: Any, name: str, method: str, band: str) -> None:
        self._name = name or variable_name(layer.name())
        self._title, self._method = layer.name(), method.lower() or "auto"
        self._source = redacted(re.sub(r"\b(user|password|authcfg)='?[^' ]*'?", "", layer.source())).strip()
        self._crs = layer.crs()
        if not self._crs.isValid():
            raise InputError(f"The layer {layer.name()} has no CRS.", "Set it in the layer's properties.")
        self._vector = isinstance(layer, QgsVectorLayer)
        if self._vector:
            self._read_vector(layer, band)
        else:
            self._read_raster(layer, band)

    @property
    def needs_grid(self) -> bool:
        """Whether it is handed over by QGIS, which has to know where the cube lies."""
        return self._vector or not self._path

    def order(
        self, grid: dict[str, Any] | None, context: QgsCoordinateTransformContext, feedback: Any
    ) -> dict:
        """The fields of the core's `LayerOrder`; what needs it is exported. Raises `InputError`."""
        made = {
            "name": self._name,
            "title": self._title,
            "source": self._source,
            "method": self._method,
        }
        if self._vector:
            target = QgsCoordinateReferenceSystem.fromWkt(grid["wkt"])
            path = self._features.write(target, context, feedback, _box(grid))
            return {
                **made, "kind": "vector", "path": path, "values": bool(self._features.field), "colours": self._colours,
            }  # fmt: skip
        made = {
            **made, **self._classes(), "kind": "raster", "band": self._band, "dates": self._dates,
            "band_names": self._band_names,
        }  # fmt: skip
        if not self._path:
            return {**made, "path": self._export_pixels(grid, context), "exported": True}
        return {
            **made, "path": self._path, "crs": crs_text(self._crs), "missing": self._missing,
            "own_nodata": self._own_nodata,
        }  # fmt: skip

    # --- rasters -----------------------------------------------------------------------------------

    def _read_raster(self, layer: QgsRasterLayer, band: str) -> None:
        provider = layer.dataProvider()
        names = [layer.bandName(number) for number in range(1, layer.bandCount() + 1)]
        # A picture of a service has one band of colours, which become four when it is exported.
        self._band_names = PICTURE if provider.dataType(1) in COLOURS else names
        self._band = self._band_number(layer, band)
        self._dates = dates_of(layer)
        self._style = legend_of_style(layer)
        first = self._band or 1
        self._missing = [[each.min(), each.max()] for each in provider.userNoDataValues(first)]
        self._own_nodata = bool(provider.useSourceNoDataValue(first))
        plain = layer.providerType() == "gdal" and "authcfg" not in layer.source()
        self._path = provider.dataSourceUri().split("|")[0] if plain else ""
        self._provider = None if plain else provider.clone()

    def _band_number(self, layer: QgsRasterLayer, text: str) -> int:
        """From 1, 0 where none was chosen."""
        if not text:
            return 0
        number = int(text) if text.isdigit() else 0
        for place, name in enumerate(self._band_names, start=1):
            if text in (name, name.partition(": ")[2]):
                number = place
        if not 1 <= number <= len(self._band_names):
            raise InputError(
                f"The layer {layer.name()} has no band {text}.",
                f"It has: {', '.join(self._band_names[:20])}.",
            )
        return number

    def _classes(self) -> dict[str, Any]:
        """Whether it holds classes, and which: as its style says, else its file, else as its type will say."""
        file = legend_of_file(self._path, self._band or 1) if self._path else RasterLegend()
        style = self._style if self._band in (0, self._style.band) else RasterLegend()
        # Newer versions of QGIS style a layer by its attribute table when they open it: that is the file's word too.
        of_file = not style.why or set(style.colours) == {*file.names, *file.colours}
        if file.why and of_file and self._method in MIXING:
            # What the file says of itself gives way to such a method, what the user chose as a style does not.
            return {"classes": False, "classes_why": f"{self._method} mixes values"}
        legend = completed(style, file)
        if not legend.why:
            return {}
        return {
            "classes": True, "classes_why": legend.why, "legend": legend.names, "colours": legend.colours,
            "legend_band": legend.band,
        }  # fmt: skip

    def _export_pixels(self, grid: dict[str, Any], context: QgsCoordinateTransformContext) -> str:
        """The layer on the grid of the cube, by QGIS's own resampling: with its login, of its service."""
        target = QgsCoordinateReferenceSystem.fromWkt(grid["wkt"])
        pipe, projector = QgsRasterPipe(), QgsRasterProjector()
        projector.setCrs(self._crs, target, context)
        pipe.set(self._provider.clone())
        pipe.insert(1, projector)
        path = QgsProcessingUtils.generateTempFilename("layer.tif")
        writer = QgsRasterFileWriter(path)
        writer.setOutputFormat("GTiff")
        ended = writer.writeRaster(pipe, grid["width"], grid["height"], _box(grid), target, context)
        if int(ended) != 0 or not os.path.exists(path):
            raise InputError(f"The layer {self._title} cannot be exported.", "Save it to a GeoTIFF first.")
        return path

    # --- vectors -----------------------------------------------------------------------------------

    def _read_vector(self, layer: QgsVectorLayer, field: str) -> None:
        self._path, self._colours = "", {}
        self._features = Features(layer, field)
        renderer = layer.renderer()
        categorized = field and renderer is not None and renderer.type() == "categorizedSymbol"
        if categorized and renderer.classAttribute().strip('"') == field:
            for each in renderer.categories():
                if each.symbol() is not None:
                    self._colours[str(each.value())] = each.symbol().color().name()


def _box(grid: dict[str, Any]) -> QgsRectangle:
    west, south, east, north = grid["bounds"]
    return QgsRectangle(west, south, east, north)


def orders_of(layers: list[Any], rows: list[list[str]]) -> list[LayerOrder]:
    """The layers with their rows of OPTIONS. Raises `InputError` for keys that fit no layer, or several."""
    found: dict[int, list[str]] = {}
    for row in rows:
        key = row[0]
        fitting = [place for place, layer in enumerate(layers) if key in keys_of(layer, place + 1)]
        if len(fitting) != 1:
            names = ", ".join(layer.name() for layer in layers)
            problem = "fits several layers" if fitting else "fits no layer"
            raise InputError(
                f"OPTIONS: {key!r} {problem}.", f"Layers: {names}. A position or a layer's id is unique."
            )
        if fitting[0] in found:
            raise InputError(f"OPTIONS has two rows for the layer {layers[fitting[0]].name()}.")
        found[fitting[0]] = row
    return [LayerOrder(layer, *found.get(place, ["", "", "", ""])[1:]) for place, layer in enumerate(layers)]


def keys_of(layer: Any, position: int) -> set[str]:
    """By what a row of OPTIONS may name a layer."""
    source = layer.source()
    path, _, rest = source.partition("|")
    sublayer = re.search(r"layername=([^|]+)", rest)
    stem = os.path.splitext(os.path.basename(path))[0]
    keys = {layer.id(), source, path, layer.name(), str(position), stem}
    return keys | ({sublayer[1]} if sublayer else set())


def variable_name(text: str) -> str:
    """A name of a variable made of that of a layer."""
    name = re.sub(r"[^0-9A-Za-z_]+", "_", text).strip("_")
    return name if name and name[0].isalpha() else f"layer_{name}".rstrip("_")
