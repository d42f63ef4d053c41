"""How fast clouds are cleaned, beside a loop over pixels as the study forest_drought_forecasting has it.

    python tests/bench/cleaning.py [--size 128] [--crop 8]

128 x 128 pixels, 470 dates, 6 variables, LOESS with 3 iterations; the loop (xarray by pixel, statsmodels) runs on a
crop of the same cube. Values of mode seed are compared. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import statsmodels.api as sm
import xarray as xr
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parents[2]
STEPS, NAMES = 470, ("s2_B02", "s2_B03", "s2_B04", "s2_B08", "s2_B8A", "s2_ndvi")
FRACTION, MAX_GAP, SPAN = 0.05, 36, 0.07


def make_cube(size: int) -> xr.Dataset:
    """Seasons with noise under clouds that cover 45 % of the values, and some that the mask missed."""
    rng = np.random.default_rng(1)
    time_axis = np.datetime64("2015-08-01") + 5 * np.arange(STEPS)
    season = np.sin(2 * np.pi * np.arange(STEPS) / 73)[:, None, None]
    cube = xr.Dataset(
        coords={"time": time_axis.astype("datetime64[ns]"), "lat": np.arange(size), "lon": np.arange(size)}
    )
    dims = ("time", "lat", "lon")
    for number, name in enumerate(NAMES):
        values = 0.5 + 0.05 * number + 0.2 * season + rng.normal(0, 0.03, (STEPS, size, size))
        values[rng.random(values.shape) < 0.03] -= 0.3
        cube[name] = (dims, values.astype("float32"))
    cube["s2_mask"] = (dims, (rng.random((STEPS, size, size)) < 0.45).astype("float32"))
    return cube


def by_pixel(cube: xr.Dataset) -> xr.Dataset:
    """The study's three steps in its manner: a loop over dates, then loops over pixels."""
    cube = cube.copy(deep=True)
    names = [*NAMES, "s2_mask"]
    clear = cube[names].where(cube.s2_mask == 0)
    weeks = clear.time.dt.isocalendar().week
    lowest = clear.groupby(weeks).reduce(np.nanquantile, q=FRACTION, dim="time")
    kept = xr.zeros_like(clear)
    for date in clear.time:
        now = clear.sel(time=date)
        kept.loc[{"time": date}] = now.where(now >= lowest.sel(week=weeks.sel(time=date)))
    cube[names] = kept
    cube["to_sample"] = xr.zeros_like(cube.s2_ndvi.isel(time=0, drop=True))
    for lat in cube.lat:
        for lon in cube.lon:
            longest = count = 0
            for missing in cube.s2_ndvi.sel(lat=lat, lon=lon).isnull().values:
                count = count + 1 if missing else 0
                longest = max(longest, count)
            cube.to_sample.loc[{"lat": lat, "lon": lon}] = longest <= MAX_GAP
    steps = np.arange(STEPS)
    for name in NAMES:
        for row, lat in enumerate(cube.lat):
            for column, lon in enumerate(cube.lon):
                if not cube.sel(lat=lat, lon=lon).to_sample.values:
                    continue
                series = cube[name].isel(lat=row, lon=column)
                there = ~series.isnull().values
                line = np.interp(steps, steps[there], series[there])
                cube[name].loc[{"lat": lat, "lon": lon}] = sm.nonparametric.lowess(line, steps, frac=SPAN)[
                    :, 1
                ]
    return cube


def at_once(cube: xr.Dataset, mode: str) -> dict[str, np.ndarray]:
    """Ours, on all cores, from and to arrays (pixels, steps)."""
    from minicuber.core.clean_blocks import SERIES
    from minicuber.core.cleaning.clean import Axis, cleaned
    from minicuber.core.cleaning.options import CleaningOptions

    flat = {name: cube[name].values.reshape(STEPS, -1).T.copy() for name in (*NAMES, "s2_mask")}
    mask = flat.pop("s2_mask")
    axis = Axis(cube.time.values.astype("datetime64[D]"), CleaningOptions(mode=mode))

    def block(start: int):
        part = slice(start, start + SERIES)
        own = {name: each[part] for name, each in flat.items()}
        return cleaned(own, own["s2_ndvi"], mask[part], axis).values

    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(block, range(0, len(mask), SERIES)))
    return {name: np.concatenate([part[name] for part in parts]) for name in NAMES}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--size", type=int, default=128, help="pixels to a side")
    asked.add_argument("--crop", type=int, default=8, help="pixels to a side, for the loop")
    asked = asked.parse_args()
    spec = importlib.util.spec_from_file_location(
        "minicuber", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    sys.modules["minicuber"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["minicuber"])
    cube = make_cube(asked.size)
    crop = cube.isel(lat=slice(asked.crop), lon=slice(asked.crop)).load()
    at_once(crop, "seed")  # imports
    print(f"{asked.size} x {asked.size} px, {STEPS} dates, {len(NAMES)} variables, {os.cpu_count()} cores")
    start = time.perf_counter()
    expected = by_pixel(crop)
    loop = (time.perf_counter() - start) / asked.crop**2
    print(f"  by pixel: {loop * 1000:.0f} ms a pixel, {loop * asked.size**2:.0f} s for the cube")
    for mode in ("seed", "robust"):
        start = time.perf_counter()
        values = at_once(cube, mode)
        seconds = time.perf_counter() - start
        print(f"  {mode}: {seconds:.1f} s, {loop * asked.size**2 / seconds:.0f} times as fast")
        if mode == "seed":
            square = {
                n: v.reshape(asked.size, asked.size, STEPS)[: asked.crop, : asked.crop]
                for n, v in values.items()
            }
            apart = max(
                np.nanmax(np.abs(square[name] - expected[name].transpose("lat", "lon", "time").values))
                for name in NAMES
            )
            print(f"  largest difference between the loop and seed: {apart:.1e}")


if __name__ == "__main__":
    main()
