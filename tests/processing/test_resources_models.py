"""The models that come with the plugin open, are valid, and run from an extent to the cube."""

from __future__ import annotations

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
    assert [path.stem for path in MODELS] == ["cube_with_layers_and_indices"]


def test_model_is_whole(model):
    assert model.group() == "Minicuber" and model.canExecute()[0]
    ended, problems = model.validate()
    assert ended, problems


def test_model_runs_from_an_extent_to_the_cube(model, demo, tmp_path):
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    feedback = QgsProcessingFeedback(False)
    output = str(tmp_path / "cube.nc")
    ends = {d.name(): output for d in model.destinationParameterDefinitions()}
    values = {
        "extent": demo["EXTENT"], "first": "2021-06-01", "last": "2021-06-20", "catalog": demo["CATALOG"],
        "climate": demo["ERA5"], "layers": demo["LAYERS"], "indices": "NDVI,NDWI", **ends,
    }  # fmt: skip
    _, ok = model.run(values, context, feedback, {}, False)
    QgsApplication.processEvents()
    QgsProject.instance().clear()  # it loads the cube
    assert ok, feedback.textLog()
    group = gdal.OpenEx(output, gdal.OF_MULTIDIM_RASTER).GetRootGroup()
    assert {"s2_B08", "s2_mask", "era5_t", "era5_tp", "dem", "forest_mask", "s2_ndvi", "s2_ndwi"} <= set(
        group.GetMDArrayNames()
    )
