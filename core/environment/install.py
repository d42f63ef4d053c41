"""Makes the private environment, and removes all that was made."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Callable, Optional

from ..errors import MinicuberError
from ..progress import Progress
from .environment import Environment
from .maker import Maker
from .masking import Masker
from .mutex import exclusive
from .pip_errors import classify
from .processes import child_environ
from .requirements import Requirements
from .storage import LOCK_NAME, LOG_NAME, check_writable, discard, ours

Log = Callable[[str], None]
_LARGEST_LOG = 500_000


def set_up(
    base: Path,
    *,
    preferred: Optional[str] = None,
    wheels: Optional[Path] = None,
    recreate: bool = False,
    allow_uv: bool = False,
    extra_environ: Optional[Mapping[str, str]] = None,
    progress: Optional[Progress] = None,
    log: Log = lambda line: None,
    requirements: Optional[Requirements] = None,
    environ: Optional[Mapping[str, str]] = None,
) -> Environment:
    """Make the environment of `requirements` (default: the product's) under `base` and return it, complete.

    `preferred`: the Python to make it with; `wheels`: a folder of wheels, then no network is used;
    `recreate`: even if it is complete; `allow_uv`: the user agrees that uv may fetch a Python;
    `extra_environ`: proxies, certificates and the like for the children; `environ`: what they start from
    (default: our own).

    A second set-up at the same time waits for the first. A half-made environment is removed and made anew;
    one that was complete comes back if its replacement fails. Raises `EnvironmentProblem`, `Cancelled`.
    """
    base = Path(os.path.abspath(base))
    progress = progress or Progress()
    requirements = requirements or Requirements.read()
    environ = child_environ(os.environ if environ is None else environ, extra_environ)
    check_writable(base)
    base.mkdir(parents=True, exist_ok=True)
    with exclusive(base / LOCK_NAME, progress, log), _logged(base, log, environ) as masked:
        try:
            return Maker(base, requirements, environ, progress, masked).make(
                preferred, wheels, recreate, allow_uv
            )
        except OSError as error:
            masked(f"{type(error).__name__}: {error}")
            raise classify([str(error)]) from error


def remove(base: Path, log: Log = lambda line: None) -> list[str]:
    """Remove all that was ever made under `base`, half-made and fetched things too; return their names.

    What is in use is logged and stays. Raises `EnvironmentProblem` while a set-up is running.
    """
    base = Path(base)
    if not base.is_dir():
        return []
    removed = []
    with exclusive(base / LOCK_NAME, Progress(), log, patience=0):
        for path in sorted(base.iterdir()):
            if ours(path.name) and discard(path, log):
                removed.append(path.name)
    for name in (LOG_NAME, LOCK_NAME):
        with contextlib.suppress(OSError):
            (base / name).unlink()
    with contextlib.suppress(OSError):
        base.rmdir()
    return removed


@contextlib.contextmanager
def _logged(base: Path, log: Log, environ: Mapping[str, str]) -> Iterator[Log]:
    """Give a log that masks secrets, and writes to base/setup.log too, for the report."""
    mask = Masker(environ)
    path = base / LOG_NAME
    # A later run that finds all complete must not wipe the log of the one that made it.
    mode = "a" if path.is_file() and path.stat().st_size < _LARGEST_LOG else "w"
    with open(path, f"{mode}b", buffering=0) as file:

        def keep(line: str) -> None:
            # A full disk shows here first: it must not hide what led to it, nor stop the clearing up.
            with contextlib.suppress(OSError):
                file.write(f"{line}\n".encode())

        def write(line: str) -> None:
            line = mask(line)
            keep(line)
            log(line)

        keep(datetime.now(timezone.utc).isoformat(timespec="seconds"))
        try:
            yield write
        except MinicuberError as error:
            error.message, error.hint = mask(error.message), mask(error.hint)
            error.args = (error.message,)
            keep(f"{type(error).__name__}: {error}")
            raise
