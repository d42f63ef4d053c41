"""Random numbers of a dataset: they depend on SEED and a name alone, not on what else is drawn, nor in which order."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, *names: object) -> np.random.Generator:
    """A generator for a purpose and a cube ("selection", "site_3"); PCG64 gives the same numbers on all machines."""
    text = "\0".join(map(str, (seed, *names)))
    return np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")))


def number(seed: int, *names: object) -> float:
    """One number from 0 to below 1."""
    return float(generator(seed, *names).random())


def pixel_numbers(seed: int, purpose: str, name: str, shape: tuple[int, int]) -> np.ndarray:
    """A number from 0 to below 1 for each pixel of a cube: float64 (y, x)."""
    return generator(seed, purpose, name).random(shape)
