"""What a file of the formats `earthnet2021` and `greenearthnet` holds.

`earthnet2021`, float32: `highresdynamic` (128, 128, C, T): B02, B03, B04, B8A (reflectance, cut to 0 to 2, NaN where
missing), CLD (cloud probability in percent, NaN where the cube has no `s2_CLD`), SCL, mask (0 good, 1 bad); in files of
the test without CLD and SCL. `mesodynamic` (80, 80, 5, 5 T): RR, PP, TG, TN, TX, scaled, the same in all cells; day 4
is that of image 0. `highresstatic` (128, 128, 1), `mesostatic` (80, 80, 1): (elevation + 2000) / 4000, in the cells of
the weather the mean of the patch.

`greenearthnet`: time 150 (daily) x lat 128 x lon 128 as stored, unresampled; images on every fifth day from the fifth.
"""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from ...cube.encoding import grid_mapping
from ...grid import transform_points
from ...sources.sentinel2_bands import MASK_CLASSES, SCL_CLASSES
from ..cubes import CubeData, reading
from .earthnet_weather import DAY, E_OBS, MESO, daily_names, station_values

SIZE, CONTEXT, TARGET, STEP_DAYS, CELLS = 128, 10, 20, 5, 80
REFLECTANCES = ("s2_B02", "s2_B03", "s2_B04", "s2_B8A")
BANDS = (*REFLECTANCES, "s2_SCL")
ELEVATIONS = ("cop_dem", "nasa_dem", "alos_dem", "srtm_dem", "DEM", "dem", "elevation")
MAPS = ("nasa_dem", "cop_dem", "alos_dem", "esawc_lc", "geom_cls")
GOOD_SCL = (1, 2, 4, 5, 6, 7)
# Scene classification to mask, where the cube has no mask: that of every cube of ours.
MASK_OF_SCL = np.array([4, 4, 0, 2, 0, 0, 0, 0, 1, 1, 1, 3], np.float32)


@dataclass(frozen=True)
class Patch:
    """The pixels of a sample: `images` by name, (time, y, x) float32; `weather` by name, (day,) in E-OBS units; `maps`
    by name, (y, x). `mask`: 0 clear, 1 cloud, 2 shadow, 3 snow, 4 other or no data; `deep`: likewise, of a cube that
    has `s2_dlmask`, else the same."""

    images: dict[str, np.ndarray]
    mask: np.ndarray
    deep: np.ndarray
    weather: dict[str, np.ndarray]
    maps: dict[str, np.ndarray]


def read_patch(cube: CubeData, row: int, column: int, start: int) -> Patch:
    """The patch whose north-western pixel this is, over the 30 steps from `start`."""
    steps = slice(start, start + CONTEXT + TARGET)
    place = slice(row, row + SIZE), slice(column, column + SIZE)
    names = [*BANDS, *(name for name in ("s2_CLD",) if name in cube.kinds.images)]
    images = {name: cube.variable(name, steps, *place) for name in names}
    scl = images["s2_SCL"]
    if "s2_mask" in cube.kinds.images:
        mask = cube.variable("s2_mask", steps, *place)
    else:
        known = np.isfinite(scl) & (scl >= 0) & (scl < MASK_OF_SCL.size)
        mask = np.where(known, MASK_OF_SCL[np.where(known, scl, 0).astype(int)], 4)
    unseen = np.any([~np.isfinite(images[name]) for name in REFLECTANCES], axis=0)

    def whole(classes: np.ndarray) -> np.ndarray:
        return np.where(unseen | ~np.isfinite(classes), np.float32(4), classes).astype(np.float32)

    mask = whole(mask)
    deep = whole(cube.variable("s2_dlmask", steps, *place)) if "s2_dlmask" in cube.kinds.images else mask
    first = cube.days[start] - (STEP_DAYS - 1) * DAY
    wanted = dict.fromkeys([*MAPS, *ELEVATIONS])
    maps = {name: cube.variable(name, slice(0), *place) for name in wanted if name in cube.kinds.static}
    with reading(cube.path):
        weather = station_values(cube, first, (CONTEXT + TARGET) * STEP_DAYS)
    return Patch(images, mask, deep, weather, maps)


