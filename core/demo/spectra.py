"""Sentinel-2's bands, and the reflectance of the pure surfaces that the demo mixes.

The spectra are rounded from what is typical of each surface in the USGS and ECOSTRESS spectral
libraries at the centres of the bands; 1.0 is 100 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Band:
    """A band of MSI: `key` and `common_name` as in Element84's collections, wavelengths in um."""

    name: str
    key: str
    common_name: str
    title: str
    resolution: int
    center_wavelength: float
    full_width_half_max: float


BANDS = (
    Band("B01", "coastal", "coastal", "Coastal", 60, 0.443, 0.027),
    Band("B02", "blue", "blue", "Blue", 10, 0.49, 0.098),
    Band("B03", "green", "green", "Green", 10, 0.56, 0.045),
    Band("B04", "red", "red", "Red", 10, 0.665, 0.038),
    Band("B05", "rededge1", "rededge", "Red Edge 1", 20, 0.704, 0.019),
    Band("B06", "rededge2", "rededge", "Red Edge 2", 20, 0.74, 0.018),
    Band("B07", "rededge3", "rededge", "Red Edge 3", 20, 0.783, 0.028),
    Band("B08", "nir", "nir", "NIR 1", 10, 0.842, 0.145),
    Band("B8A", "nir08", "nir08", "NIR 2", 20, 0.865, 0.033),
    Band("B09", "nir09", "nir09", "NIR 3", 60, 0.945, 0.026),
    Band("B11", "swir16", "swir16", "SWIR 1.6μm", 20, 1.61, 0.143),
    Band("B12", "swir22", "swir22", "SWIR 2.2μm", 20, 2.19, 0.242),
)


def _spectrum(values: str) -> np.ndarray:
    return np.array(values.split(), np.float32)


#                     B01  B02  B03  B04  B05  B06  B07  B08  B8A  B09  B11  B12
NEEDLES = _spectrum(".018 .020 .035 .022 .055 .160 .200 .215 .230 .235 .100 .045")
LEAVES = _spectrum(" .020 .022 .055 .025 .090 .300 .390 .410 .430 .430 .190 .080")
GRASS = _spectrum("  .025 .030 .070 .035 .110 .310 .390 .410 .430 .430 .210 .100")
STRAW = _spectrum("  .050 .060 .090 .115 .150 .195 .225 .250 .270 .290 .330 .220")
BARK = _spectrum("   .028 .036 .050 .060 .082 .115 .135 .155 .170 .180 .200 .130")
SOIL = _spectrum("   .050 .063 .088 .115 .138 .152 .163 .178 .192 .198 .250 .210")
STONE = _spectrum("  .120 .140 .170 .190 .210 .220 .230 .240 .250 .250 .280 .250")
ROOFS = _spectrum("  .100 .115 .130 .150 .165 .175 .185 .200 .210 .215 .230 .210")
WATER = _spectrum("  .035 .040 .045 .030 .028 .020 .018 .015 .013 .012 .008 .006")
SNOW = _spectrum("   .900 .900 .890 .880 .860 .840 .820 .800 .760 .650 .120 .080")
CLOUD = _spectrum("  .620 .620 .600 .610 .620 .630 .640 .650 .660 .450 .420 .320")
CIRRUS = _spectrum(" .400 .390 .380 .380 .380 .380 .380 .380 .370 .300 .300 .240")

# The green and the other part of each class of `landscape.CLASSES`.
GREEN = np.stack([NEEDLES, LEAVES, LEAVES, GRASS, GRASS, GRASS, GRASS, GRASS], axis=1)
BACKGROUND = np.stack([BARK, BARK, BARK, STRAW, SOIL, ROOFS, STONE, WATER], axis=1)
