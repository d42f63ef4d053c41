"""What becomes of a layer of the project in a cube: the choice, what may be chosen, and what is wrong with it.

The choice is kept as a custom property of the layer, so that it travels with the project.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from qgis.core import QgsMapLayer, QgsRasterLayer, QgsVectorLayer

from ..processing.layer_orders import variable_name
from ..processing.text import tr

PROPERTY = "minicuber/attach"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
DATE = re.compile(r"(?<!\d)(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])(?!\d)")
OF_THE_AXES = ("time", "y", "x", "spatial_ref", "lat", "lon")

# As the core knows them; its modules cannot be imported here.
RASTER_METHODS = ("auto", "nearest", "bilinear", "cubic", "average", "mode", "min", "max", "median")
CLASS_METHODS = ("auto", "nearest", "mode", "min", "max")
VECTOR_MODES = ("auto", "mask", "share")
VECTOR_RULES = ("last", "first", "min", "max", "mean", "sum")
TEXT_RULES = ("last", "first")


@dataclass
class Row:
    """A layer and the choice for it. `band`: number of a band from 1, or name of a field; "" for the default."""

    layer: QgsMapLayer
    name: str
    ticked: bool = False
    method: str = "auto"
    band: str = ""
    _names: list[str] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, layer: QgsMapLayer) -> Row:
        """The row of a layer as the project remembers it, else with defaults."""
        row = cls(layer, variable_name(layer.name()))
        kept = _kept(layer)
        row.ticked = bool(kept.get("ticked", False))
        row.name = str(kept.get("name") or row.name)
        if kept.get("method") in dict(row.methods()).values():
            row.method = kept["method"]
        if kept.get("band") in [value for _, value in row.bands()]:
            row.band = kept["band"]
        return row

    def remember(self) -> bool:
        """Keep the choice with the layer; returns whether that changed anything."""
        choice = {"ticked": self.ticked, "name": self.name, "method": self.method, "band": self.band}
        default = Row(self.layer, variable_name(self.layer.name()))
        kept = _kept(self.layer)
        if choice == {key: kept.get(key) for key in choice} or (not kept and self == default):
            return False
        # Copies of a layer and pasted styles carry the property to other layers, of which it does not speak.
        text = json.dumps({"layer": self.layer.id(), **choice}, ensure_ascii=False)
        self.layer.setCustomProperty(PROPERTY, text)
        return True

    @property
    def is_vector(self) -> bool:
        return isinstance(self.layer, QgsVectorLayer)

    def methods(self) -> list[tuple[str, str]]:
        """(text, value) of the ways onto the grid."""
        if not self.is_vector:
            values = CLASS_METHODS if self._has_classes() else RASTER_METHODS
        else:
            values = VECTOR_MODES + VECTOR_RULES
        texts = method_texts()
        return [(texts[value, self.is_vector], value) for value in values]

    def bands(self) -> list[tuple[str, str]]:
        """(text, value) of the bands, or fields, the default first."""
        if self.is_vector:
            fields = [(field.name(), field.name()) for field in self.layer.fields()]
            return [(tr("no field"), ""), *fields]
        names = self._band_names()
        if len(names) < 2:
            return [(names[0] if names else tr("Band 1"), "")]
        default = tr("all dates") if self._are_dated(names) else tr("first band")
        return [(default, ""), *((name, str(number)) for number, name in enumerate(names, start=1))]

    def has_dates(self) -> bool:
        """Whether the layer's bands become one variable over time."""
        return not self.is_vector and not self.band and self._are_dated(self._band_names())

    def _band_names(self) -> list[str]:
        if self._names is None:  # asked for at every look at the table, of rasters of hundreds of bands
            self._names = [self.layer.bandName(number) for number in range(1, self.layer.bandCount() + 1)]
        return self._names

    @staticmethod
    def _are_dated(names: list[str]) -> bool:
        return sum(bool(DATE.search(name)) for name in names) > 1

    def problems(self) -> dict[str, str]:
        """What is wrong with the choice: "name", "method" or "layer" to a sentence."""
        found = {}
        if not self.layer.isValid():
            found["layer"] = tr("The layer cannot be read: its source is not there.")
        elif not self.layer.crs().isValid():
            found["layer"] = tr("The layer has no CRS: set it in the layer's properties.")
        if not self.name:
            found["name"] = tr("The variable needs a name.")
        elif not NAME.fullmatch(self.name):
            text = tr("“{}” cannot name a variable: use letters, digits, _ and -, a letter first.")
            found["name"] = text.format(self.name)
        elif self.name in OF_THE_AXES:
            text = tr("“{}” cannot name a variable: the cube needs it for its axes.")
            found["name"] = text.format(self.name)
        if self.is_vector and self.method in VECTOR_RULES:
            if not self.band:
                found["method"] = tr("This takes the value of a field: choose one in the next column.")
            elif self.method not in TEXT_RULES and not self._is_number(self.band):
                found["method"] = tr("{} is a field of texts, which have a first and a last alone.").format(
                    self.band
                )
        elif not self.is_vector and self._has_classes() and self.method not in CLASS_METHODS:
            found["method"] = tr("The layer's values are classes, which cannot be averaged.")
        return found

    def cells(self) -> list[str]:
        """The row of the matrix OPTIONS."""
        return [self.layer.id(), self.name, self.method, self.band]

    def _is_number(self, field: str) -> bool:
        index = self.layer.fields().indexFromName(field)
        return index >= 0 and self.layer.fields().at(index).isNumeric()

    def _has_classes(self) -> bool:
        """Whether the renderer shows the band that is taken as unique values."""
        renderer = self.layer.renderer() if isinstance(self.layer, QgsRasterLayer) else None
        if renderer is None or renderer.type() != "paletted":
            return False
        shown = renderer.inputBand() if hasattr(renderer, "inputBand") else renderer.band()
        return self.band in ("", str(shown))


def _kept(layer: QgsMapLayer) -> dict[str, Any]:
    try:
        kept = json.loads(str(layer.customProperty(PROPERTY, "") or "{}"))
    except ValueError:
        return {}
    return kept if isinstance(kept, dict) and kept.get("layer") == layer.id() else {}


def can_be_attached(layer: QgsMapLayer) -> bool:
    """Rasters, and vectors that have a geometry."""
    return isinstance(layer, QgsRasterLayer) or (isinstance(layer, QgsVectorLayer) and layer.isSpatial())


def method_texts() -> dict[tuple[str, bool], str]:
    """Texts of the ways onto the grid, by value and whether they are of vectors."""
    return {
        ("auto", False): tr("automatic"),
        ("nearest", False): tr("nearest neighbour"),
        ("bilinear", False): tr("bilinear"),
        ("cubic", False): tr("cubic"),
        ("average", False): tr("average"),
        ("mode", False): tr("mode (most frequent)"),
        ("min", False): tr("minimum"),
        ("max", False): tr("maximum"),
        ("median", False): tr("median"),
        ("auto", True): tr("automatic"),
        ("mask", True): tr("mask (0 or 1)"),
        ("share", True): tr("share of the pixel"),
        ("last", True): tr("value of the last feature"),
        ("first", True): tr("value of the first feature"),
        ("min", True): tr("smallest value"),
        ("max", True): tr("largest value"),
        ("mean", True): tr("mean of the values"),
        ("sum", True): tr("sum of the values"),
    }


def row_tooltip(row: Row) -> str:
    """Where a layer is from, for whoever has two of one name."""
    return f"{row.layer.name()}\n{row.layer.publicSource()}\n{row.layer.crs().userFriendlyIdentifier()}"
