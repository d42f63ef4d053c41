"""The formats `earthnet2021` and `greenearthnet`: which cubes suit them, their places, names and files.

Both are patches of 128 x 128 pixels of 20 m over 30 images, one in 5 days: 10 of context, 20 of target. What is in a
file says `earthnet_arrays`.

`earthnet2021`: `{split}/{tile}/{name}.npz` with all images for training and validation; for the test
`test/context/{tile}/context_{name}.npz` and `test/target/{tile}/target_{name}.npz`. `greenearthnet`:
`{split}/{tile}/{name}.nc`. As in EarthNet2021 a name is the MGRS tile (NGA.STND.0037), the first and last day of the
weather, and the ranges of rows and columns of pixels and of the 80 x 80 cells of weather, counted from the tile's
north-western corner (here: that of the MGRS square of 100 km, which Sentinel-2's tile exceeds to the south and east).
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...grid import is_projected, transform_points, unit_of, utm_crs
from ...progress import Progress
from ..cubes import CubeData
from ..layout import Layout, layout_of
from ..parameters import ExportParameters
from ..samples import SPLITS, Samples
from .earthnet_arrays import (
    BANDS,
    CONTEXT,
    ELEVATIONS,
    MAPS,
    SIZE,
    STEP_DAYS,
    TARGET,
    as_context,
    as_target,
    green_cube,
    netcdf_bytes,
    read_patch,
    sample_arrays,
)
from .earthnet_weather import DAY, check_daily, covered, daily_names
from .files import npz_bytes, write_once

log = logging.getLogger(__name__)
RESOLUTION = 20.0
SQUARE = 100_000.0
ROW_LETTERS, BAND_LETTERS = "ABCDEFGHJKLMNPQRSTUV", "CDEFGHJKLMNPQRSTUVWXX"
COLUMN_LETTERS = ("STUVWXYZ", "ABCDEFGH", "JKLMNPQR")  # by zone modulo 3


def mgrs_place(lon: float, lat: float) -> tuple[str, float, float]:
    """The MGRS square of 100 km of a place, as "32TLT", and the metres to its western and northern edge.

    Rules of NGA.STND.0037, chapter 3. Raises `InputError` beyond 80 S and 84 N.
    """
    crs = utm_crs(lon, lat)
    zone = int(crs[-2:])
    (x,), (y,) = transform_points([lon], [lat], "EPSG:4326", crs)
    column, row = int(x // SQUARE), int(y // SQUARE)
    letters = COLUMN_LETTERS[zone % 3]
    name = f"{zone:02d}{BAND_LETTERS[int((lat + 80) // 8)]}{letters[(column - 1) % 8]}"
    return (
        name + ROW_LETTERS[(row + (0 if zone % 2 else 5)) % 20],
        x - column * SQUARE,
        (row + 1) * SQUARE - y,
    )


class _EarthNet:
    """What both formats share."""

    name = ""

    def check(self, cube: CubeData, parameters: ExportParameters) -> None:
        """Raises `InputError` that says what the cube or the parameters lack, and how to get it."""
        p, file = parameters, cube.path.name
        if p.unit != "patch" or p.patch_size != SIZE:
            raise InputError(
                f"FORMAT {self.name} holds patches of {SIZE} x {SIZE} pixels.",
                f"Leave UNIT and PATCH_SIZE at their defaults, or set them to patch and {SIZE}.",
            )
        if (p.context, p.target, p.shift) != (CONTEXT, TARGET, 0):
            raise InputError(
                f"FORMAT {self.name} has {CONTEXT} images of context and {TARGET} of target, and weather without a "
                "shift.",
                f"Leave CONTEXT, TARGET and SHIFT at their defaults, or set them to {CONTEXT}, {TARGET} and 0.",
            )
        if p.names or p.target_names:
            raise InputError(
                f"FORMAT {self.name} has variables of its own.", "Leave VARIABLES and TARGET_VARIABLES empty."
            )
        if p.smoothing in ("context", "both"):
            raise InputError(
                f"FORMAT {self.name} takes the cube as it is, which SMOOTHING {p.smoothing} does not.",
                "Choose SMOOTHING none or whole.",
            )
        self._check_grid(cube)
        steps = np.diff(cube.days).astype(int)
        if len(steps) and np.any(steps != STEP_DAYS):
            raise InputError(
                f"FORMAT {self.name} needs an image every {STEP_DAYS} days, and the dates of {file} are "
                f"{steps.min()} to {steps.max()} days apart.",
                f"Build the cube with TIME_AXIS regular and STEP_DAYS {STEP_DAYS}.",
            )
        lacking = [name for name in BANDS if name not in cube.kinds.images or name in cube.kinds.series]
        if lacking:
            raise InputError(
                f"FORMAT {self.name} needs {', '.join(lacking)}, which {file} does not have.",
                "Build the cube with S2_BANDS B02,B03,B04,B8A,SCL.",
            )
        check_daily(cube, self.name)
        missing = [] if any(self._has(cube, name) for name in ELEVATIONS) else ["elevation"]
        if missing:
            log.warning(
                "%s has no elevation (%s): it is missing in its samples.", file, ", ".join(ELEVATIONS)
            )

    def _check_grid(self, cube: CubeData) -> None:
        grid = cube.grid
        metres = unit_of(grid.crs)[1] if is_projected(grid.crs) else 0.0
        sizes = grid.resolution_x * metres, grid.resolution_y * metres
        if any(abs(size - RESOLUTION) > 1e-3 for size in sizes):
            raise InputError(
                f"FORMAT {self.name} needs pixels of {RESOLUTION:g} m, and {cube.path.name} has others.",
                f"Build the cube with RESOLUTION {RESOLUTION:g}.",
            )
        if grid.width < SIZE or grid.height < SIZE:
            raise InputError(
                f"FORMAT {self.name} needs {SIZE} x {SIZE} pixels, and {cube.path.name} has {grid.width} x "
                f"{grid.height}.",
                f"Build the cube with WIDTH {SIZE} and HEIGHT {SIZE}.",
            )

    @staticmethod
    def _has(cube: CubeData, name: str) -> bool:
        return name in cube.kinds.static

    def windows(self, cube: CubeData, parameters: ExportParameters, starts: np.ndarray) -> np.ndarray:
        """Those of `starts` for which the cube has the weather of all days, from the fourth before the first image."""
        starts = np.asarray(starts, np.int32)
        whole = covered(cube, starts, CONTEXT + TARGET, STEP_DAYS)
        if not whole.all():
            log.warning(
                "%d of %d windows of %s are left out: the daily weather does not cover them.",
                np.count_nonzero(~whole), len(starts), cube.path.name,
            )  # fmt: skip
        return starts[whole]

    def stem(self, cube: CubeData, row: int, column: int, start: int) -> tuple[str, str]:
        """(tile, name) of the patch whose north-western pixel this is, of the window that begins at step `start`."""
        grid = cube.grid
        x, y = grid.left + (column + 0.5) * grid.resolution_x, grid.top - (row + 0.5) * grid.resolution_y
        (lon,), (lat,) = transform_points([x], [y], grid.crs, "EPSG:4326")
        tile, east, south = mgrs_place(float(lon), float(lat))
        rows, columns = int(south // RESOLUTION), int(east // RESOLUTION)
        cells = [int((each + SIZE // 2) * RESOLUTION // 1280) for each in (rows, columns)]
        first = cube.days[start] - (STEP_DAYS - 1) * DAY
        ranges = [rows, rows + SIZE, columns, columns + SIZE]
        ranges += [cells[0], cells[0] + 80, cells[1], cells[1] + 80]
        last = cube.days[start + CONTEXT + TARGET - 1]
        return tile, "_".join([tile, str(first), str(last), *map(str, ranges)])

    def layout(self, cube: CubeData, parameters: ExportParameters) -> Layout:
        """As without a format."""
        return layout_of(cube, parameters)

    def file_variables(self, cube: CubeData, parameters: ExportParameters) -> list[str]:
        """The format says which they are."""
        return []

    def write(
        self,
        cube: CubeData,
        parameters: ExportParameters,
        samples: Samples,
        folder: Path,
        progress: Progress | None = None,
    ) -> list[str]:
        """A file a sample (of the test in `earthnet2021` two, of which the context's is told). Raises `InputError`
        when another cube gave a file of the same name and other values."""
        files = []
        for row, column, start, split in zip(
            samples.row, samples.column, samples.start, samples.split, strict=True
        ):
            if progress is not None:
                progress.raise_if_cancelled()
            place = int(row), int(column), int(start)
            files.append(self._write(cube, *place, SPLITS[split], folder))
        return files

    def _write(self, cube: CubeData, row: int, column: int, start: int, split: str, folder: Path) -> str:
        raise NotImplementedError


class EarthNet2021(_EarthNet):
    """npz as in EarthNet2021 (Requena-Mesa et al., CVPR workshops 2021)."""

    name = "earthnet2021"

    def _write(self, cube: CubeData, row: int, column: int, start: int, split: str, folder: Path) -> str:
        tile, stem = self.stem(cube, row, column, start)
        arrays = sample_arrays(read_patch(cube, row, column, start))
        if split != "test":
            file = f"{split}/{tile}/{stem}.npz"
            write_once(folder / file, npz_bytes(arrays))
            return file
        file = f"test/context/{tile}/context_{stem}.npz"
        write_once(folder / file, npz_bytes(as_context(arrays)))
        write_once(folder / f"test/target/{tile}/target_{stem}.npz", npz_bytes(as_target(arrays)))
        return file


class GreenEarthNet(_EarthNet):
    """NetCDF as in EarthNet2021x and GreenEarthNet (Benson et al., CVPR 2024)."""

    name = "greenearthnet"

    def check(self, cube: CubeData, parameters: ExportParameters) -> None:
        """As for both formats; maps and weather that the cube lacks are missing values in the files, and told."""
        super().check(cube, parameters)
        lacking = [name for name in MAPS if not self._has(cube, name)]
        weather = [f"eobs_{key}" for key in ("fg", "hu", "qq") if key not in daily_names(cube)]
        if lacking or weather:
            log.warning("Missing in the samples of %s: %s.", cube.path.name, ", ".join([*lacking, *weather]))

    def _write(self, cube: CubeData, row: int, column: int, start: int, split: str, folder: Path) -> str:
        tile, stem = self.stem(cube, row, column, start)
        file = f"{split}/{tile}/{stem}.nc"
        write_once(folder / file, netcdf_bytes(green_cube(cube, row, column, start)))
        return file
