"""How fast layers are attached, beside GDAL's warper called once per raster, and with how much memory.

    python tests/bench/attach.py [--runs 5] [--qgis-python /usr/bin/python3]

60 rasters of six resolutions and four CRS onto 128 x 128 pixels. Ours is the whole job: reading the cube, warping,
writing the new cube and its layers, the same some 0.4 s whatever the rasters are. The others warp each file to a
GeoTIFF, in one process. Once with rasters as they are published, wide and in blocks of 512 pixels (the default of
Cloud-Optimised GeoTIFFs), once with small ones. Then the memory for rasters that are small, large, and very fine. Says
PASS or FAIL, and ends with 0 either way.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.util
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SIZE, COUNT, PIXEL = 128, 60, 10.0
LEFT, TOP, CRS = 404_880.0, 5_201_320.0, "EPSG:32632"
PLACES = ("EPSG:32632", "EPSG:2056", "EPSG:4326", "EPSG:3035")
PIXELS = (2.0, 5.0, 10.0, 20.0, 30.0, 100.0)  # m
LIMIT = 2.0  # times GDAL
GROWTH = 100  # 10^6 bytes that a large or fine raster may need beyond a small one: GDAL's cache of blocks


def package() -> None:
    """The checkout as `minicuber`."""
    spec = importlib.util.spec_from_file_location(
        "minicuber", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    sys.modules["minicuber"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["minicuber"])


def make_cube(path: Path) -> None:
    """A cube of 20 dates with two bands: what is there has to be copied."""
    import numpy as np
    from minicuber.core.cube.encoding import REFLECTANCE, Variable
    from minicuber.core.cube.write import open_cube
    from minicuber.core.grid import Grid

    grid = Grid(CRS, LEFT, TOP, PIXEL, PIXEL, SIZE, SIZE)
    days = [dt.date(2021, 6, 1) + dt.timedelta(days=5 * number) for number in range(20)]
    bands = [Variable(name, REFLECTANCE, {"units": "1"}) for name in ("s2_B04", "s2_B08")]
    rng = np.random.default_rng(0)
    with open_cube(path, grid, days, bands, {"title": "bench"}) as writer:
        for band in bands:
            writer.write(band.name, 0, rng.uniform(0, 0.5, (20, SIZE, SIZE)).astype("float32"))


def make_raster(
    path: Path, crs: str, pixel: float, pixels: int, sparse: bool = False, block: int = 256
) -> None:
    """A raster in blocks around the cube's centre; with `sparse` only its middle has values."""
    import numpy as np
    import rasterio
    from pyproj import Transformer
    from rasterio.windows import Window

    x, y = Transformer.from_crs(CRS, crs, always_xy=True).transform(LEFT + 640, TOP - 640)
    step = pixel / 100_000 if crs == "EPSG:4326" else pixel
    place = rasterio.Affine(step, 0, x - step * pixels / 2, 0, -step, y + step * pixels / 2)
    with rasterio.open(
        path, "w", driver="GTiff", height=pixels, width=pixels, count=1, dtype="float32", crs=crs, transform=place,
        nodata=-9999, tiled=True, blockxsize=block, blockysize=block, compress="deflate", SPARSE_OK=True, BIGTIFF="YES",
    ) as file:  # fmt: skip
        rng = np.random.default_rng(pixels)
        values = np.round(rng.normal(500, 50, (block, block)), 1).astype("float32")
        first = (pixels // 2 - 1024) // block * block if sparse else 0
        last = min(first + 2048 + block, pixels) if sparse else pixels
        for row in range(first, last, block):
            for column in range(first, last, block):
                height, width = min(block, pixels - row), min(block, pixels - column)
                file.write(values[:height, :width], 1, window=Window(column, row, width, height))


def ours(job: dict) -> None:
    """What the plugin's child does."""
    package()
    import minicuber.core.attach_layers  # noqa: F401  # the others have imported what they use, too
    from minicuber.core.jobs import run_job
    from minicuber.core.progress import Progress

    layers = [
        {
            "name": Path(path).stem,
            "title": Path(path).stem,
            "source": path,
            "path": path,
            **job.get("how", {}),
        }
        for path in job["rasters"]
    ]
    order = {"cube": job["cube"], "layers": layers, "output": job["output"]}
    _timed(lambda: run_job("attachlayers", order, Progress()))


def rasterio_warp(job: dict) -> None:
    """`rasterio.warp.reproject` per file, written to a GeoTIFF."""
    import numpy as np
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.warp import reproject

    grid = rasterio.Affine(PIXEL, 0, LEFT, 0, -PIXEL, TOP)

    def run() -> None:
        for number, path in enumerate(job["rasters"]):
            out = np.full((SIZE, SIZE), np.nan, "float32")
            with rasterio.open(path) as file:
                reproject(
                    rasterio.band(file, 1), out, dst_transform=grid, dst_crs=CRS, dst_nodata=np.nan,
                    resampling=Resampling[job["methods"][number]],
                )  # fmt: skip
            with rasterio.open(
                f"{job['output']}_{number}.tif", "w", driver="GTiff", height=SIZE, width=SIZE, count=1, dtype="float32",
                crs=CRS, transform=grid, nodata=np.nan,
            ) as file:  # fmt: skip
                file.write(out, 1)

    _timed(run)


def gdal_warp(job: dict) -> None:
    """`gdal.Warp` per file, as gdalwarp does it."""
    from osgeo import gdal

    gdal.UseExceptions()

    def run() -> None:
        for number, path in enumerate(job["rasters"]):
            gdal.Warp(
                f"{job['output']}_{number}.tif", path, dstSRS=CRS, xRes=PIXEL, yRes=PIXEL, dstNodata="nan",
                outputBounds=(LEFT, TOP - SIZE * PIXEL, LEFT + SIZE * PIXEL, TOP), overviewLevel=None,
                resampleAlg=job["methods"][number], outputType=gdal.GDT_Float32,
            )  # fmt: skip

    _timed(run)


def _timed(run) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    run()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps([seconds, before / 1000, most / 1000, cpu]), flush=True)


