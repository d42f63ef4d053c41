"""minicuber:buildminicube: a cube of Sentinel-2 images on one exact grid."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterCrs,
    QgsProcessingParameterDateTime,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ..base import MinicuberAlgorithm
from ..parameters import Parameters
from ..text import tr

BANDS = [
    "B01",
    "B02",
    "B03",
    "B04",
    "B05",
    "B06",
    "B07",
    "B08",
    "B8A",
    "B09",
    "B11",
    "B12",
    "AOT",
    "WVP",
    "SCL",
]
MASKS = ["none", "scl"]
REAL = getattr(QgsProcessingParameterNumber, "Type", QgsProcessingParameterNumber).Double
INTEGER = getattr(QgsProcessingParameterNumber, "Type", QgsProcessingParameterNumber).Integer
DATE = getattr(QgsProcessingParameterDateTime, "Type", QgsProcessingParameterDateTime).Date


class BuildMinicube(MinicuberAlgorithm):
    ID = "buildminicube"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add(QgsProcessingParameterExtent("EXTENT", "Extent", optional=True))
        self.add(QgsProcessingParameterDateTime("START", "First day", DATE, optional=True))
        self.add(QgsProcessingParameterDateTime("END", "Last day", DATE, optional=True))
        self.add(QgsProcessingParameterString("CATALOG", "Catalog", optional=True))
        self.add(
            QgsProcessingParameterEnum(
                "S2_BANDS",
                "Sentinel-2 bands",
                BANDS,
                allowMultiple=True,
                defaultValue=["B02", "B03", "B04", "B08"],
                optional=True,
                usesStaticStrings=True,
            )
        )
        self.add(
            QgsProcessingParameterEnum(
                "S2_MASK", "Cloud mask", MASKS, defaultValue="none", optional=True, usesStaticStrings=True
            )
        )
        self.add(
            QgsProcessingParameterNumber("RESOLUTION", "Resolution", REAL, 10.0, optional=True, minValue=0.0)
        )
        self.add(
            QgsProcessingParameterNumber(
                "MAX_CLOUD", "Largest cloud cover of a scene (%)", REAL, 100.0, True, 0.0, 100.0
            )
        )
        self.add(QgsProcessingParameterCrs("CRS", "CRS of the cube", optional=True), advanced=True)
        self.add(QgsProcessingParameterNumber("WIDTH", "Width in pixels", INTEGER, 0, True, 0), advanced=True)
        self.add(
            QgsProcessingParameterNumber("HEIGHT", "Height in pixels", INTEGER, 0, True, 0), advanced=True
        )
        self.add(QgsProcessingParameterBoolean("DRY_RUN", "Only estimate", False, optional=True))
        self.add_load()
        self.add(
            QgsProcessingParameterFileDestination(
                "OUTPUT", "Minicube", tr("NetCDF files") + " (*.nc)", optional=True, createByDefault=True
            )
        )
        for name, text in (
            ("N_ITEMS", "Number of items"),
            ("N_DATES", "Number of dates"),
            ("ESTIMATED_MB", "Estimated size of the cube (MB)"),
            ("ESTIMATED_DOWNLOAD_MB", "Estimated download (MB)"),
        ):
            self.addOutput(QgsProcessingOutputNumber(name, tr(text)))

    def read(self, parameters: Parameters) -> None:
        extent, extent_crs = parameters.extent("EXTENT")
        self._dry_run = parameters.flag("DRY_RUN")
        self._load = parameters.flag("LOAD")
        self._output = "" if self._dry_run else parameters.output("OUTPUT")
        self._recipe = {
            "extent": extent,
            "extent_crs": extent_crs,
            "crs": parameters.crs("CRS"),
            "resolution": parameters.number("RESOLUTION"),
            "width": parameters.integer("WIDTH"),
            "height": parameters.integer("HEIGHT"),
            "start": parameters.day("START"),
            "end": parameters.day("END"),
            "catalog": parameters.path_or_url("CATALOG"),
            "s2_bands": parameters.choices("S2_BANDS"),
            "s2_mask": parameters.choice("S2_MASK"),
            "max_cloud": parameters.number("MAX_CLOUD"),
        }

    def work(self, feedback) -> dict[str, Any]:
        order = {"recipe": self._recipe, "output": self._output, "dry_run": self._dry_run}
        result = self.run_core("buildminicube", order, feedback)
        if self._load and result["layers"]:
            self.load(result["title"], result["output"], result["layers"], feedback)
        return {
            "OUTPUT": result["output"] or None,
            "N_ITEMS": result["n_items"],
            "N_DATES": result["n_dates"],
            "ESTIMATED_MB": result["estimated_mb"],
            "ESTIMATED_DOWNLOAD_MB": result["estimated_download_mb"],
        }
