"""Searches STAC APIs, through pystac-client."""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import pystac
import requests
from pystac_client import Client, ConformanceClasses
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from pystac_client.warnings import DoesNotConformTo, PystacClientWarning

from ..errors import SourceError
from ..grid import Bounds
from ..progress import Progress
from ..secrets import redacted
from .http import DENIED, DENIED_HINT, TIMEOUT, reason
from .static import absolute

log = logging.getLogger(__name__)

CUT_SHORT = 1000  # APIs that end a search without a word do it after so many items
# Collections of Sentinel-2 L2A in known APIs, the better first; used when an address names none.
SENTINEL2_COLLECTIONS = (
    "sentinel-2-c1-l2a",
    "sentinel-2-l2a",
    "sentinel-s2-l2a-cogs",
    "s2_l2a_c1",
    "s2_l2a",
)


LATER = "Try again later, or another catalog."


@dataclass(frozen=True)
class Query:
    """What is looked for. `lonlat`: (west, south, east, north) in degrees, west > east across the antimeridian.
    `first`, `last`: UTC days, both inclusive. `max_cloud`: per cent of a scene, 100 for all."""

    lonlat: Bounds
    first: dt.date
    last: dt.date
    max_cloud: float = 100.0

    @property
    def boxes(self) -> list[Bounds]:
        """Boxes whose west is west of their east: APIs disagree on what else means."""
        west, south, east, north = self.lonlat
        if west <= east:
            return [self.lonlat]
        return [(west, south, 180.0, north), (-180.0, south, east, north)]


def is_api(content: dict[str, Any]) -> bool:
    """A landing page, or a collection of an API, whose items are behind a link instead of in files."""
    rels = {link.get("rel") for link in content.get("links", []) if isinstance(link, dict)}
    return (
        "conformsTo" in content
        or "search" in rels
        or (content.get("type") == "Collection" and "items" in rels)
    )


