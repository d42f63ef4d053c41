"""The registry of catalogs: right for real items, strict with files of users, and never taken in by a namesake."""

from __future__ import annotations

import copy
import dataclasses
import json
import subprocess
import sys

import pytest
from minicuber.core.catalogs import entries
from minicuber.core.catalogs.registry import FILE, load_registry
from minicuber.core.errors import InputError
from minicuber.core.sources.sentinel2 import BANDS

# Folder of the real items -> catalog. Of the collections without real items the asset keys are those of the
# providers' product definitions (DE Africa, DEA) and of sits (Swiss Data Cube).
REAL = {
    "planetary_computer": "planetary-computer",
    "element84": "earth-search",
    "element84_v1_layout": "earth-search",
    "element84_v0": "earth-search-v0",
    "cdse": "cdse",
    "deafrica": "deafrica",
    "dea": "dea",
}
WITHOUT_ITEMS = {"s2_l2a", "ga_s2bm_ard_3", "ga_s2cm_ard_3", "s2_l2"}

E84 = "https://earth-search.aws.element84.com/v1"
PC = "https://planetarycomputer.microsoft.com/api/stac/v1"
BLOB = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/32/T/MT/a_B02_10m.tif"
COG = "https://sentinel-cogs.s3.us-west-2.amazonaws.com/sentinel-s2-l2a-cogs/32/T/MT/2020/3/a/B02.tif"
COLLECTION = {"id": "s2", "sensor": "sentinel-2", "level": "L2A", "bands": {"B02": "blue"}, "offset": "none"}
OWN = {"id": "own", "title": "Ours", "url": "http://127.0.0.1:8000/stac", "collections": [COLLECTION]}


@pytest.fixture(scope="module")
def registry():
    return load_registry()


@pytest.fixture
def user_file(tmp_path):
    """Writes the file of a user: entries, or any text."""

    def write(*catalogs, text=None):
        path = tmp_path / "own.json"
        path.write_text(json.dumps({"catalogs": catalogs}) if text is None else text, encoding="utf-8")
        return str(path)

    return write


@pytest.fixture(scope="module")
def real_items(shared):
    """(catalog id, name, item) of every real Sentinel-2 item."""
    found = []
    for folder, catalog in REAL.items():
        for path in sorted((shared / "data/stac_items" / folder).rglob("*.json")):
            item = json.loads(path.read_text(encoding="utf-8"))
            known = load_registry().preset(catalog)[0].collections
            # pystac-client recorded an item of version 0 among those of version 1.
            if item.get("collection") in [each.id for each in known] and item.get("type") == "Feature":
                found.append((catalog, path.name, item))
    assert len(found) > 30
    return found


def catalog(registry, name):
    return registry.preset(name)[0]


def as_item(collection="sentinel-2-l2a", links=(), assets=None):
    links = [{"rel": rel, "href": href} for rel, href in links]
    return {"id": "a", "collection": collection, "links": links, "properties": {}, "assets": assets or {}}


# our own file


def test_every_catalog_the_contract_promises_is_there(registry):
    names = [
        "planetary-computer",
        "earth-search",
        "earth-search-v0",
        "cdse",
        "deafrica",
        "dea",
        "swissdatacube",
    ]
    assert registry.names() == names


def test_no_id_stands_twice_in_our_file():
    """The second entry would silently be merged over the first."""
    ours = json.loads(FILE.read_text(encoding="utf-8"))["catalogs"]
    for ids in ([each["id"] for each in ours], *([c["id"] for c in each["collections"]] for each in ours)):
        assert len(ids) == len(set(ids)), ids


def test_the_first_collection_of_earth_search_has_reliable_offsets(registry):
    assert [each.id for each in catalog(registry, "earth-search").collections] == [
        "sentinel-2-c1-l2a", "sentinel-2-l2a", "sentinel-2-l1c"
    ]  # fmt: skip
    # The second fills the years that the first lacks.
    assert catalog(registry, "earth-search").default_ids == ["sentinel-2-c1-l2a", "sentinel-2-l2a"]


