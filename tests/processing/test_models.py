"""A model that makes demo data, builds a cube from it and loads the cube; run here and by `qgis_process`."""

from __future__ import annotations

import pytest
from helpers import results, run
from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterString,
    QgsProject,
)

Source = QgsProcessingModelChildParameterSource


def make_model(cube_days=("2021-06-01", "2021-06-30")) -> QgsProcessingModelAlgorithm:
    model = QgsProcessingModelAlgorithm("demo chain", "minicuber tests")

    demo = QgsProcessingModelChildAlgorithm("minicuber:createdemodata")
    demo.setChildId("demo")
    demo.addParameterSources("LOAD", [Source.fromStaticValue(False)])
    out = QgsProcessingModelOutput("folder")
    out.setChildId("demo")
    out.setChildOutputName("OUTPUT")
    demo.setModelOutputs({"folder": out})
    model.addChildAlgorithm(demo)

    build = QgsProcessingModelChildAlgorithm("minicuber:buildminicube")
    build.setChildId("build")
    build.addParameterSources("EXTENT", [Source.fromChildOutput("demo", "EXTENT")])
    build.addParameterSources("CATALOG", [Source.fromChildOutput("demo", "CATALOG")])
    build.addParameterSources("START", [Source.fromStaticValue(cube_days[0])])
    build.addParameterSources("END", [Source.fromModelParameter("last")])
    build.addParameterSources("S2_BANDS", [Source.fromStaticValue(["B04", "B08"])])
    build.addParameterSources("LOAD", [Source.fromStaticValue(False)])
    cube = QgsProcessingModelOutput("cube")
    cube.setChildId("build")
    cube.setChildOutputName("OUTPUT")
    build.setModelOutputs({"cube": cube})
    model.addChildAlgorithm(build)

    load = QgsProcessingModelChildAlgorithm("minicuber:loadminicube")
    load.setChildId("load")
    load.addParameterSources("CUBE", [Source.fromChildOutput("build", "OUTPUT")])
    model.addChildAlgorithm(load)

    model.addModelParameter(
        QgsProcessingParameterString("last", "Last day", cube_days[1]), QgsProcessingModelParameter("last")
    )
    return model


@pytest.fixture
def model(provider):
    made = make_model()
    made.initAlgorithm()
    return made


def run_model(model, folder, last="2021-06-30", feedback=None):
    context, feedback = QgsProcessingContext(), feedback or QgsProcessingFeedback(False)
    context.setProject(QgsProject.instance())
    values = {
        "demo:folder": str(folder / "demo"), "build:cube": str(folder / "cube.nc"), "last": last,
        "folder": str(folder / "demo"), "cube": str(folder / "cube.nc"),
    }  # fmt: skip
    known = {d.name() for d in model.parameterDefinitions()}
    done, ok = model.run({k: v for k, v in values.items() if k in known}, context, feedback, {}, False)
    return done, ok, feedback.textLog()


def test_model_chains_the_algorithms_by_their_files(model, tmp_path):
    _, ok, log = run_model(model, tmp_path)
    assert ok, log
    assert (tmp_path / "cube.nc").is_file()
    (group,) = QgsProject.instance().layerTreeRoot().findGroups()
    assert group.name().startswith("cube, 2021-06-")
    QgsProject.instance().clear()


def test_model_stops_with_the_sentence_of_the_step_that_failed(model, tmp_path):
    feedback = QgsProcessingFeedback(False)
    with pytest.raises(QgsProcessingException):
        run_model(model, tmp_path, last="2020-01-01", feedback=feedback)
    assert "END (2020-01-01) is before START (2021-06-01)." in feedback.textLog()
    assert not (tmp_path / "cube.nc").exists()


def test_saved_model_runs_in_qgis_process(model, profile, tmp_path):
    file = tmp_path / "chain.model3"
    assert model.toFile(str(file))
    names = [
        d.name()
        for d in model.parameterDefinitions()
        if isinstance(d, QgsProcessingParameterFolderDestination)
    ]
    names += [d.name() for d in model.parameterDefinitions() if d.name().endswith("cube")]
    values = [f"{n}={tmp_path / ('cube.nc' if n.endswith('cube') else 'demo')}" for n in names]
    code, text = run(profile, "run", str(file), "--", *values, "last=2021-06-30")
    assert code == 0, text
    assert results(text)
    assert (tmp_path / "cube.nc").is_file()
