"""`dataset.json`: what a dataset holds and how it came about."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ... import __version__
from ..errors import InputError
from ..grid import Grid
from ..timeline import now
from .npz import write_whole
from .output import DOCUMENT
from .parameters import ExportParameters
from .plan import CubePlan
from .planning import VERSION, DatasetPlan
from .samples import SPLITS
from .selection import Units


def document_of(
    parameters: ExportParameters,
    plan: DatasetPlan,
    counts: Counter,
    dropped: Counter,
    statistics: dict[str, Any],
    baselines: dict[str, Any],
) -> dict[str, Any]:
    """The document of a dataset. `counts`: samples by the number of their split; `dropped`: samples while reading."""
    p = parameters
    leaking = p.smoothing == "whole"
    layout = plan.layout
    return {
        "format": "minicuber dataset",
        "format_version": VERSION,
        "parameters": asdict(p),
        "variables": {
            "context": _described(layout.context, plan.variables),
            "target": _described(layout.target, plan.variables),
            "weather": _described(layout.weather, plan.variables),
            "static": _described(layout.static, plan.variables),
            **({"file": _described(plan.file_variables, plan.variables)} if plan.file_variables else {}),
        },
        "counts": {split: counts[number] for number, split in enumerate(SPLITS)},
        "n_samples": counts.total(),
        "dropped": {
            kind: dict(sorted((plan.dropped[kind] + (dropped if kind == "samples" else Counter())).items()))
            for kind in plan.dropped
        },
        "leak_check": plan.leak.to_json(),
        "smoothing": {
            "mode": p.smoothing,
            "leaks": leaking,
            "fitted_variables": plan.fitted,
            "note": "values of a context may have been smoothed with values after it" if leaking else "",
        },
        "statistics": {"split": "train", **statistics},
        "baselines": baselines,
        "cubes": [cube_entry(each) for each in plan.cubes],
        "versions": versions(),
        "licences": plan.sources["license"],
        "references": plan.sources["references"],
        "attribution": plan.sources["attribution"],
        "history": [f"{now():%Y-%m-%dT%H:%M:%SZ} minicuber {__version__}: exportdataset"],
    }


def _described(names: Sequence[str], variables: dict[str, dict[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "units": "", **variables.get(name, {})} for name in names]


def cube_entry(plan: CubePlan) -> dict[str, Any]:
    """A cube as the document has it; `plan_of` reads it again."""
    return {
        "name": plan.label,
        "file": plan.path.name,
        "path": str(plan.path),
        "sha256": plan.checksum,
        "stem": plan.name,
        "grid": plan.grid.to_json(),
        "dates": plan.days.astype(str).tolist(),
        "units": len(plan.units),
        "windows": len(plan.starts),
        "samples": plan.count().total(),
    }


def plan_of(entry: dict[str, Any], parameters: dict[str, Any], units: Units, starts: np.ndarray) -> CubePlan:
    """The plan of a cube of a dataset that is there. `parameters`: those of the document."""
    size = int(parameters["patch_size"]) if parameters["unit"] == "patch" else 1
    days = np.array(entry["dates"], "datetime64[D]")
    return CubePlan(
        Path(entry["path"]), entry["name"], entry["stem"], entry["sha256"], Grid(**entry["grid"]), days, size,
        int(parameters["context"]), int(parameters["target"]), units, starts,
    )  # fmt: skip


def versions() -> dict[str, str]:
    """Of the programs that made the dataset."""
    return {
        "minicuber": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "xarray": xr.__version__,
    }


def write_document(path: Path, document: dict[str, Any]) -> None:
    """Write a document as JSON, whole; what is not finite is null."""
    text = json.dumps(_plain(document), indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(path, text.encode() + b"\n")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def read_document(folder: Path) -> dict[str, Any]:
    """The document of a dataset. Raises `InputError`."""
    path = Path(folder) / DOCUMENT
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            f"{folder} is no dataset: it has no {DOCUMENT}.", "Choose the folder of an exported dataset."
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}).") from error
    if not isinstance(document, dict) or document.get("format_version") != VERSION:
        raise InputError(f"{path} is not of a version that this release knows.", "Export the dataset anew.")
    return document
