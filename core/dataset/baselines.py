"""What a model must beat: persistence and the climatology of the day of year, with their scores on val and test.

Persistence: the last value of the variable that is seen in the context, for all steps of the target.

Climatology: the mean of what the training targets showed at that time of year. Days of the year are taken five by five
(bin 0: 1 to 5 January; day 366 goes to the last bin), and a bin's mean is that of all values in its seven bins: itself
and three on each side, over the new year, 35 days. Where a place has at least `LEAST` values of its own in them (a
place is a pixel, when `places` are given) it is predicted by these, else by all training samples of the dataset. Only
the targets of training samples are taken, so no year, place or cleaning enters that a model could not have learned
from. Values that several windows share count in each of them.

Scores, over pairs in which prediction and truth are finite: RMSE, MAE; R2 = 1 - (squared errors / squared deviations of
the truth from its mean over the split); NNSE, the mean over the target series of 1 / (2 - NSE), with the efficiency
NSE of J. E. Nash and J. V. Sutcliffe (J. Hydrology 10, 1970) of each series that is not constant, as GreenEarthNet has
it (Benson et al., CVPR 2024).
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError

METHODS = ("persistence", "climatology")
DAYS, BINS, AROUND = 5, 73, 3
LEAST = 3
VERSION = 1
MAX_PLACES = 200_000  # beyond which places have no climatology of their own: 0.9 kB each and variable
SUMS = ("n", "series", "nnse", "absolute", "square", "mean", "deviation", "missing")


def bins_of(dates: np.ndarray) -> np.ndarray:
    """The bin of the year of each date: int, 0 to 72."""
    days = dates.astype("datetime64[D]")
    return np.minimum((days - days.astype("datetime64[Y]")).astype(int) // DAYS, BINS - 1)


def smoothed(table: np.ndarray) -> np.ndarray:
    """The sum over each bin (last axis) and its neighbours, around the year."""
    return sum(np.roll(table, step, axis=-1) for step in range(-AROUND, AROUND + 1))


class Climatology:
    """Sums of values by bin of the year: of all, and of each place while there are at most `MAX_PLACES`."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.all_sums, self.all_counts = np.zeros((size, BINS)), np.zeros((size, BINS), np.int64)
        self.places = np.empty(0, np.int64)  # rising
        self.sums, self.counts = np.zeros((0, size, BINS)), np.zeros((0, size, BINS), np.int32)

    def update(self, values: np.ndarray, bins: np.ndarray, places: np.ndarray | None) -> None:
        """`values`: (series, variable, time); `bins`: (series, time); `places`: int64 (series,)."""
        finite = np.isfinite(values)
        cells = np.arange(self._size)[None, :, None] * BINS + bins[:, None, :]
        total, count = self._binned(values, finite, cells, 1)
        self.all_sums += total[0]
        self.all_counts += count[0]
        if places is None:
            return
        found, rows = np.unique(places, return_inverse=True)
        new = np.setdiff1d(found, self.places)[: max(MAX_PLACES - self.places.size, 0)]
        if new.size:
            at = np.searchsorted(self.places, new)
            self.places = np.insert(self.places, at, new)
            self.sums, self.counts = (
                np.insert(self.sums, at, 0, axis=0),
                np.insert(self.counts, at, 0, axis=0),
            )
        cells = rows[:, None, None] * (self._size * BINS) + cells
        total, count = self._binned(values, finite, cells, found.size)
        known = np.isin(found, self.places)
        into = np.searchsorted(self.places, found[known])
        self.sums[into] += total[known]
        self.counts[into] += count[known].astype(np.int32)

    def _binned(
        self, values: np.ndarray, finite: np.ndarray, cells: np.ndarray, rows: int
    ) -> tuple[np.ndarray, np.ndarray]:
        shape = (rows, self._size, BINS)
        cells = np.broadcast_to(cells, values.shape)[finite]
        total = np.bincount(cells, values[finite].astype(np.float64), math.prod(shape))
        return total.reshape(shape), np.bincount(cells, minlength=math.prod(shape)).reshape(shape)

    def predict(self, bins: np.ndarray, places: np.ndarray | None) -> np.ndarray:
        """(series, variable, time) float64 for bins (series, time); NaN where nothing was ever seen."""
        count = smoothed(self.all_counts)
        with np.errstate(invalid="ignore"):
            table = smoothed(self.all_sums) / count
        out = np.moveaxis(table[:, bins], 0, 1)
        if places is None or not self.places.size:
            return out
        at = np.minimum(np.searchsorted(self.places, places), self.places.size - 1)
        known = np.flatnonzero(self.places[at] == places)
        rows, series = np.unique(at[known], return_inverse=True)
        count = smoothed(self.counts[rows])
        with np.errstate(invalid="ignore"):
            own = np.where(count >= LEAST, smoothed(self.sums[rows]) / count, np.nan)
        own = np.take_along_axis(own[series], np.broadcast_to(bins[known][:, None], out[known].shape), axis=2)
        out[known] = np.where(np.isfinite(own), own, out[known])
        return out

    def merge(self, other: Climatology) -> None:
        """Take up what another has seen."""
        self.all_sums += other.all_sums
        self.all_counts += other.all_counts
        both = np.concatenate([self.places, np.setdiff1d(other.places, self.places)])[:MAX_PLACES]
        places = np.sort(both)
        sums, counts = (
            np.zeros((places.size, self._size, BINS)),
            np.zeros((places.size, self._size, BINS), np.int32),
        )
        for each in (self, other):
            known = np.isin(each.places, places)
            at = np.searchsorted(places, each.places[known])
            sums[at] += each.sums[known]
            counts[at] += each.counts[known]
        self.places, self.sums, self.counts = places, sums, counts


