"""Features on the grid of a cube: where they are, how much of a pixel they cover, what a field of them says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from rasterio.enums import MergeAlg
from rasterio.features import rasterize

from .errors import InputError
from .grid import Grid

BLOCK = 16  # pixels to a side; polygons are cut to blocks before they are cut to pixels
MODES = ("mask", "share")
RULES = ("last", "first", "min", "max", "mean", "sum")


@dataclass(frozen=True)
class Features:
    """Geometries in the CRS of the cube, valid ones, and the value of a field of each; `mended`: how many were not
    valid."""

    shapes: np.ndarray
    values: list[Any]
    mended: int


def read_features(path: Path) -> Features:
    """Features of a file with a JSON object per line: `wkb` (hexadecimal, CRS of the cube) and `value`.

    Empty geometries are left out. Raises `InputError` for geometries that cannot be mended.
    """
    rows = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines() if line]
    shapes = shapely.force_2d(
        shapely.from_wkb(np.array([bytes.fromhex(row["wkb"]) for row in rows], dtype=object))
    )
    shapes = np.atleast_1d(np.asarray(shapes, dtype=object))
    bad = ~shapely.is_valid(shapes)
    shapes[bad] = shapely.make_valid(shapes[bad])
    keep = ~(shapely.is_empty(shapes) | shapely.is_missing(shapes))
    if not shapely.is_valid(shapes[keep]).all():
        raise InputError(
            "A geometry is not valid and cannot be mended.", "Repair the layer (Fix geometries)."
        )
    values = [row.get("value") for row, kept in zip(rows, keep, strict=True) if kept]
    return Features(shapes[keep], values, int(bad.sum()))


def mask_of(grid: Grid, features: Features) -> np.ndarray:
    """1 where a polygon holds the centre of a pixel, or a line or point touches it: (y, x) uint8."""
    out = np.zeros(grid.shape, np.uint8)
    for touched, shapes, _ in _by_kind(features):
        if len(shapes):
            _burn(grid, shapes, np.ones(len(shapes)), touched, out)
    return out


def share_of(grid: Grid, features: Features) -> np.ndarray:
    """The share of each pixel's area that polygons cover together, 0 to 1: (y, x) float32, exact."""
    polygons = features.shapes[shapely.get_dimensions(features.shapes) == 2]
    out = np.zeros(grid.shape, np.float64)
    if not len(polygons):
        raise InputError("The share of a pixel is that of polygons; the layer has none.", "Use mask.")
    whole = shapely.union_all(polygons)
    shapely.prepare(whole)
    for rows, columns in _blocks(grid):
        left, top = grid.left + columns.start * grid.resolution_x, grid.top - rows.start * grid.resolution_y
        right, bottom = grid.left + columns.stop * grid.resolution_x, grid.top - rows.stop * grid.resolution_y
        box = shapely.box(left, bottom, right, top)
        if not shapely.intersects(whole, box):
            continue
        if shapely.contains(whole, box):
            out[rows, columns] = 1.0
            continue
        part = shapely.intersection(whole, box)
        x = left + np.arange(columns.stop - columns.start) * grid.resolution_x
        y = top - np.arange(rows.stop - rows.start) * grid.resolution_y
        x, y = np.meshgrid(x, y)
        pixels = shapely.box(x, y - grid.resolution_y, x + grid.resolution_x, y)
        out[rows, columns] = shapely.area(shapely.intersection(part, pixels))
        out[rows, columns] /= grid.resolution_x * grid.resolution_y
    return np.clip(out, 0.0, 1.0).astype(np.float32)


def numbers_of(grid: Grid, features: Features, rule: str) -> np.ndarray:
    """The number of the features at each pixel: (y, x) float64, NaN without one.

    Where features overlap `rule` decides: the "first" or "last" of the layer, "min", "max", "mean" or "sum". Features
    without a number are left out.
    """
    numbers = np.array([np.nan if value is None else float(value) for value in features.values])
    given = np.isfinite(numbers)
    chosen = Features(features.shapes[given], numbers[given].tolist(), 0)
    total, count = np.zeros(grid.shape), np.zeros(grid.shape)
    out = np.full(grid.shape, np.nan)
    for touched, shapes, values in _by_kind(chosen):
        if not len(shapes):
            continue
        values = np.array(values, float)
        if rule in ("mean", "sum"):
            _burn(grid, shapes, values, touched, total, MergeAlg.add)
            _burn(grid, shapes, np.ones(len(shapes)), touched, count, MergeAlg.add)
            continue
        by = {"first": slice(None, None, -1), "min": np.argsort(-values, kind="stable")}
        by |= {"max": np.argsort(values, kind="stable"), "last": slice(None)}
        _burn(grid, shapes[by[rule]], values[by[rule]], touched, out)
    if rule in ("mean", "sum"):
        there = count > 0
        out[there] = total[there] / (count[there] if rule == "mean" else 1)
    return out


def codes_of(grid: Grid, features: Features, rule: str) -> tuple[np.ndarray, dict[int, str]]:
    """Texts of a field as classes: (y, x) uint8 or uint16, 0 without a feature; and the text of each class, in the
    order of the alphabet. `rule`: "first" or "last"."""
    texts = ["" if value is None else str(value) for value in features.values]
    names = sorted({text for text in texts if text})
    if len(names) > 65534:
        raise InputError(
            f"The field has {len(names)} different texts, which are no classes.", "Choose another field."
        )
    codes = {name: number for number, name in enumerate(names, start=1)}
    numbered = Features(features.shapes, [codes.get(text) for text in texts], 0)
    values = numbers_of(grid, numbered, rule)
    dtype = np.uint8 if len(names) < 255 else np.uint16
    return np.nan_to_num(values).astype(dtype), {0: "none", **{code: name for name, code in codes.items()}}


def _by_kind(features: Features) -> Iterator[tuple[bool, np.ndarray, list[Any]]]:
    """(whether touching a pixel counts, shapes, values): polygons, then lines and points."""
    areas = shapely.get_dimensions(features.shapes) == 2
    for touched, chosen in ((False, areas), (True, ~areas)):
        values = [value for value, yes in zip(features.values, chosen, strict=True) if yes]
        yield touched, features.shapes[chosen], values


def _burn(grid, shapes, values, touched, out, merge=MergeAlg.replace) -> None:
    rasterize(
        zip(shapes, values, strict=True),
        out=out,
        transform=grid.geobox.transform,
        all_touched=touched,
        merge_alg=merge,
    )


def _blocks(grid: Grid) -> Iterator[tuple[slice, slice]]:
    for top in range(0, grid.height, BLOCK):
        for left in range(0, grid.width, BLOCK):
            yield slice(top, min(top + BLOCK, grid.height)), slice(left, min(left + BLOCK, grid.width))
