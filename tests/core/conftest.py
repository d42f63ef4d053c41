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
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
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
        """A client that hangs up is no news."""


class FileServer:
    """Serves a folder with byte ranges; `answers` overrides paths: status, or (content type, body).

    `rule` comes first: a function of what was asked (all of which is kept in `asked`) that returns None to go on,
    a status, or a dictionary: `status`, `headers`, `body` or `json`, `delay` (seconds before the answer), `cut`
    (whether the connection is lost in the middle of the body).
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.answers, self.requests = folder, {}, Counter()
        self.rule: Callable[[Asked], None | int | dict] = lambda asked: None
        self.asked: list[Asked] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

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

            def special(self, wanted, status=200, headers=None, body=b"", json=None, delay=0, cut=False) -> None:
                time.sleep(delay)
                kind = "text/plain" if json is None else "application/json"
                data = body if json is None else dumps(json)
                extra = {"Content-Type": kind, **(headers or {})}
                if cut:
                    extra["Content-Length"], data = str(len(data)), data[: len(data) // 2]
                    self.close_connection = True
                self.reply(status, None, data, wanted, extra)

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
                    self.wfile.write(data)

            def log_message(self, *args) -> None:
                pass

        self._server = Listener(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def dumps(content: Any) -> bytes:
    return json.dumps(content).encode()


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
