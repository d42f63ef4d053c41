"""What an item says of itself and its files, whatever catalog wrote it, and in whatever STAC version.

An item is the plain dictionary of its JSON, with absolute hrefs. Nothing here reads a file.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from typing import Any

from pyproj import CRS
from pyproj.exceptions import CRSError

from ..errors import SourceError
from ..grid import Bounds, short_crs

BASELINE = re.compile(r"^(\d\d)\.(\d\d)$")
PRODUCT = re.compile(
    r"^(S2[A-Z])_MSIL\d[A-Z]_(?P<sensing>\d{8}T\d{6})(?:_N(?P<baseline>\d{4}))?_R(?P<orbit>\d{3})_T(?P<tile>\d{2}[A-Z]{3})"
)
TILE_IN_ID = re.compile(r"(?:^|_)T?(?P<tile>\d{2}[C-X][A-Z]{2})(?=_|$)")


@dataclass(frozen=True)
class Raster:
    """One file of an item and its georeference as far as the metadata tells it.

    `transform`: (a, b, c, d, e, f) of pixel to CRS, `shape`: (y, x); None where the item is silent.
    `size`: bytes of the file where known.
    """

    href: str
    crs: str | None
    transform: tuple[float, ...] | None
    shape: tuple[int, int] | None
    nodata: float | None
    size: int | None = None

    @property
    def bounds(self) -> Bounds | None:
        """(west, south, east, north) in `crs`, or None where the metadata does not tell."""
        if self.transform is None or self.shape is None:
            return None
        a, _, c, _, e, f = self.transform
        rows, columns = self.shape
        return min(c, c + a * columns), min(f, f + e * rows), max(c, c + a * columns), max(f, f + e * rows)


def bbox(item: dict[str, Any]) -> Bounds:
    """(west, south, east, north) of an item in degrees; heights of a 3-D box are left out."""
    box = item["bbox"]
    return (*box[:2], *box[3:5]) if len(box) == 6 else tuple(box)


def asset_crs(item: dict[str, Any], asset: dict[str, Any]) -> str | None:
    """The CRS of an asset: `proj:code`, then `proj:epsg`, then WKT2 or PROJJSON, of the asset, then of
    the item; None when the metadata does not say. Raises `SourceError` for one that PROJ does not know.
    """
    for source in (asset, item["properties"]):
        for key in ("proj:code", "proj:epsg", "proj:wkt2", "proj:projjson"):
            value = source.get(key)
            if value is None:
                continue
            text = (
                f"EPSG:{value}"
                if key == "proj:epsg"
                else json.dumps(value)
                if key == "proj:projjson"
                else value
            )
            try:
                return _known_crs(text)
            except CRSError as error:
                raise SourceError(
                    f"Item {item['id']} has a CRS that is not known: {key} = {value!r}."
                ) from error
    return None


@functools.lru_cache(maxsize=256)
def _known_crs(text: str) -> str:
    return short_crs(CRS.from_user_input(text))


def raster_of(item: dict[str, Any], asset: dict[str, Any]) -> Raster:
    """The file of an asset with what asset and item say about its place."""
    properties = item["properties"]
    band = raster_band(asset)
    transform = asset.get("proj:transform", properties.get("proj:transform"))
    shape = asset.get("proj:shape", properties.get("proj:shape"))
    if ("proj:transform" in asset) != ("proj:shape" in asset):
        # The other one is the item's, and perhaps of files with another pixel size.
        whole = "proj:shape" in asset and properties.get("proj:shape") == shape
        transform, shape = (transform, shape) if whole else (None, None)
    nodata = band.get("nodata", asset.get("nodata"))
    return Raster(
        href=asset["href"],
        crs=asset_crs(item, asset),
        transform=tuple(float(value) for value in transform[:6]) if transform else None,
        shape=(int(shape[0]), int(shape[1])) if shape else None,
        nodata=float(nodata) if nodata is not None else None,
        size=asset.get("file:size"),
    )


def raster_band(asset: dict[str, Any]) -> dict[str, Any]:
    """The first band's `nodata`, `scale` and `offset`: `raster:bands` of STAC 1.0, or the band and asset
    fields of STAC 1.1 (`raster:scale`, `raster:offset`)."""
    old = (asset.get("raster:bands") or [{}])[0]
    new = (asset.get("bands") or [{}])[0]
    merged = {}
    for name in ("nodata", "scale", "offset", "data_type"):
        for value in (
            old.get(name),
            *(place.get(key) for place in (new, asset) for key in (f"raster:{name}", name)),
        ):
            if value is not None:
                merged[name] = value
                break
    return merged


@dataclass(frozen=True)
class BandNames:
    """What an asset says of one of its bands; "" and None where it is silent. `wavelength`: centre in nm."""

    name: str = ""
    common: str = ""
    wavelength: float | None = None


def bands(asset: dict[str, Any]) -> list[BandNames]:
    """What an asset says of its bands, from `eo:bands` (STAC 1.0) or `bands` (1.1), where wavelengths are in
    micrometres."""
    told = asset.get("eo:bands") or asset.get("bands") or ([asset] if "eo:common_name" in asset else [])
    result = []
    for band in told:
        wavelength = band.get("center_wavelength", band.get("eo:center_wavelength"))
        result.append(
            BandNames(
                str(band.get("name") or ""),
                str(band.get("common_name") or band.get("eo:common_name") or "").lower(),
                None if wavelength is None else 1000.0 * float(wavelength),
            )
        )
    return result


def processing_baseline(item: dict[str, Any]) -> str:
    """The Sentinel-2 processing baseline as "05.09", or "" when nothing says it."""
    properties = item["properties"]
    for key in ("s2:processing_baseline", "sentinel:processing_baseline", "processing:version"):
        if BASELINE.match(str(properties.get(key, ""))):
            return str(properties[key])
    product = _product(item)
    if product and product["baseline"]:
        return f"{product['baseline'][:2]}.{product['baseline'][2:]}"
    return ""


def relative_orbit(item: dict[str, Any]) -> int | None:
    """The relative orbit from `sat:relative_orbit` or the product's name, None when nothing says it."""
    value = item["properties"].get("sat:relative_orbit")
    if value is not None:
        return int(value)
    product = _product(item)
    return int(product["orbit"]) if product else None


