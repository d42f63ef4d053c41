"""minicuber:spectralindices: a cube with spectral indices of its bands, by name, and features of place and season."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingParameterEnum, QgsProcessingParameterString

from ..cube_algorithm import CubeAlgorithm
from ..parameters import Parameters

FEATURES = ["day_of_year", "lonlat"]


class SpectralIndices(CubeAlgorithm):
    ID = "spectralindices"

    def add_options(self) -> None:
        self.add(QgsProcessingParameterString("INDICES", "Spectral indices", optional=True))
        self.add(
            QgsProcessingParameterString("PARAMETERS", "Constants of the indices (JSON)", optional=True),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterEnum(
                "FEATURES",
                "Further features",
                FEATURES,
                allowMultiple=True,
                defaultValue=[],
                optional=True,
                usesStaticStrings=True,
            )
        )

    def options(self, parameters: Parameters) -> dict[str, Any]:
        return {
            "indices": parameters.text("INDICES"),
            "parameters": parameters.json_object("PARAMETERS", '{"L": 0.5}'),
            "features": parameters.choices("FEATURES"),
        }
