"""Brings results into the project: a group per cube, styled and dated, always on the main thread.

Algorithms may finish on any thread. The loader lives on the main thread and is asked by a signal, which Qt
delivers there: at once when asked from it, queued otherwise.
"""

from __future__ import annotations

from typing import Any

from qgis.core import QgsLayerTreeGroup, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication, QObject, pyqtSignal

from .styling import set_dates, style

CUBE_PROPERTY = "minicuber/source"


class ProjectLoader(QObject):
    """Loads groups of layers into the current project."""

    # As object: a list would travel as QVariant, whose maps sort their keys.
    requested = pyqtSignal(str, str, object)

    def __init__(self) -> None:
        super().__init__()
        self.requested.connect(self._load)

    def request(self, title: str, source: str, layers: list[dict[str, Any]]) -> None:
        """Load `layers` as the group `title`; a group of the same `source` is replaced in its place.

        A layer is a dictionary as `LayerInfo` of the core has it, or `{"path", "name"}` of a plain file.
        """
        self.requested.emit(title, source, layers)

    def _load(self, title: str, source: str, layers: list[dict[str, Any]]) -> None:
        add_group(QgsProject.instance(), title, source, layers)


_loaders: list[ProjectLoader] = []


def loader() -> ProjectLoader:
    """The loader of this process; made by the provider on the main thread."""
    if not _loaders:
        made = ProjectLoader()
        application = QCoreApplication.instance()
        if application is not None:
            made.moveToThread(application.thread())
        _loaders.append(made)
    return _loaders[0]


def add_group(
    project: QgsProject, title: str, source: str, layers: list[dict[str, Any]]
) -> QgsLayerTreeGroup:
    """Add a group of layers to a project, at the place of an earlier one of the same source, else on top."""
    root = project.layerTreeRoot()
    position = remove_group(project, source)
    group = root.insertGroup(position, title)
    group.setCustomProperty(CUBE_PROPERTY, source)
    shown = _first_shown(layers)
    for info in layers:
        layer = _layer(info)
        if not layer.isValid():
            group.setCustomProperty("minicuber/invalid", info["path"])
            continue
        if "variable" in info:
            style(layer, info)
            set_dates(layer, info)
        project.addMapLayer(layer, False)
        node = group.addLayer(layer)
        node.setItemVisibilityChecked(info is shown)
        node.setExpanded(False)
    return group


def remove_group(project: QgsProject, source: str) -> int:
    """Remove the group of a source with its layers; returns its place, 0 when there was none."""
    root = project.layerTreeRoot()
    for index, node in enumerate(root.children()):
        if isinstance(node, QgsLayerTreeGroup) and node.customProperty(CUBE_PROPERTY) == source:
            project.removeMapLayers([child.layerId() for child in node.findLayers()])
            root.removeChildNode(node)
            return index
    return 0


def _first_shown(layers: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The layer that is visible at first: the natural colours, else the first one."""
    for info in layers:
        if info.get("kind") == "rgb":
            return info
    return layers[0] if layers else None


def _layer(info: dict[str, Any]) -> Any:
    name = info.get("variable") or info["name"]
    if info["path"].lower().endswith((".geojson", ".gpkg")):
        return QgsVectorLayer(info["path"], name, "ogr")
    return QgsRasterLayer(info["path"], name, "gdal")
