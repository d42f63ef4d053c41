"""The format `seed`: the windows that forest_drought_forecasting made, and its files, which its models read.

What is in a file says `seed_arrays`. The original cleans a cube as a whole or not at all before it cuts it, and draws
pixels without a seed, so which ones it took is not to be had again: that choice is made elsewhere.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from ...errors import InputError
from ...progress import Progress
from ..cubes import CubeData, reading
from ..layout import Layout
from ..parameters import ExportParameters, season_of
from ..samples import SPLITS, Samples
from .files import npy_bytes, npz_bytes, write_once, write_whole
from .seed_arrays import at_once, checked_variables, extremes_stem, read_pixels, seed_extremes, seed_variables

log = logging.getLogger(__name__)
# What the study leaves out of its samples, where nothing is named.
DROPPED = ("s2_mask", "s2_avail", "s2_SCL", "to_sample", "FOREST_MASK", "DROUGHT_MASK")
SUMMER = (601, 901)


def seed_windows(
    times: np.ndarray, context: int, target: int, shift: int = 0, season: tuple[int, int] | None = SUMMER
) -> np.ndarray:
    """Where the windows of a series begin, as positions of their first context step: int64 (window,), rising.

    `times`: datetime64 (time,), rising. `context`, `target`, `shift` in steps. `season`: of the first target date, two
    numbers month x 100 + day, the second exclusive; None takes every window that fits.

    Of each year the windows run up to the last date before the season's end, if that date lies in the season and
    `target` + `shift` steps from it on are there. Where they are not (the series ends), they run up to the date
    `target` + `shift` + 1 steps before the year's last, if the date `target` + `shift` - 1 steps before the series'
    last is in a season, else the year has none. Windows without a whole context are left out, and so is the last one
    of each year: the original counts one too few. A year without a date before the season's end, at which the
    original fails, has none. A season across the new year belongs to the year in which it ends.

    Raises `InputError` when the series is shorter than a window, or its dates do not rise.
    """
    times = np.asarray(times)
    steps = times.size
    if context < 1 or target < 1 or shift < 0:
        raise InputError("CONTEXT and TARGET must be at least 1 step, and SHIFT not negative.")
    if steps > 1 and not np.all(times[1:] > times[:-1]):
        raise InputError("The dates of the cube do not rise, so no windows can be cut from it.")
    if context + target + shift > steps:
        raise InputError(
            f"The cube has {steps} dates, fewer than the {context + target + shift} of CONTEXT + TARGET + SHIFT.",
            "Choose shorter windows, or a longer cube.",
        )
    if season is None:
        return np.arange(steps - context - target - shift + 1)
    years = times.astype("datetime64[Y]").astype(int)
    months = times.astype("datetime64[M]")
    month_days = (
        (months.astype(int) % 12 + 1) * 100 + (times.astype("datetime64[D]") - months).astype(int) + 1
    )
    start, end = season
    if start < end:
        inside, early = (month_days >= start) & (month_days < end), month_days < end
    else:
        inside, early = (month_days >= start) | (month_days < end), np.ones(steps, bool)
        years = years + (month_days >= end)
    found = [np.empty(0, np.int64)]
    for year in np.unique(years):
        members = np.flatnonzero(years == year)
        before = members[early[members]]
        if not before.size or not inside[before[-1]]:
            continue
        last = before[-1]
        if last + target + shift > steps:
            if not inside[-target - shift + 1]:
                continue
            last = members[-1] - target - shift
        starts = members[inside[members] & (members <= last) & (members >= context)]
        found.append(starts[:-1] - context)
    return np.concatenate(found)


def dated_cube(cube: CubeData) -> xr.Dataset:
    """The cube with its dates rising."""
    order = cube.axis.order
    return cube.cube if np.array_equal(order, np.arange(order.size)) else cube.cube.isel(time=order)


def write_extremes(
    folder: Path, cube: xr.Dataset, names: Sequence[str], lonlat: tuple[float, float] | None = None
) -> list[Path]:
    """Write the `_min.npy` and `_max.npy` of a normalised cube into a folder; their paths. The study's models look for
    them beside the samples that they train with. Raises `InputError`, `StorageError`."""
    return _write_extremes(folder / extremes_stem(cube, lonlat), seed_extremes(cube, names)[1:])


def _write_extremes(stem: Path, extremes: Sequence[np.ndarray]) -> list[Path]:
    paths = [Path(f"{stem}_{ending}.npy") for ending in ("min", "max")]
    for path, values in zip(paths, extremes, strict=True):
        write_whole(path, npy_bytes(values))
    return paths


class SeedFormat:
    """The samples of forest_drought_forecasting, in `train`, `val`, `test`; `_min.npy` and `_max.npy` in `train`.

    Without VARIABLES they hold all numbers of the cube but `DROPPED`, with VARIABLES those alone that it names.
    TARGET_VARIABLES has no meaning: context and target have the same variables.
    """

    name = "seed"

    def check(self, cube: CubeData, parameters: ExportParameters) -> None:
        """Raises `InputError` for patches, for cleaning by window, and for variables that no sample can hold."""
        if parameters.unit != "pixel":
            raise InputError(
                "FORMAT seed holds pixels, not patches.", "Choose UNIT pixel, or another FORMAT."
            )
        if parameters.smoothing in ("context", "both"):
            raise InputError(
                f"FORMAT seed takes the cube as it is, which SMOOTHING {parameters.smoothing} does not.",
                "Choose SMOOTHING none or whole, or FORMAT npz.",
            )
        if parameters.target_names:
            raise InputError(
                "FORMAT seed has the same variables in context and target, so TARGET_VARIABLES must be empty."
            )
        checked_variables(cube.cube, self.variables(cube, parameters))

    @staticmethod
    def variables(cube: CubeData, parameters: ExportParameters) -> list[str]:
        """The variables of a sample, in its order where nothing is named."""
        if parameters.names:
            return list(parameters.names)
        names = seed_variables(cube.cube, DROPPED)
        left = [str(name) for name in cube.cube.data_vars if name not in names]
        if left:
            log.info("Not in the samples of %s: %s.", cube.path.name, ", ".join(left))
        return names

    def windows(self, cube: CubeData, parameters: ExportParameters, starts: np.ndarray) -> np.ndarray:
        """Those of `starts` that the original makes too."""
        p = parameters
        theirs = seed_windows(cube.axis.stamps, p.context, p.target, p.shift, season_of(p.season))
        return np.intersect1d(theirs, starts).astype(np.int32)

    def layout(self, cube: CubeData, parameters: ExportParameters) -> Layout:
        """Those of the file's variables that change with time or lie on the map: single numbers have no statistics."""
        kinds, names = cube.kinds, set(self.variables(cube, parameters))
        images, weather, static = (
            tuple(name for name in each if name in names)
            for each in (kinds.images, kinds.weather, kinds.static)
        )
        if not images:
            raise InputError(
                f"No variable of {cube.path.name} that is an image is in VARIABLES.",
                f"It has: {', '.join(kinds.images) or 'none'}.",
            )
        return Layout(images, images, weather, static, any(name not in kinds.series for name in weather))

    def file_variables(self, cube: CubeData, parameters: ExportParameters) -> list[str]:
        """The variables of context and target, whose arrays have no names."""
        return checked_variables(cube.cube, self.variables(cube, parameters))

    def write(
        self,
        cube: CubeData,
        parameters: ExportParameters,
        samples: Samples,
        folder: Path,
        progress: Progress | None = None,
    ) -> list[str]:
        """A file a sample, whose name tells dates, place and size. Raises `InputError` when another cube gave a
        file of the same name and other values: the study's names cannot tell overlapping cubes apart."""
        p = parameters
        dataset = dated_cube(cube)
        names = self.variables(cube, parameters)
        files = [""] * len(samples)
        if not len(samples):
            return files
        stem = folder / "train" / extremes_stem(dataset)
        if np.any(samples.split == SPLITS.index("train")) and not Path(f"{stem}_max.npy").exists():
            with reading(cube.path):
                extremes = seed_extremes(dataset, names)[1:]
            _write_extremes(stem, extremes)
        places = samples.row.astype(np.int64) * cube.grid.width + samples.column
        units = np.unique(places)
        step = at_once(dataset, names)
        for first in range(0, units.size, step):
            block = units[first : first + step]
            with reading(cube.path):
                pixels = read_pixels(dataset, names, *np.divmod(block, cube.grid.width))
            inside = np.flatnonzero((places >= block[0]) & (places <= block[-1]))
            for start in np.unique(samples.start[inside]):
                chosen = inside[samples.start[inside] == start]
                which = np.searchsorted(block, places[chosen])
                seen, wanted = pixels.window(int(start), p.context, p.target, p.shift, which)
                named = pixels.file_names(int(start), p.context, p.target, p.shift, which)
                if progress is not None:
                    progress.raise_if_cancelled()
                for i, sample in enumerate(chosen):
                    file = f"{SPLITS[samples.split[sample]]}/{named[i]}"
                    write_once(folder / file, npz_bytes({"context": seen[i], "target": wanted[i]}))
                    files[sample] = file
        return files
