"""The folder of a dataset: it grows beside its place, is continued where a run died, and takes its place at the end."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..cube.part import recover
from ..errors import InputError, StorageError
from ..partstore import PartStore, clean, open_store
from ..progress import Progress

DOCUMENT = "dataset.json"


@dataclass(frozen=True)
class Growing:
    """A dataset in the making: its folder, and the journal of what is finished."""

    folder: Path
    store: PartStore


def checked_folder(text: str) -> Path:
    """The absolute path of a dataset to write. Raises `InputError` where something else is, which nobody wants
    replaced."""
    path = Path(text).absolute()
    if path.is_file():
        raise InputError(f"OUTPUT is a file, not a folder: {path}.", "Choose another name.")
    if path.is_dir() and not (path / DOCUMENT).is_file() and any(path.iterdir()):
        raise InputError(
            f"OUTPUT is a folder that holds something else than a dataset: {path}.",
            "Choose an empty folder or a new one.",
        )
    return path


@contextlib.contextmanager
def growing(target: Path, key: str, progress: Progress) -> Iterator[Growing]:
    """The dataset `target` in the making, as a run with the same `key` left it; what others left goes.

    It takes its place with `commit`. Raises `StorageError` when it cannot be written, or another process writes it.
    """
    root = target.with_name(f".{target.name}.parts")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        recover(target)
        root.mkdir(exist_ok=True)
        with open_store(root, key, progress) as store:
            if store.folder.parent != root:
                raise StorageError(
                    f"{target} is being written by another process, or its folder cannot be written.",
                    "Wait for it, or choose another name.",
                )
            clean(root, keep=store.folder, max_age=-1.0)
            folder = store.folder / "dataset"
            folder.mkdir(exist_ok=True)
            try:
                yield Growing(folder, store)
            except InputError:
                store.complete()  # it would come again: nothing is left to go on from
                raise
    except OSError as error:
        raise storage_error(error, target) from error
    finally:
        with contextlib.suppress(OSError):
            root.rmdir()


def commit(grown: Growing, target: Path, progress: Progress) -> None:
    """Put the finished dataset in its place; an earlier one goes. Raises `OSError`; then what was there is there."""
    if target.is_dir() and not any(target.iterdir()):
        target.rmdir()
    if not target.exists():
        os.rename(grown.folder, target)
    else:
        progress.release(target)
        aside = target.with_name(f".{target.name}.old")
        os.rename(target, aside)
        try:
            os.rename(grown.folder, target)
        except BaseException:
            os.rename(aside, target)
            raise
        with contextlib.suppress(OSError):
            os.rename(aside, grown.store.folder / "old")  # goes with the journal
    grown.store.complete()


def check_space(target: Path, needed: int) -> None:
    """Raise `StorageError` when the disk has less than `needed` bytes left."""
    there = target.parent
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < needed:
        raise StorageError(
            f"The dataset takes some {needed / 1e6:,.0f} MB, and {there} has {free / 1e6:,.0f} MB left.",
            "Free some space, choose another disk, or take fewer samples (MAX_SAMPLES, STRIDE).",
        )


def storage_error(error: OSError, target: Path) -> StorageError:
    """What a user is told of a file that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            f"The disk is full: {target}.", "Free some space and run it again: it is continued."
        )
    return StorageError(f"{target} cannot be written ({error.strerror or error}).", "Choose another place.")
