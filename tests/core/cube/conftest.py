"""A cube with all kinds of variables, written in either format, and GDAL's view of its layers."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from minicuber.core.cube.encoding import ATMOSPHERE, CLASSES, REFLECTANCE, Encoding, Variable, flags
from minicuber.core.cube.part import part_output
from minicuber.core.cube.write import open_cube
from minicuber.core.grid import Grid
from minicuber.core.progress import Progress

GRID = Grid("EPSG:32632", 399_960.0, 5_200_020.0, 10.0, 10.0, 70, 66)
DAYS = [dt.date(2020, 1, 3) + dt.timedelta(5 * number) for number in range(35)]  # more than one chunk
NO_DATE = -(2**31)
BAND = {"standard_name": "surface_bidirectional_reflectance", "units": "1", "source": "Sentinel-2"}
VARIABLES = [
    *(Variable(f"s2_{n}", REFLECTANCE, {"long_name": f"band {n}", **BAND}) for n in ("B02", "B03", "B04")),
    Variable("s2_AOT", ATMOSPHERE, {"long_name": "aerosol optical thickness", "units": "1"}),
    Variable("s2_WVP", ATMOSPHERE, {"long_name": "water vapour", "units": "cm"}),
    Variable(
        "s2_SCL", CLASSES, {"long_name": "classes", "units": "1", **flags({0: "no_data", 4: "vegetation"})}
    ),
    Variable("s2_mask", CLASSES, {"long_name": "mask", "units": "1", **flags({0: "clear", 1: "cloud"})}),
    Variable("s2_ndvi", Encoding("float32", None, np.nan), {"long_name": "NDVI", "units": "1"}),
    Variable(
        "s2_image_date",
        Encoding("int32", None, NO_DATE),
        {"long_name": "date of the image", "units": "days since 1970-01-01", "calendar": "standard"},
    ),
]


def values_of(grid: Grid = GRID, days: list[dt.date] = DAYS) -> dict[str, np.ndarray]:
    """What is in the example, unpacked: no two pixels of a date alike in B02, and some missing."""
    shape = (len(days), *grid.shape)
    number = np.arange(np.prod(shape)).reshape(shape)
    reflectance = number % 32_000 / 10_000
    reflectance[1, :5, 3:9] = np.nan
    since = np.array([(day - dt.date(1970, 1, 1)).days for day in days])
    date = np.where(np.isnan(reflectance), NO_DATE, since[:, None, None])
    return {
        "s2_B02": reflectance,
        "s2_B03": reflectance / 2 - 0.1,
        "s2_B04": np.flip(reflectance, 2),
        "s2_AOT": reflectance / 3,
        "s2_WVP": reflectance * 1.5,
        "s2_SCL": (number % 2 * 4).astype(np.uint8),
        "s2_mask": (number % 3 == 0).astype(np.uint8),
        "s2_ndvi": np.where(np.isnan(reflectance), np.nan, np.cos(number)).astype(np.float32),
        "s2_image_date": date.astype(np.int32),
    }


def write_example(
    path: Path, variables=VARIABLES, grid: Grid = GRID, days: list[dt.date] = DAYS, progress=None
) -> Path:
    """Write the example at `path`, as NetCDF or Zarr by its ending."""
    values = values_of(grid, days)
    attributes = {"title": "An example", "history": "made by a test", "empty": "", "unknown": None}
    with part_output(path, progress or Progress()) as part:
        with open_cube(part.path, grid, days, variables, attributes) as cube:
            for start in range(0, len(days), 32):
                for variable in variables:
                    cube.write(variable.name, start, values[variable.name][start : start + 32])
            n = len(days)
            share = np.linspace(0, 1, n, dtype=np.float32)
            share[2] = np.nan
            cube.add("s2_clear_share", ("time",), share, long_name="share that is clear", units="1")
            cube.add("s2_avail", ("time",), np.ones(n, np.uint8), long_name="has a valid pixel", units="1")
            instants = np.array([(day - dt.date(1970, 1, 1)).days * 86400.0 + 36_000 for day in days])
            instants[1] = np.nan
            since = {"units": "seconds since 1970-01-01", "calendar": "standard"}
            cube.add("s2_time", ("time",), instants, long_name="instant of acquisition", **since)
            names = [f"item {'é' * number}" for number in range(n)]
            cube.add("s2_item_id", ("time",), names, long_name="items of the date")
            cube.add("s2_nothing", ("time",), [""] * n, long_name="empty text")
            bounds = 5 * np.arange(n)[:, None] + np.array([18_259, 18_264])
            cube.add("time_bnds", ("time", "nv"), bounds.astype(np.int32))
            cube.describe("time", bounds="time_bnds")
            cube.describe("s2_B02", resampling="nearest")
            cube.describe(None, comment="said late")
        part.make_durable()
        part.commit()
    return path


@pytest.fixture(scope="session")
def example(tmp_path_factory) -> dict[str, Path]:
    """The example in both formats, by ending; not to be changed."""
    folder = tmp_path_factory.mktemp("example")
    return {kind: write_example(folder / f"valley{kind}") for kind in (".nc", ".zarr")}


class Raster:
    """A raster as the GDAL of the system sees it, through its command line: other code than ours."""

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        ended = subprocess.run(["gdalinfo", "-json", self.path], capture_output=True, text=True, check=True)
        self.info = json.loads(ended.stdout)
        self.names = [band.get("description", "") for band in self.info["bands"]]

    def at(self, number: int, points: list[tuple[float, float]]) -> list[float]:
        """The values, unpacked, of a band at places in the raster's CRS."""
        command = ["gdallocationinfo", "-valonly", "-geoloc", "-b", str(number), self.path]
        text = "\n".join(f"{x!r} {y!r}" for x, y in points)
        ended = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
        assert "ERROR" not in ended.stderr, ended.stderr
        return [float(line) for line in ended.stdout.split("\n")[: len(points)]]


@pytest.fixture(scope="session")
def raster() -> type[Raster]:
    return Raster


@pytest.fixture(scope="session")
def make_example():
    return write_example
