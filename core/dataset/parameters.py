"""What a dataset is made from: the parameters of an export, and all checks that need no cube."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from ..errors import InputError
from ..timeline import parse_day

UNITS = ("pixel", "patch")
SPLIT_KINDS = ("none", "random", "spatial", "temporal", "column", "kfold")
SMOOTHINGS = ("none", "context", "both", "whole")
PLAIN_FORMATS = ("npz", "npz-sharded")
FORMAT_NAMES = (*PLAIN_FORMATS, "seed", "earthnet2021", "greenearthnet")
REGION = "region"  # STRATA: by the value that PLACES has, not by a variable
FRACTIONS = (0.7, 0.15, 0.15)
SPLIT_DEFAULTS: dict[str, dict[str, Any]] = {
    "none": {},
    "random": {"fractions": FRACTIONS, "unit": "cube"},
    "spatial": {"block_m": 5000.0, "buffer_m": 1000.0, "fractions": FRACTIONS},
    "temporal": {"val_from": "", "test_from": ""},
    "column": {"layer": "", "field": ""},
    "kfold": {"folds": 5, "unit": "cube"},
}
# What these formats always have: it takes the place of the defaults.
EARTHNET = {"unit": "patch", "patch_size": 128, "context": 10, "target": 20, "shift": 0}
FIXED: dict[str, dict[str, Any]] = {"earthnet2021": EARTHNET, "greenearthnet": EARTHNET}
SEASON = re.compile(r"(\d\d)-(\d\d)/(\d\d)-(\d\d)")


@dataclass(frozen=True)
class ExportParameters:
    """`cubes`: paths of cubes, folders of them, or logs of buildminicubes (.csv). `output`: the dataset's folder.

    Windows: `context`, `target`, `stride`, `shift` in steps of the time axis; `max_step_days`: the longest step that
    a window may hold, 0 for any; `season`: "MM-DD/MM-DD" of the first target date, end exclusive; `exclude`: years
    and periods (both ends inclusive) that no window may touch, "2018,2020-06-01/2020-07-01"; `min_seen_context`,
    `min_seen_target`: the least share (0 to 1) of values that are there and not filled, of a sample.
    Units: `unit` of `UNITS`; `patch_size`, `patch_overlap` in pixels; `where`: an expression over variables, true of
    a pixel, or of at least `patch_share` of a patch; `places`: file of features as `read_features` takes them, in
    `places_crs`, whose value is the region; `max_samples`: units per cube, each with all its windows, 0 for all;
    `per_class`: units per cube and class of `strata` (a variable, or "region"), 0 for all; `min_distance`: metres
    between the centres of units.
    Variables: `variables`, `target_variables`: names separated by commas, see `layout`. `smoothing` of `SMOOTHINGS`
    with `cleaning`, the parameters of cleanclouds. `split` of `SPLIT_KINDS` with `split_options`, and for "column"
    `split_places`, features as in `places`, whose value is the split. `format` of `FORMAT_NAMES`. `seed`: of all
    draws. Where `FIXED` prescribes for a format what `unit`, `patch_size`, `context`, `target` and `shift` are, their
    defaults become that. `page`: whether to write index.html too, whose pictures take a second.
    """

    cubes: tuple = ()
    output: str = ""
    context: int = 54
    target: int = 18
    stride: int = 1
    shift: int = 0
    max_step_days: int = 0
    unit: str = "pixel"
    patch_size: int = 128
    patch_overlap: int = 0
    patch_share: float = 0.5
    variables: str = ""
    target_variables: str = ""
    where: str = ""
    season: str = ""
    exclude: str = ""
    min_seen_context: float = 0.0
    min_seen_target: float = 0.0
    max_samples: int = 0
    per_class: int = 0
    strata: str = ""
    min_distance: float = 0.0
    places: str = ""
    places_crs: str = "EPSG:4326"
    split: str = "none"
    split_options: dict = field(default_factory=dict)
    split_places: str = ""
    smoothing: str = "none"
    cleaning: dict = field(default_factory=dict)
    format: str = "npz"
    seed: int = 0
    page: bool = False

    @property
    def length(self) -> int:
        """Steps of a window from the first of the context to the last of the target."""
        return self.context + self.target

    @property
    def names(self) -> tuple[str, ...]:
        """VARIABLES as names."""
        return split_names(self.variables)

    @property
    def target_names(self) -> tuple[str, ...]:
        """TARGET_VARIABLES as names."""
        return split_names(self.target_variables)


def checked(parameters: ExportParameters) -> ExportParameters:
    """The same parameters, when nothing in them contradicts itself; what FORMAT prescribes in place of defaults.

    Raises `InputError`.
    """
    defaults = {each.name: each.default for each in fields(ExportParameters)}
    fixed = FIXED.get(parameters.format, {})
    change = {name: value for name, value in fixed.items() if getattr(parameters, name) == defaults[name]}
    p = replace(parameters, **change) if change else parameters
    if not p.cubes:
        raise InputError("CUBES is missing.", "Give cubes, a folder of cubes, or the LOG of buildminicubes.")
    if not p.output:
        raise InputError("OUTPUT is missing.", "Give the folder of the dataset.")
    for name, least in (("context", 1), ("target", 1), ("stride", 1), ("shift", 0), ("max_step_days", 0)):
        _at_least(p, name, least)
    for name in ("max_samples", "per_class", "min_distance", "patch_overlap", "seed"):
        _at_least(p, name, 0)
    for name in ("min_seen_context", "min_seen_target", "patch_share"):
        if not 0 <= getattr(p, name) <= 1:
            raise InputError(f"{name.upper()} is not a share from 0 to 1: {getattr(p, name):g}.")
    for name, known in (
        ("unit", UNITS),
        ("split", SPLIT_KINDS),
        ("smoothing", SMOOTHINGS),
        ("format", FORMAT_NAMES),
    ):
        if getattr(p, name) not in known:
            raise InputError(
                f"{name.upper()} is not known: {getattr(p, name)!r}.", f"It is one of {', '.join(known)}."
            )
    if p.unit == "patch":
        _at_least(p, "patch_size", 1)
        if p.patch_overlap >= p.patch_size:
            raise InputError(
                f"PATCH_OVERLAP ({p.patch_overlap}) is not smaller than PATCH_SIZE ({p.patch_size}).",
                "Patches are that many pixels apart: size - overlap.",
            )
    if p.per_class and not p.strata:
        raise InputError("PER_CLASS needs STRATA.", "Name a variable of classes, or region.")
    if p.strata == REGION and not p.places:
        raise InputError("STRATA by region needs PLACES.", "Choose a layer of polygons with a field.")
    if p.cleaning and p.smoothing not in ("context", "both"):
        raise InputError(
            f"CLEANING has no effect with SMOOTHING {p.smoothing}.",
            "Choose context or both, or leave it empty.",
        )
    season_of(p.season)
    periods_of(p.exclude)
    checked_split(p.split, p.split_options)
    if p.split == "column" and not p.split_places and not p.split_options.get("layer"):
        raise InputError(
            "SPLIT column needs a layer in SPLIT_OPTIONS.", '{"layer": "regions", "field": "split"}'
        )
    return p


def _at_least(parameters: ExportParameters, name: str, least: float) -> None:
    value = getattr(parameters, name)
    if not math.isfinite(value) or value < least:
        raise InputError(f"{name.upper()} is less than {least:g}: {value:g}.")


def split_names(text: str) -> tuple[str, ...]:
    """Names separated by commas, each once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def season_of(text: str) -> tuple[int, int] | None:
    """The season as two numbers month x 100 + day, the second exclusive; None for the whole year.

    The first may be the greater: over the new year. Raises `InputError`.
    """
    if not text.strip():
        return None
    found = SEASON.fullmatch(text.strip())
    if found is None:
        raise InputError(f"SEASON is not understood: {text!r}.", "Write it as 06-01/09-01, end exclusive.")
    months_days = [int(part) for part in found.groups()]
    for month, day in (months_days[:2], months_days[2:]):
        try:
            dt.date(2000, month, day)
        except ValueError as error:
            raise InputError(f"SEASON holds no day {month:02d}-{day:02d}: {text!r}.") from error
    first, last = months_days[0] * 100 + months_days[1], months_days[2] * 100 + months_days[3]
    if first == last:
        raise InputError(
            f"SEASON is empty: {text!r}.", "Its end is exclusive. Leave it out for the whole year."
        )
    return first, last


