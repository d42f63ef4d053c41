"""Sentinel-2 scenes of real size for the benchmarks: cloud-optimised GeoTIFFs of 10980 x 10980 pixels and their items.

GDAL writes the header of an empty file once; every file takes it over with offsets and sizes for all of its
tiles, and gets pixels only in those tiles that a benchmark reads. The rest are holes, which take no disk.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pyproj import Transformer
from rasterio.io import MemoryFile
from rasterio.transform import Affine

EPSG = 32632
WEST, NORTH = 399960, 5200020  # of tile 32TMT
EXTENT = 109800  # m
TILE = 512  # pixels
TILE_OFFSETS, TILE_BYTE_COUNTS = 324, 325
OTHER_TILE = 330_000  # bytes of a tile that is not there
COLLECTION = "sentinel-2-l2a"
FIRST = dt.date(2021, 5, 2)
CADENCE = 5  # days
# All assets of a real item, so that reading items costs what it costs.
PIXELS = {
    **dict.fromkeys(("B02", "B03", "B04", "B08", "AOT", "WVP", "visual"), 10),
    **dict.fromkeys(("B05", "B06", "B07", "B8A", "B11", "B12", "SCL"), 20),
    **dict.fromkeys(("B01", "B09"), 60),
}


@dataclass(frozen=True)
class Window:
    """A square of `size` pixels of 10 m, the first of them at `column`, `row` of the scene."""

    column: int
    row: int
    size: int

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) in metres."""
        west, north = WEST + self.column * 10, NORTH - self.row * 10
        return west, north - self.size * 10, west + self.size * 10, north


