"""Which samples a cube gives: units (pixels or patches) and windows of steps, as columns of a table."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Samples:
    """The samples of one cube, a row each; all arrays (sample,).

    `row`, `column`: the unit's north-western pixel, int32; `start`: the first step of the context on the cube's
    axis, int32; `split`: number in `SPLITS`, int8; `fold`: int16, -1 without folds; `lon`, `lat`: the unit's centre,
    degrees of WGS 84.
    """

    row: np.ndarray
    column: np.ndarray
    start: np.ndarray
    split: np.ndarray
    fold: np.ndarray
    lon: np.ndarray
    lat: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    def take(self, chosen: np.ndarray) -> Samples:
        """Those of a mask or of numbers of rows."""
        return Samples(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})
