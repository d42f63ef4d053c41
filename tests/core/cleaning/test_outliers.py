"""The rule of mode robust beside a loop that follows its sentences, one pixel and date at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minicuber.core.cleaning.outliers import day_of_year, removed, removed_causally, residuals

START = np.datetime64("2017-01-03")


def by_hand(driver, days, window, least, permitted=None, until=None):
    """Residuals of one series; `until`: the date up to which values are known, None for all."""
    day = day_of_year(days)
    out = np.full(len(driver), np.nan)
    for step in np.nonzero(np.isfinite(driver))[0]:
        known = [
            other
            for other in np.nonzero(np.isfinite(driver))[0]
            if (permitted is None or permitted[other]) and (until is None or other <= step)
        ]
        reach = window
        while True:
            apart = [min(abs(day[other] - day[step]), 365 - abs(day[other] - day[step])) for other in known]
            group = [
                driver[other] for other, days_apart in zip(known, apart, strict=True) if days_apart <= reach
            ]
            if len(group) >= least or reach > 182:
                break
            reach *= 2
        middle = np.median(np.array(group, float)) if group else 0.0
        spread = 1.4826 * np.median(np.abs(np.array(group, float) - middle)) if group else 0.0
        out[step] = (float(driver[step]) - middle) / spread if spread > 0 else 0.0
    return out


@st.composite
def series(draw):
    steps = draw(st.integers(1, 160))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    days = START + np.cumsum(rng.integers(1, 12, steps))
    values = (0.5 + 0.2 * np.sin(np.arange(steps) / 12) + rng.normal(0, 0.05, (3, steps))).astype(np.float32)
    if draw(st.booleans()):
        values = np.round(values, 1)  # ties, and groups without spread
    values[rng.random(values.shape) < draw(st.sampled_from([0.0, 0.5, 0.95]))] = np.nan
    return values, days


@settings(max_examples=60, deadline=None)
@given(series(), st.sampled_from([5, 30, 200]), st.sampled_from([1, 8, 40]), st.booleans())
def test_residuals_are_those_of_the_rule(given_series, window, least, causal):
    values, days = given_series
    found = residuals(values, days, window, least, causal=causal)
    for row, result in zip(values, found, strict=True):
        np.testing.assert_allclose(result, by_hand(row, days, window, least, until=causal or None), atol=1e-6)


def test_usual_course_comes_of_the_permitted_years():
    """Thresholds of training years alone, where a later year is to be judged by them."""
    days = START + 5 * np.arange(219)
    values = np.random.default_rng(2).normal(0.5, 0.1, (2, 219)).astype(np.float32)
    values[:, 146:] -= 0.3
    permitted = days < np.datetime64("2019-01-01")
    found = residuals(values, days, 30, 8, permitted)
    for row, result in zip(values, found, strict=True):
        np.testing.assert_allclose(result, by_hand(row, days, 30, 8, permitted), atol=1e-6)
    assert np.median(found[:, 146:]) < -2


def test_december_is_near_january():
    assert residuals(
        np.array([[1.0, 0.9, 0.1, 0.95, 0.2]]), np.array(["2018-12-30", "2019-01-02", "2019-07-01", "2019-12-29",
        "2019-07-03"], "datetime64[D]"), 10, 2,
    )[0, 0] > 0  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(series(), st.sampled_from([0.0, 0.05, 0.29, 0.5, 1.0]))
def test_the_share_that_goes_is_the_one_that_is_said(given_series, fraction):
    """The study said 5 % and removed 12 to 27 %."""
    values, days = given_series
    unusual = residuals(values, days, 30, 8)
    gone = removed(unusual, fraction)
    for row, out in zip(unusual, gone, strict=True):
        count = np.isfinite(row).sum()
        quota = math.floor(round(fraction * count, 6))
        assert out.sum() == min(quota, np.sum(row < 0))
        if out.any():
            kept = row[np.isfinite(row) & ~out]
            assert row[out].max() < 0 and (not len(kept) or row[out].max() <= kept.min() + 1e-12)


@pytest.mark.parametrize("fraction", [0.05, 0.5])
def test_constant_series_lose_nothing(fraction):
    days = START + 5 * np.arange(100)
    assert not removed(residuals(np.full((1, 100), 0.4, np.float32), days, 30, 8), fraction).any()


@settings(max_examples=60, deadline=None)
@given(series(), st.sampled_from([0.05, 0.3, 1.0]))
def test_causal_decisions_are_those_of_the_past(given_series, fraction):
    """Each date is decided as if nothing came after it."""
    values, days = given_series
    whole = removed_causally(residuals(values, days, 30, 8, causal=True), fraction)
    for step in range(0, len(days), 7):
        known = slice(0, step + 1)
        unusual = residuals(values[:, known], days[known], 30, 8, causal=True)
        for row, out in zip(unusual, whole, strict=True):
            clear = row[np.isfinite(row)]
            quota = math.floor(round(fraction * len(clear), 6))
            lower = np.sum(row[:-1] <= row[-1]) if np.isfinite(row[-1]) else 0
            expected = np.isfinite(row[-1]) and row[-1] < 0 and lower < quota
            assert out[step] == expected
