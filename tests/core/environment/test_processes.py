"""The clean environment of children, and their end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from minicuber.core.environment.processes import child_environ, module_command, python_command, run
from minicuber.core.errors import Cancelled
from minicuber.core.progress import Progress

posix = pytest.mark.skipif(os.name == "nt", reason="process groups and signals of POSIX")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    except OSError:
        return False


def wait_until(condition, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


def test_variables_that_break_another_python_are_dropped():
    """QGIS's PYTHONHOME or PROJ_LIB in a child: it does not start, or reads a wrong proj.db."""
    bad = [
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONSTARTUP",
        "PYTHONNOUSERSITE",
        "VIRTUAL_ENV",
        "CONDA_PREFIX",
        "QGIS_PREFIX_PATH",
        "PROJ_DATA",
        "PROJ_LIB",
        "GDAL_DATA",
        "GDAL_DRIVER_PATH",
        "QT_PLUGIN_PATH",
        "__PYVENV_LAUNCHER__",
    ]
    good = [
        "PATH",
        "HOME",
        "HTTPS_PROXY",
        "no_proxy",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "PIP_INDEX_URL",
        "GDAL_CACHEMAX",
    ]
    environ = child_environ(dict.fromkeys([*bad, *good], "/x"), {"PIP_CERT": "/ca.pem"})
    assert not set(bad) & set(environ)
    assert set(good) <= set(environ)
    assert environ["PIP_CERT"] == "/ca.pem"
    assert environ["PYTHONUTF8"] == "1"


@posix
def test_library_path_of_the_application_goes_and_a_clusters_stays():
    """An AppImage's libraries crash another Python; a module system's are needed by it."""
    base = {"APPDIR": "/tmp/.mount_qgis", "LD_LIBRARY_PATH": "/tmp/.mount_qgis/usr/lib:/opt/gcc/lib64"}
    assert child_environ(base)["LD_LIBRARY_PATH"] == "/opt/gcc/lib64"
    only = {
        "CONDA_PREFIX": "/opt/qgis",
        "LD_LIBRARY_PATH": "/opt/qgis/lib",
        "LD_PRELOAD": "/opt/qgis/lib/a.so",
    }
    assert not {"LD_LIBRARY_PATH", "LD_PRELOAD"} & set(child_environ(only))
    debian = {"QGIS_PREFIX_PATH": "/usr", "LD_LIBRARY_PATH": "/usr/lib/special"}
    assert child_environ(debian)["LD_LIBRARY_PATH"] == "/usr/lib/special"
    neighbour = {"APPDIR": "/opt/qgis", "LD_LIBRARY_PATH": "/opt/qgis-tools/lib"}
    assert child_environ(neighbour)["LD_LIBRARY_PATH"] == "/opt/qgis-tools/lib"


def test_our_own_environment_is_not_changed():
    """A variable removed from os.environ would be gone for QGIS and every other plugin."""
    before = dict(os.environ)
    child_environ(None, {"A": "b"})
    assert dict(os.environ) == before


def test_output_beyond_ascii_survives_an_ascii_locale(environ):
    """-I ignores PYTHONUTF8: in a C locale names with umlauts arrived as question marks."""
    environ = child_environ({**environ, "LC_ALL": "C", "LANG": "C"})
    ended = run(python_command(sys.executable, "-c", "print('Prófil ü')"), environ)
    assert ended == (0, ["Prófil ü"])


@posix
def test_cancel_kills_grandchildren_within_two_seconds(environ, tmp_path):
    """Killing only the child leaves pip's own children writing into a folder that is being removed."""
    noted = tmp_path / "pid"
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal, time; "
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)'])\n"
        f"open({str(noted)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(60)\n"
    )

    class Cancelling(Progress):
        def raise_if_cancelled(self):
            if noted.is_file() and noted.read_text():
                started.append(time.monotonic())
                raise Cancelled

    started = []
    with pytest.raises(Cancelled):
        run(python_command(sys.executable, "-c", code), environ, progress=Cancelling())
    assert time.monotonic() - started[0] < 2
    assert wait_until(lambda: not alive(int(noted.read_text())))


@posix
def test_a_grandchild_that_keeps_the_pipe_does_not_hang_us(environ):
    """A background process of the child inherits its output: waiting for the pipe's end waits for ever."""
    code = "import subprocess, sys; subprocess.Popen(['sleep', '30']); print('done')"
    started = time.monotonic()
    ended = run(python_command(sys.executable, "-c", code), environ)
    assert ended == (0, ["done"])
    assert time.monotonic() - started < 5


def test_a_child_that_hangs_is_ended(environ):
    """A network drive's Python that never answers blocked the search for ever."""
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        run(python_command(sys.executable, "-c", "import time; time.sleep(60)"), environ, timeout=0.5)
    assert time.monotonic() - started < 5


@posix
def test_a_held_module_ends_when_its_starter_is_killed(environ, tmp_path):
    """After kill -9 of QGIS, pip went on writing into the environment that the next start was making."""
    (tmp_path / "slow.py").write_text("import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)\n")
    command = module_command(sys.executable, "slow")
    # -I keeps the module's folder off the path; this once it has to be there.
    command = [
        command[0],
        "-c",
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv.pop(0); "
        "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')",
        *command[4:],
    ]
    starter = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", starter, *command], stdout=subprocess.PIPE, text=True, env=environ
    )
    pid = int(process.stdout.readline())
    assert alive(pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert wait_until(lambda: not alive(pid))
