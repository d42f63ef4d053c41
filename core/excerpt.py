"""A part of a remote GeoTIFF as a small GeoTIFF in memory: its header and the tiles that a window needs are fetched,
and nothing else; GDAL decodes them.

GDAL's own way to remote files costs a request more per file and, in threads, several times the processor time. What
this does not know (strips, masks, several samples per pixel, a CRS without a code, servers without ranges) is left
to GDAL. The layout is that of TIFF 6.0, BigTIFF, and OGC GeoTIFF 1.1.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from pyproj.exceptions import CRSError
from rasterio import Affine
from rasterio.windows import Window

from .catalogs.access import Address
from .catalogs.ranges import Ranges
from .grid import short_crs

HEADER = 32768  # bytes that are fetched first; in cloud-optimised files all directories lie there
MOST_HEADER = 2_000_000  # bytes of all directories; files with more are left to GDAL
MOST_DIRECTORIES = 64
MOST_TILE = 64_000_000  # bytes of a decoded tile
GAP = 65536  # tiles that lie so near to each other are fetched together
NEW_SUBFILE, WIDTH, LENGTH, BITS, SAMPLES, PLANAR = 254, 256, 257, 258, 277, 284
TILE_WIDTH, TILE_LENGTH, OFFSETS, COUNTS = 322, 323, 324, 325
PIXEL_SCALE, TIEPOINT, MATRIX, GEO_KEYS = 33550, 33922, 34264, 34735
RASTER_TYPE, TO_WGS84, PROJECTED, CITATION, UNITS = 1025, 2062, 3072, 3073, 3076  # keys of GeoTIFF
USER_DEFINED, METRE = 32767, 9001
MASK = 4  # bit of NEW_SUBFILE
# What a decoder needs beside the sizes: bits, compression, photometric interpretation, samples, planar
# configuration, predictor, sample format, tables of JPEG, nodata, LERC's parameters.
DECODING = (BITS, 259, 262, SAMPLES, PLANAR, 317, 339, 347, 42113, 50674)
SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
CODES = {1: "B", 3: "H", 4: "I", 12: "d", 16: "Q"}


class NotPlainError(Exception):
    """A file that is left to GDAL."""


class MaskedError(NotPlainError):
    """A file that is left to GDAL because a mask is in it."""


class Bytes:
    """The bytes of a file, as far as they were needed; `get`: fetches those from one place up to another."""

    def __init__(self, get: Callable[[int, int], bytes]) -> None:
        self._get = get
        self._pieces: list[tuple[int, bytes]] = []
        self._left = MOST_HEADER

    def __call__(self, start: int, stop: int) -> bytes:
        """Raises `NotPlainError` beyond the end of the file, or when the directories are too long."""
        found = self._known(start, stop)
        if found is not None:
            return found
        long = max(stop - start, HEADER)
        if not 0 <= start <= stop < 2**63 or long > self._left:
            raise NotPlainError("directories that are too long")
        self._left -= long
        self._pieces.append((start, self._get(start, start + long)))
        found = self._pieces[-1][1][: stop - start]
        if len(found) < stop - start:
            raise NotPlainError("it ends before its directories do")
        return found

    def tiles(self, start: int, stop: int) -> bytes:
        """Bytes that are needed once: from what is there already, or fetched."""
        found = self._known(start, stop)
        return self._get(start, stop) if found is None else found

    def _known(self, start: int, stop: int) -> bytes | None:
        for first, data in self._pieces:
            if first <= start <= stop <= first + len(data):
                return data[start - first : stop - first]
        return None


@dataclass(frozen=True)
class Tags:
    """A directory of a TIFF: by tag its type, its number of values, and their bytes in the file's order."""

    data: Bytes
    order: str
    big: bool
    entries: dict[int, tuple[int, int, int]]  # type, number, where the bytes are

    def raw(self, tag: int) -> bytes:
        kind, number, at = self.entries[tag]
        return self.data(at, at + SIZES[kind] * number)

    def values(self, tag: int) -> tuple:
        kind, number, _ = self.entries[tag]
        if kind not in CODES:
            raise NotPlainError(f"tag {tag} of type {kind}")
        return struct.unpack(f"{self.order}{number}{CODES[kind]}", self.raw(tag))

    def value(self, tag: int, default: int = 0) -> int:
        return self.values(tag)[0] if tag in self.entries else default


@dataclass(frozen=True)
class Header:
    """What is known of a remote GeoTIFF: sizes in pixels, where it lies, and the place of each tile in the file.

    Has the names of an open dataset of rasterio, as far as they go.
    """

    tags: Tags
    width: int
    height: int
    tile: tuple[int, int]  # height, width
    transform: Affine
    crs: str


