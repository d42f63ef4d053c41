"""Finds the items of a place and a time: in a static catalog, an item collection or a STAC API.

The answer is always the same: plain dictionaries with absolute hrefs, filtered here by place and time
whatever the catalog did, sorted by id.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pystac
import requests
from pystac_client import Client
from pystac_client.exceptions import APIError
from pystac_client.warnings import DoesNotConformTo
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from ..errors import InputError, SourceError
from ..grid import Bounds
from ..progress import Progress
from ..secrets import redacted
from ..timeline import parse_instant
from .items import bbox

log = logging.getLogger(__name__)

TIMEOUT = (10, 60)  # seconds to connect, to answer
RETRIES = Retry(
    total=5,
    backoff_factor=0.5,
    status_forcelist=(429, 500, 502, 503, 504),
    allowed_methods=None,
    respect_retry_after_header=True,
)
PAGE = 200
THREADS = 16  # files of a static catalog that are read at once
# Collections of Sentinel-2 L2A in known APIs, the better first; used when an address names none.
SENTINEL2_COLLECTIONS = (
    "sentinel-2-c1-l2a",
    "sentinel-2-l2a",
    "sentinel-s2-l2a-cogs",
    "s2_l2a_c1",
    "s2_l2a",
)


def search(
    catalog: str, lonlat: Bounds, first: dt.date, last: dt.date, progress: Progress
) -> list[dict[str, Any]]:
    """The items of `catalog` that touch a box and a period, as dictionaries with absolute hrefs.

    `catalog`: path of a STAC catalog, collection, item collection or item (or of a folder that holds
    `catalog.json`, `collection.json` or `items.json`), or an http(s) URL of one or of a STAC API.
    `lonlat`: (west, south, east, north) in degrees. `first`, `last`: UTC days of the items'
    times, both inclusive.
    Raises `InputError` when the path or address leads nowhere, `SourceError` when what is there is
    not a catalog or cannot be read.
    """
    if re.match(r"^https?://", catalog, re.IGNORECASE):
        items = _remote(catalog, lonlat, first, last, progress)
    elif "://" in catalog:
        raise InputError(
            f"CATALOG has an address of an unknown kind: {catalog}.", "Use http, https or a path."
        )
    else:
        items = _local(Path(catalog), progress)
    found = {}
    for item in items:
        try:
            wanted = _touches(item, lonlat) and _within(item, first, last)
        except (TypeError, ValueError, IndexError, AttributeError) as error:
            raise SourceError(
                f"Item {item['id']} of {catalog} has no valid box or time ({type(error).__name__}: {error})."
            ) from error
        if wanted:
            found[(item.get("collection"), item["id"])] = item
    return [found[key] for key in sorted(found, key=lambda key: (key[1], str(key[0])))]


def _local(path: Path, progress: Progress) -> list[dict[str, Any]]:
    if path.is_dir():
        names = [
            name for name in ("catalog.json", "collection.json", "items.json") if (path / name).is_file()
        ]
        if not names:
            raise InputError(
                f"The folder {path} holds no catalog.",
                "Expected catalog.json, collection.json or items.json.",
            )
        path = path / names[0]
    if not path.is_file():
        raise InputError(
            f"CATALOG does not exist: {path}.", "Give the path of a catalog or item collection, or a URL."
        )
    return _static(_read_json(str(path)), str(path.resolve()), _read_json, progress)


def _read_json(path: str) -> Any:
    if re.match(r"^https?://", path, re.IGNORECASE):  # a catalog on disk may lead to the network
        with _session() as session:
            return _get_json(session, path)
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise SourceError(f"{path} is not JSON ({' '.join(str(error).split())}).") from error


def _remote(
    url: str, lonlat: Bounds, first: dt.date, last: dt.date, progress: Progress
) -> list[dict[str, Any]]:
    with _session() as session:
        content = _get_json(session, url)
        if isinstance(content, dict) and _is_api(content):
            items = _search_api(url, content, lonlat, first, last, progress)
        else:
            items = _static(content, url, functools.partial(_get_json, session), progress)
    for item in items:
        _refuse_local_hrefs(item, url)
    return items


def _session() -> requests.Session:
    """A session that asks again, with pauses, where that may help."""
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=RETRIES))
    return session


def _get_json(session: requests.Session, url: str) -> Any:
    if not url.lower().startswith(("http://", "https://")):
        raise SourceError(
            f"A remote catalog links to {url}, which is not on the network.", "Do not use this catalog."
        )
    try:
        answer = session.get(
            url, timeout=TIMEOUT, headers={"Accept": "application/geo+json, application/json"}
        )
        answer.raise_for_status()
    except requests.RequestException as error:
        raise SourceError(
            f"The catalog at {url} does not answer ({_reason(error)}).",
            "Check the address and the network, or try again later.",
        ) from error
    try:
        return answer.json()
    except ValueError as error:
        kind = answer.headers.get("Content-Type", "no content type").split(";")[0]
        raise SourceError(
            f"The catalog at {url} answers with {kind}, not with JSON.",
            "Give the address of a STAC API or of a catalog's JSON file, not of a web page.",
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, requests.HTTPError):
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "time-out"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted"
    return "no connection" if isinstance(error, requests.ConnectionError) else type(error).__name__


def _is_api(content: dict[str, Any]) -> bool:
    """A landing page, or a collection of an API, whose items are behind a link instead of in files."""
    rels = {link.get("rel") for link in content.get("links", [])}
    return (
        "conformsTo" in content
        or "search" in rels
        or (content.get("type") == "Collection" and "items" in rels)
    )


def _search_api(url, landing, lonlat, first, last, progress):
    collections = None
    collection = re.match(r"^(?P<root>.+)/collections/(?P<id>[^/?]+)/?$", url)
    if landing.get("type") == "Collection" and collection:
        url, collections = collection["root"], [collection["id"]]
    west, south, east, north = lonlat
    try:
        client = Client.open(url, timeout=TIMEOUT)
        client._stac_io.session.mount("https://", HTTPAdapter(max_retries=RETRIES))
        client._stac_io.session.mount("http://", HTTPAdapter(max_retries=RETRIES))
        collections = collections or _sentinel2_collections(client)
        query = client.search(
            collections=collections,
            bbox=[west, south, east, north],
            datetime=f"{first - dt.timedelta(days=1)}T00:00:00Z/{last + dt.timedelta(days=1)}T23:59:59Z",
            limit=PAGE,
        )
        items = []
        for page in query.pages_as_dicts():
            items += page["features"]
            progress.raise_if_cancelled()
            log.info("%s: %d items so far", url, len(items))
    except APIError as error:
        reason = (
            f"HTTP {error.status_code}" if error.status_code else redacted(" ".join(str(error).split()))[:200]
        )
        raise SourceError(
            f"The search in {url} failed ({reason}).", "Try again later, or another catalog."
        ) from error
    except DoesNotConformTo as error:
        raise SourceError(
            f"The API at {url} does not offer a search of items.",
            "Give the address of one that does, or of a catalog.",
        ) from error
    except (requests.RequestException, pystac.STACError, KeyError) as error:
        reason = redacted(" ".join(str(error).split()))[:200]
        raise SourceError(
            f"The search in {url} failed ({reason}).", "Try again later, or another catalog."
        ) from error
    return [_absolute(item, url) for item in items]


def _sentinel2_collections(client: Client) -> list[str]:
    have = [collection.id for collection in client.get_collections()]
    for known in SENTINEL2_COLLECTIONS:
        if known in have:
            return [known]
    return [name for name in have if re.search(r"sentinel-?_?2|(^|_)s2", name.lower())] or have


def _static(content: Any, base: str, read: Callable[[str], Any], progress: Progress) -> list[dict[str, Any]]:
    kind = content.get("type") if isinstance(content, dict) else None
    if kind == "FeatureCollection" and isinstance(content.get("features"), list):
        return _pages(content, base, read, progress)
    if kind == "Feature":
        return [_absolute(content, base)]
    if kind not in ("Catalog", "Collection"):
        raise SourceError(
            f"{base} is JSON but no STAC catalog, collection or item collection.",
            "Give the address of one, or of a STAC API.",
        )
    return _walk(content, base, read, progress)


def _pages(content: dict, base: str, read: Callable[[str], Any], progress: Progress) -> list[dict[str, Any]]:
    """The items of an item collection and of those that its `next` links lead to."""
    items, seen = [], set()
    while True:
        if not isinstance(content, dict) or not isinstance(content.get("features"), list):
            raise SourceError(f"{base} is no page of items.")
        items += [_absolute(item, base) for item in content["features"]]
        links = [link for link in content.get("links") or [] if link.get("rel") == "next" and "href" in link]
        if not links:
            return items
        if links[0].get("method", "GET").upper() != "GET":
            raise SourceError(
                f"{base} is one page of several, which only the API itself can turn.",
                "Give the address of the API.",
            )
        base = _join(base, links[0]["href"])
        if base in seen:
            raise SourceError(f"The pages of {base} lead in a circle.")
        seen.add(base)
        progress.raise_if_cancelled()
        content = read(base)


def _walk(content: dict, base: str, read: Callable[[str], Any], progress: Progress) -> list[dict[str, Any]]:
    """All items below a static catalog, its files read concurrently, level by level.

    Only `child` and `item` links are followed, so a part of a catalog works without the rest.
    """
    items, seen, level = [], {base}, [(base, content)]
    with ThreadPoolExecutor(THREADS) as pool:
        while level:
            links = []
            for place, node in level:
                if node.get("type") == "Feature":
                    items.append(_absolute(node, place))
                for link in node.get("links") or []:
                    followed = link.get("rel") in ("child", "item") and "href" in link
                    href = _join(place, link["href"]) if followed else place
                    if href not in seen:
                        seen.add(href)
                        links.append(href)
            progress.raise_if_cancelled()
            level = list(zip(links, pool.map(read, links), strict=True))
            for place, node in level:
                if not isinstance(node, dict) or node.get("type") not in ("Catalog", "Collection", "Feature"):
                    raise SourceError(f"{base} links to {place}, which is no catalog, collection or item.")
    return items


def _absolute(item: dict[str, Any], base: str) -> dict[str, Any]:
    """The item with absolute asset hrefs; relative ones are relative to the file that holds the item."""
    try:
        assets = item["assets"]
        item["id"], item["properties"], bbox(item)
        for asset in assets.values():
            asset["href"] = _join(base, asset["href"])
    except (KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"An item of {base} is not a valid STAC item (no {error}).") from error
    return item


def _join(base: str, href: str) -> str:
    if urlsplit(href).scheme in ("http", "https", "s3", "gs", "az", "abfs"):
        return href
    if re.match(r"^https?://", base):
        return urljoin(base, href)
    if href.startswith("file://"):
        path = unquote(urlsplit(href).path)
        return path[1:] if re.match(r"^/[A-Za-z]:", path) else path
    return str((Path(base).parent / href).resolve())


def _refuse_local_hrefs(item: dict[str, Any], catalog: str) -> None:
    """A remote catalog must not make this machine read its own files."""
    for key, asset in item["assets"].items():
        if urlsplit(asset["href"]).scheme not in ("http", "https", "s3"):
            raise SourceError(
                f"Item {item['id']} of {catalog} refers to a file that is not on the network: asset {key}.",
                "Do not use this catalog.",
            )


def _touches(item: dict[str, Any], lonlat: Bounds) -> bool:
    west, south, east, north = bbox(item)
    if west > east:  # over the antimeridian, RFC 7946 5.2
        in_x = lonlat[2] >= west or lonlat[0] <= east
    else:
        in_x = lonlat[2] >= west and lonlat[0] <= east
    return in_x and lonlat[3] >= south and lonlat[1] <= north


def _within(item: dict[str, Any], first: dt.date, last: dt.date) -> bool:
    properties = item["properties"]
    start = properties.get("datetime") or properties.get("start_datetime")
    if not start:
        return False
    return first <= parse_instant(start).date() <= last
