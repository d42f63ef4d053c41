"""The climate of a cube: what a recipe asks for, read from a store, on the time axis of the cube.

Three steps: `look` finds out whether it can be had and how much that is, `read` fetches the hourly series and keeps
them in the part store, `write` aggregates them to the dates of the finished axis.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..aggregation import Series, Windows, aggregated, cell_method, single_days, windows_of
from ..catalogs.access import Access
from ..catalogs.entries import OWN, ClimateStore
from ..catalogs.http import Credentials
from ..catalogs.registry import Registry
from ..cube.encoding import Encoding, Variable
from ..cube.write import EPOCH
from ..errors import InputError, SourceError
from ..grid import Grid, centre_lonlat, lonlat_box
from ..partstore import PartStore
from ..progress import Progress
from ..recipe import Recipe
from ..secrets import redacted
from . import derived
from .cells import Block, block_around, interpolated, nearest_cells
from .chunks import ChunkCache
from .lapse import LAPSE, elevation_of_cell, elevation_on, is_corrected
from .opening import Opener
from .reading import DAY, DERIVED, Raw, Store
from .variables import GDD_BASES, VARIABLES, cube_names, sources_of

log = logging.getLogger(__name__)

FLOAT = Encoding("float32", None, np.nan)
DEFLATED = 0.6  # bytes on disk per byte of a series, or of a chunk on the way
THREADS = 8  # variables at once
VALID = 0.5  # of the hours; a cell with fewer values is not taken for one that has any


@dataclass(frozen=True)
class Kept:
    """A variable that was read: its series over (time, row, column) and the cells; `away`: km to the nearest one."""

    series: Series
    latitudes: np.ndarray
    longitudes: np.ndarray
    away: float


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
        opener = Opener(self.entry, credentials, Access(registry), ChunkCache(cache))
        opener.check()
        self._opener = opener
        self._windows = windows_of(days, recipe.era5_window, recipe.step_days)
        self._store = Store(self.entry, opener, self._windows.first[0], self._windows.last[-1])
        self._names = cube_names(recipe.era5_variables)
        self._needed = sources_of(recipe.era5_variables)
        self._elevation: np.ndarray | None = None
        if recipe.era5_dem and any(is_corrected(*pair) for pair in self._names):
            self._needed = tuple(dict.fromkeys((*self._needed, "t", "sp", "ap")))
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
            variable = VARIABLES[name]
            for need in variable.needs:
                step = self._store.step_of(self._found[need])
                if step > DERIVED if variable.daily else step >= DAY:
                    raise InputError(
                        f"{variable.long_name} ({name}) is derived from hourly values; {self.entry.title} has "
                        f"{VARIABLES[need].long_name} every {step / np.timedelta64(1, 'h'):g} hours.",
                        "Choose a variable that the store has, or another ERA5_SOURCE.",
                    )
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
        fresh: dict[str, Kept] = {}
        todo = []
        for group in self._groups():
            kept = {name: _from_parts(parts, self._key(name, group)) for name in group}
            if any(each is None for each in kept.values()):
                todo.append(group)
            else:
                self._kept |= kept

        def one(group: tuple[str, ...]) -> dict[str, Kept]:
            progress.raise_if_cancelled()
            return self._read(group)

        def keep(group: tuple[str, ...]) -> None:
            for name in group:
                _to_parts(parts, self._key(name, group), self._kept[name])

        def is_clear(group: tuple[str, ...]) -> bool:
            """Whether nothing else tells what the sums of a group are sums of."""
            return self.entry.id != OWN or not any(VARIABLES[name].sums for name in group)

        with ThreadPoolExecutor(THREADS) as pool:
            tasks = [pool.submit(one, group) for group in todo]
            for done, (group, task) in enumerate(zip(todo, tasks, strict=True), start=1):
                fresh |= task.result()
                if is_clear(group):
                    self._kept |= {name: fresh[name] for name in group}
                    keep(group)
                text = f"{self.entry.title}: {len(fresh)} of {len(self._needed)} variables"
                progress.update(done / len(tasks), f"{text}, {self._opener.fetched / 1e6:.0f} MB")
        settled = self._store.settle({name: kept.series for name, kept in fresh.items()})
        self._kept |= {name: dataclasses.replace(fresh[name], series=settled[name]) for name in fresh}
        for group in todo:
            if not is_clear(group):
                keep(group)

    def _key(self, name: str, group: tuple[str, ...]) -> str:
        """Names all that the values of a variable depend on; `group`: those that are of the same cell."""
        what = [
            group,
            sorted(self._needed) if self.entry.id == OWN else [],
            redacted(json.dumps(dataclasses.asdict(self.entry), sort_keys=True)),
            str(self._windows.first[0]),
            str(self._windows.last[-1]),
            self._grid.to_json(),
            self._block is not None,
            [_state_of(url) for url in (self.entry.url, *self.entry.urls.values())],
        ]
        digest = hashlib.blake2b(json.dumps(what, sort_keys=True).encode(), digest_size=12).hexdigest()
        return f"climate-{name}-{digest}"

    def _read(self, names: tuple[str, ...]) -> dict[str, Kept]:
        """The variables of a group, all of one cell or block."""
        axes = {name: self._found[name][0].axes for name in names}
        if self._block is not None:
            blocks = {name: block_around(axes[name], self._grid) for name in names}
            series = {
                name: self._series_at(name, block.rows, block.columns) for name, block in blocks.items()
            }
            return {name: Kept(series[name], b.latitudes, b.longitudes, 0.0) for name, b in blocks.items()}
        cells = {name: nearest_cells(axes[name], *self._place) for name in names}
        for number in range(min(map(len, cells.values()))):
            kept = {}
            for name in names:
                row, column, away = cells[name][number]
                series = self._series_at(name, np.array([row]), np.array([column]))
                if np.isfinite(series.values).mean() < VALID:
                    break
                places = [
                    axis[[n]] if axis.size else np.array([np.nan])
                    for axis, n in ((axes[name].latitudes, row), (axes[name].longitudes, column))
                ]
                kept[name] = Kept(series, *places, away)
            if len(kept) == len(names):
                if number:
                    log.info(
                        "%s: the nearest cell has no %s, the next one that has is %.0f km away.",
                        self.entry.title, ", ".join(VARIABLES[name].long_name for name in names), kept[names[0]].away,
                    )  # fmt: skip
                return kept
        raise SourceError(
            f"{self.entry.title} has no values of {VARIABLES[name].long_name} near the cube in this period.",
            "Choose another ERA5_SOURCE or variable: land data have none at sea, the sea's temperature none on land.",
            lasting=True,
        )

    def _series_at(self, name: str, rows: np.ndarray, columns: np.ndarray) -> Series:
        return self._store.read(name, self._found[name], rows, columns)

    def _groups(self) -> list[tuple[str, ...]]:
        """The variables that are read, in groups that have to be of one cell: those that something is derived from."""
        groups = [{name} for name in self._needed]
        derived_from = [set(VARIABLES[name].needs) for name, _ in self._names if VARIABLES[name].needs]
        if self._elevation is not None:
            derived_from.append({"t", "sp", "ap"})
        for together in derived_from:
            joined = set().union(*(group for group in groups if group & together))
            groups = [group for group in groups if not group & together] + [joined]
        return [tuple(name for name in self._needed if name in group) for group in groups]

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
        lacking = {}
        for number, ((variable, how), name) in enumerate(self._names.items()):
            progress.update(number / len(self._names), f"{self.entry.title}: {name}")
            series = self._series(variable, every_day)
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

    def _series(self, name: str, every_day: Windows) -> Series:
        """The series of a variable, derived where it is not read."""
        variable = VARIABLES[name]
        if not variable.needs:
            return self._kept[name].series
        given = [self._kept[need].series for need in variable.needs]
        if not variable.daily:
            stamps, (first, second) = _together(given)
            return Series(stamps, HOURLY[name](first, second), given[0].step, given[0].ending)
        share = self._recipe.min_hours_share

        def of(need: str, how: str) -> np.ndarray:
            return aggregated(self._kept[need].series, every_day, how, share)

        if name in GDD_BASES:
            values = derived.growing_degree_days(of("t", "min"), of("t", "max"), GDD_BASES[name])
        else:
            values = self._reference_evapotranspiration(of, every_day)
        return Series(every_day.last.astype("datetime64[s]"), values, DAY.astype("timedelta64[s]"))

    def _reference_evapotranspiration(
        self, of: Callable[[str, str], np.ndarray], every_day: Windows
    ) -> np.ndarray:
        low, high = of("t", "min"), of("t", "max")
        dew = self._kept["dp"].series
        vapour = Series(dew.stamps, derived.saturation_pressure(dew.values), dew.step, dew.ending)
        stamps, (east, north) = _together([self._kept[n].series for n in ("east_wind_10", "north_wind_10")])
        given = self._kept["east_wind_10"].series
        wind = Series(stamps, derived.wind_speed(east, north), given.step, given.ending)
        share = self._recipe.min_hours_share
        days = every_day.last
        number = (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(int) + 1
        latitudes = self._kept["t"].latitudes
        latitude = np.where(np.isnan(latitudes), self._place[1], latitudes)
        return derived.reference_evapotranspiration(
            t_min=low,
            t_max=high,
            t_mean=(low + high) / 2,
            vapour_pressure=aggregated(vapour, every_day, "mean", share),
            radiation=of("sr", "sum"),
            wind_2m=derived.wind_at_2_metres(aggregated(wind, every_day, "mean", share)),
            pressure=of("sp", "mean"),
            day_of_year=number[:, None, None],
            latitude=latitude[None, :, None],
        )

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


HOURLY: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "vpd": derived.vapour_pressure_deficit,
    "rh": derived.relative_humidity,
    "wind_10": derived.wind_speed,
    "wind_100": derived.wind_speed,
}


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


def _together(series: list[Series]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The stamps that all have, and the values at these."""
    stamps = series[0].stamps
    for each in series[1:]:
        stamps = np.intersect1d(stamps, each.stamps)
    return stamps, [each.values[np.searchsorted(each.stamps, stamps)] for each in series]


