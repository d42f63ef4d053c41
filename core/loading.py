"""Reads single bands of single files onto the grid, exactly.

Numbers stay digital numbers (DN) here, as float32 with NaN for missing (uint16 is exact in it); classes
stay uint8. `placement` says how; overviews are never read in place of pixels.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np
import rasterio
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.session import Session
from rasterio.warp import reproject
from rasterio.windows import Window

from .catalogs.access import Access, Address
from .catalogs.items import Raster
from .catalogs.ranges import NoRangesError, RangeError
from .errors import SourceError
from .excerpt import Header, MaskedError, NotPlainError, excerpt
from .grid import Grid, short_crs
from .placement import enlarged, overlap, placement, resampling_for, window_below
from .secrets import keep_from_log, redacted, without_queries
from .sources.sentinel2 import BandFile

log = logging.getLogger(__name__)

GDAL_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_INGESTED_BYTES_AT_OPEN": 32768,
    "GDAL_HTTP_MULTIPLEX": "YES",
    "GDAL_HTTP_VERSION": 2,
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MAX_RETRY": 2,
    "GDAL_HTTP_RETRY_DELAY": 0.5,
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_TIMEOUT": 60,
    "GDAL_HTTP_LOW_SPEED_LIMIT": 100,  # bytes per second; a transfer that is slower
    "GDAL_HTTP_LOW_SPEED_TIME": 20,  # for so many seconds has stalled
    "VSI_CACHE": True,
}
keep_from_log("rasterio._env", "rasterio._err")
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
    driver = "JP2OpenJPEG" if _is_jp2(href) else "GTiff"
    try:
        with (
            rasterio.Env(session=_Keys(address.options), **GDAL_OPTIONS),
            rasterio.open(address.path, driver=driver, sharing=False) as source,
        ):
            yield source
    except RasterioError as error:
        # Not from the error: whoever prints that prints the signature.
        raise _failure(href, _whole_reason(error), address) from None


def _is_jp2(href: str) -> bool:
    return href.split("?")[0].lower().endswith(".jp2")


def _failure(href: str, why: str, address: Address, known: bool = False) -> SourceError:
    """`known`: `why` tells the reason; beyond a file's first request GDAL does not tell of a refusal."""
    reason = without_queries(why)[:200]
    if DENIED.search(reason) and not address.signed:
        reason += "; CATALOG_AUTH chooses the credentials"
    return SourceError(
        f"The file {redacted(href)} cannot be read ({reason}).",
        lasting=LASTING.search(reason) is not None,
        refused=bool(DENIED.search(reason)) or not (known or OTHERWISE.search(reason)),
    )


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
    how = file, grid, classes, choice, used
    address = access.address(href) if access else Address(href)
    try:
        return _read_at(address, access, *how)
    except SourceError as error:
        _forget(address)
        if not (address.signed and error.refused):
            raise
    return _read_at(access.address(href, refused=address), access, *how)


def _read_at(
    address: Address, access: Access | None, file: BandFile, grid, classes, choice, used
) -> np.ndarray:
    """Of a file on a web server the tiles that are needed, where that can be; else the file, as GDAL opens it."""
    href = file.raster.href
    masked = False
    if access and address.url and not _is_jp2(href):
        try:
            return _read_excerpt(address, access, file, grid, classes, choice, used)
        except MaskedError:
            masked = True
        except (NotPlainError, NoRangesError) as why:
            log.debug("%s is left to GDAL: %s", redacted(href), why)
    with _opened(address, href) as source:
        if masked and MaskFlags.per_dataset not in source.mask_flag_enums[0]:
            # GDAL goes on without the directory of a mask that it cannot get.
            raise SourceError(f"The mask of the file {redacted(href)} cannot be read.")
        return _read(source, crs_of(source, file.raster), file, grid, classes, choice, used)


def _read_excerpt(address, access, file, grid, classes, choice, used) -> np.ndarray:
    href = file.raster.href

    def window_of(header: Header) -> Window | None:
        place = placement(header.transform, header.crs, grid)
        method = resampling_for(place, classes, choice)
        if place.copied or (place.nests and method is Resampling.nearest):
            return overlap(header, place, grid)[2]
        return window_below(header, header.crs, grid, place.ratio, method)

    try:
        header, data = excerpt(access.ranges, address, window_of)
    except RangeError as error:
        raise _failure(href, str(error), address, known=True) from None
    if data is None:
        return np.zeros(grid.shape, np.uint8) if classes else np.full(grid.shape, np.nan, np.float32)
    try:
        with MemoryFile(data) as memory, memory.open(driver="GTiff", sharing=False) as source:
            return _read(source, header.crs, file, grid, classes, choice, used)
    except RasterioError as error:
        raise _failure(href, _whole_reason(error), address, known=True) from None


def _read(source, crs, file, grid, classes, choice, used):
    if source.transform.is_identity:
        # Also what is left of a file whose header came by halves: GDAL goes on without the tags that it lacks.
        raise SourceError(f"The file {redacted(file.raster.href)} does not say where it lies.")
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
        values = _read(source, crs, as_dn, grid, classes, choice, used)
        return ((values - file.offset) / file.scale).astype(np.float32)
    method = resampling_for(place, classes, choice)
    _note(used, "none, the lattices are equal" if place.copied else method.name)
    if place.copied or (place.nests and method is Resampling.nearest):
        rows, columns, window = overlap(source, place, grid)
        if window is not None:
            pixels = _pixels(source, window, nodata, numbers, classes, masked)
            out[rows, columns] = enlarged(pixels, place, rows, columns)
        return out
    source_of, place_of = rasterio.band(source, 1), None
    if masked or (numbers and not classes and nodata not in (None, 0)):
        # GDAL knows one number for missing; 0 is missing in Sentinel-2 whatever else is.
        window = window_below(source, crs, grid, place.ratio, method)
        if window is None:
            return out
        source_of = _pixels(source, window, nodata, numbers, classes, masked)
        place_of, nodata = source.window_transform(window), missing
    elif source.crs is None:
        # GDAL would not believe us where an open file lies.
        source_of, place_of = source.read(1), source.transform
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


def _masked(pixels: np.ndarray, nodata: float | None, numbers: bool) -> np.ndarray:
    """float32 with NaN where a pixel is the file's nodata, or 0 in a file of digital numbers."""
    values = pixels.astype(np.float32)
    if nodata is not None and not math.isnan(nodata):
        values[pixels == nodata] = np.nan
    if numbers:
        values[pixels == 0] = np.nan
    return values
