"""minicuber:cleanclouds in QGIS: a cleaned cube as styled layers, a report, the study's numbers; wrong use."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsApplication, QgsProcessingException, QgsProject

PEERS = Path(__file__).resolve().parents[3] / "shared" / "peers" / "cloud_cleaning"


def stack(path: str, variable: str) -> np.ndarray:
    """(time, y, x) of a variable of a NetCDF, missing as NaN."""
    raster = gdal.Open(f'NETCDF:"{path}":{variable}')
    values = raster.ReadAsArray().astype(float)
    missing = raster.GetRasterBand(1).GetNoDataValue()
    values[values == missing] = np.nan
    return values * (raster.GetRasterBand(1).GetScale() or 1.0)


def test_choices_are_those_of_the_contract(provider):
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("minicuber:cleanclouds")
    expected = {
        "MODE": ["robust", "seed"], "METHOD": ["loess", "whittaker", "savgol", "linear", "none"],
        "DROP": ["cloud", "shadow", "other"], "SNOW": ["drop", "keep"],
    }  # fmt: skip
    for name, options in expected.items():
        definition = algorithm.parameterDefinition(name)
        assert definition.options() == options and definition.usesStaticStrings()
        assert all(option in definition.help() for option in options), name


def test_a_cube_is_cleaned_and_shown(run, cube, tmp_path):
    output, report = str(tmp_path / "clean.nc"), str(tmp_path / "report.html")
    result = run("cleanclouds", {"CUBE": cube, "MAX_GAP": 20, "OUTPUT": output, "REPORT": report})
    assert result["OUTPUT"] == output and result["REPORT"] == report
    assert 0 <= result["REMOVED_PERCENT"] <= 5
    assert "data:image/png" in Path(report).read_text(encoding="utf-8")
    shown = {os.path.basename(each.source()): each for each in QgsProject.instance().mapLayers().values()}
    assert {"s2_B04.vrt", "s2_filled.vrt", "to_sample.vrt", "s2_SCL.vrt"} <= set(shown)
    filled, ndvi = stack(output, "s2_filled"), stack(output, "s2_ndvi")
    mask = stack(cube, "s2_SCL")
    clear = np.isin(mask, (2, 4, 5, 6, 7))
    assert (filled[~clear] == 1).all() and (filled[clear] == 0).mean() > 0.9
    assert np.isfinite(ndvi).mean() > 0.9
    np.testing.assert_array_equal(stack(output, "s2_SCL"), mask)


def test_linear_leaves_what_was_seen(run, cube, tmp_path):
    output = str(tmp_path / "clean.nc")
    parameters = {"CUBE": cube, "METHOD": "linear", "REMOVE_FRACTION": 0, "LOAD": False, "OUTPUT": output}
    assert run("cleanclouds", parameters)["REMOVED_PERCENT"] == 0
    before, after, filled = stack(cube, "s2_B08"), stack(output, "s2_B08"), stack(output, "s2_filled")
    seen = (filled == 0) & np.isfinite(before)
    np.testing.assert_allclose(after[seen], before[seen], atol=1e-6)


@pytest.mark.parametrize("name", ["reference", "reference2"])
def test_mode_seed_is_the_study(run, tmp_path, name):
    """Cubes of earthnet-minicuber in, the numbers of the study's own code out."""
    if not PEERS.is_dir():
        pytest.skip("the study's results are not here: shared/peers/cloud_cleaning")
    output = str(tmp_path / "seed.nc")
    parameters = {"CUBE": str(PEERS / f"{name}_input.nc"), "MODE": "seed", "LOAD": False, "OUTPUT": output}
    run("cleanclouds", parameters)
    expected = str(PEERS / f"{name}_cleaned.nc")
    for variable in ("s2_B04", "s2_B08", "s2_ndvi"):
        np.testing.assert_allclose(stack(output, variable), stack(expected, variable), atol=1e-6)
    np.testing.assert_array_equal(stack(output, "to_sample"), stack(expected, "to_sample"))


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"DRIVER": "evi"}, "DRIVER"),
        ({"MODE": "seed", "METHOD": "savgol"}, "MODE seed has no METHOD savgol"),
        ({"YEARS": "two"}, "YEARS"),
        ({"REPORT": "/tmp/report.txt"}, "REPORT does not end in .html"),
        ({"LAMBDA": 3}, "Unknown parameter: LAMBDA"),
    ],
)
def test_wrong_use_in_one_sentence(run, cube, tmp_path, parameters, text):
    output = tmp_path / "clean.nc"
    with pytest.raises(QgsProcessingException, match=text):
        run("cleanclouds", {"CUBE": cube, "OUTPUT": str(output), **parameters})
    assert not output.exists()
