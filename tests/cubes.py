"""Cubes that tests make with plain xarray, saved as others would, and cubes that were made, opened as others would."""

from __future__ import annotations

import warnings
from pathlib import Path

import xarray as xr


def save(cube: xr.Dataset, path: Path) -> Path:
    """Write a cube as NetCDF or, by its ending, as Zarr 2."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if path.suffix == ".zarr":
            cube.to_zarr(path, zarr_format=2)
        else:
            cube.to_netcdf(path, engine="h5netcdf")
    return path


def opened(path: Path, request) -> xr.Dataset:
    """A cube until the end of the test of `request`; xarray must have nothing to warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = xr.open_dataset(path, engine="zarr" if path.suffix == ".zarr" else "h5netcdf")
    request.addfinalizer(found.close)
    return found
