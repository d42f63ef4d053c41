"""Makes a cube of another one: as a whole or not at all, also where it takes its place. With further variables, all
that it has stays as it is, bit by bit, but for those that are replaced.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ... import __version__
from ..errors import InputError
from ..progress import Progress
from ..timeline import now
from .axes import time_axis
from .copying import copy_variable, stored_dates
from .describe import LayerInfo, title_of, what_to_show
from .encoding import GRID_MAPPING
from .layers import fresh_layers
from .output import checked_output
from .part import part_output, size_of
from .read import cube_path, grid_of, read_cube, read_packed
from .write import CubeWriter, open_cube

log = logging.getLogger(__name__)

COPYING = 0.4  # of the work
OF_THE_AXES = ("time", "y", "x", GRID_MAPPING)


@dataclass(frozen=True)
class Rewritten:
    """`output`: path of the cube that was written. `layers` to show."""

    output: str
    title: str
    n_dates: int
    layers: tuple[LayerInfo, ...]


def extended_cube(
    cube: str,
    output: str,
    names: Collection[str],
    add: Callable[[CubeWriter, xr.Dataset, Progress], None],
    what: str,
    progress: Progress,
) -> Rewritten:
    """Write the cube at the path `cube` at `output` with the variables `names`, which `add` writes: it gets the
    writer, the cube as `read_cube` gives it, and its part of the progress.

    `what`: for the history. Raises `InputError`, `StorageError`, `Cancelled`, and what `add` raises.
    """
    replaced = set(names)

    def write(part: Path, read: xr.Dataset, packed: xr.Dataset) -> xr.Dataset:
        return _write(part, read, packed, cube_path(Path(cube)).name, replaced, add, what, progress)

    return rewritten_cube(cube, output, write, progress)


def rewritten_cube(
    cube: str, output: str, write: Callable[[Path, xr.Dataset, xr.Dataset], xr.Dataset], progress: Progress
) -> Rewritten:
    """Make a cube of the one at the path `cube`: `write` gets the path to write at, and the cube as `read_cube` and as
    `read_packed` give it, and returns the writer's `dataset`. What it wrote takes its place at `output` as a whole,
    with its layers.

    Raises as `extended_cube`.
    """
    path, target = cube_path(Path(cube)), checked_output(output)
    with part_output(target, progress) as part:
        with read_cube(path) as read, read_packed(path) as packed:
            written = write(part.path, read, packed)
            grid = grid_of(read, path.name)
        with written:
            variables, dates, best, shown = what_to_show(written, target)
        with fresh_layers(target, grid, dates, variables, best, progress) as layers:
            part.make_durable()
            # The last moment to stop: from here on cube and layers change together.
            progress.raise_if_cancelled()
            layers.swap()
            part.commit()
    log.info("Cube written: %s (%.1f MB)", target, size_of(target) / 1e6)
    progress.update(1.0, "Done")
    return Rewritten(str(target), title_of(target, dates), len(dates), tuple(shown))


def check_names(names: Collection[str], cube: xr.Dataset, replace: bool) -> None:
    """Raises `InputError` for names that the cube needs for itself, and, without `replace`, for those it has."""
    for name in names:
        if name in OF_THE_AXES or name in cube.dims:
            raise InputError(f"A variable cannot be called {name}: the cube needs that name for its axes.")
        if name in cube.variables and not replace:
            raise InputError(f"The cube has a variable {name} already.", "Choose another name, or REPLACE.")


def _write(part, cube, packed, name, names, add, what, progress) -> xr.Dataset:
    axis = time_axis(cube, "time", name)
    time = stored_dates(packed.variables["time"], axis.order)
    centres = {each: cube[each].values for each in ("y", "x")}
    attributes = with_history(packed.attrs, what)
    with open_cube(part, grid_of(cube, name), [], (), attributes, centres, time) as writer:
        copied = [str(each) for each in cube.variables if each not in (*OF_THE_AXES, *names)]
        kept = {*copied, *names, *cube.dims, GRID_MAPPING}
        for number, each in enumerate(copied):
            progress.update(COPYING * number / max(len(copied), 1), f"Copying {each}")
            along = axis if "time" in cube[each].dims else None
            copy_variable(writer, cube, packed, each, kept, along)
        said = packed["time"].attrs
        writer.describe(
            "time", **{key: said[key] for key in ("long_name", "bounds") if _is_text(said.get(key))}
        )
        for dim in ("y", "x"):
            if cube[dim].attrs.get("bounds") in copied:
                writer.describe(dim, bounds=cube[dim].attrs["bounds"])
        add(writer, cube, progress.part(COPYING, 0.97))
    return writer.dataset()


def _is_text(value) -> bool:
    return isinstance(value, (str, np.str_)) and bool(value)


def with_history(said: dict[str, Any], what: str) -> dict[str, Any]:
    """The global attributes of a cube, with a line of history more that says `what` was done."""
    line = f"{now():%Y-%m-%dT%H:%M:%SZ} minicuber {__version__}: {what}"
    history = str(said.get("history", "")).rstrip()
    return {
        **{key: value for key, value in said.items() if key != "Conventions"},
        "history": f"{history}\n{line}" if history else line,
        "minicuber_version": __version__,
    }
