"""minicuber:createdemodata: a small synthetic catalog, weather and layers to try everything with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingOutputFile,
    QgsProcessingOutputMultipleLayers,
    QgsProcessingOutputString,
    QgsProcessingParameterFolderDestination,
)

from ...core.errors import InputError
from ..base import MinicuberAlgorithm
from ..parameters import Parameters
from ..text import tr


class CreateDemoData(MinicuberAlgorithm):
    ID = "createdemodata"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add_load()
        self.add(QgsProcessingParameterFolderDestination("OUTPUT", "Folder"))
        self.addOutput(QgsProcessingOutputFile("CATALOG", tr("STAC catalog")))
        self.addOutput(QgsProcessingOutputString("EXTENT", tr("Extent with CRS")))
        self.addOutput(QgsProcessingOutputString("START", tr("First day")))
        self.addOutput(QgsProcessingOutputString("END", tr("Last day")))
        self.addOutput(QgsProcessingOutputFile("ERA5", tr("Hourly weather")))
        self.addOutput(QgsProcessingOutputMultipleLayers("LAYERS", tr("Layers")))

    def read(self, parameters: Parameters) -> None:
        self._output = parameters.output("OUTPUT")
        if not self._output:
            raise InputError("OUTPUT is missing.", "Give the folder to write.")
        self._load = parameters.flag("LOAD")

    def work(self, feedback) -> dict[str, Any]:
        result = self.run_core("createdemodata", {"output": self._output}, feedback)
        if self._load:
            layers = [{"path": path, "name": Path(path).stem} for path in result["layers"]]
            self.load(tr("Minicuber demo (synthetic)"), self._output, layers, feedback)
        return {
            "OUTPUT": self._output,
            "CATALOG": result["catalog"],
            "EXTENT": result["extent"],
            "START": result["start"],
            "END": result["end"],
            "ERA5": result["era5"],
            "LAYERS": list(result["layers"]),
        }
