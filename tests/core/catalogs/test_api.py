"""Searching STAC APIs: recorded answers of the real ones, one whose habits can be set, and a real one (rustac)."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from minicuber.core.catalogs import http
from minicuber.core.catalogs.api import Query
from minicuber.core.catalogs.registry import load_registry
from minicuber.core.catalogs.search import search
from minicuber.core.errors import InputError, SourceError
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress

HERE = (7.0, 46.0, 7.1, 46.1)
FIRST, LAST = dt.date(2023, 8, 1), dt.date(2023, 8, 31)
CQL2 = ("core", "item-search", "collections", "item-search#filter", "basic-cql2", "cql2-json", "cql2-text")
QUERY = ("core", "item-search", "collections", "item-search#query")


def outline(west, south, east, north):
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def item(name="a", day="2023-08-12", cover=None, collection="sentinel-2-l2a", box=HERE, **properties):
    if cover is not None:
        properties["eo:cloud_cover"] = cover
    properties.setdefault("datetime", f"{day}T10:00:00Z")
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": collection, "links": [],
        "bbox": list(box), "geometry": outline(*box), "properties": {"platform": "sentinel-2a", **properties},
        "assets": {"blue": {"href": f"https://example.org/{name}.tif"}},
    }  # fmt: skip


def names(source, box=HERE, first=FIRST, last=LAST, max_cloud=100.0, registry=None):
    found = search(source, Query(box, first, last, max_cloud), registry or load_registry(), Progress())
    return [each["id"] for each in found.items]


def registry_with(folder, **entry):
    file = folder / "catalogs.json"
    file.write_text(json.dumps({"catalogs": [entry]}))
    return load_registry(str(file))


# --- recorded answers ---------------------------------------------------------------------------


class Replay:
    """Answers with what real APIs answered; their hosts become the server's own. A page that was not recorded is
    an empty one."""

    def __init__(self, server, shared, *files):
        self.bodies, self.recorded = [], []
        for file in files:
            folder = shared / "data/stac_items/api_interactions"
            text = (folder / f"{file}.json").read_text(encoding="utf-8")
            host = json.loads(text)[0]["uri"].split("/")[2]
            self.recorded += json.loads(text.replace(f"https://{host}", server.url))
        self.url = self.recorded[0]["uri"].rstrip("/")
        self.server, server.rule = server, self.answer

    def answer(self, asked):
        body = asked.json if asked.body else {}
        if asked.method == "POST":
            self.bodies.append(body)
        for each in self.recorded:
            same = each["uri"].split("?")[0].rstrip("/") == f"{self.server.url}/{asked.path}".rstrip("/")
            sent = json.loads(each["request_body"] or "{}")
            if same and each["method"] == asked.method and cursor(sent) == cursor(body):
                return {"json": each["response_json"]}
        return {"json": {"type": "FeatureCollection", "features": []}} if asked.method == "POST" else 404


def cursor(body):
    return body.get("next"), body.get("token"), body.get("page")


@pytest.fixture
def replay(serve, shared, tmp_path):
    """`replay(preset, *files)`: the recorded API in place of the preset's, and a registry that says so."""

    def start(preset, *files):
        api = Replay(serve(tmp_path), shared, *files)
        return api, registry_with(tmp_path, id=preset, url=api.url)

    return start


