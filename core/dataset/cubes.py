"""The cubes of a dataset: which files they are, what each holds, and their values as plain arrays."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import logging
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..cube.axes import TimeAxis, bounds_names, time_axis
from ..cube.encoding import Encoding, Variable
from ..cube.kinds import kind_of
from ..cube.part import is_zarr
from ..cube.read import cube_path, grid_of, one_line, read_cube
from ..errors import InputError, StorageError
from ..grid import Grid

log = logging.getLogger(__name__)
WEATHER = "era5_"
LOG_COLUMNS = ("cube", "output", "path", "file")
FAILED = ("failed", "error", "skipped", "cancelled")
READ_AT_ONCE = 1 << 24  # bytes of a file for its checksum


@dataclass(frozen=True)
class Kinds:
    """The numeric variables of a cube by what they are in a sample, in the order of the file.

    `images`: on time, those that are no weather; `weather`: era5_* on time; `static`: on y and x alone. `classes`:
    those of them that are classes or dates, not measures; `series`: those on time that have no y and x.
    """

    images: tuple[str, ...]
    weather: tuple[str, ...]
    static: tuple[str, ...]
    classes: frozenset[str]
    series: frozenset[str]


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Says of a cube that its file is damaged, where reading fails: `StorageError`, not that of what is written."""
    try:
        yield
    except (OSError, RuntimeError, zlib.error) as error:
        raise StorageError(
            f"{path.name} is damaged and cannot be read ({one_line(error)}).",
            "Build it anew, or leave it out of CUBES.",
        ) from error


class CubeData:
    """An open cube. `name`: its file without ending; `label`: the same, but unlike that of any other cube of the
    dataset; `cube` as `read_cube` gives it; `grid`, `axis`: its pixels and dates. Close it, or use it in a `with`.
    """

    def __init__(self, path: Path, label: str = "") -> None:
        self.path = cube_path(Path(path))
        self.name = self.path.stem
        self.label = label or self.name
        with reading(self.path):
            self.cube = read_cube(self.path)
        try:
            self.grid: Grid = grid_of(self.cube, self.path.name)
            self.axis: TimeAxis = time_axis(self.cube, "time", self.path.name)
        except BaseException:
            self.cube.close()
            raise

    def __enter__(self) -> CubeData:
        return self

    def __exit__(self, *_) -> None:
        self.cube.close()

    @property
    def days(self) -> np.ndarray:
        """The dates of the time axis, rising: (time,) datetime64[D]."""
        return self.axis.days

    @cached_property
    def kinds(self) -> Kinds:
        """What its variables are in a sample."""
        images, weather, static, classes, series = [], [], [], set(), set()
        bounds = bounds_names(self.cube)
        for name, variable in self.cube.variables.items():
            name, dims = str(name), set(variable.dims)
            if name in self.cube.dims or name in bounds or variable.dtype.kind not in "biuf":
                continue
            if dims in ({"time", "y", "x"}, {"time"}):
                (weather if name.startswith(WEATHER) else images).append(name)
            elif dims == {"y", "x"}:
                static.append(name)
            else:
                continue
            if kind_of(Variable(name, Encoding("float32"), dict(variable.attrs))) in ("classes", "date"):
                classes.add(name)
            if dims == {"time"}:
                series.add(name)
        return Kinds(tuple(images), tuple(weather), tuple(static), frozenset(classes), frozenset(series))

    def variable(self, name: str, steps: slice, rows: slice, columns: slice) -> np.ndarray:
        """The values of a variable, float32: (time, y, x), (time,) or (y, x), dates rising, rows from the north.
        Raises `StorageError`."""
        variable = self.cube.variables[name]
        place = {"y": rows, "x": columns} if "y" in variable.dims else {}
        if "time" in variable.dims:
            place["time"] = self.axis.places(*steps.indices(len(self.days))[:2])
        with reading(self.path):
            return np.asarray(variable.isel(place).values, dtype="float32")

    def attributes(self, name: str) -> dict[str, str]:
        """What a variable says of itself, as text: units, long_name and the like."""
        said = self.cube.variables[name].attrs
        keys = ("units", "long_name", "description", "source", "fitted_from", "fitted_to", "license")
        return {key: str(said[key]) for key in keys if said.get(key) not in (None, "")}


