"""Writes NetCDF-4: deflate and shuffle only, so that every GDAL reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

DEFLATE = 4


class NetcdfStore:
    """A NetCDF-4 file in the making: dimensions, variables, values and attributes, in any order.

    h5netcdf looks everything up by its name again and again, several ms for each variable that is written or opened.
    So data variables are made as the format has them, HDF5 datasets with dimension scales (NetCDF-4 file format
    specification, Unidata), and `dataset` tells what was written from memory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._h5 = h5py.File(path, "w", track_order=True)
        self._file = h5netcdf.File(self._h5, "w")
        # Of each variable dimensions and values, None for those that only the file has; of the file and of each
        # variable the attributes.
        self._made: dict[str, tuple[tuple[str, ...], np.ndarray | None]] = {}
        self._said: dict[str | None, dict[str, Any]] = {None: {}}

    def dimensions(self, sizes: dict[str, int]) -> None:
        """Add dimensions."""
        for name, size in sizes.items():
            self._file.dimensions[name] = size

    def create(
        self, name: str, dims: tuple[str, ...], dtype: str, fill: float | None, chunks: tuple[int, ...]
    ) -> None:
        """Add a chunked, compressed variable without values; `fill` is what missing ones read as."""
        how = {"chunks": chunks, "compression": "gzip", "compression_opts": DEFLATE, "shuffle": True}
        if name in self._file.dimensions:
            self._file.create_variable(name, dims, dtype=dtype, fillvalue=fill, **how)
        else:
            scales = [self._h5[dim] for dim in dims]
            shape = tuple(scale.shape[0] for scale in scales)
            variable = self._h5.create_dataset(name, shape, dtype, fillvalue=fill, track_order=True, **how)
            for dim, scale in zip(variable.dims, scales, strict=True):
                dim.attach_scale(scale)
            ids = np.array([scale.attrs["_Netcdf4Dimid"] for scale in scales], "int32")
            variable.attrs["_Netcdf4Coordinates"] = ids
            variable.attrs["_Netcdf4Dimid"] = ids[0]
            if fill is not None:
                variable.attrs["_FillValue"] = np.array([fill], dtype)
        self._remember(name, dims, None, None if fill is None else np.dtype(dtype).type(fill))

    def add(self, name: str, dims: tuple[str, ...], values: np.ndarray | list[str], fill: Any) -> None:
        """Add a small variable as a whole; a list of str is text."""
        if isinstance(values, list):
            created = self._file.create_variable(name, dims, dtype=h5py.string_dtype())
            values = np.array(values, dtype=object)
            if values.size:
                created[...] = values
        else:
            self._file.create_variable(name, dims, data=values, fillvalue=fill)
        self._remember(name, dims, values, None if fill is None else values.dtype.type(fill))

    def _remember(self, name: str, dims: tuple[str, ...], values: np.ndarray | None, fill: Any) -> None:
        self._made[name] = dims, values
        self._said[name] = {} if fill is None else {"_FillValue": fill}

    def put(self, name: str, place: tuple[slice, ...], stored: np.ndarray) -> None:
        """Write stored numbers at a place: a slice for each dimension."""
        self._variable(name)[place] = stored

    def describe(self, name: str | None, attributes: dict[str, Any]) -> None:
        """Set attributes of a variable, of the file where `name` is None."""
        target = (self._file if name is None else self._variable(name)).attrs
        for key, value in attributes.items():
            if not isinstance(value, (str, bytes, list)):
                value = np.atleast_1d(value)  # NetCDF knows no other numbers, and no bool
                value = value.astype("int8") if value.dtype == bool else value
            target[key] = value
            self._said[name][key] = value if isinstance(value, (str, bytes)) or len(value) != 1 else value[0]

    def _variable(self, name: str) -> Any:
        return self._file.variables[name] if name in self._file.variables else self._h5[name]

    def close(self) -> None:
        try:
            self._file.close()
        finally:
            self._h5.close()

    def dataset(self) -> xr.Dataset:
        """What xarray finds in the file once it is closed, not decoded; values are read when they are used."""
        file = h5py.File(self._path, rdcc_nbytes=0)  # nothing is read twice
        variables = {
            name: xr.Variable(
                dims,
                indexing.LazilyIndexedArray(_Stored(file, name)) if values is None else values,
                self._said[name],
            )
            for name, (dims, values) in self._made.items()
        }
        found = xr.Dataset(variables, attrs=self._said[None])
        found.set_close(file.close)
        return found


class _Stored(BackendArray):
    """The numbers of a variable in a file that is open."""

    def __init__(self, file: h5py.File, name: str) -> None:
        beside = (
            f"_nc4_non_coord_{name}"  # NetCDF's name for one that is called as a dimension it does not have
        )
        self._stored = file[beside if beside in file else name]
        self.shape, self.dtype = self._stored.shape, self._stored.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, lambda place: self._stored[place]
        )
