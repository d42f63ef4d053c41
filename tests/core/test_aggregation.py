"""No hour is lost or counted twice: rain of 1 mm/h is 24 mm a day in every step, wherever its days lie."""

from __future__ import annotations

import datetime as dt
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minicuber.core.aggregation import (
    DAY,
    Series,
    Windows,
    aggregated,
    cell_method,
    checked_aggregation,
    single_days,
    windows_of,
)
from minicuber.core.errors import InputError

HOUR = np.timedelta64(1, "h")
# Over a month's end, a leap day, a year's end; irregular, with a gap of weeks, two dates on neighbouring days.
AXES = {
    "month's end": ["2021-01-28", "2021-02-02", "2021-02-27", "2021-03-04"],
    "leap day": ["2020-02-26", "2020-02-29", "2020-03-01", "2020-03-06"],
    "no leap day": ["2021-02-26", "2021-03-01", "2021-03-06"],
    "year's end": ["2020-12-30", "2020-12-31", "2021-01-01", "2021-01-11"],
    "gap": ["2020-06-03", "2020-06-05", "2020-06-08", "2020-09-21", "2020-09-22"],
}
ONE_DAY = Windows(np.array(["2020-01-01"], "datetime64[D]"), np.array(["2020-01-01"], "datetime64[D]"))


def days(texts) -> np.ndarray:
    return np.array(texts, "datetime64[D]")


def hourly(first: str, last: str, ending: bool, values=None) -> Series:
    """A value for each hour of the days `first` to `last`."""
    start = np.datetime64(first, "s") + (HOUR if ending else 0 * HOUR)
    stamps = np.arange(start, start + (days([last])[0] + DAY - days([first])[0]), HOUR)
    return Series(stamps, np.ones(len(stamps)) if values is None else values(len(stamps)), HOUR, ending)


@pytest.mark.parametrize("ending", [True, False])
@pytest.mark.parametrize("axis", AXES)
def test_one_millimetre_an_hour_is_24_a_day_in_every_step(axis, ending):
    windows = windows_of(days(AXES[axis]), "since_previous", 5)
    found = aggregated(hourly("2019-12-01", "2021-12-31", ending), windows, "sum")
    lengths = (windows.last - windows.first) / DAY + 1
    np.testing.assert_array_equal(found, 24 * lengths)
    assert lengths[0] == 5
    assert lengths[1:].tolist() == np.diff(days(AXES[axis])).astype(int).tolist()


@pytest.mark.parametrize("ending", [True, False])
@pytest.mark.parametrize("axis", AXES)
def test_sum_of_the_steps_is_the_sum_of_all_hours(axis, ending):
    """Of a ramp, in which no hour is like another."""
    windows = windows_of(days(AXES[axis]), "since_previous", 5)
    series = hourly(str(windows.days[0]), str(windows.days[-1]), ending, lambda n: np.arange(n) + 1.0)
    assert aggregated(series, windows, "sum").sum() == series.values.sum()


def test_last_hour_of_month_is_counted():
    """Hour-ending rain of the hour before midnight has the stamp of the next month's first day."""
    stamps = np.array(["2020-01-31T23:00", "2020-02-01T00:00", "2020-02-01T01:00"], "datetime64[s]")
    windows = single_days(np.datetime64("2020-01-31"), np.datetime64("2020-02-01"))
    values = np.array([1.0, 10.0, 100.0])
    assert aggregated(Series(stamps, values, HOUR, True), windows, "sum", 0).tolist() == [11, 100]
    assert aggregated(Series(stamps, values, HOUR, False), windows, "sum", 0).tolist() == [1, 110]


@given(
    gaps=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    first=st.dates(dt.date(1980, 1, 1), dt.date(2030, 1, 1)),
    step_days=st.integers(1, 20),
    seconds=st.lists(st.integers(0, 3600 * 24 * 200), min_size=1, max_size=50),
    whole_hours=st.booleans(),
    ending=st.booleans(),
)
def test_every_stamp_is_in_exactly_one_window(gaps, first, step_days, seconds, whole_hours, ending):
    windows = windows_of(np.datetime64(first) + np.cumsum([0, *gaps]), "since_previous", step_days)
    begin, end = windows.bounds[0, 0].astype("datetime64[s]"), windows.bounds[-1, 1].astype("datetime64[s]")
    offsets = np.array(seconds) // 3600 * 3600 if whole_hours else np.array(seconds)
    stamps = np.sort(begin + offsets.astype("timedelta64[s]"))
    inside = (stamps > begin) & (stamps <= end) if ending else (stamps >= begin) & (stamps < end)
    starts, stops = Series(stamps, stamps, HOUR, ending).stamps_of(windows)
    taken = np.zeros(len(stamps), int)
    for start, stop in zip(starts, stops, strict=True):
        taken[start:stop] += 1
    np.testing.assert_array_equal(taken, inside.astype(int))


def test_trailing_takes_the_last_days_of_every_date():
    windows = windows_of(days(AXES["gap"]), "trailing", 5)
    assert ((windows.last - windows.first) / DAY + 1 == 5).all()
    # Days of overlapping windows count in both, those of the gap in none.
    found = aggregated(hourly("2020-05-01", "2020-12-31", True), windows, "sum")
    assert found.tolist() == [120.0] * 5


