"""The Processing provider: lists the algorithms."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algorithms.aggregatetime import AggregateTime
from .algorithms.attachlayers import AttachLayers
from .algorithms.buildminicube import BuildMinicube
from .algorithms.cleanclouds import CleanClouds
from .algorithms.createdemodata import CreateDemoData
from .algorithms.exportdataset import ExportDataset
from .algorithms.loadminicube import LoadMinicube
from .algorithms.resplitdataset import ResplitDataset
from .algorithms.setupenvironment import SetUpEnvironment
from .algorithms.spectralindices import SpectralIndices
from .algorithms.terrainvariables import TerrainVariables
from .base import ICON
from .project import loader

ALGORITHMS = (
    SetUpEnvironment,
    CreateDemoData,
    BuildMinicube,
    AttachLayers,
    AggregateTime,
    SpectralIndices,
    TerrainVariables,
    CleanClouds,
    ExportDataset,
    ResplitDataset,
    LoadMinicube,
)


class MinicuberProvider(QgsProcessingProvider):
    """Needs no third-party package: the algorithms appear before the core's environment exists."""

    def id(self) -> str:
        return "minicuber"

    def name(self) -> str:
        return "Minicuber"

    def icon(self) -> QIcon:
        return QIcon(str(ICON))

    def loadAlgorithms(self) -> None:
        loader()  # made here, on the main thread
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())
