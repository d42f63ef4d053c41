"""Sentinel-2: what real items of six catalogs mean, which scene comes first, what a class means."""

from __future__ import annotations

import copy
import json

import pytest
from minicuber.core.catalogs.registry import load_registry
from minicuber.core.errors import SourceError
from minicuber.core.sources import sentinel2 as s2
from minicuber.core.sources.sentinel2_bands import find_asset

E84 = "element84/sentinel-2-l2a/"


def real_item(shared, path: str) -> dict:
    return json.loads((shared / "data/stac_items" / path).read_text())


# path, band, offset, baseline, tile, orbit: read off the item and the product's documentation by hand.
REAL = [
    (E84 + "S2A_32TMT_20200302_0_L2A.json", "blue", 0.0, "02.14", "32TMT", 65),
    ("element84/sentinel-2-c1-l2a/S2B_T20EPT_20250731T131905_L2A.json", "blue", -0.1, "05.11", "20EPT", 95),
    ("element84/sentinel-s2-l2a-cogs/S2B_20EPT_20250731_0_L2A.json", "B02", 0.0, "05.11", "20EPT", 95),
    ("element84_v0/sentinel-s2-l2a-cogs/S2A_17SPR_20221106_0_L2A.json", "B02", 0.0, "04.00", "17SPR", 54),
    (
        "planetary_computer/sentinel-2-l2a/S2B_MSIL2A_20240419T095549_R122_T47XML_20240419T123458.json",
        "B02",
        -0.1,
        "05.10",
        "47XML",
        122,
    ),
    (
        "planetary_computer/sentinel-2-l2a/S2B_MSIL2A_20200705T101559_R065_T32TMT_20200825T083452.json",
        "B02",
        0.0,
        "02.12",
        "32TMT",
        65,
    ),
    (
        "cdse/sentinel-2-l2a/S2A_MSIL2A_20200703T103031_N0500_R108_T32TNT_20230613T212700.json",
        "B02_10m",
        -0.1,
        "05.00",
        "32TNT",
        108,
    ),
    ("deafrica/s2_l2a_c1/S2B_T37MGP_20240710T073012_L2A.json", "blue", -0.1, "05.10", "37MGP", 6),
]


@pytest.mark.real
@pytest.mark.parametrize(("path", "key", "offset", "baseline", "tile", "orbit"), REAL)
def test_offset_of_each_catalog_is_applied_once(shared, path, key, offset, baseline, tile, orbit):
    item = real_item(shared, path)
    assert find_asset(item, "B02") is item["assets"][key]
    scene = s2.scene_of(item, ("B02",))
    assert (scene.files["B02"].scale, scene.files["B02"].offset) == (1e-4, offset)
    assert (scene.baseline, scene.tile, scene.orbit) == (baseline, tile, orbit)
    assert s2.is_sentinel2(item)


@pytest.mark.real
@pytest.mark.parametrize(("path", "key", "offset", "baseline", "tile", "orbit"), REAL)
def test_rule_of_the_registry_gives_each_real_item_the_same_offset(
    shared, path, key, offset, baseline, tile, orbit
):
    item = real_item(shared, path)
    entry = load_registry().collection_of(None, item)
    assert entry is not None, "the item's own links tell its catalog"
    scene = s2.scene_of(item, ("B02", "AOT"), entry)
    assert (scene.files["B02"].scale, scene.files["B02"].offset) == (1e-4, offset)
    assert (scene.files["AOT"].scale, scene.files["AOT"].offset) == (1e-3, 0.0)


@pytest.mark.real
def test_landsat_is_not_sentinel2(shared):
    assert not s2.is_sentinel2(
        real_item(shared, "usgs/landsat-c2l2-sr/LC08_L2SP_028030_20200114_20200824_02_T1_SR.json")
    )
    assert not s2.is_sentinel2(
        real_item(
            shared,
            "planetary_computer/sentinel-1-rtc/S1A_IW_GRDH_1SDV_20240419T045904_20240419T045916_053498_067DF2_rtc.json",
        )
    )


@pytest.mark.real
def test_reprocessed_old_scene_carries_the_offset_whatever_its_date(shared):
    item = copy.deepcopy(real_item(shared, REAL[5][0]))  # 2020, Planetary Computer
    item["properties"]["s2:processing_baseline"] = "05.00"
    assert s2.scene_of(item, ("B02",)).files["B02"].offset == -0.1


@pytest.mark.real
@pytest.mark.parametrize(
    ("path", "level"),
    [
        (REAL[0][0], "L2A"),
        (REAL[1][0], "L2A"),
        (REAL[2][0], "L2A"),
        (REAL[4][0], "L2A"),
        (REAL[6][0], "L2A"),
        ("element84/sentinel-2-l1c/S2B_20EPT_20250731_0_L1C.json", "L1C"),
    ],
)
def test_level_of_real_items(shared, path, level):
    assert s2.scene_of(real_item(shared, path), ("B02",)).level == level


@pytest.mark.parametrize(
    ("crs", "size", "corner", "anchor"),
    [
        ("EPSG:32632", 10, (399_960, 5_300_040), (0, 0)),
        ("EPSG:32720", 10, (600_000, 3_300_040), (0, 40)),
        ("EPSG:32720", 60, (600_000, 3_300_000), (600_000, 3_300_000)),  # no tile of the south
        ("EPSG:32632", 10, (399_970, 5_300_040), (399_970, 5_300_040)),  # a crop
        ("EPSG:32633", 120, (560_100, 5_107_020), (560_100, 5_107_020)),
        ("EPSG:2056", 10, (2_600_000, 1_200_000), (2_600_000, 1_200_000)),
    ],
)
def test_tiles_of_sentinel2_share_one_lattice_and_others_are_their_own(crs, size, corner, anchor):
    assert s2.lattice_anchor(crs, size, *corner) == anchor


@pytest.mark.real
@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"datetime": "yesterday"}, "yesterday"),
        ({"eo:cloud_cover": "much"}, "much"),
        ({"sat:relative_orbit": "x"}, "x"),
        ({"datetime": None}, "start_datetime"),
    ],
)
def test_item_that_says_nonsense_is_named(shared, changes, word):
    item = real_item(shared, REAL[0][0])
    item["properties"].update(changes)
    with pytest.raises(SourceError, match=f"Item S2A_32TMT_20200302_0_L2A cannot be understood.*{word}"):
        s2.scene_of(item, ("B02",))


@pytest.mark.real
def test_start_of_a_period_serves_where_there_is_no_datetime(shared):
    item = real_item(shared, REAL[0][0])
    item["properties"].update({"datetime": None, "start_datetime": "2020-03-02T10:20:21Z"})
    assert s2.scene_of(item, ("B02",)).instant.hour == 10


def test_float_files_are_reflectance_already():
    item = {"id": "x", "properties": {"s2:processing_baseline": "05.00"}, "assets": {}}
    assert s2.reflectance_scaling(item, {"raster:bands": [{"data_type": "float32"}]}) == (1.0, 0.0)
    assert s2.reflectance_scaling(item, {"raster:bands": [{"data_type": "uint16"}]}) == (1e-4, -0.1)