def header_of(data: Bytes) -> Header:
    """Understand the directories of a file. Raises `NotPlainError`, and what fetching them raises."""
    try:
        tags, following = _directory(data, None)
        for _ in range(MOST_DIRECTORIES):
            if not following:
                return _header(tags)
            # Its overviews do not matter, a mask would.
            other, following = _directory(data, (following, tags.order, tags.big))
            if other.value(NEW_SUBFILE) & MASK:
                raise MaskedError("a mask")
        raise NotPlainError("many directories")
    except (KeyError, struct.error, IndexError, ZeroDivisionError) as error:
        raise NotPlainError(f"{type(error).__name__}: {error}") from error


def _directory(data: Bytes, at: tuple[int, str, bool] | None) -> tuple[Tags, int]:
    """A directory and the place of the next one; the first where no place is given."""
    if at is None:
        first = data(0, 16)
        order = {b"II": "<", b"MM": ">"}.get(first[:2])
        if order is None:
            raise NotPlainError("no TIFF")
        (version,) = struct.unpack_from(f"{order}H", first, 2)
        if version not in (42, 43):
            raise NotPlainError(f"version {version}")
        big = version == 43
        (start,) = struct.unpack_from(order + ("Q" if big else "I"), first, 8 if big else 4)
    else:
        start, order, big = at
    count, entry, pointer = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
    head, size = struct.calcsize("=" + count), 20 if big else 12
    (number,) = struct.unpack(order + count, data(start, start + head))
    wide = struct.calcsize("=" + pointer)
    rows = data(start + head, start + head + size * number + wide)
    entries = {}
    for at in range(0, size * number, size):
        tag, kind, values = struct.unpack_from(order + entry, rows, at)
        inside = start + head + at + size - wide
        if SIZES.get(kind, 1) * values > wide:
            (inside,) = struct.unpack_from(order + pointer, rows, at + size - wide)
        if kind in SIZES:
            entries[tag] = kind, values, inside
    (following,) = struct.unpack_from(order + pointer, rows, size * number)
    return Tags(data, order, big, entries), following


