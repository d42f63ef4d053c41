"""Finding items: static catalogs, item collections, a real STAC API, and everything that is none of them."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import threading
from pathlib import Path

import pytest
from minicuber.core.catalogs.api import Query
from minicuber.core.catalogs.registry import load_registry
from minicuber.core.catalogs.search import search
from minicuber.core.errors import InputError, SourceError
from minicuber.core.progress import Progress

WORLD = (-180.0, -90.0, 180.0, 90.0)
FIRST, LAST = dt.date(2023, 8, 10), dt.date(2023, 8, 15)


def find(catalog, lonlat=WORLD, first=FIRST, last=LAST, max_cloud=100.0):
    query = Query(lonlat, first, last, max_cloud)
    return search(str(catalog), query, load_registry(), Progress()).items


def item(name="a", day="2023-08-12", box=(7.0, 46.0, 7.1, 46.1), href="a.tif"):
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": "c",
        "bbox": list(box),
        "links": [],
        "geometry": {"type": "Point", "coordinates": [box[0], box[1]]},
        "properties": {"datetime": f"{day}T10:00:00Z", "platform": "sentinel-2a"},
        "assets": {"B02": {"href": href, "type": "image/tiff"}},
    }


def collection_file(folder: Path, *items: dict) -> Path:
    path = folder / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(items)}))
    return path


def as_static_catalog(folder: Path, *items: dict) -> Path:
    links = [{"rel": "root", "href": "./catalog.json"}]
    for each in items:
        place = folder / "items" / each["id"]
        place.mkdir(parents=True)
        (place / f"{each['id']}.json").write_text(json.dumps(each))
        links.append({"rel": "item", "href": f"./items/{each['id']}/{each['id']}.json"})
    catalog = {"type": "Catalog", "stac_version": "1.0.0", "id": "x", "description": "x", "links": links}
    (folder / "catalog.json").write_text(json.dumps(catalog))
    return folder / "catalog.json"


@pytest.mark.real
def test_collection_item_collection_and_folder_give_the_same_items(shared):
    folder = shared / "data/s2_stac/e84_33tw_2023_120m"
    found = [find(folder / "items.json"), find(folder / "collection.json"), find(folder)]
    names = [[each["id"] for each in items] for items in found]
    assert names[0] == names[1] == names[2]
    assert len(names[0]) == 6  # 10, 13 and 15 August, two tiles each
    for items in found:
        for each in items:
            for asset in each["assets"].values():
                assert Path(asset["href"]).is_file()


@pytest.mark.real
def test_real_stac_api_gives_the_items_of_the_file(shared, stac_api, tmp_path):
    folder = shared / "data/s2_stac/e84_33tw_2023_120m"
    items = json.loads((folder / "items.json").read_text())["features"]
    for each in items:
        for asset in each["assets"].values():
            asset["href"] = "https://example.org/" + asset["href"]
    url = stac_api(items, tmp_path)
    box = (15.8, 45.9, 16.0, 46.0)
    expected = [each["id"] for each in find(folder / "items.json", box)]
    assert [each["id"] for each in find(url, box)] == expected
    assert [each["id"] for each in find(f"{url}/collections/sentinel-2-l2a", box)] == expected


def test_paging_api_gives_all_items(stac_api, tmp_path):
    items = [item(f"i{n:03}", href="https://example.org/a.tif") for n in range(450)]
    assert len(find(stac_api(items, tmp_path))) == 450


def test_both_days_are_inclusive_and_place_is_filtered_here(tmp_path):
    path = collection_file(
        tmp_path,
        item("before", "2023-08-09"),
        item("first", "2023-08-10"),
        item("last", "2023-08-15"),
        item("after", "2023-08-16"),
        item("elsewhere", box=(8.0, 46.0, 8.1, 46.1)),
    )
    assert [each["id"] for each in find(path, (7.05, 46.05, 7.06, 46.06))] == ["first", "last"]


def test_item_over_the_antimeridian_is_found_on_both_sides(tmp_path):
    path = collection_file(tmp_path, item(box=(179.5, -18.0, -179.5, -17.0)))
    assert len(find(path, (179.8, -17.5, 179.9, -17.4))) == 1
    assert len(find(path, (-179.9, -17.5, -179.8, -17.4))) == 1
    assert len(find(path, (0.0, -17.5, 1.0, -17.4))) == 0


def test_same_item_twice_is_one(tmp_path):
    assert len(find(collection_file(tmp_path, item(), item()))) == 1


def test_hrefs_are_relative_to_the_item_or_to_the_item_collection(tmp_path):
    (found,) = find(as_static_catalog(tmp_path, item(href="./a.tif")))
    assert found["assets"]["B02"]["href"] == str(tmp_path / "items/a/a.tif")
    (tmp_path / "b").mkdir()
    (found,) = find(collection_file(tmp_path / "b", item(href="x/a.tif")))
    assert found["assets"]["B02"]["href"] == str(tmp_path / "b/x/a.tif")


def test_static_catalog_over_http_has_http_hrefs(tmp_path, serve):
    as_static_catalog(tmp_path, item(href="./a.tif"))
    server = serve(tmp_path)
    (found,) = find(f"{server.url}/catalog.json")
    assert found["assets"]["B02"]["href"] == f"{server.url}/items/a/a.tif"


@pytest.mark.parametrize("href", ["file:///etc/passwd", "/vsicurl/http://x", "ftp://example.org/a.tif"])
def test_remote_catalog_cannot_name_local_files(tmp_path, serve, href):
    collection_file(tmp_path, item(href=href))
    server = serve(tmp_path)
    try:
        found = find(f"{server.url}/items.json")
    except SourceError as error:
        assert "not on the network" in str(error)
    else:  # a path without a scheme stays on that server
        assert found[0]["assets"]["B02"]["href"].startswith(server.url)


def test_dots_of_a_remote_catalog_stay_on_its_server(tmp_path, serve):
    collection_file(tmp_path, item(href="../../../../etc/passwd"))
    server = serve(tmp_path)
    (found,) = find(f"{server.url}/items.json")
    assert found["assets"]["B02"]["href"] == f"{server.url}/etc/passwd"


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("page.json", ("text/html", b"<html>Sign in</html>"), "text/html, not with JSON"),
        ("list.json", ("application/json", b"[1, 2]"), "no STAC catalog"),
        ("odd.json", ("application/json", b'{"hello": 1}'), "no STAC catalog"),
        ("gone.json", 404, "HTTP 404"),
        ("secret.json", 401, "HTTP 401"),
    ],
)
def test_address_that_is_no_catalog_is_said_in_one_sentence(tmp_path, serve, name, answer, words):
    server = serve(tmp_path)
    server.answers[name] = answer
    with pytest.raises(SourceError, match=words) as caught:
        find(f"{server.url}/{name}")
    assert "\n" not in str(caught.value)


def test_catalog_that_is_overloaded_is_asked_again(tmp_path, serve):
    collection_file(tmp_path, item(href="http://example.org/a.tif"))
    server = serve(tmp_path)
    server.answers["items.json"] = 503
    threading.Timer(1.0, server.answers.clear).start()
    assert len(find(f"{server.url}/items.json")) == 1
    assert server.requests["items.json"] > 1


def test_nobody_there_is_said(tmp_path, monkeypatch):
    from minicuber.core.catalogs import http as module

    monkeypatch.setattr(module, "RETRIES", module.RETRIES.new(total=0))
    with pytest.raises(SourceError, match="no connection"):
        find("http://127.0.0.1:9/stac")


def test_paths_that_are_no_catalog_are_named(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        find(tmp_path / "no.json")
    with pytest.raises(InputError, match="holds no catalog"):
        find(tmp_path)
    with pytest.raises(InputError, match="unknown kind"):
        find("ftp://example.org/catalog.json")
    (tmp_path / "text.json").write_text("not json")
    with pytest.raises(SourceError, match="JSON"):
        find(tmp_path / "text.json")


def test_all_pages_of_an_item_collection_are_read(tmp_path, serve):
    server = serve(tmp_path)
    for name, day, following in (
        ("items.json", 10, "two.json"),
        ("two.json", 11, "three.json"),
        ("three.json", 12, None),
    ):
        page = {
            "type": "FeatureCollection",
            "features": [item(name[:3], f"2023-08-{day}", href="http://x/a.tif")],
        }
        page["links"] = [{"rel": "next", "href": f"{server.url}/{following}"}] if following else []
        (tmp_path / name).write_text(json.dumps(page))
    assert [each["id"] for each in find(f"{server.url}/items.json")] == ["ite", "thr", "two"]


def test_page_that_only_its_api_can_turn_is_not_taken_for_all(tmp_path):
    page = {
        "type": "FeatureCollection",
        "features": [item()],
        "links": [{"rel": "next", "href": "x", "method": "POST"}],
    }
    (tmp_path / "items.json").write_text(json.dumps(page))
    with pytest.raises(SourceError, match="one page of several"):
        find(tmp_path / "items.json")


def test_pages_in_a_circle_end(tmp_path):
    page = {
        "type": "FeatureCollection",
        "features": [item()],
        "links": [{"rel": "next", "href": "items.json"}],
    }
    (tmp_path / "items.json").write_text(json.dumps(page))
    with pytest.raises(SourceError, match="circle"):
        find(tmp_path / "items.json")


def test_catalog_on_disk_may_lead_to_the_network(tmp_path, serve):
    (tmp_path / "net").mkdir()
    as_static_catalog(tmp_path / "net", item(href="./a.tif"))
    server = serve(tmp_path / "net")
    links = [{"rel": "child", "href": f"{server.url}/catalog.json"}]
    root = {"type": "Catalog", "stac_version": "1.0.0", "id": "x", "description": "x", "links": links}
    (tmp_path / "catalog.json").write_text(json.dumps(root), encoding="utf-8-sig")
    (found,) = find(tmp_path / "catalog.json")
    assert found["assets"]["B02"]["href"].startswith(server.url)


def test_api_without_a_search_is_said(tmp_path, serve):
    landing = {
        "type": "Catalog", "stac_version": "1.0.0", "id": "x", "description": "x",
        "conformsTo": ["https://api.stacspec.org/v1.0.0/core"], "links": [],
    }  # fmt: skip
    server = serve(tmp_path)
    server.answers["stac"] = ("application/json", json.dumps(landing).encode())
    with pytest.raises(SourceError) as caught:
        find(f"{server.url}/stac")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"bbox": [1, 2, 3]},
        {"bbox": "x"},
        {"properties": {"datetime": "soon"}},
        {"properties": {"datetime": 5}},
    ],
)
def test_item_with_nonsense_for_a_place_or_time_is_named(tmp_path, changes):
    with pytest.raises(SourceError, match="Item a of"):
        find(collection_file(tmp_path, {**item(), **changes}))


@pytest.mark.parametrize("lost", ["assets", "bbox", "properties", "id"])
def test_item_without_what_every_item_has_is_a_source_error(tmp_path, lost):
    broken = item()
    del broken[lost]
    with pytest.raises(SourceError, match="not a valid STAC item"):
        find(collection_file(tmp_path, broken))


def test_catalog_with_a_lost_item_is_a_source_error(tmp_path):
    path = as_static_catalog(tmp_path, item())
    shutil.rmtree(tmp_path / "items")
    with pytest.raises(SourceError, match="cannot be read"):
        find(path)
