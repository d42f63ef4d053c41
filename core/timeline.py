"""Dates of a cube: days, solar days and their order. Pure time, no input or output."""

from __future__ import annotations

import datetime as dt

from .errors import InputError

UTC = dt.timezone.utc


def parse_day(text: str, name: str) -> dt.date:
    """The day of an ISO date ("2020-06-01"). Raises `InputError` naming the parameter."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{name} is not a date: {text!r}.", "Write it as 2020-06-01.") from error


def parse_instant(text: str) -> dt.datetime:
    """The instant of an RFC 3339 string, in UTC; a string without zone is taken as UTC."""
    instant = dt.datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def solar_day(instant: dt.datetime, lon: float) -> dt.date:
    """The day of the local mean solar time at a longitude (degrees): UTC + lon / 15 h.

    Images of one overpass have one solar day, also where UTC midnight falls into it.
    """
    return (instant + dt.timedelta(hours=lon / 15.0)).date()


def checked_period(start: str, end: str) -> tuple[dt.date, dt.date]:
    """Both days, inclusive. Raises `InputError` when the end comes first."""
    first, last = parse_day(start, "START"), parse_day(end, "END")
    if last < first:
        raise InputError(f"END ({last}) is before START ({first}).", "Exchange them; both are inclusive.")
    return first, last
