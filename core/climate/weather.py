"""The climate of a cube: what a recipe asks for, read from a store, on the time axis of the cube.

Three steps: `look` finds out whether it can be had and how much that is, `read` fetches the hourly series and keeps
them in the part store, `write` aggregates them to the dates of the finished axis.
"""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path
from typing import Any

import numpy as np

from ..aggregation import Series, Windows, aggregated, cell_method, single_days, windows_of
from ..catalogs.access import Access
from ..catalogs.http import Credentials
from ..catalogs.registry import Registry
from ..cube.encoding import Encoding, Variable
from ..cube.write import EPOCH
from ..grid import Grid, centre_lonlat, lonlat_box
from ..partstore import PartStore
from ..progress import Progress
from ..recipe import Recipe
from ..secrets import redacted
from .cells import Block, block_around, interpolated, nearest_cells
from .chunks import ChunkCache
from .datasets import Raw
from .deriving import check_steps, series_of
from .gathering import Gatherer, Kept
from .lapse import LAPSE, elevation_of_cell, elevation_on, is_corrected
from .login import Login
from .opening import Opener
from .reading import Reader
from .stores import Store, store_of
from .variables import VARIABLES, cube_names, sources_of

log = logging.getLogger(__name__)

FLOAT = Encoding("float32", None, np.nan)
DEFLATED = 0.6  # bytes on disk per byte of a series, or of a chunk on the way
OF_THE_GROUND = ("t", "sp", "ap")  # what tells the elevation of a cell


