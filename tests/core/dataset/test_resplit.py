"""A dataset is split anew by the same rules as an export, and its arrays stay untouched."""

from __future__ import annotations

import json

import numpy as np
import pytest
from minicuber.core.dataset.index import read_index
from minicuber.core.dataset.resplit import ResplitParameters, resplit_dataset
from minicuber.core.errors import InputError
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress

SPLITS = [
    ("random", {"unit": "pixel"}),
    ("spatial", {"block_m": 60, "buffer_m": 25, "fractions": [0.4, 0.3, 0.3]}),
    ("temporal", {"val_from": "2019-04-01", "test_from": "2019-05-15"}),
    ("kfold", {"folds": 3, "unit": "pixel"}),
]


@pytest.mark.parametrize(("kind", "options"), SPLITS)
def test_a_new_split_is_that_of_an_export_with_it(make, export, contents, kind, options):
    cubes = [make("a"), make("b", left=400_060.0, seed=3)]
    folder = export(cubes, max_samples=20, seed=3, format="npz-sharded")
    before = contents(folder)
    given = {"dataset": str(folder), "name": "other", "split": kind, "split_options": options, "seed": 3}
    done = run_job("resplitdataset", given, Progress())
    written = json.loads((folder / "splits" / "other.json").read_text())
    assert {k: v for k, v in contents(folder).items() if not k.startswith("splits/")} == before
    table = read_index(folder)
    assert written["sample_id"] == table["sample_id"].tolist()
    fresh = read_index(export(cubes, "fresh", max_samples=20, seed=3, split=kind, split_options=options))
    expected = dict(zip(fresh["sample_id"], zip(fresh["split"], fresh["fold"], strict=True), strict=True))
    found = zip(written["sample_id"], written["split"], written["fold"], strict=True)
    assert {name: (split, fold) for name, split, fold in found if split} == expected
    assert done["n_samples"] == len(expected)
    assert written["leak_check"]["passed"] is True


def test_what_is_no_dataset_or_no_name_is_refused(make, export, tmp_path):
    folder = export(make(), stride=9)
    for given, sentence in (
        ({"dataset": str(tmp_path), "name": "x"}, "is no dataset"),
        ({"dataset": str(folder), "name": "../x"}, "NAME is no name of a file"),
        ({"dataset": str(folder), "name": "x", "split": "odd"}, "SPLIT is not known"),
        ({"dataset": str(folder), "name": "x", "split": "column"}, "SPLIT column needs a layer"),
        ({"name": "x"}, "DATASET is missing"),
    ):
        with pytest.raises(InputError, match=sentence):
            resplit_dataset(ResplitParameters(**given), Progress())
    assert not (folder / "splits").exists()


def test_the_index_is_enough_the_cubes_may_be_gone(make, export):
    path = make()
    folder = export(path, stride=9)
    path.unlink()
    done = resplit_dataset(
        ResplitParameters(str(folder / "index.gpkg"), "late", "random", {"unit": "pixel"}), Progress()
    )
    assert sum(done.counts.values()) == done.n_samples == len(read_index(folder)["row"])
    assert np.count_nonzero(list(done.counts.values())) > 1
