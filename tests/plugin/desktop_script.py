"""Runs inside the QGIS desktop (`qgis --code`): builds a cube through the toolbar's dialog as a person does,
and writes what it saw to the folder in MINICUBER_DESKTOP_TEST. Pictures are for people; the test reads
`seen.json`.
"""

import json
import os
import time
import traceback
from pathlib import Path

from qgis.core import QgsApplication, QgsCoordinateReferenceSystem, QgsProject, QgsRectangle, QgsSettings
from qgis.PyQt.QtCore import QCoreApplication, QTimer
from qgis.PyQt.QtWidgets import QDockWidget
from qgis.utils import iface, plugins

FOLDER = Path(os.environ["MINICUBER_DESKTOP_TEST"])
ORDER = json.loads((FOLDER / "order.json").read_text())
seen = {"gaps": 0.0, "problems": []}


def picture(widget, name):
    widget.grab().save(str(FOLDER / f"{name}.png"))


def wait(condition, seconds):
    """Let the interface live until the condition holds; measures how long it was ever frozen."""
    end = time.monotonic() + seconds
    last = time.monotonic()
    while not condition() and time.monotonic() < end:
        QCoreApplication.processEvents()
        now = time.monotonic()
        seen["gaps"] = max(seen["gaps"], now - last)
        last = now
        time.sleep(0.005)
    return condition()


def children():
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and b"child.py" in Path(stat.parent, "cmdline").read_bytes():
            found.append(int(stat.parent.name))
    return found


def messages():
    """What stands in the message bar from us."""
    return [item.text() for item in iface.messageBar().items() if item.title() == "Minicuber"]


def work():
    plugin = plugins["minicuber"]
    project = QgsProject.instance()
    project.setCrs(QgsCoordinateReferenceSystem("EPSG:32632"))
    canvas = iface.mapCanvas()
    xmin, xmax, ymin, ymax = (float(v) for v in ORDER["EXTENT"].split(" ")[0].split(","))
    canvas.setExtent(QgsRectangle(xmin, ymin, xmax, ymax))
    QCoreApplication.processEvents()
    seen["menu"] = [action.text() for action in plugin.actions]
    seen["toolbar_visible"] = plugin.toolbar.isVisible()

    next(a for a in plugin.actions if a.objectName() == "minicuber_build").trigger()
    dialog = plugin._dialogs[-1]
    seen["dialog"] = dialog.windowTitle()
    seen["extent_in_dialog"] = dialog.createProcessingParameters().get("EXTENT", "")
    dialog.setParameters({**ORDER, "EXTENT": plugin.canvas_extent()})
    wait(lambda: False, 0.5)
    picture(dialog, "dialog")

    logged = []
    QgsApplication.messageLog().messageReceived.connect(
        lambda text, tag, level: logged.append(text) if tag == "Minicuber" else None
    )
    dialog.runAlgorithm() if hasattr(dialog, "runAlgorithm") else dialog.button_box.click()
    seen["child_started"] = wait(lambda: bool(children()), 20)
    seen["gaps"] = 0.0
    wait(lambda: False, 2.0)
    picture(dialog, "running")
    if ORDER.get("hang"):
        (FOLDER / "children.json").write_text(json.dumps(children()))
        wait(lambda: False, 60)
    seen["loaded"] = wait(lambda: bool(project.layerTreeRoot().findGroups()), 90)
    seen["gap_while_building"] = seen["gaps"]
    wait(lambda: not children(), 5)
    groups = project.layerTreeRoot().findGroups()
    seen["groups"] = [group.name() for group in groups]
    seen["layers"] = [node.layer().name() for group in groups for node in group.findLayers()]
    wait(lambda: bool(messages()), 5)
    seen["messages"] = messages()
    seen["logged"] = "\n".join(logged)
    picture(iface.mainWindow(), "finished")
    seen["remembered"] = str(QgsSettings().value("minicuber/remembered/buildminicube", ""))
    dialog.close()
    for dock in iface.mainWindow().findChildren(QDockWidget):
        if dock.objectName().startswith("Browser"):
            dock.hide()
    iface.messageBar().clearWidgets()
    iface.mainWindow().resize(1280, 800)
    wait(lambda: False, 0.5)
    canvas.setExtent(QgsRectangle(xmin, ymin, xmax, ymax))
    canvas.refresh()
    wait(lambda: not canvas.isDrawing(), 10)
    wait(lambda: False, 1.5)
    picture(iface.mainWindow(), "loaded")


def main():
    try:
        work()
    except Exception:  # noqa: BLE001  (the test shows it)
        seen["problems"].append(traceback.format_exc())
    (FOLDER / "seen.json").write_text(json.dumps(seen))
    QgsProject.instance().setDirty(False)
    QgsApplication.instance().quit()
    QTimer.singleShot(2000, lambda: os._exit(0))


QTimer.singleShot(1500, main)
