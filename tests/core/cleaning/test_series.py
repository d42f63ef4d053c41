"""Gaps and straight lines beside loops and numpy's `interp`."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from minicuber.core.cleaning.series import Gaps, filled_linearly

MISSING = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=25))


@given(MISSING)
def test_longest_gap_counts_ends_too(missing):
    """The study's own count forgot neither end; a gap that lasts to the end of the series is one."""
    expected = [max([len(list(run)) for gone, run in groupby(row) if gone], default=0) for row in missing]
    np.testing.assert_array_equal(Gaps(missing).longest, expected)


@settings(max_examples=200)
@given(MISSING, st.integers(0, 26), st.integers(0, 26), st.integers(0, 1000))
def test_lines_are_those_of_interp_within_their_limits(missing, longest, beyond, seed):
    rng = np.random.default_rng(seed)
    values = np.where(missing, np.nan, rng.normal(size=missing.shape)).astype(np.float32)
    days = np.cumsum(rng.integers(1, 20, missing.shape[1])).astype(float)
    filled = filled_linearly(values, days, Gaps(missing), longest, beyond)
    for row, gone, result in zip(values, missing, filled, strict=True):
        expected = row.astype(float)
        there = np.nonzero(~gone)[0]
        if len(there):
            line = np.interp(days, days[there], row[there])
            for first, second in zip(there[:-1], there[1:], strict=True):
                if second - first - 1 <= longest:
                    expected[first + 1 : second] = line[first + 1 : second]
            expected[max(there[0] - beyond, 0) : there[0]] = row[there[0]]
            expected[there[-1] + 1 : there[-1] + 1 + beyond] = row[there[-1]]
        np.testing.assert_allclose(result, expected, rtol=1e-12)


def test_what_was_seen_stays_to_the_bit():
    values = np.array([[0.1, np.nan, 0.3, 0.7]], np.float32)
    filled = filled_linearly(values, np.arange(4.0), Gaps(np.isnan(values)), 9, 9)
    assert np.array_equal(filled.astype(np.float32)[:, [0, 2, 3]], values[:, [0, 2, 3]])


@pytest.mark.parametrize("values", [np.full((2, 5), np.nan), np.full((0, 5), 1.0)])
def test_nothing_to_fill_from(values):
    filled = filled_linearly(values, np.arange(5.0), Gaps(np.isnan(values)), 9, 9)
    np.testing.assert_array_equal(filled, values)
