"""The exact grid of a cube: which lattice of pixels, and where. Geometry only, no input or output.

One immutable value around `odc.geo.geobox.GeoBox`. Pixel edges lie at `anchor + n * resolution`, in a
projected CRS; the axis order is x (east), y (north) in parameters and y, x in shapes.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from .errors import InputError

EDGE_TOLERANCE = 0.01  # of a pixel: an extent that exceeds a pixel's edge by less does not add a pixel
OUTLINE_POINTS = 257  # per side; the sagitta between two of them is far below the tolerance
MAX_PIXELS = 100_000_000  # per date; beyond it is a mistyped resolution, not a minicube

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class Lattice:
    """The endless lattice that grids are cut from: pixel size and one edge, both in CRS units.

    `x`, `y`: pixel width and height (positive). `anchor_x`, `anchor_y`: any vertical and any
    horizontal pixel edge.
    """

    x: float
    y: float
    anchor_x: float = 0.0
    anchor_y: float = 0.0


@dataclass(frozen=True)
class Grid:
    """A rectangle of a lattice in one CRS. Hashable; equal grids have equal pixels.

    `crs`: "EPSG:32632" or WKT. `left`, `top`: the outer corner, CRS units. `resolution_x`,
    `resolution_y`: pixel size, positive. `width`, `height`: pixels.
    """

    crs: str
    left: float
    top: float
    resolution_x: float
    resolution_y: float
    width: int
    height: int

    @functools.cached_property
    def geobox(self) -> GeoBox:
        """The same grid as a GeoBox (shape y, x; origin top left)."""
        affine = Affine(self.resolution_x, 0.0, self.left, 0.0, -self.resolution_y, self.top)
        return GeoBox((self.height, self.width), affine, self.crs)

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x) in pixels."""
        return self.height, self.width

    @property
    def x(self) -> np.ndarray:
        """Pixel centres from west to east, float64 (x,), CRS units."""
        return self.left + (np.arange(self.width) + 0.5) * self.resolution_x

    @property
    def y(self) -> np.ndarray:
        """Pixel centres from north to south, float64 (y,), CRS units."""
        return self.top - (np.arange(self.height) + 0.5) * self.resolution_y

    @property
    def bounds(self) -> Bounds:
        """(west, south, east, north) of the outer edges, CRS units."""
        return (
            self.left,
            self.top - self.height * self.resolution_y,
            self.left + self.width * self.resolution_x,
            self.top,
        )

    @property
    def lonlat_bounds(self) -> Bounds:
        """As `lonlat_box` of the outer edges."""
        return lonlat_box(self.bounds, self.crs)

    def to_json(self) -> dict[str, Any]:
        """Plain values; `Grid(**values)` makes the same grid again."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def grid_over(bounds: Bounds, bounds_crs: str, crs: str, lattice: Lattice) -> Grid:
    """The smallest rectangle of the lattice that contains an extent.

    `bounds`: (west, south, east, north) in `bounds_crs`; its outline is densified and reprojected to
    `crs`. Raises `InputError` for an empty extent, or one that is no minicube.
    """
    west, south, east, north = transform_bounds(_checked(bounds), bounds_crs, crs)
    first_x = math.floor((west - lattice.anchor_x) / lattice.x + EDGE_TOLERANCE)
    last_x = math.ceil((east - lattice.anchor_x) / lattice.x - EDGE_TOLERANCE)
    first_y = math.floor((south - lattice.anchor_y) / lattice.y + EDGE_TOLERANCE)
    last_y = math.ceil((north - lattice.anchor_y) / lattice.y - EDGE_TOLERANCE)
    return _cut(crs, lattice, first_x, last_y, max(last_x - first_x, 1), max(last_y - first_y, 1))


def grid_around(bounds: Bounds, bounds_crs: str, crs: str, lattice: Lattice, width: int, height: int) -> Grid:
    """The `width` x `height` pixels of the lattice nearest to an extent's centre.

    The centre is that of the extent in its own CRS. Ties go west and south.
    """
    west, south, east, north = _checked(bounds, may_be_point=True)
    (x,), (y,) = transform_points([(west + east) / 2], [(south + north) / 2], bounds_crs, crs)
    first_x = _nearest((x - lattice.anchor_x) / lattice.x - width / 2)
    first_y = _nearest((y - lattice.anchor_y) / lattice.y - height / 2)
    return _cut(crs, lattice, first_x, first_y + height, width, height)


def _nearest(value: float) -> int:
    """The nearest integer; a tie (to a millionth of a pixel) goes down, which is west or south."""
    return math.ceil(value - 0.5 - 1e-6)


def _cut(crs: str, lattice: Lattice, first_x: int, top_y: int, width: int, height: int) -> Grid:
    if width * height > MAX_PIXELS:
        raise InputError(
            f"The cube would have {width} x {height} pixels of {lattice.x:g} x {lattice.y:g}.",
            "Choose a smaller extent or a coarser RESOLUTION.",
        )
    return Grid(
        crs=crs,
        left=lattice.anchor_x + first_x * lattice.x,
        top=lattice.anchor_y + top_y * lattice.y,
        resolution_x=lattice.x,
        resolution_y=lattice.y,
        width=width,
        height=height,
    )


def _checked(bounds: Bounds, may_be_point: bool = False) -> Bounds:
    west, south, east, north = bounds
    if not all(math.isfinite(value) for value in bounds):
        raise InputError("EXTENT holds a number that is not finite.", "Draw or choose the extent again.")
    empty = (east < west or north < south) if may_be_point else (east <= west or north <= south)
    if empty:
        raise InputError(
            f"EXTENT is empty: west {west:g}, east {east:g}, south {south:g}, north {north:g}.",
            "Draw or choose an extent with an area.",
        )
    return bounds


def checked_crs(text: str, name: str = "CRS") -> str:
    """The CRS in its shortest form ("EPSG:..." where it has a code, else WKT2).

    Raises `InputError` when PROJ does not know it.
    """
    try:
        crs = CRS.from_user_input(text)
    except CRSError as error:
        raise InputError(f"{name} is not a known coordinate reference system: {text!r}.") from error
    return short_crs(crs)


def short_crs(crs: CRS | str) -> str:
    """A CRS as "EPSG:..." where it has a code, else as WKT2."""
    crs = CRS.from_user_input(crs)
    authority = crs.to_authority(min_confidence=100)
    return ":".join(authority) if authority else crs.to_wkt()


def gdal_wkt(crs: str) -> str:
    """WKT1 as GDAL writes it, which every GDAL reads; WKT2 for the few CRS that WKT1 cannot express, or whose axes
    it loses (polar stereographic ones, which GDAL then turns)."""
    known = CRS.from_user_input(crs)
    try:
        text = known.to_wkt("WKT1_GDAL")
    except CRSError:
        return known.to_wkt()
    directions = [axis.direction for axis in known.axis_info]
    return text if set(directions) <= {"east", "north"} else known.to_wkt()


def axis_mapping(crs: str) -> str:
    """Which axes of the text of `gdal_wkt` are x and y, as a VRT has it."""
    first = CRS.from_user_input(crs).axis_info[0]
    turned = first.name == "Northing" and not gdal_wkt(crs).startswith(("PROJCS", "GEOGCS"))
    return "2,1" if turned else "1,2"


def same_crs(crs: str, other: str) -> bool:
    """Whether two CRS are the same, however they are written."""
    return crs == other or CRS.from_user_input(crs).equals(CRS.from_user_input(other), ignore_axis_order=True)


def is_projected(crs: str) -> bool:
    """Whether a CRS is projected (its units are lengths)."""
    return CRS.from_user_input(crs).is_projected


def unit_of(crs: str) -> tuple[str, float]:
    """(name as CF writes it, metres per unit) of the axes of a projected CRS."""
    axis = CRS.from_user_input(crs).axis_info[0]
    return ("m" if axis.unit_name in ("metre", "meter") else axis.unit_name), axis.unit_conversion_factor


def checked_projected_crs(text: str) -> str:
    """As `checked_crs`, for the CRS of a cube, which must be projected, in metres or the like."""
    short = checked_crs(text)
    if not is_projected(short):
        raise InputError(
            f"A cube needs a projected CRS; {short} is not one, and RESOLUTION is in its units.",
            "Leave CRS empty for the UTM zone of the extent.",
        )
    return short


def utm_crs(lon: float, lat: float) -> str:
    """The UTM zone of a place by the MGRS rules, as "EPSG:326xx" (north) or "EPSG:327xx" (south).

    Zones are 6 degrees wide but for south-west Norway (32V) and Svalbard (31X, 33X, 35X, 37X): NGA.STND.0037,
    "Universal Grids and Grid Reference Systems", 2014. Raises `InputError` beyond 80 S and 84 N, where
    UTM ends. `lon`, `lat` in degrees.
    """
    if not -80 <= lat <= 84:
        raise InputError(
            f"The extent's centre lies at latitude {lat:.2f}, where UTM is not defined.",
            "Choose a CRS, for example a polar stereographic one.",
        )
    lon = (lon + 180) % 360 - 180
    zone = int((lon + 180) // 6) + 1
    if 56 <= lat < 64 and 3 <= lon < 12:
        zone = 32
    elif lat >= 72 and 0 <= lon < 42:
        zone = 31 if lon < 9 else 33 if lon < 21 else 35 if lon < 33 else 37
    return f"EPSG:{(32600 if lat >= 0 else 32700) + zone}"


def centre_lonlat(bounds: Bounds, bounds_crs: str) -> tuple[float, float]:
    """Longitude and latitude (degrees) of an extent's centre, computed in the extent's CRS."""
    west, south, east, north = _checked(bounds, may_be_point=True)
    (lon,), (lat,) = transform_points([(west + east) / 2], [(south + north) / 2], bounds_crs, "EPSG:4326")
    return lon, lat


def transform_bounds(bounds: Bounds, source: str, target: str) -> Bounds:
    """The bounds in `target` of a rectangle's densified outline in `source`: (west, south, east, north)."""
    if source == target:
        return bounds
    xs, ys = transform_points(*outline(bounds), source, target)
    return float(np.min(xs)), float(np.min(ys)), float(np.max(xs)), float(np.max(ys))


