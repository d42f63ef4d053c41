"""Reads single bands of single files onto the grid, exactly.

Numbers stay digital numbers (DN) here, as float32 with NaN for missing (uint16 is exact in it); classes
stay uint8. The rule of resampling is the contract's: same lattice: copied; coarser and nesting: nearest;
coarser otherwise: bilinear; finer: average; classes: nearest, mode when coarsening. Overviews are never
read in place of pixels.
"""

from __future__ import annotations

import logging
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import numpy as np
import rasterio
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.session import Session
from rasterio.warp import reproject
from rasterio.windows import Window

from .catalogs.access import Access, Address
from .catalogs.items import Raster
from .errors import SourceError
from .grid import Grid, outline, same_crs, short_crs, transform_points
from .secrets import redacted
from .sources.sentinel2 import BandFile

GDAL_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_INGESTED_BYTES_AT_OPEN": 32768,
    "GDAL_HTTP_MULTIPLEX": "YES",
    "GDAL_HTTP_VERSION": 2,
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MAX_RETRY": 5,
    "GDAL_HTTP_RETRY_DELAY": 0.5,
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_TIMEOUT": 60,
    "GDAL_HTTP_LOW_SPEED_LIMIT": 100,  # bytes per second; a transfer that is slower
    "GDAL_HTTP_LOW_SPEED_TIME": 20,  # for so many seconds has stalled
    "VSI_CACHE": True,
}
# rasterio silences this warning about its own scratch arrays in a way that leaks between threads.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)


def _shown(text: str) -> str:
    """A text of GDAL's without queries, which hold signatures; it writes them after bare names of files too."""
    return re.sub(r"\?[^\s'\"]*", "", redacted(text))


def _log_shown(record: logging.LogRecord) -> bool:
    record.msg, record.args = _shown(record.getMessage()), ()
    return True


for _name in ("rasterio._env", "rasterio._err"):
    logging.getLogger(_name).addFilter(_log_shown)
ON_LATTICE = 0.01  # of a pixel, over the whole grid: less is the rounding of somebody's metadata
# What GDAL says when a server refuses a file, because of keys or a signature, and for another reason.
# Of an object store GDAL tells the code of the error or its text, depending on its version.
DENIED_BY_STORE = (
    r"Access ?Denied|InvalidAccessKeyId|Access Key Id you|SignatureDoesNotMatch|signature we calculated"
)
DENIED = re.compile(rf"response code: 40[13]|{DENIED_BY_STORE}")
OTHERWISE = re.compile(r"response code: (?!40[13])\d")
# Of what it says, what stays the same however often one asks.
LASTING = re.compile(
    rf"response code: (400|401|403|404|410)|does not exist|No such file|URL rejected|{DENIED_BY_STORE}",
    re.IGNORECASE,
)
FINER = 0.95  # a source pixel below this share of the grid's is averaged


@dataclass(frozen=True)
class Placement:
    """How a source lies on the grid. `row`, `column`: of the source pixel under the grid's first pixel,
    where the lattices are equal (`copied`)."""

    copied: bool
    nests: bool
    ratio: float
    row: int = 0
    column: int = 0


def placement(transform: rasterio.Affine, crs: str, grid: Grid) -> Placement:
    """Compare a file's lattice (its `transform` and CRS) with the grid's.

    `ratio`: size of a source pixel in grid pixels (below 1: the source is finer).
    """
    if not same_crs(crs, grid.crs):
        return Placement(False, False, _ratio_across(transform, crs, grid))
    kx, ky = transform.a / grid.resolution_x, -transform.e / grid.resolution_y
    if transform.b or transform.d or kx <= 0 or ky <= 0:
        return Placement(False, False, math.sqrt(abs(kx * ky)))
    # The grid's first edges, in source pixels; and how far lattices drift apart over the grid.
    column = (grid.left - transform.c) / transform.a
    row = (grid.top - transform.f) / transform.e
    drift = max(abs(kx - round(kx)) * grid.width, abs(ky - round(ky)) * grid.height)
    whole = drift < ON_LATTICE and round(kx) == round(ky) and round(kx) >= 1
    if whole and round(kx) == 1 and _integer(column) and _integer(row):
        return Placement(True, True, 1.0, round(row), round(column))
    # A coarser source nests when its edges are edges of the grid.
    nests = whole and _integer(column * kx) and _integer(row * ky)
    return Placement(False, nests and round(kx) > 1, math.sqrt(kx * ky))


def _integer(value: float) -> bool:
    return abs(value - round(value)) < ON_LATTICE


