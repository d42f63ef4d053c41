"""The arrays of samples: the windows of a block of units, all units at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..cleaning.causal import CausalCleaner
from ..cleaning.options import CleaningOptions
from .layout import Layout
from .parameters import ExportParameters
from .values import Values

NAMES = ("context_variables", "target_variables", "weather_variables", "static_variables")
# In the order in which they stand in a file.
KEYS = (
    "context", "target", "context_time", "target_time", "context_variables", "target_variables", "weather",
    "weather_time", "weather_variables", "static", "static_variables", "context_filled", "target_filled", "lonlat",
    "sample_id",
)  # fmt: skip


class Windows:
    """Cuts windows from the values of a block of units, smoothed as the parameters say.

    `days`: the cube's axis, (time,) datetime64[D]. `measured`: which of the layout's images are measures, which alone
    are smoothed.
    """

    def __init__(
        self,
        values: Values,
        days: np.ndarray,
        layout: Layout,
        parameters: ExportParameters,
        measured: set[str],
    ) -> None:
        self._values, self._days, self._layout, self._parameters = values, days, layout, parameters
        self._context = [layout.images.index(name) for name in layout.context]
        self._target = [layout.images.index(name) for name in layout.target]
        self._smooth = [number for number, name in enumerate(layout.images) if name in measured]
        self._cleaner = self._made_cleaner() if parameters.smoothing in ("context", "both") else None

    def _made_cleaner(self) -> CausalCleaner:
        values, images = self._values, self._layout.images
        options = CleaningOptions.from_json(self._parameters.cleaning)
        series = {images[number]: _series(values.images[:, number]) for number in self._smooth}
        mask = None if values.mask is None else _series(values.mask)
        driver = None if values.driver is None else _series(values.driver)
        return CausalCleaner(series, mask, self._days, options, driver=driver)

    def cut(self, start: int, chosen: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of the window that begins at the step `start`, of the units of a mask or of numbers.

        As a sample's, with a leading axis of units but for names and times: `context`, `target`, `weather`, `static`
        float32, `context_filled`, `target_filled` bool.
        """
        p = self._parameters
        middle, end = start + p.context, start + p.length
        context, context_filled = self._part(
            start, middle, self._context, chosen, p.smoothing != "none", True
        )
        target, target_filled = self._part(middle, end, self._target, chosen, p.smoothing == "both", False)
        moved = slice(start + p.shift, end + p.shift)
        return {
            "context": context,
            "target": target,
            "context_time": self._days[start:middle],
            "target_time": self._days[middle:end],
            "weather": self._values.weather[:, :, moved][chosen],
            "weather_time": self._days[moved],
            "static": self._values.static[chosen],
            "context_filled": context_filled,
            "target_filled": target_filled,
        }

    def _part(
        self, start: int, stop: int, variables: list[int], chosen: np.ndarray, smooth: bool, past: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values and whether they were filled: (unit, variable, time[, y, x])."""
        steps = self._values.images[:, :, start:stop]
        found = steps[chosen][:, variables]
        if self._values.filled is not None:
            return found, self._values.filled[:, :, start:stop][chosen][:, variables]
        filled = np.zeros(found.shape, bool)
        if self._cleaner is None or not smooth:
            return found, filled
        values, missing = self._cleaner.window(start, stop, past=past)
        shape = (len(steps), stop - start, *steps.shape[3:])
        for place, number in enumerate(variables):
            if number not in self._smooth:
                continue
            name = self._layout.images[number]
            found[:, place] = _maps(values[name], shape)[chosen]
            # What was not seen and is missing still was not filled.
            filled[:, place] = _maps(missing[name], shape)[chosen] & np.isfinite(found[:, place])
        return found, filled


def _series(values: np.ndarray) -> np.ndarray:
    """(unit, time[, y, x]) as (series, time)."""
    return np.moveaxis(values, 1, -1).reshape(-1, values.shape[1])


def _maps(series: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(series, time) as (unit, time[, y, x])."""
    n_units, n_times, *pixels = shape
    return np.moveaxis(series.reshape(n_units, *pixels, n_times), -1, 1)


def seen_shares(values: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """The share of each unit's values that are there and not filled: (unit,) float64."""
    seen = np.isfinite(values) & ~filled
    return seen.reshape(len(seen), -1).mean(axis=1)


def names_of(layout: Layout) -> dict[str, np.ndarray]:
    """The names of variables as arrays of fixed width, which are read without pickle."""
    given = (layout.context, layout.target, layout.weather, layout.static)
    return {key: np.array(names, dtype=str) for key, names in zip(NAMES, given, strict=True)}


def in_rows(arrays: dict[str, Any], n_rows: int) -> Iterator[dict[str, Any]]:
    """The arrays of each sample of a batch."""
    for row in range(n_rows):
        yield {key: values if key in NAMES else values[row] for key, values in arrays.items()}
