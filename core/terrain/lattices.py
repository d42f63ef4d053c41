"""The lattices that variables of the ground are computed on: one for each scale, and the finest that makes sense."""

from __future__ import annotations

import logging
import math
import re
from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from ..grid import Grid, unit_of
from .elevation import Model

log = logging.getLogger(__name__)

LARGEST_SCALE = 10_000.0  # m
SAME = 1.01  # sizes of pixels that are one


@dataclass(frozen=True)
class Scale:
    """A scale as it was asked for (`suffix` of names), and what becomes of it: the `lattice` (without a margin) and
    its pixel's size in metres."""

    suffix: str
    size: float
    lattice: Grid
    asked: float | None = None

    @property
    def is_coarser(self) -> bool:
        """Whether its pixel is larger than was asked for."""
        return self.asked is not None and self.asked * SAME < self.size

    @property
    def text(self) -> str:
        return f"{self.size:.6g} m"


def checked_scales(text: str) -> tuple[float, ...]:
    """Metres, rising. Raises `InputError` for a text that is no list of positive numbers."""
    words = [word for word in re.split(r"[,;\s]+", text.strip()) if word]
    try:
        scales = [float(word) for word in words]
    except ValueError:
        scales = [math.nan]
    if not all(math.isfinite(scale) and scale > 0 for scale in scales):
        raise InputError(f"SCALES is no list of positive numbers: {text!r}.", "Write metres: 20,100,500.")
    if scales and max(scales) > LARGEST_SCALE:
        raise InputError(
            f"SCALES has {max(scales):g} m; {LARGEST_SCALE:g} m is the largest.", "Choose a smaller one."
        )
    if len({_suffix(scale) for scale in scales}) < len(scales):
        raise InputError(f"SCALES has a number twice: {text!r}.", "Give it once.")
    return tuple(sorted(scales))


def _suffix(scale: float) -> str:
    """20 m: "_20m", 2.5 m: "_2_5m"."""
    return f"_{np.format_float_positional(scale, trim='-').replace('.', '_')}m"


def scales_of(grid: Grid, model: Model, asked: tuple[float, ...]) -> list[Scale]:
    """The lattices to compute on, for the scales that were asked for (m); none: the finest that makes sense.

    That is the larger of the cube's pixel and the model's: between elevations there are only facets. Lattices of scales
    have their edges at multiples of their size, so that neighbouring cubes agree.
    """
    metres = unit_of(grid.crs)[1]
    best = finest(grid, model)
    if not asked:
        return [best]
    scales = []
    for size in asked:
        if size < best.size * SAME:
            if size * SAME < best.size:
                log.warning(
                    "The scale of %g m is finer than the pixels of the cube or of %s: computed at %s.",
                    size, model.name, best.text,
                )  # fmt: skip
            scales.append(replace(best, suffix=_suffix(size), asked=size))
        else:
            lattice = _around(grid, size / metres, size / metres, 0.0, 0.0)
            scales.append(Scale(_suffix(size), size, lattice, size))
    return scales


def finest(grid: Grid, model: Model) -> Scale:
    """The scale of the cube's own pixel or of the model's, the larger; on the lattice that it has there."""
    metres = unit_of(grid.crs)[1]
    own, pixel = max(grid.resolution_x, grid.resolution_y), model.pixel_on(grid)
    if pixel <= own * SAME:
        return Scale("", own * metres, grid)
    if model.lattice_in(grid.crs):
        t = model.transform
        return Scale("", t.a * metres, _around(grid, t.a, -t.e, t.c, t.f))
    # Two digits, so that it does not depend on where the cube lies.
    step = 10.0 ** (math.floor(math.log10(pixel)) - 1)
    size = round(math.ceil(pixel / step - 0.01) * step, 9)
    return Scale("", size * metres, _around(grid, size, size, 0.0, 0.0))


def _around(grid: Grid, width: float, height: float, anchor_x: float, anchor_y: float) -> Grid:
    """The pixels of a lattice in which the grid lies."""
    west, south, east, north = grid.bounds
    first_x, first_y = math.floor((west - anchor_x) / width), math.floor((south - anchor_y) / height)
    last_x, last_y = math.ceil((east - anchor_x) / width), math.ceil((north - anchor_y) / height)
    return Grid(
        grid.crs,
        anchor_x + first_x * width,
        anchor_y + last_y * height,
        width,
        height,
        last_x - first_x,
        last_y - first_y,
    )


def grown(lattice: Grid, pixels: int) -> Grid:
    """A lattice with so many pixels more on each side."""
    return replace(
        lattice,
        left=lattice.left - pixels * lattice.resolution_x,
        top=lattice.top + pixels * lattice.resolution_y,
        width=lattice.width + 2 * pixels,
        height=lattice.height + 2 * pixels,
    )
