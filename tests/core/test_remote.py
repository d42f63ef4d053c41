"""Whole cubes from files on servers: signed, keyed, in an object store, damaged, lost, and from the fallback catalog.

Servers on loopback that refuse what a real one refuses; every pixel of the scenes says where it lies.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from minicuber import __version__
from minicuber.core import fetching, loading
from minicuber.core.catalogs import http
from minicuber.core.errors import InputError, SourceError
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress
from minicuber.core.worker.client import run_in_child
from scenery import dn_at, scene

CRS, CORNER = "EPSG:32632", (600_000.0, 5_200_020.0)
EXTENT = [600_200.0, 600_500.0, 5_199_500.0, 5_199_800.0]
WIDE = {
    "extent": [600_000.0, 603_000.0, 5_197_020.0, 5_200_020.0]
}  # for which the first request is not enough
BASIC = {"username": "reader", "password": "pass word:x"}
HEADER = {"header": "X-Api-Key", "value": 'K3y, "quoted": x'}
SAID = {"reader": "Basic " + base64.b64encode(b"reader:pass word:x").decode(), None: HEADER["value"]}


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Without the keys of whoever runs the tests, and with short pauses."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(http, "RETRIES", http.RETRIES.new(backoff_factor=0.002))
    monkeypatch.setattr(fetching, "PAUSE", 0.01)
    monkeypatch.setitem(loading.GDAL_OPTIONS, "GDAL_HTTP_RETRY_DELAY", 0.01)
    monkeypatch.setitem(loading.GDAL_OPTIONS, "GDAL_HTTP_MAX_RETRY", 2)


def scenes(folder, prefix, count=3, **how):
    """Scenes whose files are in `folder` and have hrefs that begin with `prefix`."""
    folder.mkdir(parents=True, exist_ok=True)
    items = []
    for number in range(count):
        name = f"S2A_32TMT_202106{10 + number:02}_0_L2A"
        item = scene(folder, name, CRS, CORNER, f"2021-06-{10 + number:02}T10:30:00Z", **how)
        item["collection"] = "sentinel-2-l2a"
        for asset in item["assets"].values():
            asset["href"] = prefix + asset["href"]
        items.append(item)
    return items


def as_catalog(folder, items, name="items.json"):
    (folder / name).write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return name


def registry(folder, *entries):
    file = folder / "catalogs.json"
    file.write_text(json.dumps({"catalogs": list(entries)}))
    return str(file)


def order(folder, catalog, catalogs_file="", credentials=None, **recipe):
    recipe = {
        "extent": EXTENT, "extent_crs": CRS, "start": "2021-06-01", "end": "2021-06-30", "s2_bands": ["B02"],
        "catalog": catalog, **recipe,
    }  # fmt: skip
    return {
        "recipe": recipe,
        "output": str(folder / "cube.nc"),
        "catalogs_file": catalogs_file,
        "credentials": credentials or {},
        "parts_folder": str(folder / "parts"),
    }


def build(folder, *given, **recipe):
    run_job("buildminicube", order(folder, *given, **recipe), Progress())
    with xr.open_dataset(folder / "cube.nc", mask_and_scale=False) as cube:
        return cube.load()


def assert_right(cube, count=3, missing=()):
    """Every pixel of every date is the source's own, those of `missing` dates are missing."""
    exact = dn_at(cube.x.values[None, :], cube.y.values[:, None])
    assert cube.sizes["time"] == count
    for number in range(count):
        wanted = np.full_like(exact, -32768) if number in missing else exact
        np.testing.assert_array_equal(cube.s2_B02[number].values, wanted)


# --- signed files -----------------------------------------------------------------------------------


