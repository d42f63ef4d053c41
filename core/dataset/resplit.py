"""The job that splits a dataset anew: it writes `splits/NAME.json` and leaves the arrays and the index as they are.

A split file has, for each sample of the index in its order, "train", "val", "test" or "" (left out), and its fold.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from ... import __version__
from ..errors import InputError, StorageError
from ..jobs import from_json
from ..progress import Progress
from ..timeline import now
from .document import plan_of, read_document, write_document
from .index import Table, read_index
from .output import storage_error
from .parameters import SPLIT_KINDS, ExportParameters, checked_split
from .plan import DROPPED, CubePlan
from .samples import SPLITS
from .selection import Units
from .splits import assign_splits

log = logging.getLogger(__name__)
NAME = re.compile(r"[\w][\w.-]*")


@dataclass(frozen=True)
class ResplitParameters:
    """`dataset`: its folder, or a file in it. `name`: of the split; `split`, `split_options`, `split_places`,
    `places_crs`, `seed` as of an export."""

    dataset: str = ""
    name: str = ""
    split: str = "random"
    split_options: dict = field(default_factory=dict)
    split_places: str = ""
    places_crs: str = "EPSG:4326"
    seed: int = 0


@dataclass(frozen=True)
class ResplitResult:
    """`output`: the split's file; `counts`: samples by split."""

    output: str
    n_samples: int
    counts: dict = field(default_factory=dict)


def resplit_dataset(parameters: ResplitParameters, progress: Progress) -> ResplitResult:
    """Write `splits/NAME.json` of a dataset. Raises `InputError`, `StorageError`."""
    p = parameters
    if not p.dataset:
        raise InputError("DATASET is missing.", "Give the folder of an exported dataset.")
    if not NAME.fullmatch(p.name):
        raise InputError(
            f"SPLIT_NAME is no name of a file: {p.name!r}.", "Take letters, digits, points, - and _."
        )
    if p.split not in SPLIT_KINDS:
        raise InputError(f"SPLIT is not known: {p.split!r}.", f"It is one of {', '.join(SPLIT_KINDS)}.")
    options = checked_split(p.split, p.split_options)
    if p.split == "column" and not p.split_places and not options["layer"]:
        raise InputError(
            "SPLIT column needs a layer in SPLIT_OPTIONS.", '{"layer": "regions", "field": "split"}'
        )
    folder = Path(p.dataset).absolute()
    folder = folder.parent if folder.is_file() else folder
    document = read_document(folder)
    progress.update(0.1, "Reading the index")
    table = read_index(folder)
    plans, places = _plans(document, table)
    progress.update(0.4, "Splits")
    like = ExportParameters(
        split=p.split,
        split_options=p.split_options,
        split_places=p.split_places,
        places_crs=p.places_crs,
        seed=p.seed,
    )
    dropped, leak = assign_splits(plans, like, progress)
    splits, folds = _per_sample(plans, places, len(table["row"]))
    names = np.array(["", *SPLITS], dtype=object)[splits + 1]
    counts = Counter(splits[splits != DROPPED].tolist())
    if not counts:
        raise InputError("No sample is left after the split.", "Check SPLIT_OPTIONS.")
    said = {split: counts[number] for number, split in enumerate(SPLITS)}
    output = folder / "splits" / f"{p.name}.json"
    written = {
        "format": "minicuber split",
        "format_version": document["format_version"],
        "name": p.name,
        "parameters": asdict(p),
        "counts": said,
        "dropped": dict(sorted(dropped.items())),
        "leak_check": leak.to_json(),
        "history": [f"{now():%Y-%m-%dT%H:%M:%SZ} minicuber {__version__}: resplitdataset"],
        "sample_id": table["sample_id"].tolist(),
        "split": names.tolist(),
        "fold": folds.tolist(),
    }
    try:
        output.parent.mkdir(exist_ok=True)
        write_document(output, written)
    except OSError as error:
        raise storage_error(error, output) from error
    log.info("%s", leak.sentence())
    return ResplitResult(str(output), counts.total(), said)


def _plans(
    document: dict, table: Table
) -> tuple[list[CubePlan], list[tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """The plans of a dataset's cubes, and of each the rows of the index with their units and windows."""
    try:
        entries = {entry["name"]: entry for entry in document["cubes"]}
        parameters = from_json(ExportParameters, document["parameters"])
    except (KeyError, TypeError) as error:
        raise StorageError(f"dataset.json lacks {error}.", "Export the dataset anew.") from error
    plans, places = [], []
    for name, entry in entries.items():
        rows = np.flatnonzero(table["cube"] == name)
        if not len(rows):
            continue
        pixels = np.stack([table["pixel_row"][rows], table["pixel_column"][rows]], axis=1)
        unique, first, unit = np.unique(pixels, axis=0, return_index=True, return_inverse=True)
        lon, lat = table["lon"][rows][first], table["lat"][rows][first]
        units = Units(unique[:, 0].astype(np.int32), unique[:, 1].astype(np.int32), lon, lat)
        days = np.array(entry["dates"], "datetime64[D]")
        begun = np.searchsorted(days, table["context_start"][rows].astype("datetime64[D]"))
        starts, window = np.unique(begun, return_inverse=True)
        plan = plan_of(entry, asdict(parameters), units, starts.astype(np.int32))
        plan.keep = np.zeros((len(units), len(starts)), bool)
        plan.keep[unit.ravel(), window.ravel()] = True
        plans.append(plan)
        places.append((rows, unit.ravel(), window.ravel()))
    return plans, places


def _per_sample(
    plans: list[CubePlan], places: list[tuple[np.ndarray, np.ndarray, np.ndarray]], n_samples: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split and fold of each row of the index; `DROPPED` of those left out."""
    splits, folds = np.full(n_samples, DROPPED, np.int8), np.full(n_samples, -1, np.int16)
    for plan, (rows, units, windows) in zip(plans, places, strict=True):
        splits[rows], folds[rows] = plan.splits()[units, windows], plan.fold[units]
    return splits, folds
