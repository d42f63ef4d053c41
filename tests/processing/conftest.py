"""The provider in a QGIS application, and data to run it on."""

from __future__ import annotations

import helpers
import pytest
from minicuber.plugin.plugin import MinicuberPlugin
from qgis.core import (
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QImage


class Feedback(QgsProcessingFeedback):
    """Keeps every word; cancels itself when the progress reaches `cancel_at`."""

    def __init__(self, cancel_at: float | None = None) -> None:
        super().__init__(False)
        self.words: list[str] = []
        self.steps: list[float] = []
        self._cancel_at = cancel_at
        self.progressChanged.connect(self._progress)

    def _progress(self, value: float) -> None:
        self.steps.append(value)
        if self._cancel_at is not None and value >= self._cancel_at:
            self.cancel()

    def setProgressText(self, text: str) -> None:
        self.words.append(text)

    def pushInfo(self, text: str) -> None:
        self.words.append(text)

    def pushWarning(self, text: str) -> None:
        self.words.append(text)

    def pushDebugInfo(self, text: str) -> None:
        self.words.append(text)

    def reportError(self, text: str, fatalError: bool = False) -> None:
        self.words.append(text)


@pytest.fixture(scope="session")
def provider(qgis_app, qgis_processing):
    plugin = MinicuberPlugin(None)
    plugin.initProcessing()
    return plugin.provider


@pytest.fixture
def run(provider):
    """`run(algorithm, parameters, feedback=None, project=None)` as a PyQGIS script does."""
    import processing

    def call(algorithm, parameters, feedback=None, project=None):
        context = QgsProcessingContext()
        context.setProject(project or QgsProject.instance())
        return processing.run(
            f"minicuber:{algorithm}", parameters, feedback=feedback or Feedback(), context=context
        )

    yield call
    QgsProject.instance().clear()


@pytest.fixture
def feedback_class():
    return Feedback


@pytest.fixture(scope="session")
def demo(provider, tmp_path_factory) -> dict:
    """The outputs of createdemodata."""
    import processing

    folder = tmp_path_factory.mktemp("demo") / "demo"
    return processing.run("minicuber:createdemodata", {"OUTPUT": str(folder), "LOAD": False})


@pytest.fixture(scope="session")
def cube(provider, demo, tmp_path_factory) -> str:
    """The path of a cube of 13 dates, not to be changed."""
    import processing

    output = tmp_path_factory.mktemp("cube") / "valley.nc"
    return processing.run(
        "minicuber:buildminicube",
        {
            "EXTENT": demo["EXTENT"], "START": "2021-06-01", "END": "2021-07-31", "CATALOG": demo["CATALOG"],
            "S2_BANDS": ["B02", "B03", "B04", "B08", "SCL"], "S2_MASK": "scl", "OUTPUT": str(output), "LOAD": False,
        },
    )["OUTPUT"]  # fmt: skip


@pytest.fixture(scope="session")
def profile(tmp_path_factory):
    """A QGIS profile with the plugin enabled, for `qgis_process`."""
    folder = helpers.make_profile(tmp_path_factory.mktemp("profile"))
    code, text = helpers.run(folder, "plugins", "enable", "minicuber")
    assert code == 0, text
    return folder


def _draw(*layers) -> QImage:
    settings = QgsMapSettings()
    settings.setLayers(list(layers))
    settings.setDestinationCrs(layers[0].crs())
    settings.setExtent(layers[0].extent())
    settings.setOutputSize(QSize(60, 60))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    return job.renderedImage()


@pytest.fixture
def draw():
    """`draw(layer, ...)`: the map of layers, the first on top."""
    return _draw
