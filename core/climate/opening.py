"""Opens stores of climate data, whatever they are: Zarr 2 and 3, NetCDF, Icechunk; on disk, on the web, on S3.

Only metadata are read here. Secrets stay in the file systems that this makes: they go to the server that they
belong to, and into no text.
"""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import fsspec
import fsspec.asyn
import h5py
import xarray as xr
from fsspec.implementations.http import HTTPFileSystem
from zarr.storage import FsspecStore

from ..catalogs.access import Access
from ..catalogs.entries import S3, ClimateStore
from ..catalogs.http import origin
from ..errors import InputError, MinicuberError
from ..secrets import keep_from_log, redacted
from .cells import LATITUDES, LONGITUDES
from .chunks import ChunkCache, PatientStore
from .faults import explained, patiently
from .login import Login
from .variables import VARIABLES

keep_from_log("fsspec", "fsspec.http", "aiohttp.client", "s3fs")

ANSWER = 60  # seconds for a server to answer
BLOCK = 1_000_000  # bytes; what a NetCDF file on a server is read by
_MARKS = (".zgroup", ".zmetadata", ".zattrs", "zarr.json")
_NETCDF = (".nc", ".nc4", ".cdf")
TIMES = ("time", "valid_time", "time0", "time1")
_BOTH = {"decode_timedelta": False, "chunks": None}


