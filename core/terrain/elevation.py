"""Elevation on any lattice, from the file of a digital elevation model or from a variable of a cube.

Averages where the model is finer than the lattice, cubic convolution where it is not, as it is where it lies on the
lattice. Missing elevations are never mixed in, and nothing is made up beyond the model's edge.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import rasterio
from pyproj import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.warp import reproject
from rasterio.windows import Window

from ..errors import InputError
from ..grid import Grid, outline, same_crs, short_crs, transform_points
from ..placement import FINER, placement
from ..rasters import pixels

log = logging.getLogger(__name__)

KNOWN = (
    0.95  # of the model below a pixel: with less the pixel is missing, its average being one of another place
)
AT_ONCE = 2048  # pixels of the model to a side, and of the lattice
METRES = ("m", "metre", "meter", "metres", "meters")


@dataclass(frozen=True)
class Model:
    """An elevation model. `read(window)`: its elevations (m, NaN missing) there, float64 (y, x). `crs`: of its plane,
    a height system left out. `transform`: of pixel to `crs`."""

    name: str
    crs: str
    transform: Affine
    width: int
    height: int
    read: Callable[[Window], np.ndarray]

    def pixel_on(self, grid: Grid) -> float:
        """The longer side of its pixels (CRS units of the grid) at the grid's centre."""
        west, south, east, north = grid.bounds
        xs, ys = transform_points([(west + east) / 2], [(south + north) / 2], grid.crs, self.crs)
        column, row = ~self.transform @ (xs[0], ys[0])
        corners = [self.transform @ (column + i, row + j) for i, j in ((0, 0), (1, 0), (0, 1))]
        x, y = transform_points(*zip(*corners, strict=True), self.crs, grid.crs)
        return max(math.hypot(x[1] - x[0], y[1] - y[0]), math.hypot(x[2] - x[0], y[2] - y[0]))

    def lattice_in(self, crs: str) -> bool:
        """Whether its own pixels are squares, north up, in this CRS."""
        t = self.transform
        square = not t.b and not t.d and t.a > 0 > t.e and abs(t.a + t.e) < 1e-6 * t.a
        return square and same_crs(self.crs, crs)


def model_of_file(
    dataset: rasterio.DatasetReader, name: str, crs: str = "", missing: Sequence[Sequence[float]] = ()
) -> Model:
    """The first band of a raster that is open, in the file's own CRS if `crs` is empty. `missing`: (lowest, highest) of
    numbers that are no elevations, besides the file's own. Raises `InputError` where it has no CRS.
    """
    if not crs and not dataset.crs:
        raise InputError(f"DEM has no CRS: {name}.", "Set it in the file.")
    scale, offset, units = dataset.scales[0], dataset.offsets[0], dataset.units[0]
    if units and units.lower() not in METRES:
        log.warning("The elevations of %s are taken for metres; the file says %s.", name, units)

    def read(window: Window) -> np.ndarray:
        try:
            return pixels(dataset, 1, window, missing) * scale + offset
        except RasterioError as error:
            raise InputError(f"DEM cannot be read: {name}.", "Give a raster file.") from error

    flat = flat_crs(crs or dataset.crs.to_wkt())
    return Model(name, flat, dataset.transform, dataset.width, dataset.height, read)


def model_of_array(values: np.ndarray, grid: Grid, name: str) -> Model:
    """A variable (y, x) of a cube."""

    def read(window: Window) -> np.ndarray:
        return values[window.row_off :, window.col_off :][: window.height, : window.width].astype("float64")

    return Model(name, flat_crs(grid.crs), grid.geobox.transform, grid.width, grid.height, read)


def flat_crs(text: str) -> str:
    """A CRS without its heights, which GDAL would take for others."""
    crs = CRS.from_user_input(text)
    return short_crs(crs.sub_crs_list[0] if crs.is_compound else crs.to_2d())


def elevation_on(model: Model, grid: Grid) -> tuple[np.ndarray, str]:
    """(elevation on the grid, float64 (y, x) with NaN; how it was brought there, in a word).

    An average needs 95 % of the elevations below its pixel, cubic convolution those around the pixel's centre.
    """
    place = placement(model.transform, model.crs, grid)
    if place.copied:
        return _by_tiles(model, grid, Resampling.nearest, 1.0)[0], "unchanged"
    ratio = model.pixel_on(grid) / grid.resolution_x
    if ratio >= FINER:
        values, known = _by_tiles(model, grid, Resampling.cubic, ratio)
        return np.where(known >= KNOWN, values, np.nan), "cubic"
    # A pixel that holds more of the model than is read at once is made of parts.
    parts = math.ceil(1 / ratio / AT_ONCE)
    fine = Grid(
        grid.crs,
        grid.left,
        grid.top,
        grid.resolution_x / parts,
        grid.resolution_y / parts,
        grid.width * parts,
        grid.height * parts,
    )
    values, known = _by_tiles(model, fine, Resampling.average, ratio * parts)
    if parts > 1:
        shape = (grid.height, parts, grid.width, parts)
        weights = known.reshape(shape).sum(axis=(1, 3))
        sums = np.where(known > 0, values * known, 0.0).reshape(shape).sum(axis=(1, 3))
        values, known = sums / np.where(weights, weights, np.nan), weights / parts**2
    return np.where(known >= KNOWN, values, np.nan), "average"


