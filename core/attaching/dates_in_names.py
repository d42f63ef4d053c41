"""Dates in the names of layers, files and bands, found only where nothing else can be meant."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from contextlib import suppress

from ..errors import InputError

Finder = Callable[[str], list[dt.date]]

# 2020-06-06, 2020_06_06, 2020.06.06 and 20200606. A longer row of digits is a number, not a date.
SEPARATED = re.compile(r"(?<!\d)((?:19|20)\d\d)([-_.])(\d\d)\2(\d\d)(?!\d)")
COMPACT = re.compile(r"(?<![\d.])((?:19|20)\d\d)(\d\d)(\d\d)(?!\d)")
# Names of products that hold another date too, that of processing; the first one is of the image.
PRODUCTS = (
    re.compile(r"S2[A-D]_(?:MSI\w{3}|\d{1,2}[A-Z]{3})_(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"),
    re.compile(r"L[COTEM]\d\d_L\w{3}_\d{6}_(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)_\d{8}"),
    re.compile(r"\.A(?P<year>\d{4})(?P<doy>\d{3})\."),  # MODIS and VIIRS: day of the year
)
DIGITS = {"Y": 4, "y": 2, "m": 2, "d": 2, "j": 3, "H": 2, "M": 2, "S": 2}
LETTERS = {"b": "[A-Za-z]{3}", "B": "[A-Za-z]+"}


def dates_in(text: str) -> list[dt.date]:
    """The different dates that a text holds, in order: those of the names of Sentinel-2, Landsat and MODIS products,
    else YYYY-MM-DD, YYYY_MM_DD, YYYY.MM.DD and YYYYMMDD of the years 1900 to 2099. A day that no calendar has is none.
    """
    for product in PRODUCTS:
        match = product.search(text)
        day = match and _day_of(match.groupdict())
        if day:
            return [day]
    found = []
    for match in SEPARATED.finditer(text):
        found.append((match.start(), _day_of({"year": match[1], "month": match[3], "day": match[4]})))
    for match in COMPACT.finditer(text):
        found.append((match.start(), _day_of({"year": match[1], "month": match[2], "day": match[3]})))
    return list(dict.fromkeys(day for _, day in sorted(found, key=lambda each: each[0]) if day))


def finder(pattern: str) -> Finder:
    """What finds dates by the user's pattern: at most one in a text, its first match.

    A pattern with a % is one of strptime (`%Y%j`, `ndvi_%d%m%Y`); what it leaves out is 1 January. Any other is a
    regular expression: its groups `year`, `month`, `day` or `doy` are the date, or its first group (without one, all
    of it) holds a date as `dates_in` finds it, or YYYYDDD. Raises `InputError`.
    """
    if "%" in pattern:
        return _by_format(pattern)
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(
            f"DATE_PATTERN is no regular expression ({error}): {pattern}.",
            r"For example %Y%j, or _(\d{8})_.",
        ) from error
    names = set(expression.groupindex)
    if names and not ({"year", "month"} <= names or {"year", "doy"} <= names or names == {"year"}):
        raise InputError(
            f"DATE_PATTERN has groups that make no date: {', '.join(sorted(names))}.",
            "Name them year, month and day, or year and doy.",
        )

    def find(text: str) -> list[dt.date]:
        match = expression.search(text)
        if match is None:
            return []
        if names:
            day = _day_of(match.groupdict())
            return [day] if day else []
        part = match[1] if expression.groups else match[0]
        if re.fullmatch(r"\d{7}", part or ""):
            day = _day_of({"year": part[:4], "doy": part[4:]})
            return [day] if day else []
        return dates_in(part or "")[:1]

    return find


def _by_format(pattern: str) -> Finder:
    expression, place, seen = "", 0, set()
    while place < len(pattern):
        letter = pattern[place + 1 : place + 2]
        if pattern[place] != "%":
            expression, place = expression + re.escape(pattern[place]), place + 1
            continue
        place += 2
        if letter == "%":
            expression += "%"
        elif letter in DIGITS and letter not in seen:
            expression += rf"\d{{{DIGITS[letter]}}}"
        elif letter in LETTERS and letter not in seen:
            expression += LETTERS[letter]
        else:
            raise InputError(
                f"DATE_PATTERN cannot use %{letter}: {pattern}.",
                f"Known, each once: {', '.join(f'%{each}' for each in (*DIGITS, *LETTERS))}.",
            )
        seen.add(letter)
    if not seen & {"Y", "y"}:
        raise InputError(f"DATE_PATTERN has no year: {pattern}.", "For example %Y-%m-%d, or %Y%j.")
    # A date within a longer number is none.
    start = r"(?<!\d)" if expression.startswith(r"\d") else ""
    end = r"(?!\d)" if expression.endswith("}") else ""
    search = re.compile(start + expression + end)

    def find(text: str) -> list[dt.date]:
        for match in search.finditer(text):
            with suppress(ValueError):
                return [dt.datetime.strptime(match[0], pattern).date()]
        return []

    return find


def _day_of(parts: dict[str, str | None]) -> dt.date | None:
    """The day of year, month and day, or of year and day of the year; None where the calendar has none."""
    try:
        year = int(parts.get("year") or 0)
        if parts.get("doy"):
            day = dt.date(year, 1, 1) + dt.timedelta(days=int(parts["doy"]) - 1)
            return day if day.year == year else None
        return dt.date(year, int(parts.get("month") or 1), int(parts.get("day") or 1))
    except (ValueError, OverflowError):
        return None
