"""A variable in one dataset of a store: how it lies in time and space, and what its stamps stand for.

Nothing but coordinates is read here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..catalogs.entries import ClimateStore
from ..errors import InputError, SourceError
from .cells import LATITUDES, LONGITUDES, Axes
from .variables import ClimateVariable, conversion


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


def store_name(entry: ClimateStore, variable: ClimateVariable) -> str:
    """What an entry calls a variable; empty for a store that no entry describes. Raises `InputError`."""
    name = entry.variables.get(variable.name)
    if name is None and entry.variables:
        raise InputError(
            f"{entry.title} has no {variable.long_name}, or its entry does not name it.",
            f"Known there: {', '.join(entry.variables)}.",
        )
    return name or ""


def name_in(entry: ClimateStore, variable: ClimateVariable, dataset: xr.Dataset) -> str:
    """What a variable is called in a dataset, empty where it is not there."""
    name = store_name(entry, variable)
    known = (name,) if name else variable.known_as
    return next((each for each in known if each in dataset.data_vars), "")


def raw_of(entry: ClimateStore, variable: ClimateVariable, dataset: xr.Dataset, url: str) -> Raw:
    """A variable of the dataset at `url`. Raises `SourceError` when it is not there, or cannot be understood."""
    name, found = store_name(entry, variable), name_in(entry, variable, dataset)
    if not found:
        shown = ", ".join(map(str, list(dataset.data_vars)[:20]))
        raise SourceError(
            f"{entry.title} has no {variable.long_name} ({name or ' or '.join(variable.known_as[:2])}).",
            f"It has: {shown}.",
            lasting=True,
        )
    array = dataset[found]
    time = next((dim for dim in array.dims if dim in dataset.coords and dataset[dim].dtype.kind == "M"), None)
    if time is None:
        raise SourceError(f"{entry.title}: {found} has no time that can be read.", lasting=True)
    axes = Axes(_axis(dataset, array, LATITUDES), _axis(dataset, array, LONGITUDES))
    others = set(array.dims) - {time, "expver", *LATITUDES, *LONGITUDES}
    for dim in others:
        if array.sizes[dim] != 1:
            raise SourceError(
                f"{entry.title}: {found} has a dimension that is not known, {dim}.", lasting=True
            )
    array = array.isel(dict.fromkeys(others, 0), drop=True)
    # Stored as fractions of days, hours may be a little before themselves.
    stamps = (dataset[time].values + np.timedelta64(500, "ms")).astype("datetime64[s]")
    if not len(stamps) or np.isnat(stamps).any():
        raise SourceError(f"{entry.title}: {found} has times that are missing.", lasting=True)
    ending, since = _said_by_bounds(dataset, time)
    if re.search(rf"\b{time}\s*:\s*point\b", str(array.attrs.get("cell_methods", ""))):
        ending, since = False, None  # beside sums on one time axis, whose bounds are not its own
    raw = Raw(array, str(time), stamps, axes, ending, since, url)
    conversion(variable, units_of(entry, variable, raw), 3600.0)  # whether the units are known
    return raw


def units_of(entry: ClimateStore, variable: ClimateVariable, raw: Raw) -> str:
    """What the store says, else its entry, else ours."""
    return str(raw.array.attrs.get("units") or entry.units.get(variable.name) or variable.units)


def _axis(dataset: xr.Dataset, array: xr.DataArray, names: tuple[str, ...]) -> np.ndarray:
    dim = next((name for name in names if name in array.dims), None)
    return np.zeros(0) if dim is None else np.asarray(dataset[dim].values, np.float64)


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
