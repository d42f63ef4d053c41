"""Writes NetCDF-4: deflate and shuffle only, so that every GDAL reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np

DEFLATE = 4


class NetcdfStore:
    """A NetCDF-4 file in the making: dimensions, variables, values and attributes, in any order."""

    def __init__(self, path: Path) -> None:
        self._file = h5netcdf.File(path, "w")

    def dimensions(self, sizes: dict[str, int]) -> None:
        """Add dimensions."""
        for name, size in sizes.items():
            self._file.dimensions[name] = size

    def create(
        self, name: str, dims: tuple[str, ...], dtype: str, fill: float | None, chunks: tuple[int, ...]
    ) -> None:
        """Add a chunked, compressed variable without values; `fill` is what missing ones read as."""
        self._file.create_variable(
            name,
            dims,
            dtype=dtype,
            fillvalue=fill,
            chunks=chunks,
            compression="gzip",
            compression_opts=DEFLATE,
            shuffle=True,
        )

    def add(self, name: str, dims: tuple[str, ...], values: np.ndarray | list[str], fill: Any) -> None:
        """Add a small variable as a whole; a list of str is text."""
        if isinstance(values, list):
            created = self._file.create_variable(name, dims, dtype=h5py.string_dtype())
            if values:
                created[...] = np.array(values, dtype=object)
        else:
            self._file.create_variable(name, dims, data=values, fillvalue=fill)

    def put(self, name: str, place: tuple[slice, ...], stored: np.ndarray) -> None:
        """Write stored numbers at a place: a slice for each dimension."""
        self._file.variables[name][place] = stored

    def describe(self, name: str | None, attributes: dict[str, Any]) -> None:
        """Set attributes of a variable, of the file where `name` is None."""
        target = self._file if name is None else self._file.variables[name]
        for key, value in attributes.items():
            target.attrs[key] = value

    def close(self) -> None:
        self._file.close()
