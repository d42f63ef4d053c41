"""How far an export is, kept so that a run that died goes on from there and ends with the same dataset.

Two states take turns, so that one is whole whatever happens while the other is written. The rows of the index come in
pieces, one with each state.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..partstore import PartStore

LEAST_SECONDS = 1.0  # between two states
LONG = "json"
SHARE = 0.1  # of the time, at most, goes into states


@dataclass
class State:
    """`cube`, `block`: which block comes next. `rows`: pieces of the index that are kept. `open`: samples of shards
    that are not full, by name; `counts`: samples of each split so far; `dropped`: and why; `summary`, `baselines`:
    their states."""

    cube: int = 0
    block: int = 0
    rows: int = 0
    counts: Counter = field(default_factory=Counter)
    dropped: Counter = field(default_factory=Counter)
    summary: dict[str, Any] = field(default_factory=dict)
    baselines: dict[str, Any] = field(default_factory=dict)
    open: dict[str, np.ndarray] = field(default_factory=dict)


class Checkpoints:
    """The states and rows in a part store."""

    def __init__(self, store: PartStore) -> None:
        self._store = store
        self._number = 0
        self._last, self._pause = time.monotonic(), LEAST_SECONDS

    def load(self) -> State | None:
        """The last state that is whole, with all rows before it."""
        found = [
            (info["number"], name) for name in ("state-0", "state-1") if (info := self._store.finished(name))
        ]
        for number, name in sorted(found, reverse=True):
            info = self._store.finished(name)
            if info is None or any(self._store.finished(_piece(row)) is None for row in range(info["rows"])):
                continue
            self._number = number + 1
            counts = Counter({int(split): n for split, n in info["counts"].items()})
            arrays = self._store.arrays(name)
            long = json.loads(arrays.pop(LONG).tobytes())
            return State(
                info["cube"], info["block"], info["rows"], counts, Counter(info["dropped"]), long["summary"],
                long["baselines"], arrays,
            )  # fmt: skip
        return None

    @property
    def is_due(self) -> bool:
        """Whether enough time has passed for another state."""
        return time.monotonic() - self._last >= self._pause

    def save(self, state: State, rows: dict[str, np.ndarray]) -> None:
        """Keep a state, and the rows that came since the last one. Raises `OSError`."""
        begun = time.monotonic()
        self._store.record(_piece(state.rows), rows, {})
        state.rows += 1
        info = {
            "number": self._number,
            "cube": state.cube,
            "block": state.block,
            "rows": state.rows,
            "counts": dict(state.counts),
            "dropped": dict(state.dropped),
        }
        # Not in the journal, which keeps every line.
        long = json.dumps({"summary": state.summary, "baselines": state.baselines}).encode()
        arrays = {**state.open, LONG: np.frombuffer(long, np.uint8)}
        self._store.record(f"state-{self._number % 2}", arrays, info)
        self._number += 1
        self._last = time.monotonic()
        self._pause = max(LEAST_SECONDS, (self._last - begun) / SHARE)

    def rows(self, state: State) -> Iterator[dict[str, np.ndarray]]:
        """The pieces of the index, in order."""
        for number in range(state.rows):
            yield self._store.arrays(_piece(number))


def _piece(number: int) -> str:
    return f"rows-{number:06d}"
