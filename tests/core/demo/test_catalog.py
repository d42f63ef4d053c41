"""The demo's catalog: what it says is what its files are."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio

KEYS = {
    *("coastal", "blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "nir09"),
    *("swir16", "swir22", "aot", "wvp", "scl"),
}


def test_every_link_of_the_catalog_leads_somewhere(demo):
    """A static catalog with a broken or absolute link works on the machine that wrote it alone."""
    catalog = pystac.Catalog.from_file(demo.result.catalog)
    collection = catalog.get_child("sentinel-2-l2a")
    items = list(collection.get_items())
    assert len(items) == len({item.id for item in items}) == 2 * 183 + 1
    for item in items:
        assert item.get_root() is catalog
        assert item.get_collection() is collection
        for asset in item.assets.values():
            assert Path(asset.get_absolute_href()).is_file()
    for path in demo.folder.rglob("*.json"):
        for link in re.findall(r'"href":"([^"]*)"', path.read_text(encoding="utf-8")):
            assert link.startswith("."), f"{path.name} links to {link}"


def test_item_collection_holds_the_same_items(demo):
    """Two ways into the same scenes must not disagree."""
    collection = pystac.ItemCollection.from_file(str(demo.folder / "items.json"))
    assert len(collection) == len(demo.items)
    for feature in demo.items:
        folder = demo.folder / Path(feature["assets"]["red"]["href"]).parent
        item = json.loads((folder / f"{feature['id']}.json").read_text(encoding="utf-8"))
        assert item["properties"] == feature["properties"]
        assert item["geometry"] == feature["geometry"]
        for key, asset in item["assets"].items():
            assert (folder / asset["href"]).samefile(demo.folder / feature["assets"][key]["href"])


def test_files_are_what_the_items_say_and_cloud_optimised(demo):
    """A wrong transform or shape in an item moves pixels silently, since loaders trust it."""
    for item in demo.items:
        assert set(item["assets"]) == KEYS
        for asset in item["assets"].values():
            band = asset["raster:bands"][0]
            with rasterio.open(demo.folder / asset["href"]) as dataset:
                assert dataset.crs.to_epsg() == item["properties"]["proj:epsg"] == 32632
                assert list(dataset.shape) == asset["proj:shape"]
                assert list(dataset.transform)[:6] == asset["proj:transform"]
                assert dataset.dtypes[0] == band["data_type"]
                assert dataset.nodata == band["nodata"] == 0
                assert all(edge % 60 == 0 for edge in dataset.bounds)
                assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
                assert dataset.block_shapes[0][0] % 16 == dataset.block_shapes[0][1] % 16 == 0


@pytest.mark.parametrize("key", ["red", "rededge1", "coastal", "scl"])
def test_directory_stands_before_the_pixels(demo, key):
    """A reader over HTTP fetches the first kilobytes once: the directory must be in them."""
    raw = (demo.folder / demo.items[0]["assets"][key]["href"]).read_bytes()
    directory = int.from_bytes(raw[4:8], "little")
    with rasterio.open(demo.folder / demo.items[0]["assets"][key]["href"]) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1))
        size = int(dataset.get_tag_item("BLOCK_SIZE_0_0", "TIFF", bidx=1))
    assert directory < offset
    assert b"LAYOUT=IFDS_BEFORE_DATA" in raw[:directory]
    assert int.from_bytes(raw[offset - 4 : offset], "little") == size
    assert raw[offset + size :] == raw[offset + size - 4 : offset + size]


def test_dates_follow_each_other_by_five_days(demo):
    """A missing date would make a regular axis look wrong in every example."""
    days = sorted({item["properties"]["datetime"][:10] for item in demo.items})
    expected = [str(date(2020, 3, 3) + timedelta(5 * n)) for n in range(183)]
    assert days == expected
    assert (demo.result.start, demo.result.end) == (days[0], days[-1]) == ("2020-03-03", "2022-08-30")
    platforms = [item["properties"]["platform"] for item in demo.of("32TLT")]
    assert platforms == [f"sentinel-2{'ab'[n % 2]}" for n in range(183)]


def test_properties_that_the_core_relies_on(demo):
    """Grouping by orbit, choosing the baseline and reading the offset need these on every item."""
    for item in demo.items:
        properties = item["properties"]
        assert properties["sat:relative_orbit"] == 108
        assert f"_R108_T{properties['grid:code'][5:]}_" in properties["s2:product_uri"]
        assert f"_N{properties['s2:processing_baseline'].replace('.', '')}_" in properties["s2:product_uri"]
        assert properties["earthsearch:boa_offset_applied"] is False
        assert properties["minicuber:synthetic"] is True
        raised = properties["s2:processing_baseline"] >= "04.00"
        for key, asset in item["assets"].items():
            band = asset["raster:bands"][0]
            if key in ("aot", "wvp"):
                assert (band["scale"], band["offset"]) == (0.001, 0)
            elif key == "scl":
                assert "scale" not in band
            else:
                assert (band["scale"], band["offset"]) == (0.0001, -0.1 if raised else 0)


def test_baseline_changes_once_to_an_offset(demo):
    """Without a change of baseline the demo would not show that the offset is handled."""
    for item in demo.of("32TLT"):
        later = item["properties"]["datetime"] >= "2022-01-25"
        assert (item["properties"]["s2:processing_baseline"] >= "04.00") == later


def test_one_scene_was_processed_twice(demo):
    """The duplicate must be one by the rule: same tile and sensing start, another baseline."""
    starts = Counter((item["properties"]["grid:code"], item["properties"]["datetime"]) for item in demo.items)
    ((tile, start),) = [key for key, count in starts.items() if count == 2]
    old, new = sorted(
        (item for item in demo.items if item["properties"]["datetime"] == start), key=lambda item: item["id"]
    )
    assert (old["id"][-6:], new["id"][-6:]) == ("_0_L2A", "_1_L2A")
    assert old["properties"]["grid:code"] == tile
    assert old["properties"]["s2:processing_baseline"] == "02.14"
    assert new["properties"]["s2:processing_baseline"] == "05.00"
    for key in KEYS - {"scl", "aot", "wvp"}:
        assert (demo.stored(new, key).astype(int) - demo.stored(old, key) == 1000).all()
        np.testing.assert_allclose(demo.values(new, key), demo.values(old, key), atol=1e-9)
    for key in ("scl", "aot", "wvp"):
        np.testing.assert_array_equal(demo.stored(new, key), demo.stored(old, key))


def test_both_tiles_are_needed_for_the_extent(demo):
    """If one tile held the whole extent, no example would ever mosaic."""
    numbers, crs = demo.result.extent.split(" ")
    west, east, south, north = (float(number) for number in numbers.split(","))
    assert crs == "[EPSG:32632]"
    assert (east - west, north - south) == (1280, 1280)
    assert all(edge % 20 == 0 for edge in (west, east, south, north))
    boxes = []
    for tile, real in (("32TLT", (300000, 409800)), ("32TMT", (399960, 509760))):
        with rasterio.open(demo.folder / demo.of(tile)[0]["assets"]["red"]["href"]) as dataset:
            boxes.append(dataset.bounds)
        assert real[0] <= boxes[-1].left < boxes[-1].right <= real[1]
        assert 5190240 <= boxes[-1].bottom < boxes[-1].top <= 5300040
        assert boxes[-1].bottom <= south < north <= boxes[-1].top
    assert boxes[0].left <= west < boxes[1].left < boxes[0].right < east <= boxes[1].right


def test_footprint_ends_where_the_data_end(demo):
    """A footprint larger than its data makes an empty tile win the mosaic."""
    cut = []
    for item in demo.items:
        share = item["properties"]["s2:nodata_pixel_percentage"]
        missing = 100 * float((demo.stored(item, "scl") == 0).mean())
        assert share == pytest.approx(missing, abs=1e-5)
        box = np.array(item["geometry"]["coordinates"][0])
        width = np.ptp(box[:, 0]) * 111320 * np.cos(np.radians(46.95))
        if missing:
            cut.append(item["properties"]["datetime"][:10])
            assert width < 1050
        else:
            assert width == pytest.approx(1100, abs=40)  # 1080 m, turned a little against the meridian
    assert len(cut) == len(set(cut)) == 6
