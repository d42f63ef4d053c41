"""What a dataset will hold, decided before any image is read: of each cube the units, the windows and their splits."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..grid import Grid
from .selection import Units

BY_UNIT = -2  # a window whose split is that of the unit
DROPPED = -1


@dataclass
class CubePlan:
    """The samples of a cube: all units in all windows, but for those that are dropped.

    `label`: its name in the dataset; `name`: of its file; `size`: pixels of a unit to a side. `starts`: first steps of
    the contexts, (window,). `unit_split`, `fold`: (unit,); `window_split`: (window,), `BY_UNIT` where the unit's
    counts. `keep`: (unit, window) bool, None for all.
    """

    path: Path
    label: str
    name: str
    checksum: str
    grid: Grid
    days: np.ndarray
    size: int
    context: int
    target: int
    units: Units
    starts: np.ndarray
    unit_split: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int8))
    window_split: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int8))
    fold: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int16))
    keep: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not len(self.unit_split):
            self.reset()

    def reset(self) -> None:
        """All units in training, without folds; what was dropped stays so."""
        self.unit_split = np.zeros(len(self.units), np.int8)
        self.window_split = np.full(len(self.starts), BY_UNIT, np.int8)
        self.fold = np.full(len(self.units), -1, np.int16)

    def splits(self, units: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The split of each sample of some units, (unit, window) int8, `DROPPED` of those that are left out."""
        of_units, of_windows = self.unit_split[units, None], self.window_split[None, :]
        found = np.where(of_windows == BY_UNIT, of_units, of_windows).astype(np.int8)
        found[(of_units == DROPPED)[:, 0]] = DROPPED
        if self.keep is not None:
            found[~self.keep[units]] = DROPPED
        return found

    def drop(self, units: np.ndarray, windows: np.ndarray | slice = slice(None)) -> None:
        """Leave out samples: pairs of a unit and a window, or all windows of units."""
        if self.keep is None:
            self.keep = np.ones((len(self.units), len(self.starts)), bool)
        self.keep[units, windows] = False

    def count(self) -> Counter:
        """How many samples each split has, by its number."""
        values, count = np.unique(self.splits(), return_counts=True)
        return Counter({int(v): int(n) for v, n in zip(values, count, strict=True) if v != DROPPED})

    @property
    def digest(self) -> str:
        """A checksum of all that was decided."""
        digest = hashlib.sha256(
            f"{self.label} {self.checksum} {self.size} {self.context} {self.target}".encode()
        )
        for array in (self.units.row, self.units.column, self.starts, self.splits(), self.fold):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()