def test_searching_one_satellite_of_australia_would_lose_the_others(registry):
    assert catalog(registry, "dea").default_ids == ["ga_s2am_ard_3", "ga_s2bm_ard_3", "ga_s2cm_ard_3"]


def test_a_band_that_the_core_cannot_make_is_refused_and_no_other():
    assert entries.BANDS["sentinel-2"] == tuple(BANDS)


def test_no_entry_relies_on_a_default_and_each_names_its_source_and_licence():
    optional = {"anchor", "files"}
    for entry in json.loads(FILE.read_text(encoding="utf-8"))["catalogs"]:
        assert entry["source"].startswith("https://"), entry["id"]
        for collection in entry["collections"]:
            fields = {each.name for each in dataclasses.fields(entries.Collection)} - optional
            assert fields <= set(collection), (entry["id"], collection["id"])
            assert collection["license"] and collection["references"] and collection["attribution"]


def test_atmosphere_scale_is_one_thousandth_everywhere(registry):
    """CDSE declares reflectance's scaling for AOT and WVP, which is wrong."""
    assert {c.atmosphere_scale for each in registry.catalogs for c in each.collections} == {0.001}


def test_no_band_of_a_product_is_forgotten(registry):
    """L1C has no AOT, WVP, SCL; Australia's NBART neither, nor B09; the Swiss Data Cube no AOT and WVP."""
    few = {"sentinel-2-l1c": 12, "ga_s2am_ard_3": 11, "ga_s2bm_ard_3": 11, "ga_s2cm_ard_3": 11, "s2_l2": 13}
    for each in registry.catalogs:
        for collection in each.collections:
            assert len(collection.bands) == few.get(collection.id, 15), (each.id, collection.id)
            assert len(set(collection.bands.values())) == len(collection.bands), (each.id, collection.id)


def test_raw_numbers_get_the_offset_and_corrected_ones_do_not(registry):
    rules = {(each.id, c.id): c.offset for each in registry.catalogs for c in each.collections}
    assert rules["planetary-computer", "sentinel-2-l2a"] == "baseline"
    assert rules["cdse", "sentinel-2-l2a"] == "baseline"
    assert rules["earth-search", "sentinel-2-c1-l2a"] == "declared"
    assert rules["earth-search", "sentinel-2-l2a"] == "applied_flag"
    assert rules["deafrica", "s2_l2a"] == "none"
    assert rules["deafrica", "s2_l2a_c1"] == "declared"
    assert {rules["dea", f"ga_s2{satellite}m_ard_3"] for satellite in "abc"} == {"none"}


def test_cubes_of_every_catalog_join_on_one_lattice(registry):
    anchors = {(each.id, c.anchor) for each in registry.catalogs for c in each.collections}
    assert {anchor for name, anchor in anchors if name != "swissdatacube"} == {entries.Anchor(0, 0, 40, 60)}
    assert ("swissdatacube", None) in anchors


# against real items


@pytest.mark.real
def test_every_band_key_exists_in_every_real_item(registry, real_items):
    missing = []
    for name, file, item in real_items:
        entry = registry.collection_of(catalog(registry, name), item)
        missing += [(file, key) for key in entry.bands.values() if key not in item["assets"]]
    assert missing == []


@pytest.mark.real
def test_no_collection_goes_unchecked(registry, real_items):
    """Two collections of two catalogs may share an id: count them by catalog."""
    checked = {(name, item["collection"]) for name, _, item in real_items}
    every = {(each.id, c.id) for each in registry.catalogs for c in each.collections}
    assert {collection for _, collection in every - checked} == WITHOUT_ITEMS


@pytest.mark.real
def test_a_band_is_taken_at_its_native_resolution(registry, real_items):
    """CDSE has each band two or three times: B01_20m is B01 resampled."""
    wrong = []
    for name, file, item in real_items:
        entry = registry.collection_of(catalog(registry, name), item)
        for band, key in entry.bands.items():
            transform = item["assets"][key].get("proj:transform")
            if transform and BANDS[band].kind != "atmosphere" and transform[0] != BANDS[band].resolution:
                wrong.append((file, band, key, transform[0]))
    assert wrong == []


