"""minicuber:terrainvariables: a cube with slope, aspect and other variables of the ground, at one or several scales."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingParameterEnum,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from ..base import MinicuberAlgorithm
from ..parameters import Parameters

VARIABLES = ["slope", "northness", "eastness", "ruggedness", "curvature", "twi"]


class TerrainVariables(MinicuberAlgorithm):
    ID = "terrainvariables"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add_cube()
        self.add(QgsProcessingParameterRasterLayer("DEM", "Elevation model", optional=True))
        self.add(
            QgsProcessingParameterString(
                "DEM_VARIABLE", "Or a variable of the cube with elevations", optional=True
            )
        )
        self.add(
            QgsProcessingParameterEnum(
                "VARIABLES",
                "Variables",
                VARIABLES,
                allowMultiple=True,
                defaultValue=VARIABLES[:3],
                optional=True,
                usesStaticStrings=True,
            )
        )
        self.add(QgsProcessingParameterString("SCALES", "Scales (m)", optional=True))
        self.add_load()
        self.add_cube_output()

    def read(self, parameters: Parameters) -> None:
        self._load = parameters.flag("LOAD")
        self._order = {
            "cube": parameters.cube("CUBE"),
            "dem": parameters.raster_file("DEM"),
            "dem_variable": parameters.text("DEM_VARIABLE"),
            **{f"dem_{key}": value for key, value in parameters.raster_settings("DEM").items()},
            "variables": parameters.choices("VARIABLES"),
            "scales": parameters.text("SCALES"),
            "output": parameters.output("OUTPUT"),
        }

    def work(self, feedback) -> dict[str, Any]:
        result = self.run_core("terrainvariables", self._order, feedback)
        self.show(result, self._load, feedback)
        return {"OUTPUT": result["output"]}
