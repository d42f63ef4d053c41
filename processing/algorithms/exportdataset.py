"""minicuber:exportdataset: context and target pairs of cubes, for machine learning."""

from __future__ import annotations

import os
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessing,
    QgsProcessingOutputNumber,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterEnum,
    QgsProcessingParameterField,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorLayer,
)

from ...core.errors import InputError
from ..base import MinicuberAlgorithm
from ..dataset_layer import index_layer
from ..features import Features
from ..parameters import Parameters
from ..split_layer import split_features
from ..text import tr

TYPE = getattr(QgsProcessingParameterNumber, "Type", QgsProcessingParameterNumber)
FILES = getattr(QgsProcessing, "SourceType", QgsProcessing).TypeFile
VECTORS = getattr(QgsProcessing, "SourceType", QgsProcessing).TypeVectorAnyGeometry
UNITS = ["pixel", "patch"]
SPLITS = ["none", "random", "spatial", "temporal", "column", "kfold"]
SMOOTHINGS = ["none", "context", "both", "whole"]
FORMATS = ["npz", "npz-sharded", "seed", "earthnet2021", "greenearthnet"]
# Name, label, default, smallest.
COUNTS = (
    ("CONTEXT", "Steps of the context", 54, 1),
    ("TARGET", "Steps of the target", 18, 1),
    ("STRIDE", "Steps from a window to the next", 1, 1),
    ("SHIFT", "Steps by which weather is later", 0, 0),
    ("MAX_STEP_DAYS", "Longest step in a window (days, 0: any)", 0, 0),
    ("PATCH_SIZE", "Size of a patch (pixels)", 128, 1),
    ("PATCH_OVERLAP", "Overlap of patches (pixels)", 0, 0),
    ("MAX_SAMPLES", "Pixels or patches per cube (0: all)", 0, 0),
    ("PER_CLASS", "Pixels or patches per cube and class (0: all)", 0, 0),
    ("SEED", "Seed of all draws", 0, 0),
)
SHARES = (
    ("PATCH_SHARE", "Share of a patch that WHERE must hold for", 0.5, 1.0),
    ("MIN_SEEN_CONTEXT", "Least share of seen values in the context", 0.0, 1.0),
    ("MIN_SEEN_TARGET", "Least share of seen values in the target", 0.0, 1.0),
    ("MIN_DISTANCE", "Least distance of samples (m)", 0.0, 1e7),
)
TEXTS = (
    ("VARIABLES", "Variables"),
    ("TARGET_VARIABLES", "Variables of the target"),
    ("WHERE", "Condition for pixels"),
    ("SEASON", "Season of the first target date"),
    ("EXCLUDE", "Years or periods to leave out"),
    ("STRATA", "Variable of the classes to draw from"),
    ("SPLIT_OPTIONS", "Options of the split (JSON)"),
    ("CLEANING", "Options of the cleaning (JSON)"),
)
CHOICES = (
    ("UNIT", "Unit of a sample", UNITS, "pixel"),
    ("SPLIT", "Split", SPLITS, "none"),
    ("SMOOTHING", "Cleaning", SMOOTHINGS, "none"),
    ("FORMAT", "Format", FORMATS, "npz"),
)
ORDER = (
    "CONTEXT", "TARGET", "STRIDE", "SHIFT", "MAX_STEP_DAYS", "UNIT", "PATCH_SIZE", "VARIABLES", "TARGET_VARIABLES",
    "WHERE", "SEASON", "MAX_SAMPLES", "SPLIT", "SPLIT_OPTIONS", "SMOOTHING", "CLEANING", "FORMAT", "SEED",
    "EXCLUDE", "MIN_SEEN_CONTEXT", "MIN_SEEN_TARGET", "PATCH_OVERLAP", "PATCH_SHARE", "MIN_DISTANCE", "STRATA",
    "PER_CLASS",
)  # fmt: skip
ADVANCED = ("STRIDE", "SHIFT", "MAX_STEP_DAYS", "CLEANING", *ORDER[ORDER.index("SEED") :])


class ExportDataset(MinicuberAlgorithm):
    ID = "exportdataset"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add(QgsProcessingParameterMultipleLayers("CUBES", "Minicubes", FILES))
        made = {name: self._number(name, label, TYPE.Integer, *rest) for name, label, *rest in COUNTS}
        made |= {
            name: self._number(name, label, TYPE.Double, default, 0, most)
            for name, label, default, most in SHARES
        }
        made |= {name: QgsProcessingParameterString(name, label, optional=True) for name, label in TEXTS}
        for name, label, known, default in CHOICES:
            made[name] = QgsProcessingParameterEnum(
                name, label, known, defaultValue=default, optional=True, usesStaticStrings=True
            )
        for name in ORDER:
            self.add(made[name], advanced=name in ADVANCED)
        places = QgsProcessingParameterVectorLayer(
            "PLACES", "Points or polygons to sample", [VECTORS], None, True
        )
        self.add(places, advanced=True)
        field = QgsProcessingParameterField(
            "PLACES_FIELD", "Field of their regions", parentLayerParameterName="PLACES", optional=True
        )
        self.add(field, advanced=True)
        self.add_load()
        self.add(QgsProcessingParameterFolderDestination("OUTPUT", "Folder of the dataset", optional=True))
        self.addOutput(QgsProcessingOutputVectorLayer("INDEX", tr("Index of the samples")))
        self.addOutput(QgsProcessingOutputNumber("N_SAMPLES", tr("Number of samples")))

    def read(self, parameters: Parameters) -> None:
        self._order = {name.lower(): parameters.integer(name) for name, *_rest in COUNTS}
        self._order |= {name.lower(): parameters.number(name) for name, *_rest in SHARES}
        self._order |= {name.lower(): parameters.choice(name) for name, *_rest in CHOICES}
        self._order |= {name.lower(): parameters.text(name) for name, _label in TEXTS}
        self._order |= {
            "cubes": parameters.files("CUBES"),
            "output": parameters.output("OUTPUT"),
            "page": True,
            "split_options": parameters.json_object("SPLIT_OPTIONS", '{"fractions": [0.7, 0.15, 0.15]}'),
            "cleaning": parameters.json_object("CLEANING", '{"METHOD": "whittaker"}'),
        }
        self._features: dict[str, Features] = {}
        places = parameters.vector("PLACES")
        if places is not None:
            self._features["places"] = Features(places, parameters.text("PLACES_FIELD"))
        elif parameters.given("PLACES_FIELD"):
            raise InputError("PLACES_FIELD has no layer.", "Choose PLACES too.")
        column = split_features(parameters, self._order)
        if column is not None:
            self._features["split_places"] = column
        self._context = parameters.transform_context()
        self._load = parameters.flag("LOAD")

    def work(self, feedback) -> dict[str, Any]:
        degrees = QgsCoordinateReferenceSystem("EPSG:4326")
        for name, features in self._features.items():
            self._order[name] = features.write(degrees, self._context, feedback)
        result = self.run_core(self.ID, self._order, feedback)
        if self._load:
            title = tr("Dataset {}").format(os.path.basename(os.path.normpath(result["output"])))
            self.load(title, result["output"], [index_layer(result["index"])], feedback)
        self.announce(result["output"])
        return {"OUTPUT": result["output"], "INDEX": result["index"], "N_SAMPLES": result["n_samples"]}

    @staticmethod
    def _number(name: str, label: str, kind: Any, default: Any, low: float, high: float = 1e9) -> Any:
        return QgsProcessingParameterNumber(name, label, kind, default, True, low, high)
