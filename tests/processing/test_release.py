"""A cube that is open in the project: let go of before it is replaced, opened again however the run ends."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from minicuber.processing import base
from minicuber.processing.project import PATIENCE, loader
from minicuber.processing.release import shows
from qgis.core import (
    QgsPointXY,
    QgsProcessingException,
    QgsProject,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QCoreApplication


@pytest.fixture
def order(demo, tmp_path):
    return {
        "EXTENT": demo["EXTENT"], "START": "2021-06-01", "END": "2021-06-20", "CATALOG": demo["CATALOG"],
        "S2_BANDS": ["B04", "SCL"], "OUTPUT": str(tmp_path / "a.nc"),
    }  # fmt: skip


def opened(path) -> list[str]:
    """What of a folder this process holds open."""
    found = []
    for handle in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(handle)
        except OSError:
            continue
        if target.startswith(str(path)):
            found.append(target)
    return found


def layer(name) -> QgsRasterLayer:
    (found,) = QgsProject.instance().mapLayersByName(name)
    return found


@pytest.fixture
def watched(monkeypatch):
    """What is open at the moment at which the core replaces the cube: appended by each run."""
    seen = []
    original = base.run_job

    def run_job(python, job, parameters, environment, feedback, on_release):
        def watch(path):
            on_release(path)
            seen.append((path, opened(Path(path).parent)))

        return original(python, job, parameters, environment, feedback, watch)

    monkeypatch.setattr(base, "run_job", run_job)
    return seen


def test_nothing_of_an_open_cube_is_open_when_it_is_replaced(run, order, watched, draw, tmp_path):
    run("buildminicube", order)
    assert watched == []  # there was nothing to replace
    mine = QgsRasterLayer(f'NETCDF:"{order["OUTPUT"]}":s2_B04', "mine", "gdal")
    QgsProject.instance().addMapLayer(mine)
    draw(layer("s2_B04"), layer("s2_SCL"), mine)
    assert opened(tmp_path) == [order["OUTPUT"]]
    key, node = layer("s2_B04").id(), QgsProject.instance().layerTreeRoot().findLayer(layer("s2_B04"))
    run("buildminicube", {**order, "START": "2021-06-05"})
    assert watched
    assert {path for path, _ in watched} == {order["OUTPUT"]}
    assert all(held == [] for _, held in watched)
    assert layer("s2_B04").id() == key
    assert QgsProject.instance().layerTreeRoot().findLayer(key) is node
    assert mine.isValid()
    assert mine.source() == f'NETCDF:"{order["OUTPUT"]}":s2_B04'
    assert draw(layer("s2_B04")).constBits() is not None
    assert layer("s2_B04").dataProvider().sample(layer("s2_B04").extent().center(), 1)[1]


def test_rebuilt_layers_are_not_overwritten_by_those_that_were_open(run, order, tmp_path):
    # GDAL writes a VRT again when it is closed, once there are statistics, and QGIS asks for them.
    run("buildminicube", order)
    run("buildminicube", {**order, "END": "2021-07-20"})
    text = (tmp_path / "a.layers/s2_B04.vrt").read_text()
    assert text.count("<VRTRasterBand") == layer("s2_B04").bandCount() > 5
    assert "2021-07-" in text


def test_cube_is_shown_as_it_was_when_the_build_fails_at_the_end(run, order, monkeypatch, tmp_path):
    run("buildminicube", order)
    band = layer("s2_B04")
    band.setOpacity(0.4)
    value = band.dataProvider().sample(band.extent().center(), 2)
    source = band.source()
    original = base.run_job

    def run_job(python, job, parameters, environment, feedback, on_release):
        on_release(order["OUTPUT"])
        assert opened(tmp_path) == []
        assert band.isValid() and band.source() != source
        assert not band.dataProvider().sample(band.extent().center(), 2)[1]
        return original(python, "nothing", parameters, environment, feedback, on_release)

    monkeypatch.setattr(base, "run_job", run_job)
    with pytest.raises(QgsProcessingException, match="There is no job named"):
        run("buildminicube", order)
    assert band.source() == source
    assert band.opacity() == 0.4
    assert band.dataProvider().sample(band.extent().center(), 2) == value


def test_cube_is_shown_as_it_was_after_a_cancel(run, order, feedback_class, tmp_path):
    run("buildminicube", order)
    band = layer("s2_B04")
    value = band.dataProvider().sample(band.extent().center(), 2)
    with pytest.raises(QgsProcessingException):
        run("buildminicube", {**order, "END": "2022-08-01"}, feedback_class(cancel_at=30))
    assert band.isValid()
    assert band.dataProvider().sample(band.extent().center(), 2) == value
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.layers", "a.nc"]


def test_worker_thread_waits_until_the_main_thread_has_let_go(run, order, tmp_path):
    run("buildminicube", order)
    band = layer("s2_B04")
    source = band.source()
    held = []

    def work():
        ticket = loader().release(order["OUTPUT"])
        held.append((opened(tmp_path), len(ticket.held)))
        loader().restore(ticket)

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        QCoreApplication.processEvents()
    QCoreApplication.processEvents()
    assert held == [([], 2)]
    assert band.source() == source


def test_main_thread_that_waits_for_the_worker_is_not_waited_for(run, order, monkeypatch):
    from minicuber.processing import project

    monkeypatch.setattr(project, "PATIENCE", 0.2)
    assert PATIENCE > 1
    run("buildminicube", order)
    source = layer("s2_B04").source()
    tickets = []
    thread = threading.Thread(target=lambda: tickets.append(loader().release(order["OUTPUT"])))
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    QCoreApplication.processEvents()
    assert tickets[0].abandoned
    assert layer("s2_B04").source() == source  # too late is never


def test_layers_of_other_cubes_are_left_alone(tmp_path, qgis_app):
    def source(text):
        return QgsRasterLayer(text, "x", "gdal")

    cube = str(tmp_path / "a.nc")
    assert shows(source(cube), cube)
    assert shows(source(f'NETCDF:"{cube}":b'), cube)
    assert shows(source(str(tmp_path / "a.layers" / "b.vrt")), cube)
    assert shows(source(f'ZARR:"{tmp_path}/a.zarr":/b:3'), str(tmp_path / "a.zarr"))
    for other in ("a.nc2", "b.nc", "aa.nc", "a.layers2/b.vrt", "a.tif"):
        assert not shows(source(str(tmp_path / other)), cube), other
    assert not shows(source(f'NETCDF:"{tmp_path}/xa.nc":b'), cube)


def test_zarr_that_is_open_is_replaced_too(run, order, watched, tmp_path):
    order["OUTPUT"] = str(tmp_path / "a.zarr")
    run("buildminicube", order)
    run("buildminicube", {**order, "START": "2021-06-05"})
    assert watched and all(held == [] for _, held in watched)
    band = layer("s2_B04")
    point = QgsPointXY(band.extent().center())
    assert band.dataProvider().sample(point, 1)[1]
