"""Statistics of values that come in blocks: count, mean, standard deviation, extremes and quantiles of each variable.

One pass, memory that does not grow with the data but for its logarithm, and a state that can be kept as JSON, taken up
again and merged with others. Only finite values count.

Moments are kept in float64 and merged by the parallel algorithm of T. F. Chan, G. H. Golub and R. J. LeVeque, "Updating
formulae and a pairwise algorithm for computing sample variances", Stanford STAN-CS-79-773 (1979), equations 2.1.

Quantiles come from buffers of K values that are merged in pairs, of which every second value is kept with twice the
weight (G. S. Manku, S. Rajagopalan, B. G. Lindsay, "Approximate medians and other quantiles in one pass and with
limited memory", SIGMOD 1998); which half is kept alternates, and nothing is drawn at random. A merge of buffers of
weight w moves any rank by w at most, so the error of a rank is at most log2(n / K) / (2 K) of n values: with K = 4096
less than 0.5 % of any number below 10^15, in whatever order the values come and however states are merged. While no
buffers have been merged, below 2 K values, quantiles are those of `numpy.quantile`.

The same values in the same order give the same quantiles, extremes and count however they are cut into blocks, and
mean and standard deviation but for rounding; the same blocks in the same order give the same bits. In another order
quantiles may differ within their error.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
K = 4096
VERSION = 1
AT_ONCE = 1 << 16  # values of each variable whose moments are taken in float64 at a time


class Sketch:
    """The quantiles of a stream of float32 values."""

    def __init__(self) -> None:
        self._rest = np.empty(0, np.float32)
        self._levels: list[np.ndarray] = []  # (0 or 1, K) of weight 2 ** level
        self._merged: list[int] = []  # how many pairs of each level were merged

    def update(self, values: np.ndarray) -> None:
        """Take up finite values, float32 (n,)."""
        values = np.concatenate([self._rest, values])
        whole = values.size // K * K
        self._rest = values[whole:].copy()
        self._push(0, values[:whole].reshape(-1, K))

    def _push(self, level: int, buffers: np.ndarray) -> None:
        while len(buffers):
            if level == len(self._levels):
                self._levels.append(np.empty((0, K), np.float32))
                self._merged.append(0)
            buffers = np.concatenate([self._levels[level], buffers])
            pairs = len(buffers) // 2
            self._levels[level] = buffers[2 * pairs :].copy()
            both = np.sort(buffers[: 2 * pairs].reshape(pairs, 2 * K), axis=1)
            odd = (self._merged[level] + np.arange(pairs)) % 2 == 1
            self._merged[level] += pairs
            buffers = np.where(odd[:, None], both[:, 1::2], both[:, ::2])
            level += 1

    def merge(self, other: Sketch) -> None:
        """Take up the values of another sketch."""
        for level, buffers in enumerate(other._levels):
            while len(self._merged) <= level:
                self._levels.append(np.empty((0, K), np.float32))
                self._merged.append(0)
            self._push(level, buffers)
            self._merged[level] += other._merged[level]
        self.update(other._rest)

    @property
    def count(self) -> int:
        """How many values were taken up."""
        return self._rest.size + sum(len(held) * K << level for level, held in enumerate(self._levels))

    @property
    def rank_error(self) -> float:
        """The most by which the rank of any value may be wrong, as a share of all values."""
        return sum(pairs << level for level, pairs in enumerate(self._merged)) / max(self.count, 1)

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """The values at these shares (0 to 1) of the rank; NaN without values."""
        held = [self._rest, *(each.ravel() for each in self._levels)]
        values = np.concatenate(held)
        if not values.size:
            return [math.nan] * len(shares)
        if not any(self._merged):
            return [float(value) for value in np.quantile(values.astype(np.float64), shares)]
        weights = np.repeat(
            [1, *(1 << level for level in range(len(self._levels)))], [each.size for each in held]
        )
        order = np.argsort(values, kind="stable")
        passed = np.cumsum(weights[order])
        ranks = [share * (passed[-1] - 1) for share in shares]
        return [float(values[order[np.searchsorted(passed, rank, side="right")]]) for rank in ranks]

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` makes the same sketch again."""
        return {
            "rest": _text(self._rest),
            "levels": [_text(each) for each in self._levels],
            "merged": list(self._merged),
        }

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Sketch:
        """The sketch that `to_json` gave."""
        sketch = cls()
        sketch._rest = _array(state["rest"])
        sketch._levels = [_array(each).reshape(-1, K) for each in state["levels"]]
        sketch._merged = [int(each) for each in state["merged"]]
        return sketch


def _text(values: np.ndarray) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")


def _array(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float32)


