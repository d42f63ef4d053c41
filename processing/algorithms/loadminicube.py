"""minicuber:loadminicube: the variables of a cube as styled layers in the project."""

from __future__ import annotations

from typing import Any

from osgeo import gdal
from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
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
        self.add_cube()
        self.add(QgsProcessingParameterString("VARIABLES", "Variables", optional=True))
        self.add(QgsProcessingParameterBoolean("PER_DATE", "A layer for each date", False, optional=True))
        self.addOutput(QgsProcessingOutputNumber("N_LAYERS", tr("Number of layers")))

    def read(self, parameters: Parameters) -> None:
        self._cube = parameters.cube("CUBE")
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
