"""Features of a layer on the pixels of a cube: where they are, and which value they have there."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio.raw
import shapely
from pyproj import Transformer

from ..errors import InputError, StorageError
from ..grid import Grid, checked_crs, same_crs
from ..vectors import Features, codes_of, mask_of, read_features


@dataclass(frozen=True)
class Layer:
    """Features, and the CRS of their coordinates."""

    features: Features
    crs: str

    def on(self, grid: Grid) -> Features:
        """The features that touch a grid, in its CRS; those that cannot be brought there are left out."""
        shapes = self.features.shapes
        if not same_crs(self.crs, grid.crs):
            move = Transformer.from_crs(self.crs, grid.crs, always_xy=True).transform
            shapes = shapely.transform(shapes, lambda xy: np.stack(move(xy[:, 0], xy[:, 1]), axis=1))
        inside = shapely.intersects(np.atleast_1d(shapes), shapely.box(*grid.bounds))
        values = [value for value, yes in zip(self.features.values, inside, strict=True) if yes]
        return Features(np.atleast_1d(shapes)[inside], values, self.features.mended)


def read_layer(path: str, crs: str, name: str) -> Layer:
    """The features of a file of lines of JSON. `name`: the parameter, for messages. Raises `InputError`."""
    if not Path(path).is_file():
        raise InputError(f"{name} does not exist: {path}.")
    return _read_layer(path, _state_of(path), crs, name)


@functools.lru_cache(maxsize=8)
def _read_layer(path: str, _state: tuple[int, int], crs: str, name: str) -> Layer:
    try:
        features = read_features(Path(path))
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"{name} is not a file of features: {path} ({error}).") from error
    return _checked(Layer(features, checked_crs(crs, f"{name}_CRS")), path, name)


def read_vector(path: str, field: str, name: str) -> Layer:
    """The features of a vector file (GeoPackage, GeoJSON, ...) with the values of a field. Raises `InputError`."""
    if not Path(path).exists():
        raise InputError(f"{name} does not exist: {path}.")
    return _read_vector(path, _state_of(path), field, name)


@functools.lru_cache(maxsize=8)
def _read_vector(path: str, _state: tuple[int, int], field: str, name: str) -> Layer:
    try:
        meta, _, geometry, columns = pyogrio.raw.read(path, columns=[field] if field else [])
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError) as error:
        raise StorageError(f"{path} cannot be read as a vector layer ({error}).") from error
    if field and field not in list(meta["fields"]):
        raise InputError(f"{name} has no field {field}: {path}.")
    if not meta["crs"]:
        raise InputError(f"{name} does not say its CRS: {path}.", "Assign one to the layer.")
    shapes = np.atleast_1d(shapely.force_2d(shapely.from_wkb(geometry)))
    values = [None if v is None or v != v else v for v in columns[0]] if field else [None] * len(shapes)
    keep = ~(shapely.is_empty(shapes) | shapely.is_missing(shapes))
    bad = keep & ~shapely.is_valid(shapes)
    shapes[bad] = shapely.make_valid(shapes[bad])
    kept = [value for value, yes in zip(values, keep, strict=True) if yes]
    return _checked(
        Layer(Features(shapes[keep], kept, int(bad.sum())), checked_crs(meta["crs"], name)), path, name
    )


def _state_of(path: str) -> tuple[int, int]:
    """What changes when a file is written anew."""
    found = Path(path).stat()
    return found.st_mtime_ns, found.st_size


def _checked(layer: Layer, path: str, name: str) -> Layer:
    if not len(layer.features.shapes):
        raise InputError(f"{name} has no feature with a geometry: {path}.")
    return layer


def covered(grid: Grid, layer: Layer) -> np.ndarray:
    """The pixels whose centres lie in a polygon, or that a point or line touches: bool (y, x)."""
    features = layer.on(grid)
    return mask_of(grid, features) > 0 if len(features.shapes) else np.zeros(grid.shape, bool)


def point_pixels(grid: Grid, layer: Layer) -> tuple[np.ndarray, np.ndarray] | None:
    """Rows and columns of the pixels that hold the points of a layer; None where it has no points alone."""
    if (shapely.get_dimensions(layer.features.shapes) != 0).any():
        return None
    features = layer.on(grid)
    xy = shapely.get_coordinates(features.shapes)
    rows, columns = grid_pixels(grid, xy[:, 0], xy[:, 1])
    inside = (rows >= 0) & (rows < grid.height) & (columns >= 0) & (columns < grid.width)
    pixels = np.unique(np.stack([rows[inside], columns[inside]], axis=1), axis=0)
    return pixels[:, 0], pixels[:, 1]


def grid_pixels(grid: Grid, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels that hold points in the grid's CRS, as if it went on without end."""
    columns = np.floor((np.asarray(x) - grid.left) / grid.resolution_x).astype(int)
    return np.floor((grid.top - np.asarray(y)) / grid.resolution_y).astype(int), columns


def region_codes(grid: Grid, layer: Layer) -> tuple[np.ndarray, dict[int, str]]:
    """The value that features have at each pixel, as codes (y, x), 0 without one, and the text of each code.

    Polygons count where they hold a pixel's centre, the first of several. Where a layer has points alone, a pixel has
    the value of the nearest one among those within the grid: such a point stands for the whole cube.
    """
    features = layer.on(grid)
    texts = ["" if value is None else str(value) for value in features.values]
    if len(features.shapes) and (shapely.get_dimensions(features.shapes) == 0).all():
        given = np.array([bool(text) for text in texts])
        names = sorted({text for text in texts if text})
        if not names:
            return np.zeros(grid.shape, np.uint8), {}
        tree = shapely.STRtree(features.shapes[given])
        x, y = np.meshgrid(grid.x, grid.y)
        nearest = tree.nearest(shapely.points(x.ravel(), y.ravel()))
        codes = np.array([names.index(text) + 1 for text in texts if text])
        return codes[nearest].reshape(grid.shape), dict(enumerate(names, start=1))
    if not len(features.shapes):
        return np.zeros(grid.shape, np.uint8), {}
    codes, names = codes_of(grid, Features(features.shapes, texts, 0), "first")
    return codes, {code: name for code, name in names.items() if code}