def _by_tiles(model: Model, grid: Grid, method: Resampling, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """(values, share of the model's pixels of each that are known), a bounded number of pixels at once."""
    values, known = np.full(grid.shape, np.nan), np.zeros(grid.shape)
    step = max(1, int(AT_ONCE * min(ratio, 1.0)))
    for top in range(0, grid.height, step):
        for left in range(0, grid.width, step):
            rows = slice(top, min(top + step, grid.height))
            columns = slice(left, min(left + step, grid.width))
            tile = Grid(
                grid.crs,
                grid.left + left * grid.resolution_x,
                grid.top - top * grid.resolution_y,
                grid.resolution_x,
                grid.resolution_y,
                columns.stop - left,
                rows.stop - top,
            )
            values[rows, columns], known[rows, columns] = _tile(model, tile, method)
    return values, known


def _tile(model: Model, tile: Grid, method: Resampling) -> tuple[np.ndarray, np.ndarray]:
    out, share = np.full(tile.shape, np.nan), np.zeros(tile.shape)
    found = _pixels_below(model, tile)
    if found is None:
        return out, share
    pixels, transform = found
    there = np.isfinite(pixels)
    if not there.any():
        return out, share
    options = {
        "src_crs": model.crs, "src_transform": transform, "dst_crs": tile.crs,
        "dst_transform": tile.geobox.transform, "tolerance": 0.0,
    }  # fmt: skip
    reproject(pixels, out, src_nodata=np.nan, dst_nodata=np.nan, resampling=method, **options)
    if method != Resampling.nearest:
        kernel = Resampling.average if method == Resampling.average else Resampling.bilinear
        reproject(there.astype("float64"), share, resampling=kernel, **options)
    return out, share


def _pixels_below(model: Model, tile: Grid) -> tuple[np.ndarray, Affine] | None:
    """The model's pixels below a tile with a margin, NaN where the model has ended, and their transform; None where
    it is elsewhere."""
    xs, ys = transform_points(*outline(tile.bounds), tile.crs, model.crs)
    inverse = ~model.transform
    columns, rows = (
        inverse.a * xs + inverse.b * ys + inverse.c,
        inverse.d * xs + inverse.e * ys + inverse.f,
    )
    margin = 5  # more than any kernel reaches where the model is not finer
    left, right = math.floor(columns.min()) - margin, math.ceil(columns.max()) + margin
    top, bottom = math.floor(rows.min()) - margin, math.ceil(rows.max()) + margin
    inner_left, inner_right = max(left, 0), min(right, model.width)
    inner_top, inner_bottom = max(top, 0), min(bottom, model.height)
    if inner_left >= inner_right or inner_top >= inner_bottom:
        return None
    inner = model.read(Window(inner_left, inner_top, inner_right - inner_left, inner_bottom - inner_top))
    pixels = np.pad(
        inner,
        ((inner_top - top, bottom - inner_bottom), (inner_left - left, right - inner_right)),
        constant_values=np.nan,
    )
    return pixels, model.transform @ Affine.translation(left, top)


def bring_to(values: np.ndarray, lattice: Grid, grid: Grid) -> tuple[np.ndarray, str]:
    """(values of a lattice at the centres of a grid's pixels in the same CRS, how): bilinear, or as they are where the
    lattices are one. A value needs all those that it is made of; beyond the lattice there is none."""
    x = (grid.x - lattice.left) / lattice.resolution_x - 0.5
    y = (lattice.top - grid.y) / lattice.resolution_y - 0.5
    same = math.isclose(lattice.resolution_x, grid.resolution_x) and math.isclose(
        lattice.resolution_y, grid.resolution_y
    )
    if same and abs(x[0] - round(x[0])) < 1e-3 and abs(y[0] - round(y[0])) < 1e-3:
        x, y = np.rint(x), np.rint(y)
    result = _along(_along(values, y, 0), x, 1)
    return result, "unchanged" if np.array_equal(x, np.rint(x)) and np.array_equal(
        y, np.rint(y)
    ) else "bilinear"


def _along(values: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    """Linear interpolation at fractional indices along an axis."""
    size = values.shape[axis]
    first = np.floor(places + 1e-9).astype(int)
    weight = np.maximum(places - first, 0.0)
    weight = np.where(weight < 1e-9, 0.0, weight)
    shape = (-1, 1) if axis == 0 else (1, -1)
    lower = values.take(np.clip(first, 0, size - 1), axis)
    upper = values.take(np.clip(first + 1, 0, size - 1), axis)
    w = weight.reshape(shape)
    mixed = np.where(w > 0, lower * (1 - w) + upper * w, lower)  # NaN times 0 would be NaN
    outside = (first < 0) | (first + (weight > 0) > size - 1)
    return np.where(outside.reshape(shape), np.nan, mixed)
