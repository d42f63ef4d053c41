"""Whittaker's smoother beside matrices that are written out."""

from __future__ import annotations

import numpy as np
import pytest
from minicuber.core.cleaning.whittaker import STRENGTHS, penalty, whittaker

EVEN = 5.0 * np.arange(50)


def roughness(days: np.ndarray) -> np.ndarray:
    """D'D of second divided differences, in steps of five days, as a whole matrix."""
    x = days / 5
    size = len(x)
    matrix = np.zeros((size - 2, size))
    for row in range(size - 2):
        a, b, c = x[row : row + 3]
        matrix[row, row : row + 3] = (
            2 / ((b - a) * (c - a)),
            -2 / ((b - a) * (c - b)),
            2 / ((c - b) * (c - a)),
        )
        matrix[row] *= np.sqrt((c - a) / 2)
    return matrix.T @ matrix


def example(days: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(1)
    values = np.sin(days / 40) + rng.normal(0, 0.1, (5, len(days)))
    values[1, 10:25] = np.nan
    values[2, :6] = np.nan
    values[3, rng.random(len(days)) < 0.7] = np.nan
    return values


def test_penalty_of_even_steps_is_that_of_second_differences():
    differences = np.diff(np.eye(50), 2, axis=0)
    expected = differences.T @ differences
    for offset in range(3):
        np.testing.assert_allclose(penalty(EVEN)[offset][: 50 - offset], np.diag(expected, offset), atol=1e-9)


@pytest.mark.parametrize(
    "days", [EVEN, np.sort(np.random.default_rng(3).choice(700, 50, replace=False)) * 1.0]
)
@pytest.mark.parametrize("strength", [0.5, 100.0, 1e5])
def test_solution_is_that_of_the_whole_matrix(days, strength):
    values = example(days)
    smooth, _ = whittaker(values, days, strength)
    for series, result in zip(values, smooth, strict=True):
        weights = np.isfinite(series).astype(float)
        expected = np.linalg.solve(
            np.diag(weights) + strength * roughness(days), weights * np.nan_to_num(series)
        )
        np.testing.assert_allclose(result, expected, atol=1e-7)


def test_strength_is_that_of_the_least_cross_validation_score():
    values = example(EVEN)
    smooth, chosen = whittaker(values, EVEN, 0)
    for series, result, strength in zip(values, smooth, chosen, strict=True):
        weights = np.diag(np.isfinite(series).astype(float))
        scores = []
        for each in STRENGTHS:
            hat = np.linalg.solve(weights + each * roughness(EVEN), weights)
            left = np.sum((weights @ (np.nan_to_num(series) - hat @ np.nan_to_num(series))) ** 2)
            scores.append(weights.trace() * left / (weights.trace() - hat.trace()) ** 2)
        assert strength == STRENGTHS[int(np.argmin(scores))]
        expected, _ = whittaker(series[None], EVEN, strength)
        np.testing.assert_allclose(result, expected[0], atol=1e-10)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_values_give_nothing(count):
    values = np.full((1, 50), np.nan)
    values[0, :count] = 1.0
    smooth, _ = whittaker(values, EVEN, 0)
    assert np.isnan(smooth).all()


def test_a_straight_line_stays_one():
    line = (0.2 + 0.01 * EVEN)[None]
    gappy = np.where(np.arange(50) % 3 == 0, line, np.nan)
    smooth, _ = whittaker(gappy, EVEN, 1000)
    np.testing.assert_allclose(smooth, line, atol=1e-6)
