"""Features of a layer as the core reads them: a line of JSON each, in a CRS that is asked for.

Written by QGIS, because a child that reads paths sees no filter, no unsaved edit, no memory layer, no assigned CRS
and no login.
"""

from __future__ import annotations

import json
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
    QgsRectangle,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
)

from ..core.errors import InputError

MARGIN = 0.05  # of the extent, around a box
PIECES = 200  # an edge that is bent by a change of CRS is cut so finely, over the extent


class Features:
    """The features of a layer with the values of a field; made where the project may be touched, written anywhere."""

    def __init__(self, layer: QgsVectorLayer, field: str = "") -> None:
        """Raises `InputError` for a layer without CRS, or without the field."""
        self.title, self.field = layer.name(), field
        self._crs, self._extent = layer.crs(), layer.extent()
        if not self._crs.isValid():
            raise InputError(f"The layer {layer.name()} has no CRS.", "Set it in the layer's properties.")
        if field and layer.fields().indexFromName(field) < 0:
            known = ", ".join(each.name() for each in layer.fields())
            raise InputError(f"The layer {layer.name()} has no field {field}.", f"It has: {known}.")
        self._source = QgsVectorLayerFeatureSource(layer)  # with the filter, and edits that are not saved

    def write(
        self,
        crs: QgsCoordinateReferenceSystem,
        context: QgsCoordinateTransformContext,
        feedback: Any,
        box: QgsRectangle | None = None,
    ) -> str:
        """Write them in this CRS to a temporary file, whose path this is; `box`: those around it, None for all.

        Raises `InputError` for what cannot be brought into the CRS.
        """
        change = QgsCoordinateTransform(self._crs, crs, context)
        request, there = QgsFeatureRequest(), None
        if box is not None:
            there = self._around(box, change)
            request.setFilterRect(there)
        path = QgsProcessingUtils.generateTempFilename("features.jsonl")
        index = self._source.fields().indexFromName(self.field) if self.field else -1
        with open(path, "w", encoding="utf-8") as file:
            for feature in self._source.getFeatures(request):
                if feedback.isCanceled():
                    break
                geometry = self._placed(feature.geometry(), change, there)
                if geometry is None or geometry.isEmpty():
                    continue
                value = feature.attribute(index) if index >= 0 else None
                line = {"wkb": bytes(geometry.asWkb()).hex(), "value": _plain(value)}
                file.write(json.dumps(line) + "\n")
        return path

    def _around(self, box: QgsRectangle, change: QgsCoordinateTransform) -> QgsRectangle:
        """A box of the CRS that is asked for, with a margin, in that of the layer."""
        box = QgsRectangle(box)
        box.grow(MARGIN * max(box.width(), box.height()))
        try:
            there = change.transformBoundingBox(box, QgsCoordinateTransform.ReverseTransform)
        except QgsCsException as error:
            raise self._no_way(f"The layer {self.title}", error) from error
        there.grow(MARGIN * max(there.width(), there.height()))
        return there

    def _placed(
        self, geometry: QgsGeometry, change: QgsCoordinateTransform, box: QgsRectangle | None
    ) -> QgsGeometry | None:
        if geometry.isNull():
            return None
        if geometry.constGet().hasCurvedSegments():
            geometry = QgsGeometry(geometry.constGet().segmentize())
        if box is not None and geometry.isGeosValid():
            clipped = geometry.clipped(box)  # a land cover of a continent is not handed over for a valley
            geometry = geometry if clipped.isNull() else clipped
        if change.sourceCrs() != change.destinationCrs():
            size = box or self._extent
            longest = max(size.width(), size.height()) / PIECES
            geometry = geometry.densifyByDistance(longest) if longest > 0 else geometry
            try:
                geometry.transform(change)
            except QgsCsException as error:
                raise self._no_way(f"A feature of {self.title}", error) from error
        return geometry

    @staticmethod
    def _no_way(what: str, error: QgsCsException) -> InputError:
        return InputError(f"{what} cannot be brought into the CRS that is needed ({error}).")


def _plain(value: Any) -> Any:
    if value is None or value == NULL:
        return None
    return value if isinstance(value, (int, float, str)) and not isinstance(value, bool) else str(value)
