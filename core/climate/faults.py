"""What servers of climate data do wrong: what passes is asked for again, what stays becomes one sentence."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp

from ..errors import AbsentError, SourceError
from ..secrets import redacted

log = logging.getLogger(__name__)

ATTEMPTS = 5
PAUSE = 0.5  # seconds before the second attempt, twice as long before each further one

T = TypeVar("T")


async def patiently_awaited(ask: Callable[[], Awaitable[T]], what: str) -> T:
    """As `patiently`, of what is awaited; `what`: for the log."""
    for attempt in range(ATTEMPTS):
        try:
            return await ask()
        except Exception as error:
            if attempt == ATTEMPTS - 1 or not is_passing(error):
                raise
            log.info("%s: %s; it is asked for again.", what, type(error).__name__)
            await asyncio.sleep(PAUSE * 2**attempt)
    raise AssertionError("unreachable")


def patiently(ask: Callable[[], T]) -> T:
    """What `ask` gives, which is called again when a server stumbles."""
    for attempt in range(ATTEMPTS):
        try:
            return ask()
        except Exception as error:
            if attempt == ATTEMPTS - 1 or not is_passing(error):
                raise
            log.info("%s; it is asked for again.", type(error).__name__)
            time.sleep(PAUSE * 2**attempt)
    raise AssertionError("unreachable")


def is_passing(error: BaseException) -> bool:
    """Whether asking again may help."""
    if isinstance(error, aiohttp.ClientResponseError):
        return error.status == 429 or error.status >= 500
    if isinstance(error, (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)):
        return False
    return isinstance(error, (aiohttp.ClientError, asyncio.TimeoutError, OSError))


def explained(error: BaseException, url: str) -> SourceError:
    """What went wrong with a store, in one sentence."""
    chain, todo = [], [error]
    while todo:
        each = todo.pop()
        if each is not None and each not in chain:
            chain.append(each)
            todo += [*getattr(each, "exceptions", ()), each.__cause__ or each.__context__]
    for each in chain:
        if isinstance(each, SourceError):  # of a signature, say
            return each
    place = redacted(url)
    statuses = [each.status for each in chain if isinstance(each, aiohttp.ClientResponseError)]
    text = " ".join(str(each) for each in chain)
    denied = any(status in (401, 403) for status in statuses) or any(
        isinstance(e, PermissionError) for e in chain
    )
    if denied or "access denied" in text.lower():
        status = f" (HTTP {statuses[0]})" if statuses else ""
        return SourceError(
            f"The climate store at {place} refuses access{status}.",
            "Check the token or the keys in ERA5_AUTH.",
            lasting=True,
        )
    absent = ("not found", "doesn't exist", "does not exist", "nosuchbucket", "no such bucket")
    if any(isinstance(e, (FileNotFoundError, KeyError)) for e in chain) or any(
        words in text.lower() for words in absent
    ):
        return AbsentError(f"There is no climate store at {place}.", "Check ERA5_SOURCE.", lasting=True)
    reason = f"HTTP {statuses[0]}" if statuses else type(error).__name__
    if statuses or any(map(is_passing, chain)):
        return SourceError(f"The climate store at {place} cannot be read ({reason}).", "Try again later.")
    return SourceError(
        f"The climate store at {place} cannot be read ({reason}).",
        "It is damaged, or of a kind that is not known here; the log says more.",
        details=" ".join(text.split())[:500],
        lasting=True,
    )
