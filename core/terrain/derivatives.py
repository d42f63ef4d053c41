"""Local derivatives of elevation, from the 3 x 3 pixels around each: slope, aspect, ruggedness, curvature.

Arrays are (y, x), rows from north to south; elevations and pixel sizes are in metres. A pixel has a value where all
nine elevations are there: nothing is made up at edges and holes, so the outermost pixels are NaN.
"""

from __future__ import annotations

import numpy as np

# Below a micrometre in a kilometre it is the rounding of averages, not ground that faces somewhere.
FLAT = 1e-9


def gradient(z: np.ndarray, dx: float, dy: float) -> tuple[np.ndarray, np.ndarray]:
    """(rise to the east, rise to the north) in m per m: weighted differences of the third order.

    Horn, B.K.P. (1981): Hill shading and the reflectance map. Proceedings of the IEEE 69(1), 14-47.
    """
    nw, n, ne, w, c, e, sw, s, se = _nine(z)
    known = np.where(np.isfinite(c), 0.0, np.nan)  # the middle has no weight, but must be there
    east = ((ne + 2 * e + se) - (nw + 2 * w + sw)) / (8 * dx) + known
    north = ((nw + 2 * n + ne) - (sw + 2 * s + se)) / (8 * dy) + known
    return _framed(east), _framed(north)


def slope(east: np.ndarray, north: np.ndarray) -> np.ndarray:
    """Slope in degrees of a gradient."""
    return np.degrees(np.arctan(np.hypot(east, north)))


def northness(east: np.ndarray, north: np.ndarray) -> np.ndarray:
    """Cosine of the aspect, which is the azimuth that the slope faces: 1 north, -1 south, 0 where it is flat.

    Not weighted by the slope ("aspectcosine" of Amatulli, G. et al. (2018): A suite of global, cross-scale
    topographic variables. Scientific Data 5, 180040). Flat ground has no aspect; 0 is what a mean of all is.
    """
    return _share(-north, np.hypot(east, north))


def eastness(east: np.ndarray, north: np.ndarray) -> np.ndarray:
    """Sine of the aspect: 1 east, -1 west, 0 where it is flat; as `northness`."""
    return _share(-east, np.hypot(east, north))


def _share(part: np.ndarray, steepness: np.ndarray) -> np.ndarray:
    flat = steepness < FLAT
    return np.where(flat, 0.0, part / np.where(flat, 1.0, steepness))


def ruggedness(z: np.ndarray) -> np.ndarray:
    """Terrain ruggedness index (m): the root of the sum of squared differences to the eight neighbours.

    Riley, S.J., DeGloria, S.D., Elliot, R. (1999): A terrain ruggedness index that quantifies topographic
    heterogeneity. Intermountain Journal of Sciences 5(1-4), 23-27.
    """
    nine = _nine(z)
    centre = nine[4]
    return _framed(np.sqrt(sum((each - centre) ** 2 for each in nine)))


def curvature(z: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """Total curvature (m-1): -2 (D + E), which is minus the Laplacian; positive where the ground is convex upwards.

    D and E of Zevenbergen, L.W., Thorne, C.R. (1987): Quantitative analysis of land surface topography. Earth Surface
    Processes and Landforms 12(1), 47-56; ESRI's "curvature" is 100 times this.
    """
    _, n, _, w, c, e, _, s, _ = nine = _nine(z)
    d = ((w + e) / 2 - c) / dx**2
    e_ = ((n + s) / 2 - c) / dy**2
    known = np.where(np.isfinite(sum(nine)), 0.0, np.nan)  # as the others, corners too
    return _framed(-2 * (d + e_) + known)


def _nine(z: np.ndarray) -> tuple[np.ndarray, ...]:
    """The neighbours of all inner pixels: from the north-west row by row, the pixel itself being the fifth."""
    rows, columns = z.shape
    return tuple(z[i : max(rows - 2, 0) + i, j : max(columns - 2, 0) + j] for i in range(3) for j in range(3))


def _framed(inner: np.ndarray) -> np.ndarray:
    """With the outermost pixels again, which have no value."""
    return np.pad(inner, 1, constant_values=np.nan)
