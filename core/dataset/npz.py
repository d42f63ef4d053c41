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

LEVEL = 1  # of zlib: samples are noise to it, and higher levels take long for a few per cent
LEAST = 256  # bytes that are worth packing
DATE = (1 << 5) | 1  # 1980-01-01, the first that a zip file knows
LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
MAX_BYTES = 0xFFFFFFF0  # beyond it a zip file needs another layout, which is not written here


class Member:
    """An array packed for a file: `name` without ".npy"."""

    __slots__ = ("crc", "data", "method", "name", "size")

    def __init__(self, name: str, array: np.ndarray, level: int = LEVEL) -> None:
        array = np.ascontiguousarray(array) if array.ndim else array
        raw = _header(array.dtype.str, array.shape) + array.tobytes()
        self.name = f"{name}.npy".encode()
        self.crc, self.size = zlib.crc32(raw), len(raw)
        self.method, self.data = 0, raw
        if len(raw) >= LEAST:
            packer = zlib.compressobj(level, zlib.DEFLATED, -15)
            packed = packer.compress(raw) + packer.flush()
            if len(packed) < len(raw):
                self.method, self.data = 8, packed


@functools.lru_cache(maxsize=4096)
def _header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """The header of a .npy file, format 1.0, C order."""
    if np.dtype(dtype).hasobject:
        raise ValueError("arrays of objects need pickle")
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode("latin1")


def packed(members: list[Member]) -> bytes:
    """The bytes of a file. Raises `ValueError` for more than 4 GB."""
    parts: list[bytes] = []
    central: list[bytes] = []
    offset = 0
    for member in members:
        sizes = (member.crc, len(member.data), member.size)
        local = LOCAL.pack(b"PK\x03\x04", 20, 0, member.method, 0, DATE, *sizes, len(member.name), 0)
        entry = CENTRAL.pack(
            b"PK\x01\x02",
            20,
            20,
            0,
            member.method,
            0,
            DATE,
            *sizes,
            len(member.name),
            0,
            0,
            0,
            0,
            0o600 << 16,
            offset,
        )
        parts += (local, member.name, member.data)
        central += (entry, member.name)
        offset += len(local) + len(member.name) + len(member.data)
    if offset > MAX_BYTES:
        raise ValueError("a file of more than 4 GB")
    directory = b"".join(central)
    end = END.pack(b"PK\x05\x06", 0, 0, len(members), len(members), len(directory), offset, 0)
    return b"".join((*parts, directory, end))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there as a whole or not at all. Raises `OSError`."""
    part = f"{path}.part"
    with open(part, "wb", buffering=0) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
    os.replace(part, path)


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> int:
    """Write arrays, whole or not at all; returns the bytes of the file."""
    data = packed([Member(name, array) for name, array in arrays.items()])
    write_whole(path, data)
    return len(data)
