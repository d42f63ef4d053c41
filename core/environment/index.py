"""Reads files from a package index with the proxies, certificates and password of an environment."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Optional
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from ..errors import EnvironmentProblem
from ..progress import Progress

DEFAULT_INDEX = "https://pypi.org/simple"
LARGEST = 200_000_000
_JSON = "application/vnd.pypi.simple.v1+json"


class Index:
    """Reads from a package index with the proxies, certificates and password of an environment."""

    def __init__(self, index: str, environ: Mapping[str, str]) -> None:
        parts = urlsplit(index)
        if parts.scheme not in ("http", "https"):
            raise EnvironmentProblem(
                "uv can only be fetched from a package index at an http or https address.",
                "Install uv or Python 3.11 to 3.14 yourself.",
            )
        self.index = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
        self.host = parts.netloc.rpartition("@")[2]
        self.login = ""
        if parts.username:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self.login = "Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii")
        lower = {name.lower(): value for name, value in environ.items() if value}
        proxies = {
            scheme: lower[f"{scheme}_proxy"] for scheme in ("http", "https") if f"{scheme}_proxy" in lower
        }
        if not proxies and "all_proxy" in lower:
            proxies = dict.fromkeys(("http", "https"), lower["all_proxy"])
        self.proxies = proxies or {k: v for k, v in urllib.request.getproxies().items() if k != "no"}
        self.no_proxy = lower.get("no_proxy", "")
        self.context = ssl.create_default_context()
        for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            bundle = environ.get(name)
            if bundle:
                try:
                    is_folder = os.path.isdir(bundle)
                    self.context.load_verify_locations(
                        None if is_folder else bundle, bundle if is_folder else None
                    )
                except OSError as error:
                    raise EnvironmentProblem(
                        f"The file of certificate authorities {bundle} cannot be read.", f"Correct {name}."
                    ) from error
                break

    def open(self, url: str, accept: str = "*/*"):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise EnvironmentProblem(
                "The package index names a file at an address that is not http or https."
            )
        request = urllib.request.Request(url, headers={"Accept": accept, "User-Agent": "minicuber"})
        if self.login and parts.netloc == self.host:
            # Unredirected: another host must not get the password.
            request.add_unredirected_header("Authorization", self.login)
        bypass = urllib.request.proxy_bypass_environment(parts.netloc, {"no": self.no_proxy})
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({} if bypass else self.proxies),
            urllib.request.HTTPSHandler(context=self.context),
        )
        return opener.open(request, timeout=30)

    def find(self, file: str) -> str:
        """Return the address of a file of uv's, from the index's JSON or, at older mirrors, its HTML."""
        page = f"{self.index}/uv/"
        with self.open(page, f"{_JSON}, text/html;q=0.5") as answer:
            kind = answer.headers.get("Content-Type", "")
            page = answer.geturl()
            body = answer.read(LARGEST)
        if "json" in kind:
            links = [(item["filename"], item["url"]) for item in json.loads(body)["files"]]
        else:
            parser = _Links()
            parser.feed(body.decode("utf-8", "replace"))
            links = [(unquote(urlsplit(link).path.rpartition("/")[2]), link) for link in parser.links]
        for name, link in links:
            if name == file:
                return urljoin(page, link)
        raise EnvironmentProblem(
            f"The package index has no {file}.", "Install uv or Python 3.11 to 3.14 yourself."
        )

    def download(self, url: str, target: Path, stop: threading.Event) -> str:
        """Write `url` to `target` and return its sha256."""
        digest = hashlib.sha256()
        size = 0
        started = time.monotonic()
        with self.open(url) as answer, open(target, "wb") as file:
            while not stop.is_set():
                block = answer.read(1 << 18)
                if not block:
                    break
                size += len(block)
                if size > LARGEST or time.monotonic() - started > 1800:
                    raise EnvironmentProblem(
                        "The download of uv does not end.", "Check the package index or proxy."
                    )
                digest.update(block)
                file.write(block)
        return digest.hexdigest()


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        if tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]


def in_thread(work: Callable, progress: Progress):
    """Run a download beside us, so that a cancel need not wait for a server that says nothing."""
    result: list = []
    stop = threading.Event()

    def target() -> None:
        try:
            result.extend((True, work(stop)))
        except BaseException as error:  # noqa: BLE001  (raised again below, in the thread that asked)
            result.extend((False, error))

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.2)
            progress.raise_if_cancelled()
    finally:
        stop.set()
    if not result[0]:
        raise result[1]
    return result[1]
