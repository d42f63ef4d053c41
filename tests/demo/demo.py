"""`make demo`: from nothing to a cube on the desktop, in real QGIS, with a profile of its own.

Standard library only: it runs before anything is installed but QGIS.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
START, END = "2021-03-01", "2021-10-31"
BANDS = "B02,B03,B04,B08,SCL"
CLIMATE = "t,mean,t,max,tp,sum,sr,sum,vpd,mean"
SCREEN = "1600x1000x24"
DESKTOP_LIMIT = 180  # seconds until a desktop that nobody looks at must have drawn its picture
WIDTH = 160
# What stands in the command already, and what pip says.
DETAIL = re.compile(
    r"-+$|Inputs$|[A-Z0-9_]+:\t|\s|WARNING|Collecting|Looking in|Ignoring|Processing|Settings of pip"
    r"|Installing coll|Success"
)
# From here on: results, or the report that is meant for an issue.
END_OF_NEWS = re.compile(r"Results$|Minicuber \d")
NOISE = ("DeprecationWarning", "QStandardPaths", "setapi()", "propagateSizeHints")

# A profile that has never been used greets its user with tips, news and questions.
SETTINGS = """\
[PythonPlugins]
processing=true
db_manager=false
MetaSearch=false
grassprovider=false
otbprovider=false
sagaprovider=false

[app]
projections\\unknownCrsBehavior=NoAction

[core]
NewsFeed\\httpsfeedqgisorg\\disabled=true

[migration]
fileVersion=2
firstRunVersionFlag=999999

