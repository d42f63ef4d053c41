"""The job that adds spectral indices to a cube, and what a model may want to know of place and season.

Work goes in blocks of dates, rows and columns, as chunks lie, so that memory does not grow with the cube.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import spyndex
import xarray as xr
from pyproj import Transformer

from .cube.axes import TimeAxis, time_axis, time_dims
from .cube.copying import in_order
from .cube.describe import LayerInfo
from .cube.encoding import GRID_MAPPING
from .cube.output import checked_output
from .cube.read import cube_path, grid_of, read_cube
from .cube.rewrite import extended_cube
from .cube.write import CHUNKS, CubeWriter
from .errors import InputError
from .progress import Progress
from .spectral_catalog import RADAR, Index, computed, index_names, indices_of

log = logging.getLogger(__name__)
COLUMNS = 512  # of a block; with its dates and rows a million values, 8 MB of each band
NUMBERS = "iuf"
DAY_OF_YEAR = ("doy", "doy_sin", "doy_cos")
LONLAT = ("lon", "lat")
FEATURES = {"day_of_year": DAY_OF_YEAR, "lonlat": LONLAT}
# Who knows the formulas of sine and cosine knows that a year begins at 0 and never gets to 2 pi.
SEASON = "of 2 pi (day of the year - 1) / (365 or 366 days of its year)"
BRIGHT = 2.0  # 200 %; where most values are above, they are not reflectance


@dataclass(frozen=True)
class IndicesParameters:
    """`cube`: path of a cube: .nc, a Zarr folder, or the `.zgroup` / `zarr.json` in it. `indices`: names of spyndex,
    separated by commas, in capitals or not. `parameters`: constants by name (`{"L": 0.5}`), or by index and name
    (`{"SAVI": {"L": 0.5}}`). `features`: any of `FEATURES`. `output`: path of the .nc or .zarr; may be the cube.
    """

    cube: str
    indices: str | tuple = ""
    parameters: dict = field(default_factory=dict)
    features: tuple = ()
    output: str = ""


@dataclass(frozen=True)
class IndicesResult:
    """`output`: path of the cube. `variables`: the new ones. `layers` to show."""

    output: str
    title: str
    n_dates: int
    variables: tuple[str, ...] = ()
    layers: tuple[LayerInfo, ...] = ()


def spectral_indices(parameters: IndicesParameters, progress: Progress) -> IndicesResult:
    """Write the cube with its indices at `parameters.output`. An index that it has already is made anew.

    Raises `InputError` for what the user gave, `StorageError` for what cannot be read or written, `Cancelled`.
    """
    given = parameters.indices
    names = index_names(given if isinstance(given, str) else ",".join(map(str, given)))
    features = _features(parameters.features)
    if not names and not features:
        raise InputError("INDICES is empty.", "Give names of spectral indices, for example NDVI,NDWI,EVI.")
    if not parameters.cube:
        raise InputError("CUBE is missing.", "Give the path of a minicube.")
    path = cube_path(Path(parameters.cube))
    checked_output(parameters.output)
    with read_cube(path) as cube:
        numbers = [
            str(n) for n, v in cube.variables.items() if v.dtype.kind in NUMBERS and n not in cube.dims
        ]
        indices = indices_of(names, parameters.parameters, numbers, path.name)
        for index in indices:
            _check_dims(cube, index)
        new = [index.variable for index in indices] + [name for each in features for name in FEATURES[each]]
        for name in new:
            if name in cube.dims:
                raise InputError(f"{path.name} has a dimension {name}, which a new variable would be called.")
    for index in indices:
        log.info("%s: %s = %s%s.", index.variable, index.name, index.formula, _with(index))

    def add(writer: CubeWriter, cube: xr.Dataset, progress: Progress) -> None:
        _add(writer, cube, indices, features, path.name, progress)

    what = ", ".join([index.name + _with(index) for index in indices] + features)
    done = extended_cube(
        str(path), parameters.output, new, add, f"spectralindices of {path.name}, {what}", progress
    )
    return IndicesResult(done.output, done.title, done.n_dates, tuple(new), tuple(done.layers))


def _features(given: Collection[str]) -> list[str]:
    unknown = [each for each in given if each not in FEATURES]
    if unknown:
        raise InputError(f"Unknown feature: {unknown[0]!r}.", f"FEATURES are {', '.join(FEATURES)}.")
    return list(dict.fromkeys(given))


def _with(index: Index) -> str:
    return f" with {_constants(index)}" if index.constants else ""


def _constants(index: Index) -> str:
    return ", ".join(
        f"{name} {value if isinstance(value, str) else format(value, 'g')}"
        for name, value in index.constants.items()
    )


def _check_dims(cube: xr.Dataset, index: Index) -> None:
    dims = {variable: cube[variable].dims for variable in index.bands.values()}
    if len({frozenset(each) for each in dims.values()}) > 1:
        said = ", ".join(f"{variable} ({', '.join(map(str, each))})" for variable, each in dims.items())
        raise InputError(f"The bands of {index.name} have different dimensions: {said}.")
    if not next(iter(dims.values())):
        raise InputError(f"The bands of {index.name} are single numbers.", "Choose a cube of images.")


def _add(
    writer: CubeWriter,
    cube: xr.Dataset,
    indices: list[Index],
    features: list[str],
    name: str,
    progress: Progress,
) -> None:
    axis = time_axis(cube, "time", name)
    groups: dict[Any, list[Index]] = {}
    for index in indices:
        # Bands are read once for all indices of a sensor.
        dims = frozenset(cube[next(iter(index.bands.values()))].dims)
        groups.setdefault((index.sensor.prefix, dims), []).append(index)
    n_parts = len(indices) + len(features)
    done = 0
    for group in groups.values():
        _add_indices(writer, cube, group, axis, progress.part(done / n_parts, (done + len(group)) / n_parts))
        done += len(group)
    for feature in features:
        part = progress.part(done / n_parts, (done + 1) / n_parts)
        if feature == "lonlat":
            _add_lonlat(writer, cube, name, part)
        else:
            _add_day_of_year(writer, axis)
        done += 1


def _places(sizes: dict[str, int]) -> Iterator[dict[str, slice]]:
    """The places of a variable, a bounded number of values at a time, as its chunks lie."""
    most = {**CHUNKS, "x": COLUMNS}
    ranges = [
        [slice(start, min(start + most.get(dim, 1), size)) for start in range(0, size, most.get(dim, 1))]
        for dim, size in sizes.items()
    ]
    for place in product(*ranges):
        yield dict(zip(sizes, place, strict=True))


def _add_indices(
    writer: CubeWriter, cube: xr.Dataset, indices: list[Index], axis: TimeAxis, progress: Progress
) -> None:
    """Write the indices of a sensor, all of whose bands have the same dimensions."""
    names = list(dict.fromkeys(variable for index in indices for variable in index.bands.values()))
    dims = [dim for dim in time_dims(cube) if dim in cube[names[0]].dims]
    bands = {name: in_order(cube.variables[name], dims[0] if dims else None) for name in names}
    dims = bands[names[0]].dims  # others between time and y may come in another order
    bands = {name: variable.transpose(*dims) for name, variable in bands.items()}
    sizes = {str(dim): bands[names[0]].sizes[dim] for dim in dims}
    for index in indices:
        attributes = _attributes(index, [bands[variable].attrs for variable in index.bands.values()])
        if {"y", "x"} <= set(sizes):
            attributes["grid_mapping"] = GRID_MAPPING
        writer.create(index.variable, sizes, "float32", np.float32(np.nan), **attributes)
    places = list(_places(sizes))
    seen, bright = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    text = ", ".join(index.variable for index in indices)
    for number, place in enumerate(places):
        where = ", ".join(f"{dim} {part.start + 1} to {part.stop}" for dim, part in place.items())
        progress.update(number / len(places), f"{text}: {where}")
        rest: dict[str, Any] = dict(place)
        if "time" in rest:
            rest["time"] = axis.places(place["time"].start, place["time"].stop)
        values = {}
        for name in names:
            values[name] = bands[name].isel(rest).values.astype("float64")
            seen[name] += np.count_nonzero(np.isfinite(values[name]))
            bright[name] += np.count_nonzero(values[name] > BRIGHT)
        for index in indices:
            writer.put(index.variable, tuple(place.values()), computed(index, values))
            progress.raise_if_cancelled()
    for name in names:
        if not RADAR & set(indices[0].bands) and bright[name] > seen[name] / 2:
            log.warning(
                "Most values of %s are above %g: indices with constants are right for reflectance where 1.0 is 100 %%.",
                name,
                BRIGHT,
            )


def _attributes(index: Index, of_bands: list[dict[str, Any]]) -> dict[str, Any]:
    """What an index is and what it was made of; of cleaned bands also from when to when they were fitted."""
    bands = list(index.bands.items())
    said = [str(attributes.get("resampling", "")) for attributes in of_bands]
    sources = dict.fromkeys(str(a.get("source") or a.get("provider") or index.sensor.name) for a in of_bands)
    if len(set(said)) == 1:
        resampling = said[0]
    else:
        resampling = "; ".join(f"{v}: {how}" for (_, v), how in zip(bands, said, strict=True) if how)
    comment = "not clipped; missing where a band is missing or the formula has no finite value"
    if index.kernels:
        comment += "; kRBF(a, b) = exp(-(a - b)^2 / (2 sigma^2))"
    standard = {"standard_name": "normalized_difference_vegetation_index"} if index.name == "NDVI" else {}
    begin, end = (
        [str(attributes[key]) for attributes in of_bands if attributes.get(key)]
        for key in ("fitted_from", "fitted_to")
    )
    return {
        **standard,
        "long_name": index.long_name,
        "units": "1",
        "source": "; ".join(sources),
        "references": f"{index.reference}; formula from spyndex {spyndex.__version__}",
        "index": index.name,
        "formula": index.formula,
        "bands": ", ".join(f"{letter}: {variable}" for letter, variable in bands),
        "constants": _constants(index),
        "resampling": resampling,
        "comment": comment,
        "fitted_from": min(begin, default=""),
        "fitted_to": max(end, default=""),
    }


def _add_day_of_year(writer: CubeWriter, axis: TimeAxis) -> None:
    """`doy`: 1 to 366; `doy_sin` and `doy_cos`: the same as a point of a circle, on which years close."""
    years = axis.days.astype("datetime64[Y]")
    number = (axis.days - years.astype("datetime64[D]")).astype(int)
    following = years + np.timedelta64(1, "Y")
    length = (following.astype("datetime64[D]") - years.astype("datetime64[D]")).astype(int)
    phase = 2 * math.pi * number / length
    said = {"units": "1", "source": "the dates of the time axis (UTC)"}
    writer.add("doy", ("time",), (number + 1).astype("int16"), long_name="day of the year", **said)
    for name, function in (("sin", np.sin), ("cos", np.cos)):
        text = f"{'sine' if name == 'sin' else 'cosine'} {SEASON}"
        writer.add(f"doy_{name}", ("time",), function(phase).astype("float32"), long_name=text, **said)


def _add_lonlat(writer: CubeWriter, cube: xr.Dataset, name: str, progress: Progress) -> None:
    """`lon` and `lat` (y, x) of pixel centres, degrees of WGS 84, float64."""
    crs = grid_of(cube, name).crs
    transformer = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    sizes = {dim: cube.sizes[dim] for dim in ("y", "x")}
    for variable, word, units in (
        ("lon", "longitude", "degrees_east"),
        ("lat", "latitude", "degrees_north"),
    ):
        writer.create(
            variable,
            sizes,
            "float64",
            np.nan,
            standard_name=word,
            long_name=f"{word} of pixel centres",
            units=units,
            source="coordinates of the grid, brought to WGS 84 (EPSG:4326)",
            grid_mapping=GRID_MAPPING,
        )
    x, y = cube.x.values.astype("float64"), cube.y.values.astype("float64")
    places = list(_places(sizes))
    for number, place in enumerate(places):
        progress.update(number / len(places), "Longitudes and latitudes")
        found = transformer.transform(*np.meshgrid(x[place["x"]], y[place["y"]]))
        for variable, values in zip(LONLAT, found, strict=True):
            writer.put(variable, tuple(place.values()), np.where(np.isfinite(values), values, np.nan))
