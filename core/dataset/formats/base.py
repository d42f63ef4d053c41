"""What a format is that writes a cube's samples by rules of its own (`npz` and `npz-sharded` are no such formats).

The export has chosen cubes, units, windows and splits; a format says whether a cube suits it, may choose the windows
otherwise, and writes the files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from ...progress import Progress
from ..cubes import CubeData
from ..layout import Layout
from ..parameters import ExportParameters
from ..samples import Samples


class Format(Protocol):
    """`name`: as FORMAT has it. Instances hold no state of a run, so that cubes can be written in any order."""

    name: str

    def check(self, cube: CubeData, parameters: ExportParameters) -> None:
        """Raise `InputError` when the cube or the parameters do not suit the format; reads no pixels."""

    def windows(self, cube: CubeData, parameters: ExportParameters, starts: np.ndarray) -> np.ndarray:
        """The first steps of the contexts of the cube's samples, int, rising, where the export would take `starts`."""

    def layout(self, cube: CubeData, parameters: ExportParameters) -> Layout:
        """The variables of the samples, of which statistics and baselines are made. Raises `InputError`."""

    def file_variables(self, cube: CubeData, parameters: ExportParameters) -> list[str]:
        """The variables in the order of a file that does not name them; empty where the format says which they are."""

    def write(
        self,
        cube: CubeData,
        parameters: ExportParameters,
        samples: Samples,
        folder: Path,
        progress: Progress | None = None,
    ) -> list[str]:
        """Write the samples below `folder` (the dataset's root, which may hold finished files of other cubes).

        Returns the file of each sample, in their order, relative to `folder` with "/" ("train/NAME.npz"). Files are
        written whole (temporary file beside it, then `os.replace`) and are the same whenever they are written again.
        Whatever else lies beside them (`_min.npy`) is the format's affair. Names of files must differ between cubes:
        `cube.label` does. Raises `Cancelled` when `progress` says so.
        """