@pytest.mark.parametrize("window", ["since_previous", "trailing"])
@pytest.mark.parametrize("length", [1, 5, 30])
def test_first_step_is_step_days_long(window, length):
    windows = windows_of([dt.date(2020, 3, 3), dt.date(2020, 3, 20)], window, length)
    assert windows.first[0] == np.datetime64("2020-03-03") - (length - 1) * DAY
    assert windows.bounds[0].tolist() == [windows.first[0].item(), dt.date(2020, 3, 4)]
    assert windows.days[-1] == np.datetime64("2020-03-20")


def test_step_with_a_missing_hour_is_missing_unless_a_share_allows_it():
    series = hourly("2020-01-01", "2020-01-02", False)
    lost = Series(np.delete(series.stamps, 30), np.delete(series.values, 30), HOUR)
    series.values[30] = np.nan
    windows = single_days(np.datetime64("2020-01-01"), np.datetime64("2020-01-02"))
    for each in (series, lost):  # whether it is there as NaN, or not at all
        np.testing.assert_array_equal(aggregated(each, windows, "sum"), [24, np.nan])
        np.testing.assert_array_equal(aggregated(each, windows, "sum", 23 / 24), [24, 23])
        np.testing.assert_array_equal(aggregated(each, windows, "mean", 0.96), [1, np.nan])


def test_hour_ending_series_that_stops_at_23_cannot_complete_its_last_day():
    series = hourly("2020-01-01", "2020-01-02", True)
    windows = single_days(np.datetime64("2020-01-01"), np.datetime64("2020-01-02"))
    short = Series(series.stamps[:-1], series.values[:-1], HOUR, True)
    np.testing.assert_array_equal(aggregated(short, windows, "sum"), [24, np.nan])


def test_without_a_share_a_step_takes_what_is_there_and_nothing_is_missing():
    stamps = np.array(["2020-01-01T10:00", "2020-01-03T10:00"], "datetime64[s]")
    windows = single_days(np.datetime64("2020-01-01"), np.datetime64("2020-01-04"))
    values = np.array([[1.0, np.nan], [3.0, 4.0]])
    found = aggregated(Series(stamps, values, DAY), windows, "mean", 0)
    np.testing.assert_array_equal(found, [[1, np.nan], [np.nan, np.nan], [3, 4], [np.nan, np.nan]])


NUMPY = {
    "mean": np.nanmean, "min": np.nanmin, "max": np.nanmax, "sum": np.nansum, "median": np.nanmedian, "std": np.nanstd,
    **{f"p{q:g}": (lambda v, axis, q=q: np.nanpercentile(v, q, axis=axis)) for q in (0, 2.5, 5, 50, 95, 100)},
}  # fmt: skip


@pytest.mark.parametrize("how", NUMPY)
@pytest.mark.parametrize("gaps", [False, True])
def test_aggregations_are_those_of_numpy(how, gaps):
    rng = np.random.default_rng(4)
    values = rng.normal(size=(24, 3, 4))
    if gaps:
        values[rng.random(values.shape) < 0.4] = np.nan
        values[0] = 7.0
        values[:, 1, 1] = np.nan
    stamps = np.datetime64("2020-01-01", "s") + np.arange(24) * HOUR
    (found,) = aggregated(Series(stamps, values, HOUR), ONE_DAY, how, 0)
    assert np.isnan(found[1, 1]) == gaps
    known = np.ones((3, 4), bool)
    known[1, 1] = not gaps
    np.testing.assert_allclose(found[known], NUMPY[how](values[:, known], axis=0), rtol=1e-13)


@pytest.mark.parametrize(
    ("text", "name"), [(" Mean ", "mean"), ("P95", "p95"), ("p05", "p5"), ("p2.5", "p2.5"), ("p100", "p100")]
)
def test_aggregation_is_written_in_one_way(text, name):
    assert checked_aggregation(text) == name


@pytest.mark.parametrize("text", ["", "average", "p", "p101", "95", "p-5", "p5%", "nan", "first"])
def test_unknown_aggregation_is_refused_with_those_there_are(text):
    with pytest.raises(InputError, match=r"Unknown aggregation: .* mean, min, max, sum, median, std"):
        checked_aggregation(text)


def test_unknown_window_and_dates_that_do_not_rise_are_refused():
    with pytest.raises(InputError, match=r"Unknown window: 'next'.* since_previous, trailing"):
        windows_of(days(["2020-01-01"]), "next", 5)
    for axis in ([], ["2020-01-02", "2020-01-01"], ["2020-01-01", "2020-01-01"]):
        with pytest.raises(InputError, match="do not rise"):
            windows_of(days(axis), "since_previous", 5)


def test_cell_methods_are_words_of_cf():
    assert cell_method("max") == "time: maximum"
    assert cell_method("std") == "time: standard_deviation"
    assert cell_method("p95") == "time: point (percentile 95 of the step)"


@pytest.mark.parametrize("how", ["median", "p5", "p37.5", "p100", "p0"])
def test_quantiles_of_series_with_gaps_are_those_of_numpy(how):
    rng = np.random.default_rng(3)
    values = rng.normal(size=(40, 30))
    values[rng.random(values.shape) < 0.4] = np.nan
    values[:, 0] = np.nan
    values[5:, 1] = np.nan
    stamps = np.datetime64("2021-01-01", "s") + np.arange(40) * np.timedelta64(86400, "s")
    found = aggregated(
        Series(stamps, values, np.timedelta64(86400, "s")),
        Windows(np.array(["2021-01-01"], "M8[D]"), np.array(["2021-02-09"], "M8[D]")),
        how,
        0.0,
    )
    share = 50 if how == "median" else float(how[1:])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numpy's, of series without a value
        np.testing.assert_allclose(found[0], np.nanpercentile(values, share, axis=0), rtol=1e-12)
