"""Reads what a cube needs of a climate store: each group of variables at one cell or block, kept in the part store."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..aggregation import Series, Windows
from ..catalogs.entries import OWN, ClimateStore
from ..errors import SourceError
from ..grid import Grid
from ..partstore import PartStore
from ..progress import Progress
from ..secrets import redacted
from .cells import block_around, nearest_cells
from .datasets import Raw
from .opening import Opener
from .reading import Reader
from .variables import VARIABLES

log = logging.getLogger(__name__)

THREADS = 8  # groups at once
VALID = 0.5  # of the hours; a cell with fewer values is not taken for one that has any


@dataclass(frozen=True)
class Kept:
    """A variable that was read: its series over (time, row, column) and the cells; `away`: km to the nearest one."""

    series: Series
    latitudes: np.ndarray
    longitudes: np.ndarray
    away: float


class Gatherer:
    """Reads `found`, what a store has, at the place of a grid.

    `together`: sets of variables that have to be of one cell. `bilinear`: all cells around the grid, else the nearest
    one that has values.
    """

    def __init__(
        self,
        entry: ClimateStore,
        opener: Opener,
        reader: Reader,
        found: dict[str, list[Raw]],
        grid: Grid,
        place: tuple[float, float],
        windows: Windows,
        together: list[set[str]],
        bilinear: bool,
    ) -> None:
        self._entry, self._opener, self._reader, self._found = entry, opener, reader, found
        self._grid, self._place, self._windows = grid, place, windows
        self._together, self._bilinear = together, bilinear

    def gather(self, parts: PartStore, progress: Progress) -> dict[str, Kept]:
        """Every variable, fetched, or taken from `parts`, where an earlier run kept it. Raises `SourceError`."""
        done: dict[str, Kept] = {}
        fresh: dict[str, Kept] = {}
        todo = []
        for group in self._groups():
            kept = {name: _from_parts(parts, self._key(name, group)) for name in group}
            if any(each is None for each in kept.values()):
                todo.append(group)
            else:
                done |= kept

        def one(group: tuple[str, ...]) -> dict[str, Kept]:
            progress.raise_if_cancelled()
            return self._read(group)

        def keep(group: tuple[str, ...]) -> None:
            for name in group:
                _to_parts(parts, self._key(name, group), done[name])

        def is_clear(group: tuple[str, ...]) -> bool:
            """Whether nothing else tells what the sums of a group are sums of."""
            return self._entry.id != OWN or not any(VARIABLES[name].sums for name in group)

        with ThreadPoolExecutor(THREADS) as pool:
            tasks = [pool.submit(one, group) for group in todo]
            for number, (group, task) in enumerate(zip(todo, tasks, strict=True), start=1):
                fresh |= task.result()
                if is_clear(group):
                    done.update({name: fresh[name] for name in group})
                    keep(group)
                text = f"{self._entry.title}: {len(fresh)} of {len(self._found)} variables"
                progress.update(number / len(tasks), f"{text}, {self._opener.fetched / 1e6:.0f} MB")
        settled = self._reader.settle({name: kept.series for name, kept in fresh.items()})
        done |= {name: dataclasses.replace(fresh[name], series=settled[name]) for name in fresh}
        for group in todo:
            if not is_clear(group):
                keep(group)
        return done

    def _key(self, name: str, group: tuple[str, ...]) -> str:
        """Names all that the values of a variable depend on; `group`: those that are of the same cell."""
        what = [
            group,
            sorted(self._found) if self._entry.id == OWN else [],
            redacted(json.dumps(dataclasses.asdict(self._entry), sort_keys=True)),
            str(self._windows.first[0]),
            str(self._windows.last[-1]),
            self._grid.to_json(),
            self._bilinear,
            [_state_of(url) for url in (self._entry.url, *self._entry.urls.values())],
        ]
        digest = hashlib.blake2b(json.dumps(what, sort_keys=True).encode(), digest_size=12).hexdigest()
        return f"climate-{name}-{digest}"

    def _read(self, names: tuple[str, ...]) -> dict[str, Kept]:
        """The variables of a group, all of one cell or block."""
        axes = {name: self._found[name][0].axes for name in names}
        if self._bilinear:
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
                        self._entry.title, ", ".join(VARIABLES[name].long_name for name in names), kept[names[0]].away,
                    )  # fmt: skip
                return kept
        raise SourceError(
            f"{self._entry.title} has no values of {VARIABLES[name].long_name} near the cube in this period.",
            "Choose another ERA5_SOURCE or variable: land data have none at sea, the sea's temperature none on land.",
            lasting=True,
        )

    def _series_at(self, name: str, rows: np.ndarray, columns: np.ndarray) -> Series:
        return self._reader.read(name, self._found[name], rows, columns)

    def _groups(self) -> list[tuple[str, ...]]:
        """The variables in groups that have to be of one cell."""
        groups = [{name} for name in self._found]
        for together in self._together:
            joined = set().union(*(group for group in groups if group & together))
            groups = [group for group in groups if not group & together] + [joined]
        return [tuple(name for name in self._found if name in group) for group in groups]


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
