"""minicuber:terrainvariables: a cube with slope, aspect and other variables of the ground, at one or several scales."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingParameterEnum,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from ..cube_algorithm import CubeAlgorithm
from ..parameters import Parameters

VARIABLES = ["slope", "northness", "eastness", "ruggedness", "curvature", "twi"]


class TerrainVariables(CubeAlgorithm):
    ID = "terrainvariables"

    def add_options(self) -> None:
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

    def options(self, parameters: Parameters) -> dict[str, Any]:
        dem = parameters.raster("DEM")
        return {
            "dem": dem["file"],
            "dem_variable": parameters.text("DEM_VARIABLE"),
            "dem_crs": dem["crs"],
            "dem_missing": dem["missing"],
            "variables": parameters.choices("VARIABLES"),
            "scales": parameters.text("SCALES"),
        }
