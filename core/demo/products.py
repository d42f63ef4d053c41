"""The products of the demo and the files of each: names, types, and how values become stored integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import site
from .spectra import BANDS, Band


@dataclass(frozen=True)
class Layer:
    """A file of an item: asset `key`, `name` of the file and the band, metres, type, DN to value."""

    key: str
    name: str
    title: str
    resolution: int
    dtype: str
    scale: float | None
    band: dict[str, Any] | None = None

    def offset(self, baseline: str) -> float:
        """What is added after scaling: -0.1 for reflectance of baseline 04.00 and later, else 0."""
        return -0.1 if self.band and site.has_offset(baseline) else 0

    def digital_numbers(self, values: np.ndarray, baseline: str) -> np.ndarray:
        """Values in their units as stored integers; 0 stays free for no-data."""
        if self.scale is None:
            return values
        # MSI digitises to 12 bits, about 4 DN of reflectance a step; finer noise would only fill the disk.
        step = 4 if self.band else 1
        numbers = (step * np.rint(values / (self.scale * step))).clip(step, 60000)
        return (numbers - round(self.offset(baseline) / self.scale)).astype(self.dtype)


def _band_layer(band: Band) -> Layer:
    description = {
        "name": band.name,
        "common_name": band.common_name,
        "center_wavelength": band.center_wavelength,
        "full_width_half_max": band.full_width_half_max,
    }
    title = f"{band.title} - {band.resolution}m"
    return Layer(band.key, band.name, title, band.resolution, "uint16", 0.0001, description)


LAYERS = (
    *(_band_layer(band) for band in BANDS),
    Layer("aot", "AOT", "Aerosol optical thickness (AOT)", 20, "uint16", 0.001),
    Layer("wvp", "WVP", "Water Vapour (WVP)", 20, "uint16", 0.001),
    Layer("scl", "SCL", "Scene classification map (SCL)", 20, "uint8", None),
)


@dataclass(frozen=True)
class Product:
    """One item: a tile, a date and a processing baseline; `sequence` counts those of one scene."""

    tile: site.Tile
    date: np.datetime64
    baseline: str
    sequence: int = 0

    @property
    def satellite(self) -> str:
        return "AB"[int((self.date - site.FIRST_DATE) / np.timedelta64(5, "D")) % 2]

    @property
    def id(self) -> str:
        day = str(self.date).replace("-", "")
        return f"S2{self.satellite}_{self.tile.code}_{day}_{self.sequence}_L2A"

    @property
    def folder(self) -> str:
        """Where the item and its files lie, relative to the catalog's folder."""
        return f"{site.COLLECTION}/{self.date.astype('datetime64[Y]')}/{self.id}"


def products_of(date: np.datetime64) -> list[Product]:
    """The products of a date: one per tile, and for one scene a second one."""
    code, duplicated, baselines = site.DUPLICATE
    products = []
    for tile in site.TILES:
        twice = tile.code == code and str(date) == duplicated
        names = baselines if twice else (site.baseline_of(date),)
        products += [Product(tile, date, name, number) for number, name in enumerate(names)]
    return products
