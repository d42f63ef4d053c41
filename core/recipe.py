"""What is to be built: one dataclass that holds every choice, travels as JSON and stands in the cube."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field

from .errors import InputError
from .grid import checked_crs, checked_projected_crs
from .secrets import holds_secret
from .sources.sentinel2 import BANDS
from .timeline import checked_period


@dataclass(frozen=True)
class Recipe:
    """The choices that make a cube; same recipe and same sources give the same cube.

    `extent`: (xmin, xmax, ymin, ymax) in `extent_crs`, the order of QGIS. `crs`: None for the UTM zone
    of the centre. `resolution`: CRS units, 0 for the finest native one. `width`, `height`: pixels
    around the extent's centre, 0 for the whole extent. `start`, `end`: ISO days, both inclusive.
    `catalog`: path of a static catalog or item collection, or URL of one or of a STAC API.
    `s2_bands`: names of the contract. `s2_mask`: "none" or "scl". `max_cloud`: per cent of a scene.
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

    def __post_init__(self) -> None:
        """Raises `InputError` for everything that can be known to be wrong before any search."""
        if len(self.extent) != 4:
            raise InputError("EXTENT needs four numbers: xmin, xmax, ymin, ymax.")
        # Equal extents are equal text, however their numbers were written.
        object.__setattr__(self, "extent", tuple(float(number) for number in self.extent))
        if not self.extent_crs:
            raise InputError("EXTENT has no CRS.", "Add it, for example: 7.4,7.5,46.9,47.0 [EPSG:4326].")
        object.__setattr__(self, "extent_crs", checked_crs(self.extent_crs, "The CRS of EXTENT"))
        if self.crs:
            object.__setattr__(self, "crs", checked_projected_crs(self.crs))
        checked_period(self.start, self.end)
        if not self.catalog:
            raise InputError(
                "CATALOG is empty.", "Give the path of a STAC catalog or item collection, or a STAC API URL."
            )
        if holds_secret(self.catalog):
            raise InputError(
                "CATALOG holds a password or a token, which the history would keep.",
                "Leave it out of the address.",
            )
        if self.resolution < 0:
            raise InputError(f"RESOLUTION is negative: {self.resolution:g}.")
        if (self.width > 0) != (self.height > 0) or self.width < 0 or self.height < 0:
            raise InputError(
                f"WIDTH and HEIGHT belong together: {self.width} x {self.height}.",
                "Give both in pixels, or 0 and 0 for the whole extent.",
            )
        unknown = [band for band in self.s2_bands if band not in BANDS]
        if unknown:
            raise InputError(f"Unknown Sentinel-2 band: {', '.join(unknown)}.", f"Known: {', '.join(BANDS)}.")
        if not self.s2_bands and self.s2_mask == "none":
            raise InputError("No band is chosen.", "Choose at least one of S2_BANDS.")
        if self.s2_mask not in ("none", "scl"):
            raise InputError(f"Unknown S2_MASK: {self.s2_mask!r}.", "Known: none, scl.")
        if not 0 <= self.max_cloud <= 100:
            raise InputError(f"MAX_CLOUD is not a percentage: {self.max_cloud:g}.")
        # One order whatever the order of the request, so that equal requests are equal recipes.
        object.__setattr__(self, "s2_bands", tuple(band for band in BANDS if band in self.s2_bands))

    def to_json(self) -> str:
        """Compact JSON with sorted keys; equal recipes give equal text."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))
