"""Reads catalogs that are files: static catalogs, collections, item collections and single items, on disk or
over HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from requests.utils import requote_uri

from ..errors import InputError, SourceError
from ..progress import Progress
from .http import get_json, new_session
from .items import bbox

THREADS = 16  # files of a static catalog that are read at once


def items_on_disk(path: Path, progress: Progress) -> list[dict[str, Any]]:
    """All items of a catalog, collection, item collection or item on disk, hrefs made absolute.

    `path` may be the folder that holds `catalog.json`, `collection.json` or `items.json`. Raises `InputError`
    when nothing is there, `SourceError` when it is no catalog.
    """
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
    return items_of(_read_json(str(path)), str(path.resolve()), _read_json, progress)


def _read_json(path: str) -> Any:
    if re.match(r"^https?://", path, re.IGNORECASE):  # a catalog on disk may lead to the network
        with new_session() as session:
            return get_json(session, path)
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise SourceError(f"{path} is not JSON ({' '.join(str(error).split())}).") from error


def items_of(content: Any, base: str, read: Callable[[str], Any], progress: Progress) -> list[dict[str, Any]]:
    """All items of a catalog's first document, which stands at `base`; `read` fetches the others.

    Raises `SourceError` when the document, or one that it leads to, is not of a catalog.
    """
    kind = content.get("type") if isinstance(content, dict) else None
    if kind == "FeatureCollection" and isinstance(content.get("features"), list):
        return _pages(content, base, read, progress)
    if kind == "Feature":
        return [absolute(content, base)]
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
        items += [absolute(item, base) for item in content["features"]]
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
                    items.append(absolute(node, place))
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


def absolute(item: dict[str, Any], base: str) -> dict[str, Any]:
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
    scheme = urlsplit(href).scheme
    if scheme in ("http", "https") or (re.match(r"^https?://", base) and not scheme):
        return requote_uri(urljoin(base, href))  # GDAL wants spaces and umlauts encoded
    if scheme in ("s3", "gs", "az", "abfs"):
        return href
    if re.match(r"^https?://", base):
        return urljoin(base, href)
    if href.startswith("file://"):
        path = unquote(urlsplit(href).path)
        return path[1:] if re.match(r"^/[A-Za-z]:", path) else path
    path = (Path(base).parent / href).resolve()
    if not path.exists() and "%" in href:
        path = (Path(base).parent / unquote(href)).resolve()
    return str(path)
