"""Reads the parameters of a run: each getter checks one kind of value and names it in its error.

Always through QGIS's `parameterAs...`, so that models, expressions and `qgis_process` work; never raw.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from typing import Any

from qgis.core import (
    NULL,
    QgsApplication,
    QgsAuthMethodConfig,
    QgsCoordinateReferenceSystem,
    QgsGeometry,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingUtils,
    QgsProperty,
    QgsRectangle,
    QgsReferencedGeometry,
    QgsReferencedRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt

from ..core.errors import InputError
from .presets import preset_names

NUMBERS = re.compile(r"^[^,\[\]]+(?:,[^,\[\]]+){3}(?:\[(?P<crs>.*)\]\s*)?$", re.DOTALL)


class Parameters:
    """The parameters of one run. Read on the main thread, in `prepareAlgorithm`."""

    def __init__(
        self, algorithm: QgsProcessingAlgorithm, values: dict[str, Any], context: QgsProcessingContext
    ) -> None:
        self._algorithm, self._values, self._context = algorithm, values, context

    def given(self, name: str) -> bool:
        """Whether the user gave a value at all."""
        return self._values.get(name) not in (None, "")

    def text(self, name: str) -> str:
        return (self._algorithm.parameterAsString(self._values, name, self._context) or "").strip()

    def number(self, name: str) -> float:
        return self._algorithm.parameterAsDouble(self._values, name, self._context)

    def integer(self, name: str) -> int:
        return self._algorithm.parameterAsInt(self._values, name, self._context)

    def flag(self, name: str) -> bool:
        return self._algorithm.parameterAsBool(self._values, name, self._context)

    def choice(self, name: str) -> str:
        return self._algorithm.parameterAsEnumString(self._values, name, self._context)

    def choices(self, name: str) -> list[str]:
        return list(self._algorithm.parameterAsEnumStrings(self._values, name, self._context))

    def day(self, name: str) -> str:
        """The date as ISO text. Date parameters are local midnight: the day as it is written counts."""
        if not self.given(name):
            raise InputError(f"{name} is missing.", "Write it as 2020-06-01.")
        day = self._algorithm.parameterAsDateTime(self._values, name, self._context).date()
        if not day.isValid():
            raise InputError(f"{name} is not a date: {self.text(name)!r}.", "Write it as 2020-06-01.")
        return day.toString(Qt.DateFormat.ISODate)

    def extent(self, name: str) -> tuple[tuple[float, float, float, float], str]:
        """(xmin, xmax, ymin, ymax) and its CRS as authority id or WKT.

        The CRS must come with the extent (in brackets, of a layer, of a referenced value): QGIS would give
        one without it the project's.
        """
        value = self._values.get(name)
        if value in (None, ""):
            raise InputError(f"{name} is missing.", "Draw it, or write it as 7.4,7.5,46.9,47.0 [EPSG:4326].")
        if isinstance(value, QgsReferencedGeometry):
            value = QgsReferencedRectangle(value.boundingBox(), value.crs())
        if isinstance(value, QgsProperty):
            value = self.text(name)
        values = {**self._values, name: value}
        text = value.strip() if isinstance(value, str) else ""
        numbers = NUMBERS.match(text)
        crs = self._algorithm.parameterAsExtentCrs(values, name, self._context)
        if numbers:
            crs = QgsCoordinateReferenceSystem((numbers["crs"] or "").strip())
        bare = isinstance(value, (QgsRectangle, QgsGeometry)) and not isinstance(
            value, QgsReferencedRectangle
        )
        if bare or not crs.isValid():
            raise InputError(
                f"{name} has no known CRS: {text or type(value).__name__}.",
                "Add it, for example: 7.4,7.5,46.9,47.0 [EPSG:4326].",
            )
        box = self._algorithm.parameterAsExtent(values, name, self._context)
        if box.isNull() or not box.isFinite():
            raise InputError(f"{name} is not an extent: {text or value!r}.")
        return (box.xMinimum(), box.xMaximum(), box.yMinimum(), box.yMaximum()), crs_text(crs)

    def crs(self, name: str) -> str | None:
        """The CRS as authority id or WKT, None when none was given."""
        if not self.given(name):
            return None
        crs = self._algorithm.parameterAsCrs(self._values, name, self._context)
        if not crs.isValid():
            raise InputError(f"{name} is not a known coordinate reference system: {self.text(name)!r}.")
        return crs_text(crs)

    def matrix(self, name: str, columns: Sequence[str]) -> list[list[str]]:
        """The rows of a matrix whose columns have these names; [] when none was given, rows without a word left out.

        Cells may be empty; numbers are written as a person would (1, not 1.0). QGIS gives a flat list, or the rows
        as they were given to it.
        """
        cells: list[str] = []
        for value in self._algorithm.parameterAsMatrix(self._values, name, self._context):
            row = list(value) if isinstance(value, (list, tuple)) else None
            if row is not None and len(row) != len(columns):
                raise self._ragged(name, columns, ", ".join(map(_cell, row)))
            cells += map(_cell, [value] if row is None else row)
        if not any(cells):
            return []
        if len(cells) % len(columns):
            raise self._ragged(name, columns, ", ".join(cells))
        rows = [cells[start : start + len(columns)] for start in range(0, len(cells), len(columns))]
        return [row for row in rows if any(row)]

    @staticmethod
    def _ragged(name: str, columns: Sequence[str], text: str) -> InputError:
        return InputError(
            f"{name} is not made of rows of {len(columns)} cells ({', '.join(columns)}): {text}.",
            "Give every row all its cells, one after the other.",
        )

    def json_object(self, name: str, example: str = '{"B11": "bilinear"}') -> dict[str, Any]:
        """The JSON object of a text, {} when none was given."""
        text = self.text(name)
        if not text:
            return {}
        try:
            value = json.loads(text)
        except ValueError as error:
            raise InputError(f"{name} is not JSON: {text}.", f"For example: {example}.") from error
        if not isinstance(value, dict):
            raise InputError(f"{name} is no JSON object: {text}.", f"For example: {example}.")
        return value

    def credentials(self, name: str) -> dict[str, str]:
        """What an authentication configuration holds, as the core wants it; {} when none was chosen.

        Basic and AWS S3 have a name and a password, APIHeader has one header.
        """
        key = self.text(name)
        if not key:
            return {}
        config = QgsAuthMethodConfig()
        manager = QgsApplication.authManager()
        if key not in manager.configIds() or not manager.loadAuthenticationConfig(key, config, True):
            raise InputError(
                f"{name}: the authentication configuration {key} cannot be opened.",
                "Check it in QGIS's options, and the master password.",
            )
        values = config.configMap()
        if config.method() in ("Basic", "AWSS3"):
            return {"username": values.get("username", ""), "password": values.get("password", "")}
        headers = {key: value for key, value in values.items() if key not in ("realm", "oldconfigstyle")}
        if config.method() == "APIHeader" and len(headers) == 1:
            header, value = next(iter(headers.items()))
            return {"header": header, "value": value}
        raise InputError(
            f"{name}: configurations of the kind {config.method()} cannot be used.",
            "Choose one with user name and password, keys of AWS S3, or one API header.",
        )

    def file(self, name: str) -> str:
        """The absolute path of an existing file, or "" when none was given."""
        path = self._absolute(self._algorithm.parameterAsFile(self._values, name, self._context))
        if path and not os.path.exists(path):
            raise InputError(f"{name} does not exist: {path}.")
        return path

    def files(self, name: str) -> list[str]:
        """The absolute paths of several files or folders, which are there. Raises `InputError`."""
        given = self._algorithm.parameterAsFileList(self._values, name, self._context)
        paths = [self._absolute(str(each).strip()) for each in given if str(each).strip()]
        if not paths:
            raise InputError(f"{name} is missing.", "Give at least one path.")
        for path in paths:
            if not os.path.exists(path):
                raise InputError(f"{name} does not exist: {path}.")
        return paths

    def vector(self, name: str) -> Any:
        """A vector layer, None when none was given. Raises `InputError`."""
        if not self.given(name):
            return None
        layer = self._algorithm.parameterAsVectorLayer(self._values, name, self._context)
        if layer is None or not layer.isValid():
            raise InputError(f"{name} is no vector layer: {self.text(name)!r}.")
        return layer

    def layer_by_name(self, text: str, name: str) -> Any:
        """The vector layer of the project that has this id, name or source, or that of a file. Raises `InputError`."""
        layer = QgsProcessingUtils.mapLayerFromString(text, self._context)
        if not isinstance(layer, QgsVectorLayer) or not layer.isValid():
            raise InputError(f"{name} has no vector layer {text!r}.", "Name one of the project, or a file.")
        return layer

    def cube(self, name: str) -> str:
        """The absolute path of a cube: of its file, its folder, or the file in that, which need not be there: the core
        puts a folder back that a dead run left aside."""
        path = self.text(name)
        if not path:
            raise InputError(f"{name} is missing.", "Give the path of a minicube.")
        return self._absolute(path)

    def layers(self, name: str) -> list[Any]:
        """The layers that were chosen, in their order. Raises `InputError` for one that is not there or not valid."""
        if not self.given(name):
            return []
        layers = self._algorithm.parameterAsLayerList(self._values, name, self._context)
        given = self._values.get(name)
        wanted = len(given) if isinstance(given, (list, tuple)) else len(str(given).split(";"))
        if len(layers) < wanted:
            raise InputError(f"{name}: {wanted - len(layers)} of {wanted} layers cannot be opened: {given}.")
        for layer in layers:
            if not layer.isValid():
                raise InputError(
                    f"The layer {layer.name()} is not valid.", "Repair its source, or leave it out."
                )
        return list(layers)

    def transform_context(self) -> Any:
        """How the project changes between CRS."""
        return self._context.transformContext()

    def raster(self, name: str) -> dict[str, Any]:
        """A raster layer that is a file: its path (`file`), its `crs` as text, and ranges of numbers that the user set
        as `missing`; empty ones when none was given. `own`: whether all that is what the file itself says."""
        if not self.given(name):
            return {"file": "", "crs": "", "missing": [], "own": True}
        layer = self._algorithm.parameterAsRasterLayer(self._values, name, self._context)
        if layer is None or not layer.isValid():
            raise InputError(f"{name} is no raster layer: {self.text(name)!r}.")
        path = layer.source().split("|")[0]
        if layer.providerType() != "gdal" or not os.path.isfile(path):
            raise InputError(
                f"{name} is a layer without a file: {layer.name()}.", "Export it to a GeoTIFF first."
            )
        provider = layer.dataProvider()
        missing = [[each.min(), each.max()] for each in provider.userNoDataValues(1)]
        return {
            "file": self._absolute(path),
            "crs": crs_text(layer.crs()) if layer.crs().isValid() else "",
            "missing": missing,
            "own": not missing and layer.crs() == provider.crs(),
        }

    def raster_file(self, name: str) -> str:
        """The file of a raster layer of which nothing but the file counts, or "" when none was given."""
        raster = self.raster(name)
        if not raster["own"]:
            raise InputError(
                f"{name} has a CRS or missing values that its file does not say.",
                "Export it to a GeoTIFF first.",
            )
        return raster["file"]

    def output(self, name: str) -> str:
        """The absolute path of a file or folder to write; a temporary one when the user asked for that."""
        return self._absolute(self._algorithm.parameterAsFileOutput(self._values, name, self._context))

    def catalog(self, name: str, kind: str = "catalogs") -> str:
        """The name of a preset, a path or a URL: a relative path that exists becomes absolute, all else stays."""
        text = self.text(name)
        is_preset = text.lower().split("/")[0] in preset_names(kind, aliases=True)
        return self._absolute(text) if text and not is_preset and os.path.exists(text) else text

    @staticmethod
    def _absolute(path: str) -> str:
        return os.path.abspath(path) if path else ""


def _cell(value: Any) -> str:
    """A cell of a matrix as text. What looks like a number was made one; NULL is what was never written."""
    if value is None or value == NULL:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip().strip('"')


def crs_text(crs: Any) -> str:
    """A CRS in the form that the core reads: its authority id, else its WKT."""
    return crs.authid() if ":" in crs.authid() and not crs.authid().startswith("USER:") else crs.toWkt()
