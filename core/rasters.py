"""Bands of raster files on the grid of a cube, by GDAL's warper: memory does not grow with the file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.warp import reproject
from rasterio.windows import Window

from .errors import InputError
from .grid import Grid, checked_crs, short_crs
from .placement import FINER, Placement, enlarged, overlap, placement, resampling_for, window_below

METHODS = {
    "nearest": "nearest", "bilinear": "bilinear", "cubic": "cubic", "average": "average", "mode": "mode",
    "min": "min", "max": "max", "median": "med",
}  # fmt: skip
CACHE = 64  # MB of blocks that GDAL keeps; by default 5 % of the machine's memory
PIXELS_AT_ONCE = 1_500_000  # read of a file before they are warped; some 60 MB with all that is made of them
OF_CLASSES = ("nearest", "mode", "min", "max")


@dataclass(frozen=True)
class OnGrid:
    """A band on the grid: `values` (y, x), float64 with NaN for missing. `method`: how it was resampled. `coverage`:
    share of the pixels with a value. `whole`: whether all values are whole numbers by their type. `fit`: how its pixels
    lie on the grid, in words."""

    values: np.ndarray
    method: str
    coverage: float
    whole: bool
    units: str
    description: str
    fit: str = ""


@dataclass(frozen=True)
class Band:
    """What a file says of a band: its name, whether its values are whole numbers by their type, and its colour table
    (value as text to #rrggbb), empty without one or where that is mere grey."""

    name: str
    whole: bool
    colours: dict[str, str]


def bands_of(path: str, title: str) -> list[Band]:
    """The bands of a file that GDAL reads. Raises `InputError` naming the layer `title`."""
    try:
        with rasterio.open(path) as source:
            return [_band(source, number) for number in source.indexes]
    except RasterioError as error:
        raise InputError(f"The layer {title} cannot be read ({_short(error)}).") from error


def _band(source, number: int) -> Band:
    colours = {}
    if source.colorinterp[number - 1] is ColorInterp.palette:
        table = {value: colour for value, colour in source.colormap(number).items() if colour[3]}
        if any(len(set(colour[:3])) > 1 for colour in table.values()):
            colours = {str(value): "#{:02x}{:02x}{:02x}".format(*colour) for value, colour in table.items()}
    return Band(source.descriptions[number - 1] or "", _is_whole(source, number), colours)


def _is_whole(source, band: int) -> bool:
    packed = (source.scales[band - 1] or 1.0, source.offsets[band - 1] or 0.0) != (1.0, 0.0)
    return np.dtype(source.dtypes[band - 1]).kind in "ui" and not packed


def raster_on(
    grid: Grid,
    path: str,
    band: int,
    crs: str,
    choice: str,
    classes: bool,
    title: str,
    missing: tuple[tuple[float, float], ...] = (),
    own_nodata: bool = True,
) -> OnGrid:
    """Band number `band` (from 1) of a file that GDAL reads, with its scale and offset.

    `crs`: in place of the file's, empty for that. `choice`: one of `METHODS`, or "auto" for the default of the
    contract: copied where lattices are equal, nearest where pixels nest and for classes, bilinear where they are
    coarser, average (classes: mode) where they are finer. `missing`: (smallest, largest) of stored numbers that are
    missing too; `own_nodata`: whether the file's own are. Missing pixels never mix into values. Raises `InputError`
    naming the layer `title`.
    """
    try:
        with rasterio.Env(GDAL_CACHEMAX=CACHE), rasterio.open(path) as source:
            if not 1 <= band <= source.count:
                raise InputError(f"The layer {title} has no band {band}.", f"It has {source.count}.")
            return _on_grid(grid, source, band, crs, choice, classes, title, missing, own_nodata)
    except RasterioError as error:
        raise InputError(f"The layer {title} cannot be read ({_short(error)}).") from error


def _on_grid(grid, source, band, crs, choice, classes, title, missing, own_nodata) -> OnGrid:
    own = short_crs(source.crs.to_wkt()) if source.crs else ""
    crs = checked_crs(crs, f"The CRS of {title}") if crs else own
    if not crs:
        raise InputError(f"The layer {title} has no CRS.", "Set it in the layer's properties.")
    if source.transform.is_identity and not source.gcps[0]:
        raise InputError(f"The layer {title} does not say where it lies.")
    place = placement(source.transform, crs, grid)
    method = resampling_for(place, classes, None if choice == "auto" else METHODS[choice])
    out = np.full(grid.shape, np.nan)
    copied = place.copied or (place.nests and method is Resampling.nearest)
    if copied:
        rows, columns, window = overlap(source, place, grid)
        if window is not None:
            found = pixels(source, band, window, missing, own_nodata)
            out[rows, columns] = enlarged(found, place, rows, columns)
    else:
        _warp(source, band, crs, grid, method, out, missing, own_nodata)
    scale, offset = source.scales[band - 1] or 1.0, source.offsets[band - 1] or 0.0
    if (scale, offset) != (1.0, 0.0):
        out = out * scale + offset
    return OnGrid(
        values=out,
        method="none, the lattices are equal" if place.copied else method.name.replace("med", "median"),
        coverage=float(np.isfinite(out).mean()),
        whole=_is_whole(source, band),
        units=source.units[band - 1] or "",
        description=source.descriptions[band - 1] or "",
        fit=_fit(place),
    )


def _fit(place: Placement) -> str:
    if place.copied:
        return "on the lattice of the grid"
    if place.ratio < FINER:
        return "finer than the grid"
    return "its pixels hold whole pixels of the grid" if place.nests else "not finer than the grid"


def pixels(source, band: int, window: Window, missing=(), own_nodata: bool = True) -> np.ndarray:
    """Pixels of a window, float64 with NaN for all that is missing."""
    values = source.read(band, window=window).astype(np.float64)
    if own_nodata:
        values[source.read_masks(band, window=window) == 0] = np.nan
    for low, high in missing:
        values[(values >= low) & (values <= high)] = np.nan
    return values


def _warp(
    source, band: int, crs: str, grid: Grid, method: Resampling, out: np.ndarray, missing, own_nodata
) -> None:
    """Warp a band into `out`. GDAL knows one number for missing; where more is, the pixels are read before,
    part by part of the grid."""
    nodata = source.nodatavals[band - 1] if own_nodata else None
    shared = {
        "src_crs": crs,
        "dst_crs": grid.crs,
        "dst_transform": grid.geobox.transform,
        "resampling": method,
        "dst_nodata": math.nan,
    }
    everywhere = all(flag.name == "all_valid" for flag in source.mask_flag_enums[band - 1])
    if not missing and (nodata is not None or everywhere):
        reproject(
            rasterio.band(source, band), out, src_transform=source.transform, src_nodata=nodata, init_dest_nodata=True,
            **shared,
        )  # fmt: skip
        return
    ratio = placement(source.transform, crs, grid).ratio
    for rows, columns, part in _parts(grid, max(1, int(math.sqrt(PIXELS_AT_ONCE) * ratio))):
        window = window_below(source, crs, part, ratio, Resampling.cubic)
        if window is None:
            continue
        values, warped = pixels(source, band, window, missing, own_nodata), np.full(part.shape, np.nan)
        shared["dst_transform"] = part.geobox.transform
        reproject(
            values, warped, src_transform=source.window_transform(window), src_nodata=math.nan, **shared
        )
        out[rows, columns] = warped


def _parts(grid: Grid, size: int) -> Iterator[tuple[slice, slice, Grid]]:
    """Squares of a grid, of `size` pixels to a side: (rows, columns, the square)."""
    for top in range(0, grid.height, size):
        for left in range(0, grid.width, size):
            rows, columns = (
                slice(top, min(top + size, grid.height)),
                slice(left, min(left + size, grid.width)),
            )
            yield (
                rows,
                columns,
                replace(
                    grid,
                    left=grid.left + left * grid.resolution_x,
                    top=grid.top - top * grid.resolution_y,
                    width=columns.stop - left,
                    height=rows.stop - top,
                ),
            )


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
