"""Writes a cube as NetCDF-4, block of dates by block, whole or not at all.

CF-1.11: dimensions time, y (descending), x; coordinates are pixel centres; deflate and shuffle only, so
that every GDAL reads it. A chunk is `CHUNK` = 32 dates of 64 x 64 pixels: a map of 128 x 128 pixels touches
4 chunks, a pixel's series of a year at 5 days 3; both stay a few milliseconds.
"""

from __future__ import annotations

import datetime as dt
import errno
import os
import tempfile
from collections.abc import Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
from pyproj import CRS

from ..errors import StorageError
from ..grid import Grid, gdal_wkt, unit_of
from ..progress import Progress
from .encoding import Variable

CHUNK = (32, 64, 64)  # time, y, x
DEFLATE = 4
EPOCH = dt.date(1970, 1, 1)
GRID_MAPPING = "spatial_ref"


@contextmanager
def part_file(target: Path, progress: Progress):
    """A temporary path beside `target`, for the caller to rename; it never stays behind.

    Raises `StorageError` when the folder cannot be written, the disk is full, or `target` is held open.
    """
    target = Path(target)
    part = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        os.close(handle)
        part = Path(name)
        progress.scratch(part)
        yield part
    except OSError as error:
        raise _storage_error(error, target) from error
    finally:
        if part is not None:
            # Where it cannot be removed (Windows, somebody looks at it), the error that led here counts.
            with suppress(OSError):
                part.unlink(missing_ok=True)


def make_durable(part: Path) -> None:
    """Write a finished temporary file through to the disk, with the permissions of any other file."""
    with open(part, "rb+") as file:
        os.fsync(file.fileno())
    os.chmod(part, 0o666 & ~_umask())


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


def _storage_error(error: OSError, target: Path) -> StorageError:
    if error.errno == errno.ENOSPC:
        return StorageError(f"The disk is full: {target}.", "Free some space and run it again.")
    if isinstance(error, PermissionError):
        return StorageError(
            f"{target} cannot be written.", "Choose another place, or close what holds it open."
        )
    return StorageError(f"{target} cannot be written ({error.strerror or error}).", "Choose another place.")


class CubeFile:
    """A NetCDF file in the making: `write` fills blocks of dates, variable by variable."""

    def __init__(
        self,
        path: Path,
        grid: Grid,
        days: list[dt.date],
        variables: Iterable[Variable],
        attributes: dict[str, Any],
    ) -> None:
        self.variables = {variable.name: variable for variable in variables}
        self.clipped = dict.fromkeys(self.variables, 0)
        self._file = h5netcdf.File(path, "w")
        try:
            self._make(grid, days, attributes)
        except BaseException:
            self._file.close()
            raise

    def _make(self, grid: Grid, days: list[dt.date], attributes: dict[str, Any]) -> None:
        self._file.dimensions = {"time": len(days), "y": grid.height, "x": grid.width}
        _set(self._file, {"Conventions": "CF-1.11", **attributes})
        self._coordinates(grid, days)
        chunks = tuple(min(size, chunk) for size, chunk in zip((len(days), *grid.shape), CHUNK, strict=True))
        for variable in self.variables.values():
            self._create(variable, chunks)

    def _coordinates(self, grid: Grid, days: list[dt.date]) -> None:
        self.add(
            "time",
            ("time",),
            np.array([(day - EPOCH).days for day in days], dtype="int32"),
            standard_name="time",
            long_name="UTC date of the first acquisition",
            units="days since 1970-01-01",
            calendar="standard",
            axis="T",
        )
        for name, values in (("y", grid.y), ("x", grid.x)):
            self.add(
                name,
                (name,),
                values,
                standard_name=f"projection_{name}_coordinate",
                long_name=f"{name} of pixel centres",
                units=unit_of(grid.crs)[0],
                axis=name.upper(),
            )
        wkt = CRS.from_user_input(grid.crs)
        west, _, _, north = grid.bounds
        self.add(
            GRID_MAPPING,
            (),
            np.int32(0),
            **wkt.to_cf(),
            spatial_ref=gdal_wkt(grid.crs),
            GeoTransform=f"{west!r} {grid.resolution_x!r} 0.0 {north!r} 0.0 {-grid.resolution_y!r}",
        )

    def _create(self, variable: Variable, chunks: tuple[int, ...]) -> None:
        created = self._file.create_variable(
            variable.name,
            ("time", "y", "x"),
            dtype=variable.encoding.dtype,
            fillvalue=variable.encoding.fill,
            chunks=chunks,
            compression="gzip",
            compression_opts=DEFLATE,
            shuffle=True,
        )
        _set(created, {**variable.attributes, **variable.encoding.attributes(), "grid_mapping": GRID_MAPPING})

    def add(self, name: str, dims: tuple[str, ...], values: np.ndarray, **attributes: Any) -> None:
        """A small variable as a whole; strings (list of str) become text, None a missing number."""
        if isinstance(values, list):
            created = self._file.create_variable(name, dims, dtype=h5py.string_dtype())
            for index, text in enumerate(values):
                created[index] = text
        else:
            values = np.asarray(values)
            fill = np.nan if values.dtype.kind == "f" and "axis" not in attributes else None
            created = self._file.create_variable(name, dims, data=values, fillvalue=fill)
        _set(created, attributes)

    def write(self, name: str, start: int, values: np.ndarray) -> None:
        """Pack and write `values` (time, y, x) of a variable from date number `start` on."""
        stored, clipped = self.variables[name].encoding.pack(values)
        self.clipped[name] += clipped
        self._file.variables[name][start : start + len(stored)] = stored

    def close(self) -> None:
        for name, count in self.clipped.items():
            if count:
                self._file.variables[name].attrs["n_clipped"] = np.int64(count)
        self._file.close()

    def __enter__(self) -> CubeFile:
        return self

    def __exit__(self, *exc: Any) -> None:
        self._file.close() if exc[0] else self.close()


def _set(target: Any, attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        if value is not None and value != "" if not isinstance(value, np.ndarray) else True:
            target.attrs[name] = value
