"""Cubes built in QGIS from real images, compared with the source files through GDAL, not through the core."""

from __future__ import annotations

import json

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsProject, QgsRasterLayer

gdal.UseExceptions()


def pixels(path, band=1):
    dataset = gdal.Open(str(path))
    return dataset.GetRasterBand(band).ReadAsArray(), dataset.GetGeoTransform()


def extent(transform, shape, crs):
    rows, columns = shape
    left, top = transform[0], transform[3]
    right, bottom = left + columns * transform[1], top + rows * transform[5]
    return f"{left!r},{right!r},{bottom!r},{top!r} [{crs}]"


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "resolution", "bands"),
    [
        ("gfmap_be_2023_04", 10, {"B01": "coastal", "B04": "red", "B08": "nir", "SCL": "scl"}),
        ("treesatai_abies_2020", 10, {"B02": "blue", "B8A": "nir08", "B12": "swir22", "SCL": "scl"}),
        ("eolearn_si_l1c_2015", 0, {"B02": "blue", "B09": "nir09", "SCL": "scl"}),
    ],
)
def test_reflectance_is_exactly_the_sources(run, shared, tmp_path, name, resolution, bands):
    folder = shared / "data/s2_stac" / name
    features = json.loads((folder / "items.json").read_text())["features"]
    features.sort(key=lambda feature: feature["properties"]["datetime"])
    first = folder / features[0]["assets"][next(iter(bands.values()))]["href"]
    values, transform = pixels(first)
    crs = f"EPSG:{features[0]['properties']['proj:epsg']}"
    output = tmp_path / "cube.nc"
    run(
        "buildminicube",
        {
            "EXTENT": extent(transform, values.shape, crs), "START": features[0]["properties"]["datetime"][:10],
            "END": features[-1]["properties"]["datetime"][:10], "CATALOG": str(folder / "items.json"),
            "RESOLUTION": resolution, "S2_BANDS": list(bands), "OUTPUT": str(output), "LOAD": False,
        },
    )  # fmt: skip
    for band, asset in bands.items():
        layer = QgsRasterLayer(str(tmp_path / f"cube.layers/s2_{band}.vrt"), band, "gdal")
        assert layer.isValid()
        assert layer.bandCount() == len(features)
        for number, feature in enumerate(features, start=1):
            source, _ = pixels(folder / feature["assets"][asset]["href"])
            stored, there = pixels(f'NETCDF:"{output}":s2_{band}', number)
            if band == "SCL":
                np.testing.assert_array_equal(stored, source)
            else:
                # The README of the data: these products hold no offset. 0 is missing.
                np.testing.assert_array_equal(stored, np.where(source == 0, -32768, source.astype(int)))
            np.testing.assert_allclose(there, transform, rtol=0, atol=1e-6)
            assert layer.bandName(number).endswith(feature["properties"]["datetime"][:10])


@pytest.mark.real
def test_identify_of_a_pixel_gives_its_series_in_reflectance(run, shared, tmp_path):
    folder = shared / "data/s2_stac/gfmap_be_2023_04"
    output = tmp_path / "cube.nc"
    run(
        "buildminicube",
        {
            "EXTENT": "643300,643700,5676000,5676300 [EPSG:32631]", "START": "2023-04-01", "END": "2023-04-30",
            "CATALOG": str(folder), "S2_BANDS": "B08", "OUTPUT": str(output), "LOAD": False,
        },
    )  # fmt: skip
    from qgis.core import QgsPointXY, QgsRaster

    layer = QgsRasterLayer(str(tmp_path / "cube.layers/s2_B08.vrt"), "x", "gdal")
    point = QgsPointXY(643505, 5676105)
    formats = getattr(QgsRaster, "IdentifyFormatValue", None) or QgsRaster.IdentifyFormat.IdentifyFormatValue
    series = layer.dataProvider().identify(point, formats).results()
    features = json.loads((folder / "items.json").read_text())["features"]
    features.sort(key=lambda feature: feature["properties"]["datetime"])
    assert len(series) == len(features)
    for number, feature in enumerate(features, start=1):
        values, transform = pixels(folder / feature["assets"]["nir"]["href"])
        dn = values[int((transform[3] - point.y()) / 10), int((point.x() - transform[0]) / 10)]
        assert series[number] == pytest.approx(dn * 1e-4, abs=1e-7) if dn else series[number] is None


def test_temporary_output_and_loading(run, demo, feedback_class):
    feedback = feedback_class()
    result = run(
        "buildminicube",
        {
            "EXTENT": demo["EXTENT"], "START": "2021-06-01", "END": "2021-06-20", "CATALOG": demo["CATALOG"],
            "OUTPUT": "TEMPORARY_OUTPUT", "S2_MASK": "scl",
        },
        feedback,
    )  # fmt: skip
    assert result["OUTPUT"].endswith(".nc")
    (group,) = QgsProject.instance().layerTreeRoot().findGroups()
    names = [node.layer().name() for node in group.findLayers()]
    assert names == ["s2_rgb", "s2_B02", "s2_B03", "s2_B04", "s2_B08", "s2_mask"]
    assert feedback.steps[-1] == 100
    assert feedback.steps == sorted(feedback.steps)
