"""Which date is shown first."""

from __future__ import annotations

import math

from minicuber.core.cube.describe import best_date


def test_clearest_date_is_shown_and_of_equals_the_sunniest():
    assert best_date([0.2, 0.9, 0.5], [60, 20, 60]) == 2
    assert best_date([1.0, 0.998, 0.7], [20, 60, 65]) == 2


def test_nothing_known_is_the_first_date_or_the_sunniest():
    nan = math.nan
    assert best_date([nan, nan], [nan, nan]) == 1
    assert best_date([nan, nan], [20.0, 30.0]) == 2
