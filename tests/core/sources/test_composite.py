"""Which image a pixel of a regular step is taken from."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from minicuber.core.sources.composite import latest_clear, taken


def test_latest_clear_goes_before_a_later_cloudy_one():
    clear = np.array([True, True, False]).reshape(3, 1, 1)
    valid = np.ones((3, 1, 1), bool)
    assert latest_clear(clear, valid, valid).item() == 1


def test_without_a_clear_one_the_latest_with_a_value_counts():
    clear = np.zeros((3, 1, 1), bool)
    valid = np.array([True, True, False]).reshape(3, 1, 1)
    assert latest_clear(clear, valid, valid).item() == 1


def test_a_whole_image_goes_before_a_later_one_that_lacks_a_band():
    clear = np.zeros((2, 1, 1), bool)
    whole = np.array([True, False]).reshape(2, 1, 1)
    assert latest_clear(clear, whole, np.ones((2, 1, 1), bool)).item() == 0


@given(arrays(np.uint8, (5, 3, 4), elements=st.integers(0, 3)))
def test_choice_is_what_a_loop_over_pixels_finds(merit):
    choice = latest_clear(merit == 3, merit >= 2, merit >= 1)
    for y, x in np.ndindex(3, 4):
        best = -1
        for wanted in (3, 2, 1):
            images = [n for n in range(5) if merit[n, y, x] == wanted]
            if images:
                best = images[-1]
                break
        assert choice[y, x] == best
    values = np.arange(60, dtype=float).reshape(5, 3, 4)
    picked = taken(values, choice, np.nan)
    assert np.isnan(picked[choice < 0]).all()
    for y, x in np.argwhere(choice >= 0):
        assert picked[y, x] == values[choice[y, x], y, x]