def window(size: int, tiles: int = 2) -> Window:
    """A window whose bands of 10 m lie in 1, 2 (side by side) or 4 tiles; for sizes up to 512 pixels."""
    across = {1: (0, 0), 2: (1, 0), 4: (1, 1)}[tiles]
    column, row = (9 * TILE + (0 if over else TILE // 2) - size // 2 for over in across)
    return Window(column, row, size)


class Template:
    """The header of files of one pixel size, as GDAL's driver COG writes it."""

    def __init__(self, pixel: int, dtype: str) -> None:
        self.size, self.dtype = EXTENT // pixel, np.dtype(dtype)
        with MemoryFile() as memory:
            with memory.open(
                driver="COG",
                width=self.size,
                height=self.size,
                count=1,
                dtype=dtype,
                crs=f"EPSG:{EPSG}",
                transform=Affine(pixel, 0, WEST, 0, -pixel, NORTH),
                nodata=0,
                compress="DEFLATE",
                predictor="STANDARD" if self.dtype.itemsize == 2 else "NO",
                blocksize=TILE,
                overviews="AUTO",
                SPARSE_OK="TRUE",
            ):
                pass
            self._header = memory.read()

    def write(self, path: Path, tiles: dict[tuple[int, int], bytes]) -> None:
        """A file with the tiles (row, column) -> deflated pixels."""
        header, at = bytearray(self._header), len(self._header)
        across = -(-self.size // TILE)
        given = {row * across + column: data for (row, column), data in tiles.items()}
        placed = []
        # As in files of GDAL's: the coarsest overview first; before a block its size, behind it its end again.
        for level, (offsets, counts, number) in reversed(list(enumerate(self._arrays()))):
            for tile in range(number):
                data = given.get(tile) if level == 0 else None
                count = OTHER_TILE if data is None else len(data)
                struct.pack_into("<I", header, offsets + 4 * tile, at + 4)
                struct.pack_into("<I", header, counts + 4 * tile, count)
                if data is not None:
                    placed.append((at, struct.pack("<I", count) + data + data[-4:]))
                at += count + 8
        with open(path, "wb") as file:
            file.write(header)
            for start, block in placed:
                file.seek(start)
                file.write(block)
            file.truncate(at)

    def _arrays(self) -> list[tuple[int, int, int]]:
        """Where the offsets and sizes of each level's tiles stand, and how many there are."""
        found = []
        (directory,) = struct.unpack_from("<I", self._header, 4)
        while directory:
            (entries,) = struct.unpack_from("<H", self._header, directory)
            places = {}
            for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
                tag, kind, number, value = struct.unpack_from("<HHII", self._header, entry)
                if tag in (TILE_OFFSETS, TILE_BYTE_COUNTS):
                    if kind != 4:
                        raise RuntimeError("GDAL's layout of a COG is not the expected one")
                    places[tag] = (value if number > 1 else entry + 8, number)
            found.append((places[TILE_OFFSETS][0], *places[TILE_BYTE_COUNTS]))
            (directory,) = struct.unpack_from("<I", self._header, directory + 2 + 12 * entries)
        return found


def tile_data(values: np.ndarray) -> bytes:
    """The pixels of one tile, deflated; those of 16 bits as differences (TIFF 6.0, section 14)."""
    if values.itemsize == 2:
        values = values.copy()
        values[:, 1:] -= values[:, :-1].copy()
    return zlib.compress(values.tobytes(), 6)


def make_scenes(
    folder: Path, place: Window, dates: int, bands: tuple[str, ...], distinct: int | None = None
) -> list[dict[str, Any]]:
    """Write the files of so many dates below `folder` and return their items, with relative hrefs.

    `distinct`: dates with pixels of their own; the others are further names of their files.
    """
    distinct = min(distinct or dates, dates)
    templates = {band: Template(PIXELS[band], "uint8" if band == "SCL" else "uint16") for band in bands}
    items = [_item(number, bands) for number in range(dates)]
    for item in items:
        (folder / item["id"]).mkdir(parents=True)

    def write(task: tuple[int, str]) -> None:
        number, band = task
        path = folder / items[number]["assets"][band]["href"]
        templates[band].write(path, _tiles(place, number, band))
        for other in range(number + distinct, dates, distinct):
            os.link(path, folder / items[other]["assets"][band]["href"])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, [(number, band) for number in range(distinct) for band in bands]))
    return items


def _tiles(place: Window, number: int, band: str) -> dict[tuple[int, int], bytes]:
    """The tiles below a window and a margin: a landscape with the noise that makes real tiles large."""
    factor = PIXELS[band] // 10
    first = [(start // factor - 16) // TILE for start in (place.row, place.column)]
    last = [((start + place.size) // factor + 16) // TILE for start in (place.row, place.column)]
    noise = np.random.default_rng([number, PIXELS[band], sum(band.encode())])
    found = {}
    for row in range(first[0], last[0] + 1):
        for column in range(first[1], last[1] + 1):
            y = (row * TILE + np.arange(TILE))[:, None] * factor
            x = (column * TILE + np.arange(TILE))[None, :] * factor
            waves = np.sin(x / 37) * np.cos(y / 53) + np.sin((x + 2 * y) / 211 + number)
            if band == "SCL":
                values = np.where(waves > 1.2, 9, np.where(waves > 1, 3, 4)).astype("u1")
            else:
                values = 2600 + 400 * waves + noise.normal(0, 60, (TILE, TILE))
                values = np.clip(values, 1, 65535).astype("<u2")
            found[row, column] = tile_data(values)
    return found


def _item(number: int, bands: tuple[str, ...]) -> dict[str, Any]:
    day = FIRST + dt.timedelta(days=CADENCE * number)
    instant = f"{day:%Y%m%d}T102031"
    name = f"S2A_MSIL2A_{instant}_N0500_R065_T32TMT_{instant}"
    box, geometry = _outline()
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [
            "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
            "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
        ],
        "id": name,
        "collection": COLLECTION,
        "bbox": box,
        "geometry": geometry,
        "links": [],
        "properties": {
            "datetime": f"{day}T10:20:31.024000Z",
            "platform": "Sentinel-2A",
            "constellation": "Sentinel 2",
            "instruments": ["msi"],
            "eo:cloud_cover": 5.0 + number % 40,
            "proj:epsg": EPSG,
            "s2:mgrs_tile": "32TMT",
            "s2:granule_id": f"S2A_OPER_MSI_L2A_TL_ESRI_{instant}_A030616_T32TMT_N05.00",
            "s2:product_uri": f"{name}.SAFE",
            "s2:datatake_id": f"GS2A_{instant}_030616_N05.00",
            "s2:product_type": "S2MSI2A",
            "s2:processing_baseline": "05.00",
            "s2:mean_solar_zenith": 27.9,
            "s2:mean_solar_azimuth": 156.2,
            "sat:orbit_state": "descending",
            "sat:relative_orbit": 65,
        },
        "assets": {band: _asset(name, band, band in bands) for band in PIXELS},
    }


def _asset(name: str, band: str, there: bool) -> dict[str, Any]:
    pixel = PIXELS[band]
    count, (west, south, east, north) = EXTENT // pixel, (WEST, NORTH - EXTENT, WEST + EXTENT, NORTH)
    return {
        "href": f"{name}/{band}.tif" if there else f"{name}/absent/{band}.tif",
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "title": f"{band} - {pixel} m",
        "roles": ["data"],
        "gsd": float(pixel),
        "proj:bbox": [float(west), float(south), float(east), float(north)],
        "proj:shape": [count, count],
        "proj:transform": [float(pixel), 0.0, float(west), 0.0, -float(pixel), float(north)],
        **({} if band in ("SCL", "visual") else {"eo:bands": [{"name": band, "description": band}]}),
    }


def _outline() -> tuple[list[float], dict[str, Any]]:
    """Box and polygon of the scene in degrees."""
    to_degrees = Transformer.from_crs(EPSG, 4326, always_xy=True)
    x, y = np.array([0, 1, 1, 0, 0]) * EXTENT + WEST, NORTH - np.array([0, 0, 1, 1, 0]) * EXTENT
    lon, lat = (np.round(values, 7) for values in to_degrees.transform(x, y))
    ring = [[float(a), float(b)] for a, b in zip(lon, lat, strict=True)]
    box = [float(value) for value in (lon.min(), lat.min(), lon.max(), lat.max())]
    return box, {"type": "Polygon", "coordinates": [ring]}


def with_hrefs(items: list[dict[str, Any]], base: str) -> list[dict[str, Any]]:
    """The items with hrefs below an address or folder."""
    items = json.loads(json.dumps(items))
    for item in items:
        for asset in item["assets"].values():
            asset["href"] = f"{base}/{asset['href']}"
    return items
