"""The second pass of an export: reads the cubes block by block and writes the files of all samples."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from ..progress import Progress
from .arrays import names_of
from .checkpoints import Checkpoints, State
from .cubes import CubeData, OpenCubes
from .formats import format_of
from .index import Table
from .layout import Layout
from .output import Growing
from .parameters import PLAIN_FORMATS, ExportParameters
from .plan import CubePlan
from .samples import SPLITS, Samples
from .stream import Batch, CubeStream, unit_names, window_names
from .summary import Summary, ToBeat
from .writing import FileWriter, Pool, ShardWriter, file_name, samples_per_shard, shard_name

log = logging.getLogger(__name__)
VAL, TEST = SPLITS.index("val"), SPLITS.index("test")
ROW_TYPES = {"cube": np.int32, "unit": np.int32, "window": np.int32, "split": np.int8}


class Work:
    """Writes the samples of the plans below the growing dataset; `state` says how far it is."""

    def __init__(
        self,
        plans: Sequence[CubePlan],
        layout: Layout,
        parameters: ExportParameters,
        growing: Growing,
        opened: OpenCubes,
    ) -> None:
        self._opened = opened
        self._plans, self._layout, self._parameters, self._folder = plans, layout, parameters, growing.folder
        self._checkpoints = Checkpoints(growing.store)
        self._summary = Summary(layout)
        self._targets = ToBeat(plans, layout, parameters)
        self._rows: dict[str, list[np.ndarray]] = {key: [] for key in ROW_TYPES}
        self._files: list[np.ndarray] = []
        self.per_shard = samples_per_shard(bytes_per_sample(layout, parameters))
        self.state = State()
        self._statistics: dict[str, object] = {}

    def run(self, progress: Progress) -> None:
        """Write all files; goes on where an earlier run was. Raises `OSError`, `Cancelled`."""
        for split in SPLITS:
            (self._folder / split).mkdir(exist_ok=True)
        pool = Pool()
        try:
            self._run(pool, progress)
        finally:
            pool.close()
            self._summary.close()

    def _run(self, pool: Pool, progress: Progress) -> None:
        p, names = self._parameters, names_of(self._layout)
        writer = (
            ShardWriter(self._folder, names, self.per_shard, pool)
            if p.format == "npz-sharded"
            else FileWriter(self._folder, names, pool)
        )
        found = self._checkpoints.load()
        if found is not None:
            log.info("An earlier run is continued at cube %d of %d.", found.cube + 1, len(self._plans))
            self.state = found
            self._summary.restore(found.summary)
            self._targets.restore(found.baselines)
            writer.restore(found.open, found.counts)
        for number in range(self.state.cube, len(self._plans)):
            self._cube(number, writer, progress)
        writer.finish()
        self._save(writer, len(self._plans), 0)
        self._statistics = self._summary.result()

    def _cube(self, number: int, writer: FileWriter | ShardWriter, progress: Progress) -> None:
        plan = self._plans[number]
        if not len(plan.units) or not len(plan.starts):
            return
        with self._opened.open(plan.path, plan.label) as cube:
            stream = CubeStream(cube, plan, self._layout, self._parameters)
            blocks = stream.blocks()
            for block in range(self.state.block if number == self.state.cube else 0, len(blocks)):
                share = (number + block / len(blocks)) / len(self._plans)
                progress.update(share, f"{plan.label}, samples {self.state.counts.total():,}")
                begun = len(self._rows["unit"])
                for batch in stream.batches(blocks[block]):
                    self._take(number, batch, writer)
                    progress.raise_if_cancelled()
                if self._parameters.format not in PLAIN_FORMATS:
                    self._other_format(cube, plan, begun, progress)
                self.state.dropped += stream.dropped
                stream.dropped.clear()
                if self._checkpoints.is_due:
                    after = (number, block + 1) if block + 1 < len(blocks) else (number + 1, 0)
                    self._save(writer, *after)

    def _take(self, number: int, batch: Batch, writer: FileWriter | ShardWriter) -> None:
        count = len(batch.units)
        if batch.split == SPLITS.index("train"):
            self._summary.add(batch.arrays)
            self._targets.fit(number, batch)
        if self._parameters.format in PLAIN_FORMATS:
            writer.add(batch.split, batch.arrays)
        self.state.counts[batch.split] += count
        values = {"cube": number, "unit": batch.units, "window": batch.window, "split": batch.split}
        for key, value in values.items():
            self._rows[key].append(np.broadcast_to(np.asarray(value, ROW_TYPES[key]), (count,)))

    def _other_format(self, cube: CubeData, plan: CubePlan, begun: int, progress: Progress) -> None:
        """Write the samples of a block, whose rows are those from the piece `begun` on, in a format of others: after
        those with too few seen values have gone."""
        pieces = {key: parts[begun:] for key, parts in self._rows.items()}
        if not pieces["unit"]:
            return
        rows = {key: np.concatenate(parts) for key, parts in pieces.items()}
        chosen = plan.units.take(rows["unit"])
        samples = Samples(
            chosen.row, chosen.column, plan.starts[rows["window"]], rows["split"], plan.fold[rows["unit"]],
            chosen.lon, chosen.lat,
        )  # fmt: skip
        form = format_of(self._parameters.format)
        written = form.write(cube, self._parameters, samples, self._folder, progress)
        self._files.append(np.array(written, dtype=str))

    def _save(self, writer: FileWriter | ShardWriter, cube: int, block: int) -> None:
        self._summary.flush()
        state = self.state
        state.cube, state.block = cube, block
        state.open, state.summary = writer.state(), self._summary.to_json()
        state.baselines = self._targets.to_json()
        rows = {
            key: np.concatenate(parts) if parts else np.zeros(0, ROW_TYPES[key])
            for key, parts in self._rows.items()
        }
        if self._files:
            rows["named"] = np.concatenate(self._files)
        self._checkpoints.save(state, rows)
        self._rows, self._files = {key: [] for key in ROW_TYPES}, []

    def statistics(self) -> dict[str, object]:
        """Of the training split, as `Summary.result`."""
        return self._statistics

    def baselines(self, progress: Progress) -> dict[str, object]:
        """What a model must beat, on validation and test, whose samples are read once more for it."""
        held = [self.state.counts[split] for split in (VAL, TEST)]
        if not any(held):
            return {}
        for number, plan in enumerate(self._plans):
            if not {VAL, TEST} & set(plan.count()):
                continue
            progress.update(number / len(self._plans), f"Baselines on {plan.label}")
            with self._opened.open(plan.path, plan.label) as cube:
                stream = CubeStream(cube, plan, self._layout, self._parameters)
                for units in stream.blocks():
                    for batch in stream.batches(units, (VAL, TEST)):
                        self._targets.score(number, batch)
                        progress.raise_if_cancelled()
        return self._targets.result()

    def tables(self) -> Iterator[Table]:
        """The index, piece by piece."""
        position: Counter = Counter()
        for rows in self._checkpoints.rows(self.state):
            for number in np.unique(rows["cube"]):
                of_cube = {key: values[rows["cube"] == number] for key, values in rows.items()}
                yield self._table(self._plans[int(number)], of_cube, position)

    def _table(self, plan: CubePlan, rows: dict[str, np.ndarray], position: Counter) -> Table:
        units, windows, splits = rows["unit"], rows["window"], rows["split"].astype(int)
        starts = plan.starts[windows]
        ids = np.char.add(unit_names(plan, units), window_names(plan)[windows])
        row = np.zeros(len(units), np.int32)
        if "named" in rows:
            files = rows["named"]
        elif self._parameters.format == "npz-sharded":
            files = np.empty(len(units), dtype=object)
            for split in np.unique(splits):
                of_split = np.flatnonzero(splits == split)
                places = position[split] + np.arange(len(of_split))
                position[split] += len(of_split)
                row[of_split] = places % self.per_shard
                shards = [
                    shard_name(int(split), int(number))
                    for number in range(places.max() // self.per_shard + 1)
                ]
                files[of_split] = np.array(shards, dtype=object)[places // self.per_shard]
        else:
            files = np.array(
                [file_name(each, s) for each, s in zip(ids.tolist(), splits.tolist(), strict=True)]
            )
        return {
            "sample_id": ids,
            "file": files,
            "row": row,
            "split": np.array(SPLITS)[splits],
            "fold": plan.fold[units].astype(np.int32),
            "cube": np.full(len(units), plan.label),
            "pixel_row": plan.units.row[units],
            "pixel_column": plan.units.column[units],
            "size": np.full(len(units), plan.size, np.int32),
            "context_start": plan.days[starts],
            "context_end": plan.days[starts + plan.context - 1],
            "target_start": plan.days[starts + plan.context],
            "target_end": plan.days[starts + plan.context + plan.target - 1],
            "lon": plan.units.lon[units],
            "lat": plan.units.lat[units],
        }


def bytes_per_sample(layout: Layout, parameters: ExportParameters) -> int:
    """Bytes of a sample's arrays before they are packed."""
    p = parameters
    pixels = p.patch_size**2 if p.unit == "patch" else 1
    images = (len(layout.context) * p.context + len(layout.target) * p.target) * pixels * 5
    weather = len(layout.weather) * p.length * 4 * (pixels if layout.weather_maps else 1)
    return images + weather + len(layout.static) * pixels * 4 + p.length * 16 + 200
