"""What is to be built: one dataclass that holds every choice, travels as JSON and stands in the cube."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field

from .aggregation import WINDOWS
from .climate.variables import checked_choice
from .errors import InputError
from .grid import checked_crs, checked_projected_crs
from .secrets import holds_secret
from .sources.sentinel2_bands import BANDS
from .timeline import checked_period, regular_days

# GDAL's methods that make one value of several; the others (sum, quartiles, rms) change what a value means.
METHODS = ("nearest", "bilinear", "cubic", "cubic_spline", "lanczos", "average", "mode", "min", "max", "med")
METHODS_OF_CLASSES = ("nearest", "mode")


def checked_resampling(choice: dict[str, str]) -> dict[str, str]:
    """The choice with bands named as in `BANDS`, "s2_B02" and "B02" alike. Raises `InputError`."""
    checked = {}
    for name, method in choice.items():
        band = str(name).removeprefix("s2_")
        if band not in BANDS:
            raise InputError(f"RESAMPLING names an unknown band: {name!r}.", f"Known: {', '.join(BANDS)}.")
        if band in checked and checked[band] != method:
            raise InputError(f"RESAMPLING names {band} twice, with {checked[band]} and {method}.")
        if method not in METHODS:
            raise InputError(
                f"RESAMPLING names an unknown method for {band}: {method!r}.", f"Known: {', '.join(METHODS)}."
            )
        if BANDS[band].kind == "classes" and method not in METHODS_OF_CLASSES:
            raise InputError(
                f"RESAMPLING asks for {method} of {band}, whose classes cannot be averaged.",
                f"Known for classes: {', '.join(METHODS_OF_CLASSES)}.",
            )
        checked[band] = str(method)
    return dict(sorted(checked.items()))


@dataclass(frozen=True)
class Recipe:
    """The choices that make a cube; same recipe and same sources give the same cube.

    `extent`: (xmin, xmax, ymin, ymax) in `extent_crs`, the order of QGIS. `crs`: None for the UTM zone
    of the centre. `resolution`: CRS units, 0 for the finest native one. `width`, `height`: pixels
    around the extent's centre, 0 for the whole extent. `start`, `end`: ISO days, both inclusive.
    `catalog`: path of a static catalog or item collection, or URL of one or of a STAC API.
    `fallback_catalog`: the same, asked when the first fails. `s2_bands`: names of the contract. `s2_mask`:
    "none" or "scl". `max_cloud`: per cent of a scene. `min_clear`: per cent of the extent that must be clear.
    `time_axis`: "s2" for the dates of the images, "regular" for steps of `step_days`. `resampling`: band to
    GDAL's name of a method, in place of the default rule. `fail_on_missing`: a file that cannot be had ends the
    run; else its pixels are missing and it is listed.
    `era5_source`: name of a climate store, a path or a URL, empty for none. `era5_variables`: (variable,
    aggregation) pairs. `era5_window`: "since_previous" or "trailing". `era5_daily`: a value of each day too.
    `era5_space`: "nearest" cell, "bilinear" maps, "auto" by the size of the extent. `era5_dem`: path of an elevation
    model to whose pixels temperature is moved, empty for none. `min_hours_share`: of the hours
    of a step that must be there, 0 to 1.
    """

    extent: tuple[float, float, float, float]
    extent_crs: str
    start: str
    end: str
    catalog: str
    crs: str | None = None
    resolution: float = 10.0
    width: int = 0
    height: int = 0
    s2_bands: tuple[str, ...] = field(default=("B02", "B03", "B04", "B08"))
    s2_mask: str = "none"
    max_cloud: float = 100.0
    fallback_catalog: str = ""
    min_clear: float = 0.0
    time_axis: str = "s2"
    step_days: int = 5
    resampling: dict[str, str] = field(default_factory=dict)
    fail_on_missing: bool = False
    era5_source: str = ""
    era5_variables: tuple[tuple[str, str], ...] = (("t", "mean"), ("tp", "sum"))
    era5_window: str = "since_previous"
    era5_daily: bool = False
    era5_space: str = "auto"
    era5_dem: str = ""
    min_hours_share: float = 1.0

    def __post_init__(self) -> None:
        """Raises `InputError` for everything that can be known to be wrong before any search."""
        if len(self.extent) != 4:
            raise InputError("EXTENT needs four numbers: xmin, xmax, ymin, ymax.")
        if not all(isinstance(number, (int, float)) for number in self.extent):
            raise InputError(f"EXTENT holds something else than numbers: {self.extent}.")
        # Equal extents are equal text, however their numbers were written.
        object.__setattr__(self, "extent", tuple(float(number) for number in self.extent))
        if not self.extent_crs:
            raise InputError("EXTENT has no CRS.", "Add it, for example: 7.4,7.5,46.9,47.0 [EPSG:4326].")
        object.__setattr__(self, "extent_crs", checked_crs(self.extent_crs, "The CRS of EXTENT"))
        object.__setattr__(self, "crs", self.crs or None)
        if self.crs:
            object.__setattr__(self, "crs", checked_projected_crs(self.crs))
        first, last = checked_period(self.start, self.end)
        object.__setattr__(self, "start", first.isoformat())
        object.__setattr__(self, "end", last.isoformat())
        if not self.catalog:
            raise InputError(
                "CATALOG is empty.",
                "Give the name of a preset, the path of a STAC catalog or item collection, or a STAC API URL.",
            )
        for name, text, auth in (
            ("CATALOG", self.catalog, "CATALOG_AUTH"),
            ("FALLBACK_CATALOG", self.fallback_catalog, "CATALOG_AUTH"),
            ("ERA5_SOURCE", self.era5_source, "ERA5_AUTH"),
        ):
            if holds_secret(text):
                raise InputError(
                    f"{name} holds a password or a token, which the history would keep.",
                    f"Leave it out of the address; choose the credentials in {auth}.",
                )
        if self.resolution < 0:
            raise InputError(f"RESOLUTION is negative: {self.resolution:g}.")
        if not math.isfinite(self.resolution) or 0 < self.resolution < 1e-3:
            raise InputError(
                f"RESOLUTION is no size of a pixel: {self.resolution:g}.",
                "Choose a coarser one, or 0 for the finest native one.",
            )
        if (self.width > 0) != (self.height > 0) or self.width < 0 or self.height < 0:
            raise InputError(
                f"WIDTH and HEIGHT belong together: {self.width} x {self.height}.",
                "Give both in pixels, or 0 and 0 for the whole extent.",
            )
        unknown = [str(band) for band in self.s2_bands if band not in BANDS]
        if unknown:
            raise InputError(f"Unknown Sentinel-2 band: {', '.join(unknown)}.", f"Known: {', '.join(BANDS)}.")
        if not self.s2_bands and self.s2_mask == "none":
            raise InputError("No band is chosen.", "Choose at least one of S2_BANDS.")
        if self.s2_mask not in ("none", "scl"):
            raise InputError(f"Unknown S2_MASK: {self.s2_mask!r}.", "Known: none, scl.")
        if not 0 <= self.max_cloud <= 100:
            raise InputError(f"MAX_CLOUD is not a percentage: {self.max_cloud:g}.")
        if not 0 <= self.min_clear <= 100:
            raise InputError(f"MIN_CLEAR is not a percentage: {self.min_clear:g}.")
        if self.time_axis not in ("s2", "regular"):
            raise InputError(f"Unknown TIME_AXIS: {self.time_axis!r}.", "Known: s2, regular.")
        if self.step_days < 1:
            raise InputError(f"STEP_DAYS is not a number of days: {self.step_days}.")
        if self.time_axis == "regular":
            regular_days(*checked_period(self.start, self.end), self.step_days)
        object.__setattr__(self, "resampling", checked_resampling(self.resampling))
        self._check_climate()
        # One order whatever the order of the request, so that equal requests are equal recipes.
        object.__setattr__(self, "s2_bands", tuple(band for band in BANDS if band in self.s2_bands))

    def _check_climate(self) -> None:
        object.__setattr__(self, "era5_variables", checked_choice(self.era5_variables))
        if self.era5_source and not self.era5_variables:
            raise InputError("ERA5_VARIABLES is empty.", "For example: t,mean,tp,sum.")
        for name, value, known in (
            ("ERA5_WINDOW", self.era5_window, WINDOWS),
            ("ERA5_SPACE", self.era5_space, ("auto", "nearest", "bilinear")),
        ):
            if value not in known:
                raise InputError(f"Unknown {name}: {value!r}.", f"Known: {', '.join(known)}.")
        if not 0 < self.min_hours_share <= 1:
            raise InputError(
                f"MIN_HOURS_SHARE is no share: {self.min_hours_share:g}.",
                "Give a number above 0 and up to 1.",
            )

    def to_json(self) -> str:
        """Compact JSON with sorted keys; equal recipes give equal text."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))
