"""minicuber:attachlayers: layers of the project as variables of a cube."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterMatrix,
    QgsProcessingParameterMultipleLayers,
)

from ...core.errors import InputError
from ..base import MinicuberAlgorithm
from ..layer_orders import COLUMNS, orders_of
from ..parameters import Parameters
from ..text import tr

ANY_LAYER = getattr(QgsProcessing, "SourceType", QgsProcessing).TypeMapLayer


class AttachLayers(MinicuberAlgorithm):
    ID = "attachlayers"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add_cube()
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
        self.add_load()
        self.add_cube_output()
        self.addOutput(
            QgsProcessingOutputString("COVERAGE", tr("Share of the pixels with a value, per cent"))
        )

    def read(self, parameters: Parameters) -> None:
        self._load = parameters.flag("LOAD")
        self._cube = parameters.cube("CUBE")
        self._output = parameters.output("OUTPUT")
        self._replace = parameters.flag("REPLACE")
        layers = parameters.layers("LAYERS")
        if not layers:
            raise InputError("LAYERS is empty.", "Choose at least one layer.")
        self._orders = orders_of(layers, parameters.matrix("OPTIONS", COLUMNS))
        self._context = parameters.transform_context()

    def work(self, feedback) -> dict[str, Any]:
        grid = None
        if any(order.needs_grid for order in self._orders):
            grid = self.run_core("cubegrid", {"cube": self._cube}, feedback)
        order = {
            "cube": self._cube,
            "layers": [each.order(grid, self._context, feedback) for each in self._orders],
            "output": self._output,
            "replace": self._replace,
        }
        result = self.run_core("attachlayers", order, feedback)
        self.show(result, self._load, feedback)
        coverage = ", ".join(f"{name}: {share:g}" for name, share in result["coverage"].items())
        return {"OUTPUT": result["output"], "COVERAGE": coverage}