@pytest.mark.real
def test_the_anchor_lies_on_the_lattice_of_every_real_item(registry, real_items):
    for name, file, item in real_items:
        anchor = registry.collection_of(catalog(registry, name), item).anchor
        south = str(item["properties"].get("proj:epsg", "")).startswith("327")
        for key in registry.collection_of(catalog(registry, name), item).bands.values():
            transform = item["assets"][key].get("proj:transform")
            if transform:
                edges = transform[2] % anchor.modulo, transform[5] % anchor.modulo
                assert edges == (anchor.easting, anchor.south if south else anchor.north), (file, key)


@pytest.mark.real
def test_a_real_item_is_recognised_without_its_catalog(registry, real_items):
    """Static copies on disk: the items' own links, or where their files lie, tell the catalog."""
    for name, file, item in real_items:
        assert registry.catalog_of(item) is catalog(registry, name), file
        assert registry.collection_of(None, item).id == item["collection"], file


@pytest.mark.real
def test_a_real_item_is_recognised_by_its_files_alone(registry, real_items):
    for name, file, item in real_items:
        if name == "deafrica":
            continue  # this item's files lie in a bucket for developers
        assert registry.catalog_of({**item, "links": []}) is catalog(registry, name), file


@pytest.mark.real
def test_every_real_href_can_be_reached(registry, real_items):
    for name, file, item in real_items:
        for key in registry.collection_of(catalog(registry, name), item).bands.values():
            href = item["assets"][key]["href"]
            if href.startswith("s3://") and "-dev/" not in href:
                assert registry.s3_for(href, catalog(registry, name)) is not None, (file, key)
            assert (registry.token_url(href) is not None) == (name == "planetary-computer"), (file, key)


# presets and addresses


@pytest.mark.parametrize(
    ("text", "name", "collection"),
    [
        ("earth-search", "earth-search", None),
        ("earth-search/sentinel-2-l2a", "earth-search", "sentinel-2-l2a"),
        (" E84/Sentinel-2-L1C ", "earth-search", "sentinel-2-l1c"),
        ("MPC", "planetary-computer", None),
        ("pc", "planetary-computer", None),
        ("element84", "earth-search", None),
        ("earthsearch", "earth-search", None),
        ("copernicus", "cdse", None),
        ("sdc", "swissdatacube", None),
        ("deafrica/s2_l2a", "deafrica", "s2_l2a"),
        ("dea", "dea", None),
    ],
)
def test_a_preset_is_found_by_id_and_alias_in_capitals_or_not(registry, text, name, collection):
    found = registry.preset(text)
    assert found[0].id == name
    assert (found[1].id if found[1] else None) == collection


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "earth",
        E84,
        "earth-search/catalog.json",
        "dea/items/a",
        "/data/dea",
        "dea\\items",
        "s3://dea/x",
    ],
)
def test_a_path_or_an_address_is_no_preset(registry, text):
    assert registry.preset(text) is None


def test_a_preset_with_an_unknown_collection_names_the_known_ones(registry):
    with pytest.raises(InputError) as caught:
        registry.preset("cdse/sentinel-2-l3")
    assert caught.value.message == "The catalog cdse has no collection sentinel-2-l3 that is known here."
    assert caught.value.hint == "Known are: sentinel-2-l2a."


@pytest.mark.parametrize(
    "url",
    [
        E84, f"{E84}/", f"{E84}/search", f"{E84}/collections/sentinel-2-l2a", f"{E84}/collections/x/items?limit=1",
        E84.replace("https", "http"), E84.replace("earth", "EARTH"), E84.replace(".com", ".com:443"), f" {E84} ",
    ],
)  # fmt: skip
def test_an_address_below_a_catalog_belongs_to_it(registry, url):
    assert registry.by_url(url).id == "earth-search"


@pytest.mark.parametrize(
    "url",
    [
        "https://earth-search.aws.element84.com", f"{E84}0", "https://earth-search.aws.element84.com.example.org/v1",
        f"https://example.org/?{E84}", f"https://example.org/{E84}", E84.replace(".com", ".com:8443"), "", "v1",
        "s3://earth-search.aws.element84.com/v1", "https://[", "https://earth-search.aws.element84.com:x/v1",
        "https://earth-search.aws.element84.com@example.org/v1",
    ],
)  # fmt: skip
def test_an_address_that_only_looks_alike_belongs_to_none(registry, url):
    assert registry.by_url(url) is None


