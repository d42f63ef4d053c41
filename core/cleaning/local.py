"""Local regression (LOESS, Savitzky-Golay) of many series on one time axis at once.

The windows and their distance weights are the same for every series. So the sums that the normal equations need
are products of a narrow band of weights with a matrix of series, which the linear algebra below numpy multiplies
at the speed of the processor; only the robustness weights and missing values differ between series.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

STEPS = 16  # of the axis, whose windows are multiplied together
NOTHING = 1e-12  # a weight below counts as none
# Six medians of residuals below this share of their mean (as in R's lowess), or of the largest value, are rounding.
VANISHING, ROUNDING = 1e-7, 1e-12
# Below this variance of the distances (window: -1 to 1), or this sum of weights, sums of products lose digits.
NARROW, LIGHT = 1e-5, 1e-6


@dataclass(frozen=True)
class Windows:
    """Which steps of a time axis count for a fit at each step.

    `positions`: of the steps, any unit, increasing, (steps,). `first`, `last`: the steps of the window of each,
    `last` not included, (steps,). `radius`: the distance at which weights end, (steps,).
    """

    positions: np.ndarray
    first: np.ndarray
    last: np.ndarray
    radius: np.ndarray

    @cached_property
    def moments(self) -> tuple[tuple[slice, slice, np.ndarray, np.ndarray], ...]:
        """Of each of `bands`: (which steps, those that they look at, distances, weights (these, 3 x which) of the
        powers 0, 1 and 2 of the distance)."""
        out = []
        for rows, columns, distance, inside in self.bands:
            near = tricube(distance, inside)
            powers = np.concatenate([near, near * distance, near * distance**2])
            out.append((rows, columns, distance, np.ascontiguousarray(powers.T)))
        return tuple(out)

    @cached_property
    def bands(self) -> tuple[tuple[slice, slice, np.ndarray, np.ndarray], ...]:
        """Runs of steps: (which, the steps that they look at, their distances in radii, whether in the window)."""
        return tuple(self._bands())

    def _bands(self) -> Iterator[tuple[slice, slice, np.ndarray, np.ndarray]]:
        size = len(self.positions)
        for start in range(0, size, STEPS):
            rows = slice(start, min(start + STEPS, size))
            columns = slice(int(self.first[rows].min()), int(self.last[rows].max()))
            away = self.positions[None, columns] - self.positions[rows, None]
            distance = away / np.where(self.radius[rows] > 0, self.radius[rows], 1.0)[:, None]
            steps = np.arange(columns.start, columns.stop)[None, :]
            inside = (steps >= self.first[rows, None]) & (steps < self.last[rows, None])
            yield rows, columns, distance, inside


def nearest_windows(positions: np.ndarray, count: int) -> Windows:
    """Windows of the `count` nearest steps, as Cleveland (1979) has them: the radius is the distance of the farthest.

    At least 2, at most all. Of two that are equally far the earlier counts.
    """
    positions = np.asarray(positions, float)
    size = len(positions)
    count = min(max(count, 2), size)
    first = np.empty(size, int)
    start = 0
    for step, position in enumerate(positions):
        while start + count < size and position > (positions[start] + positions[start + count]) / 2:
            start += 1
        first[step] = start
    last = first + count
    return Windows(
        positions, first, last, np.maximum(positions - positions[first], positions[last - 1] - positions)
    )


def span_windows(positions: np.ndarray, span: float, least: int) -> Windows:
    """Windows of the steps up to half of `span` away, widened to the `least` nearest where that is fewer."""
    positions = np.asarray(positions, float)
    near = nearest_windows(positions, least)
    # A step at the very radius has no weight: the farthest of the least lies just within.
    radius = np.maximum(span / 2, near.radius * (1 + 1e-6))
    first = np.searchsorted(positions, positions - radius, side="left")
    last = np.searchsorted(positions, positions + radius, side="right")
    return Windows(positions, first, last, radius)


def tricube(distance: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(1 - |d|^3)^3 within the window, 0 outside (Cleveland 1979, JASA 74, 829)."""
    return np.where(inside, np.clip(1 - np.abs(distance) ** 3, 0, None) ** 3, 0.0)


