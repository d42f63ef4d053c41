"""Where and when the demo is: its lattice, tiles, crops, extent and dates; nothing here is computed.

All coordinates are metres in EPSG:32632 (UTM zone 32 N) unless a name says lon/lat; boxes are
(left, bottom, right, top). Rows run from north to south.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SEED = 20200303
SYNTHETIC = "Synthetic demonstration data of Minicuber: computed, not observed"
COLLECTION = "sentinel-2-l2a"
EPSG = 32632
PIXEL = 10

Box = tuple[int, int, int, int]

# The landscape reaches 1 km and more beyond the crops, so that the elevation model has a margin. Its edges
# and those of the crops are multiples of 60 m, as those of all Sentinel-2 tiles of the north.
DOMAIN: Box = (403620, 5198760, 407460, 5202600)
UNION: Box = (404640, 5200020, 406440, 5201340)
EXTENT: Box = (404880, 5200040, 406160, 5201320)
LON, LAT = 7.757, 46.954

FIRST_DATE, LAST_DATE = np.datetime64("2020-03-03"), np.datetime64("2022-08-30")
DATES = np.arange(FIRST_DATE, LAST_DATE + np.timedelta64(1, "D"), np.timedelta64(5, "D"))
RELATIVE_ORBIT = 108


@dataclass(frozen=True)
class Tile:
    """A tile of the Sentinel-2 tiling grid and the crop of it that the demo holds.

    `bounds`: of the real, 109.8 km wide tile; `crop`: inside it; `seconds`: sensing after 10:37 UTC.
    """

    code: str
    bounds: Box
    crop: Box
    seconds: float

    def grid(self, resolution: int) -> tuple[int, int]:
        """Rows and columns of the crop at `resolution` metres."""
        left, bottom, right, top = self.crop
        return (top - bottom) // resolution, (right - left) // resolution

    def columns(self, resolution: int) -> slice:
        """The columns of the crop in an array that covers `UNION` at `resolution` metres."""
        start = (self.crop[0] - UNION[0]) // resolution
        return slice(start, start + self.grid(resolution)[1])


# Both crops lie where the real tiles overlap (easting 399960 to 409800) and share 360 m.
TILES = (
    Tile("32TLT", (300000, 5190240, 409800, 5300040), (404640, 5200020, 405720, 5201340), 8.452),
    Tile("32TMT", (399960, 5190240, 509760, 5300040), (405360, 5200020, 406440, 5201340), 4.127),
)

# The edge of the swath on a few dates: tile and the easting of the edge at the crop's top and bottom.
# One tile alone has it, so that only a mosaic of both covers the extent; on the last two a hole remains.
SWATH_EDGES: dict[str, tuple[str, int, int]] = {
    "2020-04-22": ("32TMT", 405700, 405480),
    "2020-08-20": ("32TLT", 405620, 405400),
    "2021-03-13": ("32TMT", 405640, 405440),
    "2021-07-11": ("32TLT", 405600, 405400),
    "2022-03-18": ("32TMT", 405900, 405660),
    "2022-07-01": ("32TLT", 405480, 405250),
}

# One scene was processed twice, as so many of the archive: the tile, the date and both baselines.
DUPLICATE = ("32TMT", "2020-08-05", ("02.14", "05.00"))

# Processing baselines by the first date on which each was in use (Copernicus, Sentinel-2 product notices).
BASELINES = (
    ("2020-02-04", "02.14"),
    ("2021-03-30", "03.00"),
    ("2021-06-30", "03.01"),
    ("2022-01-25", "04.00"),
)


def baseline_of(date: np.datetime64) -> str:
    """The processing baseline that was in use on a date."""
    return [name for start, name in BASELINES if np.datetime64(start) <= date][-1]


def has_offset(baseline: str) -> bool:
    """Whether the DN of reflectance are raised by 1000: processing baseline 04.00 and later."""
    return baseline >= "04.00"


def swath(tile: Tile, date: np.datetime64) -> tuple[tuple[int, int], tuple[int, int]]:
    """Western and eastern limit of the data of a crop, as eastings at (top, bottom) each."""
    west, east = (tile.crop[0],) * 2, (tile.crop[2],) * 2
    code, top, bottom = SWATH_EDGES.get(str(date), ("", 0, 0))
    if code != tile.code:
        return west, east
    # The western tile loses its east, the eastern one its west: both times the shared part.
    return (west, (top, bottom)) if tile.crop[0] == UNION[0] else ((top, bottom), east)


def seen(tile: Tile, date: np.datetime64, resolution: int) -> np.ndarray:
    """Which pixels of a crop the swath covers by their centres: bool (row, column)."""
    rows, columns = tile.grid(resolution)
    down = (np.arange(rows) + 0.5)[:, None] / rows
    x = tile.crop[0] + (np.arange(columns) + 0.5)[None, :] * resolution
    west, east = swath(tile, date)
    return (x > west[0] + (west[1] - west[0]) * down) & (x < east[0] + (east[1] - east[0]) * down)
