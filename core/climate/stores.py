"""Which store of climate data is meant, and what it has of a period: metadata alone.

What the store says of itself (time bounds, step, coordinates) wins over its entry in the registry.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import xarray as xr

from ..catalogs.entries import OWN, ClimateStore
from ..catalogs.registry import Registry
from ..errors import AbsentError, InputError, SourceError
from ..secrets import redacted
from .cells import LATITUDES, LONGITUDES
from .datasets import Raw, name_in, raw_of, store_name
from .opening import Opener
from .sums import HOUR
from .variables import VARIABLES, ClimateVariable

log = logging.getLogger(__name__)

THREADS = 16  # opening waits for the network
DAY = np.timedelta64(1, "D")


def store_of(source: str, registry: Registry) -> ClimateStore:
    """The registry's entry that a text names, else one for the path or URL that it is. Raises `InputError`."""
    known = registry.climate_store(source)
    if known:
        return known
    if "://" not in source and not Path(source).exists():
        raise InputError(
            f"There is no climate store named {source!r}, and no such file.",
            f"Known: {', '.join(store.id for store in registry.climate)}. Or give a path or a URL.",
        )
    title = redacted(source) if "://" in source else Path(source).name
    form = "netcdf" if source.lower().endswith((".nc", ".nc4", ".cdf")) else "zarr"
    return ClimateStore(id=OWN, title=title, url=source, variables={}, format=form)


