"""Which asset holds a band, in real items of six catalogs and in made-up ones; what a class means."""

from __future__ import annotations

import json

import numpy as np
import pytest
from minicuber.core.sources import sentinel2 as s2
from minicuber.core.sources.sentinel2_bands import BANDS, find_asset, scl_to_mask

E84_V1 = "element84/sentinel-2-l2a/S2A_32TMT_20200302_0_L2A.json"
E84_C1 = "element84/sentinel-2-c1-l2a/S2B_T20EPT_20250731T131905_L2A.json"
E84_V0 = "element84/sentinel-s2-l2a-cogs/S2B_20EPT_20250731_0_L2A.json"
PLANETARY = "planetary_computer/sentinel-2-l2a/S2B_MSIL2A_20240419T095549_R122_T47XML_20240419T123458.json"
CDSE = "cdse/sentinel-2-l2a/S2A_MSIL2A_20200703T103031_N0500_R108_T32TNT_20230613T212700.json"
DE_AFRICA = "deafrica/s2_l2a_c1/S2B_T37MGP_20240710T073012_L2A.json"


def real_item(shared, path: str) -> dict:
    return json.loads((shared / "data/stac_items" / path).read_text())


@pytest.mark.real
@pytest.mark.parametrize("path", [E84_V1, E84_C1, E84_V0, PLANETARY, CDSE, DE_AFRICA])
def test_every_band_is_found_once_and_atmosphere_has_its_own_scale(shared, path):
    item = real_item(shared, path)
    found = {band: find_asset(item, band) for band in BANDS}
    assert all(asset is not None for asset in found.values()), [b for b, a in found.items() if a is None]
    hrefs = [asset["href"] for asset in found.values()]
    assert len(set(hrefs)) == len(hrefs)
    scene = s2.scene_of(item, ("AOT", "WVP", "SCL"))
    # CDSE declares 1e-4 and -0.1 here, which is reflectance's.
    assert {(f.scale, f.offset) for b, f in scene.files.items() if b != "SCL"} == {(1e-3, 0.0)}
    assert scene.files["SCL"].offset == 0


@pytest.mark.real
def test_the_finest_of_several_resolutions_is_taken_and_no_jpeg_beside_a_cog(shared):
    cdse = real_item(shared, CDSE)
    assert find_asset(cdse, "B05") is cdse["assets"]["B05_20m"]
    e84 = real_item(shared, E84_V1)
    assert find_asset(e84, "B04") is e84["assets"]["red"]


def test_scl_becomes_the_mask_of_the_contract():
    scl = np.arange(13, dtype=np.uint8)
    assert scl_to_mask(scl).tolist() == [4, 4, 0, 2, 0, 0, 0, 0, 1, 1, 1, 3, 4]
    missing = np.zeros(13, bool)
    missing[4] = True
    assert scl_to_mask(scl, missing)[4] == 4


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
    assert find_asset(item, "B05") is None
    assert find_asset(item, "B04") is None
    assert find_asset(item, "B08")["href"] == "/B08.tif"
    assert find_asset(item, "B8A") is None


def asset(name="", common="", wavelength=None, **fields):
    band = {"name": name, "common_name": common}
    if wavelength:
        band["center_wavelength"] = wavelength
    return {"href": f"/{name or common}.tif", "eo:bands": [band], **fields}


def one_item(**assets):
    return {"id": "x", "properties": {}, "assets": assets}


def test_common_name_goes_before_a_key_that_says_otherwise():
    item = one_item(B04=asset("B04", "nir"), B08=asset("B08", "red"))
    assert find_asset(item, "B04") is item["assets"]["B08"]
    assert find_asset(item, "B08") is item["assets"]["B04"]


def test_two_bands_with_one_common_name_are_told_apart_by_their_own_names():
    item = one_item(a=asset("B8A", "nir"), b=asset("B08", "nir"))
    assert find_asset(item, "B08") is item["assets"]["b"]
    assert find_asset(item, "B8A") is item["assets"]["a"]


def test_shared_common_name_counts_with_its_wavelength():
    item = one_item(
        x=asset("x", "rededge", 0.704), y=asset("y", "rededge", 0.740), z=asset("z", "rededge", 0.783),
        w=asset("w", "rededge", 0.865),
    )  # fmt: skip
    found = {band: find_asset(item, band)["href"] for band in ("B05", "B06", "B07", "B8A")}
    assert found == {"B05": "/x.tif", "B06": "/y.tif", "B07": "/z.tif", "B8A": "/w.tif"}


@pytest.mark.parametrize(
    ("key", "band"), [("B2", "B02"), ("b11", "B11"), ("B8a", "B8A"), ("scl", "SCL"), ("B1", "B01")]
)
def test_own_names_are_understood_however_they_are_written(key, band):
    item = one_item(**{key: {"href": "/f.tif"}})
    assert find_asset(item, band) is not None
    assert [other for other in BANDS if find_asset(item, other)] == [band]


def test_size_in_the_key_goes_before_a_transform_of_another_file():
    # CDSE's B07_60m carries the transform of the file of 20 m.
    fields = {"proj:transform": [20.0, 0, 0, 0, -20.0, 0]}
    item = one_item(
        B07_60m=asset("B07", "rededge078", **fields), B07_20m=asset("B07", "rededge078", **fields)
    )
    item["assets"]["B07_20m"]["href"] = "/right.tif"
    assert find_asset(item, "B07")["href"] == "/right.tif"


def test_names_of_stac_1_1_are_understood():
    new = {
        "href": "/n.tif",
        "bands": [{"name": "x", "eo:common_name": "swir16", "eo:center_wavelength": 1.61}],
    }
    assert find_asset(one_item(n=new), "B11") is new


def test_pictures_and_metadata_are_no_bands():
    item = one_item(red={**asset("B04", "red"), "roles": ["thumbnail"]})
    assert find_asset(item, "B04") is None
