"""Runs pip inside a new environment: with the user's network settings, and nothing else of his settings."""

from __future__ import annotations

import ast
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Callable, Optional

from ..errors import EnvironmentProblem
from ..progress import Progress
from .pip_errors import classify
from .processes import child_environ, module_command, python_command, run
from .requirements import Requirements

# Of a user's pip settings (PIP_* and pip.conf) these say how to reach the packages. The others (user, target,
# constraint, no-binary ...) say what to install where, which is ours to decide: "user = true" alone breaks
# pip in every virtual environment.
_NETWORK = {
    "cache-dir",
    "cert",
    "client-cert",
    "default-timeout",
    "extra-index-url",
    "find-links",
    "index-url",
    "keyring-provider",
    "no-cache-dir",
    "no-index",
    "proxy",
    "retries",
    "timeout",
    "trusted-host",
    "use-deprecated",
    "use-feature",
}
_QUIET = ("--disable-pip-version-check", "--no-input", "--no-color")


def pip_settings(python: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the user's pip settings that concern the network, by name ("index-url"); secrets included."""
    # "user = true" in a file would also reach pip's command "config", which then reads one file alone.
    asked = {**environ, "PIP_USER": "0", "PIP_GLOBAL": "0", "PIP_SITE": "0"}
    ended = run(python_command(python, "-m", "pip", "config", "list", *_QUIET), asked, timeout=60)
    settings: dict[str, tuple[int, str]] = {}
    for line in ended.lines:
        match = re.match(r"(:env:|[a-z]+)\.([a-z-]+)=(['\"].*)$", line)
        # pip itself lets a section of a command win over [global], and the environment over both.
        rank = {":env:": 2, "install": 1, "global": 0}.get(match.group(1), -1) if match else -1
        if match is None or rank < 0 or match.group(2) not in _NETWORK:
            continue
        if rank >= settings.get(match.group(2), (-1, ""))[0]:
            try:
                settings[match.group(2)] = (rank, str(ast.literal_eval(match.group(3))))
            except (ValueError, SyntaxError):
                continue
    return {name: value for name, (_rank, value) in settings.items()}


def pip_environ(environ: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` with just these settings for pip, its configuration files shut out."""
    clean = {name: value for name, value in environ.items() if not name.upper().startswith("PIP_")}
    clean.update({f"PIP_{name.upper().replace('-', '_')}": value for name, value in settings.items()})
    clean["PIP_CONFIG_FILE"] = os.devnull
    clean["PIP_ROOT_USER_ACTION"] = "ignore"
    return clean


def install(
    python: Path,
    requirements: Requirements,
    *,
    wheels: Optional[Path],
    environ: Mapping[str, str],
    progress: Progress,
    log: Callable[[str], None],
) -> None:
    """Install the lock, and the developer's extra, into the environment of `python`.

    `wheels`: a folder of wheels to take all from, without any network.
    Raises `EnvironmentProblem`, `Cancelled`.
    """
    environ = child_environ(environ)
    settings = {} if wheels else pip_settings(python, environ)
    if settings:
        log(f"Settings of pip that are used: {', '.join(sorted(settings))}.")
    environ = pip_environ(environ, settings)
    places = ["--no-index", "--find-links", str(Path(wheels).resolve())] if wheels else []
    share = 0.8 if requirements.extra else 1.0
    # Every package stands in the lock, so that nothing needs resolving; pip check looks at the result.
    exact = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "-r", str(requirements.lock)]
    _pip(python, [*places, *exact], environ, requirements.count, progress.part(0.0, share), log)
    if requirements.extra:
        with tempfile.TemporaryDirectory(prefix="minicuber-") as folder:
            arguments = [*places, "-r", str(requirements.extra)]
            if "--hash" not in requirements.extra.read_text(encoding="utf-8"):
                # pip takes hashes in a constraint file for a wish to have hashes everywhere.
                pins = Path(folder, "pins.txt")
                pins.write_text(_pins(requirements), encoding="utf-8")
                arguments += ["-c", str(pins)]
            _pip(python, arguments, environ, requirements.count, progress.part(share, 1.0), log)


def check(python: Path, environ: Mapping[str, str], progress: Progress, log: Callable[[str], None]) -> None:
    """Raise `EnvironmentProblem` if the installed packages do not fit together."""
    clean = pip_environ(child_environ(environ), {})
    ended = run(
        module_command(python, "pip", "check", *_QUIET), clean, progress=progress, on_line=log, held=True
    )
    if ended.code != 0:
        raise classify(ended.lines, "The installed packages do not fit together")


class Steps:
    """Turns pip's lines into progress: downloads take the first 70 %, installing the rest."""

    def __init__(self, total: int) -> None:
        self.total = max(total, 1)
        self.collected = 0
        self.installing = 0

    def line(self, text: str) -> Optional[tuple[float, str]]:
        """Return fraction and words for a line of pip, None if the line says nothing of that kind."""
        match = re.match(r"\s*(Collecting|Processing) (.+?)(?: \(from .*)?$", text)
        if match:
            self.collected += 1
            self.total = max(self.total, self.collected)
            name = re.split(r"[=<>!~\[;]", re.split(r"[\\/]", match.group(2))[-1])[0]
            name = re.sub(r"-\d.*$", "", name)
            words = f"Downloading {name} ({self.collected} of {self.total})"
            return 0.7 * (self.collected - 1) / self.total, words
        match = re.match(r"Installing collected packages: (.*)$", text)
        if match:
            self.installing = match.group(1).count(",") + 1
            return 0.7, f"Installing {self.installing} packages"
        return None

    def installed(self, count: int) -> Optional[tuple[float, str]]:
        """Return fraction and words when `count` packages lie there; pip itself is silent meanwhile."""
        if not self.installing:
            return None
        count = min(count, self.installing)
        return 0.7 + 0.3 * count / self.installing, f"Installing ({count} of {self.installing})"


def _pip(
    python: Path,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    total: int,
    progress: Progress,
    log: Callable[[str], None],
) -> None:
    steps = Steps(total)
    library = python.parent.parent
    before = _count(library)
    shown: list[tuple[float, str]] = []

    def show(step: Optional[tuple[float, str]]) -> None:
        if step is not None and shown[-1:] != [step]:
            shown.append(step)
            progress.update(*step)

    def on_line(line: str) -> None:
        log(line)
        show(steps.line(line))

    def on_tick() -> None:
        if steps.installing:
            show(steps.installed(_count(library) - before))

    details = library / "pip.log"
    # pip appends: an earlier failure's causes are not this one's.
    details.unlink(missing_ok=True)
    quiet = (*_QUIET, "--no-warn-script-location", "--progress-bar", "off", "--log", str(details))
    ended = run(
        module_command(python, "pip", "install", *quiet, *arguments),
        environ,
        cwd=library,
        progress=progress,
        on_line=on_line,
        on_tick=on_tick,
        held=True,
    )
    if ended.code < 0:
        raise EnvironmentProblem(
            f"The installation was ended from outside (signal {-ended.code}).", "Run the set-up again."
        )
    if ended.code != 0:
        causes = _causes(details)
        for line in causes:
            log(line)
        raise classify([*ended.lines, *causes])
    details.unlink(missing_ok=True)


def _causes(details: Path) -> list[str]:
    """Why pip got no list of files: it tells this its log alone, and the user "No matching distribution"."""
    try:
        lines = details.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [re.sub(r"^\S+\s+", "", line) for line in lines if "Could not fetch URL" in line][-3:]


def _count(folder: Path) -> int:
    pattern = "Lib/site-packages/*.dist-info" if os.name == "nt" else "lib/python3*/site-packages/*.dist-info"
    return sum(1 for _ in folder.glob(pattern))


def _pins(requirements: Requirements) -> str:
    text = requirements.lock.read_text(encoding="utf-8")
    found = re.findall(r"(?m)^([A-Za-z0-9][^\s;]*==[^\s;\\]+)([^\\\n]*)", text)
    return "".join(f"{pin}{marker.rstrip()}\n" for pin, marker in found)
