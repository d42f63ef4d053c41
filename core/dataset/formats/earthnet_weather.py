"""The daily weather of the EarthNet formats: ERA5 of a cube built with ERA5_DAILY, in the names and units of E-OBS.

E-OBS has daily values of stations in Europe (R. Cornes et al., J. Geophys. Res. Atmos. 123, 2018); here ERA5 stands in
for them. A day is a UTC day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...climate.variables import VARIABLES
from ...errors import InputError
from ..cubes import WEATHER, CubeData

DAILY = "time_daily"
ENDING = "_daily"
DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Station:
    """A variable of E-OBS: `from_era5`, pairs (variable, aggregation) of which the first that the cube has is taken;
    value = ERA5's * `factor` + `shift`, ERA5's in `era5_units`; EarthNet2021's = (value - `low`) / `span`."""

    long_name: str
    units: str
    from_era5: tuple[tuple[str, str], ...]
    era5_units: str
    factor: float = 1.0
    shift: float = 0.0
    low: float = 0.0
    span: float = 1.0


E_OBS = {
    "fg": Station("mean wind speed at 10 m", "m s-1", (("wind_10", "mean"),), "m s-1"),
    "hu": Station("mean relative humidity", "percent", (("rh", "mean"),), "percent"),
    "pp": Station("mean sea level pressure", "hPa", (("ap", "mean"),), "Pa", 0.01, low=900.0, span=200.0),
    "qq": Station(
        "mean surface shortwave downwelling radiation", "W m-2", (("sr", "sum"),), "J m-2", 1 / 86400
    ),
    "rr": Station("precipitation sum", "mm", (("tp", "sum"),), "m", 1000.0, span=50.0),
    "tg": Station("mean temperature", "degree_Celsius", (("t", "mean"),), "K", 1.0, -273.15, -50.0, 100.0),
    "tn": Station(
        "minimum temperature",
        "degree_Celsius",
        (("mint", "min"), ("t", "min")),
        "K",
        1.0,
        -273.15,
        -50.0,
        100.0,
    ),
    "tx": Station(
        "maximum temperature",
        "degree_Celsius",
        (("maxt", "max"), ("t", "max")),
        "K",
        1.0,
        -273.15,
        -50.0,
        100.0,
    ),
}
MESO = ("rr", "pp", "tg", "tn", "tx")  # the channels of mesodynamic, which readers of both formats ask for


def daily_names(cube: CubeData) -> dict[str, str]:
    """The variable of a cube that stands in for each of `E_OBS`, for those that it has."""
    found = {}
    for name, variable in cube.cube.data_vars.items():
        name = str(name)
        if variable.dims != (DAILY,) or not (name.startswith(WEATHER) and name.endswith(ENDING)):
            continue
        short = name[len(WEATHER) : -len(ENDING)]
        of = max(
            (each for each in VARIABLES if short == each or short.startswith(f"{each}_")), key=len, default=""
        )
        how = variable.attrs.get("aggregation") or short[len(of) + 1 :] or (VARIABLES[of].usual if of else "")
        found[of, str(how)] = name
    return {
        key: next(found[pair] for pair in station.from_era5 if pair in found)
        for key, station in E_OBS.items()
        if any(pair in found for pair in station.from_era5)
    }


def check_daily(cube: CubeData, format_name: str) -> None:
    """Raises `InputError` when a cube lacks the daily weather that the readers of EarthNet's formats need."""
    names = daily_names(cube)
    lacking = [key for key in MESO if key not in names]
    if lacking:
        pairs = ",".join(f"{variable},{how}" for key in E_OBS for variable, how in E_OBS[key].from_era5[-1:])
        wanted = ", ".join(
            f"era5_{E_OBS[key].from_era5[-1][0]} ({E_OBS[key].from_era5[-1][1]})" for key in lacking
        )
        raise InputError(
            f"FORMAT {format_name} needs daily weather, and {cube.path.name} has no daily {wanted}.",
            f"Build the cube with ERA5_DAILY on and ERA5_VARIABLES {pairs}.",
        )
    for key, name in names.items():
        units = cube.cube[name].attrs.get("units", E_OBS[key].era5_units)
        if units != E_OBS[key].era5_units and (key, units) != ("hu", "%"):
            raise InputError(
                f"{name} of {cube.path.name} is in {units}, and FORMAT {format_name} needs {E_OBS[key].era5_units}.",
                "Build the cube with ERA5_DAILY on.",
            )


def days_of(cube: CubeData) -> np.ndarray:
    """The days of the daily weather, datetime64[D]."""
    return cube.cube[DAILY].values.astype("datetime64[D]")


def daily_values(cube: CubeData, name: str, first: np.datetime64, count: int) -> np.ndarray:
    """(count,) float64 of ERA5's units from the day `first` on; NaN for days that the cube does not have."""
    days = days_of(cube)
    at = (days - np.datetime64(first, "D")).astype(int)
    inside = (at >= 0) & (at < count)
    out = np.full(count, np.nan)
    out[at[inside]] = cube.cube[name].values[inside]
    return out


def station_values(cube: CubeData, first: np.datetime64, count: int) -> dict[str, np.ndarray]:
    """By the names of `E_OBS`, for those that the cube has: (count,) float64 in E-OBS units."""
    return {
        key: daily_values(cube, name, first, count) * E_OBS[key].factor + E_OBS[key].shift
        for key, name in daily_names(cube).items()
    }


def covered(cube: CubeData, starts: np.ndarray, steps: int, step_days: int) -> np.ndarray:
    """Of windows of `steps` images that begin at `starts`, whether the weather has all their days: (window,) bool."""
    days = np.unique(days_of(cube))
    wanted = steps * step_days
    first = np.searchsorted(days, cube.days[starts] - (step_days - 1) * DAY)
    last = np.searchsorted(days, cube.days[starts + steps - 1], side="right")
    return last - first == wanted
