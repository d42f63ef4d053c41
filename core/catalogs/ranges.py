"""Ranges of bytes of files on web servers, over connections that stay open.

The proxy, the certificate authorities and the pauses between attempts are those of `http`; credentials stay with
the origin that they were made for.
"""

from __future__ import annotations

import re
import threading
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import requote_uri

from ..secrets import keep_from_log
from .http import RETRIES, new_session, origin

keep_from_log("urllib3.connectionpool", "urllib3.util.retry")

MOST = 32  # connections to one server that stay open
# Seconds to connect, and until the next bytes come: a transfer that stands still longer has stalled.
TIMEOUT = urllib3.Timeout(connect=10, read=20)
# Few: whoever asks does so again, with pauses that a cancel ends. An answer that stays bad is looked at here.
ATTEMPTS = RETRIES.new(total=2, raise_on_status=False)
REDIRECTS = (301, 302, 303, 307, 308)
MOST_REDIRECTS = 5


class NoRangesError(Exception):
    """A server that answers with the whole file."""


class RangeError(Exception):
    """Bytes that could not be had; `status`: of the answer, None when there was none."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class Ranges:
    """Thread-safe."""

    def __init__(self) -> None:
        self._session = new_session()
        self._pools: dict[tuple[str, str], tuple[urllib3.HTTPConnectionPool, bool]] = {}
        self._without: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def get(self, url: str, headers: dict[str, str], start: int, stop: int) -> bytes:
        """The bytes from `start` up to and without `stop`, fewer where the file ends before.

        `headers`: sent to the origin of `url` alone. Raises `NoRangesError`, `RangeError`.
        """
        if origin(url) in self._without:
            raise NoRangesError(url)
        here, asked = url, {**headers, "Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        try:
            for _ in range(MOST_REDIRECTS + 1):
                answer = self._ask(here, asked)
                if answer.status not in REDIRECTS:
                    break
                answer.drain_conn()
                answer.release_conn()
                there = urljoin(here, answer.headers.get("Location", ""))
                if urlsplit(there).scheme not in ("http", "https"):
                    raise RangeError("it leads off the network")
                if origin(there) != origin(url):
                    asked = {name: value for name, value in asked.items() if name not in headers}
                here = there
            return self._body(answer, url, start, stop)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise RangeError(_words(error)) from error

    def _body(self, answer: urllib3.BaseHTTPResponse, url: str, start: int, stop: int) -> bytes:
        if (
            answer.status == 200
            and start == 0
            and int(answer.headers.get("Content-Length", stop + 1)) <= stop
        ):
            return answer.data  # the whole file is not more than what was asked for
        if answer.status != 206:
            answer.close()  # not read: it may be the whole file
            if answer.status == 200:
                with self._lock:
                    self._without.add(origin(url))
                raise NoRangesError(url)
            raise RangeError(f"HTTP response code: {answer.status}", answer.status)
        said = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", answer.headers.get("Content-Range", ""))
        first, last = (int(said[1]), int(said[2])) if said else (-1, -1)
        if first != start or not start <= last < stop:
            answer.close()
            raise RangeError("the server sent other bytes than it was asked for")
        data = answer.read(stop - start + 1)
        if len(data) != last - start + 1:
            answer.close()
            raise RangeError("the connection was lost")
        answer.release_conn()
        return data

    def _ask(self, url: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        pool, absolute = self._pool(url)
        parts = urlsplit(requote_uri(url))
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        target = f"{parts.scheme}://{parts.netloc}{path}" if absolute else path
        return pool.urlopen(
            "GET",
            target,
            headers={**self._session.headers, **headers},
            redirect=False,
            assert_same_host=False,
            retries=ATTEMPTS,
            timeout=TIMEOUT,
            preload_content=False,
            decode_content=False,
        )

    def _pool(self, url: str) -> tuple[urllib3.HTTPConnectionPool, bool]:
        """The connections to a server, and whether they want the whole address: those of a proxy do."""
        key = origin(url)
        with self._lock:
            if key not in self._pools:
                adapter = HTTPAdapter(pool_connections=MOST, pool_maxsize=MOST)
                request = requests.Request("GET", url).prepare()
                settings = self._session.merge_environment_settings(request.url, {}, False, None, None)
                pool = adapter.get_connection_with_tls_context(
                    request, settings["verify"], proxies=settings["proxies"], cert=settings["cert"]
                )
                absolute = adapter.request_url(request, settings["proxies"]) != request.path_url
                self._pools[key] = pool, absolute
            return self._pools[key]


def _words(error: BaseException) -> str:
    """Why there was no answer, without addresses."""
    cause = getattr(error, "reason", None) or error
    if isinstance(cause, (urllib3.exceptions.TimeoutError, TimeoutError)) and not isinstance(
        cause, urllib3.exceptions.NewConnectionError
    ):
        return "time-out"
    if isinstance(cause, urllib3.exceptions.SSLError):
        return "its certificate is not trusted"
    if isinstance(cause, (urllib3.exceptions.ProtocolError, ConnectionError)):
        return "the connection was lost"
    return "no connection"