class Store:
    """A store of climate data between two days (UTC), with the variables that are asked for.

    `entry`: of the registry; for a path or URL that it does not know one without variables: names are recognised.
    """

    def __init__(
        self, entry: ClimateStore, opener: Opener, first: np.datetime64, last: np.datetime64
    ) -> None:
        self.entry, self._opener = entry, opener
        self._first, self._last = np.datetime64(first, "D"), np.datetime64(last, "D")

    # --- what there is --------------------------------------------------------------------------

    def look(self, variables: tuple[str, ...]) -> dict[str, list[Raw]]:
        """The datasets of each variable within the period, metadata alone; those of missing months are left out.

        Raises `InputError` or `SourceError` when a variable is not there, or the period is another one.
        """
        urls = {name: self._urls(VARIABLES[name]) for name in variables}
        files = {
            url: self._opener.files(url) for url in dict.fromkeys(u for each in urls.values() for u in each)
        }
        urls = {name: [file for url in each for file in files[url]] for name, each in urls.items()}
        wanted = list(dict.fromkeys(url for each in urls.values() for url in each))
        with ThreadPoolExecutor(THREADS) as pool:
            opened = dict(zip(wanted, pool.map(self._opened, wanted), strict=True))
        found = {}
        for name in variables:
            parts = [(url, opened[url]) for url in urls[name] if opened[url] is not None]
            if not parts:
                raise SourceError(
                    f"{self.entry.title} has no {VARIABLES[name].long_name} from {self._first} to {self._last}: there "
                    f"is nothing at {redacted(urls[name][0])}{' and the like' if len(urls[name]) > 1 else ''}.",
                    "Check ERA5_SOURCE and the dates.",
                    lasting=True,
                )
            lacking = len(urls[name]) - len(parts)
            if lacking:
                log.warning(
                    "%s: %d of %d files of %s are not there.",
                    self.entry.title,
                    lacking,
                    len(urls[name]),
                    name,
                )
            # Of a folder's files some may hold other variables.
            those = [each for each in parts if name_in(self.entry, VARIABLES[name], each[1])] or parts[:1]
            if len(those) < len(parts) and "{" in self.entry.urls.get(name, self.entry.url):
                other = next(
                    redacted(url)
                    for url, dataset in parts
                    if not name_in(self.entry, VARIABLES[name], dataset)
                )
                log.warning("%d files have no %s, one of them %s.", len(parts) - len(those), name, other)
            found[name] = [raw_of(self.entry, VARIABLES[name], dataset, url) for url, dataset in those]
            self._check_axes(found[name])
        self._check_period(found)
        for name in variables:
            self._check_hours(name, found[name])
        return found

    def step_of(self, parts: list[Raw]) -> np.timedelta64:
        """The time between two stamps of a variable."""
        return _step_of(np.unique(np.concatenate([raw.stamps for raw in parts])), self.entry)

    def _check_hours(self, name: str, parts: list[Raw]) -> None:
        """Raises `InputError` for a store without daily values; says when hours of the period are not there."""
        variable, step = VARIABLES[name], self.step_of(parts)
        if step > DAY:
            raise InputError(
                f"{self.entry.title} has {variable.long_name} every {step / DAY:g} days.",
                "Steps of whole days are made of hourly to daily values.",
            )
        told = any(raw.ending is not None for raw in parts)
        if variable.sums and self.entry.id == OWN and not told and step not in (HOUR, DAY):
            log.warning(
                "%s has %s every %s and does not say over which time it is summed: it is taken as the sum of all of "
                "that time.",
                self.entry.title,
                variable.long_name,
                in_words(step),
            )
        ending = self.ends(variable) if parts[0].ending is None else parts[0].ending
        if parts[0].ending is None and step >= DAY and name not in self.entry.ending:
            ending = False
        stamps = np.unique(np.concatenate([raw.stamps for raw in parts]))
        side = "right" if ending else "left"
        first, last = self._first.astype("datetime64[s]"), (self._last + DAY).astype("datetime64[s]")
        there = int(np.searchsorted(stamps, last, side) - np.searchsorted(stamps, first, side))
        expected = round((last - first) / step)
        if there < expected:
            log.warning(
                "%s has %d of the %d values of %s from %s to %s: steps that lack some will be missing.",
                self.entry.title,
                there,
                expected,
                variable.long_name,
                self._first,
                self._last,
            )

    def _check_axes(self, parts: list[Raw]) -> None:
        """One cell has one place in all files."""
        for raw in parts[1:]:
            for mine, first in (
                (raw.axes.latitudes, parts[0].axes.latitudes),
                (raw.axes.longitudes, parts[0].axes.longitudes),
            ):
                if mine.shape != first.shape or not np.allclose(mine, first, rtol=0, atol=1e-4):
                    raise SourceError(
                        f"{self.entry.title}: {redacted(raw.url)} has other places than {redacted(parts[0].url)}.",
                        "Give the files of one grid.",
                        lasting=True,
                    )

    def _urls(self, variable: ClimateVariable) -> list[str]:
        """The addresses of a variable, in the order of time."""
        url = self.entry.urls.get(variable.name, self.entry.url)
        if "{" not in url:
            return [url]
        # What belongs to the last hour of a day stands at the midnight after it.
        after = self._last + DAY if self.ends(variable) else self._last
        first, last = np.datetime64(self._first, "M"), np.datetime64(after, "M")
        if self.entry.first:
            first = max(first, np.datetime64(self.entry.first, "M"))
        if self.entry.last:
            last = min(last, np.datetime64(self.entry.last, "M"))
        if last < first:
            raise InputError(
                f"{self.entry.title} has the days from {self.entry.first} to {self.entry.last or 'now'}, the cube "
                "needs others.",
                "Choose other dates, or another ERA5_SOURCE.",
            )
        months = np.arange(first, last + np.timedelta64(1, "M"))
        name = store_name(self.entry, variable)
        return [
            url.replace("{year}", str(month)[:4])
            .replace("{month}", str(month)[5:7])
            .replace("{variable}", name)
            for month in months
        ]

    def ends(self, variable: ClimateVariable) -> bool:
        """Whether stamps end their interval, by our table and the entry: the store's own word wins."""
        return variable.ending or variable.name in self.entry.ending

    def _opened(self, url: str) -> xr.Dataset | None:
        try:
            return self._opener.open(url)
        except AbsentError:
            if "{" in "".join((self.entry.url, *self.entry.urls.values())):
                return None  # a month that is not there
            raise

    def _check_period(self, found: dict[str, list[Raw]]) -> None:
        for name, parts in found.items():
            begin, end = min(p.stamps.min() for p in parts), max(p.stamps.max() for p in parts)
            if end < self._first or begin >= self._last + DAY:
                raise InputError(
                    f"{self.entry.title} has {VARIABLES[name].long_name} from {self._day(begin)} to {self._day(end)}, "
                    f"the cube needs {self._first} to {self._last}.",
                    "Choose other dates, or another ERA5_SOURCE.",
                )

    @staticmethod
    def _day(stamp: np.datetime64) -> str:
        return str(stamp.astype("datetime64[D]"))

    def range_of(self, variable: ClimateVariable, raw: Raw) -> tuple[int, int]:
        """The stamps from the first midnight to the last, which only belongs to what ends there."""
        if not np.all(np.diff(raw.stamps) > np.timedelta64(0, "s")):
            return 0, len(raw.stamps)
        ending = self.ends(variable) if raw.ending is None else raw.ending
        if self.entry.id == OWN and variable.sums and raw.since_midnight is None:
            # Some hours more tell whether it runs from midnight on.
            around = (
                (self._first - DAY).astype("datetime64[s]"),
                (self._last + DAY).astype("datetime64[s]") + 6 * HOUR,
            )
            return int(np.searchsorted(raw.stamps, around[0])), int(
                np.searchsorted(raw.stamps, around[1], "right")
            )
        edges = (self._first.astype("datetime64[s]"), (self._last + DAY).astype("datetime64[s]"))
        # Sums since midnight of a day begin with its first hour; those of hours that begin at midnight may be told
        # only by the values, so the stamp itself is always read.
        start = np.searchsorted(raw.stamps, edges[0], "left")
        return int(start), int(np.searchsorted(raw.stamps, edges[1], "right" if ending else "left"))

    def bytes_of(
        self,
        name: str,
        parts: list[Raw],
        cells: int = 1,
        rows: np.ndarray | None = None,
        columns: np.ndarray | None = None,
    ) -> tuple[float, float]:
        """(bytes of the chunks that a variable's cells touch, bytes of the cells' values), unpacked.

        `rows`, `columns`: indices of the cells; None for one cell, wherever it is.
        """
        touched = needed = 0.0
        for raw in parts:
            start, stop = self.range_of(VARIABLES[name], raw)
            size = np.dtype(raw.array.encoding.get("dtype", raw.array.dtype)).itemsize
            # A file without chunks is a row of whole fields, between which nothing can be left out.
            chunks = raw.array.encoding.get("preferred_chunks") or {**raw.array.sizes, raw.time: 1}
            volume = float(size)
            for dim in raw.array.dims:
                wanted = {raw.time: (start, stop)}
                for names, indices in ((LATITUDES, rows), (LONGITUDES, columns)):
                    if indices is not None and len(indices):
                        wanted |= dict.fromkeys(names, (int(np.min(indices)), int(np.max(indices)) + 1))
                begin, end = wanted.get(dim, (0, 1))
                chunk, length = int(chunks.get(dim, 1)), raw.array.sizes[dim]
                # Of a chunk beyond the end of the array nothing is left when it is compressed.
                volume *= (
                    max(min(-(-end // chunk) * chunk, length) - begin // chunk * chunk, 0)
                    if end > begin
                    else 0
                )
            touched += volume
            needed += (stop - start) * cells * size
        return touched, needed


def _step_of(stamps: np.ndarray, entry: ClimateStore) -> np.timedelta64:
    if len(stamps) < 2:
        return np.timedelta64(round(entry.step_hours * 3600), "s")
    gaps, counts = np.unique(np.diff(stamps), return_counts=True)
    return gaps[counts.argmax()]


def in_words(step: np.timedelta64) -> str:
    """An hour, or so many hours."""
    hours = step / HOUR
    return "hour" if hours == 1 else f"{hours:g} hours"
