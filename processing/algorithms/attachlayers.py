"""minicuber:attachlayers: layers of the project as variables of a cube."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterMatrix,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ...core.errors import InputError
from ..cube_algorithm import CubeAlgorithm
from ..layer_orders import COLUMNS, orders_of
from ..parameters import Parameters
from ..text import tr

DATE_MATCHES = ("exact", "nearest", "last")
INTEGER = getattr(QgsProcessingParameterNumber, "Type", QgsProcessingParameterNumber).Integer
ANY_LAYER = getattr(QgsProcessing, "SourceType", QgsProcessing).TypeMapLayer


class AttachLayers(CubeAlgorithm):
    ID = "attachlayers"

    def add_options(self) -> None:
        self.add(QgsProcessingParameterMultipleLayers("LAYERS", "Layers", ANY_LAYER, optional=True))
        headers = [tr("Layer"), tr("Variable"), tr("Resampling"), tr("Band or field")]
        self.add(
            QgsProcessingParameterMatrix(
                "OPTIONS", "Options per layer", 0, False, headers, None, optional=True
            )
        )
        self.add(
            QgsProcessingParameterBoolean(
                "REPLACE", "Replace variables of the same name", True, optional=True
            )
        )
        pattern = QgsProcessingParameterString("DATE_PATTERN", "Pattern of dates in names", optional=True)
        match = QgsProcessingParameterEnum(
            "DATE_MATCH", "Which raster a date of the cube gets", DATE_MATCHES, False, "exact", True, True
        )
        tolerance = QgsProcessingParameterNumber(
            "DATE_TOLERANCE", "Days that may lie between", INTEGER, 0, True, 0
        )
        for parameter in (pattern, match, tolerance):
            self.add(parameter, advanced=True)

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        super().initAlgorithm(configuration)
        self.addOutput(
            QgsProcessingOutputString("COVERAGE", tr("Share of the pixels with a value, per cent"))
        )

    def options(self, parameters: Parameters) -> dict[str, Any]:
        layers = parameters.layers("LAYERS")
        if not layers:
            raise InputError("LAYERS is empty.", "Choose at least one layer.")
        self._layers = orders_of(layers, parameters.matrix("OPTIONS", COLUMNS))
        self._context = parameters.transform_context()
        return {
            "replace": parameters.flag("REPLACE"),
            "date_pattern": parameters.text("DATE_PATTERN"),
            "date_match": parameters.choice("DATE_MATCH"),
            "date_tolerance": parameters.integer("DATE_TOLERANCE"),
        }

    def work(self, feedback) -> dict[str, Any]:
        grid = None
        if any(layer.needs_grid for layer in self._layers):
            grid = self.run_core("cubegrid", {"cube": self._order["cube"]}, feedback)
        orders = [layer.order(grid, self._context, feedback) for layer in self._layers]
        result = self.run_core(self.ID, {**self._order, "layers": orders}, feedback)
        self.show(result, self._load, feedback)
        coverage = ", ".join(f"{name}: {share:g}" for name, share in result["coverage"].items())
        return {"OUTPUT": result["output"], "COVERAGE": coverage}
