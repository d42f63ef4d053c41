"""minicuber:loadminicube: the variables of a cube as styled layers in the project."""

from __future__ import annotations

import os
from typing import Any

from osgeo import gdal
from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterString,
)

from ...core.errors import InputError, StorageError
from ..base import MinicuberAlgorithm
from ..groups import MANY_LAYERS, MOST_LAYERS, count_by_date
from ..parameters import Parameters
from ..text import tr


class LoadMinicube(MinicuberAlgorithm):
    ID = "loadminicube"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        # The widget cannot choose a folder: a Zarr store is chosen by the file in it, or its path is written.
        files = tr("Minicubes") + " (*.nc *.zgroup zarr.json);;" + tr("All files") + " (*)"
        self.add(QgsProcessingParameterFile("CUBE", "Minicube", fileFilter=files))
        self.add(QgsProcessingParameterString("VARIABLES", "Variables", optional=True))
        self.add(QgsProcessingParameterBoolean("PER_DATE", "A layer for each date", False, optional=True))
        self.addOutput(QgsProcessingOutputNumber("N_LAYERS", tr("Number of layers")))

    def read(self, parameters: Parameters) -> None:
        # Not as a file that must be there: the core puts a folder back that a dead run left aside.
        cube = parameters.text("CUBE")
        if not cube:
            raise InputError("CUBE is missing.", "Give the path of a minicube.")
        self._cube = os.path.abspath(cube)
        self._variables = [name.strip() for name in parameters.text("VARIABLES").split(",") if name.strip()]
        self._per_date = parameters.flag("PER_DATE")

    def work(self, feedback) -> dict[str, Any]:
        order = {"cube": self._cube, "variables": self._variables}
        result = self.run_core("describecube", order, feedback)
        complaint = gdal_complaint(result["layers"][0]["path"])
        if complaint:
            raise StorageError(
                f"QGIS cannot show {result['path']}: its GDAL {gdal.__version__} does not read it ({complaint}).",
                "Save the cube as NetCDF-4 or as Zarr of format 2, with deflate as its compression.",
            )
        n_by_date = count_by_date(result["layers"]) if self._per_date else 0
        if n_by_date > MOST_LAYERS:
            raise InputError(
                f"A layer for each date would be {n_by_date} layers; QGIS bears {MOST_LAYERS} of them.",
                "Name fewer VARIABLES, for example s2_rgb alone.",
            )
        if n_by_date > MANY_LAYERS:
            text = tr("{} layers, one for each date: QGIS will be slower. Fewer VARIABLES make fewer layers.")
            feedback.pushWarning(text.format(n_by_date))
        self.load(result["title"], result["path"], result["layers"], feedback, by_date=self._per_date)
        return {"N_LAYERS": len(result["layers"]) + n_by_date}


def gdal_complaint(path: str) -> str:
    """What GDAL says when it cannot read a pixel of a raster; empty when it can."""
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    gdal.ErrorReset()
    try:
        raster = gdal.Open(path)
        if raster is not None and raster.GetRasterBand(1).ReadRaster(0, 0, 1, 1) is not None:
            return ""
        return gdal.GetLastErrorMsg() or "without a reason"
    except RuntimeError as error:  # where somebody has switched GDAL to exceptions
        return str(error)
    finally:
        gdal.PopErrorHandler()