def search_api(
    url: str,
    landing: dict[str, Any],
    query: Query,
    collections: list[str],
    known: bool,
    page: int,
    most: int | None,
    session: requests.Session,
    progress: Progress,
) -> list[dict[str, Any]]:
    """The items of a STAC API, as dictionaries with absolute hrefs.

    `landing`: the document at `url`, which is not asked for again. `collections`: what to search; empty for the
    API's best one of Sentinel-2. `known`: whether all items of these collections are known to declare their cloud
    cover. `page`: items to ask for at once. `most`: items after which it ends a search, where that is known.
    Raises `SourceError`.
    """
    known_documents = {url: landing}
    named = re.match(r"^(?P<root>.+)/collections/(?P<id>[^/?]+)/?$", url)
    if landing.get("type") == "Collection" and named:
        url, collections = named["root"], [named["id"]]
    try:
        io = _Io(known_documents)
        io.session = session
        with warnings.catch_warnings():
            # An API that does not say that it knows a search, or a filter in it, may know it all the same.
            warnings.simplefilter("ignore", PystacClientWarning)
            client = Client.open(url, stac_io=io, timeout=TIMEOUT)  # which would take that of `io` away
            if client.get_links("search"):
                client.add_conforms_to("ITEM_SEARCH")
            collections = collections or _sentinel2_collections(client)
            items = _search(client, query, collections, known, page, most or CUT_SHORT, progress)
    except APIError as error:
        # pystac-client leaves the status out of an error without an answer.
        status, cause = getattr(error, "status_code", None), error.__context__
        if status:
            raise _failed(url, f"HTTP {status}", DENIED_HINT if status in DENIED else LATER) from error
        known_cause = isinstance(cause, requests.RequestException)
        raise _failed(url, reason(cause) if known_cause else _brief(error)) from error
    except DoesNotConformTo as error:
        raise SourceError(
            f"The API at {url} does not offer a search of items.",
            "Give the address of one that does, or of a catalog.",
        ) from error
    except requests.RequestException as error:
        raise _failed(url, reason(error)) from error
    except json.JSONDecodeError as error:
        raise _failed(url, "its answer is not JSON") from error
    except (pystac.STACError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise _failed(url, _brief(error)) from error
    return [absolute(item, url) for item in items]


def _failed(url: str, why: str, hint: str = LATER) -> SourceError:
    return SourceError(f"The search in {url} failed ({why}).", hint)


def _brief(error: Exception) -> str:
    return redacted(" ".join(str(error).split()))[:200]


class _Io(StacApiIO):
    """pystac-client's way to an API, but nothing except the network is read, and an answer that is no page of
    items or collections is an error, not the end of the pages. `known`: documents that were read before, by
    address."""

    def __init__(self, known: dict[str, Any]) -> None:
        super().__init__(max_retries=None)
        self._known = known

    def read_text(self, source: Any, *args: Any, **kwargs: Any) -> str:
        href = source.href if isinstance(source, pystac.Link) else str(source)
        if not href.lower().startswith(("http://", "https://")):
            raise ValueError(f"it links to {href}, which is not on the network")
        if href in self._known:
            return json.dumps(self._known[href])
        return super().read_text(source, *args, **kwargs)

    def get_pages(
        self, url: str, method: str | None = None, parameters: dict[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        page, seen = self.read_json(url, method=method, parameters=parameters), set()
        while True:
            parts = [page.get(name) for name in ("features", "collections")] if isinstance(page, dict) else []
            if not any(isinstance(part, list) for part in parts):
                raise ValueError("its answer is no list of items or collections")
            if not any(parts):
                return
            yield page
            link = next((link for link in page.get("links") or [] if link.get("rel") == "next"), None)
            if link is None:
                return
            if json.dumps(link) in seen:
                raise ValueError("its pages lead in a circle")
            seen.add(json.dumps(link))
            following = pystac.Link.from_dict({**link, "href": urljoin(url, link["href"])})
            page = self.read_json(following, parameters=parameters)


def _search(
    client: Client,
    query: Query,
    collections: list[str],
    known: bool,
    page_size: int,
    most: int,
    progress: Progress,
) -> list[dict[str, Any]]:
    """All pages of all boxes; a period whose answer is cut short is halved until nothing is missing."""
    items = []
    method = _method(client)
    waiting = [
        (box, query.first - dt.timedelta(days=1), query.last + dt.timedelta(days=1)) for box in query.boxes
    ]
    while waiting:
        box, first, last = waiting.pop()
        found = client.search(
            method=method,
            collections=collections,
            bbox=list(box),
            # The next midnight: an item of the last second's fraction must not fall between two halves.
            datetime=f"{first}T00:00:00Z/{last + dt.timedelta(days=1)}T00:00:00Z",
            limit=page_size,
            **_cloud_filter(client, method, query.max_cloud, collections, known),
        )
        part, matched = [], 0
        for page in found.pages_as_dicts():
            part += page["features"]
            matched = max(matched, _matched(page))
            progress.raise_if_cancelled()
        if part and len(part) % most == 0 and first < last:
            middle = first + (last - first) // 2
            waiting += [(box, first, middle), (box, middle + dt.timedelta(days=1), last)]
            continue
        if len(part) < matched:
            log.warning("%s found %d items and gave %d of them.", client.self_href, matched, len(part))
        items += part
        log.info("%s: %d items so far", client.self_href, len(items))
    return items


def _matched(page: dict[str, Any]) -> int:
    """How many items the API says that there are in all; 0 where it does not say."""
    value = page.get("numberMatched", (page.get("context") or {}).get("matched"))
    return value if isinstance(value, int) else 0


def _method(client: Client) -> str:
    """POST, but for APIs whose landing page offers a search by GET alone."""
    offered = {str(link.extra_fields.get("method", "")).upper() for link in client.get_links("search")}
    return "GET" if offered == {"GET"} else "POST"


def _cloud_filter(
    client: Client, method: str, max_cloud: float, collections: list[str], known: bool
) -> dict[str, Any]:
    """The clause that leaves cloudy items out, in a language that the API says it knows.

    Items that do not say how cloudy they are stay, so the simpler `query`, which cannot say that, serves only
    where every item is known to say it.
    """
    if max_cloud >= 100:
        return {}
    said = " ".join(client.to_dict().get("conformsTo") or [])
    cover = {"property": "eo:cloud_cover"}
    if client.conforms_to(ConformanceClasses.FILTER) and re.search(r"basic-cql2", said, re.IGNORECASE):
        if method == "GET":  # whose language is text
            few = f'"eo:cloud_cover" <= {max_cloud:g}'
            return {
                "filter": few if known else f'{few} OR "eo:cloud_cover" IS NULL',
                "filter_lang": "cql2-text",
            }
        few = {"op": "<=", "args": [cover, max_cloud]}
        return {
            "filter": few if known else {"op": "or", "args": [few, {"op": "isNull", "args": [cover]}]},
            "filter_lang": "cql2-json",
        }
    if client.conforms_to(ConformanceClasses.QUERY) and (known or _all_declare_cover(client, collections)):
        return {"query": {"eo:cloud_cover": {"lte": max_cloud}}}
    return {}


def _all_declare_cover(client: Client, collections: list[str]) -> bool:
    """Whether the collections' summaries have the cloud cover, which then is a property of all their items."""
    documents = [client.get_collection(name).to_dict() for name in collections]
    return all("eo:cloud_cover" in (document.get("summaries") or {}) for document in documents)


def _sentinel2_collections(client: Client) -> list[str]:
    have = [collection.id for collection in client.get_collections()]
    for name in SENTINEL2_COLLECTIONS:
        if name in have:
            return [name]
    return [name for name in have if re.search(r"sentinel-?_?2|(^|_)s2", name.lower())] or have
