"""minicuber:loadminicube: the variables of a cube as styled layers in the project."""

from __future__ import annotations

import os
from typing import Any

from osgeo import gdal
from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingParameterFile,
    QgsProcessingParameterString,
)

from ...core.errors import InputError, StorageError
from ..base import MinicuberAlgorithm
from ..parameters import Parameters
from ..text import tr


class LoadMinicube(MinicuberAlgorithm):
    ID = "loadminicube"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        # The widget cannot choose a folder: a Zarr store is chosen by the file in it, or its path is written.
        files = tr("Minicubes") + " (*.nc *.zgroup zarr.json);;" + tr("All files") + " (*)"
        self.add(QgsProcessingParameterFile("CUBE", "Minicube", fileFilter=files))
        self.add(QgsProcessingParameterString("VARIABLES", "Variables", optional=True))
        self.addOutput(QgsProcessingOutputNumber("N_LAYERS", tr("Number of layers")))

    def read(self, parameters: Parameters) -> None:
        # Not as a file that must be there: the core puts a folder back that a dead run left aside.
        cube = parameters.text("CUBE")
        if not cube:
            raise InputError("CUBE is missing.", "Give the path of a minicube.")
        self._cube = os.path.abspath(cube)
        self._variables = [name.strip() for name in parameters.text("VARIABLES").split(",") if name.strip()]

    def work(self, feedback) -> dict[str, Any]:
        order = {"cube": self._cube, "variables": self._variables}
        result = self.run_core("describecube", order, feedback)
        complaint = gdal_complaint(result["layers"][0]["path"])
        if complaint:
            raise StorageError(
                f"QGIS cannot show {result['path']}: its GDAL {gdal.__version__} does not read it ({complaint}).",
                "Save the cube as NetCDF-4 or as Zarr of format 2, with deflate as its compression.",
            )
        self.load(result["title"], result["path"], result["layers"], feedback)
        return {"N_LAYERS": len(result["layers"])}


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
