"""The job that cleans the images of a cube: clouds and outliers out, gaps filled, series smoothed.

Work goes in blocks of pixels over the whole time axis, as chunks lie, so that memory does not grow with the cube; the
series of a block are shared among the processor's cores while the next block is read.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from .cleaning.clean import Axis, Cleaned, cleaned
from .cleaning.images import (
    FILLED,
    GAP,
    MASK,
    NDVI,
    REMOVED,
    REMOVED_OF_DATE,
    SAMPLED,
    bands_of_driver,
    classes_of,
    grown,
    ndvi_of,
)
from .cleaning.options import OTHER, CleaningOptions, permitted_years
from .cleaning.report import SHARES, CleaningReport
from .cube.axes import TimeAxis, time_axis
from .cube.copying import in_order
from .cube.describe import LayerInfo
from .cube.encoding import GRID_MAPPING, flags
from .cube.output import checked_output
from .cube.read import cube_path, read_cube
from .cube.rewrite import extended_cube
from .cube.write import CHUNKS, CubeWriter
from .errors import InputError
from .progress import Progress
from .report.page import checked_page

log = logging.getLogger(__name__)
REFLECTANCE = re.compile(r"s2_B\d[0-9A]")
SERIES = 512  # that are cleaned at once: their float64 stay in the processor's cache
VALUES = 24_000_000  # of a block, of all its variables
MADE = (FILLED, SAMPLED, GAP, REMOVED, REMOVED_OF_DATE)
CURVES = 9  # pixels whose series the report shows
# Attributes of a variable that are not true of the cleaned one.
OUTDATED = ("n_clipped", "valid_range", "valid_min", "valid_max", "actual_range")


@dataclass(frozen=True)
class CleanParameters:
    """`cube`: path of a cube. `output`: of the .nc or .zarr to write, which may be the cube. `options`: the fields of
    `CleaningOptions`. `variables`: which to clean, () for the reflectances and indices of Sentinel-2. `mask`: the
    variable of the classes of `s2_mask`. `report`: path of an .html to write, or empty."""

    cube: str
    output: str
    options: dict = field(default_factory=dict)
    variables: tuple = ()
    mask: str = MASK
    report: str = ""


@dataclass(frozen=True)
class CleanResult:
    """`removed_percent`: outliers among the clear values. `missing_percent`: of all values before, `left_percent`:
    after. `long_gap_percent`: of the pixels. `report`: path, or empty. `layers` to show."""

    output: str
    title: str
    n_dates: int
    removed_percent: float
    missing_percent: float
    left_percent: float
    long_gap_percent: float
    report: str = ""
    layers: tuple[LayerInfo, ...] = ()


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


def clean_clouds(parameters: CleanParameters, progress: Progress) -> CleanResult:
    """Write the cube with cleaned images at `parameters.output`, float32 with NaN where nothing is known.

    Beside them stand `s2_filled` (time, y, x), `to_sample`, `s2_longest_gap` (steps), `s2_removed_percent` (y, x) and
    `s2_removed_share` (time). Raises `InputError` for what the user gave, `StorageError`, `Cancelled`.
    """
    options = CleaningOptions.from_json(parameters.options)
    path = cube_path(Path(parameters.cube))
    checked_output(parameters.output)
    report_path = checked_page(parameters.report, "REPORT")
    with read_cube(path) as cube:
        plan = make_plan(cube, parameters, options, path.name)
    summary = Summary(plan)

    def add(writer: CubeWriter, cube: xr.Dataset, part: Progress) -> None:
        _clean(writer, cube, plan, summary, path.name, part)

    what = (
        f"cleanclouds of {path.name}, {', '.join(plan.names)}, MODE {options.mode}, METHOD {options.method}"
    )
    done = extended_cube(str(path), parameters.output, [*plan.made, *MADE], add, what, progress)
    result = summary.result()
    log.info(
        "%.4g %% of the clear values went as outliers; %.4g %% of all values were missing, %.4g %% still are; "
        "%.4g %% of the pixels have a gap of more than %d steps.",
        *(
            result[each]
            for each in ("removed_percent", "missing_percent", "left_percent", "long_gap_percent")
        ),
        options.max_gap,
    )
    if report_path is not None:
        summary.report(done.title).write(report_path)
    return CleanResult(
        done.output, done.title, done.n_dates, **result, report=parameters.report, layers=done.layers
    )


def make_plan(cube: xr.Dataset, parameters: CleanParameters, options: CleaningOptions, name: str) -> Plan:
    """What of a cube, as `read_cube` gives it, is cleaned. Raises `InputError`."""
    images = [str(each) for each, v in cube.variables.items() if set(v.dims) == {"time", "y", "x"}]
    numbers = [
        each for each in images if cube[each].dtype.kind == "f" and "flag_values" not in cube[each].attrs
    ]
    # Classes that others wrote as floats are not among them, nor what is of the air, not of the ground.
    chosen = [
        each
        for each in numbers
        if REFLECTANCE.fullmatch(each)
        or each == NDVI
        or (each.startswith("s2_") and "index" in cube[each].attrs)
    ]
    if parameters.variables:
        unknown = [each for each in parameters.variables if each not in numbers]
        if unknown:
            raise InputError(
                f"VARIABLES: {name} has no images {unknown[0]}.", f"It has: {', '.join(numbers) or 'none'}."
            )
        chosen = [each for each in numbers if each in parameters.variables]
    if not chosen:
        raise InputError(
            f"{name} has no images of Sentinel-2 to clean.", "Name the VARIABLES to clean, and the DRIVER."
        )
    mask = parameters.mask if parameters.mask in images else ""
    if parameters.mask and not mask:
        if parameters.mask != MASK:
            raise InputError(
                f"MASK: {name} has no images {parameters.mask}.", f"It has: {', '.join(images)}."
            )
        log.warning("%s has no %s: all values that are there count as clear.", name, MASK)
    if mask:
        _check_classes(cube[mask].attrs.get("flag_values"), mask)
    ndvi = bands_of_driver(options.driver, numbers, name)
    if ndvi:
        log.info("%s has no %s: it is made of %s and %s.", name, NDVI, *ndvi)
    axis = time_axis(cube, "time", name)
    if len(np.unique(axis.days)) < len(axis.days):
        raise InputError(f"{name} has two images of one day.", "Bring it to one a day with aggregatetime.")
    years = permitted_years(options.years)
    covered = axis.days.astype("datetime64[Y]").astype(int) + 1970
    if years is not None and not np.isin(covered, list(years)).any():
        raise InputError(
            f"YEARS: {name} has no date in {options.years}.", f"It covers {covered.min()} to {covered.max()}."
        )
    fitted = [each for each in images if cube[each].attrs.get("fitted_to") and each != FILLED]
    again = [each for each in chosen if each in fitted]
    if again:
        log.warning("%s of %s was cleaned before and is cleaned again.", ", ".join(again), name)
    filled = frozenset(fitted if FILLED in images else ())
    return Plan(tuple(chosen), mask, axis, options, ndvi, filled)


def _check_classes(known: np.ndarray | None, mask: str) -> None:
    """Raises `InputError` for a mask that says it has other classes than s2_mask; 255 may be what is missing."""
    others = [] if known is None else [each for each in np.ravel(known) if OTHER < each < 255]
    if others:
        raise InputError(
            f"MASK: {mask} has classes that s2_mask does not have ({', '.join(map(str, others))}).",
            "Give a mask with 0 clear, 1 cloud, 2 cloud shadow, 3 snow, 4 other or no data.",
        )


class Summary:
    """Counts while blocks are cleaned, and keeps the series of a few pixels."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        steps = len(plan.axis.days)
        self.removed_of_date, self.clear_of_date = np.zeros(steps, int), np.zeros(steps, int)
        self.values = self.left = self.pixels = self.long = 0
        self.gaps = np.zeros(steps + 1, int)
        self.shares = np.zeros(len(SHARES) - 1, int)
        self.curves: list[tuple[str, np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, done: Cleaned) -> None:
        """Count a block."""
        for name, values in done.values.items():
            self.removed_of_date += done.removed[name].sum(axis=0)
            self.clear_of_date += done.clear[name].sum(axis=0)
            self.values += values.size
            self.left += int(np.count_nonzero(~np.isfinite(values)))
        self.pixels += len(done.gap)
        self.long += int(np.count_nonzero(~done.sampled))
        self.gaps += np.bincount(done.gap, minlength=len(self.gaps))
        self.shares += np.histogram(done.removed_percent, SHARES)[0]

    def share_of_date(self) -> np.ndarray:
        """Outliers among the clear values of each date, NaN where none is clear."""
        known = self.clear_of_date > 0
        return np.where(known, self.removed_of_date / np.maximum(self.clear_of_date, 1), np.nan)

    def result(self) -> dict[str, float]:
        clear = int(self.clear_of_date.sum())
        return {
            "removed_percent": 100 * int(self.removed_of_date.sum()) / max(clear, 1),
            "missing_percent": 100 * (1 - clear / max(self.values, 1)),
            "left_percent": 100 * self.left / max(self.values, 1),
            "long_gap_percent": 100 * self.long / max(self.pixels, 1),
        }

    def report(self, title: str) -> CleaningReport:
        return CleaningReport(
            title, asdict(self.plan.options), self.plan.axis.days, self.plan.options.driver,
            self.share_of_date(), self.shares, self.gaps, self.curves, self.result(),
        )  # fmt: skip


def _clean(
    writer: CubeWriter, cube: xr.Dataset, plan: Plan, summary: Summary, name: str, progress: Progress
) -> None:
    sizes = {"time": len(plan.axis.days), "y": cube.sizes["y"], "x": cube.sizes["x"]}
    _create(writer, cube, plan, sizes, name)
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
    writer.add(
        REMOVED_OF_DATE, ("time",), summary.share_of_date().astype(np.float32), units="1",
        long_name="share of the date's clear values that were removed as outliers", source="cleanclouds",
    )  # fmt: skip


def _create(writer: CubeWriter, cube: xr.Dataset, plan: Plan, sizes: dict[str, int], name: str) -> None:
    first, last = plan.axis.days[[0, -1]]
    fitted = {"fitted_from": str(first), "fitted_to": str(last)}
    # CF calls NaN in float32 missing: nothing more is to be said.
    for each in plan.made:
        said = dict(cube[each].attrs) if each in cube else {"long_name": "NDVI", "units": "1"}
        how = plan.options.method
        comment = f"cleaned (mode {plan.options.mode}, {how}); {FILLED} says which values were not seen"
        if plan.ndvi and each == NDVI:
            comment += f"; ({plan.ndvi[0]} - {plan.ndvi[1]}) / ({plan.ndvi[0]} + {plan.ndvi[1]})"
        attributes = {key: value for key, value in said.items() if key not in OUTDATED}
        attributes |= {
            "long_name": said.get("long_name") or each,
            "units": said.get("units") or ("1" if each == NDVI or REFLECTANCE.fullmatch(each) else ""),
            "source": said.get("source") or said.get("provider") or f"{each} of {name}",
            "comment": "; ".join(filter(None, [str(said.get("comment", "")), comment])),
            **fitted,
            "cleaning": json.dumps(plan.options.to_json(), sort_keys=True),
            "ancillary_variables": FILLED,
            "grid_mapping": GRID_MAPPING,
        }
        writer.create(each, sizes, "float32", np.float32(np.nan), **attributes)
    maps = {"y": sizes["y"], "x": sizes["x"]}
    common = {"source": "cleanclouds", "grid_mapping": GRID_MAPPING, **fitted}
    writer.create(
        FILLED, sizes, "uint8", None, long_name="whether a value was not seen", units="1",
        **flags({0: "seen", 1: "filled"}), **common,
    )  # fmt: skip
    writer.create(
        SAMPLED, maps, "uint8", None, long_name=f"no gap of more than {plan.options.max_gap} steps", units="1",
        **flags({0: "long_gap", 1: "to_sample"}), **common,
    )  # fmt: skip
    writer.create(
        GAP, maps, "int32", None, long_name="longest gap, in steps of the time axis", units="1", **common
    )
    writer.create(
        REMOVED, maps, "float32", np.float32(np.nan), units="percent",
        long_name="clear values of the pixel that were removed as outliers", **common,
    )  # fmt: skip


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
    values = grown(classes_of(values), grow, plan.options.drop)
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
