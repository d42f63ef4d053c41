"""Reads variables of a climate store as series in time, in our units, whatever the store's conventions.

What the store says of itself (time bounds, units, step, coordinates) wins over its entry in the registry. Only the
chunks that hold the cells are read.
"""

from __future__ import annotations

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..aggregation import Series
from ..catalogs.entries import OWN, ClimateStore
from ..errors import InputError, MinicuberError, SourceError
from ..secrets import redacted
from .cells import LATITUDES, LONGITUDES, Axes
from .opening import Opener, explained
from .variables import VARIABLES, ClimateVariable, conversion

log = logging.getLogger(__name__)

THREADS = 16  # reads wait for the network
HOUR = np.timedelta64(3600, "s")
DAY = np.timedelta64(1, "D")
FALL = 1e-6  # of the largest value: less is no change
SAME = 1e-3  # of a sum: less is the noise of packed numbers
LOST = 0.1  # of what is won within days
DERIVED = 3 * HOUR  # days are derived from values that are not farther apart


@dataclass(frozen=True)
class Raw:
    """A variable in one dataset of a store, not read yet: along `time`, its stamps (datetime64[s])."""

    array: xr.DataArray
    time: str
    stamps: np.ndarray
    axes: Axes
    ending: bool | None  # None: the store does not say
    since_midnight: bool | None  # sums; None likewise
    url: str


