"""Where an output grows: a temporary file or folder beside it, and the one rename that ends it.

A file takes the place of another in one step. A folder cannot: the earlier one goes aside first, as
`.NAME.old` beside its place, from where `recover` brings it back if the run dies between the two renames.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import InputError, StorageError
from ..progress import Progress

ZARR_MARKS = (".zgroup", "zarr.json")  # what a folder that is a Zarr group holds: format 2, format 3


class Part(os.PathLike):
    """An output in the making: `path` is written, `target` is what it will be called.

    `path` is an empty file, or an empty folder where `target` ends in .zarr.
    """

    def __init__(self, target: Path, progress: Progress) -> None:
        self.target = Path(target)
        self._progress = progress
        self.is_folder = is_zarr_name(self.target)
        prefix, folder = f".{self.target.name}.", self.target.parent
        if self.is_folder:
            self.path = Path(tempfile.mkdtemp(prefix=prefix, suffix=".part", dir=folder))
        else:
            handle, name = tempfile.mkstemp(prefix=prefix, suffix=".part", dir=folder)
            os.close(handle)
            self.path = Path(name)

    def __fspath__(self) -> str:
        return str(self.path)

    def make_durable(self) -> None:
        """Write all through to the disk, with the permissions of any other file or folder."""
        umask = _umask()
        for folder, _, names in os.walk(self.path):
            for name in names:
                _sync(os.path.join(folder, name))
            os.chmod(folder, 0o777 & ~umask)
            if os.name == "posix":  # elsewhere a folder cannot be opened
                _sync(folder, os.O_RDONLY)
        if not self.is_folder:
            _sync(self.path)
            os.chmod(self.path, 0o666 & ~umask)

    def commit(self) -> None:
        """Take the target's place. Raises `OSError`; then what was there is there again."""
        if self.target.exists():
            # Windows replaces nothing that is open.
            self._progress.release(self.target)
        if not self.is_folder or not self.target.exists():
            os.replace(self.path, self.target)
            return
        aside = _aside(self.target)
        os.rename(self.target, aside)
        try:
            os.rename(self.path, self.target)
        except BaseException:
            os.rename(aside, self.target)
            raise
        # Under the temporary name it is removed by whoever removes that; half removed, it must not be recovered.
        with suppress(OSError):
            os.rename(aside, self.path)

    def close(self) -> None:
        """Remove what is left under the temporary name."""
        _remove(self.path)


@contextmanager
def part_output(target: Path, progress: Progress) -> Iterator[Part]:
    """A temporary file (or folder, for .zarr) beside `target`, for the caller to fill and commit.

    It never stays behind. Raises `InputError` when `target` is a folder that is no Zarr store, which nobody
    wants replaced; `StorageError` when the folder cannot be written, the disk is full, or `target` is held open.
    """
    target = Path(target)
    part = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        recover(target)
        check_replaceable(target)
        part = Part(target, progress)
        progress.scratch(part.path)
        yield part
    except OSError as error:
        raise _storage_error(error, target) from error
    finally:
        if part is not None:
            part.close()


def recover(target: Path) -> None:
    """Put back the folder that a run left aside when it died, or remove it when its successor is in place.

    Raises `OSError` when it is there but cannot be moved.
    """
    target = Path(target)
    aside = _aside(target)
    if not os.path.lexists(aside):
        return
    if not target.exists():
        os.rename(aside, target)
        return
    # Whoever may only read here leaves it to the next one who may write.
    with suppress(OSError):
        rest = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
        with suppress(OSError):
            os.rename(aside, rest / "old")
        _remove(rest)


def check_replaceable(target: Path) -> None:
    """Raise `InputError` when `target` is of the other kind, or a folder with something else in it."""
    if is_zarr_name(target):
        if target.is_file():
            raise InputError(f"OUTPUT is a file, not a folder: {target}.", "Choose another name.")
        if target.is_dir() and not is_zarr(target) and any(target.iterdir()):
            raise InputError(
                f"OUTPUT is a folder that holds something else than a Zarr store: {target}.",
                "Choose another name.",
            )
    elif target.is_dir():
        raise InputError(f"OUTPUT is a folder: {target}.", "Give the path of a file.")


def is_zarr_name(path: Path) -> bool:
    """Whether an output of this name is a Zarr store."""
    return Path(path).suffix.lower() == ".zarr"


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr group, of format 2 or 3."""
    return any((Path(path) / mark).is_file() for mark in ZARR_MARKS)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    path = Path(path)
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _remove(path: Path) -> None:
    # Where it cannot be removed (Windows, somebody looks at it), the error that led here counts.
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _sync(path: str | Path, flags: int = os.O_RDWR) -> None:
    handle = os.open(path, flags | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


def _storage_error(error: OSError, target: Path) -> StorageError:
    if error.errno == errno.ENOSPC:
        return StorageError(f"The disk is full: {target}.", "Free some space and run it again.")
    if isinstance(error, PermissionError):
        return StorageError(
            f"{target} cannot be written.", "Choose another place, or close what holds it open."
        )
    return StorageError(f"{target} cannot be written ({error.strerror or error}).", "Choose another place.")
