"""The models that come with the plugin open, are valid, and run from an extent to the cube."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProject,
)

MODELS = sorted((Path(__file__).resolve().parents[2] / "resources/models").glob("*.model3"))


@pytest.fixture(params=MODELS, ids=lambda path: path.stem)
def model(request, provider):
    made = QgsProcessingModelAlgorithm()
    assert made.fromFile(str(request.param)), request.param
    made.initAlgorithm()
    return made


def test_there_are_models():
    assert [path.stem for path in MODELS] == ["cube_with_layers_and_indices", "dataset_from_an_extent"]


def test_model_is_whole(model):
    assert model.group() == "Minicuber" and model.canExecute()[0]
    ended, problems = model.validate()
    assert ended, problems


def test_model_opens_in_the_designer(request, model, monkeypatch):
    """Each input, algorithm and output has its place there."""
    from processing.modeler import ModelerDialog
    from qgis.gui import QgsModelChildAlgorithmGraphicItem, QgsModelParameterGraphicItem
    from qgis.PyQt.QtWidgets import QApplication

    monkeypatch.setattr(ModelerDialog, "iface", None)  # it asks the desktop for the size of icons
    dialog = ModelerDialog.ModelerDialog.create(model)
    dialog.show()
    QApplication.processEvents()
    items = dialog.view().scene().items()
    count = {kind: sum(isinstance(each, kind) for each in items) for kind in (
        QgsModelChildAlgorithmGraphicItem, QgsModelParameterGraphicItem,
    )}  # fmt: skip
    dialog.setDirty(False)
    dialog.close()
    assert count[QgsModelChildAlgorithmGraphicItem] == len(model.childAlgorithms())
    assert count[QgsModelParameterGraphicItem] == len(model.parameterComponents())


def names_of(cube: str) -> set[str]:
    return set(gdal.OpenEx(cube, gdal.OF_MULTIDIM_RASTER).GetRootGroup().GetMDArrayNames())


@pytest.fixture
def results(model, demo, tmp_path):
    """What the model gives for the demo's place and layers, by name."""
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    feedback = QgsProcessingFeedback(False)
    values = {
        "extent": demo["EXTENT"], "first": "2021-06-01", "last": "2021-07-20", "catalog": demo["CATALOG"],
        "climate": demo["ERA5"], "layers": demo["LAYERS"], "indices": "NDVI,NDWI", "where": "forest_mask > 0.8",
        "context": 4, "target": 2, "pixels": 5,
    }  # fmt: skip
    values = {name: value for name, value in values.items() if model.parameterDefinition(name)}
    for definition in model.destinationParameterDefinitions():
        is_cube = definition.name().endswith("cube")
        values[definition.name()] = str(tmp_path / ("cube.nc" if is_cube else "dataset"))
    _, ok = model.run(values, context, feedback, {}, False)
    QgsApplication.processEvents()
    QgsProject.instance().clear()  # they load what they make
    assert ok, feedback.textLog()
    return {"cube": str(tmp_path / "cube.nc"), "dataset": tmp_path / "dataset"}


@pytest.mark.parametrize("model", MODELS[:1], indirect=True, ids=["cube"])
def test_model_runs_from_an_extent_to_the_cube(results):
    expected = {"s2_B08", "s2_mask", "era5_t", "era5_tp", "dem", "forest_mask", "s2_ndvi", "s2_ndwi"}
    assert expected <= names_of(results["cube"])


@pytest.mark.parametrize("model", MODELS[1:2], indirect=True, ids=["dataset"])
def test_model_runs_from_an_extent_to_the_dataset(results):
    """The cleaned cube knows the future, and is not what is exported."""
    assert {"s2_filled", "to_sample", "dem", "era5_tp"} <= names_of(results["cube"])
    document = json.loads((results["dataset"] / "dataset.json").read_text(encoding="utf-8"))
    assert not document["smoothing"]["leaks"] and document["leak_check"]["passed"]
    assert document["n_samples"] == 5 * (10 - 6 + 1)