@pytest.mark.real
def test_earth_search_is_paged_by_the_cursor_in_the_body(replay):
    api, registry = replay(
        "earth-search", "xcube-stac__StacDataStoreTest.test_search_data_searchable_catalog"
    )
    period = dt.date(2020, 3, 1), dt.date(2020, 3, 5)
    found = names("earth-search", (9.0, 47.0, 10.0, 48.0), *period, 60, registry)
    assert len(found) == 16 == len(set(found))
    assert len(api.bodies) == 3 and api.bodies[1]["next"] and api.bodies[2]["next"]
    assert api.bodies[0] == {
        "collections": ["sentinel-2-c1-l2a", "sentinel-2-l2a"],
        "bbox": [9.0, 47.0, 10.0, 48.0],
        "datetime": api.bodies[0]["datetime"],
        "limit": 100,
        "query": {"eo:cloud_cover": {"lte": 60}},  # it conforms to query and to no filter
    }
    start, end = api.bodies[0]["datetime"].split("/")
    assert start <= "2020-03-01T00:00:00Z" and end >= "2020-03-05T23:59:59Z"
    only = names("earth-search/sentinel-2-l2a", (9.0, 47.0, 10.0, 48.0), *period, registry=registry)
    assert only == found
    assert api.bodies[3]["collections"] == ["sentinel-2-l2a"] and "query" not in api.bodies[3]


@pytest.mark.real
def test_copernicus_data_space_is_filtered_with_cql2(replay):
    api, registry = replay("cdse", "xcube-stac__StacDataStoreTest.test_search_data_cdse_sentinel_2")
    box, period = (9.0, 47.0, 9.1, 47.1), (dt.date(2020, 7, 1), dt.date(2020, 7, 5))
    found = names("cdse", box, *period, 30, registry)
    assert len(found) == 4 and all(name.startswith("S2") for name in found)
    (body,) = api.bodies
    assert body["collections"] == ["sentinel-2-l2a"] and body["bbox"] == list(box)
    assert body["filter"] == {"op": "<=", "args": [{"property": "eo:cloud_cover"}, 30]}
    assert body["filter-lang"] == "cql2-json" and "query" not in body


@pytest.mark.real
def test_planetary_computer_is_searched_in_its_only_collection(replay):
    files = "pystac-client__TestAPI.test_instance", "pystac-client__TestItemSearch.test_datetime_results"
    api, registry = replay("planetary-computer", *files)
    day = dt.date(2019, 1, 1)
    found = names("mpc", (-180.0, -90.0, 180.0, 90.0), day, day, 20, registry)
    assert len(found) == 33
    assert api.bodies[0]["collections"] == ["sentinel-2-l2a"] and api.bodies[0]["limit"] == 1000
    assert api.bodies[0]["filter"] == {"op": "<=", "args": [{"property": "eo:cloud_cover"}, 20]}


@pytest.mark.real
def test_planetary_computer_is_paged_by_the_token_in_the_body(replay):
    files = "pystac-client__TestAPI.test_instance", "pystac-client__TestItemSearch.test_result_paging"
    api, registry = replay("planetary-computer", *files)
    box, period = (-73.21, 43.99, -73.12, 44.05), (dt.date(2000, 1, 1), dt.date(2030, 1, 1))
    assert len(names("planetary-computer", box, *period, registry=registry)) == 20
    assert [body.get("token") is not None for body in api.bodies] == [False, True, True]


@pytest.mark.real
def test_old_api_that_does_not_say_what_it_conforms_to_is_searched(replay):
    file = "pystac-client__TestCLISearch.test_non_conformant_can_be_fixed_inprocess_"
    api, registry = replay("earth-search-v0", file)
    box, period = (-180.0, -90.0, 180.0, 90.0), (dt.date(2015, 1, 1), dt.date(2030, 1, 1))
    assert len(names("earth-search-v0", box, *period, registry=registry)) == 1
    assert api.bodies[0]["collections"] == ["sentinel-s2-l2a-cogs"] and api.bodies[1]["page"] == 2


# --- clouds -------------------------------------------------------------------------------------

CLOUDY = [item("clear", cover=5), item("edge", cover=30), item("cloudy", cover=31), item("silent")]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_item_without_cloud_cover_survives_the_filter_of_an_unknown_api(fake_api, method):
    api = fake_api(CLOUDY, conforms=CQL2, methods=(method,))
    assert names(api.url, max_cloud=30) == ["clear", "edge", "silent"]
    assert api.searches[0]["filter-lang"] == ("cql2-text" if method == "GET" else "cql2-json")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_known_catalog_gets_the_simple_filter(fake_api, tmp_path, method):
    api = fake_api(CLOUDY, conforms=CQL2, methods=(method,))
    registry = registry_with(tmp_path, id="mine", title="Mine", url=api.url)
    assert names(f"{api.url}/collections/sentinel-2-l2a", max_cloud=30, registry=registry) == [
        "clear",
        "edge",
    ]
    assert "isNull" not in str(api.searches) and "NULL" not in str(api.searches)