class Signed:
    """A server that gives files of /acc/ out to those who know the container's token, and one of tokens."""

    def __init__(self, serve, folder, **how):
        (folder / "tokens").mkdir()
        self.folder = folder
        self.files, self.tokens = serve(folder), serve(folder / "tokens")
        self.lives, self.valid = 10**9, {"one": "T1one", "two": "T1two"}
        self.lock = threading.Lock()
        items = []
        for name in ("one", "two"):
            items += scenes(folder / "acc" / name, f"{self.files.url}/acc/{name}/", **how)
        for item in items[3:]:
            item["properties"]["datetime"] = item["properties"]["datetime"].replace("-06-1", "-06-2")
            item["id"] = item["id"].replace("2021061", "20210621")
        self.n_items = len(items)
        self.catalog = f"{self.files.url}/{as_catalog(folder, items)}"
        self.files.rule, self.tokens.rule = self.file, self.token
        template = "{account}/{container}"
        signing = {"url": f"{self.tokens.url}/{template}", "hrefs": [f"{self.files.url}/{template}/"]}
        self.registry = registry(
            folder, {"id": "mine", "title": "Mine", "url": f"{self.files.url}/stac", "signing": signing}
        )

    def token(self, asked):
        content = {"token": f"sig={self.valid[asked.path.split('/')[1]]}"}
        return {"json": {**content, "msft:expiry": "2099-01-01T00:00:00Z"}, "delay": 0.05}

    def file(self, asked):
        """`lives`: how many requests tokens answer before all of them are changed."""
        if not asked.path.startswith("acc/"):
            return None
        with self.lock:
            self.lives -= 1
            if self.lives == 0:
                self.valid = {"one": "T2one", "two": "T2two"}
            good = asked.query == f"sig={self.valid[asked.path.split('/')[1]]}"
        return None if good else {"status": 403, "body": b"<Error>AuthenticationFailed</Error>"}

    def build(self, **recipe):
        return build(self.folder, self.catalog, self.registry, **recipe)


@pytest.fixture
def signed(serve, tmp_path):
    return Signed(serve, tmp_path)


def test_signed_files_are_signed_when_read_with_one_token_per_container(signed):
    assert_right(signed.build(), 6)
    assert signed.tokens.requests == {"acc/one": 1, "acc/two": 1}
    assert {asked.query for asked in signed.files.asked} == {"", "sig=T1one", "sig=T1two"}
    assert all("sig" not in asked.path for asked in signed.files.asked)


@pytest.mark.parametrize("lives", [1, 2, 3, 5, 6])
def test_token_that_expires_in_the_middle_is_renewed_once(serve, tmp_path, lives):
    """At the first request to a file or at a later one."""
    signed = Signed(serve, tmp_path, size=500)
    signed.lives = lives
    assert_right(signed.build(), 6)
    assert signed.tokens.requests["acc/one"] <= 2 and signed.tokens.requests["acc/two"] <= 2
    assert sum(signed.tokens.requests.values()) in (3, 4)
    assert {"sig=T2one", "sig=T2two"} & {asked.query for asked in signed.files.asked}


@pytest.mark.parametrize(
    ("answer", "why"), [(503, "HTTP 503"), (404, "HTTP 404"), ({"body": b"<html>"}, "not JSON")]
)
def test_tokens_that_cannot_be_had_are_one_sentence(signed, answer, why):
    signed.tokens.rule = lambda asked: answer
    with pytest.raises(SourceError, match="signature for files of") as caught:
        signed.build()
    assert why in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).count("signature") == 1
    assert sum(signed.tokens.requests.values()) <= 14
    assert not (signed.folder / "cube.nc").exists()


def test_refused_signature_does_not_ask_for_credentials(signed):
    signed.valid = {"one": "other", "two": "other"}
    signed.tokens.rule = lambda asked: {"json": {"token": "sig=WRONG"}}
    with pytest.raises(SourceError, match="403") as caught:
        signed.build()
    assert "CATALOG_AUTH" not in str(caught.value) and "WRONG" not in str(caught.value)
    # One more for every file that was refused, and no more.
    assert sum(signed.tokens.requests.values()) <= 2 + signed.n_items


