"""The index of a dataset on the map: a point for each sample, coloured by its split."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsCategorizedSymbolRenderer, QgsMarkerSymbol, QgsRendererCategory, QgsVectorLayer

from .text import tr

COLOURS = {"train": "#1f6fb4", "val": "#e6a117", "test": "#c0392b"}
OF_FOLDS = ("#1f6fb4", "#e6a117", "#c0392b", "#1b7837", "#7b3294", "#a6611a", "#01665e", "#d01c8b")


def index_layer(path: str) -> dict[str, Any]:
    """The index at a path, as the loader takes a layer."""
    return {"path": path, "name": tr("Samples"), "style": style_by_split}


def style_by_split(layer: QgsVectorLayer) -> None:
    """A colour for each split, or for each fold where there are any."""
    column = layer.fields().indexFromName("fold")
    folds = (
        sorted(each for each in layer.uniqueValues(column) if isinstance(each, int) and each >= 0)
        if (column >= 0)
        else []
    )
    if len(folds) > 1:
        field, values = "fold", {each: OF_FOLDS[place % len(OF_FOLDS)] for place, each in enumerate(folds)}
    else:
        field, values = "split", COLOURS
    categories = [QgsRendererCategory(value, _point(colour), str(value)) for value, colour in values.items()]
    layer.setRenderer(QgsCategorizedSymbolRenderer(field, categories))


def _point(colour: str) -> QgsMarkerSymbol:
    return QgsMarkerSymbol.createSimple(
        {"name": "circle", "color": colour, "outline_color": "#ffffff", "outline_width": "0.2", "size": "2"}
    )