def test_query_serves_only_where_every_item_is_known_to_say_its_cover(fake_api, tmp_path):
    """It cannot say "or unknown": items without eo:cloud_cover would be lost."""
    api = fake_api(CLOUDY, conforms=QUERY)
    assert names(api.url, max_cloud=30) == ["clear", "cloudy", "edge", "silent"]
    assert "query" not in api.searches[0]
    api.summaries = {"eo:cloud_cover": {"minimum": 0, "maximum": 100}}
    assert names(api.url, max_cloud=30) == ["clear", "edge"]
    assert api.searches[1]["query"] == {"eo:cloud_cover": {"lte": 30}}
    api.summaries = {}
    registry = registry_with(tmp_path, id="mine", title="Mine", url=api.url)
    names(f"{api.url}/collections/sentinel-2-l2a", max_cloud=30, registry=registry)
    assert "query" in api.searches[2]


@pytest.mark.parametrize("conforms", [CQL2, QUERY])
def test_nothing_is_filtered_where_all_are_wanted(fake_api, conforms):
    api = fake_api(CLOUDY, conforms=conforms, summaries={"eo:cloud_cover": {"minimum": 0, "maximum": 100}})
    assert len(names(api.url)) == 4
    assert not {"query", "filter"} & set(api.searches[0])


@pytest.mark.parametrize(
    "conforms",
    [
        ("core", "item-search", "collections"),
        ("core", "item-search", "collections", "item-search#filter"),  # without a language that is known
        ("core", "item-search", "collections", "basic-cql2", "cql2-json"),  # for something else than items
    ],
)
def test_filter_that_an_api_does_not_claim_to_know_is_not_sent(fake_api, conforms):
    api = fake_api(CLOUDY, conforms=conforms, summaries={"eo:cloud_cover": {"minimum": 0, "maximum": 100}})
    assert len(names(api.url, max_cloud=30)) == 4
    assert not {"query", "filter"} & set(api.searches[0])


def dry_run(catalog, **changes):
    recipe = {
        "extent": [7.04, 7.05, 46.04, 46.05], "extent_crs": "EPSG:4326", "start": "2023-08-01",
        "end": "2023-08-31", "s2_bands": ["B02"], "catalog": catalog, **changes,
    }  # fmt: skip
    return run_job("buildminicube", {"recipe": recipe, "dry_run": True}, Progress())


def sentinel2(name, day, cover):
    each = item(name, f"2023-08-{day:02}", cover, **{"proj:epsg": 32632})
    each["assets"]["blue"] |= {
        "eo:bands": [{"name": "B02", "common_name": "blue"}],
        "proj:transform": [10, 0, 300000, 0, -10, 5200020],
        "proj:shape": [10980, 10980],
    }
    return each


THREE = [sentinel2("a", 10, 5), sentinel2("b", 12, 80), sentinel2("c", 14, None)]


def test_api_that_ignores_the_filter_cannot_bring_clouds_in(fake_api):
    api = fake_api(THREE, conforms=CQL2, obeys=False)
    assert dry_run(api.url)["n_dates"] == 3
    assert dry_run(api.url, max_cloud=50)["n_dates"] == 2
    assert "filter" in api.searches[1]


def test_max_cloud_works_with_an_api_that_knows_no_filter(stac_api, tmp_path):
    url = stac_api(THREE, tmp_path)
    assert dry_run(url)["n_dates"] == 3
    assert dry_run(url, max_cloud=50)["n_dates"] == 2
    with pytest.raises(InputError, match="more cloud"):
        dry_run(url, max_cloud=50, start="2023-08-12", end="2023-08-12")