def everything_below(folder):
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize("lost", ["one file", "all files"])
def test_token_stands_in_no_log_no_error_and_no_file(serve, tmp_path, lost):
    """GDAL puts whole addresses into its warnings, and into its errors names of files with their queries."""
    signed = Signed(serve, tmp_path, size=300)
    signed.valid = {"one": "SECRETone", "two": "SECRETtwo"}
    counts = {}

    def rule(asked):
        counts[asked.path] = number = counts.get(asked.path, 0) + 1
        if "20210611" in asked.path and number == 1:
            return 503  # GDAL warns, and asks again
        if lost == "one file" and "20210612" in asked.path:
            return 404
        if lost == "all files" and not asked.headers.get("Range", "bytes=0-").startswith("bytes=0-"):
            return 404  # in the middle of the file
        return signed.file(asked)

    signed.files.rule = rule
    (tmp_path / "out").mkdir()
    said, failure = [], None
    try:
        run_in_child(
            sys.executable,
            "buildminicube",
            order(
                tmp_path / "out", signed.catalog, signed.registry, fail_on_missing=lost == "all files", **WIDE
            ),
            version=__version__,
            on_log=lambda level, text: said.append(text),
            on_progress=lambda fraction, text: said.append(text),
        )
    except SourceError as error:
        failure = error
    assert (failure is None) == (lost == "one file")
    assert "503" in str(said) and ("Missing" in str(said) or "404" in str(failure))
    assert "SECRET" not in f"{said} {failure} {failure and failure.details}"
    assert b"SECRET" not in everything_below(tmp_path / "out")
    assert any("SECRET" in asked.query for asked in signed.files.asked)


def test_token_is_not_written_to_a_log_of_this_process(serve, tmp_path, caplog):
    signed, troubles = Signed(serve, tmp_path, size=300), {"warns": 503, "fails": {"cut": True}}

    def rule(asked):
        later = not asked.headers.get("Range", "bytes=0-").startswith("bytes=0-")
        trouble = troubles.pop("fails" if later else "warns", None) if "20210611" in asked.path else None
        return trouble or signed.file(asked)

    signed.files.rule = rule
    caplog.set_level("INFO")
    assert_right(signed.build(**WIDE), 6)
    assert "503" in caplog.text and "read again" in caplog.text
    assert "sig=" not in caplog.text


def test_signature_is_not_sent_to_where_a_redirect_leads(signed, serve, tmp_path):
    elsewhere = serve(tmp_path)

    def rule(asked):
        refused = Signed.file(signed, asked)
        if refused is None and asked.path.startswith("acc/one"):
            return {"status": 302, "headers": {"Location": f"{elsewhere.url}/{asked.path}"}}
        return refused

    signed.files.rule = rule
    assert_right(signed.build(), 6)
    assert elsewhere.asked and {asked.query for asked in elsewhere.asked} == {""}


# --- object stores ----------------------------------------------------------------------------------


def store_entry(endpoint, bucket="bucket", **s3):
    s3 = {"buckets": [bucket], "endpoint": endpoint, "region": "default", "virtual_hosting": False, **s3}
    return {"id": "mine", "title": "Mine", "url": "http://127.0.0.1:9/stac", "s3": s3}


KEYS = {"username": "KEY", "password": "secret"}


def fill(address, bucket, folder):
    """Put the files of a folder into a bucket of the real S3; only those who sign may read them."""
    boto3 = pytest.importorskip("boto3")
    session = boto3.Session("KEY", KEYS["password"], region_name="us-east-1")
    client = session.client("s3", endpoint_url=address)
    client.create_bucket(Bucket=bucket)
    for path in folder.iterdir():
        client.put_object(Bucket=bucket, Key=path.name, Body=path.read_bytes())
    return client


def test_cube_from_a_real_object_store_with_keys(tmp_path, s3_server):
    items = scenes(tmp_path / "files", "s3://private/")
    fill(s3_server, "private", tmp_path / "files")
    catalog = tmp_path / as_catalog(tmp_path, items)
    entry = store_entry(s3_server, "private", keys=True)
    assert_right(build(tmp_path, str(catalog), registry(tmp_path, entry), KEYS))


