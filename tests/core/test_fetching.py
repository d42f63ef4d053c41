"""Bands of a date: several files become one image, each with its own scale and offset."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import numpy as np
import rasterio
from minicuber.core.catalogs.access import Access
from minicuber.core.catalogs.items import Raster
from minicuber.core.catalogs.registry import load_registry
from minicuber.core.fetching import Fetcher, Losses
from minicuber.core.grid import Grid
from minicuber.core.sources.image_axis import ImageDate
from minicuber.core.sources.sentinel2 import BandFile

CRS = "EPSG:32632"


def test_first_valid_value_wins_and_a_hole_does_not_overwrite(tmp_path):
    first, second = np.full((4, 4), 1000, np.uint16), np.full((4, 4), 3000, np.uint16)
    first[:, 2:] = 0
    second[0] = 0
    scenes = []
    for name, values, offset in (("a", first, 0.0), ("b", second, -0.1)):
        path = tmp_path / f"{name}.tif"
        place = rasterio.Affine(10, 0, 400_000, 0, -10, 5_200_000)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=4,
            width=4,
            count=1,
            dtype="uint16",
            crs=CRS,
            transform=place,
            nodata=0,
        ) as file:
            file.write(values, 1)
        scenes.append(
            SimpleNamespace(
                id=name, files={"B02": BandFile(Raster(str(path), CRS, None, None, 0), 1e-4, offset, 0.0)}
            )
        )
    grid = Grid(CRS, 400_000.0, 5_200_000.0, 10.0, 10.0, 4, 4)
    fetcher = Fetcher(grid, Access(load_registry()), {}, lambda scene, band: None, must_have=True)
    losses, used = Losses(), set()
    out = fetcher.read(ImageDate(dt.date(2021, 6, 1), tuple(scenes)), "B02", losses, used)
    np.testing.assert_allclose(out[1:], [[0.1, 0.1, 0.2, 0.2]] * 3)
    np.testing.assert_array_equal(np.isnan(out[0]), [False, False, True, True])
    assert (losses.tried, losses.by_day, used) == (2, {}, {"none, the lattices are equal"})
