"""How many bytes of a climate store are read, and how fast, beside plain xarray.

    python tests/bench/climate.py [--latency 30] [--runs 3]

One point, one year, eight variables, from two stores behind latency: chunks of (33792 h, 4, 8) as analysis-ready
stores have them, and a Zarr store per month and variable as on AWS. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr
from server import Server

HERE = Path(__file__).resolve()
ROOT = HERE.parents[2]
YEAR = 2021
LON, LAT = 7.8, 47.0
NAMES = ("t", "dp", "tp", "sr", "sp", "ap", "east_wind_10", "north_wind_10")
SHORT = ("t2m", "d2m", "tp", "ssrd", "sp", "msl", "u10", "v10")
HOURS, MONTH_CHUNK = 33792, (372, 16, 16)


def make_point_store(path: Path) -> None:
    """Four years of hours, 12 x 16 cells, in chunks of (33792, 4, 8)."""
    times = np.datetime64("2019-01-01T00", "ns") + np.arange(HOURS) * np.timedelta64(1, "h")
    rng = np.random.default_rng(1)
    lat, lon = 48.25 - 0.25 * np.arange(12), 6.0 + 0.25 * np.arange(16)
    fields = {
        name: (
            ("time", "latitude", "longitude"),
            np.round(rng.normal(280, 5, (HOURS, 12, 16)), 2).astype("f4"),
        )
        for name in SHORT
    }
    store = xr.Dataset(fields, {"time": times, "latitude": lat, "longitude": lon})
    store.to_zarr(
        path, zarr_format=2, consolidated=True, encoding={name: {"chunks": (HOURS, 4, 8)} for name in SHORT}
    )


def make_monthly_store(folder: Path, variables: dict[str, str]) -> None:
    """A Zarr store for each month and variable, 48 x 48 cells."""
    rng = np.random.default_rng(2)
    lat, lon = 53.0 - 0.25 * np.arange(48), 2.0 + 0.25 * np.arange(48)
    for month in np.arange(f"{YEAR}-01", f"{YEAR + 1}-02", dtype="datetime64[M]"):
        times = np.arange(month.astype("datetime64[h]"), (month + 1).astype("datetime64[h]")).astype(
            "datetime64[ns]"
        )
        values = np.round(rng.normal(280, 5, (len(times), 48, 48)), 2).astype("f4")
        for name in variables.values():
            part = xr.Dataset(
                {name: (("time0", "lat", "lon"), values)}, {"time0": times, "lat": lat, "lon": lon}
            )
            place = folder / str(month)[:4] / str(month)[5:] / f"{name}.zarr"
            part.to_zarr(place, zarr_format=2, consolidated=True, encoding={name: {"chunks": MONTH_CHUNK}})


def ours(job: dict) -> None:
    """What the plugin does: look, then read the series."""
    import importlib.util

    spec = importlib.util.spec_from_file_location(
        "minicuber", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    sys.modules["minicuber"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["minicuber"])
    from minicuber.core.catalogs.http import Credentials
    from minicuber.core.catalogs.registry import load_registry
    from minicuber.core.climate.weather import Climate
    from minicuber.core.grid import Grid
    from minicuber.core.partstore import open_store
    from minicuber.core.progress import Progress
    from minicuber.core.recipe import Recipe

    choice = [(name, "mean") for name in NAMES]
    recipe = Recipe(
        (7.79, 7.81, 46.99, 47.01), "EPSG:4326", f"{YEAR}-01-01", f"{YEAR}-12-31", "x", era5_source=job["source"],
        era5_variables=choice, step_days=5,
    )  # fmt: skip
    grid = Grid("EPSG:32632", 408_000.0, 5_207_000.0, 10.0, 10.0, 128, 128)
    days = [dt.date(YEAR, 1, 5) + dt.timedelta(days=5 * n) for n in range(73)]
    registry = load_registry(job["registry"])

    def run() -> None:
        climate = Climate(recipe, registry, Credentials(), grid, days, None)
        climate.look(Progress())
        with open_store(Path(job["folder"]) / "parts", "x", Progress()) as parts:
            climate.read(parts, Progress())
            parts.complete()
        climate.close()

    _timed(run)


def plain(job: dict) -> None:
    """xarray as its manual has it: open, select the nearest cell and the year, load."""
    import fsspec  # noqa: F401
    import zarr  # noqa: F401

    def run() -> None:
        if "{" not in job["url"]:
            store = xr.open_zarr(job["url"], consolidated=True, chunks=None)
            point = store[list(SHORT)].sel(latitude=LAT, longitude=LON, method="nearest")
            point.sel(time=str(YEAR)).load()
            return
        for name in job["names"]:
            for month in range(1, 13):
                url = job["url"].format(year=YEAR, month=f"{month:02d}", variable=name)
                xr.open_zarr(url, consolidated=True, chunks=None)[name].sel(
                    lat=LAT, lon=LON, method="nearest"
                ).load()

    _timed(run)


def _timed(run) -> None:
    import time

    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    run()
    print(json.dumps(time.perf_counter() - start), flush=True)


def once(name: str, job: dict, server: Server) -> tuple[float, int, int]:
    """(seconds, requests, bytes) of one run in a process of its own."""
    program = [sys.executable, "-B", str(HERE), "--as", name]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as child:
        print(json.dumps(job), file=child.stdin)
        child.stdout.readline()
        before = server.counts()
        print("go", file=child.stdin)
        seconds = json.loads(child.stdout.readline())
        counts = server.counts() - before
    return seconds, counts.requests, counts.sent


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--latency", type=float, default=30.0, help="ms per request")
    asked.add_argument("--runs", type=int, default=3)
    asked.add_argument("--as", dest="contestant")
    asked = asked.parse_args()
    if asked.contestant:
        return {"ours": ours, "plain": plain}[asked.contestant](json.loads(sys.stdin.readline()))
    folder = Path(tempfile.mkdtemp(prefix="minicuber-bench-"))
    try:
        entries = json.loads((ROOT / "core/catalogs/registry.json").read_text())["climate"]
        monthly = next(entry for entry in entries if entry["id"] == "era5-pds")["variables"]
        monthly = {name: monthly[name] for name in NAMES}
        make_point_store(folder / "point.zarr")
        make_monthly_store(folder / "monthly", monthly)
        with contextlib.closing(Server(folder, asked.latency / 1000)) as server:
            template = f"{server.url}/monthly/{{year}}/{{month}}/{{variable}}.zarr"
            (folder / "registry.json").write_text(
                json.dumps(
                    {
                        "climate": [
                            {"id": "monthly", "title": "Monthly", "url": template, "variables": monthly}
                        ]
                    }
                )
            )
            shared = {"folder": str(folder), "registry": str(folder / "registry.json")}
            url = f"{server.url}/point.zarr"
            report("chunks of (33792, 4, 8)", {**shared, "source": url, "url": url}, server, asked.runs)
            job = {**shared, "source": "monthly", "url": template, "names": list(monthly.values())}
            report("a store per month and variable", job, server, asked.runs)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return None


def report(title: str, job: dict, server: Server, runs: int) -> None:
    needed = len(NAMES) * 8760 * 4
    print(f"\n{title}: one point, one year, {len(NAMES)} variables; {needed / 1e6:.2f} MB of values needed")
    results = {name: [once(name, job, server) for _ in range(runs)] for name in ("ours", "plain")}
    seconds = {name: statistics.median(each[0] for each in found) for name, found in results.items()}
    for name, found in results.items():
        _, requests, sent = found[-1]
        print(
            f"  {name:6}{seconds[name]:7.2f} s   {requests:5d} requests   {sent / 1e6:7.2f} MB read "
            f"({sent / needed:.1f} x the values)"
        )
    print(f"  plain xarray takes {seconds['plain'] / seconds['ours']:.1f} times as long")


if __name__ == "__main__":
    main()
