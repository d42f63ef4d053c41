"""Which layers belong together as one variable over time, and the date of each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .. import rasters
from ..errors import InputError
from .dates_in_names import Finder, dates_in, finder
from .layer_order import LayerOrder
from .legends import decided


@dataclass(frozen=True)
class DatedRaster:
    """A layer whose band is chosen, and its day."""

    order: LayerOrder
    day: dt.date


@dataclass(frozen=True)
class DatedVariable:
    """The rasters of one variable in the order in which they were given. Of several of one day each pixel is of the
    first that has a value there, as in the images of one day."""

    name: str
    rasters: tuple[DatedRaster, ...]

    @property
    def date_name(self) -> str:
        """The variable that says whose date each step got."""
        return f"{self.name}_date"

    @property
    def dates(self) -> np.ndarray:
        """The different days, rising: datetime64[D]."""
        return np.unique(np.array([each.day for each in self.rasters], dtype="datetime64[D]"))


def sorted_out(orders: Sequence[LayerOrder], pattern: str) -> tuple[list[LayerOrder], list[DatedVariable]]:
    """The layers that become variables (y, x), each with its band and whether it holds classes; and those over time.

    Over time become layers of one name that all have a date, and a layer of several bands, none of them chosen, that
    all have a date of their own in their names or temporal properties. `pattern`: as `finder` has it, empty for dates
    as `dates_in` finds them. Raises `InputError` for layers of one name without dates, and files that cannot be read.
    """
    find = finder(pattern) if pattern else None
    static, dated = [], []
    groups: dict[str, list[LayerOrder]] = {}
    for order in orders:
        groups.setdefault(order.name, []).append(order)
    for name, group in groups.items():
        if any(order.kind != "raster" for order in group):
            if len(group) > 1:
                raise _several(name, group, "")
            static += group
            continue
        found: list[DatedRaster] = []
        for order in group:
            bands = rasters.bands_of(order.path, order.title)
            several = _dated_bands(order, bands, find)
            if len(group) == 1 and not several:
                static.append(decided(replace(order, band=order.band or 1), bands))
            else:
                found += several or [_dated(order, bands, find, group)]
        if found:
            dated.append(DatedVariable(name, _all_classes(found)))
    return static, dated


def _dated_bands(order: LayerOrder, bands: list[rasters.Band], find: Finder | None) -> list[DatedRaster]:
    """All bands of a layer that was given without one, where each has a day of its own; else none."""
    if order.band or len(bands) < 2:
        return []
    days = [_days_of_band(order, bands, number, find) for number in range(1, len(bands) + 1)]
    if any(len(each) != 1 for each in days) or len({each[0] for each in days}) < len(bands):
        return []
    # The style shows one band; it is that of all of them.
    order = replace(order, legend_band=0)
    return [
        DatedRaster(decided(replace(order, band=number), bands), day)
        for number, (day,) in enumerate(days, start=1)
    ]


def _dated(
    order: LayerOrder, bands: list[rasters.Band], find: Finder | None, group: list[LayerOrder]
) -> DatedRaster:
    """The chosen band (or the first) of a layer with its day, or the layer's. Raises `InputError` without one."""
    band = order.band or 1
    texts = (_name_of_band(order, bands, band), *_names_of_layer(order))
    by_pattern = next((found for found in map(find, texts) if found), []) if find else []
    days = by_pattern or _days_of_band(order, bands, band, None) or _days_of_layer(order)
    if len(days) == 1:
        return DatedRaster(decided(replace(order, band=band), bands), days[0])
    has = f"has {len(days)} ({', '.join(map(str, days))})" if days else "has none"
    raise _several(order.name, group, f", which needs a date of each: {order.title} {has}")


def _several(name: str, group: list[LayerOrder], why: str) -> InputError:
    return InputError(
        f"{len(group)} layers would become the variable {name}{why}.",
        "Give them names of their own in OPTIONS, or say with DATE_PATTERN where their dates stand."
        if why
        else "Give them names in OPTIONS.",
    )


def _days_of_band(
    order: LayerOrder, bands: list[rasters.Band], number: int, find: Finder | None
) -> list[dt.date]:
    """By the pattern, else by what is known of the band, else as dates are usually written."""
    name = _name_of_band(order, bands, number)
    known = order.dates[number - 1] if len(order.dates) == len(bands) >= number else ""
    by_pattern = find(name) if find else []
    return by_pattern or ([dt.date.fromisoformat(known)] if known else dates_in(name))


def _name_of_band(order: LayerOrder, bands: list[rasters.Band], number: int) -> str:
    names = order.band_names if len(order.band_names) == len(bands) else [band.name for band in bands]
    return names[number - 1] if number <= len(names) else ""  # whoever reads it says that there is none


def _days_of_layer(order: LayerOrder) -> list[dt.date]:
    if len(order.dates) == 1 and order.dates[0]:
        return [dt.date.fromisoformat(order.dates[0])]
    return next((found for found in map(dates_in, _names_of_layer(order)) if found), [])


def _names_of_layer(order: LayerOrder) -> tuple[str, str]:
    return order.title, Path(order.path).stem


def _all_classes(found: list[DatedRaster]) -> tuple[DatedRaster, ...]:
    """The rasters, all of them classes as soon as one of them is: a variable has one legend."""
    first = next((each.order for each in found if each.order.classes), None)
    if first is None:
        return tuple(found)
    why = f"{first.title} has a legend"
    return tuple(
        each
        if each.order.classes
        else replace(each, order=replace(each.order, classes=True, classes_why=why))
        for each in found
    )
