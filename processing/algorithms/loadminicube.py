"""minicuber:loadminicube: the variables of a cube as styled layers in the project."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingParameterFile,
    QgsProcessingParameterString,
)

from ...core.errors import InputError
from ..base import MinicuberAlgorithm
from ..parameters import Parameters
from ..text import tr


class LoadMinicube(MinicuberAlgorithm):
    ID = "loadminicube"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add(QgsProcessingParameterFile("CUBE", "Minicube", extension="nc"))
        self.add(QgsProcessingParameterString("VARIABLES", "Variables", optional=True))
        self.addOutput(QgsProcessingOutputNumber("N_LAYERS", tr("Number of layers")))

    def read(self, parameters: Parameters) -> None:
        self._cube = parameters.file("CUBE")
        if not self._cube:
            raise InputError("CUBE is missing.", "Give the path of a minicube.")
        self._variables = [name.strip() for name in parameters.text("VARIABLES").split(",") if name.strip()]

    def work(self, feedback) -> dict[str, Any]:
        order = {"cube": self._cube, "variables": self._variables}
        result = self.run_core("describecube", order, feedback)
        self.load(result["title"], self._cube, result["layers"], feedback)
        return {"N_LAYERS": len(result["layers"])}