def test_versions_of_one_server_are_different_catalogs(registry):
    assert registry.by_url(E84.replace("v1", "v0")).id == "earth-search-v0"


@pytest.mark.parametrize("step", [1, -1])
def test_the_longer_address_wins_where_one_lies_below_the_other(user_file, step):
    below = {**OWN, "id": "below", "url": f"{OWN['url']}/v2"}
    found = load_registry(user_file(*[OWN, below][::step]))
    owners = [found.by_url(f"{OWN['url']}{tail}").id for tail in ("", "/v2", "/v2/search", "/v1")]
    assert owners == ["own", "below", "below", "own"]


# items of nobody


@pytest.mark.parametrize(
    ("links", "assets"),
    [
        ((), {}),
        ((), {"blue": {"href": "./blue.tif"}}),
        ((), {"B02": {"href": "https://example.org/sentinel2-l2/B02.tif"}}),
        ((("self", "https://example.org/v1/collections/sentinel-2-l2a/items/a"),), {}),
        ((("root", "../catalog.json"), ("collection", "./collection.json")), {}),
        ((("derived_from", f"{E84}/collections/sentinel-2-l2a/items/a"),), {}),
        ((("license", f"{PC}/collections/sentinel-2-l2a"),), {}),
        # one file of ours among others does not make the item ours
        ((), {"blue": {"href": COG}, "red": {"href": "https://example.org/red.tif"}}),
        ((), {"thumbnail": {"href": COG}}),
        ((), {"blue": {"href": COG.replace("/sentinel-s2-l2a-cogs", ".example.org")}}),
    ],
)
def test_an_item_with_a_known_collection_id_alone_is_not_ours(registry, links, assets):
    assert registry.collection_of(None, as_item(links=links, assets=assets)) is None


def test_the_same_collection_id_means_other_keys_in_other_catalogs(registry):
    keys = {}
    for name in ("planetary-computer", "earth-search", "cdse"):
        keys[name] = registry.collection_of(catalog(registry, name), as_item()).bands["B02"]
    assert keys == {"planetary-computer": "B02", "earth-search": "blue", "cdse": "B02_10m"}


def test_a_copy_on_disk_is_known_by_one_link_or_by_its_files(registry):
    by_link = as_item(links=[("root", "../catalog.json"), ("collection", f"{PC}/collections/sentinel-2-l2a")])
    by_file = as_item(assets={"blue": {"href": COG}})
    assert registry.catalog_of(by_link).id == "planetary-computer"
    assert registry.catalog_of(by_file).id == "earth-search"


def test_links_count_before_files(user_file):
    """A catalog of a user's own that lists the files of another one has its own meaning of them."""
    mirror = {**OWN, "collections": [{**COLLECTION, "id": "sentinel-2-l2a", "offset": "baseline"}]}
    found = load_registry(user_file(mirror))
    item = as_item(links=[("self", f"{OWN['url']}/collections/x/items/a")], assets={"blue": {"href": COG}})
    assert found.collection_of(None, item).offset == "baseline"


def test_another_collection_of_a_known_catalog_is_not_known(registry):
    item = as_item("sentinel-2-l3", links=[("root", PC)])
    assert registry.collection_of(None, item) is None
    assert registry.collection_of(catalog(registry, "pc"), item) is None


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"collection": None, "links": None, "assets": None},
        {"collection": "sentinel-2-l2a", "links": ["x", {}]},
    ],
)
def test_an_item_that_says_nothing_breaks_nothing(registry, item):
    assert registry.collection_of(None, item) is None


# reading


def test_the_token_is_of_the_storage_account_and_container(registry):
    assert (
        registry.token_url(BLOB)
        == "https://planetarycomputer.microsoft.com/api/sas/v1/token/sentinel2l2a01/sentinel2-l2"
    )