class Statistics:
    """Statistics of some variables, in one pass. `variables`: their names."""

    def __init__(self, variables: Sequence[str]) -> None:
        self.variables = tuple(variables)
        size = len(self.variables)
        self._count, self._missing = np.zeros(size, np.int64), np.zeros(size, np.int64)
        self._mean, self._square = np.zeros(size), np.zeros(size)  # square: summed squares about the mean
        self._low, self._high = np.full(size, np.inf), np.full(size, -np.inf)
        self._sketches = [Sketch() for _ in self.variables]

    def update(self, values: np.ndarray) -> None:
        """Take up a block: (variable, ...) float32; what is not finite counts as missing. Raises `ValueError` when the
        first axis is not that of the variables."""
        values = np.asarray(values, np.float32)
        if not values.ndim or values.shape[0] != len(self.variables):
            raise ValueError(f"values {values.shape} for {len(self.variables)} variables")
        values = values.reshape(len(self.variables), math.prod(values.shape[1:]))
        for start in range(0, values.shape[1], AT_ONCE):
            self._moments(values[:, start : start + AT_ONCE])
        for sketch, row in zip(self._sketches, values, strict=True):
            sketch.update(row[np.isfinite(row)])

    def _moments(self, values: np.ndarray) -> None:
        finite = np.isfinite(values)
        count = finite.sum(axis=1)
        if count.min(initial=values.shape[1]) == values.shape[1]:
            low, high = values.min(axis=1, initial=np.inf), values.max(axis=1, initial=-np.inf)
            numbers = values.astype(np.float64)
            mean = numbers.sum(axis=1) / max(values.shape[1], 1)
            numbers -= mean[:, None]
        else:
            low = np.where(finite, values, np.inf).min(axis=1, initial=np.inf)
            high = np.where(finite, values, -np.inf).max(axis=1, initial=-np.inf)
            numbers = np.where(finite, values, 0.0).astype(np.float64)
            mean = numbers.sum(axis=1) / np.maximum(count, 1)
            numbers -= mean[:, None]
            numbers[~finite] = 0.0
        square = np.square(numbers, out=numbers).sum(axis=1)
        self._missing += values.shape[1] - count
        self._combine(count, mean, square, low, high)

    def _combine(
        self, count: np.ndarray, mean: np.ndarray, square: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> None:
        total = self._count + count
        share = count / np.maximum(total, 1)
        apart = mean - self._mean
        self._mean = np.where(count == total, mean, self._mean + apart * share)
        self._square = self._square + square + apart**2 * self._count * share
        self._count = total
        self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)

    def merge(self, other: Statistics) -> None:
        """Take up what another has seen. Raises `ValueError` when its variables are others."""
        if other.variables != self.variables:
            raise ValueError(f"statistics of {other.variables} for those of {self.variables}")
        self._missing += other._missing
        self._combine(other._count, other._mean, other._square, other._low, other._high)
        for sketch, more in zip(self._sketches, other._sketches, strict=True):
            sketch.merge(more)

    def result(self) -> dict[str, dict[str, Any]]:
        """By variable: `count` of finite values and `missing` of others, `mean`, `std` (of the population: divided by
        count), `min`, `max`, `quantiles` (share as text to value) and `quantiles_rank_error`, the bound that holds for
        them. Without a value all but the counts are None."""
        return {name: self._of(i) for i, name in enumerate(self.variables)}

    def _of(self, i: int) -> dict[str, Any]:
        counts = {"count": int(self._count[i]), "missing": int(self._missing[i])}
        if not counts["count"]:
            empty = {"mean": None, "std": None, "min": None, "max": None}
            return {
                **counts,
                **empty,
                "quantiles": {str(q): None for q in QUANTILES},
                "quantiles_rank_error": 0.0,
            }
        found = self._sketches[i].quantiles(QUANTILES)
        return {
            **counts,
            "mean": float(self._mean[i]),
            "std": math.sqrt(self._square[i] / self._count[i]),
            "min": float(self._low[i]),
            "max": float(self._high[i]),
            "quantiles": {str(q): value for q, value in zip(QUANTILES, found, strict=True)},
            "quantiles_rank_error": self._sketches[i].rank_error,
        }

    def to_json(self) -> dict[str, Any]:
        """The whole state as plain values that JSON holds exactly; `from_json` makes the same again."""
        numbers = {
            name: getattr(self, f"_{name}").tolist() for name in ("count", "missing", "mean", "square")
        }
        ends = {
            name: [None if math.isinf(value) else value for value in getattr(self, f"_{name}").tolist()]
            for name in ("low", "high")
        }
        sketches = [sketch.to_json() for sketch in self._sketches]
        return {
            "version": VERSION,
            "variables": list(self.variables),
            **numbers,
            **ends,
            "sketches": sketches,
        }

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Statistics:
        """The statistics that `to_json` gave. Raises `InputError` for a state of another version."""
        if state.get("version") != VERSION:
            raise InputError(
                f"The statistics kept are of version {state.get('version')}, not {VERSION}.",
                "Start the export anew.",
            )
        new = cls(state["variables"])
        new._count, new._missing = (np.array(state[name], np.int64) for name in ("count", "missing"))
        new._mean, new._square = (np.array(state[name], np.float64) for name in ("mean", "square"))
        for name, empty in (("low", math.inf), ("high", -math.inf)):
            setattr(
                new,
                f"_{name}",
                np.array([empty if each is None else each for each in state[name]], np.float64),
            )
        new._sketches = [Sketch.from_json(each) for each in state["sketches"]]
        return new