def platform(item: dict[str, Any]) -> str:
    """The platform in lower case ("sentinel-2a"), "" when the item does not say it."""
    return str(item["properties"].get("platform") or "").lower().replace(" ", "-")


def tile(item: dict[str, Any]) -> str:
    """The MGRS tile ("32TMT"), "" when nothing says it."""
    properties = item["properties"]
    code = str(properties.get("grid:code") or "")
    if code.startswith("MGRS-"):
        return code[5:]
    if properties.get("s2:mgrs_tile"):
        return str(properties["s2:mgrs_tile"])
    product = _product(item)
    if product:
        return product["tile"]
    match = TILE_IN_ID.search(item["id"])
    return match["tile"] if match else ""


def sensing_start(item: dict[str, Any]) -> str:
    """The sensing start that copies and reprocessings of one scene share: that of the product's name,
    else the item's time to the second."""
    product = _product(item)
    return product["sensing"] if product else instant_text(item)[:19]


def instant_text(item: dict[str, Any]) -> str:
    """The item's time as it stands there: `datetime`, else `start_datetime`. Raises `KeyError` without both."""
    properties = item["properties"]
    return properties.get("datetime") or properties["start_datetime"]


def processing_level(item: dict[str, Any]) -> str:
    """ "L1C" (top of atmosphere), "L2A" (surface), or "" when nothing says it."""
    properties = item["properties"]
    names = ("s2:product_type", "product:type", "processing:level", "s2:product_uri", "sentinel:product_id")
    for text in (
        *(str(properties.get(name) or "") for name in names),
        item["id"],
        str(item.get("collection") or ""),
    ):
        match = re.search(r"(?:^|[^0-9A-Z])(?:S2)?(?:MSI)?L?(1C|2A)(?:$|[^0-9A-Z])", text.upper())
        if match:
            return "L" + match[1]
    return ""


def _product(item: dict[str, Any]) -> re.Match | None:
    properties = item["properties"]
    for name in (properties.get("s2:product_uri"), properties.get("sentinel:product_id"), item["id"]):
        match = PRODUCT.match(str(name or ""))
        if match:
            return match
    return None
