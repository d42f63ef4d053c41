"""Synthetic Sentinel-2 scenes anywhere on earth, whose every pixel says where it lies: DN by easting and northing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from pyproj import Transformer

KEYS = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir", "B11": "swir16", "SCL": "scl"}
PIXELS = {"B11": 20, "SCL": 20}


def dn_at(x: np.ndarray, y: np.ndarray, band: str = "B02") -> np.ndarray:
    """The DN of pixels of 10 m with centres x, y (metres): neighbours always differ, no value is 0."""
    column, row = np.floor(np.asarray(x) / 10).astype(np.int64), np.floor(np.asarray(y) / 10).astype(np.int64)
    return 1001 + (column * 31 + row * 17 + list(KEYS).index(band) * 7) % 7919


def scene(
    folder: Path,
    name: str,
    crs: str,
    corner: tuple[float, float],
    instant: str,
    *,
    size: int = 120,
    bands: tuple[str, ...] = ("B02",),
    values: dict[str, Any] | None = None,
    properties: dict[str, Any] | None = None,
    drop: tuple[str, ...] = (),
    block: int = 64,
) -> dict[str, Any]:
    """Write the files of a scene of `size` x `size` pixels of 10 m below `corner` (west, north) and return its item.

    `values`: band to DN or class, a number or an array at the band's own pixel size. `properties`: added to those
    of the item, None takes one away. `block`: pixels of a tile of the files. `drop`: fields of the item's assets and
    properties that shall be absent.
    """
    west, north = corner
    assets = {}
    for band in bands:
        pixel = PIXELS.get(band, 10)
        count = size * 10 // pixel
        x = west + (np.arange(count) + 0.5) * pixel
        y = north - (np.arange(count) + 0.5) * pixel
        given = (values or {}).get(band)
        kind = np.uint8 if band == "SCL" else np.uint16
        if given is None:
            array = np.full((count, count), 4) if band == "SCL" else dn_at(x[None, :], y[:, None], band)
        else:
            array = np.broadcast_to(given, (count, count))
        path = folder / f"{name}_{band}.tif"
        transform = rasterio.Affine(pixel, 0, west, 0, -pixel, north)
        with rasterio.open(
            path, "w", driver="GTiff", height=count, width=count, count=1, dtype=kind, crs=crs,
            transform=transform, nodata=0, tiled=True, blockxsize=block, blockysize=block, compress="deflate",
        ) as file:  # fmt: skip
            file.write(array.astype(kind), 1)
        assets[KEYS[band]] = {
            "href": path.name,
            "type": "image/tiff; application=geotiff",
            "eo:bands": [{"name": band, "common_name": KEYS[band]}] if band != "SCL" else [],
            "proj:transform": list(transform)[:6],
            "proj:shape": [count, count],
        }
    edges = np.linspace(0, size * 10, 11)
    xs = np.concatenate([west + edges, west + edges, np.full(11, west), np.full(11, west + size * 10)])
    ys = np.concatenate([np.full(11, north), np.full(11, north - size * 10), north - edges, north - edges])
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(xs, ys)
    wide = lon.max() - lon.min() > 180
    box = [
        lon[lon > 0].min() if wide else lon.min(),
        lat.min(),
        lon[lon < 0].max() if wide else lon.max(),
        lat.max(),
    ]
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [],
        "id": name,
        "geometry": None,
        "bbox": [float(value) for value in box],
        "links": [],
        "properties": {
            "datetime": instant,
            "platform": "sentinel-2a",
            "constellation": "sentinel-2",
            "eo:cloud_cover": 1.0,
            "proj:epsg": int(crs.split(":")[1]),
            "s2:processing_baseline": "02.14",
            **(properties or {}),
        },
        "assets": assets,
    }
    for holder in (item["properties"], *assets.values()):
        for field in [key for key, value in holder.items() if value is None or key in drop]:
            holder.pop(field)
    return item


def collection_file(folder: Path, items: list[dict[str, Any]]) -> Path:
    """An item collection on disk, beside the files of its items."""
    path = folder / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return path