class _SignedWeb(HTTPFileSystem):
    """Adds a signature to every address; `_token` changes when it has expired."""

    cachable = False

    def __init__(self, *args: Any, token: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._token = token

    def encode_url(self, url: str) -> Any:
        return super().encode_url(f"{url}?{self._token(url)}" if self._token else url)


class Opener:
    """Opens the files of one store of the registry, or of a path or URL that it does not know.

    `login`: of the user, for the store's own server. `access`: signs addresses. Thread-safe.
    """

    def __init__(self, entry: ClimateStore, login: Login, access: Access, cache: ChunkCache) -> None:
        self._entry, self._login, self._access, self._cache = entry, login, access, cache
        self.remote: list[PatientStore] = []
        self._opened: list[xr.Dataset] = []
        self._webs: dict[tuple[bool, bool], _SignedWeb] = {}
        self._lock = threading.Lock()

    @property
    def fetched(self) -> int:
        """Bytes of chunks and metadata that came from servers, of Zarr stores."""
        return sum(store.fetched for store in self.remote)

    def distrust(self) -> bool:
        """Ask the servers again for what was kept of them: a damaged answer may be among it. Whether there is any."""
        for store in self.remote:
            store.distrusts = True
        return bool(self.remote)

    def files(self, url: str) -> list[str]:
        """The NetCDF files of a folder on disk, which belong together; of anything else itself. Raises `InputError`."""
        path = Path(url)
        if "://" in url or not path.is_dir() or _is_icechunk(path) or self._entry.format == "icechunk":
            return [url]
        if any((path / mark).exists() for mark in _MARKS):
            return [url]
        files = sorted(str(each) for each in path.iterdir() if each.suffix.lower() in _NETCDF)
        if not files:
            raise InputError(
                f"ERA5_SOURCE is a folder without a Zarr store and without NetCDF files: {path}.",
                "Choose the folder of the store itself, or one with NetCDF files in it.",
            )
        return files

    def open(self, url: str) -> xr.Dataset:
        """The dataset at a path or URL, not read yet. Raises `SourceError`, `InputError`."""
        try:
            dataset = self._dataset(url)
        except MinicuberError:
            raise
        except Exception as error:
            raise explained(error, url) from error
        self._opened.append(dataset)
        return dataset

    def _dataset(self, url: str) -> xr.Dataset:
        if self._entry.format == "icechunk" or ("://" not in url and _is_icechunk(Path(url))):
            return self._icechunk(url)
        if "://" not in url:
            return _local(Path(url), self._entry.group)
        if self._entry.format == "netcdf" or urlsplit(url).path.lower().endswith(_NETCDF):
            return patiently(lambda: self._remote_netcdf(url))
        return self._remote_zarr(url)

    def _remote_zarr(self, url: str) -> xr.Dataset:
        system, path = self._system(url, asynchronous=True)
        inner = FsspecStore(system, read_only=True, path=path)
        s3 = self._entry.s3 or S3()  # one bucket's name may be another store's elsewhere
        store = PatientStore(inner, f"{s3.endpoint} {redacted(url)}".strip(), self._cache, self._names())
        self.remote.append(store)
        group = self._entry.group or None
        try:
            return xr.open_zarr(store, group=group, consolidated=True, **_BOTH)
        except (ValueError, KeyError, FileNotFoundError):
            # Without a list of what there is it is listed, and where that cannot be, asked for by name.
            return xr.open_zarr(store, group=group, consolidated=False, **_BOTH)

    def _names(self) -> tuple[str, ...]:
        """What arrays of a store may be called."""
        ours = self._entry.variables.values() or (
            name for each in VARIABLES.values() for name in each.known_as
        )
        return (
            *dict.fromkeys(ours),
            *LATITUDES,
            *LONGITUDES,
            *TIMES,
            *(f"{each}_bounds" for each in TIMES),
            "expver",
        )

    def _remote_netcdf(self, url: str) -> xr.Dataset:
        system, path = self._system(url, asynchronous=False)
        file = system.open(path, "rb", block_size=BLOCK, cache_type="blockcache")
        fetch = file.cache.fetcher
        file.cache.fetcher = lambda start, end: patiently(lambda: fetch(start, end))
        name = Path(urlsplit(url).path).name
        engine = _engine(file.read(4), name)
        file.seek(0)
        if engine == "h5netcdf":
            _refuse_other_files(file, name)
            file.seek(0)
        return xr.open_dataset(file, engine=engine, group=self._entry.group or None, decode_timedelta=False)

    def _icechunk(self, url: str) -> xr.Dataset:
        import icechunk  # of the many stores only one needs it

        parts = urlsplit(url)
        if parts.scheme == "s3":
            options: dict[str, Any] = {"bucket": parts.netloc, "prefix": parts.path.strip("/")}
            s3 = self._entry.s3 or S3()
            options["region"] = s3.region or None
            if s3.endpoint:
                options |= {
                    "endpoint_url": s3.endpoint,
                    "allow_http": s3.endpoint.startswith("http:"),
                    "force_path_style": not s3.virtual_hosting,
                }
            keys = self._login.keys()
            options |= (
                {"access_key_id": keys["key"], "secret_access_key": keys["secret"]}
                if keys
                else {"anonymous": True}
            )
            storage = icechunk.s3_storage(**options)
        elif parts.scheme in ("http", "https"):
            if not hasattr(icechunk, "http_storage"):
                raise InputError(
                    "Icechunk stores on web servers need Python 3.12 or newer in Minicuber's environment.",
                    "Set the environment up again with a newer Python, or use S3.",
                )
            storage = icechunk.http_storage(url)
        else:
            if not Path(url).exists():
                raise FileNotFoundError(url)
            storage = icechunk.local_filesystem_storage(url)
        session = icechunk.Repository.open(storage).readonly_session("main")
        return xr.open_zarr(session.store, group=self._entry.group or None, consolidated=False, **_BOTH)

    def _system(self, url: str, asynchronous: bool) -> tuple[Any, str]:
        """The file system for a URL, and what it calls the URL."""
        parts = urlsplit(url)
        shared = {"asynchronous": asynchronous, "skip_instance_cache": True}
        if parts.scheme == "s3":
            s3, keys = self._entry.s3 or S3(), self._login.keys()
            config = {"retries": {"max_attempts": 5, "mode": "standard"}, "read_timeout": ANSWER}
            if s3.endpoint and not s3.virtual_hosting:
                config["s3"] = {"addressing_style": "path"}
            system = fsspec.filesystem(
                "s3",
                anon=not keys,
                **keys,
                endpoint_url=s3.endpoint or None,
                client_kwargs={"region_name": s3.region} if s3.region else {},
                config_kwargs=config,
                requester_pays=s3.requester_pays,
                **shared,
            )
            return system, f"{parts.netloc}{parts.path}"
        if parts.scheme not in ("http", "https"):
            raise InputError(
                f"ERA5_SOURCE has an address of an unknown kind: {redacted(url)}.",
                "Use s3, http, https or a path.",
            )
        return self._web(self._is_ours(url), asynchronous), url

    def _web(self, ours: bool, asynchronous: bool) -> _SignedWeb:
        """One file system, with connections that stay open, for all addresses of the store's own server."""
        with self._lock:
            if (ours, asynchronous) not in self._webs:
                token = self._access.query_of if self._entry.auth == "signed" else None
                # What signs an address is all that its server wants to know.
                headers = self._login.headers() if ours and not token else {}
                client: dict[str, Any] = {
                    "headers": headers,
                    "timeout": aiohttp.ClientTimeout(sock_connect=10, sock_read=ANSWER),
                }
                parts = urlsplit(self._entry.url)
                if not headers:
                    client["trust_env"] = True  # proxies; and logins of a .netrc, which clash with headers
                elif not proxy_bypass(parts.hostname or ""):
                    client["proxy"] = getproxies().get(parts.scheme)
                self._webs[ours, asynchronous] = _SignedWeb(
                    client_kwargs=client,
                    token=token,
                    encoded=True,
                    asynchronous=asynchronous,
                    skip_instance_cache=True,
                )
            return self._webs[ours, asynchronous]

    def close(self) -> None:
        """Let connections and files go."""
        for dataset in self._opened:
            dataset.close()
        for web in self._webs.values():
            session = getattr(web, "_session", None)
            if session is not None and not session.closed:
                with contextlib.suppress(RuntimeError, TimeoutError, OSError):  # nobody waits for it any more
                    fsspec.asyn.sync(session._loop, session.close, timeout=2)

    def _is_ours(self, url: str) -> bool:
        return origin(url) in {origin(each) for each in (self._entry.url, *self._entry.urls.values())}


def _is_icechunk(path: Path) -> bool:
    """Whether a folder is an Icechunk repository, of format 1 or 2."""
    return (path / "snapshots").is_dir() and ((path / "refs").is_dir() or (path / "repo").is_file())


def _local(path: Path, group: str) -> xr.Dataset:
    if path.is_dir():
        listed = (path / group / ".zmetadata").exists() or (path / ".zmetadata").exists() or None
        return xr.open_zarr(path, group=group or None, consolidated=listed or False, **_BOTH)
    with open(path, "rb") as file:
        start = file.read(4)
    engine = _engine(start, path.name)
    if engine == "h5netcdf":
        _refuse_other_files(path, path.name)
    return xr.open_dataset(path, engine=engine, group=group or None, decode_timedelta=False)


def _refuse_other_files(file: Any, name: str) -> None:
    """Raises `InputError` for an HDF5 file whose values lie in other files: those would be read from this machine."""

    def is_elsewhere(group: h5py.Group) -> bool:
        for key in group:
            link = group.get(key, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                return True
            if isinstance(link, h5py.SoftLink):
                continue
            member = group[key]
            if isinstance(member, h5py.Group):
                if is_elsewhere(member):
                    return True
            elif isinstance(member, h5py.Dataset) and (member.external or member.is_virtual):
                return True
        return False

    with h5py.File(file, "r") as opened:
        if is_elsewhere(opened):
            raise InputError(
                f"{name} keeps its values in other files.", "Give a file that holds them itself."
            )


def _engine(start: bytes, name: str = "The file") -> str:
    """Which engine of xarray reads a file that begins so."""
    if start.startswith(b"CDF"):
        return "scipy"
    if start.startswith(b"\x89HDF"):
        return "h5netcdf"
    kind = "GRIB" if start.startswith(b"GRIB") else "neither NetCDF nor Zarr"
    raise InputError(
        f"{name} is {kind}, which is not read as climate data.",
        "Convert it to NetCDF, or download it as NetCDF.",
    )
