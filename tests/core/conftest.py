"""Servers on loopback for the tests of the core: files over HTTP with ranges, and a real STAC API."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

REAL_CATALOGS = ("treesatai_abies_2020", "gfmap_be_2023_04", "e84_33tw_2023_120m", "eolearn_si_l1c_2015")


@dataclass(frozen=True)
class Asked:
    """A request as it came; `path` without its first slash, `headers` as they stand there."""

    method: str
    path: str
    query: str
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # 16 threads connect at once

    def handle_error(self, request, client_address) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client that hangs up is no news
            super().handle_error(request, client_address)


class FileServer:
    """Serves a folder with byte ranges; `answers` overrides paths: status, or (content type, body).

    `rule` comes first: a function of what was asked (all of which is kept in `asked`) that returns None to go on,
    a status, or a dictionary: `status`, `headers`, `body` or `json`, `delay` (seconds before the answer), `cut`
    (whether the connection is lost in the middle of the body); `cut` alone is that of the usual answer.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.answers, self.requests = folder, {}, Counter()
        self.sent: Counter[str] = Counter()  # bytes by path
        self.rule: Callable[[Asked], int | dict | None] = lambda asked: None
        self.asked: list[Asked] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            cut = False

            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                self.answer(body=True)

            def do_POST(self) -> None:
                self.answer(body=True)

            def answer(self, body: bool) -> None:
                path, _, query = self.path.partition("?")
                path = path.lstrip("/")
                server.requests[path] += 1
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = Asked(self.command, path, query, self.headers, sent)
                server.asked.append(asked)
                ruled = server.rule(asked)
                if ruled == {"cut": True}:
                    self.cut, ruled = True, None
                if isinstance(ruled, dict):
                    return self.special(body, **ruled)
                special = server.answers.get(path) if ruled is None else ruled
                file = server.folder / path
                if isinstance(special, int) or (special is None and not file.is_file()):
                    return self.reply(special or 404, "text/plain", b"no", body)
                if special:
                    return self.reply(200, special[0], special[1], body)
                data = file.read_bytes()
                wanted = re.match(r"bytes=(\d+)-(\d*)$", self.headers.get("Range", ""))
                if not wanted:
                    kind = "application/json" if path.endswith("json") else "image/tiff"
                    return self.reply(200, kind, data, body)
                start, end = int(wanted[1]), min(int(wanted[2] or len(data) - 1), len(data) - 1)
                extra = {"Content-Range": f"bytes {start}-{end}/{len(data)}"}
                return self.reply(206, "image/tiff", data[start : end + 1], body, extra)

            def special(
                self, wanted, status=200, headers=None, body=b"", json=None, delay=0, cut=False
            ) -> None:
                time.sleep(delay)
                kind = "text/plain" if json is None else "application/json"
                data = body if json is None else dumps(json)
                self.cut = cut
                self.reply(status, None, data, wanted, {"Content-Type": kind, **(headers or {})})

            def reply(self, status, kind, data, body, extra=None) -> None:
                extra = extra or {}
                self.send_response(status)
                usual = {
                    "Content-Type": kind,
                    "Content-Length": str(len(data)),
                    "Accept-Ranges": "bytes",
                }
                for name, value in {**usual, **extra}.items():
                    self.send_header(name, value)
                self.end_headers()
                if body:
                    self.wfile.write(data[: len(data) // 2] if self.cut else data)
                    server.sent[self.path.partition("?")[0].lstrip("/")] += len(data)
                if self.cut:
                    self.close_connection = True

            def log_message(self, *args) -> None:
                pass

        self._server = Listener(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def dumps(content: Any) -> bytes:
    return json.dumps(content).encode()


@pytest.fixture(autouse=True)
def _unfinished_work_stays_here(tmp_path_factory, monkeypatch):
    """Not in the cache of whoever runs the tests."""
    folder = tmp_path_factory.mktemp("parts")
    monkeypatch.setattr("minicuber.core.build.default_root", lambda: folder, raising=False)


@pytest.fixture
def serve():
    """`serve(folder)` starts a `FileServer`."""
    servers = []

    def start(folder: Path) -> FileServer:
        servers.append(FileServer(folder))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


class FakeApi:
    """A STAC API over item dictionaries at `url`, whose habits can be set; `searches` holds the parameters of each
    request to it.

    `conforms`: endings of conformance classes. `methods`: of its search. `most`: items after which a search ends
    without a word. `obeys`: whether it follows a cloud filter. `summaries`: of its collections. `spoil`: changes
    the answer to a search.
    """

    conforms = ("core", "item-search", "collections")
    methods = ("GET", "POST")
    most = 10**6
    obeys = True
    says_matched = False
    landing_page = "stac"

    def __init__(self, server: FileServer, items: list[dict], **habits: Any) -> None:
        self.server, self.items, self.searches = server, items, []
        self.summaries: dict = {}
        self.spoil: Callable[[dict], Any] = lambda page: page
        vars(self).update(habits)
        self.url = f"{server.url}/{self.landing_page}"
        server.rule = self.answer

    def answer(self, asked: Asked) -> int | dict | None:
        place = asked.path.removeprefix(self.landing_page).strip("/")
        if not asked.path.startswith(self.landing_page):
            return None
        ids = sorted({item["collection"] for item in self.items})
        if place == "":
            return {"json": self.landing()}
        if place == "collections":
            return {"json": {"collections": [self.collection(name) for name in ids], "links": []}}
        if place.removeprefix("collections/") in ids:
            return {"json": self.collection(place.removeprefix("collections/"))}
        if place == "search" and asked.method in self.methods:
            return self.spoil({"json": self.search(asked)})
        return 404

    def landing(self) -> dict:
        classes = [f"https://api.stacspec.org/v1.0.0/{end}" for end in self.conforms if "cql2" not in end]
        classes += [
            f"http://www.opengis.net/spec/cql2/1.0/conf/{end}" for end in self.conforms if "cql2" in end
        ]
        search = {"rel": "search", "type": "application/geo+json", "href": f"{self.url}/search"}
        links = [{**search, "method": method} for method in self.methods]
        links += [{"rel": rel, "href": self.url} for rel in ("self", "root")]
        links += [{"rel": "data", "href": f"{self.url}/collections"}]
        return {**self.document("Catalog", "api"), "conformsTo": classes, "links": links}

    def collection(self, name: str) -> dict:
        extent = {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}}
        links = [{"rel": "items", "href": f"{self.url}/collections/{name}/items"}]
        more = {"license": "other", "extent": extent, "links": links, "summaries": self.summaries}
        return {**self.document("Collection", name), **more}

    @staticmethod
    def document(kind: str, name: str) -> dict:
        return {"type": kind, "stac_version": "1.0.0", "id": name, "description": name, "links": []}

    def search(self, asked: Asked) -> dict:
        wanted = asked.json if asked.method == "POST" else self.parsed(asked.query)
        self.searches.append(wanted)
        first, last = map(datetime.fromisoformat, wanted["datetime"].split("/"))
        west, south, east, north = wanted["bbox"]
        found = [
            item
            for item in self.items
            if item["collection"] in wanted["collections"]
            and first <= datetime.fromisoformat(item["properties"]["datetime"]) <= last
            and item["bbox"][2] >= west and item["bbox"][0] <= east
            and item["bbox"][3] >= south and item["bbox"][1] <= north
            and (not self.obeys or self.clear(item["properties"].get("eo:cloud_cover"), wanted))
        ][: self.most]  # fmt: skip
        start = int(wanted.get("start", 0))
        stop = start + int(wanted["limit"])
        page = {"type": "FeatureCollection", "features": found[start:stop], "links": []}
        if self.says_matched:
            page["numberMatched"] = len(found)
        if stop < len(found):
            link = {"rel": "next", "href": f"{self.url}/search", "method": asked.method}
            if asked.method == "POST":
                page["links"] = [{**link, "body": {**wanted, "start": stop}}]
            else:
                query = re.sub(r"&start=\d+", "", asked.query)
                page["links"] = [{**link, "href": f"{self.url}/search?{query}&start={stop}"}]
        return page

    @staticmethod
    def parsed(query: str) -> dict:
        wanted = {name: values[0] for name, values in urllib.parse.parse_qs(query).items()}
        wanted["collections"] = wanted["collections"].split(",")
        wanted["bbox"] = [float(text) for text in wanted["bbox"].split(",")]
        return wanted

    @staticmethod
    def clear(cover: float | None, wanted: dict) -> bool:
        """What the cloud filter of a search means for a cover, None where the item does not say it."""
        if "query" in wanted:
            return cover is not None and cover <= wanted["query"]["eo:cloud_cover"]["lte"]
        rule = wanted.get("filter")
        if rule is None:
            return True
        if isinstance(rule, str):
            most = re.match(r'"eo:cloud_cover" <= ([\d.]+)( OR "eo:cloud_cover" IS NULL)?$', rule)
            return bool(most[2]) if cover is None else cover <= float(most[1])
        parts = rule["args"] if rule["op"] == "or" else [rule]
        known = {
            "<=": lambda args: cover is not None and cover <= args[1],
            "isNull": lambda args: cover is None,
        }
        return any(known[part["op"]](part["args"]) for part in parts)


@pytest.fixture
def fake_api(serve, tmp_path):
    """`fake_api(items, **habits)` starts a `FakeApi`, which serves the files of `tmp_path` too."""
    return lambda items, **habits: FakeApi(serve(tmp_path), items, **habits)


@pytest.fixture
def stac_api():
    """`stac_api(items)` starts a real STAC API (rustac) over item dictionaries and returns its URL."""
    processes = []

    def start(items: list[dict], folder: Path) -> str:
        program = Path(sys.executable).with_name("rustac")
        if not program.exists() and shutil.which("rustac") is None:
            pytest.skip("rustac is not installed")
        file = folder / "api_items.json"
        file.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [str(program), "serve", "--addr", f"127.0.0.1:{port}", str(file)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        processes.append(process)
        url = f"http://127.0.0.1:{port}"
        for _ in range(100):
            if process.poll() is not None:
                pytest.fail(f"rustac ended: {process.stderr.read().decode()}")
            try:
                urllib.request.urlopen(url, timeout=1).close()
                return url
            except OSError:
                time.sleep(0.1)
        pytest.fail("rustac does not answer")

    yield start
    for process in processes:
        process.terminate()
        process.wait(5)
        process.stderr.close()


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory) -> dict:
    """The demo data, made once: the job's result as a dictionary."""
    from minicuber.core.jobs import run_job
    from minicuber.core.progress import Progress

    return run_job("createdemodata", {"output": str(tmp_path_factory.mktemp("demo") / "demo")}, Progress())


@pytest.fixture(scope="session")
def s3_server():
    """The address of a real S3 (moto) on loopback."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
