"""Brings results into the project: a group per cube, styled and dated, always on the main thread.

Algorithms may finish on any thread. The loader lives on the main thread and is asked by a signal, which Qt
delivers there: at once when asked from it, queued otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from osgeo import gdal
from qgis.core import (
    Qgis,
    QgsLayerTreeGroup,
    QgsMessageLog,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication, QObject, pyqtSignal

from .styling import set_dates, style
from .text import tr

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
    """Add a group of layers to a project, at the place of an earlier one of the same source, else on top.

    The earlier one's own layers go; layers that the user put there stay in it.
    """
    parent, position = _remove_earlier(project, source)
    group = parent.insertGroup(position, title)
    group.setCustomProperty(CUBE_PROPERTY, source)
    shown = _first_shown(layers)
    for info in layers:
        layer = _layer(info)
        if not layer.isValid():
            text = tr("{} cannot be shown: {}").format(layer.name(), info["path"])
            QgsMessageLog.logMessage(text, "Minicuber", Qgis.MessageLevel.Warning)
            continue
        if "variable" in info:
            style(layer, info)
            set_dates(layer, info)
        layer.setCustomProperty(CUBE_PROPERTY, source)
        project.addMapLayer(layer, False)
        node = group.addLayer(layer)
        node.setItemVisibilityChecked(info is shown)
        node.setExpanded(False)
    return group


def _remove_earlier(project: QgsProject, source: str) -> tuple[QgsLayerTreeGroup, int]:
    """Remove what was loaded of a source; returns the place (group, index) where it stood, else the top."""
    for group in _all_groups(project.layerTreeRoot()):
        if group.customProperty(CUBE_PROPERTY) != source:
            continue
        parent = group.parent()
        index = parent.children().index(group)
        ours = [
            n.layerId()
            for n in group.findLayers()
            if n.layer() and n.layer().customProperty(CUBE_PROPERTY) == source
        ]
        project.removeMapLayers(ours)
        if group.children():
            group.removeCustomProperty(CUBE_PROPERTY)
        else:
            parent.removeChildNode(group)
        return parent, index
    return project.layerTreeRoot(), 0


def _all_groups(group: QgsLayerTreeGroup) -> list[QgsLayerTreeGroup]:
    found = []
    for child in group.children():
        if isinstance(child, QgsLayerTreeGroup):
            found += [child, *_all_groups(child)]
    return found


@contextmanager
def _no_statistics_files() -> Iterator[None]:
    """QGIS computes a stretch of its own for every new layer, which ours replaces; GDAL would keep its histograms
    beside the cube, where they outlive it."""
    earlier = gdal.GetThreadLocalConfigOption("GDAL_PAM_ENABLED")
    gdal.SetThreadLocalConfigOption("GDAL_PAM_ENABLED", "NO")
    try:
        yield
    finally:
        gdal.SetThreadLocalConfigOption("GDAL_PAM_ENABLED", earlier)


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
    with _no_statistics_files():
        return QgsRasterLayer(info["path"], name, "gdal")
