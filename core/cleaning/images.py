"""The variables around cleaning: what it needs beside the images that are cleaned, and what it adds to a cube."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..sources.sentinel2_bands import scl_to_mask
from .options import DROPPED, OTHER

NDVI, RED, INFRARED = "s2_ndvi", "s2_B04", ("s2_B08", "s2_B8A")
MASK, SCL = "s2_mask", "s2_SCL"
# What cleaning adds to a cube: (time, y, x) whether a value was not seen; (y, x); and of each date.
FILLED, SAMPLED, GAP = "s2_filled", "to_sample", "s2_longest_gap"
REMOVED, REMOVED_OF_DATE = "s2_removed_percent", "s2_removed_share"


def bands_of_driver(driver: str, known: Collection[str], name: str) -> tuple[str, ...]:
    """The bands (infrared, red) of which the driver is made, () where a cube with images `known` has it.

    `name`: the cube's, for messages. Raises `InputError` where it has neither.
    """
    if driver in known:
        return ()
    infrared = next((each for each in INFRARED if each in known), None)
    if driver != NDVI or infrared is None or RED not in known:
        raise InputError(
            f"DRIVER: {name} has no images {driver}, which cleaning needs.",
            f"It has: {', '.join(known) or 'none'}.",
        )
    return infrared, RED


def ndvi_of(infrared: np.ndarray, red: np.ndarray) -> np.ndarray:
    """(infrared - red) / (infrared + red), float32, NaN where a band is missing or both are 0 (Tucker 1979, Remote
    Sensing of Environment 8, 127)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ndvi = ((infrared - red) / (infrared + red)).astype(np.float32)
    return np.where(np.isfinite(ndvi), ndvi, np.float32(np.nan))


def mask_in(known: Collection[str]) -> str:
    """Which of a cube's images say what is clear: s2_mask, else the scene classification, "" where it has neither."""
    return next((each for each in (MASK, SCL) if each in known), "")


def classes_of(values: np.ndarray, name: str = MASK) -> np.ndarray:
    """Classes of s2_mask, uint8, of the numbers of any type that stand for them: what is none of them is `OTHER`, as
    NaN, 0.5 or 256. Those of s2_SCL, if that is the `name`, become classes of the mask."""
    most = OTHER if name != SCL else 11
    known = (values >= 0) & (values <= most)
    known &= values == np.floor(values)
    if name == SCL:
        return scl_to_mask(np.where(known, values, 0).astype(np.uint8))
    return np.where(known, values, OTHER).astype(np.uint8)


def grown(mask: np.ndarray, pixels: int, drop: Collection[str] = ("shadow", "cloud")) -> np.ndarray:
    """Classes of s2_mask (time, y, x) whose clouds and shadows reach so many pixels farther, as disks; clouds win.

    `drop`: the classes that go; those that stay do not grow, for they would cover what goes.
    """
    if not pixels:
        return mask
    side = np.arange(-pixels, pixels + 1)
    disk = (side[:, None] ** 2 + side[None, :] ** 2 <= pixels**2)[None]
    out = mask.copy()
    for name in ("shadow", "cloud"):
        if name in drop:
            out[ndimage.binary_dilation(mask == DROPPED[name], disk)] = DROPPED[name]
    return out
