"""The job that adds variables of the ground's form to a cube: slope, aspect, ruggedness, curvature, wetness.

At each scale the elevation is brought to a lattice of that pixel size, which reaches beyond the cube, the variable is
computed there, and the result is brought to the cube's pixels.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import xarray as xr
from pyproj import Proj
from rasterio.errors import RasterioError

from .cube.describe import LayerInfo
from .cube.encoding import GRID_MAPPING
from .cube.read import cube_path, grid_of, read_cube
from .cube.rewrite import check_names, extended_cube
from .cube.write import CubeWriter
from .errors import InputError
from .grid import Grid, centre_lonlat, is_projected, unit_of
from .progress import Progress
from .terrain import derivatives, flow
from .terrain.elevation import Model, bring_to, elevation_on, model_of_array, model_of_file
from .terrain.lattices import Scale, checked_scales, finest, grown, scales_of

log = logging.getLogger(__name__)

AROUND = 2  # pixels of a lattice beyond the cube: one for the window of 3 x 3, one to interpolate from
CATCHMENT, CATCHMENT_PIXELS = 1000.0, 32  # m, pixels around the cube whose water is followed; the larger
DISTORTED = 0.02  # of the scale of a map projection; less than what elevations are worth

# What CF wants to know of each variable.
SAID: dict[str, dict[str, str]] = {
    "slope": {
        "long_name": "slope",
        "standard_name": "ground_slope_angle",
        "units": "degree",
        "references": "Horn (1981)",
    },
    "northness": {
        "long_name": "northness, the cosine of the aspect",
        "units": "1",
        "references": "Horn (1981)",
        "comment": "1 faces the grid's north, -1 its south; 0 on flat ground, without an aspect; not weighted by slope",
    },
    "eastness": {
        "long_name": "eastness, the sine of the aspect",
        "units": "1",
        "references": "Horn (1981)",
        "comment": "1 faces the grid's east, -1 its west; 0 on flat ground, without an aspect; not weighted by slope",
    },
    "ruggedness": {
        "long_name": "terrain ruggedness index",
        "units": "m",
        "references": "Riley, DeGloria, Elliot (1999)",
        "comment": "root of the sum of squared differences to the eight neighbours",
    },
    "curvature": {
        "long_name": "total curvature",
        "units": "m-1",
        "references": "Zevenbergen, Thorne (1987)",
        "comment": "-2 (D + E), minus the Laplacian: positive where convex upwards; 0.01 of ESRI's curvature",
    },
    "twi": {
        "long_name": "topographic wetness index",
        "units": "1",
        "references": "Beven, Kirkby (1979); Freeman (1991); Barnes, Lehman, Mulla (2014)",
        "comment": "ln(a / tan b): a is the specific catchment area in m, by multiple flow directions after Freeman "
        "with exponent 1.1, depressions filled by priority-flood; b is the slope of the filled model, tan b at "
        "least 0.001",
    },
}


@dataclass(frozen=True)
class TerrainParameters:
    """`cube`: path of a cube. `dem`: path of a raster of elevations (m), its first band; or `dem_variable`: a variable
    (y, x) of the cube. `dem_crs`: in place of the file's, empty for that. `dem_missing`: (lowest, highest) of numbers
    of the file that are none. `variables`: of `SAID`. `scales`: metres,
    as "20, 100"; empty for the pixel of the cube or the elevation model, the larger. `output`: path of the .nc
    or .zarr.
    """

    cube: str
    dem: str = ""
    dem_variable: str = ""
    dem_crs: str = ""
    dem_missing: tuple = ()
    variables: tuple = ("slope", "northness", "eastness")
    scales: str = ""
    output: str = ""


@dataclass(frozen=True)
class TerrainResult:
    """`output`: path of the cube. `coverage`: per cent of its pixels, by variable. `layers` to show."""

    output: str
    title: str
    coverage: dict[str, float]
    layers: tuple[LayerInfo, ...] = ()


def terrain_variables(parameters: TerrainParameters, progress: Progress) -> TerrainResult:
    """Write the cube with variables of the ground's form, static (y, x) and float32.

    Raises `InputError` for what the user gave, before anything is written; `StorageError`, `Cancelled`.
    """
    variables, asked = checked_variables(parameters.variables), checked_scales(parameters.scales)
    if bool(parameters.dem) == bool(parameters.dem_variable):
        both = "DEM and DEM_VARIABLE are both given." if parameters.dem else "DEM is missing."
        raise InputError(both, "Give an elevation model as DEM, or the name of a variable as DEM_VARIABLE.")
    if not parameters.cube:
        raise InputError("CUBE is missing.", "Give the path of a minicube.")
    path = cube_path(Path(parameters.cube))
    with _model(parameters, path) as (grid, model):
        scales = scales_of(grid, model, asked)
        names = {(each, scale): each + scale.suffix for scale in scales for each in variables}
        with read_cube(path) as cube:
            _check_free(names.values(), cube, parameters)
        _check_cover(grid, model)
        coverage: dict[str, float] = {}

        def add(writer: CubeWriter, cube: xr.Dataset, part: Progress) -> None:
            for number, scale in enumerate(scales):
                part.update(number / len(scales), f"Elevation at {scale.text}")
                elevation, lattice, how = _ground(grid, model, scale, variables, parameters)
                for nth, each in enumerate(variables):
                    name = names[each, scale]
                    part.update((number + (nth + 1) / (len(variables) + 1)) / len(scales), name)
                    computed = compute(each, elevation, lattice)
                    values, brought = bring_to(computed, lattice, grid)
                    coverage[name] = round(100 * float(np.isfinite(values).mean()), 2)
                    reach = _reach(grid, lattice) if parameters.dem else None
                    attributes = _attributes(each, scale, model.name, (how, brought), reach)
                    attributes["coverage_percent"] = coverage[name]
                    writer.add_map(name, values.astype("float32"), np.float32(np.nan), **attributes)

        what = f"terrainvariables of {path.name}: {', '.join(names.values())} from {model.name}"
        done = extended_cube(parameters.cube, parameters.output, list(names.values()), add, what, progress)
    for name, share in coverage.items():
        log.info("%s: %.4g %% of the pixels have a value.", name, share)
        if not share:
            more = (
                "" if parameters.dem else ": its window is larger than the cube, an elevation layer may help"
            )
            log.warning("%s has no value%s.", name, more)
    return TerrainResult(done.output, done.title, coverage, done.layers)


def checked_variables(variables: tuple) -> tuple[str, ...]:
    """The variables, each once, in their own order. Raises `InputError`."""
    unknown = [str(each) for each in variables if each not in SAID]
    if unknown:
        raise InputError(f"VARIABLES has {', '.join(unknown)}.", f"Known: {', '.join(SAID)}.")
    if not variables:
        raise InputError("VARIABLES is empty.", f"Choose of {', '.join(SAID)}.")
    return tuple(each for each in SAID if each in variables)


@contextmanager
def _model(parameters: TerrainParameters, path: Path) -> Iterator[tuple[Grid, Model]]:
    """The grid of the cube at `path`, and the elevation model. Raises `InputError`."""
    name = parameters.dem_variable
    with read_cube(path) as cube:
        grid = grid_of(cube, path.name)
        if not is_projected(grid.crs):
            raise InputError(
                f"{path.name} lies on degrees, in which no slope can be computed ({grid.crs}).",
                "Build a cube in a projected CRS.",
            )
        _warn_of_distortion(grid)
        values = _elevation_variable(cube, name) if name else None
    if values is not None:
        yield grid, model_of_array(values, grid, f"{name} of {path.name}")
        return
    try:
        dataset = rasterio.open(parameters.dem)
    except RasterioError as error:
        raise InputError(f"DEM cannot be read: {parameters.dem}.", "Give a raster file.") from error
    with dataset:
        model = model_of_file(dataset, Path(parameters.dem).name, parameters.dem_crs, parameters.dem_missing)
        yield grid, model


def _warn_of_distortion(grid: Grid) -> None:
    """Where a metre of the CRS is none on the ground (web maps far from the equator), slopes are not right either."""
    lon, lat = centre_lonlat(grid.bounds, grid.crs)
    scale = math.sqrt(Proj(grid.crs).get_factors(lon, lat).areal_scale)
    if abs(scale - 1) > DISTORTED:
        log.warning(
            "Lengths are %.3g times too long in %s here, and slopes too gentle: a cube in UTM is better.",
            scale, grid.crs,
        )  # fmt: skip


def _elevation_variable(cube: xr.Dataset, name: str) -> np.ndarray:
    """Values (y, x) of a variable. Raises `InputError` when it is no map of numbers."""
    maps = [
        str(key)
        for key, variable in cube.variables.items()
        if set(variable.dims) == {"y", "x"} and variable.dtype.kind in "iuf"
    ]
    if name not in maps:
        what = f"{name} of the cube is not a map of numbers (y, x)." if name in cube.variables else ""
        hint = f"It has: {', '.join(maps) or 'none'}."
        raise InputError(f"DEM_VARIABLE: {what or f'the cube has no variable {name}.'}", hint)
    return cube[name].transpose("y", "x").values


def _check_free(names: Any, cube: xr.Dataset, parameters: TerrainParameters) -> None:
    check_names(list(names), cube, replace=True)
    if parameters.dem_variable in names:
        raise InputError(f"DEM_VARIABLE {parameters.dem_variable} would be replaced by what is made of it.")


def _ground(
    grid: Grid, model: Model, scale: Scale, variables: tuple[str, ...], parameters: TerrainParameters
) -> tuple[np.ndarray, Grid, str]:
    """(elevation in m, its lattice with the margin, how it was brought there)."""
    margin = AROUND
    if "twi" in variables and parameters.dem:
        margin += max(CATCHMENT_PIXELS, math.ceil(CATCHMENT / scale.size))
    lattice = grown(scale.lattice, margin)
    elevation, how = elevation_on(model, lattice)
    return elevation, lattice, how


def _check_cover(grid: Grid, model: Model) -> None:
    """Raises `InputError` when no pixel of the cube has an elevation; the log says how many have."""
    lattice = grown(finest(grid, model).lattice, AROUND)
    share = float(np.isfinite(bring_to(elevation_on(model, lattice)[0], lattice, grid)[0]).mean())
    if not share:
        raise InputError(
            f"The elevation model has no value within the cube: {model.name}.", "Check its place and its CRS."
        )
    if share < 1:
        log.warning("%s covers %.4g %% of the cube; the rest is missing.", model.name, 100 * share)


def _reach(grid: Grid, lattice: Grid) -> float:
    """How far (m) a lattice reaches beyond the grid, at the side where that is least."""
    inner, outer = grid.bounds, lattice.bounds
    return min(abs(a - b) for a, b in zip(inner, outer, strict=True)) * unit_of(grid.crs)[1]


def compute(variable: str, elevation: np.ndarray, lattice: Grid) -> np.ndarray:
    """A variable of `SAID` on a lattice, float64 (y, x), NaN where its window is not complete."""
    metres = unit_of(lattice.crs)[1]
    dx, dy = lattice.resolution_x * metres, lattice.resolution_y * metres
    if variable == "ruggedness":
        return derivatives.ruggedness(elevation)
    if variable == "curvature":
        return derivatives.curvature(elevation, dx, dy)
    if variable == "twi":
        return flow.wetness(elevation, dx, dy)
    return getattr(derivatives, variable)(*derivatives.gradient(elevation, dx, dy))


def _attributes(
    variable: str, scale: Scale, source: str, brought: tuple[str, str], reach: float | None
) -> dict[str, Any]:
    """`brought`: how the elevation came to the lattice, and the result to the cube. `reach`: how far (m) elevations
    beyond the cube are known, None for a variable of the cube."""
    said = dict(SAID[variable])
    comments = [said.get("comment", "")]
    if scale.is_coarser:
        comments.append(f"{scale.asked:g} m were asked for, which is finer than the pixels that there are")
    if variable == "twi":
        within = "the cube" if reach is None else f"{reach:.0f} m around the cube"
        comments.append(f"catchment areas are limited to {within}")
    elif reach is None:
        comments.append("missing at the cube's edge, beyond which there is no elevation")
    how = f"elevation {brought[0]}" + ("" if brought[0] == "unchanged" else f" to {scale.text}")
    return {
        **said,
        "long_name": f"{said['long_name']}, at a scale of {scale.text}",
        "comment": "; ".join(filter(None, comments)),
        "source": source,
        "resampling": how if brought[1] == "unchanged" else f"{how}; result {brought[1]} to the pixels",
        "scale": scale.text,
        "grid_mapping": GRID_MAPPING,
    }
