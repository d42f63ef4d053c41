"""The way through uv: fetched from a package index, checked, and let fetch a Python."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import pytest
from minicuber.core.environment import maker, uv
from minicuber.core.environment.index import DEFAULT_INDEX, Index
from minicuber.core.environment.install import set_up
from minicuber.core.environment.uv import (
    Wheel,
    fetch_uv,
    get_uv,
    install_python,
    managed_pythons,
    pinned,
    unpack_uv,
    uv_environ,
)
from minicuber.core.errors import Cancelled, EnvironmentProblem
from minicuber.core.progress import Progress

FILE = "uv-0.0.1-py3-none-any.whl"
posix = pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for uv")


@pytest.fixture
def packed() -> bytes:
    """A wheel that looks like uv's, with a shell script as its binary and a path that leads outside."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../evil.txt", "evil")
        archive.writestr("uv-0.0.1.data/scripts/uv", "#!/bin/sh\necho uv 0.0.1\n")
        archive.writestr("uv/__init__.py", "")
    return buffer.getvalue()


@pytest.fixture
def index(packed, helpers):
    """Serve the wheel from an index that wants a password; the files lie on another host name."""
    seen = []

    class Handler(helpers.Quiet):
        as_json = True

        def do_GET(self):
            seen.append((self.headers["Host"], self.path, self.headers.get("Authorization")))
            if self.path.startswith("/files/"):
                self.answer(200, packed, "application/octet-stream")
            elif self.headers.get("Authorization") != "Basic YW5uYTpnZUBoZWlt":
                self.answer(401)
            elif Handler.as_json:
                files = [{"filename": FILE, "url": f"http://localhost:{port}/files/{FILE}"}]
                kind = "application/vnd.pypi.simple.v1+json"
                self.answer(200, json.dumps({"files": files}).encode(), kind)
            else:
                self.answer(200, f'<a href="../../files/{FILE}#sha256=0">{FILE}</a>'.encode())

    with helpers.serving(Handler) as port:
        yield f"http://anna:ge%40heim@127.0.0.1:{port}/simple/", seen, Handler


def fetch(tmp_path, packed, environ, url, **changes):
    wheel = Wheel(
        **{
            "version": "0.0.1",
            "file": FILE,
            "sha256": hashlib.sha256(packed).hexdigest(),
            "size": 1,
            **changes,
        }
    )
    lines = []
    binary = fetch_uv(
        tmp_path / "base/uv-0.0.1/uv",
        wheel,
        environ={**environ, "PIP_INDEX_URL": url},
        progress=Progress(),
        log=lines.append,
    )
    assert "heim" not in "\n".join(lines)
    return binary


@posix
@pytest.mark.parametrize("as_json", [True, False])
def test_uv_comes_from_the_users_index(tmp_path, packed, environ, index, as_json):
    """Companies reach a mirror only, with a password, and older mirrors speak HTML."""
    url, seen, handler = index
    handler.as_json = as_json
    binary = fetch(tmp_path, packed, environ, url)
    ended = subprocess.run([binary], capture_output=True, text=True, check=True)
    assert ended.stdout == "uv 0.0.1\n"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["base", "uv", "uv-0.0.1"]
    other_host = [login for host, _path, login in seen if host.startswith("localhost")]
    # The password of the index must not go to whoever serves the files.
    assert other_host == ([None] if as_json else [])


def test_another_checksum_is_refused_and_leaves_nothing(tmp_path, packed, environ, index):
    """What is fetched is run: it must be the very file that was pinned."""
    with pytest.raises(EnvironmentProblem, match="checksum differs"):
        fetch(tmp_path, packed, environ, index[0], sha256="0" * 64)
    assert not (tmp_path / "base/uv-0.0.1").exists()


def test_a_refusing_index_and_a_missing_file_are_said(tmp_path, packed, environ, index):
    """A mirror without uv, or without the right to read it."""
    with pytest.raises(EnvironmentProblem, match="index has no uv-9"):
        fetch(tmp_path, packed, environ, index[0], file="uv-9.whl")
    with pytest.raises(EnvironmentProblem, match="refused access"):
        fetch(tmp_path, packed, environ, index[0].replace("anna:ge%40heim@", ""))
    with pytest.raises(EnvironmentProblem, match="could not be reached"):
        fetch(tmp_path, packed, environ, "http://127.0.0.1:9/simple")
    with pytest.raises(EnvironmentProblem, match="http or https"):
        fetch(tmp_path, packed, environ, "file:///etc")