def test_cube_from_a_real_object_store_without_keys(tmp_path, s3_server):
    items = scenes(tmp_path / "files", "s3://public/")
    client = fill(s3_server, "public", tmp_path / "files")
    catalog = str(tmp_path / as_catalog(tmp_path, items))
    file = registry(tmp_path, store_entry(s3_server, "public"))
    with pytest.raises(SourceError, match="CATALOG_AUTH"):
        build(tmp_path, catalog, file)
    for item in items:
        client.put_object_acl(Bucket="public", Key=f"{item['id']}_B02.tif", ACL="public-read")
    assert_right(build(tmp_path, catalog, file))


def test_jpeg_2000_files_are_read_from_an_object_store(tmp_path, s3_server):
    items = scenes(tmp_path / "tif", "s3://jp2/", count=1)
    (tmp_path / "files").mkdir()
    for item in items:
        name = f"{item['id']}_B02"
        with rasterio.open(tmp_path / "tif" / f"{name}.tif") as source:
            profile = {**source.profile, "driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"}
            for option in ("tiled", "compress", "blockxsize", "blockysize", "interleave"):
                profile.pop(option, None)
            with rasterio.open(tmp_path / "files" / f"{name}.jp2", "w", **profile) as file:
                file.write(source.read(1), 1)
        item["assets"]["blue"]["href"] = f"s3://jp2/{name}.jp2"
    fill(s3_server, "jp2", tmp_path / "files")
    catalog = tmp_path / as_catalog(tmp_path, items)
    entry = store_entry(s3_server, "jp2", keys=True)
    assert_right(build(tmp_path, str(catalog), registry(tmp_path, entry), KEYS), 1)


class Store:
    """A server like an object store that keeps what it was asked with, and refuses other keys than `key`."""

    def __init__(self, server, key=None):
        self.server, self.key, self.url = server, key, server.url
        server.rule = self.answer

    @property
    def signatures(self):
        """Who signed the requests for files, "" for nobody."""
        asked = [
            each.headers.get("Authorization") or "" for each in self.server.asked if "bucket" in each.path
        ]
        return {text.split("Credential=")[-1].split("/")[0] if text else "" for text in asked}

    @property
    def tokens(self):
        return {each.headers.get("X-Amz-Security-Token") for each in self.server.asked}

    def answer(self, asked):
        said = asked.headers.get("Authorization") or ""
        if self.key is None or said.startswith(f"AWS4-HMAC-SHA256 Credential={self.key}/"):
            return None
        text = (
            b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        )
        return {"status": 403, "body": text, "headers": {"Content-Type": "application/xml"}}


@pytest.fixture
def store(serve, tmp_path):
    """A `Store` with a bucket and a catalog of its files on disk."""
    store = Store(serve(tmp_path), "KEY")
    store.items = scenes(tmp_path / "bucket", "s3://bucket/")
    store.catalog = str(tmp_path / as_catalog(tmp_path, store.items))
    return store


def test_requests_to_an_object_store_are_signed_with_the_users_key(store, tmp_path, monkeypatch):
    # Of somebody else, and no part of the keys that were given.
    monkeypatch.setenv("AWS_SESSION_TOKEN", "other")
    file = registry(tmp_path, store_entry(store.url, keys=True))
    assert_right(build(tmp_path, store.catalog, file, KEYS))
    assert store.signatures == {"KEY"} and store.tokens == {None}


def test_keys_of_the_environment_sign_too(store, tmp_path, monkeypatch):
    for name, value in (("ACCESS_KEY_ID", "KEY"), ("SECRET_ACCESS_KEY", "s"), ("SESSION_TOKEN", "own")):
        monkeypatch.setenv(f"AWS_{name}", value)
    assert_right(build(tmp_path, store.catalog, registry(tmp_path, store_entry(store.url, keys=True))))
    assert store.signatures == {"KEY"} and store.tokens == {"own"}


def test_anonymous_bucket_sees_nobodys_keys(store, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "mine")
    store.key = None
    assert_right(build(tmp_path, store.catalog, registry(tmp_path, store_entry(store.url)), KEYS))
    assert store.signatures == {""} and store.tokens == {None}


