"""minicuber:aggregatetime: variables of a cube brought to regular steps, or to the dates of another variable."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingParameterMatrix,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ..base import MinicuberAlgorithm
from ..parameters import Parameters
from ..text import tr

INTEGER = getattr(QgsProcessingParameterNumber, "Type", QgsProcessingParameterNumber).Integer
COLUMNS = ("name", "aggregation")


class AggregateTime(MinicuberAlgorithm):
    ID = "aggregatetime"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add_cube()
        headers = [tr("Variable"), tr("Aggregation")]
        self.add(
            QgsProcessingParameterMatrix("VARIABLES", "Variables", 1, False, headers, None, optional=True)
        )
        self.add(QgsProcessingParameterNumber("STEP_DAYS", "Days of a step", INTEGER, 5, True, 1))
        self.add(QgsProcessingParameterString("LIKE", "Variable whose dates to match", optional=True))
        self.add_load()
        self.add_cube_output()

    def read(self, parameters: Parameters) -> None:
        self._load = parameters.flag("LOAD")
        self._order = {
            "cube": parameters.cube("CUBE"),
            "variables": parameters.matrix("VARIABLES", COLUMNS),
            "step_days": parameters.integer("STEP_DAYS"),
            "like": parameters.text("LIKE"),
            "output": parameters.output("OUTPUT"),
        }

    def work(self, feedback) -> dict[str, Any]:
        result = self.run_core("aggregatetime", self._order, feedback)
        self.show(result, self._load, feedback)
        return {"OUTPUT": result["output"]}
