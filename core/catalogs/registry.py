"""The catalogs and climate stores that are known by name, and which catalog an address or an item is of.

They are data, `registry.json`; a file of a user in the same form is merged over it. Nothing here reads the network.
"""

from __future__ import annotations

import dataclasses
import json
import re
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import InputError
from ..secrets import holds_secret
from .entries import S3, Catalog, ClimateStore, Collection, place_of

FILE = Path(__file__).with_name("registry.json")
LINKS = ("collection", "root", "parent", "self", "canonical")  # of an item, that tell whose it is


@dataclass(frozen=True)
class Registry:
    """All known catalogs and stores of climate data, a user's included."""

    catalogs: tuple[Catalog, ...]
    climate: tuple[ClimateStore, ...] = ()

    def names(self) -> list[str]:
        """The ids of the presets, for help and messages."""
        return [catalog.id for catalog in self.catalogs]

    def preset(self, text: str) -> tuple[Catalog, Collection | None] | None:
        """What a text like `earth-search` or `e84/sentinel-2-l2a` names, in capitals or not; the collection is
        None when the text has none. None when the text is no preset but, say, an address or a path.

        Raises `InputError` for a known catalog with a collection that is not.
        """
        name, slash, wanted = text.strip().lower().partition("/")
        catalog = next((each for each in self.catalogs if name in (each.id, *each.aliases)), None)
        if catalog is None or (slash and not re.fullmatch(r"[\w-]+", wanted)):
            return None
        collection = next((each for each in catalog.collections if each.id.lower() == wanted), None)
        if slash and collection is None:
            raise InputError(
                f"The catalog {catalog.id} has no collection {wanted} that is known here.",
                f"Known are: {', '.join(each.id for each in catalog.collections)}.",
            )
        return catalog, collection

    def climate_store(self, text: str) -> ClimateStore | None:
        """The store of climate data that a text names: a preset's name, in capitals or not, or its address."""
        name, place = text.strip().lower(), place_of(text)
        before, colon, after = text.strip().partition(":")
        for store in self.climate:
            if colon and not store.url and before.lower() in (store.id, *store.aliases):
                return dataclasses.replace(store, url=after)
            if not store.url:
                continue
            if name in (store.id, *store.aliases) or text.strip() == store.url:
                return store
            if place and place == place_of(store.url):
                return store
        return None

    def by_url(self, url: str) -> Catalog | None:
        """The catalog that an address of a STAC API, or anything below it, belongs to; http or https."""
        place, length, found = place_of(url), 0, None
        for catalog in self.catalogs:
            for known in map(place_of, (catalog.url, *catalog.other_urls)):
                if len(known) > length and place[: len(known)] == known:
                    length, found = len(known), catalog
        return found

    def catalog_of(self, item: dict[str, Any]) -> Catalog | None:
        """The catalog that an item comes from, wherever it was copied to: by its links, else by where its
        bands' files lie; in both cases only if the catalog has a collection of the item's collection id."""
        links = [
            link for link in item.get("links") or [] if isinstance(link, dict) and link.get("rel") in LINKS
        ]
        linked = [self.by_url(str(link.get("href") or "")) for link in links]
        owners = [(each, _collection(each, item)) for each in self.catalogs]
        owners = [(each, collection) for each, collection in owners if collection]
        found = [each for each, _ in owners if each in linked]
        found += [each for each, collection in owners if _holds(collection, item)]
        return found[0] if found else None

    def collection_of(self, catalog: Catalog | None, item: dict[str, Any]) -> Collection | None:
        """The entry of an item of `catalog`; with None, of the catalog that the item itself tells. None when
        it is not known: a collection id alone says nothing, several catalogs use the same for other numbers."""
        catalog = catalog or self.catalog_of(item)
        return _collection(catalog, item) if catalog else None

    def token_url(self, href: str) -> str | None:
        """Where the token is to be had with which an href is signed, whichever catalog it was found in; None for
        an href that needs no signature."""
        found = (each.signing.token_url(href) for each in self.catalogs if each.signing)
        return next((url for url in found if url), None)

    def s3_for(self, href: str, catalog: Catalog | None = None) -> S3 | None:
        """How an s3:// href of `catalog` is read, with None of any that names the bucket; None when not known."""
        parts = urlsplit(href)
        if parts.scheme != "s3":
            return None
        for entry in (each.s3 for each in ((catalog,) if catalog else self.catalogs) if each.s3):
            if parts.netloc in entry.buckets or (catalog and not entry.buckets):
                return entry
        return None


