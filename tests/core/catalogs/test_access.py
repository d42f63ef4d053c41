"""How files are reached: signatures, keys and settings. Tokens come from a real server on loopback."""

from __future__ import annotations

import datetime as dt
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
from minicuber.core.catalogs import access as module
from minicuber.core.catalogs import http
from minicuber.core.catalogs.access import Access, Address
from minicuber.core.catalogs.http import Credentials
from minicuber.core.catalogs.registry import load_registry
from minicuber.core.errors import InputError, SourceError
from minicuber.core.loading import opened

KEYS = Credentials("KEY", "secret")
UTC = dt.UTC


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Without the keys of whoever runs the tests, and with short pauses."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(http, "RETRIES", http.RETRIES.new(backoff_factor=0.002))


def registry_with(folder, **entry):
    file = folder / "catalogs.json"
    file.write_text(
        json.dumps({"catalogs": [{"id": "mine", "title": "Mine", "url": "https://x.org", **entry}]})
    )
    return load_registry(str(file))


def access_to(folder, credentials=None, **entry):
    registry = registry_with(folder, **entry)
    return Access(registry, registry.preset("mine")[0], "https://x.org", credentials)


# --- signatures -----------------------------------------------------------------------------------


class Tokens:
    """A server of tokens T1, T2, ... for the files below https://ACCOUNT.files.org/CONTAINER/."""

    def __init__(self, server, folder, life=3600):
        self.server, self.life, self.count, self.answer = server, life, 0, None
        self._lock = threading.Lock()
        server.rule = self.rule
        hrefs = ["https://{account}.files.org/{container}/"]
        self.access = access_to(
            folder, signing={"url": f"{server.url}/token/{{account}}/{{container}}", "hrefs": hrefs}
        )

    def rule(self, asked):
        if self.answer is not None:
            return self.answer
        with self._lock:
            self.count += 1
            token = f"sig=T{self.count}"
        expiry = dt.datetime.now(UTC) + dt.timedelta(seconds=self.life)
        content = {"token": token, "msft:expiry": expiry.strftime("%Y-%m-%dT%H:%M:%SZ")}
        return {"json": content, "delay": 0.05}


@pytest.fixture
def tokens(serve, tmp_path):
    return Tokens(serve(tmp_path), tmp_path)


A = "https://acc.files.org/one/a.tif"


def test_sixteen_threads_ask_for_one_token_per_container(tokens):
    hrefs = [f"https://acc.files.org/{('one', 'two')[n % 2]}/{n}.tif" for n in range(64)]
    with ThreadPoolExecutor(16) as pool:
        paths = [address.path for address in pool.map(tokens.access.address, hrefs)]
    assert tokens.server.requests == {"token/acc/one": 1, "token/acc/two": 1}
    assert all(path.startswith(f"/vsicurl/{href}?sig=T") for path, href in zip(paths, hrefs, strict=True))
    assert len({path.split("?")[1] for path in paths}) == 2


def test_refused_token_is_renewed_once_for_all_threads(tokens):
    first = tokens.access.address(A)
    with ThreadPoolExecutor(16) as pool:
        paths = {each.path for each in pool.map(lambda _: tokens.access.address(A, refused=first), range(32))}
    assert paths == {f"/vsicurl/{A}?sig=T2"}
    assert tokens.count == 2


