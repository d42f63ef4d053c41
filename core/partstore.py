"""Work in durable steps: what is finished stays finished, whatever happens to the process or the machine.

A store is a folder with the arrays of each finished step and a journal, one line of JSON per step with the
checksum of its arrays. A step counts when its line is whole and its arrays agree with it; everything else is
done again. Stores are kept by key under one root, so that a run with the same key continues.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .environment.mutex import take
from .progress import Progress

log = logging.getLogger(__name__)

JOURNAL = "journal.jsonl"
LOCK = "lock"
MAX_AGE = 30 * 86400  # seconds since its last step, after which a store is removed
MAX_BYTES = 20_000_000_000  # of all stores together; the oldest go first


class PartStore:
    """The finished steps of one piece of work. `record` may be called from one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._lines: dict[str, dict[str, Any]] = {}
        self._trusted: set[str] = set()
        self._whole = False
        self._read_journal()

    @property
    def n_finished(self) -> int:
        """How many steps the journal names."""
        return len(self._lines)

    def finished(self, step: str) -> dict[str, Any] | None:
        """What `record` was told about a step, if it is there and whole; else None."""
        line = self._lines.get(step)
        if line is None:
            return None
        if step not in self._trusted:
            try:
                with np.load(self._file(step), allow_pickle=False) as arrays:
                    found = checksum({name: arrays[name] for name in arrays.files})
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
                found = ""
            if found != line["checksum"]:
                log.warning("Step %s of an earlier run is damaged and is done again.", step)
                del self._lines[step]
                return None
            self._trusted.add(step)
        return line["info"]

    def arrays(self, step: str, *names: str) -> dict[str, np.ndarray]:
        """Arrays of a finished step by name; all of them where none is named."""
        with np.load(self._file(step), allow_pickle=False) as stored:
            return {name: stored[name] for name in names or stored.files}

    def record(self, step: str, arrays: dict[str, np.ndarray], info: dict[str, Any]) -> None:
        """Keep a step for good: its arrays, and `info` (JSON values). Raises `OSError`."""
        part = self._file(step).with_suffix(".part")
        with open(part, "wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, self._file(step))
        line = {"step": step, "checksum": checksum(arrays), "info": info}
        with open(self.folder / JOURNAL, "a", encoding="utf-8") as journal:
            journal.write(json.dumps(line) + "\n")
            journal.flush()
            os.fsync(journal.fileno())
        self._lines[step] = line
        self._trusted.add(step)

    def complete(self) -> None:
        """Say that the work is done, so that the store is of no use any more."""
        self._whole = True

    def _file(self, step: str) -> Path:
        return self.folder / f"{step}.npz"

    def _read_journal(self) -> None:
        path = self.folder / JOURNAL
        if not path.exists():
            return
        text = path.read_text(encoding="utf-8", errors="replace")
        for row in text.splitlines():
            try:
                line = json.loads(row)
                self._lines[line["step"]] = {"checksum": line["checksum"], "info": line["info"]}
            except (ValueError, KeyError, TypeError):
                # The last line of a run that was killed while it wrote it: that step is done again.
                continue
        if text and not text.endswith("\n"):
            with open(path, "a", encoding="utf-8") as journal:
                journal.write("\n")


def checksum(arrays: dict[str, np.ndarray]) -> str:
    """BLAKE2b over names, types, shapes and values."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.data if array.size else b"")
    return digest.hexdigest()


@contextlib.contextmanager
def open_store(root: Path, key: str, progress: Progress) -> Iterator[PartStore]:
    """The store of a piece of work under `root`, new or as an earlier run left it.

    It stays when the block ends by an error, and goes when `complete` was called. While another process works
    with the same key, and where `root` cannot be written, the store is a temporary one, which always goes.
    """
    folder = Path(root) / key
    lock = None
    for _ in range(3):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
            break
        except FileNotFoundError:
            continue  # another process has just removed the folder
        except OSError as error:
            log.warning(
                "%s cannot be written (%s): this run cannot be continued later.", root, error.strerror
            )
            break
    if lock is not None and not take(lock, log.warning):
        log.warning("The same is being built by another process; this run does not share its work.")
        os.close(lock)
        lock = None
    if lock is None:
        folder = Path(tempfile.mkdtemp(prefix="minicuber-"))
        progress.scratch(folder)
    else:
        clean(Path(root), keep=folder)
    store = PartStore(folder)
    if store.n_finished:
        log.info("An earlier run is continued: %d steps are finished.", store.n_finished)
    try:
        yield store
    finally:
        if lock is None or store._whole:
            _remove(folder)
        if lock is not None:
            os.close(lock)


def clean(
    root: Path, keep: Path | None = None, max_age: float = MAX_AGE, max_bytes: float = MAX_BYTES
) -> None:
    """Remove stores that nobody continued for `max_age` seconds, and the oldest of those beyond `max_bytes`."""
    stores = []
    for folder in Path(root).iterdir():
        if folder != keep and (folder / LOCK).exists():
            with contextlib.suppress(OSError):  # another process may remove it while we look
                marks = [path.stat() for path in folder.iterdir()]
                changed = max((mark.st_mtime for mark in marks), default=0.0)
                stores.append((changed, sum(mark.st_size for mark in marks), folder))
    total = sum(size for _, size, _ in stores)
    for changed, size, folder in sorted(stores):
        if (time.time() - changed > max_age or total > max_bytes) and _is_free(folder):
            log.info("The rest of an old run is removed: %s", folder)
            _remove(folder)
            total -= size


def _is_free(folder: Path) -> bool:
    """Whether no process works with a store."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        return take(lock, log.debug)
    finally:
        os.close(lock)


def _remove(folder: Path) -> None:
    # The journal first: what is half removed must not look finished.
    with contextlib.suppress(OSError):
        (folder / JOURNAL).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def default_root() -> Path:
    """Where stores are kept when nobody says otherwise: in the user's cache."""
    return _cache() / "parts"


def chunk_folder() -> Path:
    """Where chunks of remote stores are kept when nobody says otherwise."""
    return _cache() / "chunks"


def _cache() -> Path:
    home = Path.home()
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "minicuber"
