"""The arrays and the names of the format `seed`: what a file of forest_drought_forecasting holds.

A file is one pixel over one window: `context` and `target`, each (variable, time). Variables stand in the cube's
order, `era5_*` last; all of them have the one type that numpy promotes theirs to. Maps and single numbers are repeated
over time, series over pixels. The weather of a step is that of `shift` steps later under the label of the step: here,
and only here, it is relabelled. Gaps in the dates do not count, since windows are numbers of steps.

The smallest and the largest value of each variable over the whole cube come in another order: `s2*`, others, `era5*`.
What is missing (NaN) stays missing. Grid mappings are no variables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from ...cube.read import CUBE_DIMS, GRID_MAPPING
from ...errors import InputError
from ...grid import is_projected, transform_points

WEATHER = "era5_"
NUMBERS = "biuf"
BLOCK_BYTES = 128_000_000


def seed_variables(cube: xr.Dataset, dropped: Sequence[str] = ()) -> list[str]:
    """The variables of a normalised cube that a sample can hold, in the order of a sample, without `dropped`.

    They are numbers over some of time, y and x, or over none: in the cube's order, `era5_*` last.
    """
    names = [
        str(name)
        for name, variable in cube.data_vars.items()
        if name not in dropped and variable.dtype.kind in NUMBERS and set(variable.dims) <= set(CUBE_DIMS)
    ]
    return sorted(names, key=lambda name: name.startswith(WEATHER))


def checked_variables(cube: xr.Dataset, names: Sequence[str]) -> list[str]:
    """`names` in the order of a sample. Raises `InputError` for those that no sample can hold."""
    known = set(seed_variables(cube))
    unfit = [name for name in names if name not in known]
    if unfit or not names:
        what = f"{unfit[0]} is no variable of numbers over time, y and x" if unfit else "No variable is left"
        raise InputError(f"{what}, as the format seed needs it.", "Name others in VARIABLES.")
    return [name for name in seed_variables(cube) if name in set(names)]


@dataclass(frozen=True)
class Pixels:
    """The series of some pixels of a cube, ready to be cut into samples.

    `names` and `values` go together, in the order of a sample; a value is (pixel or 1, time or 1). `labels`: the part
    of each pixel's file name from the place on, `{lon}_{lat}_{width}_{height}`.
    """

    names: list[str]
    values: list[np.ndarray]
    times: np.ndarray
    labels: list[str]

    def window(
        self, first: int, context: int, target: int, shift: int, which: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Context and target, (pixel, variable, time), of the window that begins at step `first`.

        `which`: numbers of pixels, all without it.
        """
        which = np.arange(len(self.labels)) if which is None else which
        dtype = np.result_type(*(values.dtype for values in self.values))
        out = np.empty((len(which), len(self.names), context + target), dtype)
        for i, (name, values) in enumerate(zip(self.names, self.values, strict=True)):
            if values.shape[1] > 1:
                start = first + shift * name.startswith(WEATHER)
                values = values[:, start : start + context + target]
            out[:, i] = values[which] if values.shape[0] > 1 else values
        return np.ascontiguousarray(out[..., :context]), np.ascontiguousarray(out[..., context:])

    def file_names(
        self, first: int, context: int, target: int, shift: int, which: np.ndarray | None = None
    ) -> list[str]:
        """The file name of each pixel for a window: dates of its first and last image, place, size and shift."""
        labels = self.labels if which is None else [self.labels[i] for i in which]
        dates = f"{plain_date(self.times[first])}_{plain_date(self.times[first + context + target - 1])}"
        return [f"{dates}_{label}_{shift}.npz" for label in labels]


def read_pixels(cube: xr.Dataset, names: Sequence[str], rows: np.ndarray, columns: np.ndarray) -> Pixels:
    """The series of the pixels (rows[i], columns[i]) of a normalised cube. Raises `InputError` for unfit variables.

    Read are the rows of the cube from the first to the last that is asked for.
    """
    rows, columns = np.asarray(rows, int), np.asarray(columns, int)
    names = checked_variables(cube, names)
    top, bottom = (int(rows.min()), int(rows.max())) if rows.size else (0, 0)
    part = cube.isel(y=slice(top, bottom + 1))
    return Pixels(
        names,
        [_series(part[name], rows - top, columns) for name in names],
        cube["time"].values,
        place_labels(cube, rows, columns),
    )