def _ratio_across(transform: rasterio.Affine, crs: str, grid: Grid) -> float:
    """Size of a source pixel in grid pixels where the CRS differ: by the areas of both at the grid's centre, so
    that it does not depend on how the one is turned against the other."""
    west, south, east, north = grid.bounds
    x, y = (west + east) / 2, (south + north) / 2
    (x0, x1, x2), (y0, y1, y2) = transform_points(
        [x, x + grid.resolution_x, x], [y, y, y + grid.resolution_y], grid.crs, crs
    )
    area_of_grid_pixel = abs((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0))
    return math.sqrt(abs(transform.determinant) / area_of_grid_pixel)


def resampling_for(place: Placement, classes: bool, choice: str | None = None) -> Resampling:
    """The method of the contract's default rule, or the user's `choice` (a name of GDAL's methods)."""
    if choice:
        return Resampling[choice]
    if place.ratio < FINER:
        return Resampling.mode if classes else Resampling.average
    return Resampling.nearest if classes or place.nests else Resampling.bilinear


class _Keys(Session):
    """Hands GDAL the settings of an address, keys included, for the thread that reads; without boto3."""

    def __init__(self, options: dict[str, str]) -> None:
        self._options = options

    def get_credential_options(self) -> dict[str, str]:
        return self._options


@contextmanager
def opened(href: str, access: Access | None = None) -> Iterator[rasterio.DatasetReader]:
    """Open a GeoTIFF or JPEG 2000 file, and nothing else: a remote "VRT" could name local files.

    Raises `SourceError`, naming the file without its query, when it cannot be opened, or read inside.
    """
    with _opened(access.address(href) if access else Address(href), href) as source:
        yield source


@contextmanager
def _opened(address: Address, href: str) -> Iterator[rasterio.DatasetReader]:
    driver = "JP2OpenJPEG" if href.split("?")[0].lower().endswith(".jp2") else "GTiff"
    try:
        with (
            rasterio.Env(session=_Keys(address.options), **GDAL_OPTIONS),
            rasterio.open(address.path, driver=driver, sharing=False) as source,
        ):
            yield source
    except RasterioError as error:
        reason = _shown(_whole_reason(error))[:200]
        if DENIED.search(reason) and not address.signed:
            reason += "; CATALOG_AUTH chooses the credentials"
        # Not from the error: whoever prints that prints the signature.
        message = f"The file {redacted(href)} cannot be read ({reason})."
        raise SourceError(message, lasting=LASTING.search(reason) is not None) from None


def _forget(address: Address) -> None:
    """Let the next attempt ask the server again: GDAL remembers for the whole process that a file could not be had,
    or the half of it that came, until it is opened and closed like this.

    rasterio.cache would do it too, but it holds Python's lock while it waits for GDAL's, which another thread may
    hold through a whole request; and outside of the settings of an address it does not know what /vsis3/ means.
    """
    briefly = {"GDAL_HTTP_MAX_RETRY": 0, "GDAL_HTTP_CONNECTTIMEOUT": 1, "GDAL_HTTP_TIMEOUT": 1}
    options = {**GDAL_OPTIONS, **briefly, "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/:/vsis3/"}
    if address.path.startswith("/vsi"):
        with suppress(RasterioError), rasterio.Env(session=_Keys(address.options), **options):
            rasterio.open(address.path, driver="GTiff", sharing=False).close()


def _whole_reason(error: BaseException | None) -> str:
    """The texts of an error and of what led to it: a failed block says why only there."""
    texts = []
    while error is not None:
        text = " ".join(str(error).split())
        if text and text not in texts:
            texts.append(text)
        error = error.__cause__
    return "; ".join(texts)


def crs_of(source: rasterio.DatasetReader, raster: Raster) -> str:
    """The CRS of an open file, else that of its metadata. Raises `SourceError` when there is neither."""
    crs = short_crs(source.crs.to_wkt()) if source.crs else raster.crs
    if crs is None:
        raise SourceError(
            f"The file {redacted(raster.href)} has no CRS, and its item names none.", lasting=True
        )
    return crs


def read_band(
    file: BandFile,
    grid: Grid,
    classes: bool,
    choice: str | None = None,
    access: Access | None = None,
    used: set[str] | None = None,
) -> np.ndarray:
    """One band of one file on the grid: (y, x), float32 DN with NaN, or uint8 classes with 0 for missing.

    `choice`: a method of resampling in place of the default. `used` gains the name of the method that was used.
    A file whose signature has expired is signed anew, once. Raises `SourceError`, naming the file, when it
    cannot be opened or read.
    """
    href = file.raster.href
    address = access.address(href) if access else Address(href)
    try:
        with _opened(address, href) as source:
            return _read(source, file, grid, classes, choice, used)
    except SourceError as error:
        _forget(address)
        # Beyond a file's first request GDAL does not tell that a signature was refused.
        if not address.signed or OTHERWISE.search(error.message):
            raise
    with _opened(access.address(href, refused=address), href) as source:
        return _read(source, file, grid, classes, choice, used)


