"""Copies variables of a cube into another of the same grid: the stored numbers as they are, in blocks."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from itertools import product
from typing import Any

import numpy as np
import xarray as xr

from .axes import TimeAxis, bounds_names
from .encoding import GRID_MAPPING
from .write import CHUNKS, CubeWriter

log = logging.getLogger(__name__)
# Names of other variables, which may not come along.
REFERENCES = ("coordinates", "ancillary_variables")
# What is said anew, or holds for how the file was written alone.
FORGOTTEN = ("_FillValue", "bounds", "climatology", "grid_mapping", "cell_measures")


def blocks(sizes: dict[str, int]) -> Iterator[dict[str, slice]]:
    """The places of a variable, some dates and rows at a time, as its chunks lie; x and others as a whole."""
    steps = {dim: CHUNKS[dim] if dim in ("time", "y") else max(size, 1) for dim, size in sizes.items()}
    ranges = [
        [slice(start, min(start + steps[dim], size)) for start in range(0, size, steps[dim])]
        for dim, size in sizes.items()
    ]
    for place in product(*ranges):
        yield dict(zip(sizes, place, strict=True))


def in_order(variable: xr.Variable, dim: str | None) -> xr.Variable:
    """A variable with its dimensions as CF has them: the time dimension `dim`, others, y and x."""
    before = [] if dim is None else [dim]
    after = [each for each in ("y", "x") if each in variable.dims]
    others = [each for each in variable.dims if each not in (*before, *after)]
    return variable.transpose(*before, *others, *after)


def copy_variable(
    writer: CubeWriter,
    cube: xr.Dataset,
    packed: xr.Dataset,
    name: str,
    kept: Collection[str],
    axis: TimeAxis | None = None,
) -> None:
    """Copy a variable of a cube, opened by `read_cube` and by `read_packed`; along `axis`, it becomes one of `time`.

    `kept`: the variables that the other cube has. What has no counterpart on disk is left out, the log says so.
    """
    variable = packed.variables[name]
    if name not in bounds_names(cube):  # their corners come last
        variable = in_order(variable, axis.dim if axis is not None else None)
    dims = tuple("time" if axis is not None and dim == axis.dim else str(dim) for dim in variable.dims)
    attributes = _attributes(variable.attrs, dims, kept, axis)
    kind = cube.variables[name].dtype.kind
    if kind in "OSUT" and dims:  # T: numpy's own strings, which come of Zarr
        text = cube.variables[name].transpose(*variable.dims).values
        text = text if axis is None else text[axis.order]
        writer.add(name, dims, _words(text), **attributes)
        return
    if variable.dtype.kind == "M":  # the coordinate of a dimension, which comes decoded
        _copy_dates(writer, variable, name, dims, attributes, kept)
        return
    dtype = np.dtype("uint8") if variable.dtype.kind == "b" else variable.dtype.newbyteorder("=")
    if dtype.kind not in "iuf":
        log.warning("%s is not copied: it is neither numbers nor rows of text.", name)
        return
    if not dims:
        writer.add(name, (), np.asarray(variable.values, dtype), **attributes)
        return
    fill = variable.attrs.get("_FillValue")
    fill = None if fill is None else np.ravel(fill)[0].astype(dtype)
    sizes = dict(zip(dims, variable.shape, strict=True))
    writer.create(name, sizes, dtype.name, fill, **attributes)
    for place in blocks(sizes):
        where = dict(zip(variable.dims, place.values(), strict=True))
        if axis is not None:
            where[axis.dim] = axis.places(place["time"].start, place["time"].stop)
        writer.put(name, tuple(place.values()), variable.isel(where).values.astype(dtype))


def stored_dates(variable: xr.Variable, order: np.ndarray | None = None) -> tuple[np.ndarray, dict[str, Any]]:
    """The numbers that the dates of a dimension were stored as, and the attributes that say what they count: bounds
    count the same."""
    encoded = xr.conventions.encode_cf_variable(
        xr.Variable(variable.dims, variable.values, {}, variable.encoding)
    )
    values = encoded.values if order is None else encoded.values[order]
    return values, {key: encoded.attrs[key] for key in ("units", "calendar")}


def _copy_dates(
    writer: CubeWriter,
    variable: xr.Variable,
    name: str,
    dims: tuple[str, ...],
    attributes: dict,
    kept: Collection[str],
) -> None:
    """The coordinate of a time dimension."""
    bounds = variable.attrs.get("bounds") or variable.encoding.get("bounds")
    values, counted = stored_dates(variable)
    writer.add(name, dims, values, **{**attributes, **counted, "bounds": bounds if bounds in kept else ""})


def _attributes(
    said: dict[str, Any], dims: tuple[str, ...], kept: Collection[str], axis: TimeAxis | None
) -> dict[str, Any]:
    attributes = {name: value for name, value in said.items() if name not in FORGOTTEN}
    for name in set(REFERENCES) & set(attributes):
        attributes[name] = " ".join(word for word in str(attributes[name]).split() if word in kept)
    if axis is not None and "cell_methods" in attributes:
        attributes["cell_methods"] = along_time(attributes["cell_methods"], axis)
    if {"y", "x"} <= set(dims):
        attributes["grid_mapping"] = GRID_MAPPING
    return attributes


def along_time(cell_methods: Any, axis: TimeAxis) -> str:
    """CF's `cell_methods` where the dimension of `axis` has become `time`."""
    return " ".join("time:" if word == f"{axis.dim}:" else word for word in str(cell_methods).split())


def _words(values: np.ndarray) -> list[Any]:
    """Nested lists of str; what is missing is empty."""
    text = [each.decode("utf-8", "replace") if isinstance(each, bytes) else each for each in values.ravel()]
    flat = np.array([each if isinstance(each, str) else "" for each in text], dtype=object)
    return flat.reshape(values.shape).tolist()
