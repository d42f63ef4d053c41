"""minicuber:buildminicube: a cube of Sentinel-2 images, and of the climate between them, on one exact grid."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingParameterAuthConfig,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterCrs,
    QgsProcessingParameterDateTime,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFile,
    QgsProcessingParameterMatrix,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from ..base import MinicuberAlgorithm
from ..parameters import Parameters
from ..presets import catalogs_file
from ..settings import chunk_cache, parts_folder
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
TIME_AXES = ["s2", "regular"]
WINDOWS = ["since_previous", "trailing"]
SPACES = ["auto", "nearest", "bilinear"]
REAL = getattr(QgsProcessingParameterNumber, "Type", QgsProcessingParameterNumber).Double
INTEGER = getattr(QgsProcessingParameterNumber, "Type", QgsProcessingParameterNumber).Integer
DATE = getattr(QgsProcessingParameterDateTime, "Type", QgsProcessingParameterDateTime).Date


class BuildMinicube(MinicuberAlgorithm):
    ID = "buildminicube"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add(QgsProcessingParameterExtent("EXTENT", "Extent", optional=True))
        self.add(QgsProcessingParameterDateTime("START", "First day", DATE, optional=True))
        self.add(QgsProcessingParameterDateTime("END", "Last day", DATE, optional=True))
        self.add(self._catalog("CATALOG", "Catalog"))
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
        self.add(
            QgsProcessingParameterNumber(
                "MIN_CLEAR", "Smallest clear share of the extent (%)", REAL, 0.0, True, 0.0, 100.0
            )
        )
        self.add(
            QgsProcessingParameterEnum(
                "TIME_AXIS", "Time axis", TIME_AXES, defaultValue="s2", optional=True, usesStaticStrings=True
            )
        )
        self.add(
            QgsProcessingParameterNumber("STEP_DAYS", "Days of a regular step", INTEGER, 5, True, 1),
            advanced=True,
        )
        self.add(self._catalog("ERA5_SOURCE", "Climate data", "ClimateWidget"))
        self.add(
            QgsProcessingParameterMatrix(
                "ERA5_VARIABLES",
                "Climate variables",
                headers=[tr("Variable"), tr("Aggregation")],
                defaultValue=["t", "mean", "tp", "sum"],
                optional=True,
            )
        )
        self.add(
            QgsProcessingParameterEnum(
                "ERA5_WINDOW",
                "Days of a climate value",
                WINDOWS,
                defaultValue="since_previous",
                optional=True,
                usesStaticStrings=True,
            ),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterBoolean("ERA5_DAILY", "Climate of each day too", False, optional=True),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterEnum(
                "ERA5_SPACE",
                "Climate in space",
                SPACES,
                defaultValue="auto",
                optional=True,
                usesStaticStrings=True,
            ),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterRasterLayer("ERA5_DEM", "Elevation model for temperature", optional=True),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterNumber(
                "MIN_HOURS_SHARE", "Share of the hours that a step must have", REAL, 1.0, True, 0.0, 1.0
            ),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterAuthConfig("ERA5_AUTH", "Credentials of the climate data", optional=True),
            advanced=True,
        )
        self.add(self._catalog("FALLBACK_CATALOG", "Catalog if the first fails"), advanced=True)
        self.add(
            QgsProcessingParameterAuthConfig("CATALOG_AUTH", "Credentials of the catalog", optional=True),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterString("RESAMPLING", "Resampling per band", optional=True), advanced=True
        )
        self.add(
            QgsProcessingParameterBoolean("FAIL_ON_MISSING", "Stop at a missing file", False, optional=True),
            advanced=True,
        )
        self.add(QgsProcessingParameterCrs("CRS", "CRS of the cube", optional=True), advanced=True)
        self.add(QgsProcessingParameterNumber("WIDTH", "Width in pixels", INTEGER, 0, True, 0), advanced=True)
        self.add(
            QgsProcessingParameterNumber("HEIGHT", "Height in pixels", INTEGER, 0, True, 0), advanced=True
        )
        self.add(
            QgsProcessingParameterFile(
                "RECIPE",
                "Recipe",
                optional=True,
                fileFilter=tr("Recipes and cubes") + " (*.json *.nc .zgroup);;" + tr("All files") + " (*)",
            ),
            advanced=True,
        )
        self.add(QgsProcessingParameterBoolean("DRY_RUN", "Only estimate", False, optional=True))
        self.add_load()
        self.add_cube_output()
        for name, text in (
            ("N_ITEMS", "Number of items"),
            ("N_DATES", "Number of dates"),
            ("ESTIMATED_MB", "Estimated size of the cube (MB)"),
            ("ESTIMATED_DOWNLOAD_MB", "Estimated download (MB)"),
        ):
            self.addOutput(QgsProcessingOutputNumber(name, tr(text)))

    @staticmethod
    def _catalog(name: str, description: str, widget: str = "CatalogWidget") -> QgsProcessingParameterString:
        """A text with the presets to choose from."""
        parameter = QgsProcessingParameterString(name, description, optional=True)
        place = f"{__package__.rpartition('.')[0]}.widgets.{widget}"
        parameter.setMetadata({"widget_wrapper": {"class": place}})
        return parameter

    def read(self, parameters: Parameters) -> None:
        self._dry_run = parameters.flag("DRY_RUN")
        self._load = parameters.flag("LOAD")
        self._output = "" if self._dry_run else parameters.output("OUTPUT")
        self._recipe_file = parameters.file("RECIPE")
        self._credentials = parameters.credentials("CATALOG_AUTH")
        self._era5_credentials = parameters.credentials("ERA5_AUTH")
        self._recipe = {
            "crs": parameters.crs("CRS"),
            "resolution": parameters.number("RESOLUTION"),
            "width": parameters.integer("WIDTH"),
            "height": parameters.integer("HEIGHT"),
            "fallback_catalog": parameters.catalog("FALLBACK_CATALOG"),
            "s2_bands": parameters.choices("S2_BANDS"),
            "s2_mask": parameters.choice("S2_MASK"),
            "max_cloud": parameters.number("MAX_CLOUD"),
            "min_clear": parameters.number("MIN_CLEAR"),
            "time_axis": parameters.choice("TIME_AXIS"),
            "step_days": parameters.integer("STEP_DAYS"),
            "resampling": parameters.json_object("RESAMPLING"),
            "fail_on_missing": parameters.flag("FAIL_ON_MISSING"),
            "era5_source": parameters.catalog("ERA5_SOURCE", "climate"),
            "era5_variables": parameters.matrix("ERA5_VARIABLES", ("variable", "aggregation")),
            "era5_window": parameters.choice("ERA5_WINDOW"),
            "era5_daily": parameters.flag("ERA5_DAILY"),
            "era5_space": parameters.choice("ERA5_SPACE"),
            "era5_dem": parameters.raster_file("ERA5_DEM"),
            "min_hours_share": parameters.number("MIN_HOURS_SHARE"),
        }
        # A recipe may name these; without one they must be given here.
        if parameters.given("EXTENT") or not self._recipe_file:
            self._recipe["extent"], self._recipe["extent_crs"] = parameters.extent("EXTENT")
        for name in ("START", "END"):
            if parameters.given(name) or not self._recipe_file:
                self._recipe[name.lower()] = parameters.day(name)
        if parameters.given("CATALOG") or not self._recipe_file:
            self._recipe["catalog"] = parameters.catalog("CATALOG")

    def work(self, feedback) -> dict[str, Any]:
        order = {
            "recipe": self._recipe,
            "recipe_file": self._recipe_file,
            "output": self._output,
            "dry_run": self._dry_run,
            "catalogs_file": catalogs_file(),
            "credentials": self._credentials,
            "parts_folder": str(parts_folder()),
            "era5_credentials": self._era5_credentials,
            "chunk_cache": chunk_cache(),
        }
        result = self.run_core("buildminicube", order, feedback)
        self.show(result, self._load, feedback)
        return {
            "OUTPUT": result["output"] or None,
            "N_ITEMS": result["n_items"],
            "N_DATES": result["n_dates"],
            "ESTIMATED_MB": result["estimated_mb"],
            "ESTIMATED_DOWNLOAD_MB": result["estimated_download_mb"],
        }
