"""Local regressions beside statsmodels, scipy and least squares solved one window at a time."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from minicuber.core.cleaning.local import (
    bisquare,
    loess,
    median,
    nearest_windows,
    polynomial,
    span_windows,
)
from scipy.signal import savgol_filter

STEPS = np.arange(200)


def noisy(seed: int, series: int = 12, steps: int = len(STEPS)) -> np.ndarray:
    """Seasons with noise, clouds that were overlooked, and a level that drifts."""
    rng = np.random.default_rng(seed)
    values = 0.5 + 0.3 * np.sin(2 * np.pi * np.arange(steps) / 73) + rng.normal(0, 0.03, (series, steps))
    values[rng.random(values.shape) < 0.1] -= 0.4
    values[-1] = rng.normal(size=steps).cumsum()
    return values


@pytest.mark.parametrize("fraction", [0.02, 0.07, 0.3, 1.0])
@pytest.mark.parametrize("iterations", [0, 1, 3])
def test_loess_is_that_of_statsmodels(fraction, iterations):
    values = noisy(1)
    windows = nearest_windows(STEPS, int(fraction * len(STEPS) + 1e-10))
    expected = [sm.nonparametric.lowess(each, STEPS, frac=fraction, it=iterations)[:, 1] for each in values]
    np.testing.assert_allclose(loess(values, windows, iterations), expected, atol=1e-8)


def test_loess_on_uneven_days_is_that_of_statsmodels():
    """Sentinel-2's dates are not even: over indices a gap of a month would be as narrow as one of five days."""
    rng = np.random.default_rng(2)
    days = np.sort(rng.choice(1500, 180, replace=False)).astype(float)
    values = noisy(3, steps=len(days))
    windows = nearest_windows(days, int(0.1 * len(days) + 1e-10))
    expected = [sm.nonparametric.lowess(each, days, frac=0.1, it=3)[:, 1] for each in values]
    np.testing.assert_allclose(loess(values, windows, 3), expected, atol=1e-8)


@pytest.mark.parametrize(
    "series", [np.full(60, 0.3), np.where(np.arange(60) == 20, 1.0, 0.0), np.arange(60) * 1e-3]
)
def test_series_without_spread_stay_finite(series):
    """The median of residuals is 0 there, and determinants vanish."""
    smooth = loess(series[None], nearest_windows(np.arange(60), 9), 3, like_statsmodels=True)
    expected = sm.nonparametric.lowess(series, np.arange(60), frac=9.01 / 60, it=3)[:, 1]
    assert np.isfinite(smooth).all()
    np.testing.assert_allclose(smooth[0], expected, atol=1e-8)


@pytest.mark.parametrize("steps", [60, 80, 150])
def test_median_of_residuals_that_is_rounding(steps):
    """Over long gaps lines are straight and half of the residuals are rounding, which statsmodels takes for a median:
    on request to the bit; else the curve stays, whatever the series beside it."""
    rng = np.random.default_rng(8)
    days = np.arange(steps)
    values = noisy(8, 40, steps)
    there = rng.random(values.shape) < 0.2
    there[:, 0] = True
    lines = np.array(
        [np.interp(days, days[seen], each[seen]) for each, seen in zip(values, there, strict=True)]
    )
    windows = nearest_windows(days, int(0.07 * steps + 1e-10))
    expected = [sm.nonparametric.lowess(each, days, frac=0.07, it=3)[:, 1] for each in lines]
    np.testing.assert_allclose(loess(lines, windows, 3, like_statsmodels=True), expected, atol=1e-9)
    calm = loess(lines, windows, 3)
    # Rounding in the last digit changes nothing else.
    other = loess(lines * (1 + 2e-16 * rng.integers(-1, 2, lines.shape)), windows, 3)
    np.testing.assert_allclose(other, calm, atol=1e-9)


def test_a_perfect_fit_stays_one():
    """The second round weighed points by the rounding of the first, and the curve left its points."""
    days = np.array([0.0, 5, 10, 15, 20, 25, 30])
    values = np.interp(days, [0, 15, 20, 30], [0.583, 0.57, 0.592, 0.592])[None]
    windows = span_windows(days, 2.1, 5)
    rough = values * (1 + 2e-16 * np.random.default_rng(1).integers(-1, 2, (50, 7)))
    smooth = loess(rough, windows, 3)
    np.testing.assert_allclose(smooth, np.broadcast_to(smooth[0], smooth.shape), atol=1e-9)