class Climate:
    """The climate variables of one recipe. `days`: all dates that the axis may have."""

    def __init__(
        self,
        recipe: Recipe,
        registry: Registry,
        credentials: Credentials,
        grid: Grid,
        days: list[dt.date],
        cache: Path | None,
    ) -> None:
        """`cache`: the folder in which chunks are kept, None for none. Raises `InputError`."""
        self._recipe, self._grid = recipe, grid
        self.entry = store_of(recipe.era5_source, registry)
        login = Login(self.entry, credentials)
        login.check()
        opener = Opener(self.entry, login, Access(registry), ChunkCache(cache))
        self._opener = opener
        self._windows = windows_of(days, recipe.era5_window, recipe.step_days)
        self._store = Store(self.entry, opener, self._windows.first[0], self._windows.last[-1])
        self._names = cube_names(recipe.era5_variables)
        self._needed = sources_of(recipe.era5_variables)
        self._elevation: np.ndarray | None = None
        if recipe.era5_dem and any(is_corrected(*pair) for pair in self._names):
            self._needed = tuple(dict.fromkeys((*self._needed, *OF_THE_GROUND)))
            self._elevation = elevation_on(grid, recipe.era5_dem)
        self._found: dict[str, list[Raw]] = {}
        self._block: Block | None = None
        self._kept: dict[str, Kept] = {}

    # --- whether it can be had ------------------------------------------------------------------

    def look(self, progress: Progress) -> None:
        """Open the store and check that everything is there. Reads metadata alone. Raises `InputError`,
        `SourceError`."""
        progress.update(0.0, f"Looking into {self.entry.title}")
        self._found = self._store.look(self._needed)
        every = [parts[0].axes for parts in self._found.values()]
        for axes in every:
            nearest_cells(axes, *self._place)
            if axes.latitudes.size == 0:
                log.warning(
                    "%s does not say where it lies: its values are taken as they are.", self.entry.title
                )
        for name, _ in self._names:
            check_steps(name, lambda need: self._store.step_of(self._found[need]), self.entry.title)
        if self._is_bilinear(every[0].cell):
            for axes in every:
                self._block = block_around(axes, self._grid)

    @property
    def _place(self) -> tuple[float, float]:
        west, south, east, north = self._grid.bounds
        return centre_lonlat((west, south, east, north), self._grid.crs)

    def _is_bilinear(self, cell: float) -> bool:
        """Asked for, or left to us and the grid is larger than a cell: then its parts have weather of their own."""
        if self._recipe.era5_space != "auto":
            return self._recipe.era5_space == "bilinear"
        west, south, east, north = lonlat_box(self._grid.bounds, self._grid.crs)
        wide = (east - west) % 360.0
        return max(wide * np.cos(np.radians((south + north) / 2)), north - south) > cell

    def estimate_mb(self) -> tuple[float, float]:
        """(on disk, to download) in 10^6 bytes; call `look` before."""
        steps = len(self._windows)
        maps = sum(self._is_map(*pair) for pair in self._names)
        # Interpolated fields are smooth: shuffled and deflated they take about a byte per pixel.
        disk = len(self._names) * (3_000 + steps * 4) + maps * steps * self._grid.width * self._grid.height
        if self._recipe.era5_daily:
            disk += len(self._names) * (3_000 + 4 * len(self._windows.days))
        if "://" not in self.entry.url:
            return disk / 1e6, 0.0
        cells = (1, None, None)
        if self._block is not None:
            cells = (len(self._block.rows) * len(self._block.columns), self._block.rows, self._block.columns)
        download = sum(self._store.bytes_of(name, parts, *cells)[0] for name, parts in self._found.items())
        return disk / 1e6, download * DEFLATED / 1e6

    def variables(self) -> list[Variable]:
        """Those that are maps over time, for `open_cube`; call `look` before."""
        return [
            Variable(name, FLOAT, self._attributes(variable, how))
            for (variable, how), name in self._names.items()
            if self._is_map(variable, how)
        ]

    def _is_map(self, variable: str, how: str) -> bool:
        return self._block is not None or self._is_corrected(variable, how)

    def _is_corrected(self, variable: str, how: str) -> bool:
        """Whether a temperature is moved to the elevation of the pixels."""
        return self._elevation is not None and is_corrected(variable, how)

    # --- reading -----------------------------------------------------------------------------------

    def read(self, parts: PartStore, progress: Progress) -> None:
        """Fetch the hourly series that are needed; those that `parts` has from an earlier run are taken from there.

        Raises `SourceError`.
        """
        together = [set(VARIABLES[name].needs) for name, _ in self._names if VARIABLES[name].needs]
        if self._elevation is not None:
            together.append(set(OF_THE_GROUND))
        reader = Reader(self._store, self._opener)
        gatherer = Gatherer(
            self.entry, self._opener, reader, self._found, self._grid, self._place, self._windows, together,
            self._block is not None,
        )  # fmt: skip
        self._kept = gatherer.gather(parts, progress)

    def close(self) -> None:
        """Let connections go; what was read stays."""
        self._opener.close()

    # --- the time axis of the cube ---------------------------------------------------------------------

    def write(self, cube: Any, days: list[dt.date], progress: Progress) -> None:
        """Aggregate to `days` and put it into the cube, with the bounds of its steps.

        Call `read` before; `days` are some of those that this was made with, in their order.
        """
        recipe = self._recipe
        windows = windows_of(days, recipe.era5_window, recipe.step_days)
        every_day = single_days(windows.first.min(), windows.last.max())
        epoch = np.datetime64(EPOCH, "D")
        cube.add("time_bnds", ("time", "nv"), (windows.bounds - epoch).astype("int32"))
        cube.describe("time", bounds="time_bnds")
        if recipe.era5_daily:
            cube.add(
                "time_daily", ("time_daily",), (every_day.last - epoch).astype("int32"),
                standard_name="time", long_name="UTC day", units="days since 1970-01-01", calendar="standard",
                units_metadata="leap_seconds: none", bounds="time_daily_bnds",
            )  # fmt: skip
            cube.add("time_daily_bnds", ("time_daily", "nv"), (every_day.bounds - epoch).astype("int32"))
        read = {name: kept.series for name, kept in self._kept.items()}
        cells = self._kept.get("t") or next(iter(self._kept.values()))
        latitude = np.where(np.isnan(cells.latitudes), self._place[1], cells.latitudes)
        lacking = {}
        for number, ((variable, how), name) in enumerate(self._names.items()):
            progress.update(number / len(self._names), f"{self.entry.title}: {name}")
            series = series_of(variable, read, every_day, recipe.min_hours_share, latitude)
            values = aggregated(series, windows, how, recipe.min_hours_share)
            lacking[name] = int(np.isnan(values).all(axis=(1, 2)).sum())
            attributes = self._attributes(variable, how)
            if self._is_map(variable, how):
                self._write_maps(cube, name, values, self._is_corrected(variable, how))
            else:
                cube.add(
                    name, ("time",), values[:, 0, 0].astype(np.float32), **attributes, **self._cell(variable)
                )
            if recipe.era5_daily:
                self._write_daily(cube, f"{name}_daily", variable, how, series, every_day)
        short = {name: count for name, count in lacking.items() if count}
        if short:
            log.warning(
                "Steps without a value, because hours are missing in %s: %s.",
                self.entry.title, ", ".join(f"{name} {count} of {len(days)}" for name, count in short.items()),
            )  # fmt: skip
        cube.describe(None, era5_source=self._source())

    def _write_maps(self, cube: Any, name: str, values: np.ndarray, corrected: bool) -> None:
        """`values`: (step, row, column) of the cells."""
        if corrected:
            values = values + LAPSE * self._cell_elevation()
        size = max(1, int(16_000_000 / (self._grid.width * self._grid.height)))
        for start in range(0, len(values), size):
            part = values[start : start + size]
            if self._block is not None:
                maps = interpolated(part, self._block, self._grid)
            else:
                maps = np.broadcast_to(part, (len(part), *self._grid.shape))
            cube.write(name, start, maps - LAPSE * self._elevation if corrected else maps)

    def _cell_elevation(self) -> np.ndarray:
        """Elevation (m) of the model's ground (row, column), of the mean pressures and temperature of the period."""
        means = [np.nanmean(self._kept[name].series.values, axis=0) for name in ("sp", "ap", "t")]
        return elevation_of_cell(*means)

    def _write_daily(
        self, cube: Any, name: str, variable: str, how: str, series: Series, every_day: Windows
    ) -> None:
        values = aggregated(series, every_day, how, self._recipe.min_hours_share)
        attributes = self._attributes(variable, how, "time_daily")
        if self._block is None:
            values, places = values[:, 0, 0], self._cell(variable)
        else:
            # A map for each day would be larger than all images: the middle of the grid speaks for it.
            middle = Grid(
                self._grid.crs,
                self._grid.left + self._grid.resolution_x * (self._grid.width // 2),
                self._grid.top - self._grid.resolution_y * (self._grid.height // 2),
                self._grid.resolution_x, self._grid.resolution_y, 1, 1,
            )  # fmt: skip
            values, places = (
                interpolated(values, self._block, middle)[:, 0, 0],
                {"comment": "at the middle of the grid"},
            )
        cube.add(name, ("time_daily",), np.asarray(values, np.float32), **{**attributes, **places})

    # --- words ----------------------------------------------------------------------------------------

    def _attributes(self, name: str, how: str, time: str = "time") -> dict[str, Any]:
        variable = VARIABLES[name]
        many = sum(each == name for each, _ in self._names) > 1 or how != variable.usual
        plain = how in ("sum", "mean", "min", "max", "median")
        space = "bilinear between cells, after the aggregation" if self._block else "nearest valid cell"
        if self._is_corrected(name, how) and time == "time":
            space += f"; moved to the elevation of each pixel by {LAPSE} K m-1"
        return {
            "long_name": f"{variable.long_name}, {_words(how)}" if many else variable.long_name,
            "standard_name": variable.standard_name if plain else "",
            "units": variable.units,
            "units_metadata": _kind_of_kelvin(variable.units, how),
            "cell_methods": cell_method(how).replace("time:", f"{time}:", 1),
            "source": self._source(),
            "resampling": space,
            "references": variable.reference,
            "aggregation": how,
            "window": self._recipe.era5_window,
        }

    def _cell(self, name: str) -> dict[str, Any]:
        kept = self._kept[(VARIABLES[name].needs or (name,))[0]]
        if np.isnan(kept.latitudes[0]):
            return {}
        return {
            "cell_latitude": float(kept.latitudes[0]),
            "cell_longitude": float((kept.longitudes[0] + 180.0) % 360.0 - 180.0),
            "cell_distance_km": round(kept.away, 1),
        }

    def _source(self) -> str:
        place = redacted(self.entry.url)
        return self.entry.title if self.entry.title == place else f"{self.entry.title}: {place}"


def _kind_of_kelvin(units: str, how: str) -> str:
    """What CF (3.1.2) wants to know of kelvins: whether they are temperatures or differences of these."""
    if units != "K":
        return ""
    return "temperature: difference" if how == "std" else "temperature: on_scale"


def _words(how: str) -> str:
    return f"percentile {how[1:]}" if how.startswith("p") else how
