"""Over which values the colours of a layer are stretched: one range for all dates, from a look at some of them.

Reflectance: of each pixel in the middle of the cube its median over the clearest dates, so that clouds have no
say; of those all but the darkest and brightest fiftieth. What is read is bounded, however large the cube is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

from .layers import RGB

DATES = 32  # looked at, around the one that is shown first; the dates of one chunk
CLEAR_DATES = 7  # of these
WINDOW = 128  # pixels to a side
TAIL = 2.0  # per cent of the values that may lie beyond each end
DARK_SHARE = 0.3  # without a word on clouds the darker dates are taken for the clear ones
FIXED = {"index": (-0.2, 0.9), "moisture": (-0.6, 0.6)}
HEADROOM = 1.1


def stretch_of(cube: xr.Dataset, layers: Iterable[Any]) -> dict[str, tuple[float, float]]:
    """Name of a layer to its range, for layers (as `LayerInfo`) of a normalised cube; those of classes have none."""
    layers = list(layers)
    found: dict[str, tuple[float, float]] = {}
    for layer in layers:
        if layer.kind in FIXED:
            found[layer.variable] = FIXED[layer.kind]
        elif layer.kind == "date":
            found[layer.variable] = _period(cube)
        elif layer.kind not in ("classes", "rgb"):
            values = _look(cube, layer.variable, layer.best - 1, layer.kind == "reflectance")
            if values.size:
                found[layer.variable] = _range(values, layer.kind)
    for layer in layers:
        if layer.kind == "rgb":
            # One range for all three, from 0: so colours keep their hue.
            tops = [found[name][1] for name in RGB if name in found]
            tops = tops or [
                _range(values, "reflectance")[1]
                for values in (_look(cube, name, layer.best - 1, True) for name in RGB)
                if values.size
            ]
            if tops:
                found[layer.variable] = (0.0, max(tops))
    return found


def _look(cube: xr.Dataset, name: str, best: int, clouds: bool) -> np.ndarray:
    """Finite values of a variable: all that are looked at, or where there are `clouds` one for each pixel."""
    variable = cube[name]
    middle = {dim: _middle(cube.sizes[dim]) for dim in ("y", "x")}
    if "time" not in variable.dims:
        values = variable.isel(middle).values
        return values[np.isfinite(values)]
    start = best // DATES * DATES
    dates = slice(start, start + DATES)
    values = variable.isel(time=dates, **middle).transpose("time", "y", "x").values
    if clouds:
        values = _without_clouds(values, _clear_share(cube)[dates])
    return values[np.isfinite(values)]


def _middle(size: int) -> slice:
    """The middle of an axis, from a multiple of 64 on, as chunks begin."""
    start = max(0, (size - WINDOW) // 2) // 64 * 64
    return slice(start, start + WINDOW)


def _clear_share(cube: xr.Dataset) -> np.ndarray:
    for name, clear in (("s2_clear_share", lambda v: v), ("s2_cloud_cover", lambda v: 1 - v / 100)):
        if name in cube and cube[name].dims == ("time",) and np.isfinite(cube[name].values).any():
            return clear(cube[name].values.astype(float))
    return np.full(cube.sizes["time"], np.nan)


def _without_clouds(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """One value for each pixel: the median of the clearest dates, or a low quantile where none is known to be."""
    known = np.flatnonzero(np.isfinite(share))
    if known.size:
        values = values[known[np.argsort(-share[known], kind="stable")][:CLEAR_DATES]]
    values = np.sort(values.reshape(len(values), -1), axis=0)  # missing ones last
    count = np.isfinite(values).sum(axis=0)
    place = ((count - 1) * (0.5 if known.size else DARK_SHARE)).astype(int)
    return values[np.maximum(place, 0), np.arange(values.shape[1])]


def _range(values: np.ndarray, kind: str) -> tuple[float, float]:
    """All but the tails, in numbers that can be read: two digits of the range's width."""
    low, high = (float(end) for end in np.percentile(values, (TAIL, 100 - TAIL)))
    if kind == "reflectance":
        low, high = max(low, 0.0), high * HEADROOM
    if high <= low:
        high = low + (abs(low) or 1.0) * 0.1
    step = 10.0 ** (np.floor(np.log10(high - low)) - 1)
    digits = max(0, -int(np.log10(step)))
    # A hair of tolerance: 0.02 as a float32 is a little less.
    first, last = np.floor(low / step + 1e-3), np.ceil(high / step - 1e-3)
    return round(float(first * step), digits), round(float(last * step), digits)


def _period(cube: xr.Dataset) -> tuple[float, float]:
    """From the first day of the first step to the last day, in days since 1970-01-01."""
    days = cube.time.values.astype("datetime64[D]").astype(int)
    step = int(np.diff(days).min()) if days.size > 1 else 1
    return float(days[0] - step + 1), float(days[-1])