def test_token_at_the_end_of_its_life_is_not_used(tokens, monkeypatch):
    tokens.access.address(A)
    clock = dt.datetime.now(UTC) + dt.timedelta(seconds=3600) - module.TOKEN_MARGIN

    class Later(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return clock

    monkeypatch.setattr(module.dt, "datetime", Later)
    assert tokens.access.address(A).path.endswith("sig=T2")


def test_token_that_lives_shorter_than_the_margin_is_not_asked_for_at_every_file(tokens):
    tokens.life = 120
    assert {tokens.access.address(A).path for _ in range(5)} == {f"/vsicurl/{A}?sig=T1"}


def test_token_without_an_expiry_is_kept_for_a_while(tokens):
    tokens.answer = {"json": {"token": "?sig=T9"}}
    assert {tokens.access.address(A).path for _ in range(3)} == {f"/vsicurl/{A}?sig=T9"}
    assert tokens.server.requests == {"token/acc/one": 1}


def test_signature_joins_a_query_that_is_there(tokens):
    assert tokens.access.address(f"{A}?v=1").path == f"/vsicurl/{A}?v=1&sig=T1"


@pytest.mark.parametrize(
    "href",
    [
        "https://acc.files.org.evil.org/one/a.tif",
        "https://evil.org/https://acc.files.org/one/a.tif",
        "https://acc.files.org@evil.org/one/a.tif",
        "https://a.b.files.org/one/a.tif",
        "http://acc.files.org/one/a.tif",
        "https://acc.files.org/a.tif",
    ],
)
def test_token_goes_to_no_other_host(tokens, href):
    assert tokens.access.address(href) == Address(f"/vsicurl/{href}", url=href)
    assert not tokens.server.requests


@pytest.mark.parametrize(
    ("answer", "why", "requests"),
    [
        (503, "HTTP 503 at every one of several attempts", 7),
        (404, "HTTP 404", 1),
        ({"body": b"<html>Sign in</html>"}, "its answer is not JSON", 1),
        ({"json": {"error": "no"}}, "its answer holds no token", 1),
        ({"json": ["x"]}, "its answer holds no token", 1),
        ({"json": {"token": None}}, "its answer holds no token", 1),
        ({"json": {"token": "sig=T1", "msft:expiry": "soon"}}, "its answer holds no token", 1),
    ],
)
def test_token_that_cannot_be_had_is_one_sentence_and_one_round_of_attempts(tokens, answer, why, requests):
    """Sixteen threads that each go through all attempts, one after the other, would take minutes."""
    tokens.answer = answer

    def ask(_):
        with pytest.raises(SourceError) as caught:
            tokens.access.address(A)
        return str(caught.value)

    with ThreadPoolExecutor(16) as pool:
        (text,) = set(pool.map(ask, range(32)))
    place = f"{tokens.server.url}/token/acc/one"
    assert text == (
        f"The signature for files of acc.files.org cannot be had from {place} ({why}). "
        "Try again later, or another catalog."
    )
    assert tokens.server.requests == {"token/acc/one": requests}


def test_token_is_asked_for_again_when_its_server_is_back(tokens, monkeypatch):
    monkeypatch.setattr(module, "FAILURE_LIFE", dt.timedelta(0))
    tokens.answer = 404
    with pytest.raises(SourceError):
        tokens.access.address(A)
    tokens.answer = None
    assert tokens.access.address(A).signed


# --- keys -------------------------------------------------------------------------------------------


S3 = {"buckets": ["b"], "endpoint": "https://s3.files.org", "region": "here", "virtual_hosting": False}


@pytest.mark.parametrize(
    ("s3", "expected"),
    [
        (
            S3,
            {
                "AWS_NO_SIGN_REQUEST": "YES", "AWS_S3_ENDPOINT": "s3.files.org", "AWS_HTTPS": "YES",
                "AWS_VIRTUAL_HOSTING": "FALSE", "AWS_REGION": "here",
            },
        ),
        (
            {**S3, "keys": True, "endpoint": "http://127.0.0.1:5000", "virtual_hosting": True},
            {
                "AWS_ACCESS_KEY_ID": "KEY", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "",
                "AWS_S3_ENDPOINT": "127.0.0.1:5000", "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "TRUE",
                "AWS_REGION": "here",
            },
        ),
        (
            {"keys": True, "requester_pays": True},
            {
                "AWS_ACCESS_KEY_ID": "KEY", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "",
                "AWS_REQUEST_PAYER": "requester",
            },
        ),
    ],
)  # fmt: skip
def test_settings_of_an_object_store_are_the_registrys(tmp_path, s3, expected):
    address = access_to(tmp_path, KEYS, s3=s3).address("s3://b/x/y.tif")
    assert address.path == "/vsis3/b/x/y.tif" and address.options == expected


def test_keys_of_the_environment_serve_where_none_are_given(tmp_path, monkeypatch):
    for name, value in (("ACCESS_KEY_ID", "E"), ("SECRET_ACCESS_KEY", "s"), ("SESSION_TOKEN", "t")):
        monkeypatch.setenv(f"AWS_{name}", value)
    with_keys = {**S3, "keys": True}
    options = access_to(tmp_path, s3=with_keys).address("s3://b/a.tif").options
    assert (options["AWS_ACCESS_KEY_ID"], options["AWS_SESSION_TOKEN"]) == ("E", "t")
    options = access_to(tmp_path, KEYS, s3=with_keys).address("s3://b/a.tif").options
    assert (options["AWS_ACCESS_KEY_ID"], options["AWS_SESSION_TOKEN"]) == ("KEY", "")
    options = access_to(tmp_path, s3=S3).address("s3://b/a.tif").options
    assert options["AWS_NO_SIGN_REQUEST"] == "YES" and "E" not in options.values()


def test_keys_that_are_needed_and_not_there_are_asked_for_by_name(tmp_path, monkeypatch):
    keyed = access_to(tmp_path, s3={**S3, "keys": True})
    keyed.check(["https://x.org/a.tif", "/a.tif", "s3://other/a.tif"])
    with pytest.raises(InputError, match=r"Mine.*CATALOG_AUTH.*AWS_ACCESS_KEY_ID"):
        keyed.check(["https://x.org/a.tif", "s3://b/a.tif"])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "half")
    with pytest.raises(InputError):
        keyed.check(["s3://b/a.tif"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "whole")
    keyed.check(["s3://b/a.tif"])
    access_to(tmp_path, s3=S3).check(["s3://b/a.tif"])


# --- servers of files -------------------------------------------------------------------------------


def test_login_goes_to_the_catalogs_own_server_alone(tmp_path):
    own = access_to(tmp_path, Credentials("reader", "pass"))
    assert own.address("https://x.org/a.tif").options["GDAL_HTTP_USERPWD"] == "reader:pass"
    for other in (
        "http://x.org/a.tif",
        "https://x.org:444/a.tif",
        "https://y.x.org/a.tif",
        "https://x.org.y/a",
    ):
        assert own.address(other).options == {}


def test_keys_of_an_object_store_are_not_a_login_for_the_catalogs_server(tmp_path):
    own = access_to(tmp_path, KEYS, s3={**S3, "keys": True})
    assert own.address("https://x.org/a.tif").options == {}


def test_address_prints_neither_signature_nor_keys():
    address = Address("/vsicurl/https://x.org/a.tif?sig=T1", {"AWS_SECRET_ACCESS_KEY": "secret"}, signed=True)
    assert "T1" not in repr(address) and "secret" not in repr(address)


def test_replaced_beginning_of_an_href(tmp_path):
    access = access_to(tmp_path, replaced_hrefs={"file://": "https://files.org"})
    assert access.address("file:///data/a.tif").path == "/vsicurl/https://files.org/data/a.tif"


@pytest.mark.parametrize("href", ["gs://b/a.tif", "az://c/a.tif", "ftp://x.org/a.tif", "file:///etc/passwd"])
def test_store_that_is_not_supported_is_said(tmp_path, href):
    with pytest.raises(SourceError, match="not supported"):
        access_to(tmp_path).address(href)


def test_amazons_keys_are_not_looked_for_at_every_file_of_a_server_of_amazons(tmp_path, serve, monkeypatch):
    """rasterio asks boto3, if that is there, and boto3 asks the machine's metadata service: seconds per file."""
    (tmp_path / "amazonaws.com").mkdir()
    with rasterio.open(
        tmp_path / "amazonaws.com" / "a.tif", "w", driver="GTiff", width=4, height=4, count=1, dtype="uint8"
    ) as file:
        file.write(np.ones((1, 4, 4), np.uint8))
    files, metadata = serve(tmp_path), serve(tmp_path)
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
    with opened(f"{files.url}/amazonaws.com/a.tif", access_to(tmp_path)) as source:
        assert source.shape == (4, 4)
    assert not metadata.requests
