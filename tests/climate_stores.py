"""Stores of climate data whose every value is known, and what a plain computation on them gives."""

from __future__ import annotations

import datetime as dt
import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from minicuber.core.catalogs.http import Credentials
from minicuber.core.catalogs.registry import load_registry
from minicuber.core.climate.weather import Climate
from minicuber.core.grid import Grid, transform_points, utm_crs
from minicuber.core.partstore import PartStore
from minicuber.core.progress import Progress
from minicuber.core.recipe import Recipe

PLACE = (8.0, 47.0)  # a cell of the usual grids
UNITS = {"t2m": "K", "d2m": "K", "tp": "m", "ssrd": "J m**-2", "sp": "Pa", "u10": "m s**-1", "v10": "m s**-1"}
OPEN: list[Climate] = []  # closed when a test is over
SUMS = ("tp", "ssrd", "e", "precipitation_amount_1hour_Accumulation")
LATITUDES = np.arange(47.75, 46.2, -0.25)
LONGITUDES = np.arange(7.25, 8.8, 0.25)


def hours(first: str, last: str) -> np.ndarray:
    """The hours from 00:00 of the first to 23:00 of the last day."""
    return np.arange(
        np.datetime64(first, "ns"), np.datetime64(last, "ns") + np.timedelta64(1, "D"), np.timedelta64(1, "h")
    )


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Numbers of which no two are equal and every one is exact in float32."""
    made = np.random.default_rng(seed).permutation(int(np.prod(shape))).astype(np.float64)
    return (2000 + made).reshape(shape) / 8


def store(
    times: np.ndarray,
    names: Iterable[str] = ("t2m",),
    latitudes: np.ndarray = LATITUDES,
    longitudes: np.ndarray = LONGITUDES,
    time: str = "time",
    units: dict[str, str] | None = None,
    values: Any = None,
) -> xr.Dataset:
    """A dataset (time, latitude, longitude) of `noise`, or of `values` that fit these dimensions."""
    shape = (len(times), len(latitudes), len(longitudes))
    arrays = {}
    for number, name in enumerate(names):
        array = noise(shape, number) if values is None else np.broadcast_to(values, shape).copy()
        attributes = {"units": {**UNITS, **(units or {})}.get(name, "")}
        arrays[name] = ((time, "latitude", "longitude"), array, {k: v for k, v in attributes.items() if v})
    coordinates = {time: times, "latitude": np.asarray(latitudes), "longitude": np.asarray(longitudes)}
    return xr.Dataset(arrays, coordinates)


def to_zarr(dataset: xr.Dataset, path: Path, chunks: tuple[int, ...] = (), **how: Any) -> Path:
    """Zarr 2 with consolidated metadata, unless told otherwise."""
    how = {"zarr_format": 2, "consolidated": True, **how}
    encoding = {
        name: {"chunks": chunks} for name in dataset.data_vars if chunks and dataset[name].ndim == len(chunks)
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.to_zarr(path, encoding=encoding, mode="w", **how)
    return path


def grid(lon: float, lat: float, size: int = 4, resolution: float = 20.0) -> Grid:
    """A square grid in UTM with its centre within a pixel of a place."""
    crs = utm_crs(lon, lat)
    (x,), (y,) = transform_points([lon], [lat], "EPSG:4326", crs)
    half = size * resolution / 2
    left, top = np.round((x - half) / resolution) * resolution, np.round((y + half) / resolution) * resolution
    return Grid(crs, float(left), float(top), resolution, resolution, size, size)


class Collected:
    """In place of a cube: what was written into it."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.attributes: dict[str | None, dict[str, Any]] = {}
        self.dims: dict[str, tuple[str, ...]] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def add(self, name: str, dims: tuple[str, ...], values: np.ndarray, **attributes: Any) -> None:
        self.arrays[name], self.dims[name] = np.asarray(values), dims
        self.describe(name, **attributes)

    def describe(self, name: str | None, /, **attributes: Any) -> None:
        self.attributes.setdefault(name, {}).update(attributes)

    def write(self, name: str, start: int, values: np.ndarray) -> None:
        before = [self.arrays[name]] if name in self.arrays else []
        assert start == sum(map(len, before))
        self.arrays[name], self.dims[name] = np.concatenate([*before, values]), ("time", "y", "x")


def days_of(*texts: str) -> list[dt.date]:
    return [dt.date.fromisoformat(text) for text in texts]


def climate(
    source: Any,
    variables: tuple[str, ...],
    days: Iterable[dt.date],
    place: tuple[float, float] | Grid = PLACE,
    catalogs: Path | str = "",
    credentials: dict[str, str] | None = None,
    cache: Path | None = None,
    **recipe: Any,
) -> Climate:
    """The unit under test; `variables`: name, aggregation, name, ..."""
    made = place if isinstance(place, Grid) else grid(*place)
    west, south, east, north = made.bounds
    asked = Recipe(
        extent=(west, east, south, north), extent_crs=made.crs, start="2020-01-01", end="2020-01-02", catalog="none",
        era5_source=str(source), era5_variables=variables, **{"step_days": 5, "era5_space": "nearest", **recipe},
    )  # fmt: skip
    given = Credentials(**(credentials or {}))
    OPEN.append(Climate(asked, load_registry(str(catalogs)), given, made, list(days), cache))
    return OPEN[-1]


def weather(
    source: Any, variables: tuple[str, ...], days: Iterable[dt.date], parts: Path, *given: Any, **more: Any
):
    """What comes into a cube: looked for, read into the part store in `parts`, aggregated to all `days`."""
    days = list(days)
    made = climate(source, variables, days, *given, **more)
    made.look(Progress())
    parts.mkdir(exist_ok=True, parents=True)
    made.read(PartStore(parts), Progress())
    cube = Collected()
    made.write(cube, days, Progress())
    made.close()
    return cube


def catalogs(folder: Path, *entries: dict[str, Any]) -> Path:
    """The user's own entries of the registry."""
    path = folder / "catalogs.json"
    path.write_text(json.dumps({"climate": list(entries)}))
    return path


def entry(url: str, variables: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": "mine",
        "title": "My store",
        "url": str(url),
        "variables": variables or {"t": "t2m"},
        **more,
    }


def steps(
    days: Iterable[dt.date], window: str = "since_previous", step_days: int = 5
) -> list[tuple[Any, Any]]:
    """(first midnight, last midnight) of each step, by the words of the contract."""
    made, previous = [], None
    for day in days:
        first = day - dt.timedelta(days=step_days - 1)
        if previous is not None and window == "since_previous":
            first = previous + dt.timedelta(days=1)
        made.append((np.datetime64(first, "s"), np.datetime64(day, "s") + np.timedelta64(1, "D")))
        previous = day
    return made


def plain(
    array: xr.DataArray,
    days: Iterable[dt.date],
    how: str,
    ending: bool = False,
    time: str = "time",
    **more: Any,
) -> np.ndarray:
    """What a series over time should give, with xarray alone."""
    made = []
    for first, last in steps(days, **more):
        stamps = array[time]
        inside = (stamps > first) & (stamps <= last) if ending else (stamps >= first) & (stamps < last)
        made.append(float(getattr(array[inside.values], how)()))
    return np.array(made)
