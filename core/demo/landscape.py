"""The ground of the demo: terrain, land cover, fields and forest on the 10 m lattice of `site.DOMAIN`."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from . import site
from .noise import power_law_field

# Order of the first axis of `Landscape.cover`; each with its code in ESA WorldCover.
CLASSES = ("coniferous", "deciduous", "shrub", "meadow", "crop", "built-up", "bare", "water")
WORLDCOVER = (10, 10, 20, 30, 40, 50, 60, 80)
CONIFEROUS, DECIDUOUS, SHRUB, MEADOW, CROP, BUILT_UP, BARE, WATER = range(len(CLASSES))
PARCELS = 4096  # a parcel's number is below this


@dataclass(frozen=True)
class Landscape:
    """What does not change with time. Arrays are (row, column), rows from the north, 10 m pixels.

    `elevation` in m; `slope` in radians; `aspect`: direction the slope faces, radians clockwise from
    north; `kind`: index into `CLASSES`; `cover`: share of each class (class, row, column), sums to 1;
    `parcel`: number of the field; `texture`: factor on reflectance; `shallow`: 0 to 1, how badly the
    soil holds water.
    """

    elevation: np.ndarray
    slope: np.ndarray
    aspect: np.ndarray
    kind: np.ndarray
    cover: np.ndarray
    parcel: np.ndarray
    texture: np.ndarray
    shallow: np.ndarray

    def window(self, box: site.Box) -> Landscape:
        """The part inside `box`, whose edges are multiples of 10 m."""
        left, bottom, right, top = box
        rows = slice((site.DOMAIN[3] - top) // site.PIXEL, (site.DOMAIN[3] - bottom) // site.PIXEL)
        columns = slice((left - site.DOMAIN[0]) // site.PIXEL, (right - site.DOMAIN[0]) // site.PIXEL)
        return Landscape(*(getattr(self, field.name)[..., rows, columns] for field in fields(self)))


def make_landscape() -> Landscape:
    """The landscape of the whole domain; always the same."""
    rng = np.random.default_rng([site.SEED, 1])
    left, bottom, right, top = site.DOMAIN
    shape = (top - bottom) // site.PIXEL, (right - left) // site.PIXEL
    x = left + (np.arange(shape[1]) + 0.5)[None, :] * site.PIXEL
    y = top - (np.arange(shape[0]) + 0.5)[:, None] * site.PIXEL

    river = 405180 + 170 * np.sin((y - bottom) / 430) + 60 * np.sin((y - bottom) / 173)
    from_river = np.abs(x - river)
    hills = power_law_field(rng, shape, 4.4, 150)
    # A flat valley floor of some 300 m, then slopes that rise 230 m within 1 km.
    rise = 1 - np.exp(-((np.maximum(from_river - 110, 0) / 620) ** 1.6))
    elevation = 705 + 230 * rise + 48 * (hills + 1.4).clip(0) * (0.06 + rise) + 0.004 * (y - bottom)
    d_north, d_east = np.gradient(elevation, -site.PIXEL, site.PIXEL)
    slope = np.arctan(np.hypot(d_north, d_east))
    aspect = np.arctan2(-d_east, -d_north)

    parcel = _parcels(rng, x, y)
    kind = _land_cover(rng, x, y, elevation, slope, x - river, parcel)
    cover = _mixed(kind)
    rough = np.array([0.065, 0.055, 0.05, 0.015, 0.012, 0.10, 0.05, 0.01], np.float32)[kind]
    texture = 1 + rough * power_law_field(rng, shape, 2.6, 9).clip(-2.5, 2.5)
    convex = power_law_field(rng, shape, 2.5, 60)
    south = -np.cos(aspect) * np.sin(slope)
    shallow = (0.5 + 0.18 * convex + 0.9 * south + 0.3 * (slope - 0.2)).clip(0.05, 1)
    names = elevation, slope, aspect, kind, cover, parcel, texture, shallow
    return Landscape(*(a if a.dtype.kind in "iu" else a.astype(np.float32) for a in names))


def _parcels(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Numbers of oblong fields of about 150 m x 70 m, turned 25 degrees and a little bent."""
    shape = y.shape[0], x.shape[1]
    turn = np.radians(25)
    bend = 25 * power_law_field(rng, shape, 4, 100)
    u = (x - site.DOMAIN[0]) * np.cos(turn) + (y - site.DOMAIN[1]) * np.sin(turn) + bend
    v = (y - site.DOMAIN[1]) * np.cos(turn) - (x - site.DOMAIN[0]) * np.sin(turn) + bend
    strip = np.floor(v / 70).astype(np.int64)
    along = np.floor(u / 150 + 0.37 * strip).astype(np.int64)
    return ((along * 73 + strip * 911) % PARCELS).astype(np.int16)


def _land_cover(rng, x, y, elevation, slope, east_of_river, parcel) -> np.ndarray:
    """Class of each pixel: woods on steep ground, crops on flat fields, a village, a river, meadows."""
    shape = elevation.shape
    from_river = np.abs(east_of_river)
    woods = power_law_field(rng, shape, 3.5, 70) + 5.0 * (slope - 0.22) + 0.003 * (elevation - 850)
    woods[from_river < 90] = -9
    needles = power_law_field(rng, shape, 3.2, 60) + 0.006 * (elevation - 870)
    # A field is ploughed as a whole or not at all.
    pixels = np.bincount(parcel.ravel(), minlength=PARCELS).clip(1)
    field_slope = np.bincount(parcel.ravel(), slope.ravel(), PARCELS) / pixels
    ploughed = (rng.random(PARCELS) < np.where(field_slope < 0.21, 0.65, 0.03))[parcel]
    village = np.hypot((x - 405620) / 260, (y - 5200420) / 170) + 0.25 * power_law_field(rng, shape, 2, 40)
    houses = power_law_field(rng, shape, 0.8, 6)
    wood_edge, hedge = np.quantile(woods, 0.60), np.quantile(woods, 0.575)

    kind = np.full(shape, MEADOW, np.uint8)
    kind[ploughed] = CROP
    kind[(woods > hedge) & (houses > 0.2)] = SHRUB
    kind[woods > wood_edge] = np.where(needles > 0.1, CONIFEROUS, DECIDUOUS)[woods > wood_edge]
    open_land = woods <= wood_edge
    kind[open_land & (village < 1) & (houses > -0.15 + 0.9 * village)] = BUILT_UP
    kind[open_land & (np.abs(east_of_river - 62) < 6)] = BUILT_UP  # a road
    kind[(from_river < 30) & (houses > 0.3)] = BARE  # gravel bars
    kind[from_river < 17] = WATER
    kind[np.hypot(x - 405790, y - 5200890) < 45] = WATER
    return kind


def _mixed(kind: np.ndarray) -> np.ndarray:
    """Shares of the classes in each pixel, for the sensor sees 1/6 of each pixel's neighbours too."""
    cover = (np.arange(len(CLASSES))[:, None, None] == kind).astype(np.float32)
    for axis in (1, 2):
        cover = (10 * cover + np.roll(cover, 1, axis) + np.roll(cover, -1, axis)) / 12
    return cover
