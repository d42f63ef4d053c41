"""How values become the numbers on disk, and the attributes that say so.

Reflectance: int16, scale 1e-4, fill -32768, the same in every cube. AOT and WVP: uint16, 1e-3.
Classes: uint8 with their meanings; a missing pixel is a class of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pyproj import CRS

from ..grid import gdal_wkt

GRID_MAPPING = "spatial_ref"


@dataclass(frozen=True)
class Encoding:
    """value = stored * `scale` + `offset`; `fill` is the stored number of a missing value, None for classes.

    Without a scale the values are stored as they are: classes, days since 1970-01-01, floats. An offset is
    met in cubes of others only.
    """

    dtype: str
    scale: float | None = None
    fill: float | None = None
    offset: float = 0.0

    def attributes(self) -> dict[str, Any]:
        """CF attributes; the scale as float32, so that every xarray version decodes to float32."""
        named = {"scale_factor": self.scale, "add_offset": self.offset or None}
        return {name: np.float32(value) for name, value in named.items() if value is not None}

    def pack(self, values: np.ndarray) -> tuple[np.ndarray, int]:
        """The stored numbers of `values` (any shape; NaN = missing), and how many were clipped to fit."""
        if self.scale is None:
            if values.dtype.kind == "f" and self.fill is not None:
                values = np.where(np.isnan(values), self.fill, values)
            return values.astype(self.dtype), 0
        limits = np.iinfo(self.dtype)
        low = limits.min + 1 if self.fill == limits.min else limits.min
        high = limits.max - 1 if self.fill == limits.max else limits.max
        steps = np.rint((values - self.offset) / self.scale)
        missing = np.isnan(steps)
        clipped = int(np.count_nonzero((steps < low) | (steps > high)))
        steps = np.where(missing, self.fill, np.clip(steps, low, high))
        return steps.astype(self.dtype), clipped

    def unpack(self, stored: np.ndarray) -> np.ndarray:
        """The values of stored numbers, float32 with NaN; classes unchanged."""
        if self.scale is None:
            return stored
        return np.where(stored == self.fill, np.nan, stored * self.scale + self.offset).astype(np.float32)


REFLECTANCE = Encoding("int16", 1e-4, -32768)
ATMOSPHERE = Encoding("uint16", 1e-3, 65535)
CLASSES = Encoding("uint8")
BY_KIND = {"reflectance": REFLECTANCE, "atmosphere": ATMOSPHERE, "classes": CLASSES}


@dataclass(frozen=True)
class Variable:
    """One variable (time, y, x) of a cube, or (y, x) if it is `static`: its name, encoding and attributes."""

    name: str
    encoding: Encoding
    attributes: dict[str, Any] = field(default_factory=dict)
    static: bool = False


def flags(classes: dict[int, str]) -> dict[str, Any]:
    """CF attributes of a variable of classes."""
    return {
        "flag_values": np.array(list(classes), dtype="uint8"),
        "flag_meanings": " ".join(classes.values()),
    }


def grid_mapping(crs: str) -> dict[str, Any]:
    """CF attributes of the variable that says which CRS the cube has; `spatial_ref` is GDAL's own.

    No GeoTransform, though GDAL reads one: the coordinates say it, and GDAL 3.12 turns a NetCDF upside down
    that has both.
    """
    mapping = CRS.from_user_input(crs).to_cf()
    if "azimuth_of_central_line" in mapping:
        # CF's table of oblique_mercator and the programs that check it disagree on the name: both are given.
        mapping["azimuth"] = mapping["azimuth_of_central_line"]
    return {**mapping, "spatial_ref": gdal_wkt(crs)}
