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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

REAL_CATALOGS = ("treesatai_abies_2020", "gfmap_be_2023_04", "e84_33tw_2023_120m", "eolearn_si_l1c_2015")


class FileServer:
    """Serves a folder with byte ranges; `answers` overrides paths: status, or (content type, body)."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.answers, self.requests = folder, {}, Counter()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                self.answer(body=True)

            def answer(self, body: bool) -> None:
                path = self.path.split("?")[0].lstrip("/")
                server.requests[path] += 1
                special = server.answers.get(path)
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

            def reply(self, status, kind, data, body, extra=None) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Accept-Ranges", "bytes")
                for name, value in (extra or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                if body:
                    self.wfile.write(data)

            def log_message(self, *args) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


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
