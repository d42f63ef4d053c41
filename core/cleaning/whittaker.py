"""Whittaker's smoother of many series on one time axis at once, its strength given or found by cross-validation."""

from __future__ import annotations

import numpy as np

# Candidates of the strength; between two the score changes little.
STRENGTHS = tuple(10.0 ** (half / 2) for half in range(-2, 15))
TYPICAL_STEP = 5.0  # days, for which a strength means what the literature means by it


def penalty(days: np.ndarray) -> np.ndarray:
    """The bands of D'D, D the second divided differences over `days` (steps,): (3, steps), the diagonal first.

    Scaled so that on an axis of even steps of `TYPICAL_STEP` days it is that of plain second differences. Eilers
    (2003, Anal. Chem. 75, 3631), with divided differences for uneven steps (his section on unequal sampling).
    """
    position = np.asarray(days, float) / TYPICAL_STEP
    size = len(position)
    bands = np.zeros((3, size))
    if size < 3:
        return bands
    left, right = np.diff(position)[:-1], np.diff(position)[1:]
    whole = left + right
    # 2 f[x0, x1, x2]: on an even axis of step 1 the weights 1, -2, 1.
    rows = np.array([2 / (left * whole), -2 / (left * right), 2 / (right * whole)])
    rows *= np.sqrt(whole / 2)  # the integral of the squared second derivative, not its sum over uneven steps
    for offset in range(3):
        for first in range(3 - offset):
            bands[offset, first : size - 2 + first] += rows[first] * rows[first + offset]
    return bands


def whittaker(values: np.ndarray, days: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Smooth series (series, steps) of float64; missing values (NaN) weigh nothing and are filled.

    Minimises sum of squares over what is there + `strength` x roughness (Eilers 2003). `strength` 0: for each series
    that of `STRENGTHS` with the least generalised cross-validation score (Craven and Wahba 1979, Numer. Math. 31,
    377). Returns the series and the strength of each (series,); a series with fewer than 3 values is all NaN.
    """
    present = np.isfinite(values)
    count = present.sum(axis=1)
    weights = present.T.astype(float)
    data = np.where(present, values, 0.0).T
    bands = penalty(days)
    if strength > 0:
        smooth, _ = _solve(data, weights, strength * bands, False)
        chosen = np.full(len(values), float(strength))
    else:
        best = np.full(len(values), np.inf)
        smooth, chosen = np.zeros_like(data), np.full(len(values), STRENGTHS[0])
        for candidate in STRENGTHS:
            fitted, trace = _solve(data, weights, candidate * bands, True)
            free = np.maximum(count - trace, 1e-6)
            score = count * (weights * (data - fitted) ** 2).sum(axis=0) / free**2
            better = score < best
            best = np.where(better, score, best)
            chosen = np.where(better, candidate, chosen)
            smooth = np.where(better[None, :], fitted, smooth)
    return np.where(count[:, None] >= 3, smooth.T, np.nan), chosen


def _solve(
    data: np.ndarray, weights: np.ndarray, bands: np.ndarray, with_trace: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Solve (W + P) z = W y for all series, and the trace of (W + P)^-1 W: arrays (steps, series).

    L D L' of a matrix of five bands (Golub and Van Loan, 4.3), step by step over all series; the bands of the
    inverse by Takahashi's recursion (Erisman and Tinney 1975, CACM 18, 177).
    """
    size, series = data.shape
    # A trace of weight keeps the matrix regular where a series has fewer than two values.
    diagonal = (
        weights + bands[0][:, None] + 1e-10 * max(bands[0].max(initial=0.0), 1.0) * (weights.sum(axis=0) < 2)
    )
    pivot, one, two = np.empty_like(data), np.zeros_like(data), np.zeros_like(data)
    out = weights * data
    for step in range(size):
        pivot[step] = diagonal[step]
        if step > 0:
            pivot[step] -= one[step - 1] ** 2 * pivot[step - 1]
            out[step] -= one[step - 1] * out[step - 1]
        if step > 1:
            pivot[step] -= two[step - 2] ** 2 * pivot[step - 2]
            out[step] -= two[step - 2] * out[step - 2]
        if step + 1 < size:
            above = bands[1][step] - (one[step - 1] * two[step - 1] * pivot[step - 1] if step > 0 else 0.0)
            one[step] = above / pivot[step]
        if step + 2 < size:
            two[step] = bands[2][step] / pivot[step]
    out /= pivot
    for step in range(size - 2, -1, -1):
        out[step] -= one[step] * out[step + 1]
        if step + 2 < size:
            out[step] -= two[step] * out[step + 2]
    trace = np.zeros(series)
    if with_trace:
        near = far = next_near = next_own = after_own = np.zeros(series)
        for step in range(size - 1, -1, -1):
            # Entries (step, step + 1) and (step, step + 2) of the inverse, then (step, step).
            near = -one[step] * next_own - two[step] * next_near
            far = -one[step] * next_near - two[step] * after_own
            own = 1 / pivot[step] - one[step] * near - two[step] * far
            trace += weights[step] * own
            after_own, next_own, next_near = next_own, own, near
    return out, trace
