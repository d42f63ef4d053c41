"""One image out of the several of a step: per pixel the latest clear one, else the latest valid one."""

from __future__ import annotations

import numpy as np


def latest_clear(clear: np.ndarray, whole: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Which image a pixel is taken from: (y, x) int, -1 where none has a value.

    `clear`, `whole`, `valid`: bool (image, y, x), images in the order of time: whether the mask is 0, every band
    has a value, any band has one. A clear image goes before a whole one, that before a valid one, and of
    equals the latest counts.
    """
    merit = np.where(clear, 3, np.where(whole, 2, np.where(valid, 1, 0))).astype(np.int32)
    rank = merit * len(merit) + np.arange(len(merit), dtype=np.int32)[:, None, None]
    choice = np.argmax(rank, axis=0)
    return np.where(merit.max(axis=0) > 0, choice, -1)


def taken(images: np.ndarray, choice: np.ndarray, missing: float) -> np.ndarray:
    """The chosen pixels of `images` (image, y, x) by `choice` of `latest_clear`; `missing` where it is -1."""
    picked = np.take_along_axis(images, np.maximum(choice, 0)[None], axis=0)[0]
    return np.where(choice < 0, np.asarray(missing, images.dtype), picked)
