"""How a file of a catalog is reached: as which path and with which settings and signatures GDAL opens it.

Secrets stay in here: they go to the server they belong to, in settings of the thread that reads.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import requests

from ..errors import InputError, SourceError
from ..secrets import redacted
from ..timeline import UTC, parse_instant
from .entries import S3, Catalog
from .http import TIMEOUT, Credentials, basic, bound_auth, new_session, origin, reason
from .ranges import Ranges
from .registry import Registry

log = logging.getLogger(__name__)

TOKEN_MARGIN = dt.timedelta(minutes=5)  # a token is not used for the last minutes of its life
FAILURE_LIFE = dt.timedelta(seconds=30)  # so long nobody asks again for a token that could not be had
TOKEN_LIFE = dt.timedelta(minutes=45)  # of a token that does not say how long it lives


@dataclass(frozen=True)
class Address:
    """`path`: what GDAL opens. `options`: GDAL's settings for it, which may hold keys. `signed`: whether a
    signature that may expire is in the path. `url`: on a web server, where `headers` ask for ranges of bytes; empty
    elsewhere."""

    path: str = field(repr=False)
    options: dict[str, str] = field(default_factory=dict, repr=False)
    signed: bool = False
    url: str = field(default="", repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)


class Access:
    """Resolves hrefs for one catalog. Thread-safe; tokens are asked for once per container and kept."""

    def __init__(
        self,
        registry: Registry,
        catalog: Catalog | None = None,
        url: str = "",
        credentials: Credentials | None = None,
    ) -> None:
        """`catalog`: its entry, None for one that the registry does not know; `url`: its address, if it has one."""
        self._registry, self._catalog, self._url = registry, catalog, url
        self._credentials = credentials or Credentials()
        self._tokens: dict[str, tuple[str, dt.datetime]] = {}
        self._failed: dict[str, tuple[str, dt.datetime]] = {}  # why a token could not be had, and when
        self._lock = threading.Lock()
        self.ranges = Ranges()

    def address(self, href: str, refused: Address | None = None) -> Address:
        """The address of an href; `refused`: an earlier one whose signature the server did not accept.

        Raises `SourceError` when a signature cannot be had.
        """
        for beginning, other in (self._catalog.replaced_hrefs if self._catalog else {}).items():
            if href.startswith(beginning):
                href = other + href[len(beginning) :]
        scheme = urlsplit(href).scheme.lower()
        if scheme == "s3":
            return Address("/vsis3/" + href[5:], self._s3_options(href))
        if scheme not in ("http", "https"):
            if "://" in href:
                raise SourceError(
                    f"The file {redacted(href)} is in a kind of store that is not supported.", lasting=True
                )
            return Address(href)
        token_url = self._registry.token_url(href)
        if token_url:
            token = self._token(token_url, href, refused)
            url = f"{href}{'&' if '?' in href else '?'}{token}"
            return Address(f"/vsicurl/{url}", signed=True, url=url)
        return self._http_address(href)

    def query_of(self, href: str) -> str:
        """The signature of an address, without question mark; empty where it needs none. Raises `SourceError`."""
        url = self._registry.token_url(href)
        return self._token(url, href, None) if url else ""

    def check(self, hrefs: list[str]) -> None:
        """Raises `InputError` before anything is read when files need keys that nobody has given."""
        for href in hrefs:
            s3 = self._registry.s3_for(href, self._catalog) if href.lower().startswith("s3://") else None
            if s3 and s3.keys and not self._keys():
                raise InputError(
                    f"The files of {self._name(s3)} are in an object store that needs keys.",
                    "Choose them in CATALOG_AUTH (access key as user name, secret key as password), or set "
                    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment.",
                )

    def _name(self, s3: S3) -> str:
        return self._catalog.title if self._catalog else s3.endpoint

    def _keys(self) -> dict[str, str]:
        """GDAL's settings with the user's keys, else with those of the environment."""
        keys = self._credentials.s3_keys
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return dict(zip(names, keys, strict=True)) if keys else {}

    def _s3_options(self, href: str) -> dict[str, str]:
        s3 = self._registry.s3_for(href, self._catalog)
        options = {}
        keys = self._keys()
        if keys and (s3 is None or s3.keys or s3.requester_pays):
            options |= keys
        else:
            options["AWS_NO_SIGN_REQUEST"] = "YES"
        if s3 is None:
            return options
        if s3.endpoint:
            parts = urlsplit(s3.endpoint)
            options["AWS_S3_ENDPOINT"] = parts.netloc
            options["AWS_HTTPS"] = "NO" if parts.scheme == "http" else "YES"
            options["AWS_VIRTUAL_HOSTING"] = "TRUE" if s3.virtual_hosting else "FALSE"
        if s3.region:
            options["AWS_REGION"] = s3.region
        if s3.requester_pays:
            options["AWS_REQUEST_PAYER"] = "requester"
        return options

    def _http_address(self, href: str) -> Address:
        """Credentials go to the catalog's own server alone."""
        given, catalog = self._credentials, self._catalog
        keys_only = catalog is not None and catalog.s3 is not None and catalog.s3.keys
        # Without its prefix rasterio would look for keys of Amazon's for every file on a server of Amazon's.
        path = f"/vsicurl/{href}"
        if not given.given or keys_only or origin(href) != origin(self._url):
            return Address(path, url=href)
        if not given.header:
            login = f"{given.username}:{given.password}"
            options = {"GDAL_HTTP_USERPWD": login, "GDAL_HTTP_AUTH": "BASIC"}
            return Address(
                path, options, url=href, headers={"Authorization": basic(given.username, given.password)}
            )
        if given.header.lower() != "authorization":
            # Any other header GDAL would send along to wherever a redirect leads.
            end = self._end_of(href)
            if origin(end) != origin(href):
                return Address(f"/vsicurl/{end}", url=end)
        # The line's end keeps GDAL from taking commas and quotation marks for its own.
        options = {"GDAL_HTTP_HEADERS": f"{given.header}: {given.value}\r\n"}
        return Address(path, options, url=href, headers={given.header: given.value})

    def _end_of(self, href: str) -> str:
        """Where an href leads to in the end."""
        try:
            with new_session(bound_auth(self._credentials, self._url)) as session:
                return session.head(href, timeout=TIMEOUT, allow_redirects=True).url
        except requests.RequestException as error:
            raise SourceError(f"The file {redacted(href)} cannot be read ({reason(error)}).") from error

    def _token(self, url: str, href: str, refused: Address | None) -> str:
        with self._lock:
            token, until = self._tokens.get(url, ("", dt.datetime.min.replace(tzinfo=UTC)))
            # Of several threads that were refused with one token, the first renews it for all.
            if dt.datetime.now(UTC) <= until and not (refused and refused.path.endswith(token)):
                return token
            why, failed = self._failed.get(url, ("", dt.datetime.min.replace(tzinfo=UTC)))
            # Nor do the others go through all attempts again when the first has just failed.
            if dt.datetime.now(UTC) - failed > FAILURE_LIFE:
                try:
                    self._tokens[url] = _new_token(url)
                    return self._tokens[url][0]
                except requests.RequestException as error:
                    why = reason(error)
                except (KeyError, TypeError, ValueError, AttributeError):
                    why = "its answer holds no token"
                self._failed[url] = why, dt.datetime.now(UTC)
            raise SourceError(
                f"The signature for files of {urlsplit(href).netloc} cannot be had from {redacted(url)} ({why}).",
                "Try again later, or another catalog.",
                lasting=why in {f"HTTP {status}" for status in (400, 401, 403, 404, 410)},
            )


def _new_token(url: str) -> tuple[str, dt.datetime]:
    """A token and until when it may be used."""
    with new_session() as session:
        answer = session.get(url, timeout=TIMEOUT, headers={"Accept": "application/json"})
    answer.raise_for_status()
    content, now = answer.json(), dt.datetime.now(UTC)
    expiry = content.get("msft:expiry")
    life = parse_instant(expiry) - now if expiry else TOKEN_LIFE
    return content["token"].lstrip("?"), now + life - min(TOKEN_MARGIN, life / 2)