def test_a_window_of_three_points_returns_its_input():
    """As with statsmodels: the two neighbours lie at the radius and weigh nothing."""
    values = noisy(4, steps=54)
    np.testing.assert_allclose(loess(values, nearest_windows(np.arange(54), 3), 3), values, rtol=1e-14)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 0.6))
def test_missing_values_weigh_nothing(seed, share):
    """Each line by weighted least squares of its own, over the values that are there."""
    rng = np.random.default_rng(seed)
    days = np.sort(rng.choice(300, 40, replace=False)).astype(float)
    values = noisy(seed, 3, 40)
    values[rng.random(values.shape) < share] = np.nan
    windows = span_windows(days, 80.0, 5)
    smooth = loess(values, windows, 0)
    assert np.array_equal(np.isnan(smooth), np.isnan(values))
    for number, series in enumerate(values):
        there = np.isfinite(series)
        for step in np.nonzero(there)[0]:
            distance = np.abs(days - days[step]) / windows.radius[step]
            weight = np.where(there & (distance < 1), np.clip(1 - distance**3, 0, None) ** 3, 0)
            if (weight > 1e-12).sum() < 2:
                assert smooth[number, step] == pytest.approx(series[step])
                continue
            design = np.stack([np.ones(40), days - days[step]], axis=1) * np.sqrt(weight)[:, None]
            line = np.linalg.lstsq(design, np.nan_to_num(series) * np.sqrt(weight), rcond=None)[0]
            assert smooth[number, step] == pytest.approx(line[0], abs=1e-6)


def test_span_holds_five_points_where_dates_are_rare():
    days = np.array([0.0, 5, 10, 100, 200, 300, 305])
    windows = span_windows(days, 20, 5)
    weighing = [np.sum(np.abs(days - day) < radius) for day, radius in zip(days, windows.radius, strict=True)]
    assert min(weighing) >= 5
    assert (windows.radius >= 10).all()


def test_robustness_weights_ignore_what_is_missing():
    residuals = np.array([[0.1, 0.2, 0.3, 99.0]])
    present = np.array([[True, True, True, False]])
    expected = (1 - (residuals[0, :3] / (6 * 0.2)) ** 2) ** 2
    np.testing.assert_allclose(bisquare(residuals, median(residuals, present))[0, :3], expected)


@pytest.mark.parametrize(("window", "degree"), [(5, 2), (11, 2), (7, 3), (9, 1)])
def test_savgol_is_that_of_scipy(window, degree):
    values = noisy(5)
    days = 5.0 * STEPS
    smooth = polynomial(values, span_windows(days, 5.0 * (window - 1), degree + 1), degree)
    half = window // 2
    expected = savgol_filter(values, window, degree, axis=1)
    np.testing.assert_allclose(smooth[:, half:-half], expected[:, half:-half], atol=1e-10)
    # At the ends the window is what there is of it.
    ends = np.polyfit(days[: half + 1], values[0, : half + 1], min(degree, half))
    if degree <= half:
        assert smooth[0, 0] == pytest.approx(np.polyval(ends, days[0]), abs=1e-8)


def test_savgol_with_missing_values_is_a_fit_to_the_others():
    values = noisy(6, 2, 30)
    values[0, 10:13] = np.nan
    days = 5.0 * np.arange(30)
    smooth = polynomial(values, span_windows(days, 40, 3), 2)
    near = np.abs(days - days[9]) <= 20
    there = near & np.isfinite(values[0])
    fit = np.polyfit(days[there], values[0, there], 2)
    assert smooth[0, 9] == pytest.approx(np.polyval(fit, days[9]), abs=1e-8)
    assert np.isnan(smooth[0, 10:13]).all()


def test_series_do_not_depend_on_their_neighbours():
    """Results must not change with how pixels are cut into blocks."""
    values = noisy(7, 40)
    values[::3, 20:30] = np.nan
    windows = nearest_windows(STEPS, 14)
    together = loess(values, windows, 3)
    alone = np.concatenate([loess(values[start : start + 7], windows, 3) for start in range(0, 40, 7)])
    np.testing.assert_allclose(together, alone, atol=1e-12)
