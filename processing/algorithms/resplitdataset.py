"""minicuber:resplitdataset: another split of a dataset, whose arrays stay as they are."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingOutputFile,
    QgsProcessingOutputNumber,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ...core.errors import InputError
from ..base import MinicuberAlgorithm
from ..parameters import Parameters
from ..split_layer import split_features
from ..text import tr
from .exportdataset import SPLITS, TYPE

BEHAVIOR = getattr(QgsProcessingParameterFile, "Behavior", QgsProcessingParameterFile)


class ResplitDataset(MinicuberAlgorithm):
    ID = "resplitdataset"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add(QgsProcessingParameterFile("DATASET", "Folder of the dataset", BEHAVIOR.Folder))
        self.add(QgsProcessingParameterString("SPLIT_NAME", "Name of the split", optional=True))
        self.add(
            QgsProcessingParameterEnum(
                "SPLIT", "Split", SPLITS, defaultValue="random", optional=True, usesStaticStrings=True
            )
        )
        self.add(QgsProcessingParameterString("SPLIT_OPTIONS", "Options of the split (JSON)", optional=True))
        self.add(QgsProcessingParameterNumber("SEED", "Seed of all draws", TYPE.Integer, 0, True, 0))
        self.addOutput(QgsProcessingOutputFile("OUTPUT", tr("File of the split")))
        self.addOutput(QgsProcessingOutputNumber("N_SAMPLES", tr("Number of samples")))

    def read(self, parameters: Parameters) -> None:
        self._order = {
            "dataset": parameters.file("DATASET"),
            "name": parameters.text("SPLIT_NAME"),
            "split": parameters.choice("SPLIT"),
            "split_options": parameters.json_object("SPLIT_OPTIONS", '{"fractions": [0.7, 0.15, 0.15]}'),
            "seed": parameters.integer("SEED"),
        }
        if not self._order["dataset"]:
            raise InputError("DATASET is missing.", "Choose the folder of an exported dataset.")
        self._features = split_features(parameters, self._order)
        self._context = parameters.transform_context()

    def work(self, feedback) -> dict[str, Any]:
        if self._features is not None:
            degrees = QgsCoordinateReferenceSystem("EPSG:4326")
            self._order["split_places"] = self._features.write(degrees, self._context, feedback)
        result = self.run_core(self.ID, self._order, feedback)
        return {"OUTPUT": result["output"], "N_SAMPLES": result["n_samples"]}
