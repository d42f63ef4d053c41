"""What an entry of the registry says: of a catalog, its collections, how their files are reached; of a climate store.

Plain frozen values. Each class has `problems()`: (field, what is wrong with it) beyond the types of its fields.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

BANDS = {
    "sentinel-2": (
        "B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12", "AOT", "WVP", "SCL",
    )
}  # fmt: skip
OFFSETS = ("baseline", "declared", "applied_flag", "none")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_BLANKS = ("{account}", "{container}")

Problems = Iterator[tuple[str, str]]


@dataclass(frozen=True)
class Anchor:
    """The lattice that all files of a collection share, in metres of their UTM zone: pixel edges have eastings
    `easting` and northings `north` or `south` (zones of that hemisphere), modulo `modulo`."""

    easting: float
    north: float
    south: float
    modulo: float

    def problems(self) -> Problems:
        for name in ("easting", "north", "south"):
            if not 0 <= getattr(self, name) < self.modulo:
                yield name, "has to lie between 0 and modulo"


@dataclass(frozen=True)
class Collection:
    """One collection of a catalog; `id` as it stands there.

    `level`: "L1C" is top of atmosphere, any other surface reflectance. `bands`: our name -> asset key, the
    native resolution where an item has several. `scale`: reflectance per DN where the item declares none.
    `offset`, of reflectance: "baseline" (-0.1 from 04.00 on), "declared" (of the item's bands, else by the
    baseline), "applied_flag" (none where `boa_offset_applied`, else as declared, else by the baseline), "none".
    `atmosphere_scale`: of AOT (1) and WVP (cm), whatever the item declares. `nodata`: of the DN where file and
    item are silent. `anchor`: None where it is to be read from the items. `files`: how the hrefs of its files
    begin.
    """

    id: str
    sensor: str
    level: str
    bands: dict[str, str]
    offset: str
    scale: float = 1e-4
    atmosphere_scale: float = 1e-3
    nodata: float = 0.0
    anchor: Anchor | None = None
    files: tuple[str, ...] = ()
    license: str = ""
    references: tuple[str, ...] = ()
    attribution: str = ""

    def problems(self) -> Problems:
        yield from _one_of("sensor", self.sensor, BANDS)
        known = BANDS.get(self.sensor, ())
        yield from (
            ("bands", f"{band!r} is none of {', '.join(known)}") for band in self.bands if band not in known
        )
        yield from _one_of("offset", self.offset, OFFSETS)
        for name in ("scale", "atmosphere_scale"):
            if not (getattr(self, name) > 0 and math.isfinite(getattr(self, name))):
                yield name, "has to be a number above 0"
        for name in ("id", "level", "bands"):
            if not getattr(self, name):
                yield name, "is empty"


@dataclass(frozen=True)
class Signing:
    """How hrefs that begin like one of `hrefs` are signed when they are read: `href?token`, the token from `url`,
    whose answer in JSON has `token` and `msft:expiry`. Both may hold the blanks {account} and {container}, which
    are read from the href and filled into `url`."""

    url: str
    hrefs: tuple[str, ...]

    def problems(self) -> Problems:
        yield from _addresses("url", self.url)
        yield from _addresses("hrefs", *self.hrefs)
        for name, text in (("url", self.url), *(("hrefs", href) for href in self.hrefs)):
            if not set(re.findall(r"\{[^}]*\}", text)) <= set(_BLANKS) or any(
                text.count(b) > 1 for b in _BLANKS
            ):
                yield name, "may hold the blanks {account} and {container} once each, and no others"
        if any(blank in self.url and blank not in href for blank in _BLANKS for href in self.hrefs):
            yield "hrefs", "has to hold the blanks that url holds"

    def token_url(self, href: str) -> str | None:
        """Where the token for an href is to be had; None when the href is not one of `hrefs`."""
        for template in self.hrefs:
            pattern = re.escape(template)
            for blank in _BLANKS:
                pattern = pattern.replace(re.escape(blank), rf"(?P<{blank[1:-1]}>[A-Za-z0-9$_-]+)")
            match = re.match(pattern, href, re.IGNORECASE)
            if match:
                url = self.url
                for name, value in match.groupdict().items():
                    url = url.replace(f"{{{name}}}", value)
                return url
        return None


@dataclass(frozen=True)
class S3:
    """How s3:// hrefs are read. `buckets`: which; empty: all of the catalog's. `endpoint`: http(s) address, empty
    for Amazon's own. `virtual_hosting`: the bucket is in the host, not in the path. `keys`: the user has to give
    keys, else reading is anonymous. `requester_pays`: reading costs the user money."""

    buckets: tuple[str, ...] = ()
    endpoint: str = ""
    region: str = ""
    virtual_hosting: bool = True
    keys: bool = False
    requester_pays: bool = False

    def problems(self) -> Problems:
        if self.endpoint:
            yield from _addresses("endpoint", self.endpoint)
        if self.requester_pays and not self.keys:
            yield "keys", "has to be true where the requester pays"


@dataclass(frozen=True)
class Limits:
    """What a server can take, None where it is not known: items in a `page` of a search; items after which a
    search ends without a word (`most`); `connections` to its files at once."""

    page: int | None = None
    most: int | None = None
    connections: int | None = None

    def problems(self) -> Problems:
        for name, value in dataclasses.asdict(self).items():
            if value is not None and not value > 0:
                yield name, "has to be above 0"


@dataclass(frozen=True)
class Catalog:
    """One STAC API. `id` and `aliases`: the names of the preset, lower case. `other_urls`: further and former
    addresses. `default`: ids of the collections that are searched together where none is named; empty: the first.
    `replaced_hrefs`: beginnings of hrefs that lead nowhere outside the provider, and what to put there. `source`:
    the page that the entry rests on."""

    id: str
    title: str
    url: str
    other_urls: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    collections: tuple[Collection, ...] = ()
    default: tuple[str, ...] = ()
    signing: Signing | None = None
    s3: S3 | None = None
    limits: Limits = field(default_factory=Limits)
    replaced_hrefs: dict[str, str] = field(default_factory=dict)
    source: str = ""

    @property
    def default_ids(self) -> list[str]:
        """The ids of the collections that are searched where none is named."""
        return list(self.default) or [each.id for each in self.collections[:1]]

    def problems(self) -> Problems:
        yield from _addresses("url", self.url)
        yield from _addresses("other_urls", *self.other_urls)
        for field_name, names in (("id", (self.id,)), ("aliases", self.aliases)):
            for name in names:
                if not _NAME.fullmatch(name):
                    yield field_name, f"{name!r} is no name in lower case without spaces"
        for name in self.default:
            yield from _one_of("default", name, [each.id for each in self.collections])


def place_of(url: str) -> tuple[str, ...]:
    """(host:port, folder, ...) of an http(s) address, empty for anything else; the scheme does not matter."""
    try:
        parts = urlsplit(url.strip())
        usual = {"http": 80, "https": 443}.get(parts.scheme)
        port = f":{parts.port}" if parts.port not in (None, usual) else ""
    except ValueError:
        return ()
    if usual is None or not parts.hostname:
        return ()
    return (parts.hostname + port, *(part for part in parts.path.split("/") if part))


def _one_of(name: str, value: str, known: Iterable[str]) -> Problems:
    if value not in known:
        yield name, f"{value!r} is none of {', '.join(known)}"


def _addresses(name: str, *urls: str) -> Problems:
    if not all(place_of(url) for url in urls):
        yield name, "is no http or https address"


OWN = "own"  # id of a climate store that no entry describes
CLIMATE_FORMATS = ("zarr", "netcdf", "icechunk")
CLIMATE_SIGNATURES = ("", "bearer", "basic", "keys", "signed")
ACCUMULATED = ("hour", "day")
CLIMATE_BLANKS = ("{year}", "{month}", "{variable}")


@dataclass(frozen=True)
class ClimateStore:
    """One store of climate data. `id` and `aliases`: the names of the preset, lower case.

    `url`: of the store, or, with the blanks {year}, {month} (two digits) and {variable}, of many files; s3, http(s);
    empty for one that every user has at another place: that follows the id, as in `esdl-daily:/data/era5.zarr`.
    `urls`: our variable -> the url where that one lies elsewhere. `variables`: our variable -> the store's name.
    `units`: our variable -> its units there where the store itself does not say. `group`: within the store.
    `accumulated`: whether sums (tp, sr) are of the hour that ends at the stamp, or run from 00 UTC on ("day").
    `ending`: our variables beside the sums whose stamps end their interval. `step_hours`: between stamps.
    `longitudes`: "0..360" or "-180..180", as a rule of thumb: the store's own coordinate decides. `cell`: degrees.
    `chunk`: (time, latitude, longitude) of a chunk, for the estimate. `auth`: "" for anyone, else how the user
    identifies himself; `token_name`: the environment variable that may hold the token. `first`, `last`: UTC days,
    empty where it is not known or goes on. `untested`: nobody has read the live store with this entry.
    """

    id: str
    title: str
    url: str
    variables: dict[str, str]
    aliases: tuple[str, ...] = ()
    format: str = "zarr"
    urls: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    group: str = ""
    accumulated: str = "hour"
    ending: tuple[str, ...] = ()
    step_hours: float = 1.0
    longitudes: str = "0..360"
    cell: float = 0.25
    chunk: tuple[int, ...] = ()
    auth: str = ""
    token_name: str = ""
    s3: S3 | None = None
    first: str = ""
    last: str = ""
    untested: bool = False
    license: str = ""
    references: tuple[str, ...] = ()
    attribution: str = ""
    source: str = ""

    @property
    def is_monthly(self) -> bool:
        """Whether the url is that of many files."""
        return "{" in self.url

    def problems(self) -> Problems:
        for field_name, names in (("id", (self.id,)), ("aliases", self.aliases)):
            for name in names:
                if not _NAME.fullmatch(name):
                    yield field_name, f"{name!r} is no name in lower case without spaces"
        for url in (self.url, *self.urls.values()):
            if "://" in url and (
                urlsplit(url).scheme not in ("s3", "http", "https") or not urlsplit(url).netloc
            ):
                yield "url", "is no path and no s3, http or https address"
            if not set(re.findall(r"\{[^}]*\}", url)) <= set(CLIMATE_BLANKS):
                yield "url", f"may hold the blanks {', '.join(CLIMATE_BLANKS)}, and no others"
        yield from _one_of("format", self.format, CLIMATE_FORMATS)
        yield from _one_of("auth", self.auth, CLIMATE_SIGNATURES)
        yield from _one_of("accumulated", self.accumulated, ACCUMULATED)
        yield from _one_of("longitudes", self.longitudes, ("0..360", "-180..180"))
        if not self.variables:
            yield "variables", "is empty"
        if self.chunk and (len(self.chunk) != 3 or min(self.chunk) < 1):
            yield "chunk", "has to be three numbers above 0"
        for name in ("step_hours", "cell"):
            if not getattr(self, name) > 0:
                yield name, "has to be above 0"
        for name in ("first", "last"):
            if getattr(self, name) and not re.fullmatch(r"\d{4}-\d\d-\d\d", getattr(self, name)):
                yield name, "is no date"