def _series(variable: xr.DataArray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(pixel or 1, time or 1) of the pixels of a variable over any of time, y and x; type unchanged."""
    values = variable.transpose(*(dim for dim in CUBE_DIMS if dim in variable.dims)).values
    missing = tuple(axis for axis, dim in enumerate(CUBE_DIMS) if dim not in variable.dims)
    values = np.expand_dims(values, missing)
    if variable.dims and set(variable.dims) & {"y", "x"}:
        values = values[:, rows if "y" in variable.dims else 0, columns if "x" in variable.dims else 0]
    else:
        values = values[:, 0, :]
    return np.ascontiguousarray(values.T)


def place_labels(cube: xr.Dataset, rows: np.ndarray, columns: np.ndarray) -> list[str]:
    """`{lon}_{lat}_{width}_{height}` of pixels: the cube's own labels in degrees, as they are; those of a projected
    cube from its centres, with 6 decimals. `width`, `height`: of the cube, in pixels."""
    size = f"{cube.sizes['x']}_{cube.sizes['y']}"
    crs = cube[GRID_MAPPING].attrs["crs_wkt"]
    x, y = cube["x"].values, cube["y"].values
    if is_projected(crs):
        lon, lat = transform_points(x[columns], y[rows], crs, "EPSG:4326")
        return [f"{a:z.6f}_{b:z.6f}_{size}" for a, b in zip(lon, lat, strict=True)]
    lon, lat = [f"{value}" for value in x], [f"{value}" for value in y]
    return [f"{lon[column]}_{lat[row]}_{size}" for row, column in zip(rows, columns, strict=True)]


def plain_date(time: np.datetime64) -> str:
    """A date as `{year}_{month}_{day}`, without zeros in front."""
    year, month, day = str(time.astype("datetime64[D]")).split("-")
    return f"{year}_{int(month)}_{int(day)}"


def at_once(cube: xr.Dataset, names: Sequence[str]) -> int:
    """How many pixels of a cube fit `BLOCK_BYTES` in memory, at least one."""
    size = np.result_type(*(cube[name].dtype for name in names)).itemsize
    return max(BLOCK_BYTES // (size * len(names) * cube.sizes["time"]), 1)


def seed_samples(
    cube: xr.Dataset,
    names: Sequence[str],
    rows: np.ndarray,
    columns: np.ndarray,
    firsts: np.ndarray,
    context: int,
    target: int,
    shift: int = 0,
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """The files of some pixels and windows of a normalised cube: name, and arrays by key (`context`, `target`).

    `firsts` as `seed_windows` gives them. Pixels are read in blocks that fit `BLOCK_BYTES`; within a block the order
    is window by window, as the original's. Raises `InputError` for variables that the format cannot hold.
    """
    names = checked_variables(cube, names)
    step = at_once(cube, names)
    for start in range(0, len(rows), step):
        chosen = slice(start, start + step)
        pixels = read_pixels(cube, names, rows[chosen], columns[chosen])
        for first in firsts:
            window = pixels.window(int(first), context, target, shift)
            files = pixels.file_names(int(first), context, target, shift)
            for file, seen, wanted in zip(files, *window, strict=True):
                yield file, {"context": seen, "target": wanted}


def seed_extremes(cube: xr.Dataset, names: Sequence[str]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """(names, smallest, largest) of the variables of a normalised cube over all its pixels and dates.

    Ordered `s2*`, others, `era5*`; (variable,), of the type that numpy promotes theirs to; NaN where nothing is seen.
    One variable is in memory at a time, and of a map no more than `BLOCK_BYTES`. Raises `InputError` for variables that
    the format cannot hold.
    """
    names = checked_variables(cube, [*names])
    names = [name for name in cube.data_vars if name in set(names)]  # the cube's order within each group
    names = sorted(
        names, key=lambda name: 0 if name.startswith("s2") else 2 if name.startswith("era5") else 1
    )
    dtype = np.result_type(*(cube[name].dtype for name in names))
    low, high = np.empty(len(names), dtype), np.empty(len(names), dtype)
    for i, name in enumerate(names):
        ends = [
            (np.fmin.reduce(values.ravel()), np.fmax.reduce(values.ravel())) for values in _pieces(cube[name])
        ]
        low[i], high[i] = (
            np.fmin.reduce([each for each, _ in ends]),
            np.fmax.reduce([each for _, each in ends]),
        )
    return names, low, high


def _pieces(variable: xr.DataArray) -> Iterator[np.ndarray]:
    """The values of a variable, rows after rows; what was read is not kept."""
    if "y" not in variable.dims:
        yield variable.copy(deep=False).values
        return
    rows = max(1, BLOCK_BYTES * variable.sizes["y"] // max(variable.nbytes, 1))
    for first in range(0, variable.sizes["y"], rows):
        yield variable.isel(y=slice(first, first + rows)).values


def extremes_stem(cube: xr.Dataset, lonlat: tuple[float, float] | None = None) -> str:
    """The name of a cube's `_min.npy` and `_max.npy` before these endings: its dates, centre and size.

    `lonlat`: the centre in degrees, as the original was asked for it; else that of the cube, of 6 decimals at most.
    """
    first, last = (plain_date(cube["time"].values[i]) for i in (0, -1))
    size = f"{cube.sizes['x']}_{cube.sizes['y']}"
    if lonlat is not None:
        return f"{first}_{last}_{lonlat[0]}_{lonlat[1]}_{size}"
    crs = cube[GRID_MAPPING].attrs["crs_wkt"]
    x, y = ((float(cube[axis].values[0]) + float(cube[axis].values[-1])) / 2 for axis in ("x", "y"))
    if is_projected(crs):
        (lon,), (lat,) = transform_points([x], [y], crs, "EPSG:4326")
        return f"{first}_{last}_{lon:z.6f}_{lat:z.6f}_{size}"
    return f"{first}_{last}_{round(x, 6)}_{round(y, 6)}_{size}"