def once(python: str, name: str, job: dict) -> tuple[float, float, float, float]:
    """(seconds, MB after imports, most MB, seconds of CPU) of one run in a process of its own."""
    program = [python, "-B", str(Path(__file__).resolve()), "--as", name]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as child:
        print(json.dumps(job), file=child.stdin)
        child.stdout.readline()
        print("go", file=child.stdin)
        return tuple(json.loads(child.stdout.readline()))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--runs", type=int, default=5)
    asked.add_argument("--qgis-python", default="/usr/bin/python3", help="a Python that has osgeo")
    asked.add_argument("--as", dest="contestant")
    asked = asked.parse_args()
    if asked.contestant:
        job = json.loads(sys.stdin.readline())
        return {"ours": ours, "rasterio": rasterio_warp, "gdal": gdal_warp}[asked.contestant](job)
    package()
    folder = Path(tempfile.mkdtemp(prefix="minicuber-bench-"))
    try:
        make_cube(folder / "cube.nc")
        for published in (True, False):
            speed(folder, asked.runs, asked.qgis_python, published)
        memory(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return None


def speed(folder: Path, runs: int, qgis_python: str, published: bool) -> None:
    rasters, methods = [], []
    for number in range(COUNT):
        crs, pixel = PLACES[number % len(PLACES)], PIXELS[number % len(PIXELS)]
        path = folder / f"{'wide' if published else 'small'}{number}.tif"
        if published:
            make_raster(path, crs, pixel, 8192, sparse=True, block=512)
        else:
            make_raster(path, crs, pixel, max(64, round(3000 / pixel)))
        rasters.append(str(path))
        methods.append("average" if pixel < PIXEL else "bilinear")
    job = {"cube": str(folder / "cube.nc"), "rasters": rasters, "methods": methods}
    contestants = {"ours": sys.executable, "rasterio": sys.executable}
    has_osgeo = [qgis_python, "-c", "import osgeo.gdal"]
    if subprocess.run(has_osgeo, capture_output=True, check=False).returncode == 0:
        contestants["gdal"] = qgis_python
    found: dict[str, list] = {name: [] for name in contestants}
    for run in range(runs):  # in turn: what else the machine does falls on all of them
        for name, python in contestants.items():
            found[name].append(once(python, name, {**job, "output": str(folder / f"{name}{run}.nc")}))
    kind = "rasters as published" if published else "small rasters"
    print(f"\n{COUNT} {kind} onto {SIZE} x {SIZE} px, median of {runs} runs:")
    seconds = {name: statistics.median(each[0] for each in some) for name, some in found.items()}
    for name, each in seconds.items():
        text = "" if name == "ours" else f"   ours takes {seconds['ours'] / each:.2f} times as long"
        cpu = statistics.median(some[3] for some in found[name])
        print(f"  {name:10}{each:6.2f} s, {cpu:5.2f} s of CPU{text}")
    judge = seconds.get("gdal", seconds["rasterio"])
    print(f"at most {LIMIT:g} times GDAL: {'PASS' if seconds['ours'] <= LIMIT * judge else 'FAIL'}")


def memory(folder: Path) -> None:
    kinds = {
        "small: 500 x 500 px of 10 m": (10.0, 500, False),
        "large: 60000 x 60000 px of 10 m": (10.0, 60_000, True),
        "fine: 16000 x 16000 px of 0.1 m": (0.1, 16_000, False),
    }
    job = {"cube": str(folder / "cube.nc"), "output": str(folder / "memory.nc")}
    for how in ({}, {"missing": [[0, 0]]}):
        print(f"\nmost memory for one raster{' whose user set a number as missing' if how else ''}:")
        peaks = []
        for number, (name, (pixel, pixels, sparse)) in enumerate(kinds.items()):
            path = folder / f"m{number}.tif"
            if not path.exists():
                make_raster(path, "EPSG:2056", pixel, pixels, sparse)
            seconds, before, most, _ = once(
                sys.executable, "ours", {**job, "rasters": [str(path)], "how": how}
            )
            peaks.append(most)
            print(f"  {name:34}{most:6.0f} MB ({before:.0f} MB after imports), {seconds:.1f} s")
        verdict = "PASS" if max(peaks) - peaks[0] < GROWTH else "FAIL"
        print(f"  grows by less than {GROWTH} MB: {verdict}")


if __name__ == "__main__":
    main()
