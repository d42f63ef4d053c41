"""minicuber:spectralindices in QGIS: indices of a cube of the demo as styled layers; wrong use in one sentence."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsApplication, QgsProcessingException, QgsProject, QgsSingleBandPseudoColorRenderer


def layers() -> dict[str, object]:
    """Name of the source's file to the layer, of what is in the project."""
    return {os.path.basename(each.source()): each for each in QgsProject.instance().mapLayers().values()}


def read(path: str) -> np.ndarray:
    """Values of the first band of a layer, missing as NaN."""
    raster = gdal.Open(path)  # a band dies with its raster
    band = raster.GetRasterBand(1)
    stored = band.ReadAsArray().astype(float)
    missing = stored == band.GetNoDataValue()
    return np.where(missing, np.nan, stored * (band.GetScale() or 1.0))


def test_id_and_names_are_frozen(provider):
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("minicuber:spectralindices")
    names = [definition.name() for definition in algorithm.parameterDefinitions()]
    assert names == ["CUBE", "INDICES", "PARAMETERS", "FEATURES", "LOAD", "OUTPUT"]
    assert (algorithm.group(), algorithm.groupId()) == ("Cubes", "cubes")
    features = algorithm.parameterDefinition("FEATURES")
    assert features.options() == ["day_of_year", "lonlat"]
    assert features.usesStaticStrings() and features.allowMultiple()
    assert all(option in features.help() for option in features.options())


@pytest.mark.parametrize("ending", [".nc", ".zarr"])
def test_indices_are_loaded_and_styled(run, cube, tmp_path, ending):
    output = str(tmp_path / f"indices{ending}")
    result = run("spectralindices", {"CUBE": cube, "INDICES": "NDVI, ndwi", "OUTPUT": output})
    assert result["OUTPUT"] == output
    shown = layers()
    assert {"s2_ndvi.vrt", "s2_ndwi.vrt", "s2_B04.vrt", "s2_SCL.vrt"} <= set(shown)
    ndvi = shown["s2_ndvi.vrt"]
    assert ndvi.isValid() and ndvi.bandCount() == 13
    assert isinstance(ndvi.renderer(), QgsSingleBandPseudoColorRenderer)
    assert (ndvi.renderer().classificationMin(), ndvi.renderer().classificationMax()) == (-0.2, 0.9)
    (group,) = QgsProject.instance().layerTreeRoot().findGroups()
    assert group.name().startswith("indices, ")
    folder = tmp_path / "indices.layers"
    red, near = (read(str(folder / f"s2_{band}.vrt")) for band in ("B04", "B08"))
    np.testing.assert_allclose(read(str(folder / "s2_ndvi.vrt")), (near - red) / (near + red), atol=1e-6)


def test_constants_and_features(run, cube, tmp_path):
    parameters = {
        "CUBE": cube, "INDICES": "SAVI", "PARAMETERS": '{"L": 0.5}', "FEATURES": ["day_of_year", "lonlat"],
        "LOAD": False, "OUTPUT": str(tmp_path / "new.nc"),
    }  # fmt: skip
    run("spectralindices", parameters)
    assert layers() == {}
    folder = tmp_path / "new.layers"
    red, near = (read(str(folder / f"s2_{band}.vrt")) for band in ("B04", "B08"))
    expected = 1.5 * (near - red) / (near + red + 0.5)
    np.testing.assert_allclose(read(str(folder / "s2_savi.vrt")), expected, atol=1e-6)
    assert 40 < read(str(folder / "lat.vrt")).mean() < 50
    assert 5 < read(str(folder / "lon.vrt")).mean() < 12


def test_features_alone_and_a_temporary_output(run, cube):
    result = run("spectralindices", {"CUBE": cube, "FEATURES": "lonlat", "OUTPUT": "TEMPORARY_OUTPUT"})
    assert result["OUTPUT"].endswith(".nc") and os.path.isfile(result["OUTPUT"])
    assert "lon.vrt" in layers()


def test_the_cube_itself_gets_its_index_while_it_is_open(run, cube, tmp_path):
    path = shutil.copy(cube, tmp_path / "own.nc")
    run("loadminicube", {"CUBE": str(path)})
    run("spectralindices", {"CUBE": str(path), "INDICES": "EVI2", "OUTPUT": str(path)})
    shown = layers()
    assert "s2_evi2.vrt" in shown and all(layer.isValid() for layer in shown.values())
    assert len(QgsProject.instance().layerTreeRoot().findGroups()) == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == ["own.layers", "own.nc"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"INDICES": ""}, "INDICES is empty"),
        ({"INDICES": "NDVJ"}, "no spectral index NDVJ. Did you mean .*NDVI"),
        ({"INDICES": "NDVI,NDMI"}, r"NDMI needs s2_B11 .* It has s2_B02, s2_B03, s2_B04, s2_B08"),
        (
            {"INDICES": "SAVI", "PARAMETERS": "L=0.5"},
            r'PARAMETERS is not JSON: L=0.5. For example: {"L": 0.5}',
        ),
        ({"INDICES": "SAVI", "PARAMETERS": "[0.5]"}, "PARAMETERS is no JSON object"),
        ({"PARAMETERS": '{"L": 0.5}'}, "L is no constant of NDVI"),
        ({"CUBE": "no/such.nc"}, "CUBE does not exist"),
        ({"OUTPUT": "a.tif"}, "does not end in .nc or .zarr"),
        ({"INDEX": "NDVI"}, "Unknown parameter: INDEX"),
    ],
)
def test_wrong_value_is_one_sentence(run, cube, tmp_path, monkeypatch, changes, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(QgsProcessingException, match=words):
        run("spectralindices", {"CUBE": cube, "INDICES": "NDVI", "OUTPUT": "new.nc", **changes})
    assert list(tmp_path.iterdir()) == []


def test_cancel_raises_and_leaves_nothing(run, cube, tmp_path, feedback_class):
    parameters = {"CUBE": cube, "INDICES": "NDVI", "OUTPUT": str(tmp_path / "new.nc")}
    with pytest.raises(QgsProcessingException, match="Cancelled"):
        run("spectralindices", parameters, feedback_class(cancel_at=10))
    assert list(tmp_path.iterdir()) == []
