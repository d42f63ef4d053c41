"""The first pass of an export: opens every cube once, reads no image, and decides which samples there will be."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from ..cleaning.causal import CausalCleaner
from ..cleaning.images import bands_of_driver
from ..cleaning.options import CleaningOptions
from ..errors import InputError
from ..progress import Progress
from .cubes import CubeData, OpenCubes, checksum_of, labels_of, resolved_cubes
from .formats import format_of
from .layout import Layout, check_agree, check_fitted, layout_of, left_out
from .leak import LeakCheck
from .overlaps import near_cubes
from .parameters import PLAIN_FORMATS, ExportParameters
from .plan import CubePlan
from .selection import earth_centred, select_units
from .splits import assign_splits
from .where import Where
from .windows import typical_step, window_starts

log = logging.getLogger(__name__)
VERSION = 1  # of what is written; another continues no earlier run


@dataclass
class DatasetPlan:
    """All samples of a dataset. `variables`: what each says of itself, by name. `sources`: licences and the like of the
    cubes. `dropped`: units, windows and samples that are left out, by reason. `file_variables`: in the order of files
    that do not name them, of some formats."""

    cubes: list[CubePlan]
    layout: Layout
    variables: dict[str, dict[str, str]]
    sources: dict[str, list[str]]
    dropped: dict[str, Counter]
    leak: LeakCheck
    fitted: list[str] = field(default_factory=list)
    file_variables: list[str] = field(default_factory=list)

    @property
    def counts(self) -> Counter:
        """Samples by the number of their split."""
        total: Counter = Counter()
        for plan in self.cubes:
            total += plan.count()
        return total


def make_plan(parameters: ExportParameters, opened: OpenCubes, progress: Progress) -> DatasetPlan:
    """Decide on all samples; `opened` opens the cubes. Raises `InputError` for whatever the cubes do not permit."""
    p = parameters
    if p.where.strip():
        Where(p.where)
    driver = checked_driver(p)
    paths = resolved_cubes(p.cubes)
    looked = _Look(p, driver, opened)
    for number, (path, label) in enumerate(zip(paths, labels_of(paths), strict=True)):
        progress.update(0.9 * number / len(paths), f"Looking at {path.name}")
        looked.at(path, label)
    _keep_apart(looked.plans, p.min_distance, looked.dropped["units"])
    progress.update(0.9, "Splits")
    total = sum(plan.count().total() for plan in looked.plans)
    if not total:
        raise InputError(
            f"No sample is left: {_reasons(looked)}.",
            "Loosen WHERE, SEASON, EXCLUDE, MAX_STEP_DAYS or PLACES.",
        )
    dropped, leak = assign_splits(looked.plans, p, progress)
    looked.dropped["samples"] += dropped
    plan = DatasetPlan(
        looked.plans,
        looked.layout,
        looked.variables,
        looked.sources,
        looked.dropped,
        leak,
        sorted(looked.fitted),
        looked.file_variables,
    )
    if not plan.counts:
        raise InputError(f"No sample is left after the split: {_reasons(looked)}.", "Check SPLIT_OPTIONS.")
    return plan


def checked_driver(parameters: ExportParameters) -> str:
    """The variable by which CLEANING finds outliers; empty where nothing is cleaned. Raises `InputError`."""
    if parameters.smoothing not in ("context", "both"):
        return ""
    options = CleaningOptions.from_json(parameters.cleaning)
    series = {options.driver: np.zeros((1, 1), np.float32)}
    CausalCleaner(series, None, np.zeros(1, "datetime64[D]"), options)  # what looks ahead is refused
    return options.driver


class _Look:
    """What was found in the cubes so far."""

    def __init__(self, parameters: ExportParameters, driver: str, opened: OpenCubes) -> None:
        self._parameters, self._driver, self._opened = parameters, driver, opened
        self._first: tuple[str, int, bool] | None = None
        self.plans: list[CubePlan] = []
        self.layout: Layout = Layout((), (), (), (), False)
        self.variables: dict[str, dict[str, str]] = {}
        self.sources: dict[str, list[str]] = {"license": [], "references": [], "attribution": []}
        self.dropped: dict[str, Counter] = {"windows": Counter(), "units": Counter(), "samples": Counter()}
        self.fitted: set[str] = set()
        self.file_variables: list[str] = []

    def at(self, path: Path, label: str) -> None:
        """Plan a cube. Raises `InputError`."""
        p = self._parameters
        with self._opened.open(path, label) as cube:
            form = None if p.format in PLAIN_FORMATS else format_of(p.format)
            if form is not None:
                form.check(cube, p)
            self._agree(cube, layout_of(cube, p) if form is None else form.layout(cube, p))
            if form is not None:
                self._agree_in_files(form.file_variables(cube, p), cube.path.name)
            if self._driver:
                bands_of_driver(self._driver, cube.kinds.images, cube.path.name)
            starts, dropped = window_starts(cube.days, p, cube.path.name)
            if form is not None:
                before = len(starts)
                starts = np.asarray(form.windows(cube, p, starts), np.int32)
                dropped[f"no window of {p.format}"] += before - len(starts)
            check_fitted(cube, self.layout, starts, p)
            units, dropped_units = select_units(cube, p)
            self.dropped["windows"] += dropped
            self.dropped["units"] += dropped_units
            self._sources(cube)
            size = p.patch_size if p.unit == "patch" else 1
            self.plans.append(
                CubePlan(
                    cube.path, label, cube.name, checksum_of(cube.path), cube.grid, cube.days, size, p.context,
                    p.target, units, starts,
                )
            )  # fmt: skip

    def _agree(self, cube: CubeData, layout: Layout) -> None:
        step, regular = typical_step(cube.days)
        if self._first is None:
            self._first, self.layout = (cube.path.name, step, regular), layout
            names = [*layout.images, *layout.weather, *layout.static]
            self.variables = {name: cube.attributes(name) for name in names}
            absent = left_out(cube, layout)
            if absent and self._parameters.format in PLAIN_FORMATS:
                log.info("Not in the samples: %s.", ", ".join(absent))
            return
        name, first_step, first_regular = self._first
        check_agree(cube, layout, name, self.layout)
        if step and first_step and step != first_step and (regular or first_regular):
            raise InputError(
                f"The cubes disagree in their steps: {cube.path.name} has {step} days, {name} has {first_step}.",
                "Aggregate them to the same steps, or export them apart.",
            )

    def _agree_in_files(self, names: list[str], file: str) -> None:
        if len(self.plans) and names != self.file_variables:
            raise InputError(
                f"The cubes disagree in the order of their variables: {file} has {', '.join(names)}, the first cube "
                f"{', '.join(self.file_variables)}.",
                f"Files of FORMAT {self._parameters.format} do not name them: take FORMAT npz, or name in VARIABLES "
                "those of the same order.",
            )
        self.file_variables = names

    def _sources(self, cube: CubeData) -> None:
        for key, found in self.sources.items():
            texts = [cube.cube.attrs.get(key), *(v.attrs.get(key) for v in cube.cube.variables.values())]
            found += [
                str(text) for text in dict.fromkeys(map(str, filter(None, texts))) if str(text) not in found
            ]
        for name in (*self.layout.images, *self.layout.static):
            if str(cube.cube.variables[name].attrs.get("fitted_to") or ""):
                self.fitted.add(name)


def _keep_apart(plans: Sequence[CubePlan], distance: float, dropped: Counter) -> None:
    """Drop units that lie within a distance of those of another cube that comes before, by name."""
    if not distance or len(plans) < 2:
        return
    order = sorted(range(len(plans)), key=lambda i: (plans[i].name, plans[i].label))
    rank = {index: place for place, index in enumerate(order)}
    before: dict[int, list[int]] = {index: [] for index in order}
    for a, b in near_cubes(plans, distance):
        first, second = sorted((a, b), key=rank.__getitem__)
        before[second].append(first)
    for index in order:
        plan = plans[index]
        points = earth_centred(plan.units.lon, plan.units.lat)
        keep = np.ones(len(points), bool)
        for other in before[index]:
            units = plans[other].units
            if len(units) and keep.any():
                found, _ = cKDTree(earth_centred(units.lon, units.lat)).query(
                    points, distance_upper_bound=distance * (1 - 1e-9)
                )
                keep &= ~np.isfinite(found)
        dropped["within MIN_DISTANCE of another cube's"] += int(np.count_nonzero(~keep))
        plan.units = plan.units.take(keep)
        plan.reset()


def _reasons(looked: _Look) -> str:
    """Why samples were left out, for a sentence."""
    n_windows = sum(len(plan.starts) for plan in looked.plans)
    n_units = sum(len(plan.units) for plan in looked.plans)
    said = [
        f"{number:,} {kind} left out: {reason}"
        for kind, count in looked.dropped.items()
        for reason, number in count.items()
    ]
    what = f"{n_windows:,} windows and {n_units:,} units are wanted"
    return "; ".join([what, *said])


def work_key(parameters: ExportParameters, plan: DatasetPlan) -> str:
    """What tells the work of one run from that of another: the parameters but where it goes, and all samples."""
    said: dict[str, Any] = {**asdict(parameters), "output": "", "cubes": ""}
    for name in ("places", "split_places"):
        # The file may be a temporary one: what it says counts, and that decided on the samples already.
        said[name] = bool(said[name])
    text = json.dumps(
        [VERSION, said, asdict(plan.layout), [each.digest for each in plan.cubes]],
        sort_keys=True,
        default=str,
    )
    return hashlib.sha256(text.encode()).hexdigest()[:24]
