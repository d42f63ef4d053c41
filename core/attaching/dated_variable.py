"""Writes rasters of different dates as one variable (time, y, x) of a cube."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..cube.encoding import GRID_MAPPING
from ..cube.write import CHUNK, EPOCH, CubeWriter
from ..errors import InputError
from ..grid import Grid
from ..progress import Progress
from .date_match import Match, chosen_dates, period_of
from .dated_layers import DatedRaster, DatedVariable
from .layer_order import raster_of
from .legends import Legend, choice_in_words, legend_of, values_there

log = logging.getLogger(__name__)

NO_DATE = int(np.iinfo("int32").min)  # in NAME_date
VALUES_AT_ONCE = 32_000_000  # of a block of dates; 128 MB
MOST_SOURCES = 20  # that an attribute lists; HDF5 holds no more than 64 kB of text


@dataclass(frozen=True)
class Attached:
    """`coverage`: share of all pixels of all steps with a value. `steps`: how many have a raster."""

    coverage: float
    steps: int


def write_dated(
    writer: CubeWriter,
    grid: Grid,
    variable: DatedVariable,
    days: np.ndarray,
    match: Match,
    progress: Progress,
) -> Attached:
    """Write a variable (time, y, x) and its `date_name` (time) for the steps of a cube: `days`, datetime64[D].

    One raster is in memory at a time, and a block of steps. Raises `InputError` for rasters that cannot be read, hold
    classes with two names, or have no value within the cube.
    """
    chosen = chosen_dates(variable.name, variable.dates, days, match)
    reader = _Reader(grid, variable)
    legend = _legend(reader, chosen, progress.part(0.0, 0.5)) if reader.classes else None
    sizes = {"time": len(days), "y": grid.height, "x": grid.width}
    dtype, fill = (legend.dtype.name, legend.fill) if legend else ("float32", np.float32(np.nan))
    writer.create(variable.name, sizes, dtype, fill)
    count = empty = 0
    for place in _blocks(len(days), grid):
        progress.update(
            (0.5 if legend else 0.0) + place.start / len(days) * (0.5 if legend else 1.0), variable.name
        )
        block = np.full((place.stop - place.start, *grid.shape), fill, dtype)
        for number, date in enumerate(chosen[place]):
            if np.isnat(date):
                continue
            progress.raise_if_cancelled()
            values = reader.values(date)
            there = int(np.isfinite(values).sum())
            count, empty = count + there, empty + (there == 0)
            block[number] = legend.stored(values) if legend else values
        writer.put(variable.name, (place, slice(None), slice(None)), block)
    if not count:
        raise InputError(
            f"The rasters of {variable.name} have no value within the cube.",
            "Check their place and their CRS.",
        )
    steps = int((~np.isnat(chosen)).sum())
    coverage = count / (len(days) * grid.height * grid.width)
    writer.describe(
        variable.name,
        **reader.attributes(),
        **(legend.attributes if legend else {}),
        coverage_percent=round(100 * coverage, 2),
        steps_with_raster=np.int32(steps),
        date_match=str(match),
        ancillary_variables=variable.date_name,
        grid_mapping=GRID_MAPPING,
    )
    _write_dates(writer, variable, chosen)
    _report(variable, chosen, match, empty)
    return Attached(coverage, steps)


def _write_dates(writer: CubeWriter, variable: DatedVariable, chosen: np.ndarray) -> None:
    writer.create(
        variable.date_name,
        {"time": len(chosen)},
        "int32",
        NO_DATE,
        long_name=f"date of the raster of {variable.name}",
        units="days since 1970-01-01",
        calendar="standard",
    )
    numbers = (chosen - np.datetime64(EPOCH)).astype("timedelta64[D]").astype("int64")
    stored = np.where(np.isnat(chosen), NO_DATE, numbers).astype("int32")
    writer.put(variable.date_name, (slice(None),), stored)


def _report(variable: DatedVariable, chosen: np.ndarray, match: Match, empty: int) -> None:
    dates, there = variable.dates, chosen[~np.isnat(chosen)]
    log.info(
        "%s: %d rasters of %d dates (%s); %d of the %d steps of the cube have one (%s).",
        variable.name, len(variable.rasters), len(dates), period_of(dates), len(there), len(chosen), match,
    )  # fmt: skip
    unused = len(dates) - len(np.unique(there))
    if unused:
        log.info("%s: the rasters of %d dates fit no step.", variable.name, unused)
    if empty:
        log.warning("%s: at %d steps the raster has no value within the cube.", variable.name, empty)


def _blocks(count: int, grid: Grid) -> Iterator[slice]:
    """Steps as chunks have them, fewer where the grid is large."""
    size = min(CHUNK[0], max(1, VALUES_AT_ONCE // (grid.height * grid.width)))
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def _legend(reader: _Reader, chosen: np.ndarray, progress: Progress) -> Legend:
    """One legend for all dates, which takes to know the classes of all of them before the first is written."""
    dates = np.unique(chosen[~np.isnat(chosen)])
    there: set[int] = set()
    for number, date in enumerate(dates):
        progress.update(number / len(dates), f"Classes of {reader.name}")
        there |= values_there(reader.values(date), reader.name)
    return legend_of(there, *reader.names_and_colours())


class _Reader:
    """The rasters of a variable on the grid, by their date. The last one is kept: steps that follow each other may
    have the same."""

    def __init__(self, grid: Grid, variable: DatedVariable) -> None:
        self._grid = grid
        self._by_date: dict[np.datetime64, list[DatedRaster]] = {}
        for raster in variable.rasters:
            self._by_date.setdefault(np.datetime64(raster.day, "D"), []).append(raster)
        self._rasters = variable.rasters
        self._kept: tuple[np.datetime64 | None, np.ndarray] = (None, np.empty(0))
        self._found: dict[tuple[str, str, str], None] = {}  # method, choice, units, in order
        self.name = variable.name
        self.classes = bool(variable.rasters[0].order.classes)

    def values(self, date: np.datetime64) -> np.ndarray:
        """(y, x) float64, NaN for missing."""
        if self._kept[0] != date:
            out = np.full(self._grid.shape, np.nan)
            for raster in self._by_date[date]:
                found = self._read(raster)
                out = np.where(np.isnan(out), found, out)
            self._kept = (date, out)
        return self._kept[1]

    def _read(self, raster: DatedRaster) -> np.ndarray:
        order = raster.order
        found = raster_of(order, self._grid)
        units = order.units or found.units
        for _, _, others in self._found:
            if others != units and not self.classes:
                raise InputError(
                    f"The rasters of {self.name} have different units: {others or 'none'} and {units or 'none'} "
                    f"({order.title}).",
                    "Attach them under different names.",
                )
        self._found[found.method, choice_in_words(order, found), units] = None
        return found.values

    def names_and_colours(self) -> tuple[dict[str, str], dict[str, str]]:
        """Those of all layers. Raises `InputError` for a value that has two names."""
        names: dict[str, str] = {}
        colours: dict[str, str] = {}
        for order in (each.order for each in self._rasters):
            for value, name in order.legend.items():
                if names.setdefault(value, name) != name:
                    raise InputError(
                        f"The class {value} of {self.name} has two names: {names[value]} and {name} ({order.title}).",
                        "Give the layers one legend, or different names of variables.",
                    )
            colours = {**order.colours, **colours}
        return names, colours

    def attributes(self) -> dict[str, Any]:
        """What the variable says of itself, after its rasters were read."""
        methods = dict.fromkeys(method for method, _, _ in self._found)
        choices = dict.fromkeys(choice for _, choice, _ in self._found)
        units = next((units for _, _, units in self._found if units), "")
        sources = list(dict.fromkeys(each.order.source for each in self._rasters))
        if len(sources) > MOST_SOURCES:
            sources = [*sources[: MOST_SOURCES - 1], f"... ({len(sources)} rasters)"]
        return {
            "long_name": _common_title(self._rasters) or self.name,
            "units": "1" if self.classes else units,
            "source": "; ".join(sources),
            "resampling": "; ".join(methods),
            "resampling_choice": "; ".join(choices),
        }


def _common_title(found: Sequence[DatedRaster]) -> str:
    """What the titles of the layers say beside their dates; nothing where they differ in that."""
    titles = {each.order.title for each in found}
    if len(titles) > 1:
        titles = {re.sub(r"\d{4}[-_.]?\d{2}[-_.]?\d{2}", "", title).strip(" _-.:,") for title in titles}
    return next(iter(titles)) if len(titles) == 1 else ""
