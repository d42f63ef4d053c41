"""Blocks of the time axis: which steps are read together, and how their images become what the cube stores."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from .cube.encoding import BY_KIND
from .cube.write import EPOCH
from .plan import Plan, Step
from .sources.composite import latest_clear, taken
from .sources.image_axis import ImageDate
from .sources.offset_check import OffsetCheck
from .sources.sentinel2_bands import BANDS, scl_to_mask

BLOCK_BYTES = 64_000_000  # packed images of a block
NO_IMAGE = -1  # in s2_image_date

PackedImages = dict[tuple[dt.date, str], np.ndarray]  # packed, (y, x), by day and band


@dataclass(frozen=True)
class Block:
    """Some steps in a row, from number `start` of the axis on; `key` names all that its values depend on."""

    start: int
    steps: list[Step]
    key: str

    @property
    def dates(self) -> list[ImageDate]:
        return [date for step in self.steps for date in step.dates]


def blocks_of(plan: Plan, kind: str, steps: list[Step], bands: tuple[str, ...], most: int) -> list[Block]:
    """Equal runs of steps, a power of two long, whose images together stay below `BLOCK_BYTES`."""
    images = max((len(step.dates) for step in steps), default=1) or 1
    size = 2 * len(bands) * images * plan.grid.width * plan.grid.height
    length = most
    while length > 1 and length * size > BLOCK_BYTES:
        length //= 2
    return [
        Block(start, part, _key(plan, kind, start, part, bands))
        for start in range(0, len(steps), length)
        for part in [steps[start : start + length]]
    ]


def _key(plan: Plan, kind: str, start: int, steps: list[Step], bands: tuple[str, ...]) -> str:
    recipe = plan.recipe
    what = [
        plan.grid.to_json(),
        bands,
        recipe.resampling,
        recipe.time_axis,
        [
            [step.day.isoformat()]
            + [
                [scene.id, scene.baseline, scene.version]
                + [
                    [
                        band,
                        *_identity(file.raster.href),
                        file.raster.size,
                        file.scale,
                        file.offset,
                        file.nodata,
                    ]
                    for band, file in sorted(scene.files.items())
                    if band in bands
                ]
                for scene in step.scenes
            ]
            for step in steps
        ],
    ]
    text = json.dumps(what, sort_keys=True)
    return f"{kind}-{start:05d}-{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"


def reduced(
    plan: Plan, block: Block, images: PackedImages, clipped: dict[str, int]
) -> tuple[dict[str, np.ndarray], dict]:
    """What the cube stores of a block, by variable, and what is to be said of it (JSON values).

    `images`: of every date and band of the block; they are let go on the way. `clipped`: values that did not fit,
    per band. The answer says per step whether it has a value (`avail`) and how much of it is clear
    (`clear_share`, None without a classification), how many values were clipped, and what `OffsetCheck` needs.
    """
    arrays, check = _empty(plan, len(block.steps)), OffsetCheck()
    missing = np.ones((len(block.steps), *plan.grid.shape), bool)
    for number, step in enumerate(block.steps):
        _put(plan, arrays, missing, number, step, images, check)
        for date in step.dates:
            for band in plan.bands:
                del images[date.day, band]
    if plan.recipe.time_axis == "regular":
        clipped = {band: _at_the_limit(band, arrays[f"s2_{band}"]) for band in plan.bands}
    info = {
        "clipped": {f"s2_{band}": count for band, count in clipped.items() if count},
        **_shares(plan, arrays, missing),
    }
    maps, info["offset_dates"] = check.state()
    arrays |= {f"offset_{number}": maps[kind] for number, kind in enumerate(info["offset_dates"])}
    return arrays, info


def _empty(plan: Plan, n_steps: int) -> dict[str, np.ndarray]:
    """Arrays of a block as the cube stores them, without any image."""
    shape = (n_steps, *plan.grid.shape)
    arrays = {}
    for band in plan.bands:
        encoding = BY_KIND[BANDS[band].kind]
        arrays[f"s2_{band}"] = np.full(shape, encoding.fill or 0, encoding.dtype)
    if plan.recipe.time_axis == "regular":
        arrays["s2_image_date"] = np.full(shape, NO_IMAGE, np.int32)
    return arrays


def _put(
    plan: Plan, arrays, missing: np.ndarray, number: int, step: Step, images: dict, check: OffsetCheck
) -> None:
    """Reduce the images of one step to one and put it into the block."""
    if not step.dates:
        return
    bands = {band: np.stack([images[date.day, band] for date in step.dates]) for band in plan.bands}
    valid = {band: _valid(band, stored) for band, stored in bands.items()}
    reflectance = [valid[band] for band in bands if BANDS[band].kind == "reflectance"]
    lacking = ~np.all(reflectance, axis=0) if reflectance else np.zeros_like(next(iter(valid.values())))
    mask = scl_to_mask(bands["SCL"], lacking) if "SCL" in bands else None
    _look_at_offsets(step, bands, mask, check)
    if plan.recipe.time_axis != "regular":
        for band, stored in bands.items():
            arrays[f"s2_{band}"][number] = stored[0]
        missing[number] = lacking[0]
        return
    # The classification says what a pixel is; whether it is there the other bands say.
    whole = np.all([valid[band] for band in bands if band != "SCL"] or [valid["SCL"]], axis=0)
    some = np.any(list(valid.values()), axis=0)
    choice = latest_clear(whole if mask is None else mask == 0, whole, some)
    for band, stored in bands.items():
        arrays[f"s2_{band}"][number] = taken(stored, choice, BY_KIND[BANDS[band].kind].fill or 0)
    missing[number] = taken(lacking, choice, True)
    days = np.array([(date.day - EPOCH).days for date in step.dates], np.int32)
    arrays["s2_image_date"][number] = np.where(choice < 0, NO_IMAGE, days[np.maximum(choice, 0)])


def _look_at_offsets(step: Step, bands, mask: np.ndarray | None, check: OffsetCheck) -> None:
    band = next((band for band in ("B04", "B03", "B02", *BANDS) if band in bands), None)
    if band is None or BANDS[band].kind != "reflectance":
        return
    for number, date in enumerate(step.dates):
        kinds = {_kind(scene, band) for scene in date.scenes if band in scene.files}
        if len(kinds) == 1:
            clear = None if mask is None else mask[number] == 0
            check.add(kinds.pop(), BY_KIND["reflectance"].unpack(bands[band][number]), clear)


def _shares(plan: Plan, arrays: dict[str, np.ndarray], missing: np.ndarray) -> dict[str, list]:
    """Per step: whether it has a value, and the share of its pixels that is clear; adds the mask."""
    valid = [_valid(band, arrays[f"s2_{band}"]).any(axis=(1, 2)) for band in plan.bands]
    clear = [None] * len(missing)
    if "s2_SCL" in arrays:
        mask = scl_to_mask(arrays["s2_SCL"], missing)
        clear = (mask == 0).mean(axis=(1, 2)).tolist()
        if plan.recipe.s2_mask == "scl":
            arrays["s2_mask"] = mask
        if "SCL" not in plan.recipe.s2_bands:
            del arrays["s2_SCL"]
    return {"avail": np.any(valid, axis=0).astype(int).tolist(), "clear_share": clear}


def _kind(scene: Any, band: str) -> str:
    offset = scene.files[band].offset
    return f"baseline {scene.baseline or 'unknown'} with offset {offset:g}"


def _at_the_limit(band: str, stored: np.ndarray) -> int:
    """How many values of a packed image are the largest or smallest that it can hold."""
    encoding = BY_KIND[BANDS[band].kind]
    if encoding.scale is None:
        return 0
    ends = encoding.pack(np.array([np.inf, -np.inf]))[0] if encoding.dtype == "int16" else [65534]
    return int(np.isin(stored, ends).sum())


def _valid(band: str, stored: np.ndarray) -> np.ndarray:
    """Where a packed image has a value."""
    return stored != (BY_KIND[BANDS[band].kind].fill or 0)


def _identity(href: str) -> list:
    """An href, and of a file on disk what tells that it was replaced."""
    try:
        state = os.stat(href)
    except (OSError, ValueError):
        return [href.split("?")[0]]
    return [href, state.st_size, state.st_mtime_ns]