@pytest.mark.parametrize(
    "href",
    [
        COG, "https://example.org/a.blob.core.windows.net/c/x", "https://a.blob.core.windows.net.example.org/c/x",
        "https://a.b.blob.core.windows.net/c/x", "https://a.blob.core.windows.net/", "http://a.blob.core.windows.net/c/x",
        "s3://a/b", "/data/a.tif", "https://../token/blob.core.windows.net/c/x",
    ],
)  # fmt: skip
def test_no_token_is_asked_for_a_file_elsewhere(registry, href):
    assert registry.token_url(href) is None


def test_signing_can_point_to_a_server_with_a_port(user_file):
    signing = {
        "url": "http://127.0.0.1:9000/token/{account}/{container}",
        "hrefs": ["http://127.0.0.1:9001/{account}/{container}/"],
    }
    found = load_registry(
        user_file({"id": "planetary-computer", "url": "http://127.0.0.1:9000/stac", "signing": signing})
    )
    href = "http://127.0.0.1:9001/acc/con/a.tif"
    assert found.token_url(href) == "http://127.0.0.1:9000/token/acc/con"
    assert found.token_url(BLOB) is None
    assert found.by_url("http://127.0.0.1:9000/stac/search").id == "planetary-computer"
    assert found.preset("pc")[0].collections == load_registry().preset("pc")[0].collections


def test_buckets_are_read_as_their_provider_wants_it(registry):
    cdse = registry.s3_for("s3://eodata/Sentinel-2/MSI/a.jp2")
    assert (cdse.endpoint, cdse.virtual_hosting, cdse.keys) == (
        "https://eodata.dataspace.copernicus.eu",
        False,
        True,
    )
    africa = registry.s3_for("s3://deafrica-sentinel-2/a.tif")
    assert (africa.region, africa.keys) == ("af-south-1", False)
    assert registry.s3_for("s3://dea-public-data/a.tif").region == "ap-southeast-2"
    paid = registry.s3_for("s3://sentinel-s2-l1c/tiles/a.jp2")
    assert (paid.region, paid.keys, paid.requester_pays) == ("eu-central-1", True, True)


def test_a_bucket_of_another_catalog_gets_nobodys_settings(registry):
    assert registry.s3_for("s3://eodata/a", catalog(registry, "dea")) is None
    assert registry.s3_for("s3://eodata-2/a") is None
    assert registry.s3_for("https://eodata/a") is None


def test_a_store_without_buckets_serves_all_of_its_catalog_and_no_other(user_file):
    found = load_registry(
        user_file({**OWN, "s3": {"endpoint": "http://127.0.0.1:9000", "virtual_hosting": False}})
    )
    assert found.s3_for("s3://any/a", catalog(found, "own")).endpoint == "http://127.0.0.1:9000"
    assert found.s3_for("s3://any/a") is None


# the file of a user


def test_a_given_field_wins_and_the_rest_stays(user_file):
    ours = load_registry().preset("cdse")[0]
    change = {"id": "cdse", "s3": {"endpoint": "http://127.0.0.1:9000"}, "limits": {"page": 7}}
    theirs = load_registry(user_file(change)).preset("cdse")[0]
    assert theirs.s3 == dataclasses.replace(ours.s3, endpoint="http://127.0.0.1:9000")
    assert theirs.limits == dataclasses.replace(ours.limits, page=7)
    assert theirs.collections == ours.collections
    assert theirs.url == ours.url


def test_collections_are_merged_by_id(user_file):
    ours = load_registry().preset("cdse")[0]
    changed = {"id": "sentinel-2-l2a", "offset": "declared", "bands": {"B01": "B01_20m", "WVP": None}}
    theirs = load_registry(user_file({"id": "cdse", "collections": [changed, COLLECTION]})).preset("cdse")[0]
    assert [each.id for each in theirs.collections] == ["sentinel-2-l2a", "s2"]
    bands = {**ours.collections[0].bands, "B01": "B01_20m"}
    del bands["WVP"]
    assert theirs.collections[0] == dataclasses.replace(ours.collections[0], offset="declared", bands=bands)


def test_null_takes_away_what_may_be_missing(user_file):
    theirs = load_registry(user_file({"id": "planetary-computer", "signing": None}))
    assert theirs.token_url(BLOB) is None


