"""Finds the items of a place and a time: in a static catalog, an item collection or a STAC API.

The answer is always the same: plain dictionaries with absolute hrefs, filtered here by place and time
whatever the catalog did, sorted by id.
"""

from __future__ import annotations

import functools
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import InputError, SourceError
from ..grid import Bounds
from ..progress import Progress
from ..timeline import parse_instant
from .access import Access
from .api import Query, is_api, search_api
from .entries import Catalog, Limits
from .http import Credentials, bound_auth, get_json, new_session
from .items import bbox
from .registry import Registry
from .static import items_of, items_on_disk

log = logging.getLogger(__name__)

PAGE = 200  # items to ask an API for at once, where nothing is known of it
NETWORK = ("http", "https", "s3", "gs", "az", "abfs", "abfss")


@dataclass(frozen=True)
class Found:
    """`items`: dictionaries. `catalog`: the registry's entry of where they came from, None for others.
    `source`: what the user gave for it."""

    items: list[dict[str, Any]]
    catalog: Catalog | None
    source: str

    @property
    def collections(self) -> list[str]:
        """The ids of the collections that were searched together, the better first; empty where that is not known."""
        return self.catalog.default_ids if self.catalog else []

    def access(self, registry: Registry, credentials: Credentials) -> Access:
        """How the files of the items are reached."""
        return Access(registry, self.catalog, self.catalog.url if self.catalog else self.source, credentials)


def search(
    source: str,
    query: Query,
    registry: Registry,
    progress: Progress,
    credentials: Credentials = Credentials(),  # noqa: B008  (immutable)
) -> Found:
    """The items of a catalog that touch a box and a period, as dictionaries with absolute hrefs.

    `source`: name of a preset, path of a STAC catalog, collection, item collection or item (or of a folder
    that holds `catalog.json`, `collection.json` or `items.json`), or an http(s) URL of one or of a STAC API.
    Items over `query.max_cloud` may be left out, or not: whoever asks looks himself.
    Raises `InputError` when the path or address leads nowhere, `SourceError` when what is there is
    not a catalog or cannot be read.
    """
    preset = registry.preset(source)
    catalog = None
    if preset:
        catalog, collection = preset
        names = [collection.id] if collection else catalog.default_ids
        items = _remote(catalog.url, query, names, catalog, credentials, progress)
    elif re.match(r"^https?://", source, re.IGNORECASE):
        catalog = registry.by_url(source)
        names = catalog.default_ids if catalog else []
        items = _remote(source, query, names, catalog, credentials, progress)
    elif "://" in source:
        raise InputError(
            f"CATALOG has an address of an unknown kind: {source}.", "Use http, https or a path."
        )
    elif not Path(source).exists() and not re.search(r"[/\\.]", source):
        raise InputError(
            f"There is no catalog named {source!r}, and no such file.",
            f"Known: {', '.join(registry.names())}. Or give a path or a URL.",
        )
    else:
        items = items_on_disk(Path(source), progress)
    return Found(_wanted(items, query, source), catalog, source)


def _wanted(items: list[dict[str, Any]], query: Query, source: str) -> list[dict[str, Any]]:
    found = {}
    for item in items:
        try:
            wanted = any(_touches(item, box) for box in query.boxes) and _within(item, query)
        except (TypeError, ValueError, IndexError, AttributeError) as error:
            raise SourceError(
                f"Item {item['id']} of {source} has no valid box or time ({type(error).__name__}: {error})."
            ) from error
        if wanted:
            found[(item.get("collection"), item["id"])] = item
    return [found[key] for key in sorted(found, key=lambda key: (key[1], str(key[0])))]


def _remote(
    url: str,
    query: Query,
    collections: list[str],
    catalog: Catalog | None,
    credentials: Credentials,
    progress: Progress,
) -> list[dict[str, Any]]:
    # Keys of an object store are no business of the catalog's own server.
    keys_only = catalog is not None and catalog.s3 is not None and catalog.s3.keys
    auth = None if keys_only else bound_auth(credentials, url)
    with new_session(auth) as session:
        content = get_json(session, url)
        if isinstance(content, dict) and is_api(content):
            limits = catalog.limits if catalog else Limits()
            items = search_api(
                url,
                content,
                query,
                collections,
                catalog is not None,
                limits.page or PAGE,
                limits.most,
                session,
                progress,
            )
        else:
            items = items_of(content, url, functools.partial(get_json, session), progress)
    replaced = tuple(catalog.replaced_hrefs) if catalog else ()
    for item in items:
        _refuse_local_hrefs(item, url, replaced)
    return items


def _refuse_local_hrefs(item: dict[str, Any], catalog: str, replaced: tuple[str, ...]) -> None:
    """A remote catalog must not make this machine read its own files; `replaced`: beginnings that are never read."""
    for key, asset in item["assets"].items():
        if urlsplit(asset["href"]).scheme not in NETWORK and not asset["href"].startswith(replaced):
            raise SourceError(
                f"Item {item['id']} of {catalog} refers to a file that is not on the network: asset {key}.",
                "Do not use this catalog.",
            )


def _touches(item: dict[str, Any], box: Bounds) -> bool:
    west, south, east, north = bbox(item)
    if west > east:  # over the antimeridian, RFC 7946 5.2
        in_x = box[2] >= west or box[0] <= east
    else:
        in_x = box[2] >= west and box[0] <= east
    return in_x and box[3] >= south and box[1] <= north


def _within(item: dict[str, Any], query: Query) -> bool:
    properties = item["properties"]
    start = properties.get("datetime") or properties.get("start_datetime")
    if not start:
        return False
    return query.first <= parse_instant(start).date() <= query.last
