"""A server on loopback for the benchmarks: files with byte ranges and a real STAC API, each answer some time late.

HTTP/1.1 with connections that stay open, two processes, nothing but the standard library; what it answered is
counted. The API is rustac's, which knows no latency: it is asked on the client's behalf.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import mmap
import multiprocessing
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

PROCESSES = 2
STAC = "/stac"
HERE = "http://here.invalid"  # in hrefs of the API's items: the server that is asked


class Counts(NamedTuple):
    """What a server did: requests (those for files, those of them with HEAD), bytes of bodies, connections."""

    requests: int
    files: int
    heads: int
    sent: int
    connections: int

    def __sub__(self, other: Counts) -> Counts:
        return Counts(*(a - b for a, b in zip(self, other, strict=True)))


class Server:
    """Serves a folder, and an API at `STAC` if one is given, until `close`. `latency`: seconds per request."""

    def __init__(self, folder: Path, latency: float, api: Api | None = None) -> None:
        # Bound but deaf: the port stays ours while the processes share it.
        self._bound = _socket(0)
        self.port = self._bound.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._memory = mmap.mmap(-1, 4096)
        context = multiprocessing.get_context("fork")
        self._processes = [
            context.Process(target=self._run, args=(number, str(folder), latency, api), daemon=True)
            for number in range(PROCESSES)
        ]
        for process in self._processes:
            process.start()
        _wait_for(self.url + "/")

    def _run(self, number: int, folder: str, latency: float, api: Api | None) -> None:
        numbers = memoryview(self._memory).cast("q")
        width = len(Counts._fields)
        counts = numbers[number * width : (number + 1) * width]

        async def serve() -> None:
            loop = asyncio.get_running_loop()
            listening = _socket(self.port)
            server = await loop.create_server(
                lambda: _Connection(loop, folder, latency, api, counts), sock=listening, backlog=256
            )
            await server.serve_forever()

        asyncio.run(serve())

    def counts(self) -> Counts:
        numbers = memoryview(self._memory).cast("q")
        width = len(Counts._fields)
        each = [numbers[n * width : (n + 1) * width] for n in range(PROCESSES)]
        return Counts(*(sum(column) for column in zip(*each, strict=True)))

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
            process.join()
        self._bound.close()


class _Connection(asyncio.Protocol):
    def __init__(self, loop, folder: str, latency: float, api: Api | None, counts: memoryview) -> None:
        self._loop, self._folder, self._latency, self._api = loop, folder, latency, api
        self._counts, self._waiting = counts, b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._counts[4] += 1

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        head, end, rest = self._waiting.partition(b"\r\n\r\n")
        if not end:
            return
        length = re.search(rb"\ncontent-length: *(\d+)", head, re.IGNORECASE)
        size = int(length[1]) if length else 0
        if len(rest) < size:
            return
        self._waiting = rest[size:]
        due = self._loop.time() + self._latency
        method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        self._counts[0] += 1
        if self._api is not None and path.startswith(STAC):
            self._loop.create_task(self._forward(method, path, head, rest[:size], due))
        else:
            self._counts[1] += 1
            self._counts[2] += method == "HEAD"
            self._loop.call_at(due, self._answer, method, path, head)

    def _answer(self, method: str, path: str, head: bytes) -> None:
        try:
            file = open(self._folder + path.partition("?")[0], "rb", buffering=0)  # noqa: SIM115
            size = os.fstat(file.fileno()).st_size
        except OSError:
            return self._reply("404 Not Found", "text/plain", b"no", 2)
        wanted = re.search(rb"\nrange: *bytes=(\d+)-(\d*)", head, re.IGNORECASE)
        if wanted:
            start, last = int(wanted[1]), min(int(wanted[2] or size - 1), size - 1)
            body = b"" if method == "HEAD" else os.pread(file.fileno(), last - start + 1, start)
            more = f"Content-Range: bytes {start}-{last}/{size}\r\n"
            self._reply("206 Partial Content", "image/tiff", body, last - start + 1, more)
        else:
            self._reply("200 OK", "image/tiff", b"", size)
            if method == "GET":
                self._sending = self._loop.create_task(self._send_whole(file))
                return
        file.close()

    async def _send_whole(self, file: BinaryIO) -> None:
        """As much of a file as the client wants: it may hang up."""
        with file:
            with contextlib.suppress(OSError, RuntimeError):
                await self._loop.sendfile(self._transport, file)
            self._counts[3] += file.tell()

    async def _forward(self, method: str, path: str, head: bytes, body: bytes, due: float) -> None:
        kind, answer = await self._api.ask(method, path.removeprefix(STAC) or "/", body)
        host = re.search(rb"\nhost: *(\S+)", head, re.IGNORECASE)[1].decode()
        answer = answer.replace(self._api.url.encode(), f"http://{host}{STAC}".encode())
        answer = answer.replace(HERE.encode(), f"http://{host}".encode())
        self._loop.call_at(due, self._reply, "200 OK", kind, answer, len(answer))

    def _reply(self, status: str, kind: str, body: bytes, length: int, more: str = "") -> None:
        self._counts[3] += len(body)
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n"
            f"Accept-Ranges: bytes\r\nLast-Modified: Sat, 01 May 2021 00:00:00 GMT\r\n{more}\r\n"
        )
        self._transport.write(head.encode() + body)


class Api:
    """rustac's STAC API over items, until `close`."""

    def __init__(self, items: list[dict[str, Any]], folder: Path) -> None:
        beside = Path(sys.executable).with_name("rustac")
        program = str(beside) if beside.exists() else shutil.which("rustac")
        if program is None:
            raise SystemExit("rustac is missing: run this with the Python of the core's tests.")
        (folder / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": items}))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        command = [program, "serve", "--addr", f"127.0.0.1:{self._port}"]
        self._process = subprocess.Popen(
            [*command, str(folder / "items.json")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait_for(self.url)

    async def ask(self, method: str, path: str, body: bytes) -> tuple[str, bytes]:
        """(content type, body) of the API's answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = f"{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{self._port}\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"\r\n" + body)
        answer = await reader.read()
        writer.close()
        head, _, content = answer.partition(b"\r\n\r\n")
        kind = re.search(rb"\ncontent-type: *([^\r]+)", head, re.IGNORECASE)
        return (kind[1].decode() if kind else "application/json"), content

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


def _socket(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    return made


def _wait_for(url: str) -> None:
    for _ in range(100):
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{url} does not answer.")