def test_a_new_catalog_is_added_and_ours_are_untouched(user_file):
    found = load_registry(user_file({**OWN, "aliases": ["mine"]}))
    assert found.names() == [*load_registry().names(), "own"]
    assert found.preset("MINE/s2")[1].bands == {"B02": "blue"}
    assert found.catalogs[:-1] == load_registry().catalogs
    assert load_registry().preset("own") is None


def test_a_small_entry_gets_sensible_defaults(user_file):
    made = load_registry(user_file(OWN)).preset("own")[0].collections[0]
    assert (made.scale, made.atmosphere_scale, made.nodata, made.anchor) == (0.0001, 0.001, 0.0, None)


def test_a_byte_order_mark_of_notepad_is_no_error(tmp_path):
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"catalogs": [OWN]}), encoding="utf-8-sig")
    assert load_registry(str(path)).preset("own")


def changed(**fields):
    return {**copy.deepcopy(OWN), **fields}


def with_collection(**fields):
    return changed(collections=[{**COLLECTION, **fields}])


SIGNING = {"url": "http://h/{account}", "hrefs": ["http://{account}.h/"]}
S2 = "entry own, field collections, entry s2"
LIMITS, STORE, SIGN = "entry own, field limits", "entry own, field s3", "entry own, field signing"


@pytest.mark.parametrize(
    ("entry", "place", "reason"),
    [
        (changed(colections=[]), "entry own", "there is no field colections"),
        (with_collection(band={}), S2, "there is no field band"),
        (changed(limits={"pages": 3}), LIMITS, "there is no field pages"),
        ({"id": "own", "title": "x"}, "entry own", "the field url is missing"),
        (changed(collections=[{"id": "s2"}]), S2, "the field sensor is missing"),
        (changed(title=3), "entry own, field title", "expected a text, found a number"),
        (changed(aliases="mine"), "entry own, field aliases", "expected a list, found a text"),
        (changed(aliases=["a", 1]), "entry own, field aliases, entry 2", "expected a text, found a number"),
        (changed(collections={"s2": {}}), "entry own, field collections", "expected a list, found an object"),
        (changed(s3=["x"]), "entry own, field s3", "expected an object, found a list"),
        (changed(s3={"keys": "yes"}), f"{STORE}, field keys", "expected true or false, found a text"),
        (changed(s3={"keys": 1}), f"{STORE}, field keys", "expected true or false, found a number"),
        (changed(limits={"page": 1.5}), f"{LIMITS}, field page", "expected a whole number, found a number"),
        (changed(limits={"page": True}), f"{LIMITS}, field page", "expected a whole number, found true or false"),
        (changed(url=None), "entry own, field url", "expected a text, found null"),
        (with_collection(scale="1e-4"), f"{S2}, field scale", "expected a number, found a text"),
        (with_collection(bands={"B02": 2}), f"{S2}, field bands, B02", "expected a text, found a number"),
        (with_collection(bands={}), f"{S2}, field bands", "is empty"),
        (with_collection(sensor="sentinel-9"), f"{S2}, field sensor", "'sentinel-9' is none of sentinel-2"),
        (
            with_collection(offset="maybe"),
            f"{S2}, field offset",
            "'maybe' is none of baseline, declared, applied_flag, none",
        ),
        (with_collection(scale=0), f"{S2}, field scale", "has to be a number above 0"),
        (
            with_collection(anchor={"easting": 0, "north": 60, "south": 0, "modulo": 60}),
            f"{S2}, field anchor, field north",
            "has to lie between 0 and modulo",
        ),
        (changed(limits={"page": 0}), f"{LIMITS}, field page", "has to be above 0"),
        (changed(default=["x"]), "entry own, field default", "'x' is none of s2"),
        (changed(id="My Own"), "entry My Own, field id", "'My Own' is no name in lower case without spaces"),
        (changed(aliases=["a/b"]), "entry own, field aliases", "'a/b' is no name in lower case without spaces"),
        (changed(url="ftp://h/stac"), "entry own, field url", "is no http or https address"),
        (changed(url="/data/stac"), "entry own, field url", "is no http or https address"),
        (changed(url="https://h:port/"), "entry own, field url", "is no http or https address"),
        (changed(other_urls=["h"]), "entry own, field other_urls", "is no http or https address"),
        (changed(s3={"endpoint": "s3.host"}), f"{STORE}, field endpoint", "is no http or https address"),
        (changed(s3={"requester_pays": True}), f"{STORE}, field keys", "has to be true where the requester pays"),
        (changed(signing={**SIGNING, "url": "h"}), f"{SIGN}, field url", "is no http or https address"),
        (
            changed(signing={**SIGNING, "hrefs": ["http://h/"]}),
            f"{SIGN}, field hrefs",
            "has to hold the blanks that url holds",
        ),
        (
            changed(signing={**SIGNING, "url": "http://h/{user}"}),
            f"{SIGN}, field url",
            "may hold the blanks {account} and {container} once each, and no others",
        ),
        (changed(aliases=["e84"]), "entry own", "its name e84 is already one of earth-search"),
        (changed(id="pc"), "entry pc", "its name pc is already one of planetary-computer"),
        (
            changed(url=f"{E84}/"),
            "entry own",
            "its address earth-search.aws.element84.com/v1 is already one of earth-search",
        ),
    ],
)  # fmt: skip
def test_an_entry_that_is_wrong_is_refused_with_file_entry_and_field(user_file, entry, place, reason):
    path = user_file(entry)
    with pytest.raises(InputError) as caught:
        load_registry(path)
    assert caught.value.message == f"{path}, {place}: {reason}."


