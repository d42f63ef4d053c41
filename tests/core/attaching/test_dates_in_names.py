"""Dates are found where they are written, and nowhere else: a tile's number is no date."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minicuber.core.attaching.dates_in_names import dates_in, finder
from minicuber.core.errors import InputError


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2020-06-06", ["2020-06-06"]),
        ("Band 2: 2020-06-06", ["2020-06-06"]),
        ("ndvi_20200606", ["2020-06-06"]),
        ("ndvi_2020_06_06_v2", ["2020-06-06"]),
        ("2020.06.06T103021Z", ["2020-06-06"]),
        ("mean_20200601_20200610", ["2020-06-01", "2020-06-10"]),
        ("20200606_20200606", ["2020-06-06"]),
        # The second date of these is that of processing.
        ("S2A_MSIL2A_20200606T103031_N0214_R108_T32TMS_20210311T140000", ["2020-06-06"]),
        ("LC08_L2SP_195027_20200606_20200824_02_T1_SR_B4", ["2020-06-06"]),
        ("MOD13Q1.A2020161.h18v04.061.2020180001122", ["2020-06-09"]),
    ],
)
def test_dates_as_they_are_usually_written(text, days):
    assert [str(day) for day in dates_in(text)] == days


@pytest.mark.parametrize(
    "text",
    [
        "", "Band 2", "T32TMS", "tile_26001200", "dem_2600_1200", "20201399", "20200230", "2020-02-30", "120200606",
        "202006061", "id_12345678", "2020_0606", "2020-06_06", "0.20200606", "30200606", "2020161", "18991231",
        "20200606103021", "h18v04", "N46_00_E007_00",
    ],
)  # fmt: skip
def test_numbers_that_are_no_dates_are_not_made_dates(text):
    assert dates_in(text) == []


@given(st.dates(dt.date(1900, 1, 1), dt.date(2099, 12, 31)), st.sampled_from(["-", "_", ".", ""]))
def test_every_day_is_found_however_it_is_separated(day, mark):
    assert dates_in(f"x_{day:%Y}{mark}{day:%m}{mark}{day:%d}_y") == [day]


@pytest.mark.parametrize(
    ("pattern", "text", "day"),
    [
        ("%Y%j", "ndvi_2020158_h18", "2020-06-06"),
        ("%d%m%Y", "ndvi_06062020", "2020-06-06"),
        ("ndvi_%y%m%d", "20990101_ndvi_200606", "2020-06-06"),
        ("%d-%b-%Y", "of 06-Jun-2020", "2020-06-06"),
        ("year_%Y", "year_2018", "2018-01-01"),
        ("%Y%m%d", "99999999_20200606", "2020-06-06"),
        (r"_(\d{8})_", "20190101_20200606_x", "2020-06-06"),
        (r"(?P<day>\d\d)\.(?P<month>\d\d)\.(?P<year>\d{4})", "06.06.2020", "2020-06-06"),
        (r"A(?P<year>\d{4})(?P<doy>\d{3})", "A2020158x", "2020-06-06"),
        (r"A\d{7}", "A2020158", None),
        (r"A(\d{7})", "A2020158", "2020-06-06"),
        ("%Y%j", "2020400", None),
        ("%Y%m%d", "120200606", None),
        (r"(?P<year>\d{4})(?P<doy>\d{3})", "2021366", None),
    ],
)
def test_the_users_pattern_says_where_the_date_is(pattern, text, day):
    assert [str(each) for each in finder(pattern)(text)] == ([day] if day else [])


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "no regular expression"),
        ("%m%d", "has no year"),
        ("%Y%Q", "cannot use %Q"),
        ("%Y%Y", "cannot use %Y"),
        ("%", "cannot use %"),
        (r"(?P<month>\d\d)", "make no date"),
    ],
)
def test_a_pattern_that_cannot_be_is_one_sentence(pattern, message):
    with pytest.raises(InputError, match=message):
        finder(pattern)
