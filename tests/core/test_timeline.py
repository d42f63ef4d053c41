"""Dates: UTC instants, solar days over midnight, and periods."""

from __future__ import annotations

import datetime as dt

import pytest
from minicuber.core.errors import InputError
from minicuber.core.timeline import UTC, checked_period, parse_instant, solar_day


def test_one_overpass_is_one_solar_day_across_utc_midnight():
    before = dt.datetime(2024, 4, 19, 23, 59, tzinfo=UTC)
    after = before + dt.timedelta(minutes=2)
    assert before.date() != after.date()
    assert solar_day(before, 150.0) == solar_day(after, 150.0) == dt.date(2024, 4, 20)


def test_instants_are_utc_whatever_their_zone():
    assert parse_instant("2020-03-02T01:00:00+02:00") == dt.datetime(2020, 3, 1, 23, tzinfo=UTC)
    assert parse_instant("2020-03-02T10:27:44.563000Z").microsecond == 563000
    assert parse_instant("2020-03-02T10:27:44") == dt.datetime(2020, 3, 2, 10, 27, 44, tzinfo=UTC)


def test_end_before_start_is_refused_and_one_day_is_a_period():
    with pytest.raises(InputError, match="before START"):
        checked_period("2020-02-02", "2020-02-01")
    assert checked_period("2020-02-01", "2020-02-01") == (dt.date(2020, 2, 1),) * 2


@pytest.mark.parametrize("text", ["", "01.02.2020", "2020-13-01", "yesterday"])
def test_a_date_that_is_none_is_named(text):
    with pytest.raises(InputError, match="START is not a date"):
        checked_period(text, "2020-02-01")
