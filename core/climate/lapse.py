"""Temperature of the pixels' own elevation, from that of a cell of climate data and a digital elevation model."""

from __future__ import annotations

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.warp import reproject

from ..errors import InputError
from ..grid import Grid, short_crs
from ..placement import placement, resampling_for

LAPSE = 0.0065  # K m-1: International Standard Atmosphere (ISO 2533)
EXPONENT = 287.05287 * LAPSE / 9.80665  # gas constant of dry air, standard gravity (ISO 2533)
CORRECTED = ("t", "maxt", "mint")
SHIFTED = ("mean", "min", "max", "median")  # and percentiles: what moves with its values


def is_corrected(variable: str, how: str) -> bool:
    """Whether a temperature so aggregated moves with the temperature itself."""
    return variable in CORRECTED and (how in SHIFTED or how.startswith("p"))


def elevation_of_cell(surface: np.ndarray, sea_level: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """Elevation (m) of the model's ground, from mean pressures (Pa) there and reduced to sea level, and the mean
    temperature (K) there: the barometric formula with a constant lapse rate (ISO 2533, eq. 12), solved for height."""
    return temperature / LAPSE * ((sea_level / surface) ** EXPONENT - 1.0)


def elevation_on(grid: Grid, path: str) -> np.ndarray:
    """A digital elevation model (m) on the grid: (y, x) float32, NaN missing; average where it is finer, else bilinear.

    Raises `InputError` when it cannot be read, has no CRS, or does not cover the grid.
    """
    out = np.full(grid.shape, np.nan, np.float32)
    try:
        with rasterio.open(path) as source:
            if not source.crs:
                raise InputError(f"The elevation model has no CRS: {path}.")
            crs = short_crs(source.crs.to_wkt())
            reproject(
                rasterio.band(source, 1),
                out,
                src_crs=crs,
                src_nodata=source.nodata,
                dst_crs=grid.crs,
                dst_transform=grid.geobox.transform,
                dst_nodata=np.nan,
                resampling=resampling_for(placement(source.transform, crs, grid), False),
            )
    except RasterioError as error:
        raise InputError(f"The elevation model cannot be read: {path}.", "Give a raster file.") from error
    if not np.isfinite(out).any():
        raise InputError(f"The elevation model does not cover the cube: {path}.")
    return out
