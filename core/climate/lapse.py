"""Temperature of the pixels' own elevation, from that of a cell of climate data and a digital elevation model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import InputError
from ..grid import Grid
from ..rasters import raster_on

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
    """A digital elevation model (m) on the grid: (y, x) float32, NaN missing; resampled as layers are.

    Raises `InputError` when it cannot be read, has no CRS, or does not cover the grid.
    """
    found = raster_on(grid, path, 1, "", "auto", False, Path(path).name)
    if not found.coverage:
        raise InputError(f"The elevation model does not cover the cube: {path}.")
    return found.values.astype(np.float32)
