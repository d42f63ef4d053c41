"""Dates of a cube: days, solar days, regular steps and their order. Pure time, no input or output."""

from __future__ import annotations

import datetime as dt
import os

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


def now() -> dt.datetime:
    """The time of a run, UTC; that of SOURCE_DATE_EPOCH where it is set, so that runs can be repeated."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return dt.datetime.fromtimestamp(int(epoch), UTC) if epoch else dt.datetime.now(UTC)


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


def regular_days(first: dt.date, last: dt.date, step_days: int) -> list[dt.date]:
    """The dates of a regular axis: D_k = first + (k + 1) x `step_days` - 1 day, none after `last`.

    Step k takes what lies in the `step_days` days that end on D_k. Raises `InputError` when not even one step
    fits.
    """
    count = ((last - first).days + 1) // step_days
    if count < 1:
        raise InputError(
            f"The period from {first} to {last} is shorter than one step of {step_days} days.",
            "Choose a longer period or a smaller STEP_DAYS.",
        )
    return [first + dt.timedelta(days=(k + 1) * step_days - 1) for k in range(count)]