def test_requester_pays_only_where_the_registry_says_so(store, tmp_path):
    file = registry(tmp_path, store_entry(store.url, keys=True, requester_pays=True))
    assert_right(build(tmp_path, store.catalog, file, KEYS))
    assert {asked.headers.get("X-Amz-Request-Payer") for asked in store.server.asked} == {"requester"}


def test_wrong_keys_are_said_and_right_ones_work_in_the_same_process(store, tmp_path):
    """GDAL remembers for the whole process that a file could not be had."""
    file = registry(tmp_path, store_entry(store.url, keys=True))
    with pytest.raises(SourceError, match=r"Access ?Denied.*CATALOG_AUTH") as caught:
        build(tmp_path, store.catalog, file, {"username": "WRONG", "password": "hush"})
    assert "hush" not in str(caught.value)
    assert_right(build(tmp_path, store.catalog, file, KEYS))


def test_many_files_that_are_refused_at_once_stall_nothing(store, tmp_path, monkeypatch):
    """Who waits for a lock of GDAL's with Python's own in hand stops every thread."""
    monkeypatch.setitem(loading.GDAL_OPTIONS, "GDAL_HTTP_TIMEOUT", 3)
    one, items = store.items[0], []
    for day in range(1, 29):
        href = f"s3://bucket/{day}.tif"
        properties = {**one["properties"], "datetime": f"2021-06-{day:02}T10:30:00Z"}
        items.append({**one, "id": f"S2A_32TMT_202106{day:02}_0_L2A", "properties": properties})
        items[-1]["assets"] = {"blue": {**one["assets"]["blue"], "href": href}}
    catalog = str(tmp_path / as_catalog(tmp_path, items))
    with pytest.raises(SourceError, match=r"Access ?Denied"):  # else the test hangs
        build(tmp_path, catalog, registry(tmp_path, store_entry(store.url)))


@pytest.fixture
def cdse(store, tmp_path, serve):
    """The Copernicus Data Space with its API and its store on loopback: (name, registry, server of the API)."""
    for item in store.items:
        item["assets"] = {"B02_10m": item["assets"]["blue"]}
        item["assets"]["B02_10m"]["href"] = item["assets"]["B02_10m"]["href"].replace("bucket", "eodata")
    (tmp_path / "bucket").rename(tmp_path / "eodata")
    api = serve(tmp_path)
    as_catalog(tmp_path, store.items)
    entry = {"id": "cdse", "url": f"{api.url}/items.json", "s3": {"endpoint": store.url}}
    return "cdse", registry(tmp_path, entry), api


def test_data_space_without_keys_is_refused_before_anything_is_read(store, cdse, tmp_path):
    name, file, _ = cdse
    with pytest.raises(InputError, match=r"needs keys.*CATALOG_AUTH"):
        build(tmp_path, name, file)
    assert not store.server.asked


def test_data_space_with_keys_is_read_and_its_api_does_not_see_them(store, cdse, tmp_path):
    name, file, api = cdse
    assert_right(build(tmp_path, name, file, KEYS))
    assert {asked.headers.get("Authorization") for asked in api.asked} == {None}
    assert all("Credential=KEY/" in asked.headers["Authorization"] for asked in store.server.asked)


# --- credentials for servers of files ---------------------------------------------------------------


def shown(server):
    return {asked.headers.get("Authorization") or asked.headers.get("X-Api-Key") for asked in server.asked}


def two_servers(serve, tmp_path):
    """A catalog on the first server, which has the files of one date; the second has those of the others."""
    own, other = serve(tmp_path / "own"), serve(tmp_path / "other")
    items = scenes(tmp_path / "own", f"{own.url}/", count=1) + scenes(tmp_path / "other", f"{other.url}/")[1:]
    return own, other, f"{own.url}/{as_catalog(tmp_path / 'own', items)}"


@pytest.fixture
def folders(tmp_path):
    for name in ("own", "other"):
        (tmp_path / name).mkdir()


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize("credentials", [BASIC, HEADER])
def test_credentials_reach_the_catalogs_own_files_and_no_others(serve, tmp_path, credentials):
    own, other, catalog = two_servers(serve, tmp_path)
    own.rule = lambda asked: None if shown_by(asked) else {"status": 401, "body": b"no"}
    assert_right(build(tmp_path, catalog, "", credentials))
    assert shown(own) == {SAID[credentials.get("username")]}
    assert shown(other) == {None}
    assert b"pass word" not in everything_below(tmp_path) and b"K3y" not in everything_below(tmp_path)


