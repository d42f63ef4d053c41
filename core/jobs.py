"""The jobs of the core by name: what the worker, a script or a notebook can run.

A job is a function `job(parameters, progress) -> result`; both are dataclasses of plain values, so
that they travel as JSON. This table is the only place where names and functions meet.
"""

from __future__ import annotations

import dataclasses
import importlib
import types
import typing
from typing import Any

from .errors import InputError
from .progress import Progress

JOBS = {
    "createdemodata": "demo.create:create_demo_data",
    "buildminicube": "build:build_minicube",
    "attachlayers": "attach_layers:attach_layers",
    "cubegrid": "attach_layers:grid_of_cube",
    "describecube": "cube.describe:describe_cube",
    "aggregatetime": "aggregate_cube:aggregate_time",
    "terrainvariables": "terrain_variables:terrain_variables",
    "spectralindices": "spectral_indices:spectral_indices",
    "exportdataset": "dataset.export:export_dataset",
    "resplitdataset": "dataset.resplit:resplit_dataset",
    "cleanclouds": "clean_clouds:clean_clouds",
}


def run_job(name: str, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Run a job by name; `parameters` and the answer are plain JSON values.

    Raises `InputError` for an unknown job, an unknown parameter or one of the wrong type.
    """
    if name not in JOBS:
        raise InputError(f"There is no job named {name!r}.", f"Known jobs: {', '.join(sorted(JOBS))}.")
    module_name, function_name = JOBS[name].split(":")
    function = getattr(importlib.import_module(f".{module_name}", __package__), function_name)
    hints = typing.get_type_hints(function)
    result = function(from_json(hints["parameters"], parameters), progress)
    return dataclasses.asdict(result)


def from_json(cls: type, values: dict[str, Any]) -> Any:
    """Make the dataclass `cls` from plain values; unknown, missing and mistyped names are refused."""
    fields = {field.name: field for field in dataclasses.fields(cls)}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise InputError(
            f"Unknown parameter: {', '.join(unknown)}.", f"Known parameters: {', '.join(sorted(fields))}."
        )
    hints = typing.get_type_hints(cls)
    arguments = {name: _value(name, hints[name], value) for name, value in values.items()}
    missing = sorted(
        name
        for name, field in fields.items()
        if name not in arguments
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    )
    if missing:
        raise InputError(f"Missing parameter: {', '.join(missing)}.")
    return cls(**arguments)


def _value(name: str, hint: Any, value: Any) -> Any:
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    for option in options:
        if option is type(None) and value is None:
            return None
        kind = typing.get_origin(option) or option
        if kind is tuple and isinstance(value, (list, tuple)):
            return tuple(value)
        if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        if kind is int and isinstance(value, float) and value.is_integer():
            return int(value)
        if (
            isinstance(kind, type)
            and isinstance(value, kind)
            and not (kind is int and isinstance(value, bool))
        ):
            return value
    raise InputError(f"Parameter {name} cannot be {value!r}.", f"Expected: {hint}.")
