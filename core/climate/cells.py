"""Which cells of a climate store a cube needs, and how their values come onto the grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError, SourceError
from ..grid import Grid, transform_points

EARTH_RADIUS = 6371.0088  # km, mean radius (IUGG)
REACH = 2.5  # cells; a valid cell is looked for so far away, and no farther
LATITUDES = ("latitude", "lat")
LONGITUDES = ("longitude", "lon")


@dataclass(frozen=True)
class Axes:
    """Latitudes and longitudes (degrees) of a store as it has them, whatever their order and convention.

    Both empty where the store is a single place without these dimensions.
    """

    latitudes: np.ndarray
    longitudes: np.ndarray

    @property
    def cell(self) -> float:
        """Size of a cell in degrees of latitude; of a store with one row or one place that of ERA5."""
        return float(np.median(np.abs(np.diff(self.latitudes)))) if self.latitudes.size > 1 else 0.25


def great_circle(lon: float, lat: float, longitudes: np.ndarray, latitudes: np.ndarray) -> np.ndarray:
    """Distance in km on the sphere: haversine formula (Sinnott 1984)."""
    a, b = np.radians(lat), np.radians(latitudes)
    half = np.sin((b - a) / 2) ** 2
    half = half + np.cos(a) * np.cos(b) * np.sin(np.radians(np.asarray(longitudes) - lon) / 2) ** 2
    return 2 * EARTH_RADIUS * np.arcsin(np.minimum(np.sqrt(half), 1.0))


def nearest_cells(axes: Axes, lon: float, lat: float) -> list[tuple[int, int, float]]:
    """(row, column, km) of the cells within `REACH` of a place, the nearest first; ties go north, then west.

    Raises `InputError` when the store does not reach there.
    """
    if axes.latitudes.size == 0:
        return [(0, 0, 0.0)]
    reach = REACH * axes.cell
    east = (axes.longitudes - lon + 180.0) % 360.0 - 180.0
    # A degree of longitude is shorter towards the poles.
    wide = min(reach / max(np.cos(np.radians(lat)), 0.01), 180.0)
    rows = np.flatnonzero(np.abs(axes.latitudes - lat) <= reach)
    columns = np.flatnonzero(np.abs(east) <= wide)
    near = np.abs(axes.latitudes - lat).min(), np.abs(east).min()
    spacing = np.diff(np.sort(axes.longitudes))
    across = float(np.median(spacing)) if spacing.size else axes.cell
    if not rows.size or not columns.size or near[0] > 0.51 * axes.cell or near[1] > 0.51 * across:
        raise InputError(
            f"The climate store does not reach the cube's place ({lon:.3f} degrees east, {lat:.3f} north).",
            "Choose another ERA5_SOURCE.",
        )
    row, column = (each.ravel() for each in np.meshgrid(rows, columns, indexing="ij"))
    away = great_circle(lon, lat, axes.longitudes[column], axes.latitudes[row])
    order = np.lexsort((east[column], -axes.latitudes[row], np.round(away, 6)))
    return [(int(row[n]), int(column[n]), float(away[n])) for n in order if away[n] <= 111.2 * reach]


@dataclass(frozen=True)
class Block:
    """Cells around a grid for bilinear interpolation: rows from south to north, columns from west to east."""

    rows: np.ndarray
    columns: np.ndarray
    latitudes: np.ndarray
    longitudes: np.ndarray  # without a step, counted on from the first


def block_around(axes: Axes, grid: Grid) -> Block:
    """The cells that surround every pixel of a grid. Raises `InputError` when the store does not reach so far."""
    lon, lat = pixel_places(grid)
    middle = float(lon.flat[lon.size // 2])
    east = (axes.longitudes - middle + 180.0) % 360.0 - 180.0 + middle
    columns, rows = np.argsort(east, kind="stable"), np.argsort(axes.latitudes, kind="stable")
    picked = []
    for places, wanted, order in ((axes.latitudes, lat, rows), (east, lon, columns)):
        rising = places[order]
        first = np.searchsorted(rising, wanted.min(), side="right") - 1
        last = np.searchsorted(rising, wanted.max(), side="left")
        if first < 0 or last >= len(rising):
            raise InputError(
                "The climate store does not surround the cube, so its values cannot be interpolated.",
                "Choose ERA5_SPACE nearest, or another ERA5_SOURCE.",
            )
        picked.append(order[first : max(last, first + 1) + 1])
    if min(map(len, picked)) < 2:
        raise SourceError("The climate store has too few cells to interpolate between them.", lasting=True)
    return Block(picked[0], picked[1], axes.latitudes[picked[0]], east[picked[1]])


def pixel_places(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes and latitudes (y, x) of the pixel centres, degrees; continuous across the antimeridian."""
    x, y = np.meshgrid(grid.x, grid.y)
    lon, lat = transform_points(x.ravel(), y.ravel(), grid.crs, "EPSG:4326")
    lon, lat = np.asarray(lon).reshape(x.shape), np.asarray(lat).reshape(x.shape)
    middle = lon.flat[lon.size // 2]
    return (lon - middle + 180.0) % 360.0 - 180.0 + middle, lat


def interpolated(values: np.ndarray, block: Block, grid: Grid) -> np.ndarray:
    """Values (step, row, column) of a block's cells, bilinear in degrees at the pixel centres: (step, y, x) float32.

    NaN where one of the four cells around a pixel is NaN.
    """
    lon, lat = pixel_places(grid)
    low, up = _between(block.latitudes, lat)
    left, right = _between(block.longitudes, lon)
    out = np.empty((len(values), *lon.shape), np.float32)
    for number, field in enumerate(values):
        south = field[low, left] * (1 - right) + field[low, left + 1] * right
        north = field[low + 1, left] * (1 - right) + field[low + 1, left + 1] * right
        out[number] = south * (1 - up) + north * up
    return out


def _between(places: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The place below each value, and how far it is from there to the next one, 0 to 1."""
    below = np.clip(np.searchsorted(places, wanted, side="right") - 1, 0, len(places) - 2)
    return below, (wanted - places[below]) / (places[below + 1] - places[below])
