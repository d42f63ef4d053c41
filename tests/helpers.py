"""What tests share: code in the Python of the core, a QGIS profile with the plugin, `qgis_process`, and processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def in_the_core(code: str, folder: Path = ROOT) -> str:
    """What code prints in the Python of the core, which knows this checkout as `minicuber`; run in a folder."""
    loader = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('minicuber', {str(ROOT / '__init__.py')!r}, "
        f"submodule_search_locations=[{str(ROOT)!r}])\n"
        "sys.modules['minicuber'] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(sys.modules['minicuber'])\n"
    )
    command = [os.environ["MINICUBER_PYTHON"], "-I", "-B", "-c", loader + code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_profile(folder: Path) -> Path:
    """A QGIS configuration folder whose default profile has this checkout as the plugin."""
    plugins = folder / "profiles/default/python/plugins"
    plugins.mkdir(parents=True)
    (plugins / "minicuber").symlink_to(ROOT, target_is_directory=True)
    return folder


def environment(profile: Path, **changes: str | None) -> dict[str, str]:
    """The environment of a QGIS in that profile; a change of None takes a variable away."""
    variables = {
        **os.environ,
        "QGIS_CUSTOM_CONFIG_PATH": str(profile),
        "QT_QPA_PLATFORM": "offscreen",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for name, value in changes.items():
        if value is None:
            variables.pop(name, None)
        else:
            variables[name] = value
    return variables


def qgis_process_program() -> str:
    """Debian's wrapper fails on 3.22: the program itself, where there is one."""
    return shutil.which("qgis_process.bin") or shutil.which("qgis_process") or "qgis_process.bin"


def start(profile: Path, *arguments: str, cwd: Path | None = None, **changes: str | None) -> subprocess.Popen:
    return subprocess.Popen(
        [qgis_process_program(), *arguments],
        env=environment(profile, **changes),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(profile: Path, *arguments: str, cwd: Path | None = None, **changes: str | None) -> tuple[int, str]:
    """Run `qgis_process` and return its exit code and all that it printed."""
    process = start(profile, *arguments, cwd=cwd, **changes)
    text, _ = process.communicate(timeout=300)
    return process.returncode, text


def results(text: str) -> dict[str, str]:
    """The outputs that `qgis_process` printed."""
    lines = text[text.rindex("\nResults\n") :].splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def children_of(pid: int) -> list[int]:
    """The children of a process, by /proc."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition, seconds: float) -> bool:
    """Whether the condition becomes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())
