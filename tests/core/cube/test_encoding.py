"""Packing: exact for what the products hold, missing stays missing, and what does not fit is counted."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from minicuber.core.cube.encoding import ATMOSPHERE, CLASSES, REFLECTANCE


@given(st.lists(st.integers(1, 33_767), min_size=1), st.sampled_from([0.0, -0.1]))
def test_stored_reflectance_is_exactly_dn_plus_offset(dn, offset):
    values = np.array(dn) * 1e-4 + offset
    stored, clipped = REFLECTANCE.pack(values)
    expected = np.array(dn) + round(offset / 1e-4)
    fits = expected <= 32_767
    np.testing.assert_array_equal(stored[fits], expected[fits])
    assert clipped == np.count_nonzero(~fits)
    assert (stored[~fits] == 32_767).all()


@given(st.lists(st.floats(-3.2, 3.2), min_size=1))
def test_unpacked_differs_by_half_a_step_at_most(values):
    stored, clipped = REFLECTANCE.pack(np.array(values))
    assert clipped == 0
    np.testing.assert_allclose(REFLECTANCE.unpack(stored), values, rtol=0, atol=0.5e-4 + 1e-6)


def test_missing_is_the_fill_and_never_a_value():
    for encoding in (REFLECTANCE, ATMOSPHERE):
        stored, clipped = encoding.pack(np.array([np.nan, 0.0, -1e6, 1e6]))
        assert stored[0] == encoding.fill
        assert encoding.fill not in stored[1:]
        assert clipped == 2
        assert np.isnan(encoding.unpack(stored)[0])


def test_negative_reflectance_is_kept():
    stored, _ = REFLECTANCE.pack(np.array([-0.0123]))
    assert stored[0] == -123


def test_classes_pass_unchanged():
    values = np.arange(256, dtype=np.uint8)
    stored, clipped = CLASSES.pack(values)
    np.testing.assert_array_equal(stored, values)
    assert (clipped, CLASSES.fill) == (0, None)
