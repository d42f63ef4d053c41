"""Writes .npz files as `np.load` reads them, many small ones fast, with the same bytes for the same arrays.

numpy's own `savez_compressed` spends most of its time on small arrays in Python's zipfile. Here a file is put together
in memory: headers and arrays that are the same in many files (names, times) are packed once.
"""

from __future__ import annotations

import functools
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from ..errors import InputError

LEVEL = 1  # of zlib: samples are noise to it, and higher levels take long for a few per cent
LEAST = 256  # bytes that are worth packing
DATE = (1 << 5) | 1  # 1980-01-01, the first that a zip file knows
LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5HL")
OFFSET = struct.Struct("<L")
END = struct.Struct("<4s4H2LH")
MAX_BYTES = 0xFFFFFFF0  # beyond it a zip file needs another layout, which is not written here
AT_ONCE = 1 << 16  # bytes of an array that are worth a copy, to be packed in one go


class Member:
    """An array packed for a file: `name` without ".npy". `local`: its part of the file; `entry`: that of the directory
    at its end but for the place, then `name`."""

    __slots__ = ("entry", "local", "name")

    def __init__(self, name: str, array: np.ndarray, level: int = LEVEL) -> None:
        raw = _header(array.dtype, array.shape)
        size = len(raw) + array.nbytes
        if size > MAX_BYTES:
            raise _too_large()
        packer = zlib.compressobj(level, zlib.DEFLATED, -15) if size >= LEAST else None
        if size <= AT_ONCE:
            raw += array.tobytes()
            crc = zlib.crc32(raw)
            packed = b"" if packer is None else packer.compress(raw) + packer.flush()
        else:
            data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
            crc = zlib.crc32(data, zlib.crc32(raw))
            packed = b"".join((packer.compress(raw), packer.compress(data), packer.flush()))
        method = 8 if packed and len(packed) < size else 0
        if not method:
            packed = raw if size <= AT_ONCE else b"".join((raw, data))
        self.name = f"{name}.npy".encode()
        said = (20, 0, method, 0, DATE, crc, len(packed), size, len(self.name), 0)
        self.local = b"".join((LOCAL.pack(b"PK\x03\x04", *said), self.name, packed))
        self.entry = CENTRAL.pack(b"PK\x01\x02", 20, *said, 0, 0, 0, 0o600 << 16)


def _too_large() -> InputError:
    return InputError(
        "A file would have more than 4 GB.",
        "Choose a smaller PATCH_SIZE, CONTEXT or TARGET, or fewer VARIABLES.",
    )


@functools.lru_cache(maxsize=4096)
def _header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """The header of a .npy file, format 1.0, C order."""
    if dtype.hasobject:
        raise ValueError("arrays of objects need pickle")
    text = f"{{'descr': {dtype.str!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode("latin1")


def packed(members: list[Member]) -> bytes:
    """The bytes of a file. Raises `InputError` for more than 4 GB."""
    directory: list[bytes] = []
    offset = 0
    for member in members:
        if offset > MAX_BYTES:
            raise _too_large()
        directory += (member.entry, OFFSET.pack(offset), member.name)
        offset += len(member.local)
    if offset > MAX_BYTES:
        raise _too_large()
    size = sum(map(len, directory))
    end = END.pack(b"PK\x05\x06", 0, 0, len(members), len(members), size, offset, 0)
    return b"".join((*(member.local for member in members), *directory, end))


def write_whole(path: Path | str, data: bytes) -> None:
    """Write a file that is there as a whole or not at all. Raises `OSError`."""
    path = os.fspath(path)
    part = f"{path}.part"
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o666)
    try:
        written = os.write(file, data)
        while written < len(data):
            written += os.write(file, memoryview(data)[written:])
    finally:
        os.close(file)
    os.replace(part, path)


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> int:
    """Write arrays, whole or not at all; returns the bytes of the file."""
    data = packed([Member(name, array) for name, array in arrays.items()])
    write_whole(path, data)
    return len(data)
