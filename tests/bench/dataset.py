"""Writing samples for machine learning, beside the usual loop: a sample at a time with xarray and numpy.

The loop selects the pixel and the window of each sample with xarray, turns them into an array of all variables (maps
repeated over time) and calls `numpy.savez_compressed`. Ours makes the whole dataset: splits, leak check, index and
statistics included.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

ROOT = Path(__file__).resolve().parents[2]
CONTEXT, TARGET, N_DATES, SIDE = 54, 18, 171, 10
N_IMAGES, N_STATIC = 12, 42


def cube() -> xr.Dataset:
    """12 variables over time, 42 without, 10 x 10 pixels, 100 windows: 10,000 samples."""
    rng = np.random.default_rng(0)
    shape = (N_DATES, SIDE, SIDE)
    variables = {
        f"s2_v{n:02d}": (("time", "y", "x"), rng.normal(0.3, 0.1, shape).round(4).astype("float32"))
        for n in range(N_IMAGES)
    }
    variables |= {
        f"map_{n:02d}": (("y", "x"), rng.normal(0, 1, shape[1:]).astype("float32")) for n in range(N_STATIC)
    }
    axes = {
        "time": pd.date_range("2018-01-01", periods=N_DATES, freq="5D"),
        "y": ("y", 5_200_000.0 - 10 * np.arange(SIDE), {"standard_name": "projection_y_coordinate"}),
        "x": ("x", 400_000.0 + 10 * np.arange(SIDE), {"standard_name": "projection_x_coordinate"}),
    }
    return xr.Dataset(variables, axes, {"crs": "EPSG:32632"})


def loop(path: Path, folder: Path, n_samples: int) -> float:
    """Seconds per sample of the usual loop, over the first `n_samples`."""
    with xr.open_dataset(path, engine="h5netcdf") as stored:
        whole = stored.load()
    folder.mkdir()
    windows = N_DATES - CONTEXT - TARGET + 1
    begun = time.perf_counter()
    for number in range(n_samples):
        pixel, start = divmod(number, windows)
        row, column = divmod(pixel, SIDE)
        place = whole.isel(y=row, x=column)
        times = whole.time.values
        context = place.sel(time=slice(times[start], times[start + CONTEXT - 1])).to_array().values
        middle = start + CONTEXT
        target = place.sel(time=slice(times[middle], times[middle + TARGET - 1])).to_array().values
        np.savez_compressed(folder / f"{number}.npz", context=context, target=target)
    return (time.perf_counter() - begun) / n_samples


def ours(path: Path, folder: Path, form: str) -> tuple[float, int]:
    """(seconds per sample, samples) of an export."""
    spec = importlib.util.spec_from_file_location(
        "minicuber", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    sys.modules["minicuber"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["minicuber"])
    from minicuber.core.dataset.export import export_dataset
    from minicuber.core.dataset.parameters import ExportParameters
    from minicuber.core.progress import Progress

    p = ExportParameters(cubes=(str(path),), output=str(folder), context=CONTEXT, target=TARGET, format=form)
    begun = time.perf_counter()
    done = export_dataset(p, Progress())
    return (time.perf_counter() - begun) / done.n_samples, done.n_samples


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--loop", type=int, default=500, help="samples of the loop")
    asked.add_argument("--runs", type=int, default=3)
    asked = asked.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="minicuber-bench-"))
    try:
        path = folder / "cube.nc"
        cube().to_netcdf(path, engine="h5netcdf")
        ours(path, folder / "warm", "npz-sharded")  # imports
        print(
            f"\nsamples of {N_IMAGES} variables over time and {N_STATIC} without, {CONTEXT} + {TARGET} steps"
        )
        found: dict[str, list[float]] = {"loop": [], "npz": [], "npz-sharded": []}
        for run in range(asked.runs):
            found["loop"].append(loop(path, folder / f"loop{run}", asked.loop))
            for form in ("npz", "npz-sharded"):
                seconds, n_samples = ours(path, folder / f"{form}{run}", form)
                found[form].append(seconds)
                shutil.rmtree(folder / f"{form}{run}")
        usual = float(np.median(found["loop"]))
        for name, seconds in found.items():
            median = float(np.median(seconds))
            print(
                f"  {name:12}{median * 1000:7.3f} ms a sample   {usual / median:6.1f} x as fast as the loop"
            )
        print(f"  {n_samples:,} samples; {asked.loop} of the loop; median of {asked.runs}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
