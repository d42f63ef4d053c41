"""minicuber:terrainvariables in QGIS: from the demo's cube and elevation model to layers; wrong use in one sentence."""

from __future__ import annotations

import os
import shutil

import pytest
from osgeo import gdal
from qgis.core import QgsApplication, QgsProcessingException, QgsProject, QgsRasterLayer, QgsRasterRange

gdal.UseExceptions()
DEFAULT = {"slope", "northness", "eastness"}


@pytest.fixture(scope="module")
def dem(demo) -> str:
    """The file of the demo's elevation model."""
    (path,) = [layer for layer in demo["LAYERS"] if "dem" in os.path.basename(layer)]
    return path


def layers() -> dict[str, QgsRasterLayer]:
    """Name of the source's file to the layer, of what is in the project."""
    return {os.path.basename(layer.source()): layer for layer in QgsProject.instance().mapLayers().values()}


def pixels(output: str, variable: str):
    """Values (y, x) of a static variable, as GDAL reads its layer."""
    folder = os.path.splitext(output)[0] + ".layers"
    return gdal.Open(os.path.join(folder, f"{variable}.vrt")).ReadAsArray()


def test_id_and_names_are_frozen(provider):
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("minicuber:terrainvariables")
    definitions = algorithm.parameterDefinitions()
    names = [definition.name() for definition in definitions]
    assert names == ["CUBE", "DEM", "DEM_VARIABLE", "VARIABLES", "SCALES", "LOAD", "OUTPUT"]
    variables = algorithm.parameterDefinition("VARIABLES")
    assert variables.options() == ["slope", "northness", "eastness", "ruggedness", "curvature", "twi"]
    assert variables.usesStaticStrings() and variables.allowMultiple()
    for option in variables.options():
        assert option in variables.help()
    assert (algorithm.group(), algorithm.groupId()) == ("Cubes", "cubes")


def test_variables_of_the_dialog_are_those_of_the_core(root, provider):
    text = (root / "core/terrain_variables.py").read_text()
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("minicuber:terrainvariables")
    options = algorithm.parameterDefinition("VARIABLES").options()
    table = text.split("SAID: ")[1].split("\n}\n")[0]
    assert [line.split('"')[1] for line in table.splitlines() if line.startswith('    "')] == options


@pytest.mark.parametrize("ending", [".nc", ".zarr"])
def test_variables_are_loaded_beside_the_images(run, cube, dem, tmp_path, ending):
    output = str(tmp_path / f"ground{ending}")
    assert run("terrainvariables", {"CUBE": cube, "DEM": dem, "OUTPUT": output})["OUTPUT"] == output
    shown = layers()
    assert {f"{name}.vrt" for name in DEFAULT} <= set(shown)
    assert shown["slope.vrt"].isValid() and shown["slope.vrt"].bandCount() == 1
    assert shown["s2_B04.vrt"].bandCount() == 13
    slope = pixels(output, "slope")
    assert slope.min() >= 0 and slope.max() < 90 and slope.std() > 0.5  # NaN would be neither
    # Of length 1 but at ridges, between pixels of the model that face opposite ways.
    length = pixels(output, "northness") ** 2 + pixels(output, "eastness") ** 2
    assert (length > 0.9).mean() > 0.8 and length.max() <= 1.0001


def test_layer_of_the_project_and_scales(run, cube, dem, tmp_path):
    layer = QgsRasterLayer(dem, "my elevation")
    QgsProject.instance().addMapLayer(layer)
    output = str(tmp_path / "scales.nc")
    parameters = {
        "CUBE": cube, "DEM": layer.id(), "VARIABLES": ["slope", "ruggedness", "curvature", "twi"],
        "SCALES": "60, 200", "LOAD": False, "OUTPUT": output,
    }  # fmt: skip
    run("terrainvariables", parameters)
    assert set(layers()) == {os.path.basename(dem)}  # nothing was loaded
    for name in ("slope", "ruggedness", "curvature", "twi"):
        for scale in (60, 200):
            assert pixels(output, f"{name}_{scale}m").std() > 0, (name, scale)
    assert pixels(output, "slope_200m").std() < pixels(output, "slope_60m").std()


def test_finer_scale_is_computed_at_the_pixel_of_the_model(run, cube, dem, tmp_path, feedback_class):
    feedback = feedback_class()
    output = str(tmp_path / "fine.nc")
    run(
        "terrainvariables",
        {"CUBE": cube, "DEM": dem, "SCALES": "20", "LOAD": False, "OUTPUT": output},
        feedback,
    )
    assert any("The scale of 20 m is finer" in word and "computed at 30 m" in word for word in feedback.words)
    assert pixels(output, "slope_20m").max() < 90


