"""How far the labels of cubes of earthnet-minicuber lie from their pixels.

That program transforms the pairs (longitude i, latitude i) of the edges of its box alone, and takes x from the one and
y from the other: a pixel is sampled where the diagonal leads, not where its label says.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..grid import transform_points, utm_crs
from .read import ORIGINAL_NAME


def displacement(cube: xr.Dataset) -> float | None:
    """The largest distance (m) between label and pixel of a normalised cube; None for a cube of another kind.

    Known by its dimensions `lon` and `lat` without a grid mapping of their own.
    """
    named = [str(cube[axis].attrs.get(ORIGINAL_NAME, "")) for axis in ("x", "y")]
    if named != ["lon", "lat"] or cube.sizes["x"] < 2 or cube.sizes["y"] < 2:
        return None
    lon, lat = np.asarray(cube["x"].values, float), np.asarray(cube["y"].values[::-1], float)
    zone = utm_crs(float(lon.mean()), float(lat.mean()))
    # The pairs of the diagonal; of a box that is not square those of as many steps along both.
    share = np.linspace(0, 1, max(lon.size, lat.size))
    x, y = transform_points(
        np.interp(share, np.linspace(0, 1, lon.size), lon), np.interp(share, np.linspace(0, 1, lat.size), lat),
        "EPSG:4326", zone,
    )  # fmt: skip
    x = np.interp(np.linspace(0, 1, lon.size), share, x)
    y = np.interp(np.linspace(0, 1, lat.size), share, y)
    longitudes, latitudes = np.meshgrid(lon, lat)
    there = transform_points(longitudes.ravel(), latitudes.ravel(), "EPSG:4326", zone)
    east, north = (np.asarray(each).reshape(longitudes.shape) for each in there)
    return float(np.hypot(east - x[None, :], north - y[:, None]).max())
