"""minicuber:aggregatetime: variables of a cube brought to regular steps, or to the dates of another variable."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingParameterMatrix,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ..cube_algorithm import CubeAlgorithm
from ..parameters import Parameters
from ..text import tr

INTEGER = getattr(QgsProcessingParameterNumber, "Type", QgsProcessingParameterNumber).Integer
COLUMNS = ("name", "aggregation")


class AggregateTime(CubeAlgorithm):
    ID = "aggregatetime"

    def add_options(self) -> None:
        headers = [tr("Variable"), tr("Aggregation")]
        self.add(
            QgsProcessingParameterMatrix("VARIABLES", "Variables", 1, False, headers, None, optional=True)
        )
        self.add(QgsProcessingParameterNumber("STEP_DAYS", "Days of a step", INTEGER, 5, True, 1))
        self.add(QgsProcessingParameterString("LIKE", "Variable whose dates to match", optional=True))

    def options(self, parameters: Parameters) -> dict[str, Any]:
        return {
            "variables": parameters.matrix("VARIABLES", COLUMNS),
            "step_days": parameters.integer("STEP_DAYS"),
            "like": parameters.text("LIKE"),
        }
