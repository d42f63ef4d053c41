"""Sentinel-2: what real items of six catalogs mean, which scene comes first, what a class means."""

from __future__ import annotations

import copy
import datetime as dt
import json

import numpy as np
import pytest
from minicuber.core.errors import SourceError
from minicuber.core.grid import Grid
from minicuber.core.sources import sentinel2 as s2
from minicuber.core.timeline import UTC

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
    assert s2.find_asset(item, "B02") is item["assets"][key]
    scene = s2.scene_of(item, ("B02",))
    assert (scene.files["B02"].scale, scene.files["B02"].offset) == (1e-4, offset)
    assert (scene.baseline, scene.tile, scene.orbit) == (baseline, tile, orbit)
    assert s2.is_sentinel2(item)


@pytest.mark.real
@pytest.mark.parametrize("path", [REAL[0][0], REAL[1][0], REAL[2][0], REAL[4][0], REAL[6][0], REAL[7][0]])
def test_every_band_is_found_once_and_atmosphere_has_its_own_scale(shared, path):
    item = real_item(shared, path)
    found = {band: s2.find_asset(item, band) for band in s2.BANDS}
    assert all(asset is not None for asset in found.values()), [b for b, a in found.items() if a is None]
    hrefs = [asset["href"] for asset in found.values()]
    assert len(set(hrefs)) == len(hrefs)
    scene = s2.scene_of(item, ("AOT", "WVP", "SCL"))
    # CDSE declares 1e-4 and -0.1 here, which is reflectance's.
    assert {(f.scale, f.offset) for b, f in scene.files.items() if b != "SCL"} == {(1e-3, 0.0)}
    assert scene.files["SCL"].offset == 0


@pytest.mark.real
def test_the_finest_of_several_resolutions_is_taken_and_no_jpeg_beside_a_cog(shared):
    cdse = real_item(shared, REAL[6][0])
    assert s2.find_asset(cdse, "B05") is cdse["assets"]["B05_20m"]
    e84 = real_item(shared, REAL[0][0])
    assert s2.find_asset(e84, "B04") is e84["assets"]["red"]


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


def make_scene(
    name,
    *,
    tile="32TMT",
    platform="sentinel-2a",
    orbit=108,
    baseline="02.14",
    minute=30,
    day=1,
    bounds=(0, 0, 1000, 1000),
    crs="EPSG:32632",
    sensing=None,
    hour=10,
    level="L2A",
):
    return s2.Scene(
        id=name,
        instant=dt.datetime(2021, 6, day, hour, minute, tzinfo=UTC),
        level=level,
        tile=tile,
        sensing=sensing or f"202106{day:02d}T{hour:02d}{minute:02d}00",
        baseline=baseline,
        platform=platform,
        orbit=orbit,
        cloud_cover=None,
        crs=crs,
        bounds=bounds,
        lonlat=(7, 46, 8, 47),
        files={},
        angles={},
    )


GRID = Grid("EPSG:32632", 0.0, 1000.0, 10.0, 10.0, 100, 100)


def ids(scenes):
    return [scene.id for scene in scenes]


def test_only_same_tile_and_sensing_start_is_a_duplicate_newest_baseline_wins():
    old, new = make_scene("a_0", baseline="02.14"), make_scene("a_1", baseline="05.00")
    other_tile = make_scene("b", tile="32TLT")
    later = make_scene("c", minute=40)
    assert ids(s2.without_duplicates([old, new, other_tile, later])) == ["a_1", "b", "c"]


def test_split_granules_of_one_baseline_are_both_kept():
    assert len(s2.without_duplicates([make_scene("a"), make_scene("b")])) == 2


def test_top_of_atmosphere_never_stands_beside_or_before_surface_reflectance():
    toa, surface = make_scene("a_L1C", level="L1C", baseline="05.00"), make_scene("b_L2A", baseline="02.14")
    assert ids(s2.without_duplicates([toa, surface])) == ["b_L2A"]
    assert ids(s2.without_duplicates([toa])) == ["a_L1C"]


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


def test_scenes_without_a_tile_are_nobodys_duplicate():
    assert (
        len(
            s2.without_duplicates(
                [make_scene("a", tile="", baseline="02.14"), make_scene("b", tile="", baseline="05.00")]
            )
        )
        == 2
    )


def test_newest_baseline_is_a_number_not_the_latest_in_the_list():
    scenes = [
        make_scene("x", baseline="05.09"),
        make_scene("y", baseline="05.10"),
        make_scene("z", baseline="04.00"),
    ]
    assert ids(s2.without_duplicates(scenes)) == ["y"]


def test_pass_with_the_largest_overlap_comes_first_then_crs_overlap_id():
    small = make_scene("a_small", platform="sentinel-2b", orbit=65, bounds=(0, 0, 300, 1000))
    west = make_scene("z_west", tile="32TLT", bounds=(0, 0, 600, 1000))
    east = make_scene("b_east", tile="32TMT", bounds=(500, 0, 1000, 1000))
    (date,) = s2.image_axis([small, east, west], GRID)
    assert ids(date.scenes) == ["z_west", "b_east", "a_small"]


def test_within_a_pass_the_grids_own_crs_comes_before_larger_overlap():
    west, south, east, north = s2.transform_bounds((0, 0, 1000, 1000), "EPSG:32632", "EPSG:32631")
    foreign = make_scene("a", tile="31TGN", crs="EPSG:32631", bounds=(west, south, east, north))
    own = make_scene("b", bounds=(0, 0, 500, 1000))
    (date,) = s2.image_axis([foreign, own], GRID)
    assert ids(date.scenes) == ["b", "a"]


def test_one_step_per_date_in_order_and_dates_are_utc():
    scenes = [make_scene("c", day=3), make_scene("a", day=1), make_scene("b", day=1, tile="32TLT")]
    dates = s2.image_axis(scenes, GRID)
    assert [date.day.isoformat() for date in dates] == ["2021-06-01", "2021-06-03"]
    assert ids(dates[0].scenes) == ["a", "b"]


def test_scl_becomes_the_mask_of_the_contract():
    scl = np.arange(13, dtype=np.uint8)
    assert s2.scl_to_mask(scl).tolist() == [4, 4, 0, 2, 0, 0, 0, 0, 1, 1, 1, 3, 4]
    missing = np.zeros(13, bool)
    missing[4] = True
    assert s2.scl_to_mask(scl, missing)[4] == 4


def test_common_name_of_several_bands_does_not_pick_one():
    def asset(name, common):
        return {
            "href": f"/{name}.tif",
            "eo:bands": [{"name": name, "common_name": common}],
            "roles": ["data"],
        }

    item = {
        "id": "x",
        "properties": {},
        "assets": {
            "one": asset("one", "rededge"),
            "two": asset("two", "rededge"),
            "nir_a": asset("B08", "nir"),
            "picture": {"href": "/p.tif", "eo:bands": [{"common_name": "red"}, {"common_name": "green"}]},
        },
    }
    assert s2.find_asset(item, "B05") is None
    assert s2.find_asset(item, "B04") is None
    assert s2.find_asset(item, "B08")["href"] == "/B08.tif"
    assert s2.find_asset(item, "B8A") is None
