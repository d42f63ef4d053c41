"""minicuber:exportdataset in QGIS: pairs of a demo cube, their index on the map, splits; wrong use in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from qgis.core import (
    QgsApplication,
    QgsCategorizedSymbolRenderer,
    QgsFeature,
    QgsGeometry,
    QgsProcessingException,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)


@pytest.fixture
def export(run, cube, tmp_path):
    """`export(**parameters)`: the results of an export of a small dataset."""

    def call(**parameters):
        order = {
            "CUBES": [cube],
            "CONTEXT": 4,
            "TARGET": 2,
            "LOAD": False,
            "OUTPUT": str(tmp_path / "dataset"),
        }
        return run("exportdataset", {**order, **parameters})

    return call


def table(path: str) -> QgsVectorLayer:
    layer = QgsVectorLayer(path, "index", "ogr")
    assert layer.isValid()
    return layer


def test_choices_are_those_of_the_contract(provider):
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("minicuber:exportdataset")
    expected = {
        "UNIT": ["pixel", "patch"], "SPLIT": ["none", "random", "spatial", "temporal", "column", "kfold"],
        "SMOOTHING": ["none", "context", "both", "whole"],
        "FORMAT": ["npz", "npz-sharded", "seed", "earthnet2021", "greenearthnet"],
    }  # fmt: skip
    for name, options in expected.items():
        definition = algorithm.parameterDefinition(name)
        assert definition.options() == options and definition.usesStaticStrings()
        assert all(option in definition.help() for option in options), name


def test_a_dataset_is_written_and_its_index_shown(export, tmp_path):
    result = export(
        WHERE="mean(s2_B08) > 0", MAX_SAMPLES=5, SPLIT="random", SPLIT_OPTIONS='{"unit": "pixel"}', LOAD=True
    )
    folder = Path(result["OUTPUT"])
    index = table(result["INDEX"])
    assert result["N_SAMPLES"] == index.featureCount() == 5 * (13 - 6 + 1)
    (shown,) = QgsProject.instance().mapLayers().values()
    assert (
        isinstance(shown.renderer(), QgsCategorizedSymbolRenderer)
        and shown.renderer().classAttribute() == "split"
    )
    document = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    assert sum(document["counts"].values()) == 40 and document["leak_check"]["passed"]
    for feature in index.getFeatures():
        with np.load(folder / feature["file"]) as sample:
            assert sample["context"].shape == (4, 4) and sample["target"].shape == (4, 2)
            assert str(sample["context_time"][-1]) < str(sample["target_time"][0])
            assert str(sample["target_time"][0]) == str(feature["target_start"].toString("yyyy-MM-dd"))
    assert (folder / "index.html").stat().st_size > 10_000


def test_an_index_that_is_open_shows_the_new_dataset(export):
    """The samples and their colours; what the user made of the look stays."""
    export(MAX_SAMPLES=3, LOAD=True)
    folds = {"SPLIT": "kfold", "SPLIT_OPTIONS": '{"folds": 3, "unit": "pixel"}'}
    export(MAX_SAMPLES=6, LOAD=True, **folds)
    (shown,) = QgsProject.instance().mapLayers().values()
    assert shown.featureCount() == 6 * 8 and shown.renderer().classAttribute() == "fold"
    shown.renderer().deleteCategory(0)
    export(MAX_SAMPLES=3, LOAD=True)
    assert shown.featureCount() == 3 * 8 and shown.renderer().classAttribute() == "fold"


def test_patches_in_shards_cleaned_without_the_future(export):
    result = export(
        UNIT="patch", PATCH_SIZE=16, FORMAT="npz-sharded", SMOOTHING="context", SHIFT=1,
        CLEANING='{"METHOD": "linear", "MAX_EXTRAPOLATION": 0}', SPLIT="kfold",
        SPLIT_OPTIONS='{"folds": 3, "unit": "pixel"}',
    )  # fmt: skip
    index = table(result["INDEX"])
    assert {feature["fold"] for feature in index.getFeatures()} == {0, 1, 2}
    with np.load(Path(result["OUTPUT"]) / next(index.getFeatures())["file"]) as shard:
        assert shard["context"].shape[1:] == (4, 4, 16, 16)
        assert shard["context_filled"].dtype == bool and shard["context_filled"].any()


def test_regions_of_a_memory_layer_choose_and_split(export, cube):
    """A layer without a file, in another CRS, whose field says where samples belong."""
    from osgeo import gdal

    west, size, _, north, _, _ = gdal.Open(f'NETCDF:"{cube}":s2_B08').GetGeoTransform()
    layer = QgsVectorLayer("Polygon?crs=EPSG:32632&field=part:string", "regions", "memory")
    for place, part in enumerate(("train", "val", "test")):
        feature = QgsFeature(layer.fields())
        left = west + 6 * place * size
        feature.setGeometry(
            QgsGeometry.fromRect(QgsRectangle(left, north - 4 * size, left + 4 * size, north))
        )
        feature["part"] = part
        layer.dataProvider().addFeature(feature)
    QgsProject.instance().addMapLayer(layer)
    result = export(
        PLACES=layer,
        PLACES_FIELD="part",
        SPLIT="column",
        SPLIT_OPTIONS=json.dumps({"layer": "regions", "field": "part"}),
    )
    by_split = {}
    for feature in table(result["INDEX"]).getFeatures():
        by_split.setdefault(feature["split"], set()).add((feature["pixel_row"], feature["pixel_column"]))
    assert {split: len(pixels) for split, pixels in by_split.items()} == {"train": 16, "val": 16, "test": 16}


def test_resplit_leaves_the_arrays(export, run):
    folder = Path(export(MAX_SAMPLES=6)["OUTPUT"])
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    parameters = {
        "DATASET": str(folder), "SPLIT_NAME": "half", "SPLIT": "random",
        "SPLIT_OPTIONS": '{"fractions": [0.5, 0.0, 0.5], "unit": "pixel"}',
    }  # fmt: skip
    result = run("resplitdataset", parameters)
    assert Path(result["OUTPUT"]) == folder / "splits" / "half.json" and result["N_SAMPLES"] == 48
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_seed_files_are_those_of_the_index(export):
    """The study's format from the toolbox: its summer, its shift, its name for a file."""
    result = export(
        FORMAT="seed", SEASON="06-01/09-01", SHIFT=1, WHERE="mean(s2_B08) > 0", MAX_SAMPLES=7, SPLIT="random",
        SPLIT_OPTIONS='{"unit": "pixel"}', MIN_SEEN_CONTEXT=0.3,
    )  # fmt: skip
    folder = Path(result["OUTPUT"])
    files = {feature["file"] for feature in table(result["INDEX"]).getFeatures()}
    assert files == {path.relative_to(folder).as_posix() for path in folder.rglob("*.npz")}
    assert result["N_SAMPLES"] == len(files) > 7
    document = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    for file in files:
        with np.load(folder / file) as sample:
            assert sorted(sample.files) == ["context", "target"] and file.endswith("_1.npz")
            assert sample["context"].shape == (len(document["variables"]["file"]), 4)
    assert len(list((folder / "train").glob("*.npy"))) == 2


