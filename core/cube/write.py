"""Writes a cube, block of dates by block, as NetCDF-4 or Zarr.

CF-1.11: dimensions time, y (descending), x; coordinates are pixel centres. A chunk is `CHUNK` = 32 dates of
64 x 64 pixels: a map of 128 x 128 pixels touches 4 chunks, a pixel's series of a year at 5 days 3; both stay a
few milliseconds.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from pyproj import CRS

from ..grid import Grid, unit_of
from .encoding import GRID_MAPPING, Variable, grid_mapping
from .netcdf import NetcdfStore

CHUNK = (32, 64, 64)  # time, y, x
CHUNKS = dict(zip(("time", "y", "x"), CHUNK, strict=True))
EPOCH = dt.date(1970, 1, 1)
LONLAT = {"y": ("latitude", "degrees_north"), "x": ("longitude", "degrees_east")}


def open_cube(
    path: str | os.PathLike,
    grid: Grid,
    days: list[dt.date],
    variables: Iterable[Variable],
    attributes: dict[str, Any],
    centres: dict[str, np.ndarray] | None = None,
    time: tuple[np.ndarray, dict[str, Any]] | None = None,
) -> CubeWriter:
    """Begin a cube in the temporary file (NetCDF) or empty folder (Zarr) that `part_output` made.

    `days`: its time axis. `attributes`: those of the whole; empty ones and None are left out. `centres`: the
    coordinates x and y to the last bit, where they are another cube's; `time`: likewise the stored numbers of its
    dates, in the place of `days`, with the attributes that say what they count.
    """
    return CubeWriter(_store(Path(path)), grid, days, variables, attributes, centres, time)


def _store(path: Path):
    if not path.is_dir():
        return NetcdfStore(path)
    from .zarr2 import ZarrStore  # takes longer to import than everything else here

    return ZarrStore(path)


class CubeWriter:
    """A cube in the making: `write` fills blocks of dates, variable by variable.

    `variables`: those over (time, y, x), by name. `clipped`: how many values of each did not fit.
    """

    def __init__(
        self,
        store: Any,
        grid: Grid,
        days: list[dt.date],
        variables: Iterable[Variable],
        attributes: dict[str, Any],
        centres: dict[str, np.ndarray] | None = None,
        time: tuple[np.ndarray, dict[str, Any]] | None = None,
    ) -> None:
        self.variables = {variable.name: variable for variable in variables}
        self.clipped = dict.fromkeys(self.variables, 0)
        self._store = store
        if time is None:
            counted = {"units": "days since 1970-01-01", "calendar": "standard"}
            time = np.array([(day - EPOCH).days for day in days], dtype="int32"), counted
        self._sizes = {"time": len(time[0]), "y": grid.height, "x": grid.width}
        try:
            self._make(grid, time, attributes, centres or {"y": grid.y, "x": grid.x})
        except BaseException:
            self._store.close()
            raise

    def _make(
        self,
        grid: Grid,
        time: tuple[np.ndarray, dict[str, Any]],
        attributes: dict[str, Any],
        centres: dict[str, np.ndarray],
    ) -> None:
        self._store.dimensions(self._sizes)
        self.describe(None, Conventions="CF-1.11", **attributes)
        self._coordinates(grid, time, centres)
        chunks = tuple(min(size, chunk) for size, chunk in zip(self._sizes.values(), CHUNK, strict=True))
        for variable in self.variables.values():
            encoding = variable.encoding
            self._store.create(variable.name, ("time", "y", "x"), encoding.dtype, encoding.fill, chunks)
            self.describe(
                variable.name,
                **{**variable.attributes, **encoding.attributes(), "grid_mapping": GRID_MAPPING},
            )

    def _coordinates(
        self, grid: Grid, time: tuple[np.ndarray, dict[str, Any]], centres: dict[str, np.ndarray]
    ) -> None:
        said = {
            "standard_name": "time",
            "long_name": "UTC date of the first acquisition",
            "units_metadata": "leap_seconds: none",
            "axis": "T",
        }
        self.add("time", ("time",), time[0], **{**said, **time[1]})
        for name in ("y", "x"):
            standard_name, units = f"projection_{name}_coordinate", unit_of(grid.crs)[0]
            if CRS.from_user_input(grid.crs).is_geographic:
                standard_name, units = LONLAT[name]
            self.add(
                name,
                (name,),
                centres[name],
                standard_name=standard_name,
                long_name=f"{name} of pixel centres",
                units=units,
                axis=name.upper(),
            )
        self.add(GRID_MAPPING, (), np.int32(0), **grid_mapping(grid.crs))

    def add(self, name: str, dims: tuple[str, ...], values: Any, **attributes: Any) -> None:
        """A small variable as a whole; strings (list of str) become text. Missing floats are NaN.

        Dimensions that the cube does not have yet are added.
        """
        values = values if isinstance(values, list) else np.asarray(values)
        new = {dim: size for dim, size in zip(dims, np.shape(values), strict=True) if dim not in self._sizes}
        self._sizes |= new
        self._store.dimensions(new)
        number = not isinstance(values, list) and values.dtype.kind == "f"
        self._store.add(name, dims, values, np.nan if number and "axis" not in attributes else None)
        self.describe(name, **attributes)

    def create(
        self, name: str, sizes: dict[str, int], dtype: str, fill: float | None, **attributes: Any
    ) -> None:
        """A variable of these dimensions without values, which `put` fills in any order of places."""
        new = {dim: size for dim, size in sizes.items() if dim not in self._sizes}
        self._sizes |= new
        self._store.dimensions(new)
        chunks = tuple(min(size, CHUNKS.get(dim, size)) for dim, size in sizes.items())
        self._store.create(name, tuple(sizes), dtype, fill, chunks)
        self.describe(name, **attributes)

    def put(self, name: str, place: tuple[slice, ...], stored: np.ndarray) -> None:
        """Write stored numbers at a place of a variable that `create` made: a slice for each dimension."""
        self._store.put(name, place, stored)

    def add_map(self, name: str, stored: np.ndarray, fill: float | None, **attributes: Any) -> None:
        """A variable (y, x) as a whole, of stored numbers; `fill`: that of a missing value."""
        self.create(
            name, {"y": self._sizes["y"], "x": self._sizes["x"]}, stored.dtype.name, fill, **attributes
        )
        self.put(name, (slice(None), slice(None)), stored)

    def describe(self, name: str | None, /, **attributes: Any) -> None:
        """Set attributes of a variable, of the cube where `name` is None; empty ones and None are left out."""
        given = {
            key: value
            for key, value in attributes.items()
            if isinstance(value, np.ndarray) or (value is not None and value != "")
        }
        if given:
            self._store.describe(name, given)

    def write(self, name: str, start: int, values: np.ndarray) -> None:
        """Pack and write `values` (time, y, x) of a variable from date number `start` on."""
        self.write_packed(name, start, *self.variables[name].encoding.pack(values))

    def write_packed(self, name: str, start: int, stored: np.ndarray, clipped: int = 0) -> None:
        """Write what `pack` of the variable's encoding has made; `clipped` as it counts them."""
        self.clipped[name] += clipped
        self._store.put(name, (slice(start, start + len(stored)),), stored)

    def dataset(self) -> xr.Dataset:
        """The cube as `read.open_raw` gives it, once the writer is closed; to be closed too."""
        return self._store.dataset()

    def close(self) -> None:
        for name, count in self.clipped.items():
            if count:
                self.describe(name, n_clipped=np.int64(count))
        self._store.close()

    def __enter__(self) -> CubeWriter:
        return self

    def __exit__(self, *exc: Any) -> None:
        self._store.close() if exc[0] else self.close()