def test_a_band_that_is_none_names_the_known_ones(user_file):
    with pytest.raises(InputError, match=r"entry s2, field bands: 'B13' is none of B01, .*SCL\.$"):
        load_registry(user_file(with_collection(bands={"B13": "x"})))


@pytest.mark.parametrize(
    ("catalogs", "reason"),
    [
        ([OWN, OWN], "the id own stands there twice."),
        ([changed(collections=[COLLECTION, COLLECTION])], "field collections: the id s2 stands there twice."),
        ([OWN, {"title": "x"}], "entry 2: there is no id."),
        ([OWN, "x"], "entry 2: there is no id."),
        ([{"id": 3}], "entry 1: there is no id."),
        ([changed(aliases=["b"]), changed(id="b", url="http://b/")], "entry b: its name b is already one of own."),
    ],
)  # fmt: skip
def test_an_id_that_is_missing_or_stands_twice_is_refused(user_file, catalogs, reason):
    with pytest.raises(InputError) as caught:
        load_registry(user_file(*catalogs))
    assert reason in caught.value.message


@pytest.mark.parametrize(
    "entry",
    [
        changed(url="https://me:hush@h/stac"),
        changed(url="https://h/stac?token=hush"),
        changed(other_urls=["https://h/stac?sig=hush"]),
        changed(s3={"endpoint": "https://me:hush@h"}),
        with_collection(files=["https://h/a?api_key=hush"]),
        changed(source="see https://me:hush@h"),
    ],
)
def test_a_secret_is_refused_and_not_repeated(user_file, entry):
    with pytest.raises(InputError, match="holds a password, a token or a key") as caught:
        load_registry(user_file(entry))
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not JSON"),
        ("[]", "is no list of catalogs"),
        ('{"catalogs": {}}', "is no list of catalogs"),
        ('{"catalogs": [], "more": 1}', "is no list of catalogs"),
    ],
)
def test_a_file_that_is_no_registry_is_refused(user_file, text, reason):
    path = user_file(text=text)
    with pytest.raises(InputError, match=reason) as caught:
        load_registry(path)
    assert path in caught.value.message


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.json cannot be read"):
        load_registry(str(tmp_path / "nowhere.json"))


def test_the_registry_is_found_wherever_the_package_lies(root, tmp_path):
    """Read relative to the module, from any working folder; that it is installed, test_package checks."""
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('minicuber', {str(root / '__init__.py')!r}, "
        f"submodule_search_locations=[{str(root)!r}])\n"
        "sys.modules['minicuber'] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(sys.modules['minicuber'])\n"
        "from minicuber.core.catalogs.registry import load_registry\n"
        "print(len(load_registry().catalogs))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-I", "-B", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.stdout.strip() == "7", ended.stderr
