"""Writes Zarr of format 2, as xarray and GDAL read it: GDAL reads format 3 fully only from 3.13 on.

Consolidated metadata, dimension names in `_ARRAY_DIMENSIONS`, zlib alone, so that every GDAL reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import xarray as xr
import zarr

from .read import open_raw

LEVEL = 4


class ZarrStore:
    """A Zarr group in the making, in an empty folder: dimensions, variables, values and attributes."""

    def __init__(self, path: Path) -> None:
        self._path = Path(path)
        self._sizes: dict[str, int] = {}
        self._arrays: dict[str, zarr.Array] = {}
        self._group = zarr.open_group(self._path, mode="a", zarr_format=2)

    def dimensions(self, sizes: dict[str, int]) -> None:
        """Add dimensions, which Zarr knows only as the shapes of variables."""
        self._sizes |= sizes

    def create(
        self, name: str, dims: tuple[str, ...], dtype: str, fill: float | None, chunks: tuple[int, ...]
    ) -> None:
        """Add a chunked, compressed variable without values; `fill` is what missing ones read as.

        xarray takes Zarr's fill for CF's `_FillValue`: a variable without one has null, not 0.
        """
        self._arrays[name] = self._group.create_array(
            name,
            shape=tuple(self._sizes[dim] for dim in dims),
            dtype=dtype,
            chunks=chunks,
            fill_value=fill,
            compressors=numcodecs.Zlib(LEVEL),
            attributes={"_ARRAY_DIMENSIONS": list(dims)},
            # A chunk that is not there was lost, not empty. The array remembers it, its file does not.
            config={"write_empty_chunks": True},
        )

    def add(self, name: str, dims: tuple[str, ...], values: np.ndarray | list[str], fill: Any) -> None:
        """Add a small variable as a whole; a list of str is text, of one length for all."""
        values = np.asarray(values)
        self.create(name, dims, values.dtype, fill, values.shape)
        self._arrays[name][...] = values

    def put(self, name: str, place: tuple[slice, ...], stored: np.ndarray) -> None:
        """Write stored numbers at a place: a slice for each dimension."""
        self._arrays[name][place] = stored

    def describe(self, name: str | None, attributes: dict[str, Any]) -> None:
        """Set attributes of a variable, of the group where `name` is None.

        JSON has one kind of number: a float32 becomes the double that it is exactly, as xarray itself does it.
        """
        target = self._group if name is None else self._arrays[name]
        target.attrs.update(
            {
                key: value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
                for key, value in attributes.items()
            }
        )

    def close(self) -> None:
        zarr.consolidate_metadata(self._path, zarr_format=2)

    def dataset(self) -> xr.Dataset:
        """What xarray finds in the group once it is closed, not decoded."""
        return open_raw(self._path)
