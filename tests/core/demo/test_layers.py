"""The demo's local layers."""

from __future__ import annotations

import json

import numpy as np
import rasterio
from rasterio.warp import transform_bounds


def _extent(demo) -> tuple[float, float, float, float]:
    west, east, south, north = (float(n) for n in demo.result.extent.split(" ")[0].split(","))
    return west, south, east, north


def test_elevation_reaches_a_kilometre_beyond_the_extent(demo):
    """Terrain variables at large scales need a margin, else the extent's rim is wrong."""
    with rasterio.open(demo.result.layers[0]) as dataset:
        west, south, east, north = _extent(demo)
        assert dataset.crs.to_epsg() == 32632
        assert dataset.dtypes == ("float32",)
        assert dataset.bounds.left <= west - 1000
        assert dataset.bounds.right >= east + 1000
        assert dataset.bounds.bottom <= south - 1000
        assert dataset.bounds.top >= north + 1000
        metres = dataset.read(1)
    assert 650 < metres.min() < 760
    assert 950 < metres.max() < 1250


def test_land_cover_has_codes_colours_and_another_crs(demo):
    """It is there to exercise reprojection of classes: codes that are none would be its fault."""
    with rasterio.open(demo.result.layers[1]) as dataset:
        assert dataset.crs.to_epsg() == 4326
        assert dataset.dtypes == ("uint8",)
        codes = dataset.read(1)
        assert set(np.unique(codes).tolist()) == {10, 20, 30, 40, 50, 60, 80}
        assert dataset.colormap(1)[10] == (0, 100, 0, 255)
        west, south, east, north = transform_bounds("EPSG:32632", "EPSG:4326", *_extent(demo))
        assert dataset.bounds.left < west < east < dataset.bounds.right
        assert dataset.bounds.bottom < south < north < dataset.bounds.top


def test_forest_mask_is_geojson_by_the_standard(demo):
    """RFC 7946: lon/lat, outer rings counter-clockwise, no `crs`; else QGIS or others place it wrongly."""
    with open(demo.result.layers[2], encoding="utf-8") as file:
        content = json.load(file)
    assert "crs" not in content
    assert {feature["properties"]["class"] for feature in content["features"]} == {"coniferous", "deciduous"}
    for feature in content["features"]:
        assert 0 < feature["properties"]["share"] <= 1
        ring = np.array(feature["geometry"]["coordinates"][0])
        assert (ring[0] == ring[-1]).all()
        assert ((ring > [7.7, 46.9]) & (ring < [7.8, 47.0])).all()
        x, y = ring.T
        assert (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() > 0


def test_everything_says_that_it_is_synthetic(demo):
    """Nobody may take the demo for observations, whichever file of it he gets."""
    assert "synthetic" in (demo.folder / "README.txt").read_text(encoding="utf-8").splitlines()[0]
    for name in ("catalog.json", "sentinel-2-l2a/collection.json", "items.json", "forest_mask.geojson"):
        assert "Synthetic" in json.loads((demo.folder / name).read_text(encoding="utf-8"))["description"]
    assert b"Synthetic" in (demo.folder / "era5.nc").read_bytes()
    paths = [
        *demo.folder.glob("*.tif"),
        *(demo.folder / demo.items[0]["assets"]["red"]["href"]).parent.glob("*.tif"),
    ]
    assert len(paths) == 17
    for path in paths:
        with rasterio.open(path) as dataset:
            assert "Synthetic" in dataset.tags()["TIFFTAG_IMAGEDESCRIPTION"]
