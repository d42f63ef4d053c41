"""Talking to catalogs over HTTP: asking again, giving up, and who sees credentials. Real servers on loopback."""

from __future__ import annotations

import base64
import datetime as dt
import json
import time

import pytest
from minicuber.core.catalogs import access, api, http
from minicuber.core.catalogs.api import Query
from minicuber.core.catalogs.http import Credentials
from minicuber.core.catalogs.registry import load_registry
from minicuber.core.catalogs.search import search
from minicuber.core.errors import SourceError
from minicuber.core.progress import Progress

QUERY = Query((7.0, 46.0, 7.1, 46.1), dt.date(2023, 8, 10), dt.date(2023, 8, 15))
BASIC = Credentials("reader", "pass word:x")
HEADER = Credentials(header="X-Api-Key", value='K3y, "quoted": x')
SAID = "Basic " + base64.b64encode(b"reader:pass word:x").decode()


def item(name="a"):
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": "sentinel-2-l2a", "links": [],
        "bbox": [7.0, 46.0, 7.1, 46.1], "geometry": None, "properties": {"datetime": "2023-08-12T10:00:00Z"},
        "assets": {"blue": {"href": "https://example.org/a.tif"}},
    }  # fmt: skip


def names(url, *credentials):
    found = search(url, QUERY, load_registry(), Progress(), *credentials)
    return [each["id"] for each in found.items]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Short pauses and time-outs."""
    monkeypatch.setattr(http, "RETRIES", http.RETRIES.new(backoff_factor=0.002))
    for module in (http, api, access):
        monkeypatch.setattr(module, "TIMEOUT", (1, 0.3))


@pytest.fixture(params=["file", "search by POST", "search by GET"])
def way(request, tmp_path, serve, fake_api):
    """A catalog with one item that is reached in one way: (server, address, path of what is asked for the items)."""
    if request.param == "file":
        (tmp_path / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": [item()]}))
        server = serve(tmp_path)
        return server, f"{server.url}/items.json", "items.json"
    stac = fake_api([item()], methods=(request.param[-4:].strip(),))
    return stac.server, stac.url, "stac/search"


def trouble(server, path, *answers):
    """The first requests to `path` get these answers (the last one for ever if it is ...), then the usual ones."""
    left, usual = list(answers), server.rule

    def rule(asked):
        if asked.path != path or not left:
            return usual(asked)
        return left[0] if left[1:] == [...] else left.pop(0)

    server.rule = rule


CUT = {"json": {"type": "FeatureCollection", "features": [item()]}, "cut": True}


@pytest.mark.parametrize(
    "answers",
    [
        [503, 503],
        [{"status": 429, "headers": {"Retry-After": "0"}}],
        [{"delay": 0.6}],
        [CUT],
        [CUT, 502, CUT],
    ],
    ids=["503 twice", "429", "time-out", "cut in the body", "one after another"],
)
def test_catalog_in_passing_trouble_is_asked_again(way, answers):
    server, url, path = way
    trouble(server, path, *answers)
    assert names(url) == ["a"]
    assert server.requests[path] == len(answers) + 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (503, "HTTP 503 at every one of several attempts"),
        ({"status": 429, "headers": {"Retry-After": "0"}}, "HTTP 429 at every one"),
        ({"delay": 0.6}, "time-out"),
        (CUT, "the connection was lost in the middle of its answer"),
        (404, "HTTP 404"),
        (400, "HTTP 400"),
    ],
    ids=["503", "429", "time-out", "cut in the body", "404", "400"],
)
def test_catalog_in_lasting_trouble_is_given_up_in_one_sentence(way, answer, words):
    server, url, path = way
    trouble(server, path, answer, ...)
    with pytest.raises(SourceError, match=words) as caught:
        names(url)
    assert url in caught.value.message and "\n" not in str(caught.value)
    assert caught.value.message.count(". ") == 0 and "object at 0x" not in str(caught.value)
    assert server.requests[path] == (
        1 if answer in (404, 400) else 3 if answer in (CUT, {"delay": 0.6}) else 7
    )


def test_pause_that_a_server_asks_for_is_kept(way):
    server, url, path = way
    trouble(server, path, {"status": 429, "headers": {"Retry-After": "1"}})
    start = time.monotonic()
    assert names(url) == ["a"]
    assert time.monotonic() - start > 0.95


def test_server_that_asks_for_a_day_is_not_waited_for(way, monkeypatch):
    monkeypatch.setattr(http, "LONGEST_PAUSE", 0.1)
    server, url, path = way
    trouble(server, path, {"status": 503, "headers": {"Retry-After": "86400"}})
    assert names(url) == ["a"]  # else the test hangs for a day


def test_nobody_there_is_said_of_a_search_too(fake_api):
    stac = fake_api([item()])
    landing = stac.landing()
    for link in landing["links"]:
        if link["rel"] == "search":
            link["href"] = "http://127.0.0.1:9/search"
    stac.landing = lambda: landing
    with pytest.raises(SourceError, match=r"failed \(no connection\)"):
        names(stac.url)


# --- credentials --------------------------------------------------------------------------------


def shown(server):
    """The credentials that came with each request."""
    heads = [asked.headers for asked in server.asked]
    return {head.get("Authorization") or head.get("X-Api-Key") for head in heads}


@pytest.mark.parametrize(("credentials", "told"), [(BASIC, SAID), (HEADER, HEADER.value)])
def test_credentials_come_with_every_request_to_the_catalogs_own_server(way, credentials, told):
    server, url, _ = way
    assert names(url, credentials) == ["a"]
    assert shown(server) == {told}
    server.asked.clear()
    assert names(url) == ["a"]
    assert shown(server) == {None}


@pytest.mark.parametrize("credentials", [BASIC, HEADER])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_to_another_server_does_not_take_credentials_along(
    tmp_path, serve, way, credentials, status
):
    """requests by itself forgets `Authorization` only."""
    server, url, path = way
    (tmp_path / "other").mkdir()
    page = {"type": "FeatureCollection", "features": [item("other")], "links": []}
    other = serve(tmp_path / "other")
    other.rule = lambda asked: {"json": page}
    trouble(server, path, {"status": status, "headers": {"Location": f"{other.url}/there"}})
    assert names(url, credentials) == ["other"]
    assert other.requests["there"] == 1
    assert shown(other) == {None}
    assert shown(server) != {None}


@pytest.mark.parametrize("credentials", [BASIC, HEADER])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_next_page_on_another_server_does_not_see_credentials(tmp_path, serve, fake_api, credentials, method):
    stac = fake_api([item()], methods=(method,))
    (tmp_path / "other").mkdir()
    other = serve(tmp_path / "other")
    other.rule = lambda asked: {"json": {"type": "FeatureCollection", "features": [item("b")], "links": []}}
    link = {"rel": "next", "href": f"{other.url}/page", "method": method, "body": {}}

    def spoil(answer):
        answer["json"]["links"] = [link]
        return answer

    stac.spoil = spoil
    assert names(stac.url, credentials) == ["a", "b"]
    assert shown(other) == {None}


@pytest.mark.parametrize("status", [401, 403])
def test_refused_search_names_the_parameter_for_credentials(way, status):
    server, url, path = way
    trouble(server, path, status, ...)
    with pytest.raises(SourceError, match=f"HTTP {status}.*CATALOG_AUTH") as caught:
        names(url, BASIC)
    assert "pass word" not in str(caught.value)


def test_credentials_print_nothing():
    assert "pass" not in repr(BASIC) and "K3y" not in repr(HEADER)
