"""One set-up at a time: a lock that the system gives back when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

from ..errors import EnvironmentProblem
from ..progress import Progress

# The lock of Windows bars others from reading the locked bytes: lock one far behind the process number.
_BYTE = 1 << 20
_BUSY = {errno.EACCES, errno.EAGAIN, errno.EDEADLK, errno.EWOULDBLOCK}


@contextlib.contextmanager
def exclusive(
    path: Path, progress: Progress, log: Callable[[str], None], patience: float = 1800
) -> Iterator[None]:
    """Hold the lock file `path` for the time of the block.

    If another process holds it, wait up to `patience` seconds, then raise `EnvironmentProblem`. The file
    itself means nothing: one that a killed process left behind is taken at once, whatever number it names.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + patience
        told = False
        while not take(descriptor, log):
            holder = _holder(path)
            if time.monotonic() >= deadline:
                raise EnvironmentProblem(
                    f"Another set-up of the environment is running ({holder}).",
                    "Wait until it has finished or close the other QGIS.",
                )
            if not told:
                log(f"Waiting for another set-up of the environment ({holder}).")
                told = True
            progress.update(0.0, "Waiting for another set-up")
            time.sleep(0.2)
        # The number is for the others' message alone: a full disk must not stop us here.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, str(os.getpid()).encode("ascii"))
        yield
    finally:
        # Closing gives the lock back. The file stays: removing it would let two others hold two files.
        os.close(descriptor)


def take(descriptor: int, log: Callable[[str], None]) -> bool:
    """Try to lock an open file for this process alone; say whether it worked. Closing it gives the lock back."""
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(descriptor, _BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            return False
        log(f"This file system knows no locks ({error.strerror}): do not run two set-ups at once.")
    return True


def _holder(path: Path) -> str:
    try:
        number = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        number = ""
    return f"process {number}" if number.isdigit() else "process unknown"