[qgis]
checkVersion=false
showTips=false
askToSaveProjectChanges=false
askToDeleteLayers=false
"""


class Failed(Exception):
    """A step of the demo did not work."""


def main(build: Path) -> int:
    build = build.resolve()
    profile, data, cube, picture, clean, dataset = (
        build / name for name in ("profile", "data", "minicube.nc", "minicuber.png", "cleaned.nc", "dataset")
    )
    headless = not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    build.mkdir(parents=True, exist_ok=True)
    environment = _environment(build, profile)
    try:
        say(f"A QGIS profile of its own, with this plugin in it: {profile}")
        _make_profile(profile, environment)
        say("1. Setting up the Python environment of Minicuber (once; later runs find it there)")
        run("setupenvironment", {}, environment)
        say("2. Creating a synthetic STAC catalog of Sentinel-2 images, weather and layers")
        demo = run("createdemodata", {"OUTPUT": str(data)}, environment)
        say(f"3. Building a minicube: {demo['EXTENT']}, {START} to {END}, {BANDS}")
        parameters = {
            "CATALOG": demo["CATALOG"],
            "EXTENT": demo["EXTENT"],
            "START": START,
            "END": END,
            "S2_BANDS": BANDS,
            "S2_MASK": "scl",
            "ERA5_SOURCE": demo["ERA5"],
            "ERA5_VARIABLES": CLIMATE,
            "OUTPUT": str(cube),
        }
        built = run("buildminicube", parameters, environment)
        say("4. Attaching the layers, and adding NDVI")
        layers = [str(data / name) for name in ("dem.tif", "landcover.tif", "forest_mask.geojson")]
        run("attachlayers", {"CUBE": str(cube), "LAYERS": layers, "OUTPUT": str(cube)}, environment)
        run("spectralindices", {"CUBE": str(cube), "INDICES": "NDVI", "OUTPUT": str(cube)}, environment)
        say("5. Cleaning clouds")
        report = str(build / "cleaning.html")
        run("cleanclouds", {"CUBE": str(cube), "OUTPUT": str(clean), "REPORT": report}, environment)
        say("6. Exporting context and target pairs, each context cleaned by what is known at its end")
        pairs = {
            "CUBES": str(cube),
            "CONTEXT": "18",
            "TARGET": "6",
            "WHERE": "forest_mask > 0.8",
            "SEASON": "06-01/09-01",
            "MAX_SAMPLES": "100",
            "SPLIT": "spatial",
            "SPLIT_OPTIONS": '{"block_m": 250, "buffer_m": 20}',
            "SMOOTHING": "context",
            "FORMAT": "npz-sharded",
            "OUTPUT": str(dataset),
        }
        exported = run("exportdataset", pairs, environment)
        say("7. Opening the QGIS desktop with the cube loaded")
        _show(cube, picture, environment, headless)
    except Failed as problem:
        print(f"\nThe demo stopped: {problem}", file=sys.stderr)
        return 1
    say(f"Done. The cube of {built['N_DATES'].removesuffix('.0')} dates: {cube}")
    print(f"    A picture of it on the desktop: {picture}")
    print(f"    Without clouds: {clean}")
    print(
        f"    {exported['N_SAMPLES'].removesuffix('.0')} samples, and what is in them: {dataset / 'index.html'}"
    )
    return 0


def say(text: str) -> None:
    print(f"\n{text}", flush=True)


def run(
    algorithm: str, parameters: dict[str, str | list[str]], environment: dict[str, str]
) -> dict[str, str]:
    """Run an algorithm of the plugin in `qgis_process`, show what it says, and return its results."""
    arguments = [
        f"--{name}={value}"
        for name, given in parameters.items()
        for value in (given if isinstance(given, list) else [given])
    ]
    print("    " + " ".join(["qgis_process", "run", f"minicuber:{algorithm}", *arguments]), flush=True)
    started = time.monotonic()
    code, lines = _qgis_process(["run", f"minicuber:{algorithm}", *arguments], environment, show=True)
    if code != 0:
        raise Failed(f"minicuber:{algorithm} ended with exit code {code}; what it said stands above.")
    print(f"    {time.monotonic() - started:.1f} s", flush=True)
    results = lines[lines.index("Results") :] if "Results" in lines else []
    return dict(line.split(":\t", 1) for line in results if ":\t" in line)


def _qgis_process(arguments: list[str], environment: dict[str, str], show: bool) -> tuple[int, list[str]]:
    process = subprocess.Popen(
        [_program("qgis_process"), *arguments],
        env={**environment, "QT_QPA_PLATFORM": "offscreen"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    lines: list[str] = []
    progress = Progress()
    shown = show
    for line in process.stdout:
        line = progress.without(line.rstrip())
        if not line or any(word in line for word in NOISE):
            continue
        lines.append(line)
        shown = shown and not END_OF_NEWS.match(line)
        if shown and not DETAIL.match(line):
            print(f"    | {line[:WIDTH]}", flush=True)
    return process.wait(), lines


class Progress:
    """Takes the "0...10...20" that `qgis_process` writes into the lines of an algorithm out of them.

    Three dots stand before each number: in "...202021-05: 13 dates" only the first 20 is one.
    """

    def __init__(self) -> None:
        self._next, self._dots = 0, 3

    def without(self, line: str) -> str:
        while True:
            rest = line.lstrip(".")
            self._dots += len(line) - len(rest)
            number = str(self._next)
            if self._next > 100 or self._dots < 3 or not rest.startswith(number):
                return rest
            line = rest.removeprefix(number).removeprefix(" - done.")
            self._next, self._dots = self._next + 10, 0


def _make_profile(profile: Path, environment: dict[str, str]) -> None:
    folder = profile / "profiles" / "default"
    settings = folder / "QGIS" / "QGIS3.ini"
    if not settings.exists():
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(SETTINGS, encoding="utf-8")
    link = folder / "python" / "plugins" / "minicuber"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not (link.is_symlink() and Path(os.readlink(link)) == ROOT):
        # The checkout may have moved since.
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT, target_is_directory=True)
    if "minicuber=true" not in settings.read_text(encoding="utf-8"):
        code, lines = _qgis_process(["plugins", "enable", "minicuber"], environment, show=False)
        if code != 0:
            raise Failed("QGIS could not enable the plugin.\n" + "\n".join(lines))


def _environment(build: Path, profile: Path) -> dict[str, str]:
    environment = {**os.environ, "QGIS_CUSTOM_CONFIG_PATH": str(profile), "PYTHONWARNINGS": "ignore"}
    # The demo shows the environment that the plugin itself sets up.
    environment.pop("MINICUBER_PYTHON", None)
    if not os.access(environment.get("XDG_RUNTIME_DIR", ""), os.W_OK):
        runtime = build / "runtime"
        runtime.mkdir(mode=0o700, exist_ok=True)
        environment["XDG_RUNTIME_DIR"] = str(runtime)
    return environment


def _show(cube: Path, picture: Path, environment: dict[str, str], headless: bool) -> None:
    picture.unlink(missing_ok=True)
    environment = {
        **environment,
        "MINICUBER_DEMO_CUBE": str(cube),
        "MINICUBER_DEMO_PICTURE": str(picture),
        "MINICUBER_DEMO_STAY": "" if headless else "1",
    }
    command = [_program("qgis"), "--nologo", "--noversioncheck", "--code", str(HERE / "desktop.py")]
    if headless:
        print("    There is no display: QGIS draws on a virtual one, takes a picture and ends.", flush=True)
    else:
        print("    QGIS stays open; close it to end the demo.", flush=True)
    with _virtual_display() if headless else contextlib.nullcontext({}) as display:
        try:
            ended = subprocess.run(
                command,
                env={**environment, **display},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
                timeout=DESKTOP_LIMIT if headless else None,
            )
        except subprocess.TimeoutExpired as late:
            said = (late.stdout or b"").decode(errors="replace")
            raise Failed(f"the QGIS desktop did not end within {DESKTOP_LIMIT} s.\n{said}") from None
    lines = [line for line in ended.stdout.splitlines() if line.startswith("minicuber demo: ")]
    if not picture.is_file() or lines:
        raise Failed("\n".join(lines or ended.stdout.splitlines()[-30:] or ["QGIS ended early."]))


@contextlib.contextmanager
def _virtual_display() -> Iterator[dict[str, str]]:
    """Start Xvfb on a free display and give the variables that lead to it."""
    program = shutil.which("Xvfb")
    if program is None:
        raise Failed("there is no display and no Xvfb: install the package xvfb.")
    reader, writer = os.pipe()
    command = [program, "-displayfd", str(writer), "-screen", "0", SCREEN, "-nolisten", "tcp"]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, pass_fds=[writer], **quiet)
    os.close(writer)
    # The read below ends when the server answers or dies; this is for one that does neither.
    watchdog = threading.Timer(30, server.kill)
    watchdog.start()
    try:
        with os.fdopen(reader, encoding="ascii") as file:
            number = file.readline().strip()
        watchdog.cancel()
        if not number:
            raise Failed("Xvfb did not start.")
        yield {"DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb", "LIBGL_ALWAYS_SOFTWARE": "1"}
    finally:
        watchdog.cancel()
        server.terminate()
        server.wait()


def _program(name: str) -> str:
    # The wrapper of Debian 12's qgis_process adds an option that its program refuses.
    found = shutil.which(f"{name}.bin") or shutil.which(name)
    if found is None:
        raise Failed(f"there is no {name} on this machine: install QGIS.")
    return found


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1])))
    except KeyboardInterrupt:
        sys.exit(130)