def _read(source, file, grid, classes, choice, used):
    if source.transform.is_identity:
        # Also what is left of a file whose header came by halves: GDAL goes on without the tags that it lacks.
        raise SourceError(f"The file {redacted(file.raster.href)} does not say where it lies.")
    crs = crs_of(source, file.raster)
    place = placement(source.transform, crs, grid)
    missing = 0 if classes else math.nan
    numbers = np.dtype(source.dtypes[0]).kind in "ui"
    nodata = source.nodata
    if nodata is None and (numbers or file.raster.nodata is not None):
        nodata = file.nodata  # a 0 of a file of floats is a value, unless somebody says otherwise
    # A mask inside the file, beside or in place of a number for missing.
    masked = MaskFlags.per_dataset in source.mask_flag_enums[0]
    out = np.full(grid.shape, missing, dtype=np.uint8 if classes else np.float32)
    if not numbers and file.assumed:
        # Floats of which nobody says anything are values already: here as the DN that stand for them.
        as_dn = replace(file, assumed=False)
        values = _read(source, as_dn, grid, classes, choice, used)
        return ((values - file.offset) / file.scale).astype(np.float32)
    if place.copied:
        rows, columns, window = _overlap(source, place, grid)
        if window is not None:
            out[rows, columns] = _pixels(source, window, nodata, numbers, classes, masked)
        _note(used, "none, the lattices are equal")
        return out
    source_of, place_of = rasterio.band(source, 1), None
    if masked or (numbers and not classes and nodata not in (None, 0)):
        # GDAL knows one number for missing; 0 is missing in Sentinel-2 whatever else is.
        window = _window_below(source, crs, grid, place.ratio)
        if window is None:
            return out
        source_of = _pixels(source, window, nodata, numbers, classes, masked)
        place_of, nodata = source.window_transform(window), missing
    method = resampling_for(place, classes, choice)
    _note(used, method.name)
    reproject(
        source=source_of,
        destination=out,
        src_transform=place_of,
        src_crs=crs,
        src_nodata=nodata,
        dst_crs=grid.crs,
        dst_transform=grid.geobox.transform,
        dst_nodata=missing,
        resampling=method,
    )
    return out


def _note(used: set[str] | None, method: str) -> None:
    if used is not None:
        used.add(method)


def _pixels(source, window: Window, nodata, numbers: bool, classes: bool, masked: bool) -> np.ndarray:
    """The pixels of a window with what is missing as NaN, in classes as 0."""
    pixels = source.read(1, window=window)
    values = np.where(pixels == nodata, 0, pixels) if classes else _masked(pixels, nodata, numbers)
    if masked:
        values[source.read_masks(1, window=window) == 0] = 0 if classes else np.nan
    return values


def _window_below(source, crs: str, grid: Grid, ratio: float) -> Window | None:
    """The window of a file that the grid needs, with a margin for the kernel of the resampling; None if it is
    elsewhere."""
    xs, ys = transform_points(*outline(grid.bounds), grid.crs, crs)
    to_pixels = ~source.transform
    columns = to_pixels.a * xs + to_pixels.b * ys + to_pixels.c
    rows = to_pixels.d * xs + to_pixels.e * ys + to_pixels.f
    margin = 4 + math.ceil(2 / max(ratio, 0.01))
    left, right = (
        max(math.floor(columns.min()) - margin, 0),
        min(math.ceil(columns.max()) + margin, source.width),
    )
    top, bottom = max(math.floor(rows.min()) - margin, 0), min(math.ceil(rows.max()) + margin, source.height)
    if right <= left or bottom <= top:
        return None
    return Window(left, top, right - left, bottom - top)


def _masked(pixels: np.ndarray, nodata: float | None, numbers: bool) -> np.ndarray:
    """float32 with NaN where a pixel is the file's nodata, or 0 in a file of digital numbers."""
    values = pixels.astype(np.float32)
    if nodata is not None and not math.isnan(nodata):
        values[pixels == nodata] = np.nan
    if numbers:
        values[pixels == 0] = np.nan
    return values


def _overlap(source, place: Placement, grid: Grid) -> tuple[slice, slice, Window | None]:
    """The part of the grid that a file on its lattice covers, and where it lies in the file."""
    top, left = max(place.row, 0), max(place.column, 0)
    bottom = min(place.row + grid.height, source.height)
    right = min(place.column + grid.width, source.width)
    if bottom <= top or right <= left:
        return slice(0), slice(0), None
    rows = slice(top - place.row, bottom - place.row)
    columns = slice(left - place.column, right - place.column)
    return rows, columns, Window(left, top, right - left, bottom - top)
