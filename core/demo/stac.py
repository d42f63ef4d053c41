"""The static STAC catalog of the demo: items in the manner of Element84's `sentinel-2-c1-l2a`.

Everything is written as STAC 1.0.0 with relative links; times are those of the sensing, never of now.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from pyproj import Transformer

from . import site
from .products import LAYERS, Layer, Product
from .scenes import sensing_time
from .sun import sun_position

CATALOG_ID = "minicuber-demo"
_EXTENSIONS = {
    "eo": "v1.1.0",
    "grid": "v1.1.0",
    "mgrs": "v1.0.0",
    "processing": "v1.1.0",
    "projection": "v1.1.0",
    "raster": "v1.1.0",
    "sat": "v1.0.0",
    "sentinel-2": "v1.0.0",
    "view": "v1.0.0",
}
_PERCENTAGES = {
    "s2:dark_features_percentage": (2,),
    "s2:cloud_shadow_percentage": (3,),
    "s2:vegetation_percentage": (4,),
    "s2:not_vegetated_percentage": (5,),
    "s2:water_percentage": (6,),
    "s2:unclassified_percentage": (7,),
    "s2:medium_proba_clouds_percentage": (8,),
    "s2:high_proba_clouds_percentage": (9,),
    "s2:thin_cirrus_percentage": (10,),
    "s2:snow_ice_percentage": (11,),
    "eo:cloud_cover": (8, 9, 10),
}
_TO_LONLAT = Transformer.from_crs(site.EPSG, 4326, always_xy=True)
_COG = "image/tiff; application=geotiff; profile=cloud-optimized"
_TEXT = (
    f"{site.SYNTHETIC}. Sentinel-2 L2A-like scenes of two overlapping tiles in a landscape like the Emmental "
    "(Switzerland), every 5 days, with clouds, snow, a swath edge, a scene in two baselines, a change of "
    "the radiometric offset on 2022-01-25 and a drought in the summer of 2022."
)


def make_item(product: Product, scl: np.ndarray) -> dict[str, Any]:
    """The item of a product, with hrefs relative to its folder; `scl`: its classification, 0 = no data."""
    tile, date, baseline = product.tile, product.date, product.baseline
    (west_top, west_bottom), (east_top, east_bottom) = site.swath(tile, date)
    _, bottom, _, top = tile.crop
    corners = [(west_bottom, bottom), (east_bottom, bottom), (east_top, top), (west_top, top)]
    ring = [[round(v, 6) for v in _TO_LONLAT.transform(*corner)] for corner in corners]
    lons, lats = zip(*ring, strict=True)
    azimuth, elevation = sun_position(sensing_time(date, tile.seconds), site.LON, site.LAT)

    valid = int((scl > 0).sum())
    shares = {
        name: round(100 * float(np.isin(scl, codes).sum()) / valid, 6) for name, codes in _PERCENTAGES.items()
    }
    spacecraft = f"S2{product.satellite}"
    take = f"{str(date).replace('-', '')}T103021"
    # Reprocessed products are younger than the scene; both times are made up but fixed.
    made = date + np.timedelta64(900 if product.sequence else 0, "D")
    generated = f"{made}T15:04:05.000Z"
    compact = f"{str(made).replace('-', '')}T150405"
    number = baseline.replace(".", "")
    properties = {
        "datetime": f"{sensing_time(date, tile.seconds)}Z",
        "created": generated,
        "updated": generated,
        "platform": f"sentinel-2{product.satellite.lower()}",
        "constellation": "sentinel-2",
        "instruments": ["msi"],
        "gsd": 10,
        **shares,
        "proj:epsg": site.EPSG,
        "proj:code": f"EPSG:{site.EPSG}",
        "proj:centroid": {"lat": round(sum(lats) / 4, 5), "lon": round(sum(lons) / 4, 5)},
        "mgrs:utm_zone": int(tile.code[:2]),
        "mgrs:latitude_band": tile.code[2],
        "mgrs:grid_square": tile.code[3:],
        "grid:code": f"MGRS-{tile.code}",
        "view:azimuth": 104.2,
        "view:incidence_angle": 7.4,
        "view:sun_azimuth": round(float(azimuth), 4),
        "view:sun_elevation": round(float(elevation), 4),
        "sat:relative_orbit": site.RELATIVE_ORBIT,
        "sat:orbit_state": "descending",
        "s2:nodata_pixel_percentage": round(100 * (1 - valid / scl.size), 6),
        "s2:product_type": "S2MSI2A",
        "s2:processing_baseline": baseline,
        "s2:product_uri": (
            f"{spacecraft}_MSIL2A_{take}_N{number}_R{site.RELATIVE_ORBIT}_T{tile.code}_{compact}.SAFE"
        ),
        "s2:generation_time": generated,
        "s2:sequence": str(product.sequence),
        "earthsearch:boa_offset_applied": False,
        "processing:level": "L2",
        "processing:software": {"minicuber demo": "1"},
        "minicuber:synthetic": True,
    }
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [
            f"https://stac-extensions.github.io/{name}/{version}/schema.json"
            for name, version in _EXTENSIONS.items()
        ],
        "id": product.id,
        "collection": site.COLLECTION,
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        "bbox": [min(lons), min(lats), max(lons), max(lats)],
        "properties": properties,
        "links": _links("../../collection.json", "../../../catalog.json"),
        "assets": {layer.key: _asset(layer, product) for layer in LAYERS},
    }


def _asset(layer: Layer, product: Product) -> dict[str, Any]:
    left, _, _, top = product.tile.crop
    raster = {"nodata": 0, "data_type": layer.dtype, "spatial_resolution": layer.resolution}
    if layer.scale is not None:
        raster |= {"scale": layer.scale, "offset": layer.offset(product.baseline)}
    if layer.key == "wvp":
        raster["unit"] = "cm"
    asset = {
        "href": f"./{layer.name}.tif",
        "type": _COG,
        "title": layer.title,
        "gsd": layer.resolution,
        "proj:shape": list(product.tile.grid(layer.resolution)),
        "proj:transform": [layer.resolution, 0, left, 0, -layer.resolution, top],
        "raster:bands": [raster],
        "roles": ["data", "reflectance"] if layer.band else ["data"],
    }
    return asset | ({"eo:bands": [layer.band]} if layer.band else {})


def _links(collection: str, root: str) -> list[dict[str, str]]:
    return [
        {"rel": "root", "href": root, "type": "application/json"},
        {"rel": "parent", "href": collection, "type": "application/json"},
        {"rel": "collection", "href": collection, "type": "application/json"},
    ]


def write_item(folder: Path, item: dict[str, Any]) -> None:
    """Write an item into its own folder, beside its files."""
    write_json(folder / f"{item['id']}.json", item)


def write_catalog(folder: Path, entries: list[tuple[str, dict[str, Any]]]) -> None:
    """Write catalog, collection and item collection; `entries`: each item's folder and the item."""
    items = [item for _, item in entries]
    times = sorted(item["properties"]["datetime"] for item in items)
    boxes = np.array([item["bbox"] for item in items])
    bbox = [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()]
    (folder / site.COLLECTION).mkdir(exist_ok=True)
    write_json(
        folder / "catalog.json",
        {
            "type": "Catalog",
            "stac_version": "1.0.0",
            "id": CATALOG_ID,
            "title": "Minicuber demo (synthetic)",
            "description": _TEXT,
            "links": [
                {"rel": "root", "href": "./catalog.json", "type": "application/json"},
                {"rel": "child", "href": f"./{site.COLLECTION}/collection.json", "type": "application/json"},
            ],
        },
    )
    below = [entry.removeprefix(f"{site.COLLECTION}/") for entry, _ in entries]
    write_json(
        folder / site.COLLECTION / "collection.json",
        {
            "type": "Collection",
            "stac_version": "1.0.0",
            "id": site.COLLECTION,
            "title": "Sentinel-2 L2A-like scenes (synthetic)",
            "description": _TEXT,
            "keywords": ["synthetic", "demonstration", "Sentinel-2"],
            "license": "CC0-1.0",
            "providers": [{"name": "Minicuber", "roles": ["producer"]}],
            "extent": {"spatial": {"bbox": [bbox]}, "temporal": {"interval": [[times[0], times[-1]]]}},
            "summaries": {"minicuber:synthetic": [True], "platform": ["sentinel-2a", "sentinel-2b"]},
            "links": [
                {"rel": "root", "href": "../catalog.json", "type": "application/json"},
                {"rel": "parent", "href": "../catalog.json", "type": "application/json"},
                *(
                    {"rel": "item", "href": f"./{path}/{item['id']}.json", "type": "application/geo+json"}
                    for path, item in zip(below, items, strict=True)
                ),
            ],
        },
    )
    features = [_moved(item, path) for path, item in entries]
    write_json(
        folder / "items.json", {"type": "FeatureCollection", "description": _TEXT, "features": features}
    )


def _moved(item: dict[str, Any], path: str) -> dict[str, Any]:
    """The item as it reads from the catalog's folder."""
    assets = {
        key: asset | {"href": f"./{path}/{asset['href'].removeprefix('./')}"}
        for key, asset in item["assets"].items()
    }
    return item | {
        "assets": assets,
        "links": _links(f"./{site.COLLECTION}/collection.json", "./catalog.json"),
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON without blanks, in UTF-8, with Unix line ends on every system."""
    path.write_bytes(json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
