"""How a file lies on the grid: whether its pixels are copied or resampled, by which method, and which of them are
needed.

The rule is the contract's: same lattice: copied; coarser and nesting: nearest; coarser otherwise: bilinear; finer:
average; classes: nearest, mode when coarsening.
"""

from __future__ import annotations

import functools
import math
import warnings
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from .grid import Grid, outline, same_crs, transform_points

ON_LATTICE = 0.01  # of a pixel, over the whole grid: less is the rounding of somebody's metadata
FINER = 0.95  # a source pixel below this share of the grid's is averaged

# Who warps in threads: rasterio silences this warning about its own scratch arrays in a way that leaks between them.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)


class Sized(Protocol):
    """What is known of a file: pixels across and down, and of pixel to CRS the transform."""

    width: int
    height: int
    transform: rasterio.Affine


@dataclass(frozen=True)
class Placement:
    """How a source lies on the grid: `ratio`, the size of its pixels in grid pixels, and, where its edges are edges of
    the grid, that as a whole number (`factor`, else 0) and where the grid begins: `row` and `column` count grid
    pixels from the source's first edges."""

    ratio: float
    factor: int = 0
    row: int = 0
    column: int = 0

    @property
    def copied(self) -> bool:
        """Whether the lattices are equal."""
        return self.factor == 1

    @property
    def nests(self) -> bool:
        """Whether each grid pixel lies in one pixel of the source."""
        return self.factor >= 1


def placement(transform: rasterio.Affine, crs: str, grid: Grid) -> Placement:
    """Compare a file's lattice (its `transform` and CRS) with the grid's.

    `ratio`: size of a source pixel in grid pixels (below 1: the source is finer).
    """
    if not same_crs(crs, grid.crs):
        return Placement(_ratio_across(transform, crs, grid))
    kx, ky = transform.a / grid.resolution_x, -transform.e / grid.resolution_y
    if transform.b or transform.d or kx <= 0 or ky <= 0:
        return Placement(math.sqrt(abs(kx * ky)))
    column = (grid.left - transform.c) / grid.resolution_x
    row = (transform.f - grid.top) / grid.resolution_y
    # How far the lattices drift apart over the grid.
    drift = max(abs(kx - round(kx)) * grid.width, abs(ky - round(ky)) * grid.height)
    whole = drift < ON_LATTICE and round(kx) == round(ky) and round(kx) >= 1
    if whole and _integer(column) and _integer(row):
        return Placement(float(round(kx)), round(kx), round(row), round(column))
    return Placement(math.sqrt(kx * ky))


def _integer(value: float) -> bool:
    return abs(value - round(value)) < ON_LATTICE


def _ratio_across(transform: rasterio.Affine, crs: str, grid: Grid) -> float:
    """Size of a source pixel in grid pixels where the CRS differ: by the areas of both at the grid's centre, so
    that it does not depend on how the one is turned against the other."""
    return math.sqrt(abs(transform.determinant) / _pixel_area(crs, grid))


@functools.lru_cache(maxsize=64)
def _pixel_area(crs: str, grid: Grid) -> float:
    """The area of the grid's middle pixel in a CRS, whose transformer takes 40 ms to make."""
    west, south, east, north = grid.bounds
    x, y = (west + east) / 2, (south + north) / 2
    (x0, x1, x2), (y0, y1, y2) = transform_points(
        [x, x + grid.resolution_x, x], [y, y, y + grid.resolution_y], grid.crs, crs
    )
    return abs((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0))


def resampling_for(place: Placement, classes: bool, choice: str | None = None) -> Resampling:
    """The method of the contract's default rule, or the user's `choice` (a name of GDAL's methods)."""
    if choice:
        return Resampling[choice]
    if place.ratio < FINER:
        return Resampling.mode if classes else Resampling.average
    return Resampling.nearest if classes or place.nests else Resampling.bilinear


def overlap(source: Sized, place: Placement, grid: Grid) -> tuple[slice, slice, Window | None]:
    """The part of the grid that a file covers in which the grid nests, and the window of the file that holds it."""
    rows, first, height = _along(place.row, grid.height, source.height, place.factor)
    columns, left, width = _along(place.column, grid.width, source.width, place.factor)
    return rows, columns, Window(left, first, width, height) if width and height else None


def _along(start: int, size: int, source: int, factor: int) -> tuple[slice, int, int]:
    """Along one axis: the pixels of the grid, the first pixel of the file, and how many of them."""
    first, stop = max(start, 0), min(start + size, source * factor)
    if stop <= first:
        return slice(0), 0, 0
    return slice(first - start, stop - start), first // factor, -(-stop // factor) - first // factor


def enlarged(pixels: np.ndarray, place: Placement, rows: slice, columns: slice) -> np.ndarray:
    """Pixels of the window of `overlap` as pixels of the grid, those of its `rows` and `columns`."""
    for axis, (start, part) in enumerate(((place.row, rows), (place.column, columns))):
        inside = (start + np.arange(part.start or 0, part.stop)) // place.factor
        pixels = pixels.take(inside - inside[0], axis) if place.factor > 1 else pixels
    return pixels


def window_below(source: Sized, crs: str, grid: Grid, ratio: float, method: Resampling) -> Window | None:
    """The window of a file that the grid needs, with a margin for the kernel of the resampling; None if it is
    elsewhere."""
    xs, ys = transform_points(*outline(grid.bounds), grid.crs, crs)
    to_pixels = ~source.transform
    columns = to_pixels.a * xs + to_pixels.b * ys + to_pixels.c
    rows = to_pixels.d * xs + to_pixels.e * ys + to_pixels.f
    margin = 2 if method == Resampling.nearest else 4 + math.ceil(2 / max(ratio, 0.01))
    left, right = (
        max(math.floor(columns.min()) - margin, 0),
        min(math.ceil(columns.max()) + margin, source.width),
    )
    top, bottom = max(math.floor(rows.min()) - margin, 0), min(math.ceil(rows.max()) + margin, source.height)
    if right <= left or bottom <= top:
        return None
    return Window(left, top, right - left, bottom - top)