def test_defaults_of_greenearthnet_are_not_refused(export):
    """UNIT, CONTEXT and TARGET as the dialog has them: what is wrong with the cube is said, not what they are."""
    with pytest.raises(QgsProcessingException, match=r"pixels of 20 m|128 x 128 pixels, and"):
        export(FORMAT="greenearthnet", CONTEXT=54, TARGET=18)


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"CONTEXT": 40}, "40"),
        ({"WHERE": "FOREST > 0.8"}, "FOREST"),
        ({"WHERE": "__import__('os')"}, "WHERE"),
        ({"WHERE": "s2_B08 > 99"}, "WHERE"),
        ({"SEASON": "summer"}, "SEASON"),
        ({"SPLIT": "column"}, "layer and a field"),
        ({"SPLIT": "column", "SPLIT_OPTIONS": '{"layer": "nowhere", "field": "x"}'}, "nowhere"),
        ({"CUBES": ["/nowhere/cube.nc"]}, "does not exist"),
        ({"FORMAT": "greenearthnet"}, "10 images of context"),
        ({"SPLIT_OPTIONS": "{"}, "JSON"),
        ({"CLEANING": '{"METHOD": "spline"}', "SMOOTHING": "context"}, "METHOD"),
    ],
)
def test_wrong_use_in_one_sentence(export, tmp_path, parameters, text):
    with pytest.raises(QgsProcessingException, match=text):
        export(**parameters)
    assert list(tmp_path.iterdir()) == []
