"""Cubes of all origins in the project, seen through QGIS's own raster provider."""

from __future__ import annotations

import os
import subprocess

import pytest
from qgis.core import QgsPointXY, QgsProject

WRITE = """
import sys, warnings
import numpy as np, xarray as xr
from pyproj import CRS
path, way = sys.argv[1:]
warnings.simplefilter("ignore")
lonlat, up = "lonlat" in way, "up" in way
y, x = (47.3 - 0.01 * np.arange(4), 8 + 0.01 * np.arange(5)) if lonlat else (5200015 - 10. * np.arange(4), 600005 + 10. * np.arange(5))
dims = ("time", "lat", "lon") if lonlat else ("time", "y", "x")
time = np.array(["2020-01-01", "2020-01-06"], "datetime64[ns]")
cube = xr.Dataset({"b": (dims, np.arange(40, dtype="float32").reshape(2, 4, 5))}, dict(zip(dims, (time, y, x))))
if not lonlat:
    cube["crs"] = ((), 0, CRS("EPSG:32632").to_cf())
    cube.b.attrs["grid_mapping"] = "crs"
if up:
    cube = cube.isel({dims[1]: slice(None, None, -1)})
if path.endswith(".nc"):
    cube.to_netcdf(path, engine="h5netcdf")
else:
    import numcodecs
    if "3" in way:
        cube.to_zarr(path, zarr_format=3)
    else:
        encoding = {name: {"compressors": numcodecs.Zlib(4)} for name in cube.variables if cube[name].ndim}
        cube.to_zarr(path, zarr_format=2, encoding=encoding)
"""  # noqa: E501


def write(path, way="") -> str:
    command = [os.environ["MINICUBER_PYTHON"], "-I", "-c", WRITE, str(path), way]
    subprocess.run(command, check=True)
    return str(path)


def groups():
    return QgsProject.instance().layerTreeRoot().findGroups()


def shown():
    (layer,) = (node.layer() for group in groups() for node in group.findLayers())
    assert layer.isValid()
    return layer


def check(layer, lonlat=False):
    """Every pixel of both dates; b counts them from the north-west."""
    assert [layer.bandName(n)[-10:] for n in (1, 2)] == ["2020-01-01", "2020-01-06"]
    assert layer.crs().authid() == ("EPSG:4326" if lonlat else "EPSG:32632")
    left, top, step = (7.995, 47.305, 0.01) if lonlat else (600_000, 5_200_020, 10)
    extent = layer.extent()
    edges = (extent.xMinimum(), extent.yMaximum(), extent.xMaximum(), extent.yMinimum())
    assert edges == pytest.approx((left, top, left + 5 * step, top - 4 * step), abs=1e-6)
    for number in range(40):
        date, row, column = number // 20, number % 20 // 5, number % 5
        point = QgsPointXY(left + (column + 0.5) * step, top - (row + 0.5) * step)
        assert layer.dataProvider().sample(point, date + 1) == (number, True)


@pytest.mark.parametrize("ending", [".nc", ".zarr"])
@pytest.mark.parametrize("way", ["", "up", "lonlat", "lonlat up"])
def test_cube_of_others_is_shown_where_and_when_it_is(run, tmp_path, ending, way):
    assert run("loadminicube", {"CUBE": write(tmp_path / f"a{ending}", way)})["N_LAYERS"] == 1
    check(shown(), "lonlat" in way)


def test_zarr_is_chosen_by_the_file_in_it_and_is_the_same_cube(run, tmp_path):
    path = write(tmp_path / "a.zarr")
    run("loadminicube", {"CUBE": path})
    run("loadminicube", {"CUBE": os.path.join(path, ".zgroup")})
    assert [group.name() for group in groups()] == ["a, 2020-01-01 to 2020-01-06"]
    check(shown())


def test_zarr_that_was_moved_is_shown_from_its_new_place(run, tmp_path):
    write(tmp_path / "a.zarr")
    run("loadminicube", {"CUBE": str(tmp_path / "a.zarr")})
    QgsProject.instance().clear()
    (tmp_path / "new").mkdir()
    for name in ("a.zarr", "a.layers"):
        (tmp_path / name).rename(tmp_path / "new" / name)
    run("loadminicube", {"CUBE": str(tmp_path / "new" / "a.zarr")})
    check(shown())


def test_zarr_that_this_gdal_cannot_read_is_said(run, tmp_path):
    path = write(tmp_path / "a.zarr", "3")
    try:
        run("loadminicube", {"CUBE": path})
    except Exception as error:  # noqa: BLE001
        assert "its GDAL" in str(error)
        assert "Zarr of format 2" in str(error)
        assert groups() == []
    else:
        check(shown())


def test_folder_that_a_dead_run_left_aside_is_found(run, tmp_path):
    write(tmp_path / "a.zarr")
    (tmp_path / "a.zarr").rename(tmp_path / ".a.zarr.old")
    run("loadminicube", {"CUBE": str(tmp_path / "a.zarr")})
    check(shown())