class Baselines:
    """Persistence and climatology of some variables. Fit with all training samples, then score the others.

    `target_variables`, `context_variables`: names, in the order of the arrays. A target variable that is not in the
    context has no persistence.
    """

    def __init__(self, target_variables: Sequence[str], context_variables: Sequence[str]) -> None:
        self.target_variables, self.context_variables = tuple(target_variables), tuple(context_variables)
        self._climatology = Climatology(len(self.target_variables))
        self._scores: dict[str, dict[str, dict[str, np.ndarray]]] = {}

    def fit(self, target: np.ndarray, target_dates: np.ndarray, places: np.ndarray | None = None) -> None:
        """Take up training samples.

        `target`: (sample, variable, time[, y, x]); `target_dates`: datetime64 (time,) or (sample, time); `places`: int
        (sample,) or (sample, y, x), the same number for the same pixel, where climatologies of single places are
        wanted: in temporal splits. Raises `ValueError` for other shapes, and after the first `score`.
        """
        if self._scores:
            raise ValueError("the climatology has been scored, and cannot be fitted any more")
        values, dates, places = self._series(target, self.target_variables, target_dates, places)
        self._climatology.update(values, bins_of(dates), places)

    def score(
        self,
        split: str,
        context: np.ndarray,
        target: np.ndarray,
        target_dates: np.ndarray,
        places: np.ndarray | None = None,
    ) -> None:
        """Take up samples of a split ("val", "test", any name); arrays as in `fit`, `context` likewise."""
        truth, dates, places = self._series(target, self.target_variables, target_dates, places)
        seen = self._flat(context, self.context_variables)
        scores = self._scores.setdefault(split, {method: self._empty() for method in METHODS})
        persisted = np.broadcast_to(self._last(seen)[:, :, None], truth.shape)
        self._add(scores["persistence"], persisted, truth)
        self._add(scores["climatology"], self._climatology.predict(bins_of(dates), places), truth)

    def _last(self, seen: np.ndarray) -> np.ndarray:
        """(series, target variable): the last finite value of each, NaN without one."""
        out = np.full((seen.shape[0], len(self.target_variables)), np.nan)
        finite = np.isfinite(seen)
        last = seen.shape[2] - 1 - np.argmax(finite[:, :, ::-1], axis=2)
        values = np.take_along_axis(seen, last[:, :, None], axis=2)[:, :, 0]
        values = np.where(finite.any(axis=2), values, np.nan)
        for i, name in enumerate(self.target_variables):
            if name in self.context_variables:
                out[:, i] = values[:, self.context_variables.index(name)]
        return out

    def _flat(self, values: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        """(series, variable, time) of (sample, variable, time[, y, x])."""
        values = np.asarray(values)
        if values.ndim not in (3, 5) or values.shape[1] != len(names) or not values.shape[2]:
            raise ValueError(f"values {values.shape} for the variables {names}")
        if values.ndim == 5:
            values = np.moveaxis(values, (3, 4), (1, 2)).reshape(-1, *values.shape[1:3])
        return values

    def _series(
        self, values: np.ndarray, names: tuple[str, ...], dates: np.ndarray, places: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        samples, shape = len(values), np.shape(values)
        flat = self._flat(values, names)
        each = len(flat) // max(samples, 1)
        dates = np.repeat(np.broadcast_to(np.asarray(dates), (samples, shape[2])), each, axis=0)
        if places is not None:
            places = np.asarray(places, np.int64).ravel()
            if places.size != len(flat):
                raise ValueError(f"{places.size} places for {len(flat)} series")
        return flat, dates, places

    def _empty(self) -> dict[str, np.ndarray]:
        return {name: np.zeros(len(self.target_variables)) for name in SUMS}

    @staticmethod
    def _add(sums: dict[str, np.ndarray], predicted: np.ndarray, truth: np.ndarray) -> None:
        truth = truth.astype(np.float64)
        both = np.isfinite(predicted) & np.isfinite(truth)
        sums["missing"] += (np.isfinite(truth) & ~both).sum(axis=(0, 2))
        error = np.where(both, predicted - truth, 0.0)
        values = np.where(both, truth, 0.0)
        count = both.sum(axis=2)
        mean = values.sum(axis=2) / np.maximum(count, 1)
        deviation = (np.where(both, values - mean[:, :, None], 0.0) ** 2).sum(axis=2)
        square = (error**2).sum(axis=2)
        # A series that rounding alone makes vary has no efficiency.
        varies = deviation > count * (1e-7 * np.abs(values).max(axis=2)) ** 2
        nnse = 1.0 / (1.0 + np.divide(square, deviation, out=np.zeros_like(square), where=varies))
        sums["series"] += varies.sum(axis=0)
        sums["nnse"] += np.where(varies, nnse, 0.0).sum(axis=0)
        sums["absolute"] += np.abs(error).sum(axis=(0, 2))
        sums["square"] += square.sum(axis=0)
        n = count.sum(axis=0)
        whole = values.sum(axis=(0, 2)) / np.maximum(n, 1)
        around = (np.where(both, values - whole[None, :, None], 0.0) ** 2).sum(axis=(0, 2))
        _combine(sums, n, whole, around)

    def merge(self, other: Baselines) -> None:
        """Take up what another has seen; both must have been fitted before either was scored, or neither scored.

        Raises `ValueError` for other variables.
        """
        if (other.target_variables, other.context_variables) != (
            self.target_variables,
            self.context_variables,
        ):
            raise ValueError("baselines of other variables")
        if not self._scores and not other._scores:
            self._climatology.merge(other._climatology)
        for split, methods in other._scores.items():
            mine = self._scores.setdefault(split, {method: self._empty() for method in METHODS})
            for method, sums in methods.items():
                for name in ("series", "nnse", "absolute", "square", "missing"):
                    mine[method][name] += sums[name]
                _combine(mine[method], sums["n"], sums["mean"], sums["deviation"])

    def result(self) -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
        """By split, method and variable: `n` pairs, `rmse`, `mae`, `r2`, `nnse` (None where there are none), and
        `unpredicted`, the true values for which there was no prediction."""
        return {
            split: {
                method: {
                    name: self._of({key: float(values[i]) for key, values in sums.items()})
                    for i, name in enumerate(self.target_variables)
                }
                for method, sums in methods.items()
            }
            for split, methods in self._scores.items()
        }

    @staticmethod
    def _of(sums: dict[str, float]) -> dict[str, Any]:
        n, deviation = sums["n"], sums["deviation"]
        return {
            "n": int(n),
            "unpredicted": int(sums["missing"]),
            "rmse": math.sqrt(sums["square"] / n) if n else None,
            "mae": sums["absolute"] / n if n else None,
            "r2": 1 - sums["square"] / deviation if deviation > n * (1e-7 * sums["mean"]) ** 2 else None,
            "nnse": sums["nnse"] / sums["series"] if sums["series"] else None,
        }

    def to_json(self) -> dict[str, Any]:
        """The whole state as plain values; `from_json` makes the same again."""
        climatology = self._climatology
        arrays = {
            name: getattr(climatology, name)
            for name in ("all_sums", "all_counts", "places", "sums", "counts")
        }
        scores = {
            split: {
                method: {name: each.tolist() for name, each in sums.items()}
                for method, sums in methods.items()
            }
            for split, methods in self._scores.items()
        }
        return {
            "version": VERSION,
            "target_variables": list(self.target_variables),
            "context_variables": list(self.context_variables),
            "climatology": {
                name: base64.b64encode(np.ascontiguousarray(each).tobytes()).decode("ascii")
                for name, each in arrays.items()
            },
            "scores": scores,
        }

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Baselines:
        """The baselines that `to_json` gave. Raises `InputError` for a state of another version."""
        if state.get("version") != VERSION:
            raise InputError(
                f"The baselines kept are of version {state.get('version')}, not {VERSION}.",
                "Start the export anew.",
            )
        new = cls(state["target_variables"], state["context_variables"])
        size = len(new.target_variables)
        shapes = {"all_sums": (size, BINS), "all_counts": (size, BINS), "places": (-1,)}
        for name, text in state["climatology"].items():
            like = getattr(new._climatology, name)
            values = np.frombuffer(base64.b64decode(text), like.dtype).copy()
            setattr(new._climatology, name, values.reshape(shapes.get(name, (-1, size, BINS))))
        new._scores = {
            split: {
                method: {name: np.array(each) for name, each in sums.items()}
                for method, sums in methods.items()
            }
            for split, methods in state["scores"].items()
        }
        return new


def _combine(sums: dict[str, np.ndarray], n: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> None:
    """Merge moments, as `statistics` does (Chan, Golub and LeVeque 1979)."""
    total = sums["n"] + n
    share = n / np.maximum(total, 1)
    apart = mean - sums["mean"]
    sums["deviation"] = sums["deviation"] + deviation + apart**2 * sums["n"] * share
    sums["mean"] = sums["mean"] + apart * share
    sums["n"] = total
