"""The job that cleans the images of a cube: clouds and outliers out, gaps filled, series smoothed."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from .clean_blocks import Plan, clean_blocks
from .cleaning.images import (
    FILLED,
    GAP,
    MASK,
    NDVI,
    REMOVED,
    REMOVED_OF_DATE,
    SAMPLED,
    bands_of_driver,
    mask_in,
)
from .cleaning.options import OTHER, CleaningOptions, permitted_years
from .cleaning.summary import Summary
from .cube.axes import time_axis
from .cube.describe import LayerInfo
from .cube.encoding import GRID_MAPPING, flags
from .cube.output import checked_output
from .cube.read import cube_path, read_cube
from .cube.rewrite import extended_cube
from .cube.write import CubeWriter
from .errors import InputError
from .progress import Progress
from .report.page import checked_page

log = logging.getLogger(__name__)
REFLECTANCE = re.compile(r"s2_B\d[0-9A]")
MADE = (FILLED, SAMPLED, GAP, REMOVED, REMOVED_OF_DATE)
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
    summary = Summary(options, plan.axis.days)

    def add(writer: CubeWriter, cube: xr.Dataset, part: Progress) -> None:
        _create(writer, cube, plan, path.name)
        clean_blocks(writer, cube, plan, summary, part)
        writer.add(
            REMOVED_OF_DATE, ("time",), summary.share_of_date().astype(np.float32), units="1",
            long_name="share of the date's clear values that were removed as outliers", source="cleanclouds",
        )  # fmt: skip

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
    mask = _checked_mask(cube, parameters.mask, images, name)
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


def _checked_mask(cube: xr.Dataset, asked: str, images: list[str], name: str) -> str:
    """The variable of the mask, "" for none: that which is asked for, or where a cube has no s2_mask, s2_SCL.

    Raises `InputError` for one that is not there or says it has other classes than s2_mask; 255 may be what is missing.
    """
    if asked == MASK and MASK not in images:
        found = mask_in(images)
        log.warning(
            "%s has no %s: %s.",
            name,
            MASK,
            f"it is made of {found}" if found else "all that is there counts as clear",
        )
        return found
    if asked and asked not in images:
        raise InputError(f"MASK: {name} has no images {asked}.", f"It has: {', '.join(images)}.")
    known = cube[asked].attrs.get("flag_values") if asked else None
    others = [] if known is None else [each for each in np.ravel(known) if OTHER < each < 255]
    if others:
        raise InputError(
            f"MASK: {asked} has classes that s2_mask does not have ({', '.join(map(str, others))}).",
            "Give a mask with 0 clear, 1 cloud, 2 cloud shadow, 3 snow, 4 other or no data.",
        )
    return asked


def _create(writer: CubeWriter, cube: xr.Dataset, plan: Plan, name: str) -> None:
    """Make the variables that cleaning fills."""
    sizes = {"time": len(plan.axis.days), "y": cube.sizes["y"], "x": cube.sizes["x"]}
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