# --- many items, many pages ---------------------------------------------------------------------


def many(count):
    days = [f"2023-08-{1 + number % 31:02}" for number in range(count)]
    return [item(f"i{number:05}", day) for number, day in enumerate(days)]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_search_that_is_cut_short_without_a_word_is_completed(fake_api, method):
    api = fake_api(many(2500), most=1000, methods=(method,))
    assert len(names(api.url)) == 2500
    assert len({each["datetime"] for each in api.searches}) > 3
    assert len(api.searches) < 60


def test_number_after_which_a_search_ends_comes_from_the_registry(fake_api, tmp_path):
    api = fake_api(many(400), most=150)
    entry = {"id": "mine", "title": "Mine", "url": api.url, "limits": {"most": 150}}
    assert (
        len(names(f"{api.url}/collections/sentinel-2-l2a", registry=registry_with(tmp_path, **entry))) == 400
    )


def test_item_of_the_last_second_of_a_day_does_not_fall_between_two_halves(fake_api):
    late = [item(f"late{day:02}", datetime=f"2023-08-{day:02}T23:59:59.500000Z") for day in range(1, 32)]
    api = fake_api(many(1500) + late, most=1000)
    assert len(names(api.url)) == 1531


def test_items_that_an_api_found_but_did_not_give_are_warned_of(fake_api, caplog):
    def cut(answer):
        answer["json"]["links"] = []
        return answer

    names(fake_api(many(900), says_matched=True, spoil=cut).url)
    assert "found 900 items and gave 200 of them" in caplog.text


def test_box_across_the_antimeridian_is_searched_as_two_without_a_double(fake_api):
    items = [
        item("across", box=(179.5, -17.0, -179.5, -16.0)),
        item("east", box=(-179.9, -17.0, -179.6, -16.0)),
        item("west", box=(179.6, -17.0, 179.9, -16.0)),
        item("far", box=(0.0, -17.0, 1.0, -16.0)),
    ]
    api = fake_api(items)
    # As APIs that take the first corner for the western one: both boxes find the item across.
    plain = api.search
    api.search = lambda asked: plain(asked) | {"features": [*plain(asked)["features"], items[0]]}
    assert names(api.url, (179.4, -16.8, -179.4, -16.2)) == ["across", "east", "west"]
    boxes = [tuple(each["bbox"]) for each in api.searches]
    assert set(boxes) == {(179.4, -16.8, 180, -16.2), (-180, -16.8, -179.4, -16.2)}


def test_pages_of_a_search_in_a_circle_end(fake_api):
    link = {"rel": "next", "method": "POST", "body": {"x": 1}}

    def circle(answer):
        answer["json"]["links"] = [{**link, "href": f"{api.url}/search"}]
        return answer

    api = fake_api([item()], spoil=circle)
    plain = api.search
    api.search = lambda asked: plain(asked) if "bbox" in asked.json else {"features": [item("b")]}
    with pytest.raises(SourceError, match="circle"):
        names(api.url)


def test_api_by_get_alone_is_searched_by_get(fake_api):
    api = fake_api(many(450), methods=("GET",))
    assert len(names(api.url)) == 450
    assert {asked.method for asked in api.server.asked} == {"GET"}
    assert len(api.searches) == 3


# --- answers that are none ----------------------------------------------------------------------


