"""The lines that client and child exchange: one JSON object each, ASCII, ended by a newline.

Client to child, first line: `{"protocol", "version", "job", "parameters", "environment"}`; later
`{"cancel": true}`, and `{"released": true}` in answer to `release`. The end of the child's standard input
means: the client is gone, stop at once.
Child to client: `hello`, `progress`, `log`, `scratch`, `release`, then one `result` or `error`.
Standard library only, Python 3.9.
"""

from __future__ import annotations

import json
from typing import Any

PROTOCOL = 1


def encode(message: dict[str, Any]) -> bytes:
    """One line for one message; ASCII, so that no console encoding can break it."""
    return json.dumps(message, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"


def decode(line: bytes) -> dict[str, Any] | None:
    """The message of a line, or None when the line is not one (a library printed something)."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
