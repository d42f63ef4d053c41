"""Streams the samples of a cube: block after block of units, window after window, split by split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..cleaning.options import CleaningOptions
from .arrays import Windows, seen_shares
from .cubes import CubeData
from .layout import Layout
from .parameters import ExportParameters
from .plan import DROPPED, CubePlan
from .values import Values, read_values, unit_blocks
from .writing import batches

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Batch:
    """Samples of one window and one split. `window`: its number in the plan; `units`: their numbers; `arrays`: those of
    a sample, with a leading axis of samples but for times."""

    window: int
    split: int
    units: np.ndarray
    arrays: Arrays

    def take(self, rows: np.ndarray) -> Batch:
        """Those of a mask or of numbers."""
        return Batch(self.window, self.split, self.units[rows], _some(self.arrays, rows))


class CubeStream:
    """The samples of an open cube as its plan has them."""

    def __init__(self, cube: CubeData, plan: CubePlan, layout: Layout, parameters: ExportParameters) -> None:
        self._cube, self._plan, self._layout, self._parameters = cube, plan, layout, parameters
        self._measured = set(layout.images) - cube.kinds.classes - cube.kinds.series
        self.dropped: Counter = Counter()

    def blocks(self) -> list[np.ndarray]:
        """The units that are read together, as numbers; the same in every run."""
        units = self._plan.units
        return unit_blocks(self._cube, self._layout, units.row, units.column, self._plan.size)

    def batches(self, units: np.ndarray, only: tuple[int, ...] = ()) -> Iterator[Batch]:
        """The samples of a block, window after window; those with too few seen values are left out and counted.

        `only`: the splits to have, empty for all.
        """
        plan, p = self._plan, self._parameters
        splits = plan.splits(units)
        if only:
            splits[~np.isin(splits, only)] = DROPPED
        wanted = (splits != DROPPED).any(axis=1)
        units, splits = units[wanted], splits[wanted]
        if not len(units):
            return
        cut = Windows(self._values(units), plan.days, self._layout, p, self._measured)
        prefixes = unit_names(plan, units)
        suffixes = window_names(plan)
        for window, start in enumerate(plan.starts):
            of_window = splits[:, window]
            chosen = np.flatnonzero(of_window != DROPPED)
            if not len(chosen):
                continue
            arrays = cut.cut(int(start), slice(None) if len(chosen) == len(units) else chosen)
            keep = self._seen_enough(arrays)
            if not keep.all():
                self.dropped["too few seen values"] += int(np.count_nonzero(~keep))
                chosen, arrays = chosen[keep], _some(arrays, keep)
            arrays["lonlat"] = np.stack([plan.units.lon, plan.units.lat], axis=1)[units[chosen]]
            arrays["sample_id"] = np.char.add(prefixes[chosen], suffixes[window])
            for split, rows in batches(of_window[chosen]):
                part = arrays if len(rows) == len(chosen) else _some(arrays, rows)
                yield Batch(window, split, units[chosen[rows]], part)

    def _values(self, units: np.ndarray) -> Values:
        plan, p = self._plan, self._parameters
        cleaning = CleaningOptions.from_json(p.cleaning) if p.smoothing in ("context", "both") else None
        rows, columns = plan.units.row[units], plan.units.column[units]
        return read_values(self._cube, self._layout, p, rows, columns, cleaning)

    def _seen_enough(self, arrays: Arrays) -> np.ndarray:
        p = self._parameters
        keep = np.ones(len(arrays["context"]), bool)
        for part, least in (("context", p.min_seen_context), ("target", p.min_seen_target)):
            if least > 0:
                keep &= seen_shares(arrays[part], arrays[f"{part}_filled"]) >= least
        return keep


def _some(arrays: Arrays, rows: np.ndarray) -> Arrays:
    return {key: values if key.endswith("_time") else values[rows] for key, values in arrays.items()}


def unit_names(plan: CubePlan, units: np.ndarray) -> np.ndarray:
    """The part of the sample's name that says where: text (unit,)."""
    pairs = zip(plan.units.row[units].tolist(), plan.units.column[units].tolist(), strict=True)
    return np.array([f"{plan.label}_{row:04d}_{column:04d}" for row, column in pairs], dtype=str)


def window_names(plan: CubePlan) -> np.ndarray:
    """The part of the sample's name that says when, the first date of the context: text (window,)."""
    names = np.char.add("_", plan.days[plan.starts].astype(str))
    if len(np.unique(names)) < len(names):  # several images on one day
        names = np.char.add(np.char.add(names, "_"), plan.starts.astype(str))
    return names