def _kind_of_kelvin(units: str, how: str) -> str:
    """What CF (3.1.2) wants to know of kelvins: whether they are temperatures or differences of these."""
    if units != "K":
        return ""
    return "temperature: difference" if how == "std" else "temperature: on_scale"


def _words(how: str) -> str:
    return f"percentile {how[1:]}" if how.startswith("p") else how


def _state_of(url: str) -> list:
    """Of files on disk what tells that they were replaced."""
    path = Path(url)
    try:
        inside = sorted(path.iterdir()) if path.is_dir() else []
        states = [(each.name, each.stat()) for each in (path, *inside)]
    except (OSError, ValueError):
        return []
    return [[name, state.st_size, state.st_mtime_ns] for name, state in states]


def _to_parts(parts: PartStore, key: str, kept: Kept) -> None:
    arrays = {
        "stamps": kept.series.stamps.astype("int64"),
        "values": kept.series.values,
        "latitudes": kept.latitudes,
        "longitudes": kept.longitudes,
    }
    info = {"step": int(kept.series.step.astype("timedelta64[s]").astype(int)), "ending": kept.series.ending}
    parts.record(key, arrays, {**info, "away": kept.away})


def _from_parts(parts: PartStore, key: str) -> Kept | None:
    info = parts.finished(key)
    if info is None:
        return None
    arrays = parts.arrays(key)
    series = Series(
        arrays["stamps"].astype("datetime64[s]"),
        arrays["values"],
        np.timedelta64(info["step"], "s"),
        info["ending"],
    )
    return Kept(series, arrays["latitudes"], arrays["longitudes"], info["away"])
