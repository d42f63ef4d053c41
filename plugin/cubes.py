"""The cubes that are open in the project, where a cube lies, and how much of it a layer's extent covers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsGeometry,
    QgsLayerTreeGroup,
    QgsMapLayer,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)

from ..processing.groups import CUBE_PROPERTY, DATES_PROPERTY
from ..processing.release import shows
from ..processing.text import tr

CUTS = 20  # pieces of each edge of a cube, whose edges bend in another CRS
WHOLE = 0.9999  # rounding of a change of CRS is no gap
SOME = 1e-9


@dataclass(frozen=True)
class CubeFacts:
    """Where a cube lies, in its CRS, and the names of its variables."""

    path: str
    crs: QgsCoordinateReferenceSystem
    box: QgsRectangle
    width: int
    height: int
    names: frozenset

    @classmethod
    def of(cls, path: str, grid: dict[str, Any]) -> CubeFacts:
        """From what the job `cubegrid` says of the cube at `path`."""
        west, south, east, north = grid["bounds"]
        return cls(
            path,
            QgsCoordinateReferenceSystem.fromWkt(grid["wkt"]),
            QgsRectangle(west, south, east, north),
            grid["width"],
            grid["height"],
            frozenset(grid["names"]),
        )

    def text(self) -> str:
        """For people: size, pixels and CRS."""
        units = "°" if self.crs.isGeographic() else " m"
        said = tr("{width} × {height} pixels of {size}{units}, {crs}")
        return said.format(
            width=self.width,
            height=self.height,
            size=f"{self.box.width() / self.width:.6g}",
            units=units,
            crs=self.crs.userFriendlyIdentifier(),
        )


def open_cubes(project: QgsProject) -> dict[str, str]:
    """Path to title of the cubes that are open in a project, in the order of its tree; titles are their groups'."""
    found = {}
    for group in project.layerTreeRoot().findGroups(True):
        source = str(group.customProperty(CUBE_PROPERTY) or "")
        if source and _has_cube_layers(group):
            found.setdefault(source, group.name())
    for node in project.layerTreeRoot().findLayers():  # of groups that were dissolved
        layer = node.layer()
        if layer is not None and of_a_cube(layer):
            source = str(layer.customProperty(CUBE_PROPERTY) or "")
            found.setdefault(source, os.path.splitext(os.path.basename(source))[0])
    found.pop("", None)
    return found


def _has_cube_layers(group: QgsLayerTreeGroup) -> bool:
    """Other algorithms make such groups too, of plain files."""
    return any(node.layer() is not None and of_a_cube(node.layer()) for node in group.findLayers())


def of_a_cube(layer: QgsMapLayer, cubes: Any = ()) -> bool:
    """Whether a layer shows a variable of a cube, or a file of one of the `cubes` (paths)."""
    if DATES_PROPERTY in layer.customPropertyKeys():
        return True
    return isinstance(layer, QgsRasterLayer) and any(shows(layer, cube) for cube in cubes)


def share_covered(
    layer: QgsMapLayer, cube: CubeFacts, context: QgsCoordinateTransformContext
) -> float | None:
    """The share of a cube's area that the layer's extent covers, 0 where they do not touch.

    Of a vector layer whose extent has no area (one point, a straight line) in the cube: more than 0. None when the
    extent is empty or cannot be brought into the layer's CRS.
    """
    extent = layer.extent()
    inverted = extent.xMinimum() > extent.xMaximum()  # as of a layer without features
    if extent.isNull() or inverted or not extent.isFinite() or not layer.crs().isValid():
        return None
    outline = QgsGeometry.fromRect(cube.box).densifyByCount(CUTS)
    try:
        outline.transform(QgsCoordinateTransform(cube.crs, layer.crs(), context))
    except QgsCsException:
        return None
    if isinstance(layer, QgsVectorLayer) and extent.isEmpty():
        return SOME if outline.intersects(QgsGeometry.fromRect(extent.buffered(SOME))) else 0.0
    common = outline.intersection(QgsGeometry.fromRect(extent))
    area = outline.area()
    share = common.area() / area if area > 0 else 0.0
    return 1.0 if share > WHOLE else share
