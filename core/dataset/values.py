"""The values of some units of a cube over its whole axis, from which windows are cut: read once, a block at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..cleaning.images import FILLED, bands_of_driver, classes_of, grown, mask_in, ndvi_of
from ..cleaning.options import CleaningOptions
from ..cube.write import CHUNKS
from .cubes import CubeData
from .layout import Layout
from .parameters import ExportParameters

VALUES_AT_ONCE = 1 << 24  # of a block, all variables and dates together: 64 MB of float32
TILE = CHUNKS["y"]  # pixels to a side that are read together, as chunks lie


@dataclass(frozen=True)
class Values:
    """The values of a block of units. `images` (unit, variable, time[, y, x]) float32; `filled` the same shape, bool,
    or None where nothing is; `weather` (unit, variable, time[, y, x]); `static` (unit, variable[, y, x]); `mask`
    (unit, time[, y, x]) the classes of s2_mask, None without them; `driver` likewise, float32: a variable that
    decides on outliers and is none of the images."""

    images: np.ndarray
    filled: np.ndarray | None
    weather: np.ndarray
    static: np.ndarray
    mask: np.ndarray | None = None
    driver: np.ndarray | None = None


def unit_blocks(
    cube: CubeData, layout: Layout, rows: np.ndarray, columns: np.ndarray, size: int
) -> list[np.ndarray]:
    """The units in blocks that are read together, as numbers: each within a tile, in the order of rows and columns.

    `rows`, `columns`: (unit,); `size`: pixels to a side, 1 of pixels. A patch is never cut.
    """
    n_dates = len(cube.days)
    n_values = n_dates * (len(layout.images) + len(layout.weather)) + len(layout.static)
    most = max(1, VALUES_AT_ONCE // max(1, n_values * size * size))
    # A tile is read whole, a variable at a time: as wide as may be, then as high.
    height, width = cube.grid.shape
    wide = min(width, max(TILE, VALUES_AT_ONCE // (n_dates * TILE) // TILE * TILE))
    high = min(height, max(TILE, VALUES_AT_ONCE // (n_dates * wide) // TILE * TILE))
    tile = rows // high * (width // wide + 1) + columns // wide
    order = np.lexsort((columns, rows, tile))
    tiles = np.split(order, np.flatnonzero(np.diff(tile[order])) + 1)
    return [units[first : first + most] for units in tiles for first in range(0, len(units), most)]


def read_values(
    cube: CubeData,
    layout: Layout,
    parameters: ExportParameters,
    rows: np.ndarray,
    columns: np.ndarray,
    cleaning: CleaningOptions | None = None,
) -> Values:
    """The values of units. `cleaning`: what it needs besides is read too: the mask, and the driver."""
    reader = _Reader(cube, rows, columns, parameters.patch_size if parameters.unit == "patch" else 0)
    images = reader.stacked(layout.images, len(cube.days), True)
    filled = None
    if parameters.smoothing == "whole" and FILLED in cube.cube.variables:
        once = reader.read(FILLED)
        filled = np.zeros(images.shape, bool)
        for number, name in enumerate(layout.images):
            if name.startswith("s2_") and name not in cube.kinds.classes:
                filled[:, number] = np.broadcast_to(once != 0, filled[:, number].shape)
    weather = reader.stacked(layout.weather, len(cube.days), layout.weather_maps)
    static = reader.stacked(layout.static, None, True)
    if cleaning is None:
        return Values(images, filled, weather, static)
    name = mask_in(cube.kinds.images)
    mask = reader.mask(name, cleaning) if name else None
    bands = bands_of_driver(cleaning.driver, cube.kinds.images, cube.path.name)
    if bands:
        driver = ndvi_of(*(reader.read(band) for band in bands))
    else:
        driver = None if cleaning.driver in layout.images else reader.read(cleaning.driver)
    return Values(images, filled, weather, static, mask, driver)


class _Reader:
    """Takes the same units from one variable after the other."""

    def __init__(self, cube: CubeData, rows: np.ndarray, columns: np.ndarray, size: int) -> None:
        self._cube, self._size, self._n = cube, size, len(rows)
        extent = max(size, 1)
        self._rows = slice(int(rows.min()), int(rows.max()) + extent)
        self._columns = slice(int(columns.min()), int(columns.max()) + extent)
        self._row, self._column = rows - self._rows.start, columns - self._columns.start

    def read(self, name: str) -> np.ndarray:
        """(unit, time[, y, x]), (unit[, y, x]) or, of a series without pixels, (1, time[, 1, 1]); float32."""
        values = self._cube.variable(name, slice(None), self._rows, self._columns)
        if "y" not in self._cube.cube.variables[name].dims:
            return values.reshape(1, -1, 1, 1) if self._size else values.reshape(1, -1)
        return self._of_units(values)

    def mask(self, name: str, cleaning: CleaningOptions) -> np.ndarray:
        """The classes of s2_mask (unit, time[, y, x]) of a variable; clouds and shadows reach farther, also those that
        lie outside the units."""
        grow = cleaning.dilate
        height, width = self._cube.grid.shape
        rows = slice(max(self._rows.start - grow, 0), min(self._rows.stop + grow, height))
        columns = slice(max(self._columns.start - grow, 0), min(self._columns.stop + grow, width))
        values = self._cube.variable(name, slice(None), rows, columns)
        classes = grown(classes_of(values, name), grow, cleaning.drop)
        top, left = self._rows.start - rows.start, self._columns.start - columns.start
        height, width = self._rows.stop - self._rows.start, self._columns.stop - self._columns.start
        return self._of_units(classes[:, top : top + height, left : left + width])

    def _of_units(self, values: np.ndarray) -> np.ndarray:
        """(unit, ..[, y, x]) of values (.., y, x)."""
        if not self._size:
            return np.moveaxis(values[..., self._row, self._column], -1, 0)
        windows = np.lib.stride_tricks.sliding_window_view(values, (self._size, self._size), axis=(-2, -1))
        taken = windows[..., self._row, self._column, :, :]
        return np.moveaxis(taken, -3, 0)

    def stacked(self, names: tuple[str, ...], n_times: int | None, maps: bool) -> np.ndarray:
        """The variables one after the other, the second axis."""
        time = () if n_times is None else (n_times,)
        pixels = (self._size, self._size) if self._size and maps else ()
        out = np.empty((self._n, len(names), *time, *pixels), np.float32)
        for number, name in enumerate(names):
            values = self.read(name)
            if self._size and not maps:
                values = values[..., 0, 0]
            out[:, number] = values
        return out