def lonlat_box(bounds: Bounds, crs: str) -> Bounds:
    """(west, south, east, north) in degrees (WGS 84) of a rectangle in `crs`.

    West is greater than east where the rectangle lies across the antimeridian (RFC 7946, 5.2); around a pole
    the box goes from -180 to 180.
    """
    west, south, east, north = bounds
    lon, lat = transform_points(*outline(bounds), crs, "EPSG:4326")
    for pole in (-90.0, 90.0):
        x, y = _transformer("EPSG:4326", crs).transform(0.0, pole)
        if not is_projected(crs) or not (west <= x <= east and south <= y <= north):
            continue
        return -180.0, min(float(lat.min()), pole), 180.0, max(float(lat.max()), pole)
    middle, _ = centre_lonlat(bounds, crs)
    lon = middle + (lon - middle + 180.0) % 360.0 - 180.0
    low, high = float(lon.min()), float(lon.max())
    if low < -180.0:
        low += 360.0
    if high > 180.0:
        high -= 360.0
    return low, float(lat.min()), high, float(lat.max())


def outline(bounds: Bounds) -> tuple[np.ndarray, np.ndarray]:
    """x and y of points along the four sides of a rectangle."""
    west, south, east, north = bounds
    along = np.linspace(0.0, 1.0, OUTLINE_POINTS)
    x, y = west + along * (east - west), south + along * (north - south)
    xs = np.concatenate([x, x, np.full_like(y, west), np.full_like(y, east)])
    return xs, np.concatenate([np.full_like(x, south), np.full_like(x, north), y, y])


def overlap_area(bounds: Bounds, other: Bounds) -> float:
    """The area that two rectangles of one CRS share, in its units squared."""
    width = min(bounds[2], other[2]) - max(bounds[0], other[0])
    height = min(bounds[3], other[3]) - max(bounds[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


def transform_points(xs: Any, ys: Any, source: str, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Points of one CRS in another. Raises `InputError` where that is not possible."""
    xs, ys = np.asarray(xs, float), np.asarray(ys, float)
    if source != target:
        xs, ys = _transformer(source, target).transform(xs, ys)
    if not (np.all(np.isfinite(xs)) and np.all(np.isfinite(ys))):
        raise InputError(
            f"The extent cannot be transformed from {_short(source)} to {_short(target)}.",
            "Check the extent's CRS, or choose another CRS for the cube.",
        )
    return xs, ys


@functools.lru_cache(maxsize=64)
def _transformer(source: str, target: str) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)


def _short(crs: str) -> str:
    return crs if len(crs) < 30 else f"{CRS.from_user_input(crs).name}"