def spoilt(fake_api, **answer):
    """An API that answers every search with this."""
    return fake_api([item()], spoil=lambda page: answer)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"code": "Error", "description": "The database is down"}, "no list of items"),
        ([item()], "no list of items"),
        ({"type": "FeatureCollection", "features": None}, "no list of items"),
        ("text", "no list of items"),
        ({"type": "FeatureCollection", "features": ["x"]}, "not a valid STAC item"),
        ({"type": "FeatureCollection", "features": [{**item(), "assets": None}]}, "not a valid STAC item"),
        (
            {"type": "FeatureCollection", "features": [{k: v for k, v in item().items() if k != "assets"}]},
            "no 'assets'",
        ),
        ({"type": "FeatureCollection", "features": [item()], "links": [{"rel": "next"}]}, "failed"),
        ({"type": "FeatureCollection", "features": [item()], "links": ["x"]}, "failed"),
    ],
)
def test_answer_that_is_no_page_of_items_is_an_error_and_not_an_empty_search(fake_api, content, words):
    api = spoilt(fake_api, json=content)
    with pytest.raises(SourceError, match=words) as caught:
        names(api.url)
    assert "\n" not in str(caught.value) and api.url in str(caught.value)


def test_web_page_in_answer_to_a_search_is_said(fake_api):
    page = b"<!DOCTYPE html>\n<html><body>Sign in</body></html>"
    api = spoilt(fake_api, body=page, headers={"Content-Type": "text/html"})
    with pytest.raises(SourceError, match="its answer is not JSON") as caught:
        names(api.url)
    assert "\n" not in str(caught.value) and "<" not in str(caught.value)


def test_search_without_any_item_is_no_error(fake_api):
    assert names(fake_api([item()]).url, first=dt.date(2020, 1, 1), last=dt.date(2020, 1, 2)) == []


@pytest.mark.parametrize(
    "href",
    ["file:///etc/passwd", "/vsicurl/http://127.0.0.1/x.tif", "../../../../etc/passwd", "/etc/passwd"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_search_cannot_name_files_of_this_machine(fake_api, href, method):
    bad = item()
    bad["assets"]["blue"]["href"] = href
    api = fake_api([bad], methods=(method,))
    query = Query(HERE, FIRST, LAST)
    try:
        (found,) = search(api.url, query, load_registry(), Progress()).items
    except SourceError as error:
        assert "not on the network" in str(error)
    else:  # a path without a scheme stays on that server
        assert found["assets"]["blue"]["href"].startswith(api.server.url)


@pytest.mark.parametrize("target", ["file://", "/", "../"])
def test_api_cannot_make_this_machine_read_its_own_files_as_pages(fake_api, tmp_path_factory, target):
    page = tmp_path_factory.mktemp("private") / "page.json"
    page.write_text(json.dumps({"type": "FeatureCollection", "features": [item("stolen")]}))
    api = fake_api([item()])
    landing = api.landing()
    for link in landing["links"]:
        if link["rel"] == "search":
            link["href"] = {"file://": page.as_uri(), "/": str(page), "../": "../.." + str(page)}[target]
    api.landing = lambda: landing
    with pytest.raises(SourceError, match=r"HTTP 404|not on the network") as caught:
        names(api.url)
    assert "\n" not in str(caught.value)


def test_hrefs_that_lead_nowhere_outside_the_provider_are_taken_as_the_registry_says(fake_api, tmp_path):
    local = item()
    local["assets"]["blue"]["href"] = "file:///data/a.tif"
    api = fake_api([local])
    entry = {
        "id": "mine", "title": "Mine", "url": api.url, "replaced_hrefs": {"file://": "https://example.org"},
    }  # fmt: skip
    url = f"{api.url}/collections/sentinel-2-l2a"
    assert names(url, registry=registry_with(tmp_path, **entry)) == ["a"]


def test_best_collection_of_an_unknown_api_is_searched(fake_api):
    api = fake_api(
        [item("old"), item("new", collection="sentinel-2-c1-l2a"), item("x", collection="landsat")]
    )
    assert names(api.url) == ["new"]
    assert api.searches[0]["collections"] == ["sentinel-2-c1-l2a"]


def test_collection_that_the_api_does_not_have_is_said(fake_api, monkeypatch):
    monkeypatch.setattr(http, "RETRIES", http.RETRIES.new(total=0))
    api = fake_api([item()])
    with pytest.raises(SourceError, match="HTTP 404"):
        names(f"{api.url}/collections/none")
