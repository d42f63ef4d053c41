"""The chunks of a remote Zarr store: asked for again when a server stumbles, and kept on disk.

A cache of chunks has a limit of size and age, and a life of its own: whatever happens to it costs a request, never a
value. Metadata are not kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import math
import os
import re
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import aiohttp
from zarr.abc.store import ByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.storage import WrapperStore

from .faults import patiently_awaited

log = logging.getLogger(__name__)

MAX_BYTES = 2_000_000_000
MAX_AGE = 7 * 86400  # seconds: the youngest chunks of a living store grow
_AXIS = re.compile(r"(?:^|/)(?!c/)[^/\d][^/]*/(?:c/)?\d+$")
METADATA = (".zmetadata", ".zgroup", ".zattrs", ".zarray", "zarr.json")


class ChunkCache:
    """A folder with chunks by address, the least recently used of which go first beyond `max_bytes`. Thread-safe."""

    def __init__(self, folder: Path | None, max_bytes: float = MAX_BYTES, max_age: float = MAX_AGE) -> None:
        """`folder`: None to keep nothing."""
        self._folder, self._max_bytes, self._max_age = folder, max_bytes, max_age
        self._lock = threading.Lock()
        self._since = 0.0
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                log.warning("%s cannot be written (%s): chunks are not kept.", folder, error.strerror)
                self._folder = None

    def get(self, address: str) -> bytes | None:
        if self._folder is None:
            return None
        path = self._path(address)
        try:
            if time.time() - path.stat().st_mtime > self._max_age:
                return None
            data = path.read_bytes()
        except OSError:
            return None
        with contextlib.suppress(OSError):
            os.utime(
                path, (time.time(), path.stat().st_mtime)
            )  # read last: that is the order in which they go
        digest, body = data[:16], data[16:]
        return body if hashlib.blake2b(body, digest_size=16).digest() == digest else None

    def put(self, address: str, body: bytes) -> None:
        if self._folder is None or len(body) > self._max_bytes / 4:
            return
        part = None
        try:
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
                part = file.name
                file.write(hashlib.blake2b(body, digest_size=16).digest() + body)
            os.replace(part, self._path(address))
        except OSError as error:
            log.debug("A chunk is not kept: %s", error)
            if part:
                with contextlib.suppress(OSError):
                    os.unlink(part)
            return
        with self._lock:
            self._since += len(body)
            full = self._since > self._max_bytes / 20
        if full:
            self.clean()

    def clean(self) -> None:
        """Remove what is too old or too much."""
        if self._folder is None:
            return
        with self._lock:
            self._since, found = 0.0, []
            with contextlib.suppress(OSError):
                found = [(path, path.stat()) for path in self._folder.iterdir()]
            total = sum(state.st_size for _, state in found)
            for path, state in sorted(found, key=lambda each: each[1].st_atime):
                if total > self._max_bytes or time.time() - state.st_mtime > self._max_age:
                    with contextlib.suppress(OSError):
                        path.unlink()
                        total -= state.st_size

    def _path(self, address: str) -> Path:
        return self._folder / hashlib.blake2b(address.encode(), digest_size=20).hexdigest()


class PatientStore(WrapperStore[Store]):
    """A store of Zarr that asks again after 429, 5xx, time-outs and lost connections, and keeps chunks in a cache.

    `address`: of the store, without secrets. `fetched`: bytes that came from the server.
    """

    def __init__(
        self, store: Store, address: str = "", cache: ChunkCache | None = None, names: tuple[str, ...] = ()
    ) -> None:
        """`names`: of arrays and coordinates, which are looked for where the server lists nothing."""
        super().__init__(store)
        self._address, self._cache, self._names = address, cache or ChunkCache(None), names
        self._states: dict[str, dict[str, str]] = {}  # of the metadata of each folder, by file
        self._axes: dict[
            str, bytes
        ] = {}  # what has one dimension is asked for more than once when it is decoded
        self.fetched = 0
        self.distrusts = False  # what is kept: it is asked for again, and kept anew

    def _with_store(self, store: Store) -> PatientStore:
        return type(self)(store, self._address, self._cache, self._names)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        is_chunk = not key.endswith(METADATA)
        # Of a shard, ranges are asked for.
        address = f"{self._address}/{key}?{self._state(key)} {byte_range or ''}" if is_chunk else ""
        if is_chunk:
            kept = self._axes.get(address)
            if kept is None and not self.distrusts:
                kept = await asyncio.to_thread(self._cache.get, address)
            if kept is not None:
                return prototype.buffer.from_bytes(kept)
        found = await patiently_awaited(lambda: self._store.get(key, prototype, byte_range), key)
        if found is None:
            return None
        self.fetched += len(found)
        body = found.to_bytes()
        if byte_range is not None and len(body) > (length := _length(byte_range)):
            # A server that knows no ranges, or not those that count from the end, sends all.
            start = byte_range.start if isinstance(byte_range, RangeByteRequest) else len(body) - length
            body = body[start : start + length]
            found = prototype.buffer.from_bytes(body)
        if is_chunk:
            if _AXIS.search(key):
                self._axes[address] = body
            await asyncio.to_thread(self._cache.put, address, body)
        elif byte_range is None:
            folder, _, name = key.rpartition("/")
            self._states.setdefault(folder, {})[name] = hashlib.blake2b(body, digest_size=8).hexdigest()
        return found

    def get_ranges(self, *given: Any, **more: Any) -> AsyncIterator[Any]:
        """Of a shard; by way of `get`, not of the inner store, which would ask once."""
        return Store.get_ranges(self, *given, **more)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        return list(await asyncio.gather(*(self.get(key, prototype, part) for key, part in key_ranges)))

    def _state(self, key: str) -> str:
        """What tells whether the array of a chunk is another one by now: a store that grew has another last chunk."""
        folder = key
        while folder:
            folder = folder.rpartition("/")[0]
            if folder in self._states:
                return " ".join(state for _, state in sorted(self._states[folder].items()))
        return ""

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """What is in a folder; where the server lists nothing, those of `names` that are there."""
        listed = False
        with contextlib.suppress(OSError, aiohttp.ClientError, NotImplementedError):
            async for name in self._store.list_dir(prefix):
                listed = True
                yield name
        if listed:
            return

        async def is_there(name: str, mark: str) -> bool:
            key = "/".join(part for part in (prefix.rstrip("/"), name, mark) if part)
            return await self.get(key, default_buffer_prototype()) is not None

        asked = [(name, mark) for name in self._names for mark in ("zarr.json", ".zarray")]
        there = await asyncio.gather(*(is_there(*each) for each in asked))
        for name in dict.fromkeys(name for (name, _), is_so in zip(asked, there, strict=True) if is_so):
            yield name

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, PatientStore) and self._store == other._store

    __hash__ = None


def _length(byte_range: ByteRequest) -> float:
    """How many bytes were asked for."""
    if isinstance(byte_range, RangeByteRequest):
        return byte_range.end - byte_range.start
    return byte_range.suffix if isinstance(byte_range, SuffixByteRequest) else math.inf
