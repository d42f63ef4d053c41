"""The job that exports context and target pairs of cubes as a dataset for machine learning.

Two passes. The first opens each cube once and decides on all samples and their splits, without reading images. The
second streams cube by cube, a block of pixels at a time. The dataset grows beside its place, with a journal; it takes
its place whole.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from ..progress import Progress
from .cubes import OpenCubes
from .document import document_of, write_document
from .index import write_index
from .npz import MAX_BYTES
from .output import DOCUMENT, check_space, checked_folder, commit, growing
from .parameters import ExportParameters, checked
from .planning import DatasetPlan, make_plan, work_key
from .samples import SPLITS
from .work import Work, bytes_per_sample

log = logging.getLogger(__name__)
PACKED_SHARE = 0.5  # of the arrays' bytes, that a dataset takes at least
PER_FILE = 3000  # bytes of a file besides, with its place on the disk
PLANNING, WRITING, INDEXING, PAGE = 0.15, 0.85, 0.9, 0.98  # of the progress


@dataclass(frozen=True)
class ExportResult:
    """`output`: the dataset's folder; `index`: its index.gpkg; `counts`: samples by split; `leaks`: whether SMOOTHING
    lets a context know what comes after it."""

    output: str
    index: str
    n_samples: int
    counts: dict = field(default_factory=dict)
    leaks: bool = False


def export_dataset(parameters: ExportParameters, progress: Progress) -> ExportResult:
    """Write the dataset at `parameters.output`.

    Raises `InputError` for what the user gave, before anything is written; `StorageError` for what cannot be read or
    written; `Cancelled`.
    """
    p = checked(parameters)
    target = checked_folder(p.output)
    with OpenCubes() as opened:
        return _exported(p, target, opened, progress)


def _exported(p: ExportParameters, target: Path, opened: OpenCubes, progress: Progress) -> ExportResult:
    plan = make_plan(p, opened, progress.part(0.0, PLANNING))
    _tell(plan)
    n_samples, size = plan.counts.total(), bytes_per_sample(plan.layout, p)
    if size > MAX_BYTES:
        raise InputError(
            f"A sample would have {size / 1e9:.1f} GB, and its file can have 4.",
            "Choose a smaller PATCH_SIZE, CONTEXT or TARGET, or fewer VARIABLES.",
        )
    n_files = 0 if p.format == "npz-sharded" else n_samples
    check_space(target, int(n_samples * size * PACKED_SHARE) + n_files * PER_FILE)
    with growing(target, work_key(p, plan), progress) as grown:
        work = Work(plan.cubes, plan.layout, p, grown, opened)
        work.run(progress.part(PLANNING, WRITING))
        counts = work.state.counts
        if not counts.total():
            raise InputError(
                "No sample has enough seen values.",
                "Lower MIN_SEEN_CONTEXT or MIN_SEEN_TARGET, or check the cubes.",
            )
        progress.update(WRITING, "Index")
        write_index(grown.folder / "index.gpkg", work.tables())
        baselines = work.baselines(progress.part(INDEXING, PAGE))
        document = document_of(p, plan, counts, work.state.dropped, work.statistics(), baselines)
        write_document(grown.folder / DOCUMENT, document)
        if p.page:
            from .page import write_page  # drawing takes longer to import than all the rest

            progress.update(PAGE, "Page")
            write_page(grown.folder, document)
        commit(grown, target, progress)
    _warn(counts, p)
    said = {split: counts[number] for number, split in enumerate(SPLITS)}
    log.info(
        "%s samples: %s.", f"{counts.total():,}", ", ".join(f"{split} {n:,}" for split, n in said.items())
    )
    return ExportResult(str(target), str(target / "index.gpkg"), counts.total(), said, p.smoothing == "whole")


def _tell(plan: DatasetPlan) -> None:
    layout = plan.layout
    log.info(
        "%d cubes; context %s; target %s; weather %s; static %s.",
        len(plan.cubes),
        *(
            ", ".join(names) or "none"
            for names in (layout.context, layout.target, layout.weather, layout.static)
        ),
    )
    for kind, count in plan.dropped.items():
        for reason, number in sorted(count.items()):
            log.info("%s %s left out: %s.", f"{number:,}", kind, reason)
    log.info("%s", plan.leak.sentence())


def _warn(counts: Counter, p: ExportParameters) -> None:
    if p.smoothing == "whole":
        log.warning("SMOOTHING whole: contexts may know what comes after them; dataset.json says so.")
    if p.split not in ("none", "kfold"):
        for number, split in enumerate(SPLITS):
            if not counts[number]:
                log.warning(
                    "The split %s has no sample; few cubes are split by pixel or block, not by cube.", split
                )
