"""`index.html`: a dataset at a glance: counts, a map of its samples, histograms of its variables, samples as curves.

Pictures are drawn of what was written, a bounded number of samples of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..report.figures import curves_of_samples, histograms, map_of_points
from ..report.page import Page
from .index import Table, read_index
from .samples import SPLITS

SAMPLES = 200  # of which histograms are drawn
VALUES_HELD = 1 << 25  # of them together: patches are large
CURVES = 6
MOST_POINTS = 20_000  # on the map
SHOWN = ("count", "mean", "std", "min", "0.05", "0.5", "0.95", "max")
SCORES = ("rmse", "mae", "r2", "n")
PAGE = "index.html"


def write_page(folder: Path, document: dict[str, Any]) -> None:
    """Write the page of a dataset in its folder, whose arrays and index are there. Raises `StorageError`."""
    index = read_index(folder, MOST_POINTS)
    page = Page(f"Dataset of {document['n_samples']:,} samples")
    parameters = document["parameters"]
    page.paragraph(
        f"{parameters['context']} steps of context, {parameters['target']} of target, format {parameters['format']}, "
        f"from {len(document['cubes'])} cubes."
    )
    if document["smoothing"]["leaks"]:
        page.paragraph(
            "Its values were smoothed over the whole series: contexts know the future (SMOOTHING whole)."
        )
    page.heading("Samples")
    page.table(("Split", "Samples"), [(split, document["counts"].get(split, 0)) for split in SPLITS])
    left = [
        (kind, reason, count)
        for kind, reasons in document["dropped"].items()
        for reason, count in reasons.items()
    ]
    if left:
        page.table(("Left out", "Why", "Number"), left)
    page.paragraph(_leak_sentence(document["leak_check"]))
    page.picture(_map(index), "Where the samples lie, by split.")
    _statistics(page, document)
    _baselines(page, document)
    samples = _some(folder, index, document)
    if samples:
        page.heading("Values")
        page.picture(
            histograms({name: values.ravel() for name, values in _by_variable(samples, document).items()}),
            f"Context and target values of {len(samples)} samples, spread evenly over the training split.",
        )
        page.picture(
            curves_of_samples(_curves(samples[:: max(1, len(samples) // CURVES)][:CURVES], document)),
            "Samples: context in blue, target in orange.",
        )
    page.heading("Parameters")
    page.table(("Parameter", "Value"), [(name.upper(), _plain(value)) for name, value in parameters.items()])
    page.write(folder / PAGE)


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _leak_sentence(check: dict[str, Any]) -> str:
    return f"Leak check {'passed' if check['passed'] else 'failed'}: {check['rule']}."


def _map(index: Table) -> bytes:
    step = max(1, len(index["lon"]) // MOST_POINTS)
    split = index["split"][::step]
    lon, lat = index["lon"][::step], index["lat"][::step]
    return map_of_points({each: (lon[split == each], lat[split == each]) for each in SPLITS})


def _statistics(page: Page, document: dict[str, Any]) -> None:
    for kind in ("context", "target", "weather", "static"):
        found = document["statistics"].get(kind) or {}
        if not found:
            continue
        page.heading(f"Training split: {kind}")
        rows = []
        for name, numbers in found.items():
            flat = {**numbers, **numbers.get("quantiles", {})}
            rows.append([name, *(flat.get(each, "") if flat.get(each) is not None else "" for each in SHOWN)])
        page.table(("Variable", *SHOWN), rows)


def _baselines(page: Page, document: dict[str, Any]) -> None:
    rows = [
        (split, method, variable, *("" if scores.get(each) is None else scores[each] for each in SCORES))
        for split, methods in document["baselines"].items()
        if isinstance(methods, dict)
        for method, variables in methods.items()
        if isinstance(variables, dict)
        for variable, scores in variables.items()
        if isinstance(scores, dict)
    ]  # fmt: skip
    if rows:
        page.heading("What a model must beat")
        page.table(("Split", "Method", "Variable", "RMSE", "MAE", "R2", "Values"), rows)


def _some(folder: Path, index: Table, document: dict[str, Any]) -> list[dict[str, np.ndarray]]:
    """Arrays of some training samples, in the order of the index; none for formats without context and target."""
    rows = np.flatnonzero(index["split"] == "train")
    if not len(rows):
        rows = np.arange(len(index["split"]))
    rows = rows[np.linspace(0, len(rows) - 1, min(SAMPLES, len(rows))).astype(int)]
    samples, opened = [], ("", None)
    for row in rows:
        path = folder / str(index["file"][row])
        if path.suffix != ".npz":
            return []
        if opened[0] != str(path):
            with np.load(path) as file:
                if "context" not in file.files or "target" not in file.files:
                    return []
                keys = [
                    key for key in ("context", "target", "context_time", "target_time") if key in file.files
                ]
                opened = (str(path), {key: file[key] for key in keys})
        arrays = opened[1]
        if document["parameters"]["format"] == "npz-sharded":
            number = int(index["row"][row])
            arrays = {key: values[number].copy() for key, values in arrays.items()}
        samples.append(arrays)
        if len(samples) * sum(values.size for values in arrays.values()) > VALUES_HELD:
            break
    return samples


def _names(kind: str, samples: list[dict[str, np.ndarray]], document: dict[str, Any]) -> list[str]:
    known = document["variables"]
    names = [each["name"] for each in known.get("file", known[kind])]
    count = samples[0][kind].shape[0]
    return names if len(names) == count else [f"{kind} {number + 1}" for number in range(count)]


def _by_variable(samples: list[dict[str, np.ndarray]], document: dict[str, Any]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for kind in ("target", "context"):
        for number, name in enumerate(_names(kind, samples, document)):
            values = np.concatenate([each[kind][number].ravel() for each in samples])
            found[name] = np.concatenate([found[name], values]) if name in found else values
    return found


def _curves(samples: list[dict[str, np.ndarray]], document: dict[str, Any]) -> list[tuple]:
    """(title, x and y of the context, x and y of the target) of the target's last variable, whose curve is shown."""
    targets, contexts = _names("target", samples, document), _names("context", samples, document)
    ndvi = next((name for name in targets if "ndvi" in name.lower()), targets[-1])
    number = targets.index(ndvi)
    curves = []
    for each in samples:
        target = _mean(each["target"][number])
        x_target = each.get("target_time", np.arange(len(target)))
        context, x_context = np.empty(0), x_target[:0]
        if ndvi in contexts or len(contexts) == len(targets):
            context = _mean(each["context"][contexts.index(ndvi) if ndvi in contexts else number])
            x_context = each.get("context_time", np.arange(-len(context), 0))
        curves.append((ndvi, x_context, context, x_target, target))
    return curves


def _mean(values: np.ndarray) -> np.ndarray:
    """(time,) of (time[, y, x])."""
    flat = values.reshape(len(values), -1).astype(float)
    count = np.isfinite(flat).sum(axis=1)
    return np.where(count > 0, np.nansum(flat, axis=1) / np.maximum(count, 1), np.nan)
