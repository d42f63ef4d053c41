"""The time axes of a cube: one or several dimensions that have dates, and what their values stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..errors import InputError

INSTANT = np.timedelta64(1, "ns")


@dataclass(frozen=True)
class TimeAxis:
    """A time dimension in rising order. `stamps`: datetime64[ns]; `order`: where they stand in the cube. `first`,
    `last`: the days that its values cover. `ending`: whether a value belongs to the interval that ends at its stamp.
    """

    dim: str
    stamps: np.ndarray
    order: np.ndarray
    first: np.datetime64
    last: np.datetime64
    ending: bool

    @property
    def days(self) -> np.ndarray:
        """The day of each stamp; midnight at an interval's end is still the day before. datetime64[D]."""
        return (self.stamps - INSTANT if self.ending else self.stamps).astype("datetime64[D]")

    def places(self, start: int, stop: int) -> slice | np.ndarray:
        """Where the stamps number `start` to `stop` stand in the cube."""
        places = self.order[start:stop]
        return slice(start, stop) if np.array_equal(places, np.arange(start, stop)) else places


def time_dims(cube: xr.Dataset) -> list[str]:
    """The dimensions of a normalised cube that have dates."""
    return [str(dim) for dim in cube.dims if dim in cube.variables and cube[dim].dtype.kind == "M"]


def bounds_names(cube: xr.Dataset) -> set[str]:
    """The variables that only say where the cells of others begin and end."""
    said = (v.attrs.get(key) for v in cube.variables.values() for key in ("bounds", "climatology"))
    return {str(name) for name in said if name}


def time_axis(cube: xr.Dataset, dim: str, name: str) -> TimeAxis:
    """The time axis of a dimension, as its dates and their CF bounds say. `name` is that of the cube, for messages.

    Without bounds a value counts at its instant. Raises `InputError` when a date is missing.
    """
    stamps = cube[dim].values.astype("datetime64[ns]")
    if np.isnat(stamps).any():
        raise InputError(f"A date is missing in {dim} of {name}.")
    order = np.argsort(stamps, kind="stable")
    lower, upper = stamps, stamps + INSTANT
    bounds = _bounds(cube, dim)
    if bounds is not None:
        lower = bounds.min(axis=1)
        upper = np.maximum(bounds.max(axis=1), lower + INSTANT)  # an interval without length is an instant
    first, last = lower.min().astype("datetime64[D]"), (upper.max() - INSTANT).astype("datetime64[D]")
    ending = bool(np.all((upper == stamps) & (lower < stamps)))
    return TimeAxis(dim, stamps[order], order, first, last, ending)


def _bounds(cube: xr.Dataset, dim: str) -> np.ndarray | None:
    """(time, 2) datetime64[ns]; None where the cube does not say."""
    variable = cube.variables.get(cube[dim].attrs.get("bounds"))
    if variable is None or variable.dtype.kind != "M" or variable.ndim != 2 or dim not in variable.dims:
        return None
    values = variable.transpose(dim, ...).values.astype("datetime64[ns]")
    return None if np.isnat(values).any() else values
