"""Which variables of a cube become context, target, weather and static of its samples.

VARIABLES empty: context takes all measured variables over time, y and x (classes, masks, dates and series without
pixels only when they are named), weather all `era5_*`, static everything over y and x. Where VARIABLES names some of
a kind, of this kind only those, in the order of the file. TARGET_VARIABLES empty: those of the context.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from ..cleaning.images import FILLED, GAP, REMOVED, SAMPLED
from ..errors import InputError
from .cubes import CubeData
from .parameters import ExportParameters

log = logging.getLogger(__name__)
# What cleaning says of whole series knows the future; coordinates are in `lonlat`.
NOT_BY_DEFAULT = (FILLED, SAMPLED, GAP, REMOVED, "lon", "lat", "longitude", "latitude")


@dataclass(frozen=True)
class Layout:
    """Names of the variables, in order. `weather_maps`: whether any of the weather has y and x."""

    context: tuple[str, ...]
    target: tuple[str, ...]
    weather: tuple[str, ...]
    static: tuple[str, ...]
    weather_maps: bool

    @property
    def images(self) -> tuple[str, ...]:
        """Those of context and target, each once."""
        return tuple(dict.fromkeys([*self.context, *self.target]))


def layout_of(cube: CubeData, parameters: ExportParameters) -> Layout:
    """The variables of a cube's samples. Raises `InputError` for a name that the cube does not have."""
    kinds = cube.kinds
    file = cube.path.name
    known = (*kinds.images, *kinds.weather, *kinds.static)
    for parameter, names in (("VARIABLES", parameters.names), ("TARGET_VARIABLES", parameters.target_names)):
        for name in names:
            if name not in known:
                raise InputError(
                    f"{parameter} has {name}, which {file} does not have.", f"It has: {', '.join(known)}."
                )
    wanted = parameters.names

    def some_of(names: tuple[str, ...], default: tuple[str, ...]) -> tuple[str, ...]:
        named = tuple(name for name in names if name in wanted)
        return named or default

    measured = [name for name in kinds.images if name not in kinds.classes | kinds.series]
    images = some_of(kinds.images, tuple(name for name in measured if name not in NOT_BY_DEFAULT))
    if not images:
        raise InputError(
            f"{file} has no measured variable over time, y and x.",
            f"Name some in VARIABLES; it has: {', '.join(known)}.",
        )
    for name in parameters.target_names:
        if name not in kinds.images:
            raise InputError(f"TARGET_VARIABLES has {name}, which is weather or does not change with time.")
    target = tuple(name for name in kinds.images if name in parameters.target_names) or images
    weather = some_of(kinds.weather, kinds.weather)
    static = some_of(kinds.static, tuple(name for name in kinds.static if name not in NOT_BY_DEFAULT))
    return Layout(images, target, weather, static, any(name not in kinds.series for name in weather))


def left_out(cube: CubeData, layout: Layout) -> list[str]:
    """The variables of a cube that its samples do not have."""
    taken = {*layout.images, *layout.weather, *layout.static}
    return [str(name) for name in cube.cube.data_vars if name not in taken]


def check_fitted(cube: CubeData, layout: Layout, starts: np.ndarray, parameters: ExportParameters) -> None:
    """Refuse variables that were fitted to dates after a context, where the smoothing promises that none were.

    `starts`: the first steps of the contexts of its windows. Raises `InputError`.
    """
    if parameters.smoothing == "whole" or not len(starts):
        return
    end = cube.days[int(starts.min()) + parameters.context - 1]
    for name in (*layout.images, *layout.static):
        fitted = str(cube.cube.variables[name].attrs.get("fitted_to") or "").strip()
        if not fitted:
            continue
        try:
            last = np.datetime64(fitted, "D")
        except ValueError as error:
            raise InputError(
                f"{name} of {cube.path.name} has a fitted_to that is no date: {fitted!r}."
            ) from error
        if last > end:
            raise InputError(
                f"{name} of {cube.path.name} was fitted to data up to {last}, after the first context's end ({end}).",
                "Export the cube as it was before cleaning with SMOOTHING context, or take SMOOTHING whole, which is "
                "marked as leaking.",
            )


def check_agree(cube: CubeData, layout: Layout, first: str, expected: Layout) -> None:
    """Refuse a cube whose samples have other variables than those of the cube `first`. Raises `InputError`."""
    for kind in ("context", "target", "weather", "static"):
        here, there = getattr(layout, kind), getattr(expected, kind)
        if set(here) == set(there):
            continue  # in whichever order: they are read by name
        lacking = [name for name in there if name not in here]
        more = [name for name in here if name not in there]
        said = f"lacks {', '.join(lacking)}" if lacking else f"has {', '.join(more)} besides"
        raise InputError(
            f"The cubes disagree in their variables ({kind}): {cube.path.name} {said}, unlike {first}.",
            "Name in VARIABLES those that all cubes have.",
        )
    if layout.weather_maps != expected.weather_maps:
        raise InputError(
            f"The weather of {cube.path.name} has pixels and that of {first} has not, or the other way round.",
            "Export them apart.",
        )