def test_variable_of_the_cube_whose_edge_is_not_known(run, cube, dem, tmp_path):
    whole, again = str(tmp_path / "a.nc"), str(tmp_path / "b.nc")
    run(
        "terrainvariables",
        {"CUBE": cube, "DEM": dem, "VARIABLES": ["ruggedness"], "LOAD": False, "OUTPUT": whole},
    )
    run(
        "terrainvariables",
        {"CUBE": whole, "DEM_VARIABLE": "ruggedness", "VARIABLES": ["slope"], "LOAD": False, "OUTPUT": again},
    )
    slope = pixels(again, "slope")
    missing = slope != slope
    assert missing[[0, -1]].all() and missing[:, [0, -1]].all() and not missing[1:-1, 1:-1].any()


def test_numbers_that_the_layer_calls_missing_are(run, cube, dem, tmp_path):
    layer = QgsRasterLayer(dem, "without heights")
    values = gdal.Open(dem).ReadAsArray()
    middle = float(sorted(values.ravel())[values.size // 2])
    layer.dataProvider().setUserNoDataValue(1, [QgsRasterRange(middle, 9000.0)])
    QgsProject.instance().addMapLayer(layer)
    output = str(tmp_path / "missing.nc")
    run("terrainvariables", {"CUBE": cube, "DEM": layer.id(), "LOAD": False, "OUTPUT": output})
    slope = pixels(output, "slope")
    assert 0 < (slope == slope).mean() < 1


def test_cube_itself_is_extended(run, cube, dem, tmp_path):
    path = str(shutil.copy(cube, tmp_path / "own.nc"))
    run("loadminicube", {"CUBE": path})
    run("terrainvariables", {"CUBE": path, "DEM": dem, "OUTPUT": path})
    assert {"slope.vrt", "s2_B04.vrt"} <= set(layers())
    run("terrainvariables", {"CUBE": path, "DEM": dem, "OUTPUT": path})  # again: made anew
    assert sum(name == "slope.vrt" for name in layers()) == 1


def test_temporary_output(run, cube, dem):
    result = run("terrainvariables", {"CUBE": cube, "DEM": dem, "OUTPUT": "TEMPORARY_OUTPUT", "LOAD": False})
    assert result["OUTPUT"].endswith(".nc") and os.path.isfile(result["OUTPUT"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"DEM": None}, "DEM is missing"),
        ({"DEM_VARIABLE": "cop_dem"}, "DEM and DEM_VARIABLE are both given"),
        ({"DEM": None, "DEM_VARIABLE": "cop_dem"}, "the cube has no variable cop_dem"),
        ({"DEM": None, "DEM_VARIABLE": "s2_B04"}, r"s2_B04 of the cube is not a map of numbers \(y, x\)"),
        ({"DEM": "no/such.tif"}, "DEM"),
        ({"SCALES": "20;wide"}, "SCALES is no list of positive numbers"),
        ({"SCALES": "-20"}, "SCALES is no list of positive numbers"),
        ({"VARIABLES": ["hillshade"]}, "VARIABLES"),
        ({"CUBE": "no/such.nc"}, "CUBE does not exist"),
        ({"OUTPUT": "a.tif"}, "does not end in .nc or .zarr"),
        ({"SCALE": "20"}, "Unknown parameter: SCALE"),
    ],
)
def test_wrong_value_is_one_sentence(run, cube, dem, tmp_path, monkeypatch, changes, words):
    monkeypatch.chdir(tmp_path)
    parameters = {"CUBE": cube, "DEM": dem, "OUTPUT": "new.nc", **changes}
    with pytest.raises(QgsProcessingException, match=words):
        run("terrainvariables", {name: value for name, value in parameters.items() if value is not None})
    assert list(tmp_path.iterdir()) == []


def test_cancel_raises_and_leaves_nothing(run, cube, dem, tmp_path, feedback_class):
    parameters = {"CUBE": cube, "DEM": dem, "OUTPUT": str(tmp_path / "new.nc")}
    with pytest.raises(QgsProcessingException, match="Cancelled"):
        run("terrainvariables", parameters, feedback_class(cancel_at=10))
    assert list(tmp_path.iterdir()) == []
