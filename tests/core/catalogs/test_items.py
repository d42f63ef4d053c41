"""What an item says of its place, read in the order in which STAC's versions replaced each other."""

from __future__ import annotations

import json

import pytest
from minicuber.core.catalogs import items as stac
from minicuber.core.errors import SourceError
from pyproj import CRS

PROJJSON = CRS("EPSG:32634").to_json_dict()
WKT2 = CRS("EPSG:32633").to_wkt()


def item(**properties):
    return {"id": "x", "properties": properties, "assets": {}}


@pytest.mark.parametrize(
    ("properties", "asset", "crs"),
    [
        ({"proj:code": "EPSG:32631", "proj:epsg": 32632, "proj:wkt2": WKT2}, {}, "EPSG:32631"),
        ({"proj:epsg": 32632, "proj:wkt2": WKT2, "proj:projjson": PROJJSON}, {}, "EPSG:32632"),
        ({"proj:wkt2": WKT2, "proj:projjson": PROJJSON}, {}, "EPSG:32633"),
        ({"proj:projjson": PROJJSON}, {}, "EPSG:32634"),
        ({"proj:epsg": None, "proj:code": None}, {}, None),
        ({}, {}, None),
        ({"proj:epsg": 32632}, {"proj:code": "EPSG:32731"}, "EPSG:32731"),  # the asset's own comes first
        ({"proj:code": "EPSG:32632"}, {"proj:epsg": 32733}, "EPSG:32733"),
    ],
)
def test_crs_is_read_from_code_then_epsg_then_wkt_then_projjson(properties, asset, crs):
    assert stac.asset_crs(item(**properties), asset) == crs


def test_crs_that_nobody_knows_names_the_item():
    with pytest.raises(SourceError, match="Item x has a CRS that is not known: proj:code"):
        stac.asset_crs(item(**{"proj:code": "MARS:1"}), {})


@pytest.mark.parametrize(
    ("asset", "expected"),
    [
        (
            {"raster:bands": [{"nodata": 0, "scale": 1e-4, "offset": -0.1}]},
            {"nodata": 0, "scale": 1e-4, "offset": -0.1},
        ),
        (
            {"bands": [{"nodata": 0, "raster:scale": 1e-4, "raster:offset": -0.1}]},
            {"nodata": 0, "scale": 1e-4, "offset": -0.1},
        ),
        ({"nodata": 7, "raster:scale": 1e-3, "raster:offset": 0}, {"nodata": 7, "scale": 1e-3, "offset": 0}),
        ({}, {}),
    ],
)
def test_scale_and_offset_of_stac_1_0_and_1_1(asset, expected):
    assert stac.raster_band(asset) == expected


@pytest.mark.real
@pytest.mark.parametrize(
    ("path", "crs", "transform"),
    [
        ("element84_v0/sentinel-s2-l2a-cogs/S2A_17SPR_20221106_0_L2A.json", "EPSG:32617", (10, 600_000)),
        (
            "cdse/sentinel-2-l2a/S2A_MSIL2A_20200703T103031_N0500_R108_T32TNT_20230613T212700.json",
            "EPSG:32632",
            (10, 499_980),
        ),
        ("deafrica/s2_l2a_c1/S2B_T37MGP_20240710T073012_L2A.json", "EPSG:32737", (10, 699_960)),
    ],
)
def test_place_of_real_items(shared, path, crs, transform):
    text = json.loads((shared / "data/stac_items" / path).read_text())
    key = next(key for key in ("B02_10m", "B02", "blue") if key in text["assets"])
    raster = stac.raster_of(text, text["assets"][key])
    assert raster.crs == crs and (raster.transform[0], raster.transform[2]) == transform
    assert raster.shape == (10980, 10980)


@pytest.mark.real
def test_box_across_the_antimeridian_of_a_real_item(shared):
    path = shared / "data/stac_items/antimeridian/dep_ls_geomad/dep_ls_geomad_66_20_2023.json"
    west, south, east, north = stac.bbox(json.loads(path.read_text()))
    assert south < north and -180 <= west <= 180 and -180 <= east <= 180
