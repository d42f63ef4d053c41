"""Runs inside the QGIS desktop (`qgis --code`): loads the cube, zooms to it and takes a picture of the window."""

import os
import time
import traceback

from qgis.core import Qgis, QgsApplication, QgsProject
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QDialog, QDockWidget
from qgis.utils import iface

CUBE = os.environ["MINICUBER_DEMO_CUBE"]
PICTURE = os.environ["MINICUBER_DEMO_PICTURE"]
STAY = bool(os.environ["MINICUBER_DEMO_STAY"])


def load():
    """Load the cube as a user would, and let the canvas show it."""
    # Imported here: when this file is read, Processing may not have been started yet.
    import processing

    project = QgsProject.instance()
    processing.run("minicuber:loadminicube", {"CUBE": CUBE})
    nodes = project.layerTreeRoot().findLayers()
    shown = [node.layer() for node in nodes if node.isVisible()]
    if not shown:
        raise RuntimeError(f"of {len(nodes)} layers none is visible")
    # The tree of layers gets the whole height.
    iface.mainWindow().findChild(QDockWidget, "Browser").close()
    project.setCrs(shown[0].crs())
    iface.setActiveLayer(shown[0])
    iface.zoomToActiveLayer()


def picture():
    """Draw to the end, then save the whole window. What stands in its way is a fault of the demo."""
    canvas = iface.mapCanvas()
    canvas.waitWhileRendering()
    for _ in range(20):
        QgsApplication.processEvents()
        time.sleep(0.05)
    canvas.waitWhileRendering()
    window = iface.mainWindow()
    if not window.grab().save(PICTURE):
        raise RuntimeError(f"the picture {PICTURE} could not be written")
    image = canvas.grab().toImage()
    columns, rows = range(0, image.width(), 7), range(0, image.height(), 7)
    colours = {image.pixel(column, row) for column in columns for row in rows}
    if len(colours) < 50:
        raise RuntimeError(f"the map shows {len(colours)} colours, which is no image of a landscape")
    dialogs = [
        widget.windowTitle() or type(widget).__name__
        for widget in QgsApplication.topLevelWidgets()
        if isinstance(widget, QDialog) and widget.isVisible()
    ]
    if dialogs:
        raise RuntimeError(f"a dialog is open: {', '.join(dialogs)}")
    problems = [
        item.text() or item.title()
        for item in iface.messageBar().items()
        if item.level() in (Qgis.MessageLevel.Warning, Qgis.MessageLevel.Critical)
    ]
    if problems:
        raise RuntimeError(f"QGIS complains: {'; '.join(problems)}")


def step(work, then, wait):
    """Do `work` and, a while later, `then`; between them QGIS handles its events."""
    try:
        work()
    except Exception as error:  # noqa: BLE001  (nobody else would report it)
        print(f"minicuber demo: {error}", flush=True)
        traceback.print_exc()
        then = leave
    if not (STAY and then is leave):
        QTimer.singleShot(wait, then)


def leave():
    # QGIS asks before it leaves a project that was changed, or that has layers from a temporary folder.
    QgsProject.instance().clear()
    QgsProject.instance().setDirty(False)
    iface.actionExit().trigger()


def begin():
    if not STAY:
        # Without a window manager nobody else gives the window its size.
        iface.mainWindow().showNormal()
        iface.mainWindow().setGeometry(0, 0, 1600, 1000)
    step(load, finish, 1500)


def finish():
    step(picture, leave, 100)


QTimer.singleShot(500, begin)