def test_a_download_through_a_dead_proxy_is_the_networks_fault(tmp_path, packed, environ, index):
    """The proxy of the given environment is used, not that of our own process."""
    dead = {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    with pytest.raises(EnvironmentProblem):
        fetch(tmp_path, packed, {**environ, **dead}, index[0])
    assert fetch(tmp_path, packed, {**environ, **dead, "NO_PROXY": "127.0.0.1,localhost"}, index[0]).is_file()


def test_a_missing_bundle_of_certificates_is_named(environ):
    """ssl says only "No such file or directory"."""
    with pytest.raises(EnvironmentProblem, match=r"/nowhere/ca\.pem cannot be read"):
        Index("https://x.example/simple", {**environ, "PIP_CERT": "/nowhere/ca.pem"})


def test_cancel_does_not_wait_for_a_silent_server(tmp_path, environ, stalling, monkeypatch):
    """A server that says nothing held the window for the length of its time-out."""
    url, stalled = stalling
    progress = Progress()
    at = []

    def cancel():
        stalled.wait(20)
        at.append(time.monotonic())
        progress.cancel()

    threading.Thread(target=cancel, daemon=True).start()
    wheel = Wheel("0.0.1", "toy_second-1.0-py3-none-any.whl", "0" * 64, 1)

    class Listing(Index):
        def find(self, file):
            return f"{self.index.rpartition('/')[0]}/files/{file}"

    monkeypatch.setattr(uv, "Index", Listing)
    with pytest.raises(Cancelled):
        fetch_uv(
            tmp_path / "uv-0.0.1/uv",
            wheel,
            environ={**environ, "PIP_INDEX_URL": url},
            progress=progress,
            log=lambda line: None,
        )
    assert time.monotonic() - at[0] < 2


def test_only_one_binary_comes_out_of_the_wheel(tmp_path, packed):
    """A path like ../../x in an archive must not be written."""
    (tmp_path / "a").mkdir()
    wheel = tmp_path / "a/uv.whl"
    wheel.write_bytes(packed)
    unpack_uv(wheel, tmp_path / "a/uv")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "uv", "uv.whl"]
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("uv-0.0.1.data/scripts/other", "x")
    with pytest.raises(EnvironmentProblem, match="does not hold"):
        unpack_uv(wheel, tmp_path / "a/uv")


@pytest.mark.parametrize(
    ("system", "machine"),
    [
        ("linux", "x86_64"),
        ("linux", "aarch64"),
        ("darwin", "arm64"),
        ("darwin", "x86_64"),
        ("win32", "AMD64"),
        ("win32", "ARM64"),
    ],
)
def test_every_system_of_qgis_has_a_pinned_uv(system, machine):
    """A platform's spelling that differs by case is no reason to have no uv."""
    wheel = pinned(system, machine)
    assert wheel.file.startswith(f"uv-{wheel.version}-py3-none-")
    assert len(wheel.sha256) == 64


def test_a_system_without_uv_says_so():
    """A KeyError helps nobody."""
    with pytest.raises(EnvironmentProblem, match="no uv for this system"):
        pinned("sunos5", "sparc")


def test_uv_writes_under_the_base_alone(tmp_path):
    """The user's own uv projects have other settings; and everything must be removable."""
    base = {"UV_INDEX_URL": "x", "UV_PYTHON": "3.8", "UV_PYTHON_INSTALL_MIRROR": "m", "PIP_CERT": "/ca.pem"}
    environ = uv_environ(base, tmp_path)
    assert not {"UV_INDEX_URL", "UV_PYTHON"} & set(environ)
    assert environ["UV_PYTHON_INSTALL_MIRROR"] == "m"
    assert environ["SSL_CERT_FILE"] == "/ca.pem"
    assert {environ["UV_CACHE_DIR"], environ["UV_PYTHON_INSTALL_DIR"]} == {
        str(tmp_path / "uv-cache"),
        str(tmp_path / "uv-pythons"),
    }


