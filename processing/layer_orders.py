"""What a layer of a project is for the core: a file that GDAL reads, or features and pixels that QGIS has to hand over.

A child that reads paths sees no filter, no unsaved edit, no memory layer, no assigned CRS and no login. So features
are always exported by QGIS, and rasters where the layer is more than its file.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsFeatureRequest,
    QgsGeometry,
    QgsProcessingUtils,
    QgsRasterFileWriter,
    QgsRasterLayer,
    QgsRasterPipe,
    QgsRasterProjector,
    QgsRectangle,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
)

from ..core.errors import InputError
from ..core.secrets import redacted
from .parameters import crs_text

COLUMNS = ("layer", "variable", "resampling", "band")
MARGIN = 0.05  # of the extent, around the cube
PIECES = 200  # an edge that is bent by a change of CRS is cut so finely, over the extent


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
            "name": self._name, "title": self._title, "source": self._source, "method": self._method,
            "legend": self._legend, "colours": self._colours,
        }  # fmt: skip
        if self._vector:
            path = self._export_features(grid, context, feedback)
            return {**made, "kind": "vector", "path": path, "values": bool(self._field)}
        made = {**made, "kind": "raster", "band": self._band, "classes": self._classes}
        if not self._path:
            return {**made, "path": self._export_pixels(grid, context)}
        return {
            **made, "path": self._path, "crs": crs_text(self._crs), "missing": self._missing,
            "own_nodata": self._own_nodata,
        }  # fmt: skip

    # --- rasters -----------------------------------------------------------------------------------

    def _read_raster(self, layer: QgsRasterLayer, band: str) -> None:
        provider = layer.dataProvider()
        self._band = self._band_number(layer, band)
        self._legend, self._colours = {}, {}
        renderer = layer.renderer()
        self._classes = False
        if renderer is not None and renderer.type() == "paletted":
            shown = renderer.inputBand() if hasattr(renderer, "inputBand") else renderer.band()
            if shown == self._band:
                self._classes = True
                for each in renderer.classes():
                    self._legend[str(each.value)] = each.label
                    self._colours[str(each.value)] = each.color.name()
        self._missing = [[each.min(), each.max()] for each in provider.userNoDataValues(self._band)]
        self._own_nodata = bool(provider.useSourceNoDataValue(self._band))
        plain = layer.providerType() == "gdal" and "authcfg" not in layer.source()
        self._path = provider.dataSourceUri().split("|")[0] if plain else ""
        self._provider = None if plain else provider.clone()

    def _band_number(self, layer: QgsRasterLayer, text: str) -> int:
        if not text:
            return 1
        names = [layer.bandName(number) for number in range(1, layer.bandCount() + 1)]
        number = int(text) if text.isdigit() else 0
        for place, name in enumerate(names, start=1):
            if text in (name, name.partition(": ")[2]):
                number = place
        if not 1 <= number <= len(names):
            raise InputError(
                f"The layer {layer.name()} has no band {text}.", f"It has: {', '.join(names[:20])}."
            )
        return number

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
        west, south, east, north = grid["bounds"]
        ended = writer.writeRaster(
            pipe, grid["width"], grid["height"], QgsRectangle(west, south, east, north), target, context
        )
        if int(ended) != 0 or not os.path.exists(path):
            raise InputError(f"The layer {self._title} cannot be exported.", "Save it to a GeoTIFF first.")
        return path

    # --- vectors -----------------------------------------------------------------------------------

    def _read_vector(self, layer: QgsVectorLayer, field: str) -> None:
        self._path, self._field = "", field
        self._legend, self._colours = {}, {}
        if field and layer.fields().indexFromName(field) < 0:
            known = ", ".join(each.name() for each in layer.fields())
            raise InputError(f"The layer {layer.name()} has no field {field}.", f"It has: {known}.")
        self._features = QgsVectorLayerFeatureSource(layer)  # with the filter, and edits that are not saved
        renderer = layer.renderer()
        categorized = field and renderer is not None and renderer.type() == "categorizedSymbol"
        if categorized and renderer.classAttribute().strip('"') == field:
            for each in renderer.categories():
                if each.symbol() is not None:
                    self._colours[str(each.value())] = each.symbol().color().name()

    def _export_features(
        self, grid: dict[str, Any], context: QgsCoordinateTransformContext, feedback: Any
    ) -> str:
        """The features around the cube, in its CRS, as the core reads them."""
        target = QgsCoordinateReferenceSystem.fromWkt(grid["wkt"])
        west, south, east, north = grid["bounds"]
        box = QgsRectangle(west, south, east, north)
        box.grow(MARGIN * max(box.width(), box.height()))
        change = QgsCoordinateTransform(self._crs, target, context)
        try:
            there = change.transformBoundingBox(box, QgsCoordinateTransform.ReverseTransform)
        except QgsCsException as error:
            raise InputError(
                f"The layer {self._title} cannot be brought into the CRS of the cube ({error})."
            ) from error
        there.grow(MARGIN * max(there.width(), there.height()))
        path = QgsProcessingUtils.generateTempFilename("features.jsonl")
        index = self._features.fields().indexFromName(self._field) if self._field else -1
        request = QgsFeatureRequest().setFilterRect(there)
        with open(path, "w", encoding="utf-8") as file:
            for feature in self._features.getFeatures(request):
                if feedback.isCanceled():
                    break
                geometry = self._placed(feature.geometry(), change, there)
                if geometry is None or geometry.isEmpty():
                    continue
                value = feature.attribute(index) if index >= 0 else None
                line = {"wkb": bytes(geometry.asWkb()).hex(), "value": _plain(value)}
                file.write(json.dumps(line) + "\n")
        return path

    def _placed(self, geometry: QgsGeometry, change: QgsCoordinateTransform, box: QgsRectangle) -> Any:
        if geometry.isNull():
            return None
        if geometry.constGet().hasCurvedSegments():
            geometry = QgsGeometry(geometry.constGet().segmentize())
        if geometry.isGeosValid():
            clipped = geometry.clipped(box)  # a land cover of a continent is not handed over for a valley
            geometry = geometry if clipped.isNull() else clipped
        if change.sourceCrs() != change.destinationCrs():
            geometry = geometry.densifyByDistance(max(box.width(), box.height()) / PIECES)
            try:
                geometry.transform(change)
            except QgsCsException as error:
                raise InputError(
                    f"A feature of {self._title} cannot be brought into the CRS of the cube ({error})."
                ) from error
        return geometry


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


def _plain(value: Any) -> Any:
    if value is None or value == NULL:
        return None
    return value if isinstance(value, (int, float, str)) and not isinstance(value, bool) else str(value)