def shown_by(asked):
    return asked.headers.get("Authorization") or asked.headers.get("X-Api-Key")


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize("credentials", [BASIC, HEADER, {"header": "Authorization", "value": "Bearer x"}])
def test_redirect_of_a_file_does_not_take_credentials_along(serve, tmp_path, credentials):
    """libcurl by itself keeps back `Authorization` only."""
    own, other, catalog = two_servers(serve, tmp_path)
    scenes(tmp_path / "other", "")

    def away(asked):
        if not shown_by(asked):
            return 401
        gone = asked.path.endswith(".tif")
        return {"status": 302, "headers": {"Location": f"{other.url}/{asked.path}"}} if gone else None

    own.rule = away
    assert_right(build(tmp_path, catalog, "", credentials))
    assert shown(other) == {None} and len(other.requests) == 3


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize("status", [401, 403])
def test_refused_files_name_the_parameter_for_credentials(serve, tmp_path, status):
    own = serve(tmp_path / "own")
    catalog = f"{own.url}/{as_catalog(tmp_path / 'own', scenes(tmp_path / 'own', f'{own.url}/'))}"
    own.rule = lambda asked: status if asked.path.endswith(".tif") and not shown_by(asked) else None
    with pytest.raises(SourceError, match=f"{status}.*CATALOG_AUTH") as caught:
        build(tmp_path, catalog)
    assert "\n" not in str(caught.value)
    assert_right(build(tmp_path, catalog, "", BASIC))


# --- the fallback catalog -----------------------------------------------------------------------------


@pytest.fixture
def pair(serve, tmp_path, folders):
    """A catalog that answers with `pair.answer`, and one that works: (first, second)."""
    first, second = serve(tmp_path / "own"), serve(tmp_path / "other")
    as_catalog(tmp_path / "other", scenes(tmp_path / "other", f"{second.url}/"))
    return first, second


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (503, "HTTP 503"),
        ({"body": b"<html>Sorry</html>"}, "not with JSON"),
        (None, "no connection"),
        (401, "HTTP 401"),
    ],
)
def test_fallback_is_asked_when_the_first_catalog_fails_and_the_cube_says_so(
    pair, tmp_path, caplog, answer, why
):
    first, second = pair
    first.rule = lambda asked: answer
    catalog = f"{first.url}/items.json" if answer else "http://127.0.0.1:9/stac"
    fallback = f"{second.url}/items.json"
    cube = build(tmp_path, catalog, "", BASIC, fallback_catalog=fallback)
    assert_right(cube)
    (warning,) = [each.message for each in caplog.records if "fallback" in each.message]
    assert why in warning and catalog in warning and fallback in warning
    assert fallback in cube.attrs["source"] and f"from the fallback {fallback}" in cube.attrs["history"]
    assert fallback in cube.s2_B02.attrs["source"]
    assert json.loads(cube.attrs["recipe"])["catalog"] == catalog
    assert shown(second) == {None}


def test_failure_of_both_catalogs_names_both_in_one_message(pair, tmp_path):
    first, second = pair
    first.rule = lambda asked: 503
    second.rule = lambda asked: {"body": b"<html>"}
    with pytest.raises(SourceError, match="Both catalogs failed") as caught:
        build(tmp_path, f"{first.url}/a", fallback_catalog=f"{second.url}/b")
    text = str(caught.value)
    assert f"{first.url}/a" in text and "503" in text and f"{second.url}/b" in text and "JSON" in text
    assert "\n" not in text and not (tmp_path / "cube.nc").exists()


def test_catalog_without_an_image_has_not_failed(pair, tmp_path):
    first, second = pair
    as_catalog(tmp_path / "own", [])
    with pytest.raises(InputError, match="No Sentinel-2 image"):
        build(tmp_path, f"{first.url}/items.json", fallback_catalog=f"{second.url}/items.json")
    assert not second.asked