@pytest.fixture
def real_uv(environ, tmp_path):
    """A uv that is on this machine."""
    found = shutil.which("uv")
    if (
        found is None
        or subprocess.run([found, "--version"], capture_output=True, check=False).returncode != 0
    ):
        pytest.skip("no uv on this machine")
    return Path(found)


@posix
def test_without_any_python_uv_fetches_one(real_uv, python, environ, tmp_path, helpers, toys, monkeypatch):
    """The last way out for a user without any usable Python, through a real uv and a server of ours."""
    if sys.platform != "linux":
        pytest.skip("the list of downloads is written for Linux")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        # A small stand-in for a whole Python: it starts the one that is here.
        script = f'#!/bin/sh\nexec "{python}" "$@"\n'.encode()
        for name in ("python3.12", "python3", "python"):
            entry = tarfile.TarInfo(f"python/bin/{name}")
            entry.size, entry.mode = len(script), 0o755
            archive.addfile(entry, io.BytesIO(script))
        settings = (
            b"# system configuration generated and used by the sysconfig module\nbuild_time_vars = {}\n"
        )
        entry = tarfile.TarInfo("python/lib/python3.12/_sysconfigdata__linux_x86_64-linux-gnu.py")
        entry.size = len(settings)
        archive.addfile(entry, io.BytesIO(settings))
    body = buffer.getvalue()

    class Handler(helpers.Quiet):
        def do_GET(self):
            self.answer(200, body, "application/gzip")

    with helpers.serving(Handler) as port:
        machine = os.uname().machine
        entry = {
            "name": "cpython",
            "arch": {"family": machine, "variant": None},
            "os": "linux",
            "libc": "gnu",
            "major": 3,
            "minor": 12,
            "patch": 99,
            "prerelease": "",
            "url": f"http://127.0.0.1:{port}/cpython-3.12.99-{machine}.tar.gz",
            "sha256": hashlib.sha256(body).hexdigest(),
            "variant": None,
            "build": "20260101",
        }
        downloads = tmp_path / "downloads.json"
        downloads.write_text(json.dumps({f"cpython-3.12.99-linux-{machine}-gnu": entry}))
        lines = []
        # As on a computer without any Python of its own.
        monkeypatch.setattr(maker, "search", lambda **_arguments: maker.Search([], []))
        made = set_up(
            tmp_path / "base",
            allow_uv=True,
            wheels=toys.folder,
            requirements=toys.requirements,
            environ={**environ, "UV_PYTHON_DOWNLOADS_JSON_URL": str(downloads)},
            log=lines.append,
        )
    assert made.state == "complete", lines
    assert any("uv and a Python of its own are fetched first" in line for line in lines)
    # uv lays a link without the patch number beside it.
    assert managed_pythons(tmp_path / "base")
    assert {path.name for path in tmp_path.iterdir()} == {"base", "downloads.json"}


def test_a_failing_uv_gives_one_sentence(real_uv, environ, tmp_path):
    """uv's own chain of causes is ten lines long."""
    with pytest.raises(EnvironmentProblem) as caught:
        install_python(
            real_uv,
            tmp_path / "base",
            environ={**environ, "UV_PYTHON_INSTALL_MIRROR": "http://127.0.0.1:9", "UV_HTTP_RETRIES": "0"},
            progress=Progress(),
            log=lambda line: None,
        )
    assert "could not be reached" in caught.value.message
    assert "Install Python" in caught.value.hint


def reachable() -> bool:
    try:
        with Index(DEFAULT_INDEX, os.environ).open(f"{DEFAULT_INDEX}/pip/") as answer:
            return answer.status == 200
    except (OSError, EnvironmentProblem):
        return False


@pytest.mark.network
def test_the_pinned_uv_is_fetched_and_runs(tmp_path):
    """A pin that the index no longer has, or a checksum of another file."""
    if not reachable():
        pytest.skip("the package index cannot be reached")
    environ = {**os.environ, "PATH": str(tmp_path)}
    lines = []
    binary = get_uv(tmp_path, environ=environ, progress=Progress(), log=lines.append)
    ended = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    assert pinned().version in ended.stdout
    assert get_uv(tmp_path, environ=environ, progress=Progress(), log=lines.append) == binary
    assert len(lines) == 1
