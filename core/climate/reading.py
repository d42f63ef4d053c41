"""Reads variables of a climate store as series in time, in our units, whatever the store's conventions.

Only the chunks that hold the cells are read.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import xarray as xr

from ..aggregation import Series
from ..catalogs.entries import OWN
from ..errors import MinicuberError
from .cells import LATITUDES, LONGITUDES
from .datasets import Raw, units_of
from .faults import explained
from .opening import Opener
from .stores import DAY, THREADS, Store, in_words
from .sums import differences, runs_from_midnight
from .variables import VARIABLES, ClimateVariable, conversion

log = logging.getLogger(__name__)


class Reader:
    """Reads what a `Store` has found. Thread-safe."""

    def __init__(self, store: Store, opener: Opener) -> None:
        self._store, self._entry, self._opener = store, store.entry, opener
        # Whether the sums of a variable run from midnight on, None where nobody knows.
        self._verdicts: dict[str, bool | None] = {}

    def read(self, name: str, parts: list[Raw], rows: np.ndarray, columns: np.ndarray) -> Series:
        """The series of a variable at the cells of `rows` x `columns` (indices): values (time, row, column), in our
        units, per step. Raises `SourceError`."""
        variable = VARIABLES[name]
        step = self._store.step_of(parts)
        with ThreadPoolExecutor(min(THREADS, len(parts))) as pool:
            pieces = list(pool.map(lambda raw: self._values(variable, raw, rows, columns, step), parts))
        stamps, values = _in_order(*(np.concatenate(each) for each in zip(*pieces, strict=True)))
        said = next((raw.ending for raw in parts if raw.ending is not None), None)
        ending = said if said is not None else self._store.ends(variable)
        if said is None and step >= DAY and variable.name not in self._entry.ending:
            ending = False  # a day's value stands at its beginning
        since = next((raw.since_midnight for raw in parts if raw.since_midnight is not None), None)
        if variable.sums:
            self._verdicts[name] = self._runs_from_midnight(variable, stamps, values, step, since)
            if self._verdicts[name]:
                stamps, values = differences(stamps, values, step)
                ending = True
        return Series(stamps, values, step, ending)

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
        if self._entry.id != OWN:
            return self._entry.accumulated == "day"
        looks = False if step >= DAY else runs_from_midnight(stamps, values, step)
        if looks:
            log.warning(
                "%s of %s rises through every day and falls after midnight: it is taken as accumulated since 00 UTC, "
                "as in raw ERA5-Land.",
                variable.long_name,
                self._entry.title,
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
                    *differences(series.stamps, series.values, series.step), series.step, True
                )
            elif np.nanmax(np.abs(series.values), initial=0.0) > 0:
                log.warning(
                    "%s does not say over which time its %s is summed: it is taken as the sum of each %s. An entry "
                    "under climate in catalogs.json can say otherwise (accumulated).",
                    self._entry.title,
                    VARIABLES[name].long_name,
                    in_words(series.step),
                )
        return settled

    def _values(
        self,
        variable: ClimateVariable,
        raw: Raw,
        rows: np.ndarray,
        columns: np.ndarray,
        step: np.timedelta64,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(stamps, values (time, row, column) float64 in our units) of one dataset."""
        start, stop = self._store.range_of(variable, raw)
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
        factor, shift = conversion(
            variable, units_of(self._entry, variable, raw), float(step / np.timedelta64(1, "s"))
        )
        return raw.stamps[start:stop], values * factor + shift

    def _loaded(self, array: xr.DataArray) -> xr.DataArray:
        """The array with its values; asked for twice where those that were kept of an earlier run are damaged."""
        try:
            return array.load()
        except (ValueError, RuntimeError):
            if not self._opener.distrust():
                raise
            return array.load()


def _as_slice(indices: np.ndarray) -> slice | np.ndarray:
    """A slice where the indices follow each other: cheaper to read."""
    indices = np.asarray(indices)
    if np.all(np.diff(indices) == 1):
        return slice(int(indices[0]), int(indices[-1]) + 1)
    return indices


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
