"""Windows beside a plain loop over dates."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minicuber.core.dataset.parameters import ExportParameters
from minicuber.core.dataset.windows import in_season, typical_step, window_starts
from minicuber.core.errors import InputError


def by_hand(days: list[dt.date], p: ExportParameters, season, excluded) -> list[int]:
    found = []
    for start in range(0, len(days), p.stride):
        window = days[start : start + p.context + p.target + p.shift]
        if len(window) < p.context + p.target + p.shift:
            break
        first = (window[p.context].month, window[p.context].day)
        if season:
            begin, end = season
            inside = begin <= first < end if begin < end else first >= begin or first < end
            if not inside:
                continue
        if p.max_step_days and any(
            (b - a).days > p.max_step_days for a, b in zip(window, window[1:], strict=False)
        ):
            continue
        if any(low <= day <= high for day in window for low, high in excluded):
            continue
        found.append(start)
    return found


month_day = st.tuples(st.integers(1, 12), st.integers(1, 28))


@given(
    steps=st.lists(st.integers(0, 40), min_size=12, max_size=90),
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 4), st.integers(0, 3)),
    longest=st.integers(0, 30),
    season=st.none() | st.tuples(month_day, month_day).filter(lambda s: s[0] != s[1]),
    year=st.none() | st.integers(2018, 2021),
)
def test_windows_are_those_of_a_loop_over_dates(steps, sizes, longest, season, year):
    days = [dt.date(2017, 11, 3) + dt.timedelta(days=int(n)) for n in np.cumsum([0, *steps])]
    text = "" if season is None else "/".join(f"{month:02d}-{day:02d}" for month, day in season)
    p = ExportParameters(
        context=sizes[0], target=sizes[1], stride=sizes[2], shift=sizes[3], max_step_days=longest, season=text,
        exclude=f"{year or ''}",
    )  # fmt: skip
    excluded = [(dt.date(year, 1, 1), dt.date(year, 12, 31))] if year else []
    starts, dropped = window_starts(np.array(days, "datetime64[D]"), p, "x.nc")
    assert starts.tolist() == by_hand(days, p, season, excluded)
    every = range(0, len(days) - (p.context + p.target + p.shift) + 1, p.stride)
    assert len(starts) + dropped.total() == len(every)


def test_the_seasons_end_is_exclusive_and_may_wrap_the_new_year():
    days = np.array(["2019-05-31", "2019-06-01", "2019-08-31", "2019-09-01", "2020-02-29"], "datetime64[D]")
    assert in_season(days, "06-01/09-01").tolist() == [False, True, True, False, False]
    assert in_season(days, "12-01/03-01").tolist() == [False, False, False, False, True]
    assert in_season(np.array(["1969-12-31"], "datetime64[D]"), "12-01/01-01").tolist() == [True]


def test_a_period_to_leave_out_counts_with_both_ends():
    days = np.arange("2020-06-01", "2020-07-01", dtype="datetime64[D]")
    p = ExportParameters(context=2, target=1, exclude="2020-06-10/2020-06-12")
    starts, _ = window_starts(days, p, "x.nc")
    touched = {day for start in starts for day in range(start, start + 3)}
    assert touched == set(range(30)) - {9, 10, 11}


@pytest.mark.parametrize("text", ["06-01", "06-31/09-01", "6-1/9-1", "06-01/06-01", "13-01/02-01"])
def test_a_season_that_is_none_is_refused(text):
    with pytest.raises(InputError, match="SEASON"):
        in_season(np.array(["2020-01-01"], "datetime64[D]"), text)


@pytest.mark.parametrize("text", ["20", "2020-06-01/2020-05-01", "2020-06-01/2020-07-01/2020-08-01", "x"])
def test_a_period_that_is_none_is_refused(text):
    with pytest.raises(InputError, match="EXCLUDE"):
        window_starts(
            np.arange("2020-01-01", "2021-01-01", dtype="datetime64[D]"), ExportParameters(exclude=text), "x"
        )


def test_typical_step():
    assert typical_step(np.array(["2020-01-01", "2020-01-06", "2020-01-11"], "datetime64[D]")) == (5, True)
    assert typical_step(np.array(["2020-01-01", "2020-01-03", "2020-01-11"], "datetime64[D]")) == (5, False)
