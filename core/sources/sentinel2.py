"""Sentinel-2 scenes: what an item's numbers mean, where its files lie, what it says of itself.

Reflectance is float, 1.0 = 100 %. Digital numbers (DN) of processing baseline 04.00 and later are
raised by 1000, in some catalogs; `reflectance_scaling` knows which.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

from shapely import GEOSException
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from ..catalogs import items as stac
from ..catalogs.entries import Anchor, Collection
from ..catalogs.items import Raster
from ..errors import SourceError
from ..grid import Bounds
from ..timeline import parse_instant
from .sentinel2_bands import BANDS, find_asset

REFLECTANCE_SCALE = 1e-4  # of the products, and of the cube on disk
BOA_OFFSET = -0.1  # since baseline 04.00: RADIO_ADD_OFFSET and BOA_ADD_OFFSET of -1000 DN
BASELINE_WITH_OFFSET = "04.00"
ATMOSPHERE_SCALE = 1e-3  # AOT (1) and WVP (cm): Sentinel-2 Products Specification Document


@dataclass(frozen=True)
class BandFile:
    """One band of one scene: the file and how its numbers become values (value = DN * scale + offset).
    `assumed`: the item says nothing of that, so it holds for whole numbers alone."""

    raster: Raster
    scale: float
    offset: float
    nodata: float
    assumed: bool = False


@dataclass(frozen=True)
class Scene:
    """One item, understood. `instant` in UTC; `bounds` in `crs`; `angles` in degrees; `version`: what the item
    says of its own last change; `footprint`: where it has data, in degrees, None where it does not say."""

    id: str
    instant: dt.datetime
    level: str
    tile: str
    sensing: str
    baseline: str
    platform: str
    orbit: int | None
    cloud_cover: float | None
    crs: str | None
    bounds: Bounds | None
    lonlat: Bounds
    files: dict[str, BandFile]
    angles: dict[str, float]
    collection: Collection | None = None
    version: str = ""
    footprint: BaseGeometry | None = None


def is_sentinel2(item: dict[str, Any]) -> bool:
    """Whether an item may be of Sentinel-2: by constellation and platform; one that says neither may."""
    properties = item["properties"]
    said = f"{properties.get('constellation') or ''} {properties.get('platform') or ''}".strip().lower()
    return not said or re.search(r"\bsentinel[- ]?2|\bs2[abcd]?\b", said) is not None


def scene_of(item: dict[str, Any], bands: tuple[str, ...], collection: Collection | None = None) -> Scene:
    """Understand an item; `files` holds those of `bands` that it has. `collection`: its entry in the registry.

    Raises `SourceError`, naming the item, when what it says cannot be read.
    """
    try:
        return _scene_of(item, bands, collection)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise SourceError(
            f"Item {item['id']} cannot be understood ({type(error).__name__}: {error}).",
            "Leave it out by other dates, or use another catalog.",
        ) from error


def _scene_of(item: dict[str, Any], bands: tuple[str, ...], collection: Collection | None) -> Scene:
    found = {band: find_asset(item, band, collection) for band in bands}
    files = {
        band: band_file(item, asset, band, collection) for band, asset in found.items() if asset is not None
    }
    placed = [file.raster for file in files.values() if file.raster.bounds and file.raster.crs]
    properties = item["properties"]
    angles = {
        "sun_azimuth": properties.get("view:sun_azimuth", properties.get("s2:mean_solar_azimuth")),
        "sun_elevation": properties.get("view:sun_elevation"),
        "view_azimuth": properties.get("view:azimuth"),
        "view_incidence_angle": properties.get("view:incidence_angle"),
    }
    if angles["sun_elevation"] is None and properties.get("s2:mean_solar_zenith") is not None:
        angles["sun_elevation"] = 90.0 - properties["s2:mean_solar_zenith"]
    cover = properties.get("eo:cloud_cover")
    return Scene(
        id=item["id"],
        instant=parse_instant(stac.instant_text(item)),
        level=stac.processing_level(item),
        tile=stac.tile(item),
        sensing=stac.sensing_start(item),
        baseline=stac.processing_baseline(item),
        platform=stac.platform(item),
        orbit=stac.relative_orbit(item),
        cloud_cover=float(cover) if cover is not None else None,
        crs=placed[0].crs if placed else None,
        bounds=placed[0].bounds if placed else None,
        lonlat=stac.bbox(item),
        files=files,
        angles={name: float(value) for name, value in angles.items() if value is not None},
        collection=collection,
        footprint=_footprint(item),
        version=str(properties.get("updated") or properties.get("created") or ""),
    )


def _footprint(item: dict[str, Any]) -> BaseGeometry | None:
    """Where the item says that it has data, in degrees; None where it has no valid polygon."""
    geometry = item.get("geometry") or {}
    if geometry.get("type") not in ("Polygon", "MultiPolygon"):
        return None
    try:
        polygon = shape(geometry)
    except (KeyError, TypeError, ValueError, GEOSException):
        return None
    wide = (
        polygon.bounds[2] - polygon.bounds[0] > 180 if not polygon.is_empty else True
    )  # across the antimeridian
    return polygon if polygon.is_valid and not wide else None


def band_file(
    item: dict[str, Any], asset: dict[str, Any], band: str, collection: Collection | None = None
) -> BandFile:
    """The file of a band with its scaling; DN 0 is missing where nobody declares anything.

    The scale of AOT and WVP is never taken from the item: CDSE declares that of reflectance there, wrongly.
    """
    raster = stac.raster_of(item, asset)
    kind = BANDS[band].kind
    if kind == "reflectance":
        scale, offset = reflectance_scaling(item, asset, collection)
    elif kind == "atmosphere":
        scale, offset = (collection.atmosphere_scale if collection else ATMOSPHERE_SCALE), 0.0
    else:
        scale, offset = 1.0, 0.0
    nodata = raster.nodata
    if nodata is None:
        nodata = collection.nodata if collection and kind == "reflectance" else 0.0
    declared = stac.raster_band(asset)
    assumed = kind == "reflectance" and collection is None and not {"scale", "data_type"} & set(declared)
    return BandFile(raster, scale, offset, nodata, assumed)


def reflectance_scaling(
    item: dict[str, Any], asset: dict[str, Any], collection: Collection | None = None
) -> tuple[float, float]:
    """(scale, offset) that make reflectance of a DN, by what the item says, never by its date.

    The collection's rule: "none"; "baseline": from 04.00 on -0.1 (ESA, "Sentinel-2 Products Specification
    Document", 14.9: BOA_ADD_OFFSET); "declared": what the asset's band declares, else the baseline;
    "applied_flag": nothing where the item says that its files already contain the offset, whatever its bands
    declare, else as "declared". The last serves for catalogs that the registry does not know.
    """
    declared = stac.raster_band(asset)
    if "scale" not in declared and str(declared.get("data_type", "")).startswith("float"):
        return 1.0, 0.0  # reflectance already, not digital numbers
    rule = collection.offset if collection else "applied_flag"
    scale = float(declared.get("scale", collection.scale if collection else REFLECTANCE_SCALE))
    properties = item["properties"]
    applied = properties.get("earthsearch:boa_offset_applied", properties.get("sentinel:boa_offset_applied"))
    if rule == "none" or (rule == "applied_flag" and applied is True):
        return scale, 0.0
    if rule != "baseline" and "offset" in declared:
        return scale, float(declared["offset"])
    raised = stac.processing_baseline(item) >= BASELINE_WITH_OFFSET
    return scale, BOA_OFFSET if raised else 0.0


# The lattice of all tiles of Sentinel-2, in each UTM zone.
TILES = Anchor(easting=0.0, north=0.0, south=40.0, modulo=60.0)


def lattice_anchor(
    crs: str, size: float, left: float, top: float, collection: Collection | None = None
) -> tuple[float, float]:
    """One edge of the lattice of a file with pixels of `size` and this corner (CRS units).

    That of its collection's entry, or of Sentinel-2's own tiles, so that cubes of any RESOLUTION join; but a
    file that does not lie on it (a copy with other pixels) is its own lattice.
    """
    anchor = collection.anchor if collection and collection.anchor else TILES
    zone = re.match(r"EPSG:32([67])\d\d$", crs)
    if zone:
        east, north = anchor.easting, anchor.north if zone[1] == "6" else anchor.south
        step = anchor.modulo
        if step % size == 0 and (left - east) % step == 0 and (top - north) % step == 0:
            return east, north
    return left, top


def with_bands(scenes: list[Scene], bands: tuple[str, ...], catalog: str) -> list[Scene]:
    """The scenes that have any of the bands. Raises `SourceError` when none has one of them."""
    missing = [band for band in bands if not any(band in scene.files for scene in scenes)]
    if missing:
        have = [band for band in BANDS if any(band in scene.files for scene in scenes)]
        raise SourceError(
            f"No image of {catalog} has the band {', '.join(missing)}.",
            f"Of the chosen bands it has: {', '.join(have) or 'none'}.",
        )
    return [scene for scene in scenes if scene.files]
