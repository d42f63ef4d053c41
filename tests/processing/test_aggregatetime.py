"""minicuber:aggregatetime in QGIS: from a cube of the demo to steps, in the project; wrong use in one sentence."""

from __future__ import annotations

import os
import shutil

import pytest
from minicuber.core.errors import InputError
from minicuber.processing.parameters import Parameters
from qgis.core import (
    QgsApplication,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingParameterMatrix,
    QgsProject,
)

PAIRS = ["s2_B04", "mean", "s2_B08", "max"]


def layers() -> dict[str, list[str]]:
    """Name of the source's file to the names of its bands, of what is in the project."""
    return {
        os.path.basename(layer.source()): [layer.bandName(n + 1) for n in range(layer.bandCount())]
        for layer in QgsProject.instance().mapLayers().values()
    }


def test_id_and_names_are_frozen(provider):
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("minicuber:aggregatetime")
    names = [definition.name() for definition in algorithm.parameterDefinitions()]
    assert names == ["CUBE", "VARIABLES", "STEP_DAYS", "LIKE", "LOAD", "OUTPUT"]
    assert (algorithm.group(), algorithm.groupId()) == ("Cubes", "cubes")


@pytest.mark.parametrize("ending", [".nc", ".zarr"])
def test_steps_are_loaded_with_a_band_each(run, cube, tmp_path, ending):
    output = str(tmp_path / f"steps{ending}")
    result = run("aggregatetime", {"CUBE": cube, "VARIABLES": PAIRS, "STEP_DAYS": 10, "OUTPUT": output})
    assert result["OUTPUT"] == output
    shown = layers()
    assert set(shown) == {"s2_B04.vrt", "s2_B08.vrt"}
    # The first image is of 2021-06-01 or a few days later; no step ends after the last one.
    bands = [name[-10:] for name in shown["s2_B04.vrt"]]
    assert 5 <= len(bands) <= 6
    assert bands == sorted(bands) and "2021-06-10" <= bands[0] <= "2021-06-15" and bands[-1] <= "2021-07-31"
    layer = next(iter(QgsProject.instance().mapLayers().values()))
    assert layer.isValid()
    assert layer.dataProvider().sample(layer.extent().center(), 1)[1]
    (group,) = QgsProject.instance().layerTreeRoot().findGroups()
    assert group.name().startswith("steps, ")


def test_dates_of_another_variable_and_what_lies_on_them(run, cube, tmp_path):
    # LOAD false loads nothing; rows may come as lists, and a relative path is made absolute.
    result = run(
        "aggregatetime",
        {
            "CUBE": cube, "VARIABLES": [["s2_B04", "min"], ["s2_B04", "p90"]], "LIKE": "s2_B08", "LOAD": False,
            "OUTPUT": str(tmp_path / "like.nc"),
        },
    )  # fmt: skip
    assert layers() == {}
    assert run("loadminicube", {"CUBE": result["OUTPUT"]})["N_LAYERS"] == 2 + 6 + 1
    shown = layers()
    assert {"s2_B04_min.vrt", "s2_B04_p90.vrt", "s2_B08.vrt", "s2_SCL.vrt"} <= set(shown)
    assert len(shown["s2_B04_p90.vrt"]) == len(shown["s2_B08.vrt"]) == 13


