"""minicuber:spectralindices: a cube with spectral indices of its bands, by name, and features of place and season."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingParameterEnum, QgsProcessingParameterString

from ..base import MinicuberAlgorithm
from ..parameters import Parameters

FEATURES = ["day_of_year", "lonlat"]


class SpectralIndices(MinicuberAlgorithm):
    ID = "spectralindices"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add_cube()
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
        self.add_load()
        self.add_cube_output()

    def read(self, parameters: Parameters) -> None:
        self._load = parameters.flag("LOAD")
        self._order = {
            "cube": parameters.cube("CUBE"),
            "indices": parameters.text("INDICES"),
            "parameters": parameters.json_object("PARAMETERS", '{"L": 0.5}'),
            "features": parameters.choices("FEATURES"),
            "output": parameters.output("OUTPUT"),
        }

    def work(self, feedback) -> dict[str, Any]:
        result = self.run_core("spectralindices", self._order, feedback)
        self.show(result, self._load, feedback)
        return {"OUTPUT": result["output"]}
