"""Each step of a cube takes the raster that the rule says, beside a plain search through all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minicuber.core.attaching.date_match import Match, chosen_dates
from minicuber.core.errors import InputError

DAYS = st.lists(st.integers(0, 60), min_size=1, max_size=12)


def expected(day, dates, how, tolerance):
    """By trying all dates, one after the other."""
    if how == "exact":
        return day if day in dates else None
    allowed = [date for date in dates if not tolerance or abs(date - day) <= tolerance]
    if how == "last":
        allowed = [date for date in allowed if date <= day]
        return max(allowed, default=None)
    return min(allowed, key=lambda date: (abs(date - day), date), default=None)


@given(DAYS, DAYS, st.sampled_from(["exact", "nearest", "last"]), st.integers(0, 9))
def test_the_raster_is_that_of_a_search_through_all(days, dates, how, tolerance):
    days, dates = sorted(days), sorted(set(dates))
    found = Match(how, tolerance).places(np.array(days, "datetime64[D]"), np.array(dates, "datetime64[D]"))
    assert [None if place < 0 else dates[place] for place in found] == [
        expected(day, dates, how, tolerance) for day in days
    ]


def test_no_match_names_both_periods():
    days, dates = (np.array(each, "datetime64[D]") for each in (["2021-06-01", "2021-06-30"], ["2020-05-01"]))
    with pytest.raises(
        InputError, match=r"No raster of vhi .* of 2020-05-01, the cube is of 2021-06-01 to 2021-06-30"
    ):
        chosen_dates("vhi", dates, days, Match("exact"))
    assert str(chosen_dates("vhi", dates, days, Match("last"))[1]) == "2020-05-01"


@pytest.mark.parametrize(("how", "tolerance"), [("before", 0), ("last", -1)])
def test_unknown_rules_are_refused(how, tolerance):
    with pytest.raises(InputError, match="DATE_"):
        Match(how, tolerance)