def periods_of(text: str) -> list[tuple[np.datetime64, np.datetime64]]:
    """The periods of EXCLUDE, both ends inclusive. Raises `InputError`."""
    periods = []
    for part in split_names(text):
        if re.fullmatch(r"\d{4}", part):
            periods.append((np.datetime64(f"{part}-01-01"), np.datetime64(f"{part}-12-31")))
            continue
        ends = [each.strip() for each in part.split("/")]
        if len(ends) > 2:
            raise InputError(f"EXCLUDE is not understood: {part!r}.", "Write 2018 or 2020-06-01/2020-07-01.")
        first, last = parse_day(ends[0], "EXCLUDE"), parse_day(ends[-1], "EXCLUDE")
        if last < first:
            raise InputError(f"EXCLUDE ends before it begins: {part!r}.", "Exchange the dates.")
        periods.append((np.datetime64(first), np.datetime64(last)))
    return periods


def checked_split(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a split with those left out at their defaults. Raises `InputError`."""
    defaults = SPLIT_DEFAULTS[kind]
    unknown = sorted(set(options) - set(defaults))
    if unknown:
        known = f"SPLIT {kind} knows {', '.join(defaults)}." if defaults else f"SPLIT {kind} takes none."
        raise InputError(f"SPLIT_OPTIONS has an unknown key: {unknown[0]}.", known)
    found = {**defaults, **options}
    if "fractions" in found:
        found["fractions"] = _fractions(found["fractions"])
    if "unit" in found and found["unit"] not in ("cube", "pixel"):
        raise InputError(f"SPLIT_OPTIONS has an unknown unit: {found['unit']!r}.", "It is cube or pixel.")
    for key, least in (("block_m", 1.0), ("buffer_m", 0.0), ("folds", 2)):
        if key in found:
            found[key] = _number(key, found[key], least)
    if kind == "kfold":
        if found["folds"] != int(found["folds"]):
            raise InputError(f"SPLIT_OPTIONS folds is no whole number: {found['folds']:g}.")
        found["folds"] = int(found["folds"])
    if kind == "temporal":
        _check_periods(found)
    return found


def _check_periods(found: dict[str, Any]) -> None:
    days = {
        key: parse_day(str(found[key]), f"SPLIT_OPTIONS {key}")
        for key in ("val_from", "test_from")
        if found[key]
    }
    if not days:
        raise InputError(
            "SPLIT temporal needs val_from or test_from in SPLIT_OPTIONS.",
            '{"val_from": "2020-01-01", "test_from": "2021-01-01"}',
        )
    if len(days) == 2 and days["test_from"] <= days["val_from"]:
        raise InputError(
            f"SPLIT_OPTIONS test_from ({days['test_from']}) is not after val_from ({days['val_from']}).",
            "Training comes first, then validation, then test.",
        )


def _fractions(given: Any) -> tuple[float, float, float]:
    try:
        numbers = [float(each) for each in given]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 3 or not all(0 <= each <= 1 for each in numbers) or abs(sum(numbers) - 1) > 1e-6:
        raise InputError(
            f"SPLIT_OPTIONS fractions are not three shares that sum to 1: {json.dumps(given, default=str)}.",
            "[0.7, 0.15, 0.15] for training, validation and test.",
        )
    return numbers[0], numbers[1], numbers[2]


def _number(key: str, given: Any, least: float) -> float:
    if (
        isinstance(given, bool)
        or not isinstance(given, (int, float))
        or not math.isfinite(given)
        or given < least
    ):
        raise InputError(f"SPLIT_OPTIONS {key} is not a number of at least {least:g}: {given!r}.")
    return float(given)