def _header(tags: Tags) -> Header:
    if tags.value(SAMPLES, 1) != 1 or tags.value(PLANAR, 1) != 1 or TILE_WIDTH not in tags.entries:
        raise NotPlainError("strips, or several samples per pixel")
    if MATRIX in tags.entries:
        raise NotPlainError("a turned grid")
    width, height = tags.value(WIDTH), tags.value(LENGTH)
    tile = tags.value(TILE_LENGTH), tags.value(TILE_WIDTH)
    across, down = -(-width // tile[1]), -(-height // tile[0])
    if {tags.entries[tag][1] for tag in (OFFSETS, COUNTS)} != {across * down} or across * down < 1:
        raise NotPlainError("it does not tell where its tiles are")
    if tile[0] * tile[1] * tags.value(BITS, 1) > 8 * MOST_TILE:
        raise NotPlainError("huge tiles")
    sx, sy, _ = tags.values(PIXEL_SCALE)
    tie = tags.values(TIEPOINT)
    if len(tie) != 6 or sx <= 0 or sy <= 0:
        raise NotPlainError("several tie points")
    transform = Affine(sx, 0.0, tie[3] - tie[0] * sx, 0.0, -sy, tie[4] + tie[1] * sy)
    return Header(tags, width, height, tile, transform, _crs(tags))


def _crs(tags: Tags) -> str:
    """The CRS, where it is a code of EPSG and pixels are areas."""
    keys = tags.values(GEO_KEYS)
    found = {key: value for key, place, _, value in zip(*[iter(keys[4:])] * 4, strict=True) if place == 0}
    code = found.get(PROJECTED, USER_DEFINED)
    if code in (0, USER_DEFINED) or found.get(RASTER_TYPE, 1) != 1:
        raise NotPlainError("a CRS without a code, or pixels that are points")
    # Parameters of its own beside the code, another datum or a height would make it another CRS.
    own = [key for key in found if key == TO_WGS84 or key > CITATION]
    if own and (own != [UNITS] or found[UNITS] != METRE):
        raise NotPlainError("a CRS with parameters of its own")
    return _known(code)


@functools.cache
def _known(code: int) -> str:
    try:
        return short_crs(f"EPSG:{code}")
    except CRSError as error:
        raise NotPlainError(f"EPSG:{code}") from error


def excerpt(
    ranges: Ranges, address: Address, window_of: Callable[[Header], Window | None]
) -> tuple[Header, bytes | None]:
    """The header of a file, and a small GeoTIFF without CRS that holds the tiles below a window of it.

    `window_of`: the window in pixels, None when nothing of the file is needed: then there is no GeoTIFF. Raises
    `NotPlainError`, `NoRangesError`, `RangeError`.
    """

    header = header_of(Bytes(functools.partial(ranges.get, address.url, address.headers)))
    window = window_of(header)
    return header, None if window is None else _small(header, window)


def _small(header: Header, window: Window) -> bytes:
    height, width = header.tile
    across = -(-header.width // width)
    rows = range(int(window.row_off) // height, (int(window.row_off + window.height) - 1) // height + 1)
    columns = range(int(window.col_off) // width, (int(window.col_off + window.width) - 1) // width + 1)
    numbers = [row * across + column for row in rows for column in columns]
    offsets, counts = header.tags.values(OFFSETS), header.tags.values(COUNTS)
    places = [(offsets[number], counts[number]) for number in numbers]
    decoded = height * width * header.tags.value(BITS, 1) // 8
    if any(count > 2 * decoded + 65536 for _, count in places):
        raise NotPlainError("tiles that are larger than their pixels")
    tiles = _fetched(places, header.tags.data.tiles)
    left, top = columns.start * width, rows.start * height
    x = header.transform.c + left * header.transform.a
    y = header.transform.f + top * header.transform.e
    size = (min(columns.stop * width, header.width) - left, min(rows.stop * height, header.height) - top)
    return _written(header, size, (x, y), tiles)


def _fetched(places: list[tuple[int, int]], get: Callable[[int, int], bytes]) -> list[bytes]:
    """The bytes at each (offset, count), those that are neighbours by one request; a count of 0 is a tile that is
    not there."""
    found: dict[int, bytes] = {}
    for start, stop in _merged([(offset, offset + count) for offset, count in places if count]):
        data = get(start, stop)
        for offset, count in places:
            if start <= offset and offset + count <= stop:
                found[offset] = data[offset - start : offset - start + count]
    return [found[offset] if count else b"" for offset, count in places]


def _merged(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    start = stop = None
    for first, last in sorted(spans):
        if start is None:
            start, stop = first, last
        elif first - stop <= GAP:
            stop = max(stop, last)
        else:
            yield start, stop
            start, stop = first, last
    if start is not None:
        yield start, stop


def _written(header: Header, size: tuple[int, int], place: tuple[float, float], tiles: list[bytes]) -> bytes:
    """A TIFF of `size` (width, height), its first corner at `place`, with encoded tiles as they are."""
    tags, order = header.tags, header.tags.order
    long = f"{order}{len(tiles)}I"

    def doubles(*values: float) -> tuple[int, int, bytes]:
        return 12, len(values), struct.pack(f"{order}{len(values)}d", *values)

    def one(value: int) -> tuple[int, int, bytes]:
        return 4, 1, struct.pack(f"{order}I", value)

    entries = {tag: (*tags.entries[tag][:2], tags.raw(tag)) for tag in DECODING if tag in tags.entries}
    if any(kind in (16, 17, 18) for kind, _, _ in entries.values()):
        raise NotPlainError("numbers of 64 bits")
    entries |= {
        WIDTH: one(size[0]),
        LENGTH: one(size[1]),
        TILE_WIDTH: one(header.tile[1]),
        TILE_LENGTH: one(header.tile[0]),
        COUNTS: (4, len(tiles), struct.pack(long, *map(len, tiles))),
        OFFSETS: (4, len(tiles), b""),
        PIXEL_SCALE: doubles(header.transform.a, -header.transform.e, 0.0),
        TIEPOINT: doubles(0.0, 0.0, 0.0, *place, 0.0),
    }
    at = 8 + 2 + 12 * len(entries) + 4
    sizes = {tag: 4 * len(tiles) if tag == OFFSETS else len(raw) for tag, (_, _, raw) in entries.items()}
    starts = at + np.cumsum([0, *(length + length % 2 for length in sizes.values() if length > 4)])
    first = int(starts[-1])
    ends = first + np.cumsum([0, *map(len, tiles)])
    if ends[-1] >= 2**32:
        raise NotPlainError("more than 4 GB")
    where = [int(start) if tile else 0 for start, tile in zip(ends, tiles, strict=False)]
    entries[OFFSETS] = (4, len(tiles), struct.pack(long, *where))
    directory, beyond = [], []
    for tag in sorted(entries):
        kind, number, raw = entries[tag]
        if len(raw) > 4:
            value = struct.pack(f"{order}I", at)
            beyond.append(raw + b"\0" * (len(raw) % 2))
            at += len(beyond[-1])
        else:
            value = raw.ljust(4, b"\0")
        directory.append(struct.pack(f"{order}HHI", tag, kind, number) + value)
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(f"{order}HIH", 42, 8, len(directory))
    return b"".join([head, *directory, b"\0\0\0\0", *beyond, *tiles])