def test_temporary_output_and_text_for_a_matrix(run, cube):
    parameters = {"CUBE": cube, "VARIABLES": "s2_mask,max", "OUTPUT": "TEMPORARY_OUTPUT", "LOAD": False}
    result = run("aggregatetime", parameters)
    assert result["OUTPUT"].endswith(".nc") and os.path.isfile(result["OUTPUT"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"VARIABLES": None}, "VARIABLES is empty"),
        ({"VARIABLES": ["", ""]}, "VARIABLES is empty"),
        (
            {"VARIABLES": ["s2_B04"]},
            r"VARIABLES is not made of rows of 2 cells \(name, aggregation\): s2_B04",
        ),
        ({"VARIABLES": ["s2_B04", "mean", "s2_B08"]}, "VARIABLES is not made of rows of 2 cells"),
        ({"VARIABLES": ["s2_B04", ""]}, "VARIABLES lacks an aggregation for s2_B04"),
        ({"VARIABLES": ["s2_B04", "mode"]}, "Unknown aggregation: 'mode'"),
        ({"VARIABLES": ["B04", "mean"]}, "no variable B04. It has over time: s2_B02"),
        ({"VARIABLES": ["s2_SCL", "mean"]}, "s2_SCL holds classes"),
        ({"VARIABLES": ["s2_item_id", "max"]}, "s2_item_id holds text"),
        ({"VARIABLES": ["s2_B04", "mean", "s2_B04", "mean"]}, "s2_B04, mean 2 times"),
        ({"LIKE": "B04"}, "LIKE: the cube has no variable B04"),
        ({"STEP_DAYS": 0}, "STEP_DAYS"),
        ({"STEP_DAYS": 400}, "shorter than one step of 400 days"),
        ({"CUBE": "no/such.nc"}, "CUBE does not exist"),
        ({"OUTPUT": "a.tif"}, "does not end in .nc or .zarr"),
        ({"AGGREGATION": "mean"}, "Unknown parameter: AGGREGATION"),
    ],
)
def test_wrong_value_is_one_sentence(run, cube, tmp_path, monkeypatch, changes, words):
    monkeypatch.chdir(tmp_path)
    parameters = {"CUBE": cube, "VARIABLES": PAIRS, "OUTPUT": "new.nc", **changes}
    with pytest.raises(QgsProcessingException, match=words):
        run("aggregatetime", {name: value for name, value in parameters.items() if value is not None})
    assert list(tmp_path.iterdir()) == []


def test_cube_itself_is_not_replaced(run, cube, tmp_path):
    path = shutil.copy(cube, tmp_path / "own.nc")
    with pytest.raises(QgsProcessingException, match="OUTPUT is the cube itself"):
        run("aggregatetime", {"CUBE": str(path), "VARIABLES": PAIRS, "OUTPUT": str(path)})


def test_cancel_raises_and_leaves_nothing(run, cube, tmp_path, feedback_class):
    parameters = {"CUBE": cube, "VARIABLES": PAIRS, "OUTPUT": str(tmp_path / "new.nc")}
    with pytest.raises(QgsProcessingException, match="Cancelled"):
        run("aggregatetime", parameters, feedback_class(cancel_at=10))
    assert list(tmp_path.iterdir()) == []


# --- matrices -------------------------------------------------------------------------------------


class Matrix(QgsProcessingAlgorithm):
    def createInstance(self):
        return Matrix()

    def name(self):
        return "matrix"

    def displayName(self):
        return "matrix"

    def initAlgorithm(self, configuration=None):
        self.addParameter(QgsProcessingParameterMatrix("M", "m", 1, False, ["a", "b"], None, True))


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        (["t", "mean", "tp", "sum"], [["t", "mean"], ["tp", "sum"]]),
        ([["t", "mean"], ["tp", "sum"]], [["t", "mean"], ["tp", "sum"]]),
        ("t,mean, tp ,sum", [["t", "mean"], ["tp", "sum"]]),
        ('"t","mean"', [["t", "mean"]]),
        (["a", 1.0, "b", 2.5], [["a", "1"], ["b", "2.5"]]),
        ("a,1,b,2.5", [["a", "1"], ["b", "2.5"]]),
        (["a", "", "", ""], [["a", ""]]),
        (["a", None], [["a", ""]]),
        ([], []),
        ("", []),
        (None, []),
        (["", ""], []),
    ],
)
def test_matrix_is_read_as_rows_of_text(provider, value, rows):
    algorithm = Matrix().create()
    assert Parameters(algorithm, {"M": value}, QgsProcessingContext()).matrix("M", ("a", "b")) == rows
    assert Parameters(algorithm, {}, QgsProcessingContext()).matrix("M", ("a", "b")) == []


@pytest.mark.parametrize("value", [["a"], "a,b,c", [["a", "b"], ["c"]], [["a", "b", "c"]]])
def test_ragged_matrix_is_refused(provider, value):
    with pytest.raises(InputError, match=r"M is not made of rows of 2 cells \(a, b\)"):
        Parameters(Matrix().create(), {"M": value}, QgsProcessingContext()).matrix("M", ("a", "b"))
