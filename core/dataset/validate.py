"""Checks that a dataset is what its format says, for datasets of this package and of others.

    python -m minicuber.core.dataset.validate FOLDER [FORMAT]

prints the faults and ends with 1 where there are any. Each file is read whole, so that broken ones are found.
"""

from __future__ import annotations

import json
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, MinicuberError
from ..progress import Progress
from .arrays import KEYS, NAMES
from .formats.checks import Loaded, check_earthnet2021, check_greenearthnet, check_seed
from .index import read_index
from .parameters import FORMAT_NAMES
from .report_of_faults import Report
from .samples import SPLITS

DOCUMENT, INDEX = "dataset.json", "index.gpkg"
FLOATS = ("context", "target", "weather", "static")
TIMES = ("context_time", "target_time", "weather_time")
FILLED = ("context_filled", "target_filled")


def validate_dataset(path: Path | str, format: str = "", progress: Progress | None = None) -> Report:
    """Check all files of the dataset in the folder `path`; `format` of `FORMAT_NAMES`, else as its dataset.json says.

    Raises `InputError` when there is no such folder or format, or nothing says which format it is.
    """
    folder, progress = Path(path).absolute(), progress or Progress()
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", "Choose the folder of a dataset.")
    document = _document(folder)
    name = format or (document or {}).get("parameters", {}).get("format", "")
    if name not in FORMAT_NAMES:
        raise InputError(
            f"{folder.name} has no dataset.json that says its format."
            if not name
            else f"There is no format {name!r}.",
            f"Give one of {', '.join(FORMAT_NAMES)}.",
        )
    report = Report(name)
    ending = ".nc" if name == "greenearthnet" else ".npz"
    files = sorted(each for each in folder.rglob(f"*{ending}") if not each.name.startswith("."))
    report.check(files, "", f"there is no file *{ending}")
    for each in folder.rglob("*.part"):
        report.add(each.relative_to(folder).as_posix(), "is a file that was never finished")
    check = _CHECKS[name]
    check(folder, [each.relative_to(folder).as_posix() for each in files], document, report, progress)
    return report


def _document(folder: Path) -> dict[str, Any] | None:
    """dataset.json; None where there is none. Raises `InputError` when it is unreadable."""
    path = folder / DOCUMENT
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}).", "Export the dataset anew.") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} is no description of a dataset.", "Export the dataset anew.")
    return found


