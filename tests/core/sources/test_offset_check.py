"""An offset applied twice or not at all shows in dark pixels; seasons, clouds and haze do not."""

from __future__ import annotations

import numpy as np
import pytest
from minicuber.core.sources.offset_check import OffsetCheck

SHAPE = (40, 40)


def series(check, kind, shift=0.0, dates=6, seed=0, clouds=0.3):
    rng = np.random.default_rng(seed)
    ground = np.linspace(0.02, 0.35, SHAPE[0] * SHAPE[1]).reshape(SHAPE)
    for number in range(dates):
        season = 0.01 * np.sin(number)
        image = ground + season + rng.normal(0, 0.004, SHAPE)
        cloudy = rng.random(SHAPE) < clouds
        image = np.where(cloudy, image + 0.4, image) + shift
        check.add(kind, image, ~cloudy)


@pytest.mark.parametrize(("shift", "low", "high"), [(0.1, "03.01", "05.00"), (-0.1, "05.00", "03.01")])
def test_step_of_1000_dn_across_a_change_of_baseline_is_reported(shift, low, high):
    check = OffsetCheck()
    series(check, "03.01", dates=8)
    series(check, "05.00", shift, seed=1)
    (step,) = check.steps()
    assert (step.low, step.high) == (low, high)
    assert step.step == pytest.approx(0.1, abs=0.02)
    assert "0.1" in str(step) and low in str(step)


def test_two_baselines_with_the_right_offsets_are_not_reported():
    check = OffsetCheck()
    series(check, "03.01")
    series(check, "05.00", seed=1)
    assert check.steps() == []


def test_few_cloudy_dates_prove_nothing():
    check = OffsetCheck()
    series(check, "03.01")
    series(check, "05.00", 0.1, dates=2)
    assert check.steps() == []


def test_cloudy_pixels_do_not_count():
    check = OffsetCheck()
    series(check, "03.01")
    for _ in range(5):
        check.add("05.00", np.full(SHAPE, 0.12), np.zeros(SHAPE, bool))
    assert check.steps() == []


def test_images_that_share_no_pixel_are_not_compared():
    check = OffsetCheck()
    west, east = np.full(SHAPE, np.nan), np.full(SHAPE, np.nan)
    west[:, :20], east[:, 20:] = 0.02, 0.12
    for _ in range(4):
        check.add("03.01", west, None)
        check.add("05.00", east, None)
    assert check.steps() == []
