"""The job that brings variables of a cube to steps of days: the mean, largest, ... of the values in each step.

Values are those of days or images: a step takes whatever lies in it. Work goes in blocks of rows and steps, so that
memory does not grow with the cube.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .aggregation import DAY, Series, Windows, aggregated, cell_method, checked_aggregation, windows_of
from .cube.axes import TimeAxis, bounds_names, time_axis, time_dims
from .cube.copying import along_time, blocks, copy_variable, in_order
from .cube.describe import LayerInfo
from .cube.encoding import GRID_MAPPING, Encoding, Variable
from .cube.kinds import classes
from .cube.output import checked_output
from .cube.read import ORIGINAL_NAME, cube_path, grid_of, read_cube
from .cube.rewrite import rewritten_cube, with_history
from .cube.write import EPOCH, CubeWriter, open_cube
from .errors import InputError
from .progress import Progress
from .timeline import regular_days

log = logging.getLogger(__name__)
VALUES_AT_ONCE = (
    4_000_000  # read of a variable before they are aggregated; some 150 MB with all that is made of them
)
OF_CLASSES = ("min", "max", "median")
WORDS = {"min": "smallest", "max": "largest", "std": "standard deviation"}
# What is true of the stored numbers, or of each value alone.
NOT_OF_STEPS = (
    "bounds", "grid_mapping", "coordinates", "ancillary_variables", "cell_measures", "n_clipped", "dtype",
    "valid_min", "valid_max", "valid_range", "actual_range", "flag_values", "flag_masks", "flag_meanings",
)  # fmt: skip
FLAGS = ("flag_meanings", "flag_colors", "flag_colours")


@dataclass(frozen=True)
class AggregateParameters:
    """`cube`: path of a cube: .nc, a Zarr folder, or the `.zgroup` / `zarr.json` in it. `variables`: pairs of a
    variable's name and an aggregation. `step_days`: the length of a step, of the first one where `like` names a
    variable whose dates to take. `output`: path of the .nc or .zarr.
    """

    cube: str
    variables: tuple = ()
    step_days: int = 5
    like: str = ""
    output: str = ""


@dataclass(frozen=True)
class AggregateResult:
    """`output`: path of the cube. `layers` to show."""

    output: str
    title: str
    n_dates: int
    layers: tuple[LayerInfo, ...] = ()


@dataclass(frozen=True)
class Made:
    """A variable of the new cube: the aggregation `how` of the variable `source`."""

    name: str
    source: str
    how: str


@dataclass(frozen=True)
class Plan:
    """What becomes of a cube. `axes`: the time axis of each source. `copied`: variables that stay as they are, and
    along which axis."""

    windows: Windows
    made: tuple[Made, ...]
    axes: dict[str, TimeAxis]
    copied: dict[str, TimeAxis | None]
    steps: str


def aggregate_time(parameters: AggregateParameters, progress: Progress) -> AggregateResult:
    """Write the cube of aggregated variables at `parameters.output`.

    Raises `InputError` for what the user gave, `StorageError` for what cannot be read or written, `Cancelled`.
    """
    pairs = checked_pairs(parameters.variables)
    if parameters.step_days < 1:
        raise InputError(f"STEP_DAYS is less than 1: {parameters.step_days}.", "Give a number of whole days.")
    if not parameters.cube:
        raise InputError("CUBE is missing.", "Give the path of a minicube.")
    path = cube_path(Path(parameters.cube))
    output = checked_output(parameters.output)
    if output.exists() and output.samefile(path):
        raise InputError(f"OUTPUT is the cube itself: {output}.", "Choose another name.")
    with read_cube(path) as cube:
        plan = make_plan(cube, pairs, parameters.step_days, parameters.like, path.name)
    log.info("%d steps, %s to %s: %s.", len(plan.windows), *plan.windows.last[[0, -1]], plan.steps)

    def write(part: Path, cube: xr.Dataset, packed: xr.Dataset) -> xr.Dataset:
        return _write(part, cube, packed, plan, path.name, progress)

    done = rewritten_cube(parameters.cube, parameters.output, write, progress)
    return AggregateResult(done.output, done.title, done.n_dates, done.layers)


def checked_pairs(variables: tuple) -> list[tuple[str, str]]:
    """Names and aggregations, each pair once. Raises `InputError`."""
    pairs = []
    for row in variables:
        if (
            not isinstance(row, (list, tuple))
            or len(row) != 2
            or not all(isinstance(each, str) for each in row)
        ):
            raise InputError(f"VARIABLES has a row that is not a name and an aggregation: {row!r}.")
        name, how = row[0].strip(), row[1].strip()
        if not name or not how:
            missing = f"an aggregation for {name}" if name else f"a variable for {how or 'a row'}"
            raise InputError(
                f"VARIABLES lacks {missing}.", "A row is a name and an aggregation: s2_ndvi, max."
            )
        pairs.append((name, checked_aggregation(how)))
    if not pairs:
        raise InputError("VARIABLES is empty.", "Give names and aggregations, for example s2_ndvi, max.")
    (name, how), count = Counter(pairs).most_common(1)[0]
    if count > 1:
        raise InputError(f"VARIABLES has {name}, {how} {count} times.", "Give it once.")
    return pairs


def make_plan(cube: xr.Dataset, pairs: list[tuple[str, str]], step_days: int, like: str, name: str) -> Plan:
    """What becomes of a cube, as `read_cube` gives it, whose file has this name. Raises `InputError`."""
    over_time = _over_time(cube)
    numbers = [str(each) for each, dim in over_time.items() if cube[each].dtype.kind in "biuf"]
    numbers = [each for each in numbers if each not in bounds_names(cube)]
    for source, how in pairs:
        _check(cube, source, numbers, "VARIABLES")
        _check_classes(cube, source, how)
    axes = {dim: time_axis(cube, dim, name) for dim in time_dims(cube)}
    copied: dict[str, TimeAxis | None] = dict.fromkeys(_static(cube))
    if like:
        _check(cube, like, [*over_time, *(dim for dim in axes if dim not in over_time)], "LIKE")
        axis = axes[over_time.get(like, like)]
        days = np.unique(axis.days)
        steps = f"to the dates of {like}"
        along = [
            each for each, dim in over_time.items() if dim == axis.dim and each not in bounds_names(cube)
        ]
        if len(days) == len(axis.stamps):
            copied |= dict.fromkeys(along, axis)
        else:
            log.warning("%s has several values a day: what lies on its dates is not copied.", like)
    else:
        days = np.array(
            regular_days(*_period(cube, axes["time"], [source for source, _ in pairs]), step_days)
        )
        steps = f"to steps of {step_days} days"
    windows = windows_of(days, "since_previous", step_days)
    count = Counter(source for source, _ in pairs)
    made = tuple(Made(s if count[s] == 1 else f"{s}_{how}", s, how) for s, how in pairs)
    for each in made:
        if each.name == each.source:
            copied.pop(each.name, None)
    taken = Counter([*copied, *(each.name for each in made), "time", "y", "x", "time_bnds", GRID_MAPPING])
    twice = [each for each, n in taken.items() if n > 1]
    if twice:
        raise InputError(
            f"The new cube would have two variables {twice[0]}.",
            "Aggregate less at once, or rename one before.",
        )
    return Plan(windows, made, {s: axes[over_time[s]] for s, _ in pairs}, copied, steps)


def _period(cube: xr.Dataset, axis: TimeAxis, sources: list[str]) -> tuple[dt.date, dt.date]:
    """The first and last day of the steps: those of the cube's dates. Of sums and the like, which by their
    `cell_methods` are of the intervals that end there, the days that these cover: an image is of its day alone."""
    along = re.escape(str(cube["time"].attrs.get(ORIGINAL_NAME, "time")))
    of_intervals = re.compile(rf"\b{along}: (?!point\b(?! \(percentile))")
    on_axis = [cube[name].attrs for name in sources if "time" in cube[name].dims]
    if any(of_intervals.search(str(attributes.get("cell_methods", ""))) for attributes in on_axis):
        return axis.first.item(), axis.last.item()
    return axis.days[0].item(), axis.days[-1].item()


def _over_time(cube: xr.Dataset) -> dict[str, str]:
    """The variables that lie on one time dimension, and on which."""
    dims = set(time_dims(cube))
    found = {str(name): dims & set(v.dims) for name, v in cube.variables.items() if name not in cube.dims}
    return {name: str(next(iter(on))) for name, on in found.items() if len(on) == 1}


def _static(cube: xr.Dataset) -> list[str]:
    """The variables that do not change with time, and the coordinates of dimensions of their own."""
    dims, left_out = set(time_dims(cube)), {"y", "x", GRID_MAPPING}
    return [str(n) for n, v in cube.variables.items() if n not in left_out and not dims & set(v.dims)]


def _check(cube: xr.Dataset, name: str, known: list[str], parameter: str) -> None:
    if name in known:
        return
    hint = f"It has over time: {', '.join(known) or 'none'}."
    if name not in cube.variables:
        raise InputError(f"{parameter}: the cube has no variable {name}.", hint)
    if set(time_dims(cube)) & set(cube[name].dims) and cube[name].dtype.kind not in "biuf":
        raise InputError(f"{parameter}: {name} holds text or dates, not numbers.", hint)
    raise InputError(f"{parameter}: {name} does not change with time.", hint)


def _check_classes(cube: xr.Dataset, name: str, how: str) -> None:
    attributes = cube[name].attrs
    is_classes = {"flag_values", "flag_masks"} & set(attributes) or classes(
        Variable(name, Encoding("uint8"), attributes)
    )
    if is_classes and how not in OF_CLASSES:
        raise InputError(
            f"VARIABLES: {name} holds classes, of which there is no {how}.",
            f"Of classes there are {', '.join(OF_CLASSES)}.",
        )


def _write(
    part: Path, cube: xr.Dataset, packed: xr.Dataset, plan: Plan, name: str, progress: Progress
) -> xr.Dataset:
    centres = {axis: cube[axis].values for axis in ("y", "x")}
    days = plan.windows.last.astype(object).tolist()
    what = ", ".join(f"{each.source} {each.how}" for each in plan.made)
    attributes = with_history(packed.attrs, f"aggregatetime of {name}, {what}, {plan.steps}")
    with open_cube(part, grid_of(cube, name), days, (), attributes, centres) as writer:
        pair = "nv" if cube.sizes.get("nv", 2) == 2 else "bnds"
        bounds = (plan.windows.bounds - np.datetime64(EPOCH)).astype("int32")
        writer.add("time_bnds", ("time", pair), bounds)
        writer.describe("time", long_name="last UTC day of the step", bounds="time_bnds")
        sources = dict.fromkeys(each.source for each in plan.made)
        work = len(sources) * 4 + len(plan.copied) + 1
        for number, source in enumerate(sources):
            _write_made(
                writer, cube, plan, source, name, progress.part(number * 4 / work, (number + 1) * 4 / work)
            )
        kept = {*plan.copied, *(each.name for each in plan.made), *cube.dims, GRID_MAPPING}
        for number, (each, axis) in enumerate(plan.copied.items()):
            progress.update((len(sources) * 4 + number) / work, f"Copying {each}")
            copy_variable(writer, cube, packed, each, kept, axis)
        for dim in ("y", "x"):
            if cube[dim].attrs.get("bounds") in plan.copied:
                writer.describe(dim, bounds=cube[dim].attrs["bounds"])
    return writer.dataset()


def _write_made(
    writer: CubeWriter, cube: xr.Dataset, plan: Plan, source: str, name: str, progress: Progress
) -> None:
    """Aggregate one variable, in all ways that are asked of it."""
    axis, windows = plan.axes[source], plan.windows
    variable = in_order(cube.variables[source], axis.dim)
    sizes = {"time": len(windows), **{str(dim): variable.sizes[dim] for dim in variable.dims[1:]}}
    made = [each for each in plan.made if each.source == source]
    for each in made:
        attributes = _attributes(variable.attrs, each, axis, plan.steps, name, tuple(sizes))
        writer.create(each.name, sizes, "float32", np.float32(np.nan), **attributes)
    places = list(blocks(sizes))
    n_values = 0
    for number, place in enumerate(places):
        rows = f", rows {place['y'].start + 1} to {place['y'].stop} of {sizes['y']}" if "y" in place else ""
        text = f"{source}{rows}, steps {place['time'].start + 1} to {place['time'].stop} of {sizes['time']}"
        progress.update(number / len(places), text)
        steps = Windows(windows.first[place["time"]], windows.last[place["time"]])
        starts, stops = Series(axis.stamps, axis.stamps, DAY, axis.ending).stamps_of(steps)
        start, stop = int(starts[0]), int(stops[-1])
        n_values += stop - start
        shape = tuple(each.stop - each.start for each in place.values())
        results = [np.full(shape, np.nan, "float32") for _ in made]
        for within, rest in _bounded(place, sizes, stop - start):
            where = {axis.dim: axis.places(start, stop), **rest}
            series = Series(axis.stamps[start:stop], variable.isel(where).values, DAY, axis.ending)
            for each, result in zip(made, results, strict=True):
                # No share is asked for: how many values a step should have is not known.
                result[within] = aggregated(series, steps, each.how, min_share=0.0)
            progress.raise_if_cancelled()
        for each, result in zip(made, results, strict=True):
            writer.put(each.name, tuple(place.values()), result)
    if not n_values:
        log.warning("%s has no value in any of the steps.", source)


def _bounded(
    place: dict[str, slice], sizes: dict[str, int], n_stamps: int
) -> Iterator[tuple[tuple[slice, ...], dict[str, slice]]]:
    """Cut a place into rows, so that not too many values are read at once: (place in the block, place in the cube
    but for time)."""
    rest = {dim: each for dim, each in place.items() if dim != "time"}
    if "y" not in rest:
        yield (), rest
        return
    in_a_row = max(n_stamps, 1) * int(
        np.prod([size for dim, size in sizes.items() if dim not in ("time", "y")])
    )
    rows, first, last = max(1, VALUES_AT_ONCE // in_a_row), rest["y"].start, rest["y"].stop
    for start in range(first, last, rows):
        stop = min(start + rows, last)
        within = tuple(slice(start - first, stop - first) if dim == "y" else slice(None) for dim in place)
        yield within, {**rest, "y": slice(start, stop)}


def _attributes(
    said: dict[str, Any], made: Made, axis: TimeAxis, steps: str, name: str, dims: tuple[str, ...]
) -> dict[str, Any]:
    attributes = {key: value for key, value in said.items() if key not in (*NOT_OF_STEPS, *FLAGS)}
    if made.how in ("min", "max") and "flag_values" in said:
        # They are still classes; of the type of the variable, as CF wants it.
        attributes["flag_values"] = np.atleast_1d(said["flag_values"]).astype("float32")
        attributes |= {key: said[key] for key in FLAGS if key in said}
    how = f"percentile {made.how[1:]}" if made.how.startswith("p") else WORDS.get(made.how, made.how)
    comment = f"{how} of the values of each step, aggregated {steps}"
    methods = [along_time(said["cell_methods"], axis)] if said.get("cell_methods") else []
    attributes |= {
        "long_name": said.get("long_name") or said.get("description") or made.source,
        "source": said.get("source") or said.get("provider") or f"{made.source} of {name}",
        "cell_methods": " ".join([*methods, cell_method(made.how)]),
        "comment": "; ".join(filter(None, [str(said.get("comment", "")), comment])),
    }
    if {"y", "x"} <= set(dims):
        attributes["grid_mapping"] = GRID_MAPPING
    return attributes