def load(path: Path) -> dict[str, np.ndarray] | str:
    """All arrays of an npz, read whole; a text where that is not possible."""
    try:
        with np.load(path, allow_pickle=False) as npz:
            return {key: npz[key] for key in npz}
    except ValueError as error:
        return "needs pickle" if "pickle" in str(error) else f"cannot be read: {error}"
    except (OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        return f"cannot be read: {error}"


def check_npz(
    folder: Path, files: list[str], document: dict[str, Any] | None, report: Report, progress: Progress
) -> None:
    """The checks of `npz` and `npz-sharded`, and of the index and the description beside them."""
    sharded = report.format == "npz-sharded"
    parameters = (document or {}).get("parameters", {})
    first: dict[str, Any] = {}
    rows: dict[str, list[str]] = {}
    report.check(document, "", f"there is no {DOCUMENT}")
    for number, file in enumerate(files):
        progress.update(number / len(files), file)
        report.n_files += 1
        report.check(file.split("/")[0] in SPLITS, file, "does not lie in train, val or test")
        arrays = load(folder / file)
        if isinstance(arrays, str):
            report.add(file, arrays)
            continue
        lacking = [key for key in KEYS if key not in arrays]
        if not report.check(not lacking, file, f"lacks {', '.join(lacking)}"):
            continue
        if not sharded:
            arrays = {key: each if key in NAMES else each[None] for key, each in arrays.items()}
        if _check_shapes(arrays, file, report):
            _check_values(arrays, file, report)
            _check_alike(arrays, parameters, first, file, report)
        rows[file] = [str(each) for each in np.atleast_1d(arrays["sample_id"]).ravel()]
        report.n_samples += len(rows[file])
    _check_index(folder, rows, document, report)


def _check_shapes(arrays: dict[str, np.ndarray], file: str, report: Report) -> bool:
    """Whether kinds and shapes fit each other; arrays with a leading axis of samples."""
    before = report.n_faults
    n = arrays["sample_id"].size
    for key in (*FLOATS, *TIMES, *FILLED):
        report.check(arrays[key].shape[:1] == (n,), file, f"{key} has not as many samples as sample_id")
    for key in FLOATS:
        report.check(arrays[key].dtype == np.float32, file, f"{key} is not float32")
        least = 2 if key == "static" else 3
        report.check(arrays[key].ndim in (least, least + 2), file, f"{key} has {arrays[key].ndim - 1} axes")
    for key in TIMES:
        report.check(arrays[key].dtype == np.dtype("datetime64[D]"), file, f"{key} is not datetime64[D]")
    for key in NAMES:
        text = arrays[key].dtype.kind == "U" or not arrays[key].size
        report.check(arrays[key].ndim == 1 and text, file, f"{key} is no list of names")
    report.check(arrays["lonlat"].shape == (n, 2), file, "lonlat is not two numbers")
    report.check(arrays["sample_id"].dtype.kind == "U", file, "sample_id is no text")
    if report.n_faults > before:
        return False
    for key in FLOATS:
        names = arrays[f"{key}_variables"]
        report.check(
            arrays[key].shape[1] == names.size, file, f"{key} has not as many variables as {key}_variables"
        )
        report.check(len(set(names.tolist())) == names.size, file, f"{key}_variables has a name twice")
    for key in ("context", "target"):
        report.check(
            arrays[key].shape[2] == arrays[f"{key}_time"].shape[1],
            file,
            f"{key} has not as many steps as {key}_time",
        )
        filled = arrays[f"{key}_filled"]
        report.check(filled.dtype == bool, file, f"{key}_filled is not bool")
        report.check(filled.shape == arrays[key].shape, file, f"{key}_filled has not the shape of {key}")
    report.check(
        arrays["context"].shape[3:] == arrays["target"].shape[3:] and arrays["context"].shape[3:] in (
            (), arrays["static"].shape[2:] or arrays["context"].shape[3:]
        ),
        file, "context, target and static differ in their pixels",
    )  # fmt: skip
    steps = arrays["context"].shape[2] + arrays["target"].shape[2]
    weather = arrays["weather"].shape[2], arrays["weather_time"].shape[1]
    report.check(weather == (steps, steps), file, "weather does not have the steps of context and target")
    return report.n_faults == before


def _check_values(arrays: dict[str, np.ndarray], file: str, report: Report) -> None:
    for key in FLOATS:
        report.check(not np.isinf(arrays[key]).any(), file, f"{key} holds infinite values")
    for key in TIMES:
        times = arrays[key]
        missing = np.isnat(times).any()
        report.check(not missing, file, f"{key} has a date missing")
        rises = missing or np.all(np.diff(times, axis=1) > np.timedelta64(0, "D"))
        report.check(rises, file, f"{key} does not rise")
    apart = arrays["target_time"][:, 0] > arrays["context_time"][:, -1]
    report.check(apart.all(), file, "the target does not begin after the context")
    late = arrays["weather_time"][:, 0] >= arrays["context_time"][:, 0]
    report.check(late.all(), file, "the weather begins before the context")
    for key in ("context", "target"):
        filled = arrays[f"{key}_filled"] & ~np.isfinite(arrays[key])
        report.check(not filled.any(), file, f"{key}_filled marks values that are missing")
    lon, lat = arrays["lonlat"].astype(float).T
    report.check(
        (np.abs(lon) <= 180).all() and (np.abs(lat) <= 90).all(), file, "lonlat is no place in degrees"
    )


def _check_alike(
    arrays: dict[str, np.ndarray],
    parameters: dict[str, Any],
    first: dict[str, Any],
    file: str,
    report: Report,
) -> None:
    for key in NAMES:
        expected = first.setdefault(key, arrays[key].tolist())
        report.check(arrays[key].tolist() == expected, file, f"{key} differ from those of the first file")
    for key in FLOATS:
        expected = first.setdefault(key, arrays[key].shape[1:])
        report.check(arrays[key].shape[1:] == expected, file, f"{key} has not the shape of the first file")
    for key in ("context", "target"):
        steps = parameters.get(key, arrays[key].shape[2])
        report.check(arrays[key].shape[2] == steps, file, f"{key} has not the {steps} steps of {DOCUMENT}")


def _check_index(
    folder: Path, rows: dict[str, list[str]], document: dict[str, Any] | None, report: Report
) -> None:
    """Whether index, description and files name the same samples."""
    known: Counter = Counter(sample for samples in rows.values() for sample in samples)
    for sample, count in known.items():
        report.check(count == 1, "", f"the sample {sample} is there {count} times")
    if not report.check((folder / INDEX).is_file(), "", f"there is no {INDEX}"):
        return
    try:
        index = read_index(folder)
    except MinicuberError as error:
        report.add(INDEX, error.message)
        return
    said = Counter(map(str, index["split"]))
    for split, count in (document or {}).get("counts", {}).items():
        report.check(
            said[split] == count, INDEX, f"has {said[split]} samples in {split}, {DOCUMENT} says {count}"
        )
    seen = set()
    for file, row, sample in zip(index["file"], index["row"], index["sample_id"], strict=True):
        file, row = str(file), int(row)
        if not report.check(
            file in rows or (folder / file).is_file(), INDEX, f"names {file}, which is not there"
        ):
            continue
        if file not in rows:
            continue  # a file whose own fault is told
        right = 0 <= row < len(rows[file]) and rows[file][row] == str(sample)
        report.check(right, INDEX, f"names a sample of {file} that is not in its row {row}")
        seen.add(str(sample))
    for sample in known:
        report.check(sample in seen, INDEX, f"does not have the sample {sample}")


def _other(check: Callable[[Loaded], None]) -> Callable[..., None]:
    def run(
        folder: Path, files: list[str], document: dict[str, Any] | None, report: Report, progress: Progress
    ) -> None:
        check(Loaded(folder, files, load, report, progress))
        if (folder / INDEX).is_file():
            for file in sorted(set(map(str, read_index(folder)["file"]))):
                report.check((folder / file).is_file(), INDEX, f"names {file}, which is not there")

    return run


_CHECKS: dict[str, Callable[..., None]] = {
    "npz": check_npz,
    "npz-sharded": check_npz,
    "seed": _other(check_seed),
    "earthnet2021": _other(check_earthnet2021),
    "greenearthnet": _other(check_greenearthnet),
}


def main(arguments: list[str]) -> int:
    """The command: 0 without faults, 1 with faults, 2 where nothing could be checked."""
    if len(arguments) not in (1, 2):
        print(
            f"Give the folder of a dataset, and its format: one of {', '.join(FORMAT_NAMES)}.",
            file=sys.stderr,
        )
        return 2
    try:
        report = validate_dataset(*arguments)
    except MinicuberError as error:
        print(error, file=sys.stderr)
        return 2
    print(report.text())
    return 0 if report.is_valid else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
