"""What a layer is for the core, and what is wanted of it."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field

from .. import rasters, vectors
from ..errors import InputError
from ..grid import Grid
from ..timeline import parse_day

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class LayerOrder:
    """One layer. `name`: of the variable. `title`: of the layer, for messages. `source`: where it comes from, as the
    cube says it. `path`: of a raster that GDAL reads; of features the file that `vectors.read_features` reads.

    `kind`: "raster" or "vector". `band`: of a raster, from 1; 0 where none was chosen: all where each has a date of its
    own, else the first. `crs`: in place of the file's, empty for that.
    `method`: of a raster one of `rasters.METHODS` or "auto"; of features "mask", "share", or a rule for what their
    field says ("last", "first", "min", "max", "mean", "sum"), "auto" for mask, or with a field for last.
    `values`: whether features carry the value of a field. `classes`: whether the values of a raster are classes, None
    where its type and colour table decide; `classes_why`: what says so, for the cube. `missing`: of a raster (smallest,
    largest) of values that are missing, beside the file's own nodata, which counts with `own_nodata`.
    `legend`: value (as text) to name, `colours`: value to #rrggbb, of band `legend_band`, 0 for any.
    `exported`: whether `path` is on the grid already, made by QGIS of a layer that is no file.
    `dates`: ISO dates that are known of a raster, of each band ("" for one without) or a single one of the whole;
    `band_names`: names of its bands, in which a date may stand, empty for those of the file.
    """

    name: str
    title: str
    source: str
    path: str
    kind: str = "raster"
    band: int = 0
    crs: str = ""
    method: str = "auto"
    values: bool = False
    classes: bool | None = None
    units: str = ""
    missing: tuple = ()
    own_nodata: bool = True
    exported: bool = False
    legend: dict = field(default_factory=dict)
    colours: dict = field(default_factory=dict)
    legend_band: int = 0
    classes_why: str = ""
    dates: tuple = ()
    band_names: tuple = ()

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise InputError(
                f"{self.name!r} is no name of a variable (layer {self.title}).",
                "Letters, digits, _ and -, a letter first.",
            )
        for date in filter(None, self.dates):
            parse_day(date, f"The date of the layer {self.title}")
        known = rasters.METHODS if self.kind == "raster" else (*vectors.MODES, *vectors.RULES)
        if self.method != "auto" and self.method not in known:
            raise InputError(
                f"The layer {self.title} cannot be brought onto the grid by {self.method!r}.",
                f"Known: auto, {', '.join(known)}.",
            )
        if self.kind == "vector" and self.method in vectors.RULES and not self.values:
            raise InputError(
                f"The layer {self.title} needs a field for {self.method}.",
                "Name it in the last column of OPTIONS.",
            )
        if self.kind == "raster" and self.classes and self.method not in ("auto", *rasters.OF_CLASSES):
            raise InputError(
                f"The layer {self.title} holds classes, of which there is no {self.method}.",
                f"Of classes there are {', '.join(rasters.OF_CLASSES)}.",
            )


def raster_of(order: LayerOrder, grid: Grid) -> rasters.OnGrid:
    """The band of a raster, which is chosen, on the grid, as `rasters.raster_on` makes it. Raises `InputError`."""
    missing = tuple((float(low), float(high)) for low, high in order.missing)
    found = rasters.raster_on(
        grid, order.path, order.band, order.crs, order.method, bool(order.classes), order.title, missing,
        order.own_nodata,
    )  # fmt: skip
    if order.exported:
        return dataclasses.replace(found, method="nearest, by QGIS, which exported the layer on the grid")
    return found
