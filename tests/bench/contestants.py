"""One contestant of `load.py`, once, in a process of its own: nothing is cached from an earlier run.

    python contestants.py NAME

reads the job as a line of JSON, imports all it needs, says "ready", waits for a line, and does the job. Then it
says how many seconds and CPU seconds that took, how much memory the process had in its greatest moment, and
where the values are.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import resource
import socket
import struct
import sys
import tempfile
import threading
import time
import types
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
Values = dict[str, np.ndarray]
# What runs, and what makes (band -> DN by date, y, x) of what it returned.
Contestant = tuple[Callable[[], Any], Callable[[Any], Values]]


def ours(job: dict[str, Any]) -> Contestant:
    """The job of the plugin, from the search to the finished file."""
    spec = importlib.util.spec_from_file_location(
        "minicuber", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    sys.modules["minicuber"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["minicuber"])
    import h5netcdf
    from minicuber.core import build  # noqa: F401  (the job imports it at its first call)
    from minicuber.core.jobs import run_job
    from minicuber.core.progress import Progress

    west, south, east, north = job["bounds"]
    recipe = {
        "extent": [west, east, south, north],
        "extent_crs": job["crs"],
        "crs": job["crs"],
        "start": job["start"],
        "end": job["end"],
        "catalog": job["catalog"],
        "s2_bands": job["bands"],
    }
    output = str(Path(job["folder"]) / "ours.nc")

    def run() -> None:
        run_job("buildminicube", {"recipe": recipe, "output": output}, Progress())

    def values(_: None) -> Values:
        found = {}
        with h5netcdf.File(output) as cube:
            for band in job["bands"]:
                stored = cube[f"s2_{band}"][...]
                # On disk 1e-4, as DN; without the offset of these scenes' baseline.
                found[band] = stored if stored.dtype == np.uint8 else stored.astype(np.int32) + 1000
        return found

    return run, values


def floor(job: dict[str, Any]) -> Contestant:
    """Nothing but what must be: the search, of each file its header and the needed tiles, inflated, cut out."""
    import pystac_client

    inflate = _inflate()

    def run() -> Values:
        items = list(_search(pystac_client, job).items_as_dicts())
        items.sort(key=lambda item: item["properties"]["datetime"])
        tasks = [
            (item["assets"][band]["href"], band, n) for band in job["bands"] for n, item in enumerate(items)
        ]
        found: dict[str, list] = {band: [None] * len(items) for band in job["bands"]}
        local = threading.local()

        def read(task: tuple[str, str, int]) -> None:
            url, band, number = task
            found[band][number] = _window(_http(local, url), urlsplit(url).path, job["bounds"], inflate)

        with ThreadPoolExecutor(job["threads"]) as pool:
            list(pool.map(read, tasks))
        return {band: np.stack(images) for band, images in found.items()}

    def values(found: Values) -> Values:
        size = max(images.shape[-1] for images in found.values())
        return {band: _enlarged(images, size // images.shape[-1]) for band, images in found.items()}

    return run, values


def ceiling(job: dict[str, Any]) -> Contestant:
    """The requests of the floor, with nothing done to what comes: what the server can give."""
    import pystac_client

    items = list(_search(pystac_client, job).items_as_dicts())
    urls = [item["assets"][band]["href"] for band in job["bands"] for item in items]
    local = threading.local()

    def read(url: str) -> None:
        _window(_http(local, url), urlsplit(url).path, job["bounds"], None)

    def run() -> Values:
        with ThreadPoolExecutor(job["threads"]) as pool:
            list(pool.map(read, urls))
        return {}

    return run, lambda found: found


class _Http:
    """One connection that stays open, and gets ranges of bytes."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.netloc
        self._socket = socket.create_connection((parts.hostname, parts.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, path: str, start: int, stop: int) -> memoryview:
        head = f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\nRange: bytes={start}-{stop - 1}\r\n\r\n"
        self._socket.sendall(head.encode())
        first = b""
        while b"\r\n\r\n" not in first:
            got = self._socket.recv(65536)
            if not got:
                raise OSError("the connection was lost")
            first += got
        head, _, begin = first.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 206"):
            raise OSError(head.split(b"\r\n")[0].decode())
        length = int(re.search(rb"\ncontent-length: *(\d+)", head, re.IGNORECASE)[1])
        body = memoryview(bytearray(length))
        body[: len(begin)] = begin
        at = len(begin)
        while at < length:
            at += self._socket.recv_into(body[at:])
        return body


def _http(local: threading.local, url: str) -> _Http:
    """The connection of this thread."""
    if not hasattr(local, "http"):
        local.http = _Http(url)
    return local.http


def _inflate() -> Callable[[memoryview, int], bytes]:
    """The fastest there is: libdeflate, where imagecodecs is installed."""
    try:
        from imagecodecs import deflate_decode
    except ImportError:
        return lambda data, size: zlib.decompress(data, bufsize=size)
    return lambda data, size: deflate_decode(data, out=size)


def _window(http: _Http, path: str, bounds: list[float], inflate: Callable | None) -> np.ndarray | None:
    """The pixels of a file of deflated tiles below `bounds`; None without `inflate`."""
    head = http.get(path, 0, 16384)
    tags = {}
    (directory,) = struct.unpack_from("<I", head, 4)
    for n in range(struct.unpack_from("<H", head, directory)[0]):
        entry = directory + 2 + 12 * n
        tag, kind, number, value = struct.unpack_from("<HHII", head, entry)
        code = {3: "H", 4: "I", 12: "d"}.get(kind)
        if code:
            at = entry + 8 if number * struct.calcsize(code) <= 4 else value
            tags[tag] = struct.unpack_from(f"<{number}{code}", head, at)
    size, (width, bits) = tags[33550][0], (tags[256][0], tags[258][0])
    tile, (west, north) = tags[322][0], tags[33922][3:5]
    left, right = (round((x - west) / size) for x in (bounds[0], bounds[2]))
    top, bottom = (round((north - y) / size) for y in (bounds[3], bounds[1]))
    across = -(-width // tile)
    out = np.empty((bottom - top, right - left), f"<u{bits // 8}")
    for row in range(top // tile, (bottom - 1) // tile + 1):
        columns = range(left // tile, (right - 1) // tile + 1)
        offsets = [tags[324][row * across + column] for column in columns]
        counts = [tags[325][row * across + column] for column in columns]
        # Tiles side by side follow each other in the file: one request.
        data = http.get(path, offsets[0], offsets[-1] + counts[-1])
        if inflate is None:
            continue
        for column, offset, count in zip(columns, offsets, counts, strict=True):
            begin = offset - offsets[0]
            pixels = np.frombuffer(inflate(data[begin : begin + count], tile * tile * bits // 8), out.dtype)
            pixels = pixels.reshape(tile, tile)
            y, x = row * tile, column * tile
            rows = slice(max(top - y, 0), min(bottom - y, tile))
            cols = slice(max(left - x, 0), min(right - x, tile))
            part = pixels[rows, : cols.stop]
            if tags.get(317, (1,))[0] == 2:
                part = np.add.accumulate(part, axis=1, dtype=out.dtype)
            out[rows.start + y - top : rows.stop + y - top, cols.start + x - left : cols.stop + x - left] = (
                part[:, cols.start :]
            )
    return out if inflate else None


def _enlarged(images: np.ndarray, factor: int) -> np.ndarray:
    return images.repeat(factor, axis=1).repeat(factor, axis=2)


def _search(pystac_client: Any, job: dict[str, Any]) -> Any:
    return pystac_client.Client.open(job["catalog"]).search(
        collections=[job["collection"]],
        bbox=job["lonlat"],
        datetime=f"{job['start']}T00:00:00Z/{job['end']}T23:59:59Z",
        limit=200,
    )


def odc_stac(job: dict[str, Any]) -> Contestant:
    """odc-stac as its manual has it for files on the web, and with GDAL's settings that help it."""
    import odc.stac
    import pystac_client
    import rasterio  # noqa: F401
    from odc.geo.geobox import GeoBox

    odc.stac.configure_rio(
        cloud_defaults=True,
        GDAL_INGESTED_BYTES_AT_OPEN=32768,
        GDAL_HTTP_MULTIPLEX="YES",
        GDAL_HTTP_MERGE_CONSECUTIVE_RANGES="YES",
        VSI_CACHE=True,
    )
    numbers = {"*": {"data_type": "uint16", "nodata": 0}, "SCL": {"data_type": "uint8", "nodata": 0}}

    def run() -> Any:
        return odc.stac.load(
            _search(pystac_client, job).items(),
            bands=job["bands"],
            geobox=GeoBox.from_bbox(job["bounds"], job["crs"], resolution=10),
            resampling={"SCL": "nearest"},
            groupby="solar_day",
            pool=job["threads"],
            stac_cfg={job["collection"]: {"assets": numbers}},
        )

    return run, lambda cube: {band: cube[band].values for band in job["bands"]}


def earthnet(job: dict[str, Any]) -> Contestant:
    """earthnet-minicuber's own way from the search to its NetCDF file, its catalog's address replaced.

    Its cube lies on a grid in degrees, interpolated. Without its cloud mask and BRDF, which we do not make.
    """
    for name in ("torch", "torch.utils", "torch.utils.model_zoo", "segmentation_models_pytorch", "odc.algo"):
        sys.modules[name] = types.ModuleType(name)  # imported by it, and not used for this
    sys.modules["torch.utils.model_zoo"].load_url = None
    import pystac_client
    import stackstac
    import xarray as xr
    from earthnet_minicuber import Minicuber

    # Newer than it, but nothing older runs with numpy 2: no scales, as ever.
    stackstac.stack = functools.partial(stackstac.stack, rescale=False, fill_value=np.float32("nan"))
    open_client = pystac_client.Client.open
    pystac_client.Client.open = lambda url, *args, **kwargs: open_client(job["catalog"], *args, **kwargs)
    west, south, east, north = job["lonlat"]
    own = {"best_orbit_filter": False, "brdf_correction": False, "cloud_mask": False}
    specs = {
        "lon_lat": ((west + east) / 2, (south + north) / 2),
        "xy_shape": (job["size"], job["size"]),
        "resolution": 10,
        "time_interval": f"{job['start']}/{job['end']}",
        "providers": [{"name": "s2", "kwargs": {"bands": job["bands"], **own}}],
    }
    output = str(Path(job["folder"]) / "earthnet.nc")

    def run() -> None:
        Minicuber.save_minicube(specs, output, verbose=False)

    def values(_: None) -> Values:
        with xr.open_dataset(output) as cube:
            found = {band: cube[f"s2_{band}"].values for band in job["bands"]}
        return {band: each if band == "SCL" else each * 1e4 + 1000 for band, each in found.items()}

    return run, values


CONTESTANTS = {
    "ours": ours,
    "floor": floor,
    "ceiling": ceiling,
    "odc-stac": odc_stac,
    "earthnet-minicuber": earthnet,
}


def _peak() -> float:
    """The most memory that this process ever had (10^6 bytes), its parent's share not counted."""
    status = Path("/proc/self/status")
    if status.exists():
        # ru_maxrss would begin with that of the process that started this one.
        return int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    job = json.loads(sys.stdin.readline())
    run, values = CONTESTANTS[sys.argv[1]](job)
    at_first = _peak()
    print("ready", file=answers, flush=True)
    sys.stdin.readline()
    start, before = time.perf_counter(), time.process_time()
    found = run()
    seconds, cpu = time.perf_counter() - start, time.process_time() - before
    # The values are no part of what is measured; the server's counts are read before they are asked for.
    told = {"seconds": seconds, "cpu": cpu, "at_first": at_first, "peak": _peak()}
    print(json.dumps(told), file=answers, flush=True)
    sys.stdin.readline()
    handle, name = tempfile.mkstemp(suffix=".npz", dir=job["folder"])
    os.close(handle)
    np.savez(name, **values(found))
    print(json.dumps({"values": name}), file=answers, flush=True)


if __name__ == "__main__":
    main()
