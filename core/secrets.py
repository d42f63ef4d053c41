"""What must not be in an address or a text: passwords, tokens, signatures. Standard library only, Python 3.9."""

from __future__ import annotations

import logging
import re

# A name alone before a host on the web is a token too.
_LOGIN = re.compile(r"(?:[a-z][a-z0-9+.-]*://[^/?#\s@]*:[^/?#@]*|https?://[^/?#\s@]+)@", re.IGNORECASE)
_QUERY = re.compile(
    r"[?&;#][^=&\s'\"]*(?:token|sig|key|secret|passw|credential|auth)[^=&\s'\"]*=[^&\s'\"]", re.IGNORECASE
)


def holds_secret(text: str) -> bool:
    """Whether a text has an address with a password, a token, a key or a signature in it."""
    return bool(_LOGIN.search(text) or _QUERY.search(text))


def redacted(text: str) -> str:
    """A text whose addresses have lost their logins and queries, which may hold secrets."""
    text = re.sub(r"(?i)([a-z][a-z0-9+.-]*://)(?:[^/?#\s@]*:[^/?#@]*|[^/?#\s'\"@]*)@", r"\1", text)
    return re.sub(r"(?i)((?:://|/vsi)[^\s?'\"]*)\?[^\s'\"]*", r"\1", text)


def without_queries(text: str) -> str:
    """A text of a library's without queries, which hold signatures; some stand after bare names of files."""
    return re.sub(r"\?[^\s'\"]*", "", redacted(text))


def keep_from_log(*names: str) -> None:
    """Take the queries out of all that loggers of libraries say."""
    for name in names:
        logging.getLogger(name).addFilter(_cleaned)


def _cleaned(record: logging.LogRecord) -> bool:
    record.msg, record.args = without_queries(record.getMessage()), ()
    return True
