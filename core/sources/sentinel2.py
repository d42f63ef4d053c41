"""Sentinel-2: its bands, what an item's numbers mean, and which images make one date.

Reflectance is float, 1.0 = 100 %. Digital numbers (DN) of processing baseline 04.00 and later are
raised by 1000, in some catalogs; `reflectance_scaling` knows which.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..catalogs import items as stac
from ..catalogs.items import Raster
from ..errors import SourceError
from ..grid import Bounds, Grid, overlap_area, same_crs, transform_bounds
from ..timeline import parse_instant, solar_day

REFLECTANCE_SCALE = 1e-4  # of the products, and of the cube on disk
BOA_OFFSET = -0.1  # since baseline 04.00: RADIO_ADD_OFFSET and BOA_ADD_OFFSET of -1000 DN
BASELINE_WITH_OFFSET = "04.00"
ATMOSPHERE_SCALE = 1e-3  # AOT (1) and WVP (cm): Sentinel-2 Products Specification Document


@dataclass(frozen=True)
class Band:
    """`kind`: "reflectance", "atmosphere" (AOT, WVP) or "classes" (SCL). `resolution` in m,
    `wavelength`: centre in nm. `common`: common names that mean this band and no other.
    `keys`: asset keys of known catalogs, lower case."""

    kind: str
    resolution: int
    long_name: str
    wavelength: float | None = None
    common: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    units: str = "1"


BANDS: dict[str, Band] = {
    "B01": Band(
        "reflectance", 60, "coastal aerosol", 443, ("coastal",), ("coastal", "nbart_coastal_aerosol")
    ),
    "B02": Band("reflectance", 10, "blue", 490, ("blue",), ("blue", "nbart_blue")),
    "B03": Band("reflectance", 10, "green", 560, ("green",), ("green", "nbart_green")),
    "B04": Band("reflectance", 10, "red", 665, ("red",), ("red", "nbart_red")),
    "B05": Band("reflectance", 20, "red edge 1", 705, ("rededge071",), ("rededge1", "nbart_red_edge_1")),
    "B06": Band("reflectance", 20, "red edge 2", 740, ("rededge075",), ("rededge2", "nbart_red_edge_2")),
    "B07": Band("reflectance", 20, "red edge 3", 783, ("rededge078",), ("rededge3", "nbart_red_edge_3")),
    "B08": Band("reflectance", 10, "near infrared", 842, ("nir",), ("nir", "nbart_nir_1")),
    "B8A": Band("reflectance", 20, "narrow near infrared", 865, ("nir08",), ("nir08", "nbart_nir_2")),
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

_NATIVE_KEY = re.compile(r"^(B\d\d|B8A|AOT|WVP|SCL)(?:_(\d+)m)?$", re.IGNORECASE)


@dataclass(frozen=True)
class BandFile:
    """One band of one scene: the file and how its numbers become values (value = DN * scale + offset)."""

    raster: Raster
    scale: float
    offset: float
    nodata: float


@dataclass(frozen=True)
class Scene:
    """One item, understood. `instant` in UTC; `bounds` in `crs`; `angles` in degrees."""

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


@dataclass(frozen=True)
class ImageDate:
    """One step of the image axis: `day` is the UTC date of the first acquisition; `scenes` in the order
    in which they fill the pixels, the first valid value wins."""

    day: dt.date
    scenes: tuple[Scene, ...]

    @property
    def first(self) -> Scene:
        return self.scenes[0]


def scl_to_mask(scl: np.ndarray, reflectance_missing: np.ndarray | None = None) -> np.ndarray:
    """`s2_mask` from SCL classes (any shape, uint8 -> uint8), classes as in `MASK_CLASSES`.

    0 and 1 become 4; 2, 4, 5, 6, 7 become 0; 3 becomes 2; 8, 9, 10 become 1; 11 becomes 3; unknown
    classes, and pixels where `reflectance_missing` (bool, same shape), become 4.
    """
    mask = np.where(scl < _SCL_TO_MASK.size, _SCL_TO_MASK[np.minimum(scl, _SCL_TO_MASK.size - 1)], 4)
    if reflectance_missing is not None:
        mask = np.where(reflectance_missing, 4, mask)
    return mask.astype(np.uint8)


def is_sentinel2(item: dict[str, Any]) -> bool:
    """Whether an item may be of Sentinel-2: by constellation and platform; one that says neither may."""
    properties = item["properties"]
    said = f"{properties.get('constellation') or ''} {properties.get('platform') or ''}".strip().lower()
    return not said or re.search(r"\bsentinel[- ]?2|\bs2[abcd]?\b", said) is not None


def scene_of(item: dict[str, Any], bands: tuple[str, ...]) -> Scene:
    """Understand an item; `files` holds those of `bands` that it has.

    Raises `SourceError`, naming the item, when what it says cannot be read.
    """
    try:
        return _scene_of(item, bands)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise SourceError(
            f"Item {item['id']} cannot be understood ({type(error).__name__}: {error}).",
            "Leave it out by other dates, or use another catalog.",
        ) from error


def _scene_of(item: dict[str, Any], bands: tuple[str, ...]) -> Scene:
    found = {band: find_asset(item, band) for band in bands}
    files = {band: band_file(item, asset, band) for band, asset in found.items() if asset is not None}
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
    )


def find_asset(item: dict[str, Any], band: str) -> dict[str, Any] | None:
    """The asset that holds a band, or None.

    First by Sentinel-2's own names as keys (`B02`, `B02_10m`), then by a common name that means this
    band alone, then by the keys of known catalogs. Of several the finest, and GeoTIFF before JPEG 2000.
    """
    candidates = []
    for key, asset in item["assets"].items():
        rank = _match(key, asset, band)
        if rank is not None:
            jp2 = "jp2" in str(asset.get("type", "")) or asset["href"].split("?")[0].lower().endswith(".jp2")
            resolution = stac.raster_of(item, asset).transform
            candidates.append(
                (rank, abs(resolution[0]) if resolution else asset.get("gsd", 0) or 0, jp2, key)
            )
    return item["assets"][min(candidates)[3]] if candidates else None


def _match(key: str, asset: dict[str, Any], band: str) -> int | None:
    native = _NATIVE_KEY.match(key)
    if native:
        return 0 if native[1].upper() == band else None
    names = stac.band_names(asset)
    if len(names) > 1:
        return None  # a picture of several bands
    roles = asset.get("roles") or []
    if "thumbnail" in roles or "overview" in roles or "metadata" in roles:
        return None
    for name, common in names:
        if name.upper() == band:
            return 1
        if common and common in BANDS[band].common:
            return 2
    plain = key.lower().removesuffix("-jp2")
    return 3 if plain in BANDS[band].keys else None


def band_file(item: dict[str, Any], asset: dict[str, Any], band: str) -> BandFile:
    """The file of a band with its scaling; DN 0 is missing where the catalog declares nothing."""
    raster = stac.raster_of(item, asset)
    kind = BANDS[band].kind
    if kind == "reflectance":
        scale, offset = reflectance_scaling(item, asset)
    elif kind == "atmosphere":
        scale, offset = ATMOSPHERE_SCALE, 0.0  # CDSE declares reflectance's scaling here, wrongly
    else:
        scale, offset = 1.0, 0.0
    return BandFile(raster, scale, offset, raster.nodata if raster.nodata is not None else 0.0)


def reflectance_scaling(item: dict[str, Any], asset: dict[str, Any]) -> tuple[float, float]:
    """(scale, offset) that make reflectance of a DN, by what the item says, never by its date.

    An item that says its files already contain the offset (`boa_offset_applied`) has none to apply,
    whatever its bands declare. Else the declared offset counts; else the baseline: from 04.00 on -0.1
    (ESA, "Sentinel-2 Products Specification Document", 14.9: BOA_ADD_OFFSET).
    """
    declared = stac.raster_band(asset)
    if "scale" not in declared and str(declared.get("data_type", "")).startswith("float"):
        return 1.0, 0.0  # reflectance already, not digital numbers
    scale = float(declared.get("scale", REFLECTANCE_SCALE))
    properties = item["properties"]
    applied = properties.get("earthsearch:boa_offset_applied", properties.get("sentinel:boa_offset_applied"))
    if applied is True:
        return scale, 0.0
    if "offset" in declared:
        return scale, float(declared["offset"])
    baseline = stac.processing_baseline(item)
    return scale, BOA_OFFSET if baseline >= BASELINE_WITH_OFFSET else 0.0


def lattice_anchor(crs: str, size: float, left: float, top: float) -> tuple[float, float]:
    """One edge of the lattice of a file with pixels of `size` and this corner (CRS units).

    Sentinel-2's own tiles all lie on one lattice per UTM zone: easting 0 modulo 60, northing 0 modulo 60 in
    the north and 40 in the south; so cubes of any RESOLUTION join. Any other file is its own lattice.
    """
    zone = re.match(r"EPSG:32([67])\d\d$", crs)
    if zone and size in (10, 20, 60) and left % 60 == 0 and top % 60 == (0 if zone[1] == "6" else 40):
        return 0.0, top % 60
    return left, top


def without_duplicates(scenes: list[Scene]) -> list[Scene]:
    """Of scenes with the same tile and the same sensing start only the surface reflectance, where there is
    any, and of that only the newest baseline.

    Several of one baseline are granules of a split scene: all stay. A scene whose tile nothing tells
    is nobody's duplicate.
    """

    def key(scene: Scene) -> tuple[str, str, str]:
        return scene.platform, scene.tile, scene.sensing

    def rank(scene: Scene) -> tuple[bool, str]:
        return scene.level != "L1C", scene.baseline

    best: dict[tuple[str, str, str], tuple[bool, str]] = {}
    for scene in scenes:
        best[key(scene)] = max(best.get(key(scene), (False, "")), rank(scene))
    return [scene for scene in scenes if not scene.tile or rank(scene) == best[key(scene)]]


def image_axis(scenes: list[Scene], grid: Grid) -> list[ImageDate]:
    """The dates of the image axis and the order of the scenes in each.

    Scenes of one solar day make one step. Within it the platform and orbit with the largest overlap with
    the grid comes first, then the others; within those, scenes in the grid's CRS first, then larger overlap,
    then id.
    """
    west, _, east, _ = grid.lonlat_bounds
    groups: dict[dt.date, list[Scene]] = {}
    for scene in scenes:
        groups.setdefault(solar_day(scene.instant, (west + east) / 2), []).append(scene)
    dates: dict[dt.date, list[Scene]] = {}
    for group in groups.values():
        day = min(scene.instant for scene in group).date()
        dates.setdefault(day, []).extend(group)
    return [ImageDate(day, _in_order(group, grid)) for day, group in sorted(dates.items())]


def _in_order(group: list[Scene], grid: Grid) -> tuple[Scene, ...]:
    overlap = {scene.id: scene_overlap(scene, grid.bounds, grid.crs) for scene in group}
    by_pass: dict[tuple[str, int | None], float] = {}
    for scene in group:
        key = (scene.platform, scene.orbit)
        by_pass[key] = by_pass.get(key, 0.0) + overlap[scene.id]

    def rank(scene: Scene) -> tuple:
        key = (scene.platform, scene.orbit)
        foreign = scene.crs is None or not same_crs(scene.crs, grid.crs)
        return -by_pass[key], str(key), foreign, -overlap[scene.id], scene.id

    return tuple(sorted(group, key=rank))


def scene_overlap(scene: Scene, bounds: Bounds, crs: str) -> float:
    """The area (CRS units squared) of a rectangle in `crs` that a scene's outline covers."""
    outline, its_crs = (
        (scene.bounds, scene.crs) if scene.bounds and scene.crs else (scene.lonlat, "EPSG:4326")
    )
    return overlap_area(transform_bounds(outline, its_crs, crs), bounds)


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
