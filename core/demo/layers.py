"""The local layers of the demo: elevation model, land cover map and forest mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
import shapely
from pyproj import Transformer
from rasterio.features import rasterize, shapes, sieve
from rasterio.transform import Affine
from shapely.geometry import mapping, shape
from shapely.geometry.polygon import orient

from . import site
from .landscape import CLASSES, CONIFEROUS, DECIDUOUS, WORLDCOVER, Landscape
from .noise import block_mean
from .stac import write_json

# Colours of the ESA WorldCover 2021 product user manual.
_COLOURS = {
    0: (0, 0, 0, 0),
    10: (0, 100, 0, 255),
    20: (255, 187, 34, 255),
    30: (255, 255, 76, 255),
    40: (240, 150, 255, 255),
    50: (250, 0, 0, 255),
    60: (180, 180, 180, 255),
    80: (0, 100, 200, 255),
}
_SMALLEST = 25  # pixels of 10 m: a wood smaller than 0.25 ha is none
_TRANSFORM = Affine(site.PIXEL, 0, site.DOMAIN[0], 0, -site.PIXEL, site.DOMAIN[3])


def write_elevation(landscape: Landscape, path: Path) -> None:
    """Elevation in m on a lattice of 30 m in EPSG:32632, float32."""
    _write(
        path, block_mean(landscape.elevation, 3), site.EPSG, _TRANSFORM @ Affine.scale(3), -9999, predictor=3
    )


def write_land_cover(landscape: Landscape, path: Path) -> None:
    """Land cover with the codes and the pixels of ESA WorldCover: 1/12000 degree, EPSG:4326, uint8."""
    step = 12000
    left, bottom, right, top = site.DOMAIN
    margin = 400  # the domain is not a rectangle in degrees
    ends = Transformer.from_crs(site.EPSG, 4326, always_xy=True).transform_bounds(
        left + margin, bottom + margin, right - margin, top - margin
    )
    west, south, east, north = (round(end * step) for end in ends)
    lon = (np.arange(west, east) + 0.5) / step
    lat = (np.arange(north, south, -1) - 0.5) / step
    x, y = Transformer.from_crs(4326, site.EPSG, always_xy=True).transform(*np.meshgrid(lon, lat))
    row, column = ((top - y) // site.PIXEL).astype(int), ((x - left) // site.PIXEL).astype(int)
    codes = np.array(WORLDCOVER, np.uint8)[landscape.kind[row, column]]
    _write(path, codes, 4326, Affine(1 / step, 0, west / step, 0, -1 / step, north / step), 0, predictor=1)


def _write(
    path: Path, array: np.ndarray, epsg: int, transform: Affine, nodata: float, predictor: int
) -> None:
    with rasterio.open(
        path,
        "w",
        driver="COG",
        height=array.shape[0],
        width=array.shape[1],
        count=1,
        dtype=array.dtype,
        crs=f"EPSG:{epsg}",
        transform=transform,
        nodata=nodata,
        compress="DEFLATE",
        predictor={1: "NO", 3: "FLOATING_POINT"}[predictor],
        overviews="NONE",
    ) as dataset:
        dataset.write(array, 1)
        dataset.update_tags(TIFFTAG_IMAGEDESCRIPTION=f"{path.stem}. {site.SYNTHETIC}")
        if array.dtype == np.uint8:
            dataset.write_colormap(1, _COLOURS)


def write_forest_mask(landscape: Landscape, path: Path) -> None:
    """Polygons of coniferous and deciduous forest as GeoJSON (RFC 7946): `class`, `share` (0 to 1)."""
    labels = np.zeros(landscape.kind.shape, np.uint8)
    kinds = {1: CONIFEROUS, 2: DECIDUOUS}
    for label, kind in kinds.items():
        labels[landscape.kind == kind] = label
    labels = sieve(labels, _SMALLEST, connectivity=4)
    found = [
        (shape(outline).simplify(12), int(label))
        for outline, label in shapes(labels, labels > 0, connectivity=4, transform=_TRANSFORM)
    ]
    found = [
        (polygon, label) for polygon, label in found if polygon.is_valid and polygon.geom_type == "Polygon"
    ]

    numbers = rasterize(
        [(polygon, number) for number, (polygon, _) in enumerate(found, 1)],
        out_shape=labels.shape,
        transform=_TRANSFORM,
        dtype="int32",
    ).ravel()
    pixels = np.bincount(numbers, minlength=len(found) + 1).clip(1)
    shares = {
        label: np.bincount(numbers, landscape.cover[kind].ravel(), len(pixels)) / pixels
        for label, kind in kinds.items()
    }
    to_lonlat = Transformer.from_crs(site.EPSG, 4326, always_xy=True)
    features = []
    for number, (polygon, label) in enumerate(found, 1):
        geographic = shapely.transform(polygon, lambda xy: np.column_stack(to_lonlat.transform(*xy.T)))
        outline = mapping(orient(geographic))
        outline["coordinates"] = [
            [[round(v, 6) for v in point] for point in ring] for ring in outline["coordinates"]
        ]
        properties = {"class": CLASSES[kinds[label]], "share": round(float(shares[label][number]), 3)}
        features.append({"type": "Feature", "id": number, "geometry": outline, "properties": properties})
    description = (
        f"Forest mask. {site.SYNTHETIC}. class: coniferous or deciduous; share: share of the polygon's area "
        "that this class covers, 0 to 1."
    )
    content = {
        "type": "FeatureCollection",
        "name": path.stem,
        "description": description,
        "features": features,
    }
    write_json(path, content)
