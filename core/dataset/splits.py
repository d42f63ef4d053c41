"""Training, validation and test: which unit or window goes where, so that nothing of one is known from another."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from pyproj import Transformer
from scipy.spatial import cKDTree

from ..errors import InputError
from ..progress import Progress
from .draws import number, pixel_numbers
from .leak import LeakCheck, without_leaks
from .overlaps import move_points, near_cubes, overlapping_cubes, places_of
from .parameters import ExportParameters, checked_split
from .plan import DROPPED, CubePlan
from .regions import Layer, grid_pixels, read_layer, read_vector, region_codes
from .samples import SPLITS
from .selection import earth_centred

BLOCKS = "EPSG:6933"  # equal areas, metres
log = logging.getLogger(__name__)
SAME = {"training": "train", "validation": "val", "valid": "val", "dev": "val", "testing": "test"}


def assign_splits(
    plans: Sequence[CubePlan], p: ExportParameters, progress: Progress
) -> tuple[Counter, LeakCheck]:
    """Put every sample of the plans in a split, drop those that fit none or would leak; how many, and why.

    Of `p` only the split, its options, its layer and the seed count. Raises `InputError`.
    """
    options = checked_split(p.split, p.split_options)
    for plan in plans:
        plan.reset()
    before = _total(plans)
    pairs = overlapping_cubes(plans)
    dropped: Counter = Counter()
    if p.split in ("random", "kfold"):
        _by_location(plans, pairs, p, options)
    elif p.split == "spatial":
        _by_block(plans, p, options)
        progress.raise_if_cancelled()
        _drop_near(plans, options["buffer_m"])
        dropped[f"within {options['buffer_m']:g} m of another split"] = before - _total(plans)
    elif p.split == "temporal":
        for plan in plans:
            plan.window_split = _by_period(plan, options)
        dropped["window across two splits' periods"] = before - _total(plans)
    elif p.split == "column":
        layer = _split_layer(p, options)
        for plan in plans:
            _by_column(plan, layer)
        dropped["without a split in the layer"] = before - _total(plans)
    progress.raise_if_cancelled()
    check = without_leaks(plans, pairs)
    dropped["pixel and date that training has"] = check.dropped
    return +dropped, check


def _total(plans: Sequence[CubePlan]) -> int:
    return sum(plan.count().total() for plan in plans)


def _of_numbers(numbers: np.ndarray, fractions: Sequence[float]) -> np.ndarray:
    """The splits of numbers from 0 to below 1: (n,) int8."""
    limits = np.cumsum(fractions)[:2]
    return np.searchsorted(limits, numbers, side="right").astype(np.int8)


def _by_location(
    plans: Sequence[CubePlan], pairs: list[tuple[int, int]], p: ExportParameters, options: dict[str, Any]
) -> None:
    places = places_of(len(plans), pairs)
    n_folds = options.get("folds", 0)
    n_places = int(places.max(initial=0)) + 1
    if options["unit"] == "cube" and n_places < n_folds:
        log.warning("There are %d places for %d folds: the folds are of pixels.", n_places, n_folds)
    if options["unit"] == "pixel" or n_places < n_folds:
        for index, plan in enumerate(plans):
            numbers = _pixel_draws(plans, places, index, p.seed)
            if n_folds:
                plan.fold = np.floor(numbers * n_folds).astype(np.int16)
            else:
                plan.unit_split = _of_numbers(numbers, options["fractions"])
        return
    # A place is drawn by the first of its cubes' names.
    names = [min(plans[i].name for i in np.flatnonzero(places == place)) for place in range(places.max() + 1)]
    draws = np.array([number(p.seed, "split", name) for name in names])
    if n_folds:
        order = sorted(range(len(names)), key=lambda place: (draws[place], names[place]))
        turn = np.empty(len(names), np.int16)
        turn[order] = np.arange(len(names)) % n_folds  # folds are of the same size, to one place
        for plan, place in zip(plans, places, strict=True):
            plan.fold[:] = turn[place]
        return
    for plan, place in zip(plans, places, strict=True):
        plan.unit_split[:] = _of_numbers(draws[place : place + 1], options["fractions"])[0]


def _pixel_draws(plans: Sequence[CubePlan], places: np.ndarray, index: int, seed: int) -> np.ndarray:
    """A number for each unit of a cube: that of the pixel at its centre, in the first cube of the place that has it."""
    plan = plans[index]
    x = plan.grid.left + (plan.units.column + plan.size / 2) * plan.grid.resolution_x
    y = plan.grid.top - (plan.units.row + plan.size / 2) * plan.grid.resolution_y
    out = np.full(len(plan.units), np.nan)
    together = np.flatnonzero(places == places[index])
    for number_ in sorted(together, key=lambda i: (plans[i].name, plans[i].label)):
        other = plans[number_]
        rows, columns = grid_pixels(other.grid, *move_points(x, y, plan.grid, other.grid))
        inside = (rows >= 0) & (rows < other.grid.height) & (columns >= 0) & (columns < other.grid.width)
        inside &= np.isnan(out)
        if inside.any():
            numbers = pixel_numbers(seed, "split", other.name, other.grid.shape)
            out[inside] = numbers[rows[inside], columns[inside]]
    return out


def _by_block(plans: Sequence[CubePlan], p: ExportParameters, options: dict[str, Any]) -> None:
    move = Transformer.from_crs("EPSG:4326", BLOCKS, always_xy=True).transform
    for plan in plans:
        x, y = move(plan.units.lon, plan.units.lat)
        blocks = np.floor(np.stack([x, y], axis=1) / options["block_m"]).astype(np.int64)
        unique, of_unit = np.unique(blocks.reshape(-1, 2), axis=0, return_inverse=True)
        draws = np.array([number(p.seed, "block", *block) for block in unique.tolist()])
        plan.unit_split = _of_numbers(draws, options["fractions"])[of_unit.ravel()]


def _drop_near(plans: Sequence[CubePlan], buffer: float) -> None:
    """Drop units of validation and test that lie within `buffer` metres of a unit of another split.

    Of pixels the centres count; patches are taken as the circles around them.
    """
    if not buffer:
        return
    radii = [_radius(plan) for plan in plans]
    near: dict[int, list[int]] = {index: [index] for index in range(len(plans))}
    for a, b in near_cubes(plans, buffer + 2 * max(radii, default=0.0)):
        near[a].append(b)
        near[b].append(a)
    points = [earth_centred(plan.units.lon, plan.units.lat) for plan in plans]
    gone = []
    for index, plan in enumerate(plans):
        drop = np.zeros(len(plan.units), bool)
        for other in near[index]:
            limit = buffer + radii[index] + radii[other]
            # The straight line is shorter than the geodesic: by a hundred-millionth at 3 km, hence the margin.
            limit *= 1 + 1e-9
            for split in range(len(SPLITS)):
                there = points[other][plans[other].unit_split == split]
                held = np.flatnonzero((plan.unit_split != split) & (plan.unit_split > 0) & ~drop)
                if len(there) and len(held):
                    distance, _ = cKDTree(there).query(points[index][held], distance_upper_bound=limit)
                    drop[held[np.isfinite(distance)]] = True
        gone.append(drop)
    for plan, drop in zip(plans, gone, strict=True):
        plan.unit_split[drop] = DROPPED


def _radius(plan: CubePlan) -> float:
    """From the centre of a patch to its corner, metres; 0 of pixels."""
    if plan.size == 1 or not len(plan.units):
        return 0.0
    grid = plan.grid
    x = grid.left + (plan.units.column[0] + np.array([0.5, 1.0]) * plan.size) * grid.resolution_x
    y = grid.top - (plan.units.row[0] + np.array([0.5, 1.0]) * plan.size) * grid.resolution_y
    corners = earth_centred(*Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(x, y))
    return float(np.linalg.norm(corners[1] - corners[0]))


def _by_period(plan: CubePlan, options: dict[str, Any]) -> np.ndarray:
    """The splits of windows by the dates of their targets, all of which lie within the period: (window,) int8."""
    far = np.datetime64("9999-12-31")
    test = np.datetime64(options["test_from"]) if options["test_from"] else far
    val = np.datetime64(options["val_from"]) if options["val_from"] else test
    first = plan.days[plan.starts + plan.context]
    last = plan.days[plan.starts + plan.context + plan.target - 1]
    found = np.full(len(plan.starts), DROPPED, np.int8)
    found[last < val] = SPLITS.index("train")
    found[(first >= val) & (last < test)] = SPLITS.index("val")
    found[first >= test] = SPLITS.index("test")
    return found


def _split_layer(p: ExportParameters, options: dict[str, Any]) -> Layer:
    if p.split_places:
        return read_layer(p.split_places, p.places_crs, "SPLIT_OPTIONS layer")
    return read_vector(str(options["layer"]), str(options["field"]), "SPLIT_OPTIONS layer")


def _by_column(plan: CubePlan, layer: Layer) -> None:
    codes, names = region_codes(plan.grid, layer)
    splits = np.full(max(names, default=0) + 1, DROPPED, np.int8)
    for code, text in names.items():
        word = SAME.get(text.strip().lower(), text.strip().lower())
        if word not in SPLITS:
            raise InputError(
                f"The field of SPLIT_OPTIONS holds {text!r}, which is no split.",
                f"It is one of {', '.join(SPLITS)}.",
            )
        splits[code] = SPLITS.index(word)
    middle = plan.size // 2
    plan.unit_split = splits[codes[plan.units.row + middle, plan.units.column + middle]]
