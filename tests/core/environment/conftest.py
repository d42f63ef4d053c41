"""Small packages, a lock with hashes for them, loopback servers and a clean environment."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from minicuber.core.environment.install import set_up
from minicuber.core.environment.interpreters import find_interpreters
from minicuber.core.environment.requirements import Requirements

ROOT = Path(__file__).resolve().parents[3]
FOLDER_NAME = "Prófil mit Leerzeichen ü"


def make_wheel(
    folder: Path, name: str, version: str = "1.0", tag: str = "py3-none-any", body: str = ""
) -> Path:
    """Write a wheel of one module that pip takes for real."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    files = {
        f"{module}/__init__.py": body or f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record.append(f"{path},sha256={digest},{len(text.encode())}")
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""])
    wheel = folder / f"{module}-{version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return wheel


def write_lock(
    folder: Path, wheels: list[Path], wanted: list[str] | None = None, lie: bool = False
) -> Requirements:
    """Write a lock with the hashes of these wheels (`lie`: wrong ones), and the list of wanted packages."""
    folder.mkdir(parents=True, exist_ok=True)
    lines, names = [], []
    for wheel in wheels:
        module, version = wheel.name.split("-")[:2]
        digest = "0" * 64 if lie else hashlib.sha256(wheel.read_bytes()).hexdigest()
        names.append(module.replace("_", "-"))
        lines.append(f"{names[-1]}=={version} \\\n    --hash=sha256:{digest}\n    # via test\n")
    (folder / "small.lock").write_text("".join(lines))
    (folder / "small.in").write_text("".join(f"{name}>=1.0\n" for name in wanted or names))
    return Requirements.read(folder / "small.lock")


@dataclasses.dataclass(frozen=True)
class Toys:
    """Two small packages: the folder of their wheels, the wheels, and the lock."""

    folder: Path
    wheels: list[Path]
    requirements: Requirements


@pytest.fixture(scope="session")
def toys(tmp_path_factory) -> Toys:
    folder = tmp_path_factory.mktemp("wheels für")
    wheels = [make_wheel(folder, name) for name in ("toy-first", "toy-second")]
    return Toys(folder, wheels, write_lock(tmp_path_factory.mktemp("lock"), wheels))


@pytest.fixture(scope="session")
def python() -> Path:
    """A Python that can make environments."""
    found = [item for item in find_interpreters() if item.complete]
    if not found:
        pytest.skip("no Python 3.11 to 3.14 with venv and ensurepip on this machine")
    return found[0].path


@pytest.fixture
def environ() -> dict[str, str]:
    """The environment without this machine's settings for pip, proxies and certificates."""
    return clean_environ()


def clean_environ(**more: str) -> dict[str, str]:
    unwanted = ("PIP_", "UV_", "MINICUBER_")
    words = ("_PROXY", "CA_BUNDLE", "SSL_CERT")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(unwanted) and not any(word in name.upper() for word in words)
    }
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", **more}


@pytest.fixture(scope="session")
def made(toys, python, tmp_path_factory):
    """An environment made once for real, offline, in a folder with blanks and letters beyond ASCII."""
    base = tmp_path_factory.mktemp("base") / FOLDER_NAME / "environments"
    lines = []
    environment = set_up(
        base,
        preferred=str(python),
        wheels=toys.folder,
        requirements=toys.requirements,
        environ=clean_environ(),
        log=lines.append,
    )
    return environment, lines


@contextlib.contextmanager
def serving(handler: type[http.server.BaseHTTPRequestHandler], context=None):
    """A server on loopback in a thread; yields its port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


class Quiet(http.server.BaseHTTPRequestHandler):
    """Base of the handlers: answers in one call, prints nothing."""

    def log_message(self, *_arguments):
        """Nothing."""

    def answer(self, code: int, body: bytes = b"", kind: str = "text/html", **headers: str):
        with contextlib.suppress(OSError):
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)


@pytest.fixture
def stalling(toys):
    """A package index that gives the first wheel and then says nothing; yields (index URL, stalled event)."""
    stalled, release = threading.Event(), threading.Event()

    class Handler(Quiet):
        def do_GET(self):
            name = self.path.strip("/").split("/")[-1]
            wheel = next((w for w in toys.wheels if w.name == name), None)
            if wheel is None:
                listed = [w for w in toys.wheels if w.name.startswith(name.replace("-", "_"))]
                links = "".join(f'<a href="/files/{w.name}">{w.name}</a>' for w in listed)
                self.answer(200, f"<html><body>{links}</body></html>".encode())
            elif wheel is toys.wheels[0]:
                self.answer(200, wheel.read_bytes(), "application/octet-stream")
            else:
                self.send_response(200)
                self.send_header("Content-Length", "1000000")
                self.end_headers()
                self.wfile.write(b"PK")
                self.wfile.flush()
                stalled.set()
                release.wait(60)

    with serving(Handler) as port:
        yield f"http://127.0.0.1:{port}/simple", stalled
        release.set()


@pytest.fixture
def set_up_process():
    """Start set_up in a process of its own, as a QGIS would; all are dead afterwards."""
    started = []
    code = (
        "import json, sys\n"
        "from importlib.util import module_from_spec, spec_from_file_location\n"
        "from pathlib import Path\n"
        "root, arguments = sys.argv[1], json.loads(sys.argv[2])\n"
        "spec = spec_from_file_location('minicuber', root + '/__init__.py',\n"
        "    submodule_search_locations=[root])\n"
        "sys.modules['minicuber'] = module_from_spec(spec)\n"
        "from minicuber.core.environment.install import set_up\n"
        "from minicuber.core.environment.requirements import Requirements\n"
        "requirements = Requirements.read(Path(arguments.pop('lock')))\n"
        "made = set_up(Path(arguments.pop('base')), requirements=requirements,\n"
        "    log=lambda line: print(line, flush=True), **arguments)\n"
        "print('MADE', made.python, flush=True)\n"
    )

    def start(base: Path, toys: Toys, environ: dict[str, str], **arguments) -> subprocess.Popen:
        arguments = {"base": str(base), "lock": str(toys.requirements.lock), **arguments}
        command = [sys.executable, "-I", "-B", "-c", code, str(ROOT), json.dumps(arguments)]
        process = subprocess.Popen(
            command,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def fake_python(tmp_path):
    """Write an executable that answers a probe as another Python would; POSIX only."""
    if os.name == "nt":
        pytest.skip("fake interpreters are shell scripts")

    def write(name: str = "python3", folder: Path | None = None, **facts) -> Path:
        folder = tmp_path if folder is None else folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        answer = {
            "path": str(path),
            "version": [3, 12, 1],
            "implementation": "CPython",
            "bits": 64,
            "system": "linux",
            "platform": "linux-x86_64",
            "machine": "x86_64",
            "has_venv": True,
            "has_ensurepip": True,
            "free_threaded": False,
            **facts,
        }
        path.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(answer)}\nEND\n")
        path.chmod(0o755)
        return path

    return write


@pytest.fixture(scope="session")
def helpers():
    """The helpers above, for test modules, which cannot import this file."""

    class Helpers:
        make_wheel = staticmethod(make_wheel)
        write_lock = staticmethod(write_lock)
        clean_environ = staticmethod(clean_environ)
        serving = staticmethod(serving)
        Quiet = globals()["Quiet"]
        root = ROOT
        folder_name = FOLDER_NAME

    return Helpers
