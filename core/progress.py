"""How a job says how far it is, and learns that it shall stop.

A job takes one `Progress` and calls it between its steps. The worker, QGIS and notebooks each pass
their own; this base class does nothing but remember a cancel. Standard library only, Python 3.9.
"""

from __future__ import annotations

import threading
from pathlib import Path

from .errors import Cancelled


class Progress:
    """Receives progress in numbers and words; thread-safe.

    `update(fraction, text)`: fraction 0 to 1 of the whole job, text what happens now.
    `raise_if_cancelled()` raises `Cancelled`; `update` calls it too.
    `scratch(path)` announces a temporary file or folder that the job will remove itself, so that
    whoever started the job can remove it if the job dies.
    """

    def __init__(self) -> None:
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Ask the job to stop at its next `update` or `raise_if_cancelled`."""
        self._cancelled.set()

    def raise_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled()

    def update(self, fraction: float, text: str = "") -> None:
        self.raise_if_cancelled()
        self.show(min(max(float(fraction), 0.0), 1.0), text)

    def show(self, fraction: float, text: str) -> None:
        """What a subclass does with an update; the base class drops it."""

    def scratch(self, path: Path) -> None:
        """What a subclass does with an announced temporary path; the base class drops it."""

    def release(self, path: Path) -> None:
        """To be called just before `path` is replaced: whoever shows it lets go of it before this returns.

        What a subclass does; the base class knows of nobody.
        """

    def part(self, start: float, end: float) -> Progress:
        """A view of the stretch `start`..`end` of this progress, for a job inside a job."""
        return _Part(self, start, end)


class _Part(Progress):
    def __init__(self, whole: Progress, start: float, end: float) -> None:
        super().__init__()
        self._whole, self._start, self._end = whole, start, end
        self._cancelled = whole._cancelled

    def raise_if_cancelled(self) -> None:
        # The whole may learn of a cancel only by being asked (QGIS's feedback).
        self._whole.raise_if_cancelled()

    def show(self, fraction: float, text: str) -> None:
        self._whole.show(self._start + fraction * (self._end - self._start), text)

    def scratch(self, path: Path) -> None:
        self._whole.scratch(path)

    def release(self, path: Path) -> None:
        self._whole.release(path)
