"""The bands of Sentinel-2, the classes of its scene classification, and which asset of an item holds a band."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..catalogs import items as stac
from ..catalogs.entries import Collection


@dataclass(frozen=True)
class Band:
    """`kind`: "reflectance", "atmosphere" (AOT, WVP) or "classes" (SCL). `resolution` in m,
    `wavelength`: centre in nm. `common`: common names that mean this band and no other; `shared_names`: those
    that its neighbours have too. `keys`: asset keys of known catalogs, lower case."""

    kind: str
    resolution: int
    long_name: str
    wavelength: float | None = None
    common: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    units: str = "1"
    shared_names: tuple[str, ...] = ()


RED_EDGE = ("rededge",)
BANDS: dict[str, Band] = {
    "B01": Band(
        "reflectance", 60, "coastal aerosol", 443, ("coastal",), ("coastal", "nbart_coastal_aerosol")
    ),
    "B02": Band("reflectance", 10, "blue", 490, ("blue",), ("blue", "nbart_blue")),
    "B03": Band("reflectance", 10, "green", 560, ("green",), ("green", "nbart_green")),
    "B04": Band("reflectance", 10, "red", 665, ("red",), ("red", "nbart_red")),
    "B05": Band(
        "reflectance",
        20,
        "red edge 1",
        705,
        ("rededge071",),
        ("rededge1", "nbart_red_edge_1"),
        shared_names=RED_EDGE,
    ),
    "B06": Band(
        "reflectance",
        20,
        "red edge 2",
        740,
        ("rededge075",),
        ("rededge2", "nbart_red_edge_2"),
        shared_names=RED_EDGE,
    ),
    "B07": Band(
        "reflectance",
        20,
        "red edge 3",
        783,
        ("rededge078",),
        ("rededge3", "nbart_red_edge_3"),
        shared_names=RED_EDGE,
    ),
    "B08": Band("reflectance", 10, "near infrared", 842, ("nir",), ("nir", "nbart_nir_1")),
    "B8A": Band(
        "reflectance",
        20,
        "narrow near infrared",
        865,
        ("nir08",),
        ("nir08", "nbart_nir_2"),
        shared_names=RED_EDGE,
    ),
    "B09": Band("reflectance", 60, "water vapour", 945, ("nir09",), ("nir09",)),
    "B11": Band("reflectance", 20, "short-wave infrared 1", 1610, ("swir16",), ("swir16", "nbart_swir_2")),
    "B12": Band("reflectance", 20, "short-wave infrared 2", 2190, ("swir22",), ("swir22", "nbart_swir_3")),
    "AOT": Band("atmosphere", 10, "aerosol optical thickness at 550 nm", keys=("aot",)),
    "WVP": Band("atmosphere", 10, "water vapour column", keys=("wvp",), units="cm"),
    "SCL": Band("classes", 20, "scene classification", keys=("scl",)),
}

SCL_CLASSES = {
    0: "no_data",
    1: "saturated_or_defective",
    2: "dark_area_pixels",
    3: "cloud_shadows",
    4: "vegetation",
    5: "not_vegetated",
    6: "water",
    7: "unclassified",
    8: "cloud_medium_probability",
    9: "cloud_high_probability",
    10: "thin_cirrus",
    11: "snow",
}
MASK_CLASSES = {0: "clear", 1: "cloud", 2: "cloud_shadow", 3: "snow", 4: "other_or_no_data"}
_SCL_TO_MASK = np.array([4, 4, 0, 2, 0, 0, 0, 0, 1, 1, 1, 3], dtype=np.uint8)

_NATIVE = re.compile(r"^(B\d{1,2}|B8A|AOT|WVP|SCL)(?:_(\d+)m)?$", re.IGNORECASE)
WAVELENGTH_TOLERANCE = 16  # nm; neighbouring bands lie further apart


def scl_to_mask(scl: np.ndarray, reflectance_missing: np.ndarray | None = None) -> np.ndarray:
    """`s2_mask` from SCL classes (any shape, uint8 -> uint8), classes as in `MASK_CLASSES`.

    0 and 1 become 4; 2, 4, 5, 6, 7 become 0; 3 becomes 2; 8, 9, 10 become 1; 11 becomes 3; unknown
    classes, and pixels where `reflectance_missing` (bool, same shape), become 4.
    """
    mask = np.where(scl < _SCL_TO_MASK.size, _SCL_TO_MASK[np.minimum(scl, _SCL_TO_MASK.size - 1)], 4)
    if reflectance_missing is not None:
        mask = np.where(reflectance_missing, 4, mask)
    return mask.astype(np.uint8)


def find_asset(
    item: dict[str, Any], band: str, collection: Collection | None = None
) -> dict[str, Any] | None:
    """The asset that holds a band, or None.

    By the registry's entry where there is one. Else by a common name that means this band alone (one that
    several bands share counts with its wavelength), then by Sentinel-2's own names (`B02`, `B02_10m`), then by
    the keys of known catalogs. Of several the finest, and GeoTIFF before JPEG 2000.
    """
    key = collection.bands.get(band) if collection else None
    if key in item["assets"]:
        return item["assets"][key]
    candidates = []
    for key, asset in item["assets"].items():
        if collection and key.endswith("-jp2"):
            continue  # the unprocessed twin of a file, whose numbers mean something else
        rank = _match(key, asset, band)
        if rank is not None:
            jp2 = "jp2" in str(asset.get("type", "")) or asset["href"].split("?")[0].lower().endswith(".jp2")
            candidates.append((rank, _pixel(item, key, asset), jp2, key))
    return item["assets"][min(candidates)[3]] if candidates else None


def _pixel(item: dict[str, Any], key: str, asset: dict[str, Any]) -> float:
    """Pixel size in m; a size in the key counts first: some items carry another file's transform."""
    native = _NATIVE.match(key)
    if native and native[2]:
        return float(native[2])
    transform = stac.raster_of(item, asset).transform
    return abs(transform[0]) if transform else float(asset.get("gsd") or 0)


def _match(key: str, asset: dict[str, Any], band: str) -> int | None:
    """How well an asset fits a band, 0 best; None: it does not."""
    roles = asset.get("roles") or []
    described = stac.bands(asset)
    if len(described) > 1 or {"thumbnail", "overview", "metadata"} & set(roles):
        return None  # a picture of several bands, or no data
    about = described[0] if described else stac.BandNames()
    own = _native(key) or _native(about.name)
    common = _by_common_name(about)
    if common:
        if common == band:
            return 0 if own in (None, band) else 1
        # Some catalogs give two bands one common name: their own names then tell which is which.
        return 4 if own == band else None
    if own:
        return 2 if own == band else None
    plain = key.lower().removesuffix("-jp2")
    return 3 if plain in BANDS[band].keys else None


def _native(name: str) -> str | None:
    """Sentinel-2's own name of a band, however it is written: "b2", "B02", "B02_10m"."""
    match = _NATIVE.match(name)
    if not match:
        return None
    text = match[1].upper()
    text = f"B{int(text[1:]):02d}" if text[1:].isdigit() else text
    return text if text in BANDS else None


def _by_common_name(about: stac.BandNames) -> str | None:
    """The band that a common name means, with the wavelength where several share the name."""
    fitting = [
        band
        for band, entry in BANDS.items()
        if about.common in entry.common or about.common in entry.shared_names
    ]
    if about.wavelength is not None:
        fitting = [
            band for band in fitting if abs(BANDS[band].wavelength - about.wavelength) <= WAVELENGTH_TOLERANCE
        ]
    return fitting[0] if len(fitting) == 1 else None
