"""Writes samples as `npz`, one a file, or `npz-sharded`, many a file: in parallel, each file whole or not at all."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from .arrays import KEYS, NAMES
from .npz import Member, packed, write_npz, write_whole
from .samples import SPLITS

Arrays = dict[str, np.ndarray]
SHARD_BYTES = 1 << 23  # of the arrays of a shard, before they are packed; several are packed at the same time
AT_ONCE = 64  # files that a thread writes one after the other
TIMES = ("context_time", "target_time", "weather_time")


def n_threads() -> int:
    """How many files are packed at the same time."""
    return min(os.cpu_count() or 1, 8)


class Pool:
    """Threads that write, a bounded number of pieces ahead; the first error comes out of `put` or `drain`."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(n_threads(), "write")
        self._waiting: list[Future] = []

    def put(self, work: Callable[..., None], *arguments) -> None:
        """Have something written; waits while too much is under way."""
        while len(self._waiting) > 2 * n_threads():
            self._waiting.pop(0).result()
        self._waiting.append(self._threads.submit(work, *arguments))

    def drain(self) -> None:
        """Wait for all."""
        while self._waiting:
            self._waiting.pop(0).result()

    def close(self) -> None:
        """End the threads; what has not begun is left."""
        self._threads.shutdown(wait=True, cancel_futures=True)


def file_name(sample_id: str, split: int) -> str:
    """The file of a sample in the format npz, relative to the dataset."""
    return f"{SPLITS[split]}/{sample_id}.npz"


def shard_name(split: int, number: int) -> str:
    """The file of a shard, relative to the dataset."""
    return f"{SPLITS[split]}/shard-{number:05d}.npz"


class FileWriter:
    """One sample a file."""

    def __init__(self, folder: Path, names: Arrays, pool: Pool) -> None:
        self._folder, self._pool = os.fspath(folder), pool
        self._names = {key: Member(key, array) for key, array in names.items()}

    def add(self, split: int, batch: Arrays) -> None:
        """Have samples of one window written; arrays (sample, ...) but for times, which all of them share."""
        shared = {**self._names, **{key: Member(key, batch[key]) for key in TIMES}}
        for first in range(0, len(batch["sample_id"]), AT_ONCE):
            self._pool.put(self._write, split, batch, shared, first)

    def _write(self, split: int, batch: Arrays, shared: dict[str, Member], first: int) -> None:
        rows = slice(first, first + AT_ONCE)
        # Masks without a true value and the like come again and again.
        blank = {
            key: Member(key, batch[key][first])
            for key in ("context_filled", "target_filled")
            if not batch[key][rows].any()
        }
        members = [shared.get(key) or blank.get(key) for key in KEYS]
        own = [(place, key, batch[key]) for place, key in enumerate(KEYS) if members[place] is None]
        for row, name in enumerate(batch["sample_id"][rows].tolist(), first):
            for place, key, values in own:
                members[place] = Member(key, values[row])
            write_whole(f"{self._folder}/{file_name(name, split)}", packed(members))

    def state(self) -> Arrays:
        """Nothing waits, once all files are there."""
        self._pool.drain()
        return {}

    def restore(self, state: Arrays, counts: Counter) -> None:
        """Nothing to go on from."""

    def finish(self) -> None:
        """Wait until all files are there."""
        self._pool.drain()


class ShardWriter:
    """Many samples a file, in the order in which they come; the last of each split may hold fewer."""

    def __init__(self, folder: Path, names: Arrays, per_shard: int, pool: Pool) -> None:
        self._folder, self._names, self._per_shard, self._pool = folder, names, per_shard, pool
        self._open: dict[int, list[Arrays]] = {split: [] for split in range(len(SPLITS))}
        self._count: Counter = Counter()

    def add(self, split: int, batch: Arrays) -> None:
        """Have samples of one window written; arrays (sample, ...) but for times, which all of them share."""
        size = len(batch["sample_id"])
        given = 0
        while given < size:
            taken = min(self._per_shard - self._count[split] % self._per_shard, size - given)
            self._open[split].append(_rows(batch, slice(given, given + taken), taken))
            self._count[split] += taken
            given += taken
            if self._count[split] % self._per_shard == 0:
                self._flush(split)

    def _flush(self, split: int) -> None:
        parts, self._open[split] = self._open[split], []
        if parts:
            self._pool.put(self._write, split, (self._count[split] - 1) // self._per_shard, parts)

    def _write(self, split: int, number: int, parts: list[Arrays]) -> None:
        arrays = {key: self._names[key] if key in NAMES else _joined(parts, key) for key in KEYS}
        write_npz(self._folder / shard_name(split, number), arrays)

    def state(self) -> Arrays:
        """The samples that wait for their shard to be full, as arrays named "SPLIT.KEY"."""
        self._pool.drain()
        return {
            f"{split}.{key}": _joined(parts, key).view(np.int64) if key in TIMES else _joined(parts, key)
            for split, parts in self._open.items()
            for key in KEYS
            if parts and key not in NAMES
        }

    def restore(self, state: Arrays, counts: Counter) -> None:
        """Go on from a state, where so many samples of each split had come."""
        self._count = Counter(counts)
        for split in self._open:
            part = {key: state[f"{split}.{key}"] for key in KEYS if f"{split}.{key}" in state}
            part |= {key: part[key].view("datetime64[D]") for key in TIMES if key in part}
            self._open[split] = [part] if part else []

    def finish(self) -> None:
        """Write what is left, and wait until all files are there."""
        for split in self._open:
            self._flush(split)
        self._pool.drain()


def _joined(parts: list[Arrays], key: str) -> np.ndarray:
    return np.concatenate([part[key] for part in parts])


def _rows(batch: Arrays, rows: slice, count: int) -> Arrays:
    return {
        key: np.broadcast_to(values, (count, *values.shape)) if key in TIMES else values[rows]
        for key, values in batch.items()
        if key not in NAMES
    }


def samples_per_shard(bytes_per_sample: int) -> int:
    """How many samples a shard holds: as many as its size permits, at least one."""
    return max(1, SHARD_BYTES // max(bytes_per_sample, 1))


def batches(samples: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The rows of each split: (split, numbers)."""
    for split in range(len(SPLITS)):
        rows = np.flatnonzero(samples == split)
        if len(rows):
            yield split, rows
