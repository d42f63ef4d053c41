"""Progress of a job in a job, and cancel through any part of it."""

from __future__ import annotations

import pytest
from minicuber.core.errors import Cancelled
from minicuber.core.progress import Progress


class Kept(Progress):
    def __init__(self):
        super().__init__()
        self.shown, self.asked = [], 0

    def show(self, fraction, text):
        self.shown.append((round(fraction, 6), text))

    def raise_if_cancelled(self):
        self.asked += 1
        super().raise_if_cancelled()


def test_part_of_a_part_is_a_stretch_of_the_whole():
    whole = Kept()
    whole.part(0.5, 1.0).part(0.0, 0.5).update(0.5, "a")
    assert whole.shown == [(0.625, "a")]


def test_progress_stays_between_nothing_and_all():
    whole = Kept()
    whole.update(7, "")
    whole.part(0.2, 0.4).update(-1, "")
    assert [fraction for fraction, _ in whole.shown] == [1.0, 0.2]


def test_cancel_of_the_whole_stops_a_part_and_the_other_way_round():
    whole = Kept()
    part = whole.part(0, 1)
    whole.cancel()
    with pytest.raises(Cancelled):
        part.update(0.5)
    whole = Kept()
    whole.part(0, 1).part(0, 1).cancel()
    with pytest.raises(Cancelled):
        whole.raise_if_cancelled()


def test_whole_that_must_be_asked_is_asked_by_its_parts():
    # QGIS's feedback learns of Ctrl+C only while it is spoken to.
    whole = Kept()
    whole.part(0, 1).part(0, 1).raise_if_cancelled()
    assert whole.asked == 1