class OpenCubes:
    """Cubes that stay open from one pass to the next, the first few: opening takes longer than reading a small one.

    Close it, or use it in a `with`.
    """

    MOST = 8

    def __init__(self) -> None:
        self._kept: dict[tuple[Path, str], CubeData] = {}

    def __enter__(self) -> OpenCubes:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    @contextlib.contextmanager
    def open(self, path: Path, label: str) -> Iterator[CubeData]:
        """A cube, as `CubeData` opens it."""
        cube = self._kept.get((path, label))
        if cube is not None:
            yield cube
            return
        with contextlib.ExitStack() as stack:
            cube = stack.enter_context(CubeData(path, label))
            yield cube
            if len(self._kept) < self.MOST:
                self._kept[path, label] = cube
                stack.pop_all()

    def close(self) -> None:
        """Close all that are open."""
        while self._kept:
            self._kept.popitem()[1].cube.close()


def resolved_cubes(given: Sequence[str]) -> list[Path]:
    """The cubes that files, folders of cubes and logs of buildminicubes (.csv) name, each once, in this order.

    A folder gives its .nc files and Zarr stores, by name. Raises `InputError` when there is none.
    """
    found: list[Path] = []
    for text in given:
        path = Path(text).absolute()
        if path.suffix.lower() == ".csv":
            found += _logged(path)
        elif path.is_dir() and not is_zarr(path):
            inside = sorted(
                each
                for each in path.iterdir()
                if not each.name.startswith(".")
                and ((each.is_file() and each.suffix.lower() == ".nc") or (each.is_dir() and is_zarr(each)))
            )
            if not inside:
                raise InputError(f"There is no cube in the folder {path}.", "Choose a folder of .nc files.")
            found += inside
        else:
            found.append(cube_path(path))
    if not found:
        raise InputError("CUBES is missing.", "Give cubes, a folder of cubes, or the LOG of buildminicubes.")
    return list(dict.fromkeys(found))


def _logged(path: Path) -> list[Path]:
    """The cubes that a log names, those that failed left out; paths are relative to the log."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"The log {path} cannot be read ({error}).") from error
    columns = [name for name in (rows[0] if rows else {}) if name and name.lower() in LOG_COLUMNS]
    if rows and not columns:
        raise InputError(
            f"{path} is not a log of buildminicubes: it has no column {' or '.join(LOG_COLUMNS)}."
        )
    found, failed = [], 0
    for row in rows:
        states = [str(row.get(key) or "").lower() for key in row if str(key).lower() in ("status", "state")]
        text = str(row[columns[0]] or "").strip()
        if not text or any(state in FAILED for state in states):
            failed += 1
            continue
        found.append(cube_path(path.parent / text))
    if failed:
        log.warning("%d of the %d cubes of %s were not built and are left out.", failed, len(rows), path.name)
    if not found:
        raise InputError(f"{path} names no cube that was built.")
    return found


def labels_of(paths: Sequence[Path]) -> list[str]:
    """A name for each cube, unlike the others: its file's without ending, with as many of the folders above as it
    takes. Names that differ in capitals alone are alike: they would be the same files on Windows and macOS."""
    parts = [[*path.parts[1:-1], path.stem] for path in paths]
    labels = [each[-1] for each in parts]
    for depth in range(2, max(map(len, parts), default=1) + 1):
        count = Counter(label.casefold() for label in labels)
        if max(count.values()) == 1:
            return labels
        labels = [
            label if count[label.casefold()] == 1 else "_".join(each[-depth:])
            for label, each in zip(labels, parts, strict=True)
        ]
    count, seen, taken = Counter(label.casefold() for label in labels), Counter(), set()
    for number, label in enumerate(labels):
        alike = label.casefold()
        if count[alike] > 1:  # a.nc beside a.zarr, A.nc beside a.nc
            seen[alike] += 1
            labels[number] = f"{label}_{paths[number].suffix.lstrip('.') or seen[alike]}"
            if labels[number].casefold() in taken:
                labels[number] = f"{label}_{seen[alike]}"
            taken.add(labels[number].casefold())
    return labels


def checksum_of(path: Path) -> str:
    """SHA-256 of a cube's file; of a Zarr folder that of its files' names and checksums."""
    digest = hashlib.sha256()
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                digest.update(f"{file.relative_to(path).as_posix()}\0{checksum_of(file)}\n".encode())
        return digest.hexdigest()
    with open(path, "rb") as file:
        while data := file.read(READ_AT_ONCE):
            digest.update(data)
    return digest.hexdigest()
