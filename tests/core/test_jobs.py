"""The table of jobs: every name leads to a function with dataclasses, and values are checked."""

from __future__ import annotations

import dataclasses
import importlib
import typing
from dataclasses import dataclass

import pytest
from minicuber.core.errors import InputError
from minicuber.core.jobs import JOBS, from_json


@pytest.mark.parametrize("name", sorted(JOBS))
def test_every_name_leads_to_a_job(name):
    module, function = JOBS[name].split(":")
    job = getattr(importlib.import_module(f"minicuber.core.{module}"), function)
    hints = typing.get_type_hints(job)
    assert dataclasses.is_dataclass(hints["parameters"])
    assert dataclasses.is_dataclass(hints["return"])
    assert hints["progress"].__name__ == "Progress"


@dataclass(frozen=True)
class Example:
    name: str
    size: float = 1.0
    count: int = 0
    on: bool = False
    crs: str | None = None
    bands: tuple[str, ...] = ()


def test_json_values_become_the_types_of_the_fields():
    made = from_json(Example, {"name": "a", "size": 2, "count": 3.0, "bands": ["x", "y"], "crs": None})
    assert made == Example("a", 2.0, 3, False, None, ("x", "y"))
    assert type(made.size) is float
    assert type(made.count) is int


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": "a", "colour": 1}, "Unknown parameter: colour"),
        ({}, "Missing parameter: name"),
        ({"name": 5}, "name cannot be 5"),
        ({"name": "a", "count": 1.5}, "count cannot be 1.5"),
        ({"name": "a", "count": True}, "count cannot be True"),
        ({"name": "a", "size": True}, "size cannot be True"),
        ({"name": "a", "on": 1}, "on cannot be 1"),
        ({"name": None}, "name cannot be None"),
        ({"name": "a", "bands": "x"}, "bands cannot be 'x'"),
    ],
)
def test_value_of_another_type_is_refused_by_name(values, words):
    with pytest.raises(InputError, match=words):
        from_json(Example, values)
