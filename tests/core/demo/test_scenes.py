"""What the demo's scenes show: the same ground in both tiles, seasons, clouds, and no step by the offset."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from rasterio.features import rasterize
from rasterio.warp import transform_geom

OVERLAP = {10: 36, 20: 18, 60: 6}  # pixels of 360 m


def _doy(item: dict) -> int:
    return int(np.datetime64(item["properties"]["datetime"][:10]).astype(object).timetuple().tm_yday)


def _forest(demo, item: dict, kind: str, inward: float = 0.9) -> np.ndarray:
    """Pixels of an item inside large woods of a kind, by the forest mask."""
    mask = json.loads((demo.folder / "forest_mask.geojson").read_text(encoding="utf-8"))
    shapes = [
        transform_geom("EPSG:4326", "EPSG:32632", feature["geometry"])
        for feature in mask["features"]
        if feature["properties"]["class"] == kind and feature["properties"]["share"] > inward
    ]
    with rasterio.open(demo.folder / item["assets"]["red"]["href"]) as dataset:
        return rasterize(shapes, dataset.shape, transform=dataset.transform).astype(bool)


def test_overlapping_pixels_of_both_tiles_are_equal(demo):
    """Two tiles of one pass show the same ground; a shift of the crops by a pixel would show here."""
    compared = 0
    for west, east in zip(demo.of("32TLT"), demo.of("32TMT"), strict=True):
        for key, asset in west["assets"].items():
            width = OVERLAP[asset["gsd"]]
            left, right = demo.stored(west, key)[:, -width:], demo.stored(east, key)[:, :width]
            both = (left > 0) & (right > 0)
            assert (left[both] == right[both]).all()
            compared += int(both.sum())
    assert compared > 183 * 36 * 132 * 4


def test_swath_edge_is_filled_by_the_other_tile(demo):
    """A mosaic that lets no-data of one tile overwrite the other loses pixels on these dates."""
    filled = 0
    for west, east in zip(demo.of("32TLT"), demo.of("32TMT"), strict=True):
        left, right = demo.stored(west, "red")[:, -36:], demo.stored(east, "red")[:, :36]
        filled += ((left == 0) & (right > 0)).any() or ((left > 0) & (right == 0)).any()
    assert filled == 6


def test_no_data_is_the_same_in_all_bands(demo):
    """SCL 0 must stand exactly where reflectance is missing."""
    for item in demo.items:
        missing = demo.stored(item, "scl") == 0
        np.testing.assert_array_equal(demo.stored(item, "nir08") == 0, missing)
        if not missing.any():
            assert (demo.stored(item, "red") > 0).all()


def test_offset_of_the_new_baseline_is_in_the_numbers(demo):
    """Reflectance must go on across 2022-01-25; read without the offset it must step by 0.1."""
    items = demo.of("32TLT")
    shade = _forest(demo, items[0], "coniferous", 0.8)
    before, after, raw_after = [], [], []
    for item in items:
        day = item["properties"]["datetime"][:10]
        clear = shade & np.isin(demo.stored(item, "scl"), (4, 5)).repeat(2, axis=0).repeat(2, axis=1)
        if not "2021-09-01" <= day < "2022-05-15" or clear.sum() < 200:
            continue
        red = float(np.median(demo.values(item, "red")[clear]))
        if day < "2022-01-25":
            before.append(red)
        else:
            after.append(red)
            raw_after.append(float(np.median(demo.stored(item, "red")[clear])) * 1e-4)
    assert min(len(before), len(after)) >= 4
    assert abs(np.median(after) - np.median(before)) < 0.05
    assert np.median(raw_after) - np.median(before) == pytest.approx(0.1, abs=0.02)


def test_deciduous_forest_has_seasons(demo):
    """A flat or inverted season would teach a model nonsense."""
    items = demo.of("32TMT")
    wood = _forest(demo, items[0], "deciduous")
    assert wood.sum() > 200
    summer, winter = [], []
    for item in items:
        free = demo.ndvi(item)[wood]
        free = free[np.isfinite(free)]
        if len(free) < 100:
            continue
        if 160 <= _doy(item) <= 240:
            summer.append(np.median(free))
        elif _doy(item) >= 335 or _doy(item) <= 60:
            winter.append(np.median(free))
    assert np.median(summer) > 0.7
    assert np.median(winter) < 0.6


def test_drought_of_2022_shows_in_the_meadows(demo):
    """The weather must have a consequence that a model can learn."""
    with rasterio.open(demo.folder / "landcover.tif") as dataset:
        codes = dataset.read(1)
        assert (codes == 30).mean() > 0.2
    late = {year: [] for year in ("2020", "2021", "2022")}
    for item in demo.of("32TLT"):
        if 182 <= _doy(item) <= 242 and item["properties"]["eo:cloud_cover"] < 20:
            late[item["properties"]["datetime"][:4]].append(np.nanmedian(demo.ndvi(item)))
    assert all(late.values())
    assert np.mean(late["2022"]) < min(np.mean(late["2020"]), np.mean(late["2021"])) - 0.04


def test_cloud_cover_is_that_of_the_classification(demo):
    """Filtering by `eo:cloud_cover` must agree with what the pixels say."""
    covers = []
    for item in demo.items:
        scl = demo.stored(item, "scl")
        share = 100 * np.isin(scl, (8, 9, 10)).sum() / (scl > 0).sum()
        assert item["properties"]["eo:cloud_cover"] == pytest.approx(share, abs=1e-5)
        covers.append(share)
    covers = np.array(covers)
    assert 30 < covers.mean() < 50
    assert (covers < 5).mean() > 0.25
    assert 0.1 < (covers > 95).mean() < 0.4


def test_classification_agrees_with_brightness(demo):
    """Clouds brighter than the ground, shadows darker: else SCL belongs to another date or is shifted."""
    seen = set()
    brighter = darker = 0
    for item in demo.of("32TLT"):
        scl = demo.stored(item, "scl")
        seen |= set(np.unique(scl).tolist())
        blue = demo.values(item, "blue").reshape(66, 2, 54, 2).mean(axis=(1, 3))
        infrared = demo.values(item, "nir08")
        clear, cloud, shadow = np.isin(scl, (4, 5)), scl == 9, scl == 3
        if min(clear.sum(), cloud.sum()) > 50:
            assert np.median(blue[cloud]) > np.median(blue[clear]) + 0.15
            brighter += 1
        if min((scl == 4).sum(), shadow.sum()) > 50:
            assert np.median(infrared[shadow]) < np.median(infrared[scl == 4])
            darker += 1
    assert min(brighter, darker) > 15
    assert seen == {0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}


def test_snow_lies_in_winter_only(demo):
    """Snow in July would mean that the cold and the dates do not belong together."""
    snowy = 0
    for item in demo.items:
        share = float((demo.stored(item, "scl") == 11).mean())
        if 5 <= int(item["properties"]["datetime"][5:7]) <= 9:
            assert share == 0
        snowy += share > 0.3
    assert snowy >= 5


def test_aerosol_and_water_vapour_never_get_the_offset(demo):
    """CDSE declares the reflectance offset on AOT and WVP, which is wrong; the demo must not."""
    for item in demo.items[::7]:
        aot, wvp = demo.values(item, "aot"), demo.values(item, "wvp")
        assert np.nanmin(aot) > 0
        assert np.nanmax(aot) < 0.6
        assert 0.2 < np.nanmin(wvp) < np.nanmax(wvp) < 5
