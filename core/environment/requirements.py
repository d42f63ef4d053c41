"""Reads what the core needs: the wanted packages, and the lock with their exact versions and hashes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ..errors import EnvironmentProblem

HERE = Path(__file__).resolve().parent
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)[ \t]*==[ \t]*([^\s;\\]+)", re.MULTILINE)
_WANTED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]\n]*\])?[ \t]*([^;#\n]*)", re.MULTILINE)


@dataclass(frozen=True)
class Requirements:
    """The packages of an environment.

    `lock`: pip's requirements with hashes; `wanted`: distribution name to smallest version ("" if any
    serves), the packages that the core imports; `extra`: a developer's further requirements, may be None;
    `pins`: the lock's names and versions; `digest`: of all that.
    """

    lock: Path
    wanted: dict[str, str]
    extra: Optional[Path]
    pins: dict[str, str]
    digest: str

    @classmethod
    def read(
        cls, lock: Optional[Path] = None, wanted: Optional[Path] = None, extra: Optional[Path] = None
    ) -> Requirements:
        """Read them; default: the files beside this one. A lock elsewhere has its wanted file beside it."""
        lock = HERE / "requirements.lock" if lock is None else Path(lock)
        wanted = lock.with_suffix(".in") if wanted is None else Path(wanted)
        extra = None if extra is None else Path(extra).resolve()
        text = _content(lock)
        digest = hashlib.sha256(text.encode("utf-8"))
        if extra is not None:
            digest.update(b"\0extra\0" + _content(extra).encode("utf-8"))
        minima = {}
        for name, bounds in _WANTED.findall(_content(wanted)):
            smallest = re.search(r"[>=~]=\s*([0-9][0-9A-Za-z.]*)", bounds)
            minima.setdefault(normal(name), smallest.group(1) if smallest else "")
        pins = {normal(name): version for name, version in _PIN.findall(text)}
        return cls(lock.resolve(), minima, extra, pins, digest.hexdigest())

    @property
    def count(self) -> int:
        """How many packages the lock names; a few are for some versions of Python alone."""
        return len(self.pins)


def normal(name: str) -> str:
    """Return a distribution's name as the package index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def at_least(version: str, minimum: str) -> bool:
    """Whether a release is not older than another, by the numbers at its start."""
    return _numbers(version) >= _numbers(minimum)


def _numbers(version: str) -> tuple[int, ...]:
    start = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in start.group(0).split(".")] if start else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _content(path: Path) -> str:
    """The file without comments and with one kind of line end: what else changes needs no new environment."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise EnvironmentProblem(
            f"The list of packages {path} cannot be read: {error.strerror or error}.",
            "Install the plugin again.",
        ) from error
    lines = (line.rstrip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.lstrip().startswith("#")) + "\n"