def bisquare(absolute: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Robustness weights (1 - (r / 6 m)^2)^2 of absolute residuals (series, steps), m their median (series,); 0 beyond
    6 m (Cleveland 1979). Where m is 0 all but the residuals of 0 weigh 0."""
    middle = middle[:, None]
    scaled = np.divide(absolute, 6 * middle, out=(absolute > 0).astype(float), where=middle > 0)
    np.minimum(scaled, 1, out=scaled)
    np.square(scaled, out=scaled)
    np.subtract(1, scaled, out=scaled)
    return np.square(scaled, out=scaled)


def median(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """The median of each row (series, steps) over the steps that are `present`, (series,); 0 where none is."""
    if present.all():
        return np.median(values, axis=1)
    ordered = np.sort(np.where(present, values, np.inf), axis=1)
    count = present.sum(axis=1)
    rows = np.arange(len(values))
    low, high = (
        ordered[rows, np.maximum(count - 1, 0) // 2],
        ordered[rows, np.minimum(count // 2, values.shape[1] - 1)],
    )
    return np.where(count > 0, (low + high) / 2, 0.0)


def loess(
    values: np.ndarray, windows: Windows, iterations: int, like_statsmodels: bool = False
) -> np.ndarray:
    """Locally weighted linear regression of series (series, steps) in float64; missing (NaN) stays missing.

    `iterations`: how often it is repeated with less weight for what lies far from the curve. Cleveland (1979);
    where no line can be fitted, as at a single point with weight, the value itself stays, as statsmodels' `lowess`
    has it, with which this agrees to rounding.

    Where most of a series lies on its curve, as over long gaps, the median of its residuals is mere rounding and says
    nothing of what is far: the curve stays as it is, as in Cleveland's own program (R's `lowess`).
    `like_statsmodels`: there too the result is that of statsmodels, which takes the rounding for a median.
    """
    present = np.isfinite(values)
    filled = np.where(present, values, 0.0)
    # Where nothing is missing all series have the same weights at first: one row stands for all.
    weights = np.ones((1, values.shape[1])) if present.all() else present.astype(float)
    fitted = _lines(filled, weights, windows)
    settled = np.zeros(len(values), bool)
    count, smallest = present.sum(axis=1), ROUNDING * np.abs(filled).max(axis=1, initial=0.0)
    for _ in range(iterations):
        absolute = np.abs(filled - fitted)
        middle = median(absolute, present)
        mean = (absolute * present).sum(axis=1) / np.maximum(count, 1)
        settled |= 6 * middle < np.maximum(VANISHING * mean, smallest)
        weights = bisquare(absolute, middle)
        weights *= present
        again = _lines(filled, weights, windows)
        fitted = np.where(settled[:, None], fitted, again) if settled.any() else again
    if like_statsmodels:
        whole = settled & present.all(axis=1)
        if whole.any():
            fitted[whole] = _in_order(filled[whole], windows, iterations)
    return np.where(present, fitted, np.nan)


def _in_order(values: np.ndarray, windows: Windows, iterations: int) -> np.ndarray:
    """`loess` of series without gaps (series, steps), each sum in the order of statsmodels' `lowess`, to its last bit:
    slow, for series whose result hangs on rounding."""
    robustness = np.ones_like(values)
    fitted = np.empty_like(values)
    for turn in range(iterations + 1):
        if turn:
            absolute = np.abs(values - fitted)
            robustness = bisquare(absolute, np.median(absolute, axis=1))
        for step, at in enumerate(windows.positions):
            part = slice(windows.first[step], windows.last[step])
            x = windows.positions[part]
            distance = np.abs(x - at) / (windows.radius[step] or 1.0)
            near = 1.0 - distance * distance * distance
            weights = near * near * near * robustness[:, part]
            heavy = (weights > NOTHING).sum(axis=1) >= 2
            weights /= np.where(heavy, weights.sum(axis=1), 1.0)[:, None]
            # A running sum adds from left to right; numpy's `sum` adds in pairs.
            middle = np.cumsum(weights * x, axis=1)[:, -1:]
            off = x - middle
            spread = np.maximum(np.cumsum(weights * (off * off), axis=1)[:, -1:], NOTHING)
            line = np.cumsum(weights * (1.0 + (at - middle) * off / spread) * values[:, part], axis=1)[:, -1]
            fitted[:, step] = np.where(heavy, line, values[:, step])
    return fitted


def _lines(values: np.ndarray, weights: np.ndarray, windows: Windows) -> np.ndarray:
    """The line of each window at its middle, (series, steps); `weights` likewise, or one row for all."""
    out = np.empty_like(values)
    weighted = weights * values
    for rows, columns, distance, powers in windows.moments:
        count = len(distance)
        sums = weights[:, columns] @ powers
        totals = weighted[:, columns] @ powers[:, : 2 * count]
        s0, s1, s2 = sums[:, :count], sums[:, count : 2 * count], sums[:, 2 * count :]
        t0, t1 = totals[:, :count], totals[:, count:]
        determinant = s0 * s2
        determinant -= s1 * s1
        poor = determinant <= NARROW * s0 * s0
        poor |= s0 <= LIGHT
        determinant[poor] = 1.0
        part = s2 * t0
        part -= s1 * t1
        part /= determinant
        if poor.any():
            series, step = np.nonzero(np.broadcast_to(poor, part.shape))
            scale = np.where(windows.radius[rows] > 0, windows.radius[rows], 1.0)[step]
            own = np.broadcast_to(weights, values.shape)[series, columns]
            part[series, step] = _one_by_one(
                values[series, columns],
                own,
                powers[:, step].T,
                distance[step],
                values[series, rows.start + step],
                scale,
            )
        out[:, rows] = part
    return out


def _one_by_one(values, weights, near, distance, own, scale) -> np.ndarray:
    """Lines at places where sums of products would lose their digits, each (place, steps of a window)."""
    weights = weights * near
    heavy = (weights > NOTHING).sum(axis=1) >= 2
    total = np.where(heavy, weights.sum(axis=1), 1.0)
    weights = weights / total[:, None]
    middle = (weights * distance).sum(axis=1)
    off = distance - middle[:, None]
    spread = np.maximum((weights * off**2).sum(axis=1), NOTHING / scale**2)
    line = (weights * (1 - middle[:, None] * off / spread[:, None]) * values).sum(axis=1)
    return np.where(heavy, line, own)


def polynomial(values: np.ndarray, windows: Windows, degree: int) -> np.ndarray:
    """Savitzky-Golay smoothing of series (series, steps): the local polynomial of least squares, at its middle.

    On an evenly spaced axis the filter of Savitzky and Golay (1964, Anal. Chem. 36, 1627), its ends fitted by the
    windows that are there; on other axes its meaning stays. Missing (NaN) stays missing; where a window has fewer
    values than the polynomial has terms, the value itself stays.
    """
    present = np.isfinite(values)
    filled = np.where(present, values, 0.0)
    out = np.empty_like(filled)
    whole = present.all(axis=1)
    terms = degree + 1
    for rows, columns, distance, inside in windows.bands:
        design = np.stack([np.where(inside, distance**power, 0.0) for power in range(2 * degree + 1)])
        for chosen, weights in ((whole, None), (~whole, present[~whole][:, columns].astype(float))):
            if not chosen.any():
                continue
            if weights is None:
                weights = np.ones((1, columns.stop - columns.start))
            sums = np.tensordot(weights, design, ([1], [2]))  # (series or 1, power, step)
            totals = np.tensordot(filled[chosen][:, columns], design[:terms], ([1], [2]))
            powers = np.arange(terms)
            normal = np.moveaxis(sums[:, powers[:, None] + powers[None, :]], 3, 1)  # (series, step, i, j)
            enough = sums[:, 0] >= terms
            normal = np.where(enough[..., None, None], normal, np.eye(terms))
            # The first coefficient is the value at the middle: only the first row of the inverse is needed.
            unit = np.zeros((terms, 1))
            unit[0] = 1.0
            row = np.linalg.solve(normal, np.broadcast_to(unit, (*normal.shape[:2], terms, 1)))[..., 0]
            fitted = np.einsum("nsk,nks->ns", np.broadcast_to(row, (len(totals), *row.shape[1:])), totals)
            out[chosen, rows] = np.where(enough, fitted, filled[chosen][:, rows])
    return np.where(present, out, np.nan)
