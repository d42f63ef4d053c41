"""Cleans the images of a cube block by block: reads series, has the processor's cores clean them, writes them.

A block is some pixels over the whole time axis, as chunks lie, so that memory does not grow with the cube; its series
are shared among the cores while the next block is read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from .cleaning.clean import Axis, Cleaned, cleaned
from .cleaning.images import FILLED, GAP, NDVI, REMOVED, SAMPLED, classes_of, grown, ndvi_of
from .cleaning.options import CleaningOptions
from .cleaning.summary import Summary
from .cube.axes import TimeAxis
from .cube.copying import in_order
from .cube.write import CHUNKS, CubeWriter
from .progress import Progress

SERIES = 512  # that are cleaned at once: their float64 stay in the processor's cache
VALUES = 24_000_000  # of a block, of all its variables
CURVES = 9  # pixels whose series the report shows


@dataclass(frozen=True)
class Plan:
    """What is cleaned. `names`: variables of the cube, in its order. `ndvi`: the bands (infrared, red) that the driver
    is made of where the cube has none, else (). `filled`: those images of the cube that were cleaned before, whose
    `s2_filled` says what in them was not seen."""

    names: tuple[str, ...]
    mask: str
    axis: TimeAxis
    options: CleaningOptions
    ndvi: tuple[str, ...]
    filled: frozenset[str]

    @property
    def made(self) -> tuple[str, ...]:
        """The variables that are cleaned, the driver with them where it is made."""
        return (*self.names, NDVI) if self.ndvi else self.names


def clean_blocks(
    writer: CubeWriter, cube: xr.Dataset, plan: Plan, summary: Summary, progress: Progress
) -> None:
    """Clean a cube, as `read_cube` gives it, into the variables that `writer` has for it, and count.

    Raises `StorageError`, `Cancelled`.
    """
    sizes = {"time": len(plan.axis.days), "y": cube.sizes["y"], "x": cube.sizes["x"]}
    places = list(_places(sizes, len(plan.made)))
    axis = Axis(plan.axis.days, plan.options)
    shown = _shown(sizes)
    workers = os.cpu_count() or 1
    # Each thread has series of its own: the linear algebra must not share them out a second time.
    with threadpool_limits(1), ThreadPoolExecutor(workers, "cleaning") as pool:
        try:
            waiting: tuple[dict[str, slice], np.ndarray, np.ndarray | None, list[Future]] | None = None
            for number, place in enumerate([*places, None]):
                begun = None if place is None else (place, *_begin(pool, cube, plan, axis, place))
                if waiting is not None:
                    part = progress.part((number - 1) / len(places), number / len(places))
                    text = f"Cleaning: {number} of {len(places)} blocks"
                    _finish(writer, plan, summary, shown, *waiting, partial(part.update, text=text))
                waiting = begun
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _places(sizes: dict[str, int], n_variables: int) -> Iterator[dict[str, slice]]:
    """Blocks of pixels: whole chunks, or parts of them where the axis is so long that memory would not hold them."""
    height, width = CHUNKS["y"], CHUNKS["x"]
    while height > 4 and height * width * sizes["time"] * n_variables > VALUES:
        height //= 2
    for top in range(0, sizes["y"], height):
        for left in range(0, sizes["x"], width):
            yield {
                "y": slice(top, min(top + height, sizes["y"])),
                "x": slice(left, min(left + width, sizes["x"])),
            }


def _begin(
    pool: ThreadPoolExecutor, cube: xr.Dataset, plan: Plan, axis: Axis, place: dict[str, slice]
) -> tuple[np.ndarray, np.ndarray | None, list[Future]]:
    """Read a block and let its series be cleaned: the driver before, what was filled before (pixels, steps), and what
    will be there."""
    filled = _series(cube, FILLED, plan.axis, place) == 1 if plan.filled else None

    def seen(name: str) -> np.ndarray:
        values = _series(cube, name, plan.axis, place)
        if (
            plan.options.mode != "seed"
        ):  # whose numbers hang on the type: the original computes in that of the cube
            values = values.astype(np.float32)
        return np.where(filled, np.float32(np.nan), values) if name in plan.filled else values

    values = {each: seen(each) for each in plan.names}
    if plan.ndvi:
        infrared, red = (values[each] if each in values else seen(each) for each in plan.ndvi)
        values[NDVI] = ndvi_of(infrared, red)
    driver = values[plan.options.driver] if plan.options.driver in values else seen(plan.options.driver)
    mask = _mask(cube, plan, place) if plan.mask else None
    futures = []
    for start in range(0, len(driver), SERIES):
        part = slice(start, start + SERIES)
        own = {each: some[part] for each, some in values.items()}
        futures.append(pool.submit(cleaned, own, driver[part], None if mask is None else mask[part], axis))
    return driver, filled, futures


def _series(cube: xr.Dataset, name: str, axis: TimeAxis, place: dict[str, slice]) -> np.ndarray:
    """(pixels, steps) of a place."""
    variable = in_order(cube.variables[name], "time")
    values = variable.isel({"time": axis.places(0, len(axis.days)), **place}).values
    return np.ascontiguousarray(values.reshape(len(values), -1).T)


def _mask(cube: xr.Dataset, plan: Plan, place: dict[str, slice]) -> np.ndarray:
    """Classes (pixels, steps) of a place, cloud and shadow grown by DILATE pixels."""
    grow = plan.options.dilate
    around = {
        dim: slice(max(part.start - grow, 0), min(part.stop + grow, cube.sizes[dim]))
        for dim, part in place.items()
    }
    variable = in_order(cube.variables[plan.mask], "time")
    values = variable.isel({"time": plan.axis.places(0, len(plan.axis.days)), **around}).values
    values = grown(classes_of(values, plan.mask), grow, plan.options.drop)
    inner = tuple(
        slice(part.start - around[dim].start, part.stop - around[dim].start) for dim, part in place.items()
    )
    values = values[(slice(None), *inner)]
    return np.ascontiguousarray(values.reshape(len(values), -1).T)


def _finish(
    writer: CubeWriter,
    plan: Plan,
    summary: Summary,
    shown: list[tuple[int, int]],
    place: dict[str, slice],
    driver: np.ndarray,
    filled: np.ndarray | None,
    futures: list[Future],
    step: Callable[[float], None],
) -> None:
    """Write a block that was cleaned; `step` hears of the share that is done, and may raise `Cancelled`."""
    parts: list[Cleaned] = []
    for number, future in enumerate(futures):
        step(number / len(futures))
        parts.append(future.result())
        summary.add(parts[-1])
    height, width = (place[dim].stop - place[dim].start for dim in ("y", "x"))
    where = (slice(None), place["y"], place["x"])

    def images(series: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(series).T.reshape(-1, height, width)

    for name in plan.made:
        step(1.0)
        writer.put(name, where, images([part.values[name] for part in parts]))
    missed = np.concatenate([part.filled for part in parts])
    writer.put(FILLED, where, images([missed if filled is None else missed | filled]).astype(np.uint8))
    for name, values, dtype in (
        (SAMPLED, np.concatenate([part.sampled for part in parts]), np.uint8),
        (GAP, np.concatenate([part.gap for part in parts]), np.int32),
        (REMOVED, np.concatenate([part.removed_percent for part in parts]), np.float32),
    ):
        writer.put(name, where[1:], values.reshape(height, width).astype(dtype))
    after = (
        np.concatenate([part.values[plan.options.driver] for part in parts])
        if (plan.options.driver in plan.made)
        else None
    )
    if after is None:
        return
    lost = np.concatenate([part.removed[plan.options.driver] for part in parts])
    for row, column in shown:
        if place["y"].start <= row < place["y"].stop and place["x"].start <= column < place["x"].stop:
            series = (row - place["y"].start) * width + column - place["x"].start
            seen = np.concatenate([part.clear[plan.options.driver] for part in parts])[series]
            before = np.where(seen, driver[series], np.nan)
            summary.curves.append(
                (f"row {row + 1}, column {column + 1}", before, lost[series], after[series])
            )


def _shown(sizes: dict[str, int]) -> list[tuple[int, int]]:
    """Pixels spread evenly over the cube, whose series the report shows."""
    side = int(np.sqrt(CURVES))
    rows = [(2 * each + 1) * sizes["y"] // (2 * side) for each in range(side)]
    columns = [(2 * each + 1) * sizes["x"] // (2 * side) for each in range(side)]
    return list(dict.fromkeys((row, column) for row in rows for column in columns))