class Store:
    """A store of climate data between two days (UTC), with the variables that are asked for.

    `entry`: of the registry; for a path or URL that it does not know one without variables: names are recognised.
    """

    def __init__(
        self, entry: ClimateStore, opener: Opener, first: np.datetime64, last: np.datetime64
    ) -> None:
        self.entry, self._opener = entry, opener
        self._first, self._last = np.datetime64(first, "D"), np.datetime64(last, "D")
        # Whether the sums of a variable run from midnight on, None where nobody knows.
        self._verdicts: dict[str, bool | None] = {}

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
            those = [each for each in parts if self._name_in(VARIABLES[name], each[1])] or parts[:1]
            if len(those) < len(parts) and "{" in self.entry.urls.get(name, self.entry.url):
                other = next(
                    redacted(url) for url, dataset in parts if not self._name_in(VARIABLES[name], dataset)
                )
                log.warning("%d files have no %s, one of them %s.", len(parts) - len(those), name, other)
            found[name] = [self._raw(VARIABLES[name], dataset, url) for url, dataset in those]
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
                _words(step),
            )
        ending = self._ends(variable) if parts[0].ending is None else parts[0].ending
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
        after = self._last + DAY if self._ends(variable) else self._last
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
        name = self._store_name(variable)
        return [
            url.replace("{year}", str(month)[:4])
            .replace("{month}", str(month)[5:7])
            .replace("{variable}", name)
            for month in months
        ]

    def _ends(self, variable: ClimateVariable) -> bool:
        return variable.ending or variable.name in self.entry.ending

    def _store_name(self, variable: ClimateVariable) -> str:
        name = self.entry.variables.get(variable.name)
        if name is None and self.entry.variables:
            raise InputError(
                f"{self.entry.title} has no {variable.long_name}, or its entry does not name it.",
                f"Known there: {', '.join(self.entry.variables)}.",
            )
        return name or ""

    def _opened(self, url: str) -> xr.Dataset | None:
        try:
            return self._opener.open(url)
        except SourceError as error:
            blanks = "{" in "".join((self.entry.url, *self.entry.urls.values()))
            if error.message.startswith("There is no climate store") and blanks:
                return None  # a month that is not there
            raise

    def _raw(self, variable: ClimateVariable, dataset: xr.Dataset, url: str) -> Raw:
        name, found = self._store_name(variable), self._name_in(variable, dataset)
        if not found:
            shown = ", ".join(map(str, list(dataset.data_vars)[:20]))
            raise SourceError(
                f"{self.entry.title} has no {variable.long_name} ({name or ' or '.join(variable.known_as[:2])}).",
                f"It has: {shown}.",
                lasting=True,
            )
        array = dataset[found]
        time = next(
            (dim for dim in array.dims if dim in dataset.coords and dataset[dim].dtype.kind == "M"), None
        )
        if time is None:
            raise SourceError(f"{self.entry.title}: {found} has no time that can be read.", lasting=True)
        axes = Axes(_axis(dataset, array, LATITUDES), _axis(dataset, array, LONGITUDES))
        others = set(array.dims) - {time, "expver", *LATITUDES, *LONGITUDES}
        for dim in others:
            if array.sizes[dim] != 1:
                raise SourceError(
                    f"{self.entry.title}: {found} has a dimension that is not known, {dim}.", lasting=True
                )
        array = array.isel(dict.fromkeys(others, 0), drop=True)
        # Stored as fractions of days, hours may be a little before themselves.
        stamps = (dataset[time].values + np.timedelta64(500, "ms")).astype("datetime64[s]")
        if not len(stamps) or np.isnat(stamps).any():
            raise SourceError(f"{self.entry.title}: {found} has times that are missing.", lasting=True)
        ending, since = _said_by_bounds(dataset, time)
        if re.search(rf"\b{time}\s*:\s*point\b", str(array.attrs.get("cell_methods", ""))):
            ending, since = False, None  # beside sums on one time axis, whose bounds are not its own
        raw = Raw(array, str(time), stamps, axes, ending, since, url)
        conversion(variable, self._units(variable, raw), 3600.0)  # whether the units are known
        return raw

    def _name_in(self, variable: ClimateVariable, dataset: xr.Dataset) -> str:
        """What a variable is called in a dataset, empty where it is not there."""
        name = self._store_name(variable)
        known = (name,) if name else variable.known_as
        return next((each for each in known if each in dataset.data_vars), "")

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

    # --- values -----------------------------------------------------------------------------------

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
            start, stop = self._range(VARIABLES[name], raw)
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

    def read(self, name: str, parts: list[Raw], rows: np.ndarray, columns: np.ndarray) -> Series:
        """The series of a variable at the cells of `rows` x `columns` (indices): values (time, row, column), in our
        units, per step. Raises `SourceError`."""
        variable = VARIABLES[name]
        step = self.step_of(parts)
        with ThreadPoolExecutor(min(THREADS, len(parts))) as pool:
            pieces = list(pool.map(lambda raw: self._values(variable, raw, rows, columns, step), parts))
        stamps, values = _in_order(*(np.concatenate(each) for each in zip(*pieces, strict=True)))
        said = next((raw.ending for raw in parts if raw.ending is not None), None)
        ending = said if said is not None else self._ends(variable)
        if said is None and step >= DAY and variable.name not in self.entry.ending:
            ending = False  # a day's value stands at its beginning
        since = next((raw.since_midnight for raw in parts if raw.since_midnight is not None), None)
        if variable.sums:
            self._verdicts[name] = self._runs_from_midnight(variable, stamps, values, step, since)
            if self._verdicts[name]:
                stamps, values = _differences(stamps, values, step)
                ending = True
        return Series(stamps, values, step, ending)

    def _range(self, variable: ClimateVariable, raw: Raw) -> tuple[int, int]:
        """The stamps from the first midnight to the last, which only belongs to what ends there."""
        if not np.all(np.diff(raw.stamps) > np.timedelta64(0, "s")):
            return 0, len(raw.stamps)
        ending = self._ends(variable) if raw.ending is None else raw.ending
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

    def _values(
        self,
        variable: ClimateVariable,
        raw: Raw,
        rows: np.ndarray,
        columns: np.ndarray,
        step: np.timedelta64,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(stamps, values (time, row, column) float64 in our units) of one dataset."""
        start, stop = self._range(variable, raw)
        array = raw.array.isel({raw.time: slice(start, stop)})
        order = [raw.time]
        for names, wanted in ((LATITUDES, rows), (LONGITUDES, columns)):
            dim = next((name for name in names if name in array.dims), None)
            if dim is not None:
                array = array.isel({dim: _as_slice(wanted)})
                order.append(dim)
        try:
            array = self._loaded(array)
        except MinicuberError:
            raise
        except Exception as error:
            raise explained(error, raw.url) from error
        if "expver" in array.dims:
            # 1 is final, 5 preliminary: the final value wins where it is there.
            if "expver" in array.coords:
                array = array.isel(expver=np.argsort(array["expver"].values.astype(int), kind="stable"))
            versions = array.transpose("expver", *order).values
            merged = versions[0]
            for version in versions[1:]:
                merged = np.where(np.isnan(merged), version, merged)
        else:
            merged = array.transpose(*order).values
        values = np.asarray(merged, np.float64).reshape(stop - start, len(rows), len(columns))
        factor, shift = conversion(variable, self._units(variable, raw), float(step / np.timedelta64(1, "s")))
        return raw.stamps[start:stop], values * factor + shift

    def _loaded(self, array: xr.DataArray) -> xr.DataArray:
        """The array with its values; asked for twice where those that were kept of an earlier run are damaged."""
        try:
            return array.load()
        except (ValueError, RuntimeError):
            if not self._opener.distrust():
                raise
            return array.load()

    def _units(self, variable: ClimateVariable, raw: Raw) -> str:
        return str(raw.array.attrs.get("units") or self.entry.units.get(variable.name) or variable.units)

    def _runs_from_midnight(
        self,
        variable: ClimateVariable,
        stamps: np.ndarray,
        values: np.ndarray,
        step: np.timedelta64,
        said: bool | None,
    ) -> bool | None:
        """Whether sums run from 00 UTC on: `said` by the store's bounds, else by its entry; of a store without one by
        the values, None where these do not tell."""
        if said is not None:
            return said
        if self.entry.id != OWN:
            return self.entry.accumulated == "day"
        looks = False if step >= DAY else runs_from_midnight(stamps, values, step)
        if looks:
            log.warning(
                "%s of %s rises through every day and falls after midnight: it is taken as accumulated since 00 UTC, "
                "as in raw ERA5-Land.",
                variable.long_name,
                self.entry.title,
            )
        return looks

    def settle(self, read: dict[str, Series]) -> dict[str, Series]:
        """The series of all variables, once all are read: where one sum of a store that nobody describes runs from
        midnight on, they all do, also those that do not show it."""
        unclear = [name for name in read if self._verdicts.get(name, False) is None]
        if not unclear:
            return read
        since = any(self._verdicts.values())
        settled = dict(read)
        for name in unclear:
            series = read[name]
            if since:
                settled[name] = Series(
                    *_differences(series.stamps, series.values, series.step), series.step, True
                )
            elif np.nanmax(np.abs(series.values), initial=0.0) > 0:
                log.warning(
                    "%s does not say over which time its %s is summed: it is taken as the sum of each %s. An entry "
                    "under climate in catalogs.json can say otherwise (accumulated).",
                    self.entry.title,
                    VARIABLES[name].long_name,
                    _words(series.step),
                )
        return settled


def _words(step: np.timedelta64) -> str:
    hours = step / HOUR
    return "hour" if hours == 1 else f"{hours:g} hours"


def _as_slice(indices: np.ndarray) -> slice | np.ndarray:
    """A slice where the indices follow each other: cheaper to read."""
    indices = np.asarray(indices)
    if np.all(np.diff(indices) == 1):
        return slice(int(indices[0]), int(indices[-1]) + 1)
    return indices


def _axis(dataset: xr.Dataset, array: xr.DataArray, names: tuple[str, ...]) -> np.ndarray:
    dim = next((name for name in names if name in array.dims), None)
    return np.zeros(0) if dim is None else np.asarray(dataset[dim].values, np.float64)


def _in_order(stamps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Stamps that rise, each once; of several values of one stamp the first that is there."""
    order = np.argsort(stamps, kind="stable")
    stamps, values = stamps[order], values[order]
    new = (
        np.concatenate([[True], np.diff(stamps) > np.timedelta64(0, "s")])
        if len(stamps)
        else np.zeros(0, bool)
    )
    place, made = np.cumsum(new) - 1, values[new].copy()
    for n in np.flatnonzero(~new):
        made[place[n]] = np.where(np.isnan(made[place[n]]), values[n], made[place[n]])
    return stamps[new], made


def _said_by_bounds(dataset: xr.Dataset, time: str) -> tuple[bool | None, bool | None]:
    """Whether stamps end their interval, and whether these begin at 00 UTC whatever the hour, by the store's own time
    bounds; None where it has none."""
    bounds = dataset[time].attrs.get("bounds") or dataset[time].encoding.get("bounds") or f"{time}_bounds"
    if bounds not in dataset.variables or dataset[bounds].ndim != 2 or not dataset.sizes[time]:
        return None, None
    few = dataset[[bounds]].isel({time: slice(0, 8)})
    pairs, stamps = few[bounds].transpose(time, ...).values, few[time].values
    if pairs.dtype.kind != "M":  # no units of their own, and the time does not name them: its units
        held = dataset[time].encoding
        if "units" not in held:
            return None, None
        pairs = xr.coding.times.decode_cf_datetime(pairs, held["units"], held.get("calendar"))
    low, high = pairs[:, 0], pairs[:, 1]
    wide = (low < high) & (low <= stamps) & (stamps <= high)
    if not wide.any():
        return None, None
    low, high, stamps = low[wide], high[wide], stamps[wide]
    ending, widths = bool((stamps == high).all()), np.unique(high - low)
    at_midnight = (low == low.astype("datetime64[D]")).all()
    return ending, bool(ending and at_midnight) if len(widths) > 1 else False


def _step_of(stamps: np.ndarray, entry: ClimateStore) -> np.timedelta64:
    if len(stamps) < 2:
        return np.timedelta64(round(entry.step_hours * 3600), "s")
    gaps, counts = np.unique(np.diff(stamps), return_counts=True)
    return gaps[counts.argmax()]


def runs_from_midnight(stamps: np.ndarray, values: np.ndarray, step: np.timedelta64 = HOUR) -> bool | None:
    """Whether sums within a day are accumulated since 00 UTC: what is there stays the same for some hours until 00 (as
    after sunset, or after rain), and is gone at the next stamp; within days hardly anything is lost (dew of an
    evaporation, the noise of packed numbers).

    None where the values do not tell.
    """
    size = np.abs(values.reshape(len(values), -1))
    least = FALL * max(np.nanmax(size, initial=0.0), 1e-12)
    change = np.diff(size, axis=0)
    change[np.isnan(change) | (np.abs(change) < least)] = 0.0
    follows = np.diff(stamps) == step
    first = (stamps[1:] - stamps[1:].astype("datetime64[D]")) == step
    within, between = change[follows & ~first], np.flatnonzero(follows & first)
    if -within[within < 0].sum() > LOST * within[within > 0].sum():
        return False
    flat = 3 if step <= 2 * HOUR else 1  # changes in a row that are none
    between = between[between >= flat]
    gone = change[between] < -size[between] / 2
    for back in range(1, flat + 1):
        before, after = size[between - back], size[between - back + 1]
        gone &= (np.abs(after - before) <= SAME * after) & (after > least)
    return True if gone.any() else None


def _differences(
    stamps: np.ndarray, values: np.ndarray, step: np.timedelta64
) -> tuple[np.ndarray, np.ndarray]:
    """What was added in each step, of sums since 00 UTC, whose value at 00 is the day before's total.

    NaN where the stamp before is missing.
    """
    since = stamps - (stamps - step).astype("datetime64[D]")  # from the midnight before, up to 24 h
    made = np.full(values.shape, np.nan)
    made[1:] = values[1:] - values[:-1]
    follows = np.concatenate([[False], np.diff(stamps) == step])
    made[~follows] = np.nan
    begins = since == step
    made[begins] = values[begins]
    return stamps, made