def sample_arrays(patch: Patch) -> dict[str, np.ndarray]:
    """The arrays of a file of `earthnet2021` for training: 7 channels, 30 images, 150 days; float32."""
    cloud = patch.images.get("s2_CLD")
    bad = (patch.deep > 0) | ~np.isin(patch.images["s2_SCL"], GOOD_SCL)
    channels = [np.clip(patch.images[name], 0, 2) for name in REFLECTANCES]
    channels += [np.full_like(channels[0], np.nan) if cloud is None else cloud, patch.images["s2_SCL"], bad]
    images = np.stack([each.astype(np.float32) for each in channels])  # channel, time, y, x
    weather = np.stack([(patch.weather[key] - E_OBS[key].low) / E_OBS[key].span for key in MESO])
    weather = weather.astype(np.float32)
    elevation = next(
        (patch.maps[name] for name in ELEVATIONS if name in patch.maps), np.full((SIZE, SIZE), np.nan)
    )
    static = ((elevation.astype(np.float32) + 2000) / 4000)[:, :, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no elevation at all
        mean = np.nanmean(static)
    return {
        "highresdynamic": np.ascontiguousarray(images.transpose(2, 3, 0, 1)),
        "highresstatic": static,
        "mesodynamic": np.ascontiguousarray(np.broadcast_to(weather, (CELLS, CELLS, *weather.shape))),
        "mesostatic": np.full((CELLS, CELLS, 1), mean, np.float32),
    }


def as_context(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The context of a test sample: 5 channels, the first images; weather of all days, as it is given to models."""
    images = arrays["highresdynamic"][:, :, [0, 1, 2, 3, 6], :CONTEXT]
    return {**arrays, "highresdynamic": np.ascontiguousarray(images)}


def as_target(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The target of a test sample: 5 channels, the last images, and no weather."""
    images = arrays["highresdynamic"][:, :, [0, 1, 2, 3, 6], CONTEXT:]
    return {"highresdynamic": np.ascontiguousarray(images)}


def green_cube(cube: CubeData, row: int, column: int, start: int) -> xr.Dataset:
    """A file of `greenearthnet`: dimensions time (daily), lat, lon; values float32."""
    patch = read_patch(cube, row, column, start)
    days = (CONTEXT + TARGET) * STEP_DAYS
    on = slice(STEP_DAYS - 1, None, STEP_DAYS)
    first = cube.days[start] - (STEP_DAYS - 1) * DAY
    x, y = cube.grid.x[column : column + SIZE], cube.grid.y[row : row + SIZE]
    lon, _ = transform_points(x, np.full(SIZE, y[SIZE // 2]), cube.grid.crs, "EPSG:4326")
    _, lat = transform_points(np.full(SIZE, x[SIZE // 2]), y, cube.grid.crs, "EPSG:4326")
    nominal = "nominal: of the centre {}; x, y and spatial_ref are exact"
    out = xr.Dataset(
        coords={
            "time": ("time", (first + np.arange(days) * DAY).astype("datetime64[ns]")),
            "lat": ("lat", lat, _axis("latitude", "degrees_north", nominal.format("column"))),
            "lon": ("lon", lon, _axis("longitude", "degrees_east", nominal.format("row"))),
            "y": ("lat", y, _axis("projection_y_coordinate", "m", "pixel centres")),
            "x": ("lon", x, _axis("projection_x_coordinate", "m", "pixel centres")),
            "spatial_ref": ((), np.int32(0), grid_mapping(cube.grid.crs)),
        }
    )
    classes = {"s2_SCL": SCL_CLASSES, "s2_mask": MASK_CLASSES, "s2_dlmask": MASK_CLASSES}
    images = {**patch.images, "s2_mask": patch.mask, "s2_dlmask": patch.deep}
    for name, values in images.items():
        daily = np.full((days, SIZE, SIZE), np.nan, np.float32)
        daily[on] = values
        attributes = cube.attributes(name) if name in cube.kinds.images else {}
        if name in classes:
            meanings = "; ".join(f"{value} {meaning}" for value, meaning in classes[name].items())
            attributes = {**attributes, "description": meanings}
        if name == "s2_dlmask" and name not in cube.kinds.images:
            attributes["comment"] = "the cube has no mask of a learned model: the same as s2_mask"
        out[name] = (("time", "lat", "lon"), daily, attributes)
    seen = np.zeros(days, np.float32)
    seen[on] = np.isfinite(patch.images["s2_B04"]).any(axis=(1, 2))
    out["s2_avail"] = ("time", seen, {"long_name": "1 where an image has a value in the patch"})
    names = daily_names(cube)
    for key, station in E_OBS.items():
        values = patch.weather.get(key, np.full(days, np.nan)).astype(np.float32)
        said = (
            f"from ERA5, not from E-OBS: {names[key]} of the cube"
            if key in names
            else "missing: not in the cube"
        )
        attributes = {"long_name": station.long_name, "units": station.units, "comment": said}
        if key in names:
            attributes["source"] = cube.attributes(names[key]).get("source", "ERA5")
        out[f"eobs_{key}"] = ("time", values, attributes)
    for name in MAPS:
        values = patch.maps.get(name)
        attributes = {"comment": "missing: not in the cube"} if values is None else cube.attributes(name)
        values = np.full((SIZE, SIZE), np.nan) if values is None else values
        out[name] = (("lat", "lon"), values.astype(np.float32), attributes)
    said = {key: str(cube.cube.attrs[key]) for key in ("license", "references") if cube.cube.attrs.get(key)}
    title = "Minicube in the layout of GreenEarthNet; its weather is ERA5 in the units of E-OBS"
    out.attrs = {"title": title, "Conventions": "CF-1.11", "source": f"cube {cube.label}", **said}
    return out


def _axis(standard_name: str, units: str, comment: str) -> dict[str, str]:
    return {"standard_name": standard_name, "units": units, "comment": comment}


def netcdf_bytes(cube: xr.Dataset) -> bytes:
    """A NetCDF-4 file, deflate and shuffle; the same bytes for the same cube."""
    packed = {"zlib": True, "complevel": 4, "shuffle": True}
    encoding = {}
    for name, variable in cube.variables.items():
        encoding[name] = {"_FillValue": np.float32(np.nan) if variable.dtype == np.float32 else None}
        if variable.ndim == 3:
            encoding[name] |= {**packed, "chunksizes": (30, SIZE, SIZE)}
        if variable.ndim >= 2:
            encoding[name]["grid_mapping"] = "spatial_ref"
    encoding["time"] |= {"units": "days since 1970-01-01", "dtype": "int32"}
    with tempfile.TemporaryDirectory(prefix="minicuber-") as folder:
        path = Path(folder) / "cube.nc"
        cube.to_netcdf(path, engine="h5netcdf", encoding=encoding)
        return path.read_bytes()
