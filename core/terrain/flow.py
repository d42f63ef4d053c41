"""The way of water over an elevation model: depressions filled, catchment area, topographic wetness index.

Arrays are (y, x), elevations and pixel sizes in metres. Water leaves where the model ends, at holes in it too. The
loops depend on each other, so they are compiled by numba, on first use (some seconds), and not kept on disk.
"""

from __future__ import annotations

import functools
from types import SimpleNamespace

import numpy as np

from .derivatives import gradient

EXPONENT = 1.1  # Freeman (1991): of the slope, by which water divides
LEAST_SLOPE = 0.001  # m per m: the index has no limit where the ground is level


def filled(z: np.ndarray) -> np.ndarray:
    """Elevation with every depression filled to its lowest outlet, and a little more with each pixel away from that,
    so that water has a way from everywhere: float64, by one step of that type a pixel.

    Priority-Flood+epsilon: Barnes, R., Lehman, C., Mulla, D. (2014): Priority-flood: An optimal depression-filling
    and watershed-labeling algorithm for digital elevation models. Computers & Geosciences 62, 117-127.
    """
    return _compiled().fill(np.ascontiguousarray(z, dtype=np.float64))


def catchment_area(surface: np.ndarray, dx: float, dy: float) -> tuple[np.ndarray, float]:
    """(area above and at each pixel, area that leaves the model), m2; `surface` as `filled` makes it.

    Water divides among all lower neighbours by slope to the power of 1.1: Freeman, T.G. (1991): Calculating catchment
    area with divergent flow based on a regular grid. Computers & Geosciences 17(3), 413-422.
    """
    surface = np.ascontiguousarray(surface, dtype=np.float64)
    known = np.isfinite(surface)
    order = np.argsort(-surface, axis=None, kind="stable")[: int(known.sum())]
    return _compiled().accumulate(surface, order, float(dx), float(dy), EXPONENT)


def wetness(z: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """Topographic wetness index ln(a / tan b): specific catchment area a (m2 per m of contour, that of a pixel's
    width), slope b after Horn of the filled model, at least 0.001.

    Beven, K.J., Kirkby, M.J. (1979): A physically based, variable contributing area model of basin hydrology.
    Hydrological Sciences Bulletin 24(1), 43-69. A pixel without all its neighbours has none.
    """
    surface = filled(z)
    area, _ = catchment_area(surface, dx, dy)
    steepness = np.maximum(np.hypot(*gradient(surface, dx, dy)), LEAST_SLOPE)
    return np.log(area / np.sqrt(dx * dy) / steepness)


@functools.lru_cache(maxsize=1)
def _compiled() -> SimpleNamespace:
    """The loops, compiled."""
    from numba import njit  # takes longer to import than most jobs need

    push, pop = njit(_push), njit(_pop)
    return SimpleNamespace(fill=njit(_filling(push, pop)), accumulate=njit(_accumulate))


# A heap of pixels, the lowest first; of equal ones the one that came first, so that level ground drains evenly.


def _push(heights, numbers, places, size, height, number, place):
    i = size
    while i > 0:
        above = (i - 1) // 2
        if heights[above] < height or (heights[above] == height and numbers[above] < number):
            break
        heights[i], numbers[i], places[i] = heights[above], numbers[above], places[above]
        i = above
    heights[i], numbers[i], places[i] = height, number, place


def _pop(heights, numbers, places, size):
    """Put the last of `size` pixels in the place of the first."""
    last = size - 1
    height, number, place = heights[last], numbers[last], places[last]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= last:
            break
        right = child + 1
        if right < last and (
            heights[right] < heights[child]
            or (heights[right] == heights[child] and numbers[right] < numbers[child])
        ):
            child = right
        if height < heights[child] or (height == heights[child] and number < numbers[child]):
            break
        heights[i], numbers[i], places[i] = heights[child], numbers[child], places[child]
        i = child
    heights[i], numbers[i], places[i] = height, number, place


def _filling(push, pop):
    def fill(z):
        rows, columns = z.shape
        out = z.copy()
        seen = np.zeros((rows, columns), np.bool_)
        heights = np.empty(rows * columns, np.float64)
        numbers = np.empty(rows * columns, np.int64)
        places = np.empty(rows * columns, np.int64)
        size = 0
        count = 0
        for row in range(rows):
            for column in range(columns):
                if not np.isfinite(z[row, column]):
                    seen[row, column] = True
                    continue
                at_edge = row == 0 or column == 0 or row == rows - 1 or column == columns - 1
                if not at_edge:
                    for i in range(-1, 2):
                        for j in range(-1, 2):
                            if not np.isfinite(z[row + i, column + j]):
                                at_edge = True
                if at_edge:
                    seen[row, column] = True
                    push(heights, numbers, places, size, z[row, column], count, row * columns + column)
                    size += 1
                    count += 1
        while size > 0:
            place = places[0]
            pop(heights, numbers, places, size)
            size -= 1
            row, column = place // columns, place % columns
            above = np.nextafter(out[row, column], np.inf)
            for i in range(max(row - 1, 0), min(row + 2, rows)):
                for j in range(max(column - 1, 0), min(column + 2, columns)):
                    if seen[i, j]:
                        continue
                    seen[i, j] = True
                    if out[i, j] < above:
                        out[i, j] = above
                    push(heights, numbers, places, size, out[i, j], count, i * columns + j)
                    size += 1
                    count += 1
        return out

    return fill


def _accumulate(surface, order, dx, dy, exponent):
    rows, columns = surface.shape
    area = np.full((rows, columns), np.nan)
    for place in order:
        area[place // columns, place % columns] = dx * dy
    leaving = 0.0
    weights = np.zeros((3, 3))
    for place in order:  # from the highest to the lowest
        row, column = place // columns, place % columns
        total = 0.0
        for i in range(3):
            for j in range(3):
                weights[i, j] = 0.0
                y, x = row + i - 1, column + j - 1
                if y < 0 or x < 0 or y >= rows or x >= columns:
                    continue
                drop = surface[row, column] - surface[y, x]
                if drop > 0:  # NaN is not
                    distance = np.sqrt(((i - 1) * dy) ** 2 + ((j - 1) * dx) ** 2)
                    weights[i, j] = (drop / distance) ** exponent
                    total += weights[i, j]
        if total == 0.0:
            leaving += area[row, column]
            continue
        for i in range(3):
            for j in range(3):
                if weights[i, j] > 0.0:
                    area[row + i - 1, column + j - 1] += area[row, column] * weights[i, j] / total
    return area, leaving