def load_registry(user_file: str = "") -> Registry:
    """Our catalogs and climate stores, with the file of a user merged over them (path of a JSON file,
    `{"catalogs": [...], "climate": [...]}`, either of which may be left out).

    An entry with the id of ours changes it: fields that are given win, objects are merged field by field (null
    takes away), collections by id, other lists are replaced. An entry with another id is added.
    Raises `InputError`, naming file, entry and field, when the file cannot be used.
    """
    name = FILE.name
    lists = {key: _by_id([], entries, name) for key, entries in _read(FILE, name).items()}
    if user_file:
        name = user_file
        for key, entries in _read(Path(user_file), name).items():
            lists[key] = _by_id(lists[key], entries, name)
    catalogs = _value(tuple[Catalog, ...], lists["catalogs"], name)
    climate = _value(tuple[ClimateStore, ...], lists["climate"], name)
    names: dict[str, str] = {}
    for store in climate:
        for key in (store.id, *store.aliases):
            if names.setdefault(key, store.id) != store.id:
                raise InputError(f"{name}, entry {store.id}: its name {key} is already one of {names[key]}.")
    owners: dict[Any, str] = {}
    for catalog in catalogs:
        places = [place_of(url) for url in (catalog.url, *catalog.other_urls)]
        for key in (catalog.id, *catalog.aliases, *places):
            if owners.setdefault(key, catalog.id) != catalog.id:
                shown = f"name {key}" if isinstance(key, str) else f"address {'/'.join(key)}"
                raise InputError(
                    f"{name}, entry {catalog.id}: its {shown} is already one of {owners[key]}.",
                    "Give an entry's own id to change it, and new names and addresses to add one.",
                )
    return Registry(catalogs, climate)


def _read(path: Path, name: str) -> dict[str, list[Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"The list of catalogs {name} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise InputError(
            f"The list of catalogs {name} is not JSON ({' '.join(str(error).split())})."
        ) from error
    if (
        not isinstance(content, dict)
        or not content
        or not set(content) <= {"catalogs", "climate"}
        or not all(isinstance(entries, list) for entries in content.values())
    ):
        raise InputError(
            f'{name} is no list of catalogs: it has to be {{"catalogs": [...], "climate": [...]}} and nothing else.'
        )
    return content


def _by_id(ours: list[dict], theirs: list[Any], place: str) -> list[dict]:
    merged, given = {entry["id"]: entry for entry in ours}, set()
    for position, entry in enumerate(theirs, 1):
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
            raise InputError(f"{place}, entry {position}: there is no id.", "Every entry needs one, a text.")
        key = entry["id"]
        if key in given:
            raise InputError(f"{place}: the id {key} stands there twice.")
        given.add(key)
        merged[key] = _merged(merged.get(key, {}), entry, f"{place}, entry {key}")
    return list(merged.values())


def _merged(ours: dict[str, Any], theirs: dict[str, Any], place: str) -> dict[str, Any]:
    merged = dict(ours)
    for name, value in theirs.items():
        old = merged.get(name)
        if name == "collections" and isinstance(value, list):
            merged[name] = _by_id(old or [], value, f"{place}, field collections")
        elif isinstance(value, dict) and isinstance(old, dict):
            merged[name] = _merged(old, value, f"{place}, field {name}")
        else:
            merged[name] = value
    return merged


def _value(hint: Any, value: Any, place: str) -> Any:
    """The JSON value as `hint` wants it: a frozen dataclass, a tuple or dictionary, a number, a text, None."""
    if typing.get_origin(hint) is types.UnionType:
        return None if value is None else _value(typing.get_args(hint)[0], value, place)
    kind = typing.get_origin(hint) or hint
    is_class = dataclasses.is_dataclass(kind)
    wanted = dict if is_class else {tuple: list, float: (int, float)}.get(kind, kind)
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
        expected = "an object" if is_class else EXPECTED[kind]
        raise InputError(f"{place}: expected {expected}, found {FOUND[type(value)]}.")
    if kind is str and holds_secret(value):
        raise InputError(f"{place}: it holds a password, a token or a key.", "Leave it out.")
    if is_class:
        return _instance(kind, value, place)
    if kind is tuple:
        names = [each.get("id", n) if isinstance(each, dict) else n for n, each in enumerate(value, 1)]
        inner = typing.get_args(hint)[0]
        return tuple(_value(inner, each, f"{place}, entry {names[n]}") for n, each in enumerate(value))
    if kind is dict:
        return {key: _value(str, each, f"{place}, {key}") for key, each in value.items() if each is not None}
    return float(value) if kind is float else value


def _instance(cls: type, values: dict[str, Any], place: str) -> Any:
    fields, hints = {each.name: each for each in dataclasses.fields(cls)}, typing.get_type_hints(cls)
    for name in values:
        if name not in fields:
            raise InputError(f"{place}: there is no field {name}.", f"Known fields: {', '.join(fields)}.")
    for name, each in fields.items():
        if name not in values and each.default is each.default_factory is dataclasses.MISSING:
            raise InputError(f"{place}: the field {name} is missing.")
    made = cls(
        **{name: _value(hints[name], value, f"{place}, field {name}") for name, value in values.items()}
    )
    for name, reason in made.problems():
        raise InputError(f"{place}, field {name}: {reason}.")
    return made


EXPECTED = {
    tuple: "a list", dict: "an object", str: "a text", bool: "true or false", int: "a whole number", float: "a number"
}  # fmt: skip
FOUND = {
    list: "a list", dict: "an object", str: "a text", bool: "true or false", int: "a number", float: "a number",
    type(None): "null",
}  # fmt: skip


def _collection(catalog: Catalog, item: dict[str, Any]) -> Collection | None:
    return next((each for each in catalog.collections if each.id == item.get("collection")), None)


def _holds(collection: Collection, item: dict[str, Any]) -> bool:
    """Whether the files of an item's bands, all of them, lie where the collection's do."""
    assets = item.get("assets") or {}
    hrefs = [str(assets[key].get("href")) for key in collection.bands.values() if key in assets]
    return bool(hrefs and collection.files) and all(href.startswith(collection.files) for href in hrefs)
