"""Statistics of the training samples while they stream by, of context, target, weather and static, each apart; and the
baselines that they give, with their scores on the other samples."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from .baselines import Baselines
from .layout import Layout
from .parameters import ExportParameters
from .plan import CubePlan
from .samples import SPLITS
from .statistics import Statistics
from .stream import Batch

KINDS = ("context", "target", "weather", "static")
PLACES = 200_000  # pixels times variables that have a climatology of their own; 0.9 kB each
AHEAD = 4  # pieces that may wait for the thread
VALUES_AT_ONCE = 1 << 21  # that are kept until they are taken up together


class Summary:
    """Takes up arrays of training samples, (sample, variable, ...) float32 by kind."""

    def __init__(self, layout: Layout) -> None:
        self._thread = ThreadPoolExecutor(1, "statistics")  # one: in the order in which they come
        self._running: list[Future] = []
        names = (layout.context, layout.target, layout.weather, layout.static)
        self._parts = {kind: Statistics(each) for kind, each in zip(KINDS, names, strict=True) if each}
        self._waiting: dict[str, list[np.ndarray]] = {kind: [] for kind in self._parts}
        self._count = dict.fromkeys(self._parts, 0)

    def add(self, arrays: dict[str, np.ndarray]) -> None:
        """Take up samples; the arrays must not change afterwards."""
        for kind in self._parts:
            self._waiting[kind].append(arrays[kind])
            self._count[kind] += arrays[kind].size
            if self._count[kind] >= VALUES_AT_ONCE:
                self._take_up(kind)

    def flush(self) -> None:
        """Take up what waits."""
        for kind in self._parts:
            self._take_up(kind)
        while self._running:
            self._running.pop(0).result()

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _take_up(self, kind: str) -> None:
        waiting, self._waiting[kind], self._count[kind] = self._waiting[kind], [], 0
        if not waiting:
            return
        while len(self._running) > AHEAD:
            self._running.pop(0).result()
        self._running.append(self._thread.submit(_update, self._parts[kind], waiting))

    def result(self) -> dict[str, Any]:
        """By kind and variable, as `Statistics.result` has it."""
        self.flush()
        return {kind: self._parts[kind].result() if kind in self._parts else {} for kind in KINDS}

    def to_json(self) -> dict[str, Any]:
        """The state as plain values, of what was flushed."""
        return {kind: part.to_json() for kind, part in self._parts.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state that `to_json` gave."""
        self._parts = {kind: Statistics.from_json(each) for kind, each in state.items()}


def _update(statistics: Statistics, parts: list[np.ndarray]) -> None:
    values = np.concatenate(parts)
    statistics.update(np.moveaxis(values, 1, 0).reshape(values.shape[1], -1))


class ToBeat:
    """Persistence and climatology: fit with training samples, then scored with the others.

    Where training and test share their pixels (SPLIT temporal) each pixel has its own climatology, unless they are too
    many; else all have that of the dataset.
    """

    def __init__(self, plans: Sequence[CubePlan], layout: Layout, parameters: ExportParameters) -> None:
        self._plans = plans
        self._size = parameters.patch_size if parameters.unit == "patch" else 0
        n_places = sum(len(plan.units) for plan in plans) * max(self._size, 1) ** 2 * len(layout.target)
        self._by_place = parameters.split == "temporal" and n_places <= PLACES
        self._is_wanted = parameters.split not in ("none", "kfold")
        self._baselines = Baselines(layout.target, layout.context)

    def fit(self, cube: int, batch: Batch) -> None:
        """Take up training samples of the plan with this number."""
        if self._is_wanted:
            arrays = batch.arrays
            self._baselines.fit(arrays["target"], arrays["target_time"], self._places(cube, batch))

    def score(self, cube: int, batch: Batch) -> None:
        """Take up samples of another split; no training samples may follow."""
        arrays = batch.arrays
        self._baselines.score(
            SPLITS[batch.split],
            arrays["context"],
            arrays["target"],
            arrays["target_time"],
            self._places(cube, batch),
        )

    def _places(self, cube: int, batch: Batch) -> np.ndarray | None:
        """A number for each pixel of the samples: (sample,) or (sample, y, x)."""
        if not self._by_place:
            return None
        plan = self._plans[cube]
        rows, columns = (
            plan.units.row[batch.units].astype(np.int64),
            plan.units.column[batch.units].astype(np.int64),
        )
        if self._size:
            along = np.arange(self._size)
            rows = rows[:, None, None] + along[None, :, None]
            columns = columns[:, None, None] + along[None, None, :]
        return (cube << 32) + rows * plan.grid.width + columns

    def result(self) -> dict[str, Any]:
        """By split, method and variable, as `Baselines.result` has it, and whose climatology it is."""
        return {"climatology_of": "pixel" if self._by_place else "dataset", **self._baselines.result()}

    def to_json(self) -> dict[str, Any]:
        """The state as plain values."""
        return self._baselines.to_json() if self._is_wanted else {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state that `to_json` gave."""
        if state:
            self._baselines = Baselines.from_json(state)
