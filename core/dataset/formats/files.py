"""Files of a format: npz and npy as bytes, the same for the same arrays, written whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from ...errors import InputError
from ..npz import Member, packed
from ..npz import write_whole as write_bytes


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """A compressed npz."""
    return packed([Member(name, np.asarray(array)) for name, array in arrays.items()])


def npy_bytes(values: np.ndarray) -> bytes:
    """An npy, without pickle."""
    file = io.BytesIO()
    np.save(file, values, allow_pickle=False)
    return file.getvalue()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place, then put it there. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content)


def write_once(path: Path, content: bytes) -> None:
    """As `write_whole`; a file that is there must have the same content. Raises `InputError` when it has not: names of
    the formats of others tell place and dates, not the cube."""
    if path.exists():
        if path.read_bytes() == content:
            return
        raise InputError(
            f"The file {path.name} is there already with other values: cubes overlap, which the names of this FORMAT "
            "cannot tell.",
            "Export cubes that overlap one by one, or choose FORMAT npz.",
        )
    write_whole(path, content)
