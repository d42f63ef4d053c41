"""The way of water over an elevation model: depressions filled, catchment area, topographic wetness index.

Arrays are (y, x), elevations and pixel sizes in metres. Water leaves where the model ends, at holes in it too.
"""

from __future__ import annotations

import heapq
import math

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve_triangular

from .derivatives import gradient

EXPONENT = 1.1  # Freeman (1991): of the slope, by which water divides
LEAST_SLOPE = 0.001  # m per m: the index has no limit where the ground is level


def filled(z: np.ndarray) -> np.ndarray:
    """Elevation with every depression filled to its lowest outlet, and a little more with each pixel away from that,
    so that water has a way from everywhere: float64, by one step of that type a pixel.

    Priority-Flood+epsilon: Barnes, R., Lehman, C., Mulla, D. (2014): Priority-flood: An optimal depression-filling
    and watershed-labeling algorithm for digital elevation models. Computers & Geosciences 62, 117-127.
    """
    return _filled(np.asarray(z, dtype=np.float64))


def catchment_area(surface: np.ndarray, dx: float, dy: float) -> tuple[np.ndarray, float]:
    """(area above and at each pixel, area that leaves the model), m2; `surface` as `filled` makes it.

    Water divides among all lower neighbours by slope to the power of 1.1: Freeman, T.G. (1991): Calculating catchment
    area with divergent flow based on a regular grid. Computers & Geosciences 17(3), 413-422.
    """
    return _gathered(np.asarray(surface, dtype=np.float64), float(dx), float(dy))


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


def _filled(z: np.ndarray) -> np.ndarray:
    """The queue of the lowest pixels; of equal ones the one that came first, so that level ground drains evenly."""
    padded = np.pad(z, 1, constant_values=np.nan)
    known = np.isfinite(padded)
    neighbours = _neighbours(padded.shape[1])
    whole = known.copy()
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            whole &= np.roll(known, (i, j), (0, 1))
    seen = bytearray((~whole).ravel().tobytes())  # holes, and where water leaves
    out = padded.ravel().tolist()
    starts = np.flatnonzero(known.ravel() & ~whole.ravel()).tolist()
    queue = [(out[place], number, place) for number, place in enumerate(starts)]
    heapq.heapify(queue)
    count = len(queue)
    while queue:
        height, _, place = heapq.heappop(queue)
        above = math.nextafter(height, math.inf)
        for step in neighbours:
            other = place + step
            if not seen[other]:
                seen[other] = 1
                if out[other] < above:
                    out[other] = above
                heapq.heappush(queue, (out[other], count, other))
                count += 1
    return np.array(out).reshape(padded.shape)[1:-1, 1:-1]


def _neighbours(width: int) -> tuple[int, ...]:
    return tuple(i * width + j for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0))


def _gathered(surface: np.ndarray, dx: float, dy: float) -> tuple[np.ndarray, float]:
    """What each pixel gathers: its own area and the shares of the higher neighbours' areas. From the highest pixel to
    the lowest these equations are a triangle, which is solved at once."""
    padded = np.pad(surface, 1, constant_values=np.nan)
    known = np.isfinite(padded).ravel()
    heights = padded.ravel()
    places = np.flatnonzero(known)
    places = places[np.argsort(-heights[places], kind="stable")]
    rank = np.full(heights.size, -1)
    rank[places] = np.arange(places.size)
    weights, receivers = [], []
    width = padded.shape[1]
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            if (i, j) == (0, 0):
                continue
            there = places + i * width + j
            drop = heights[places] - heights[there]
            falls = drop > 0  # NaN is not
            slope = np.where(falls, drop, 0.0) / math.hypot(i * dy, j * dx)
            weights.append(slope**EXPONENT)
            receivers.append(np.where(falls, rank[there], 0))
    weights, receivers = np.array(weights), np.array(receivers)
    total = weights.sum(axis=0)
    shares = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    givers = np.broadcast_to(np.arange(places.size), shares.shape)
    flows = shares > 0
    triangle = sparse.eye_array(places.size, format="csr") - sparse.csr_array(
        (shares[flows], (receivers[flows], givers[flows])), shape=(places.size, places.size)
    )
    solved = spsolve_triangular(
        triangle.tocsr(), np.full(places.size, dx * dy), lower=True, unit_diagonal=True
    )
    area = np.full(heights.size, np.nan)
    area[places] = solved
    return area.reshape(padded.shape)[1:-1, 1:-1], float(solved[total == 0].sum())
