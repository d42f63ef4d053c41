"""Cubes to export, whose values tell where and when they are, and what others read of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from cubes import save
from minicuber.core.dataset.export import export_dataset
from minicuber.core.dataset.parameters import ExportParameters
from minicuber.core.progress import Progress
from pyproj import CRS

OF_THE_RUN = ("dataset.json", "index.html")
LEFT, TOP = 400_000.0, 5_200_000.0


def example(
    n_dates: int = 40,
    shape: tuple[int, int] = (6, 5),
    left: float = LEFT,
    top: float = TOP,
    crs: str = "EPSG:32632",
    start: str = "2019-01-05",
    step: int = 5,
    resolution: float = 20.0,
    seed: int = 1,
    missing: float = 0.2,
) -> xr.Dataset:
    """Two bands with gaps, a mask, classes, weather with and without pixels, maps, series and text."""
    rng = np.random.default_rng(seed)
    height, width = shape
    days = pd.date_range(start, periods=n_dates, freq=f"{step}D")
    ndvi = rng.uniform(0, 1, (n_dates, height, width)).astype("float32")
    red = rng.uniform(0, 0.4, ndvi.shape).astype("float32")
    gone = rng.random(ndvi.shape) < missing
    ndvi[gone] = np.nan
    red[gone] = np.nan
    cube = xr.Dataset(
        {
            "s2_B04": (("time", "y", "x"), red, {"units": "1", "long_name": "red"}),
            "s2_ndvi": (("time", "y", "x"), ndvi, {"units": "1"}),
            "s2_mask": (("time", "y", "x"), np.where(gone, 1, 0).astype("uint8")),
            "s2_SCL": (("time", "y", "x"), rng.integers(0, 12, ndvi.shape).astype("uint8")),
            "s2_avail": (("time",), np.ones(n_dates, "uint8")),
            "era5_t": (("time",), rng.normal(280, 5, n_dates).astype("float32"), {"units": "K"}),
            "era5_tp": (("time",), rng.gamma(1, 2, n_dates).astype("float32"), {"units": "m"}),
            "dem": (("y", "x"), rng.normal(500, 50, shape).astype("float32"), {"units": "m"}),
            "forest": (("y", "x"), rng.random(shape).astype("float32")),
            "esawc_lc": (("y", "x"), rng.choice([10, 30, 80], shape).astype("uint8")),
            "item": (("time",), np.array([f"é{n}" for n in range(n_dates)], dtype=object)),
        },
        {
            "time": days,
            "y": top - (np.arange(height) + 0.5) * resolution,
            "x": left + (np.arange(width) + 0.5) * resolution,
            "spatial_ref": ((), 0, CRS.from_user_input(crs).to_cf()),
        },
        {"title": "example", "license": "CC-BY-4.0"},
    )
    cube["y"].attrs["standard_name"] = "projection_y_coordinate"
    cube["x"].attrs["standard_name"] = "projection_x_coordinate"
    return cube


@pytest.fixture
def make(tmp_path) -> Callable[..., Path]:
    """`make(name, **how)`: a cube of `example` in a file."""

    def made(name: str = "site", folder: str = "cubes", change=None, **how) -> Path:
        cube = example(**how)
        cube = cube if change is None else change(cube)
        (tmp_path / folder).mkdir(exist_ok=True)
        return save(cube, tmp_path / folder / f"{name}.nc")

    return made


@pytest.fixture
def export(tmp_path) -> Callable[..., Path]:
    """`export(cubes, **parameters)`: the folder of the dataset."""

    def done(cubes, output: str = "dataset", **parameters) -> Path:
        paths = [cubes] if isinstance(cubes, (str, Path)) else cubes
        given = {"context": 6, "target": 3, **parameters}
        p = ExportParameters(cubes=tuple(map(str, paths)), output=str(tmp_path / output), **given)
        export_dataset(p, Progress())
        return tmp_path / output

    return done


@pytest.fixture(scope="session")
def samples_of() -> Callable[[Path], Iterator[tuple[str, dict[str, np.ndarray]]]]:
    """(split, arrays) of every sample of a dataset in the format npz or npz-sharded, without pickle."""
    return _samples_of


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, bytes]]:
    """The bytes of all files of a dataset by name, but for those that tell the time of the run and its OUTPUT."""
    return _contents


def _samples_of(folder: Path) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    for split in ("train", "val", "test"):
        for path in sorted((folder / split).glob("*.npz")):
            with np.load(path, allow_pickle=False) as stored:
                arrays = {key: stored[key] for key in stored.files}
            if not path.name.startswith("shard-"):
                yield split, arrays
                continue
            for row in range(len(arrays["sample_id"])):
                yield split, {k: v if k.endswith("_variables") else v[row] for k, v in arrays.items()}


def _contents(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "dataset.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