def test_fallback_is_not_asked_when_the_first_catalog_works(pair, tmp_path):
    first, second = pair
    as_catalog(tmp_path / "own", scenes(tmp_path / "own", f"{first.url}/"))
    cube = build(tmp_path, f"{first.url}/items.json", fallback_catalog=f"{second.url}/items.json")
    assert_right(cube)
    assert not second.asked and "fallback" not in cube.attrs["history"]


def test_file_that_the_first_catalog_lost_comes_from_the_fallback_without_credentials(pair, tmp_path, caplog):
    first, second = pair
    as_catalog(tmp_path / "own", scenes(tmp_path / "own", f"{first.url}/"))
    first.rule = lambda asked: 404 if "20210611" in asked.path else None
    fallback = f"{second.url}/items.json"
    assert_right(build(tmp_path, f"{first.url}/items.json", "", BASIC, fallback_catalog=fallback))
    assert "from the fallback catalog" in caplog.text
    assert shown(second) == {None} and len(second.requests) == 2


# --- damage -------------------------------------------------------------------------------------------


@pytest.fixture
def plain(serve, tmp_path):
    """A server of files with a catalog of three dates; `plain.lost(rule)` spoils the second date's file."""
    server = serve(tmp_path)
    server.items = scenes(tmp_path, f"{server.url}/", size=300)
    server.catalog = f"{server.url}/{as_catalog(tmp_path, server.items)}"
    server.second = f"{server.items[1]['id']}_B02.tif"
    return server


WIDE = {
    "extent": [600_000, 603_000, 5_197_020, 5_200_020]
}  # all of the scene: more than the first request gets


@pytest.mark.parametrize("kind", ["404", "truncated", "web page"])
def test_file_that_is_not_there_is_missing_and_named_once(plain, tmp_path, caplog, kind):
    data = (tmp_path / plain.second).read_bytes()
    if kind == "404":
        plain.rule = lambda asked: 404 if asked.path == plain.second else None
    elif kind == "truncated":
        (tmp_path / plain.second).write_bytes(data[: len(data) // 2])
    else:
        plain.answers[plain.second] = ("text/html", b"<html>Sorry</html>" * 99)
    assert_right(build(tmp_path, plain.catalog, **WIDE), missing=[1])
    (warning,) = [
        each.message for each in caplog.records if plain.second in each.message and "cannot" in each.message
    ]
    assert "\n" not in warning
    with pytest.raises(SourceError, match=plain.second) as caught:
        build(tmp_path, plain.catalog, fail_on_missing=True, **WIDE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [503, {"status": 429, "headers": {"Retry-After": "0"}}, {"cut": True}],
    ids=["503", "429", "cut"],
)
@pytest.mark.parametrize("number", [1, 2])
def test_file_in_passing_trouble_is_read_all_the_same(plain, tmp_path, answer, number):
    count = []

    def rule(asked):
        if asked.path == plain.second:
            count.append(asked)
        return answer if asked.path == plain.second and len(count) == number else None

    plain.rule = rule
    assert_right(build(tmp_path, plain.catalog, **WIDE))
    assert len(count) > number


def test_file_of_an_item_that_does_not_tell_its_place_is_asked_itself(plain, tmp_path):
    for item in plain.items:
        item["properties"].pop("proj:epsg")
        for asset in item["assets"].values():
            del asset["proj:transform"], asset["proj:shape"]
    as_catalog(tmp_path, plain.items)
    cube = build(tmp_path, plain.catalog)
    assert_right(cube)
    assert cube.s2_B02.attrs["resampling"] == "none, the lattices are equal"


def test_all_files_lost_is_one_sentence_and_no_cube(plain, tmp_path):
    plain.rule = lambda asked: 404 if asked.path.endswith(".tif") else None
    with pytest.raises(SourceError, match=r"_B02\.tif cannot be read \(HTTP response code: 404\)") as caught:
        build(tmp_path, plain.catalog)
    assert "\n" not in str(caught.value) and not Path(tmp_path / "cube.nc").exists()
