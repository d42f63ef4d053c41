"""A cube in the tree of layers: one group, which is brought up to date in place when the cube is loaded again.

Layers keep their ids, so that layouts, themes and joins of the user keep them too; what he changed of their
look, names, order and visibility stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from qgis.core import (
    Qgis,
    QgsLayerTreeGroup,
    QgsLayerTreeLayer,
    QgsMapLayer,
    QgsMapLayerLegendUtils,
    QgsMessageLog,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)

from .layer_metadata import set_origin
from .release import no_statistics_files, set_source
from .styling import fingerprint, legend_nodes, show_band, shown_band, style, style_as_hillshade
from .temporal import set_date, set_dates
from .text import tr

# Custom properties of our groups and layers, which projects keep.
CUBE_PROPERTY = "minicuber/source"
TITLE_PROPERTY = "minicuber/title"  # of a group: the name that we gave it
FOLDER_PROPERTY = "minicuber/folder"  # of a group in it
LAYER_PROPERTY = "minicuber/layer"  # which of the cube's layers it is
LOOK_PROPERTY = "minicuber/look"  # what our style came to
DATES_PROPERTY = "minicuber/dates"  # of its bands

MANY_LAYERS = 100  # as one layer per date: more is slow
MOST_LAYERS = 400


@dataclass(frozen=True)
class Entry:
    """A layer to be: `key` tells it from the others of the cube. `folder`: name of the group within the cube's,
    "" for the cube's own. `number`: of the one date that it shows, 0 for all. `info`: as `LayerInfo` of the core.
    """

    key: str
    info: dict[str, Any]
    path: str
    folder: str = ""
    number: int = 0
    hillshade: bool = False


def count_by_date(layers: Iterable[dict[str, Any]]) -> int:
    """How many layers one per date would be."""
    return sum(len(_dates_of(info)) for info in layers)


def _dates_of(info: dict[str, Any]) -> list[str]:
    return list(info.get("all_dates") or info.get("dates") or ())


def update_group(
    project: QgsProject,
    title: str,
    source: str,
    layers: list[dict[str, Any]],
    by_date: bool | None = False,
    only_open: bool = False,
) -> QgsLayerTreeGroup | None:
    """Bring the group of a cube up to date, or add it on top.

    `by_date`: whether there is one layer per date besides; None: if there was. `only_open`: layers that are in
    the project are brought up to date, none is added. Layers of the user in the group stay in it.
    None when there is no group, because nothing of the cube is open or the user dissolved it.
    """
    there = _layers_of(project, source)
    group = _group_of(project, source)
    if only_open and not there:
        return group
    if by_date is None:
        by_date = any(" by date/" in key for key in there) and count_by_date(layers) <= MOST_LAYERS
    is_new = group is None
    if group is None:
        group = project.layerTreeRoot().insertGroup(0, title)
        group.setCustomProperty(CUBE_PROPERTY, source)
    elif group.name() == group.customProperty(TITLE_PROPERTY):
        group.setName(title)
    group.setCustomProperty(TITLE_PROPERTY, title)
    shown = _first_shown(layers) if is_new else None
    place = 0
    for entry in _entries(layers, by_date):
        earlier = there.pop(entry.key, [])
        if earlier:
            for layer in earlier:
                _reopen(project, layer, entry, source)
            nodes = [group.findLayer(layer) for layer in earlier if project.mapLayer(layer.id()) is not None]
        elif only_open:
            continue
        else:
            parent = _folder(group, entry.folder, place) if entry.folder else group
            at = len(parent.children()) if entry.folder else place
            nodes = [_add(project, parent, at, entry, source, bool(entry.folder) or entry.info is shown)]
            if entry.info is shown and not entry.number:
                parent.setItemVisibilityChecked(True)
        place = max([place, *(_place(group, node) + 1 for node in nodes)])
    project.removeMapLayers([layer.id() for gone in there.values() for layer in gone])
    _remove_empty_folders(group)
    if is_new and not group.children():
        # All of its layers were there, where the user had put them when he dissolved the group.
        group.parent().removeChildNode(group)
        return None
    return group


def _entries(layers: list[dict[str, Any]], by_date: bool) -> list[Entry]:
    """Every layer to be, in the order of the tree; what has one per date comes last."""
    entries, dated = [], []
    for info in layers:
        if "variable" not in info:
            entries.append(Entry(info["name"], info, info["path"]))
            continue
        name, path = info["variable"], info["path"]
        if info["kind"] == "elevation":
            entries.append(Entry(f"{name}/hillshade", info, path, name, hillshade=True))
            entries.append(Entry(name, info, path, name))
        else:
            entries.append(Entry(name, info, path))
        if by_date:
            folder = tr("{} by date").format(name)
            for number, date in enumerate(_dates_of(info), start=1):
                dated.append(Entry(f"{name} by date/{date}", info, _one_date(info, number), folder, number))
    return entries + dated


def _one_date(info: dict[str, Any], number: int) -> str:
    """The bands of one date alone, as GDAL takes them from a raster of all: QGIS opens few bands much faster."""
    if info["kind"] == "rgb":
        return f"vrt://{info['by_date']}?bands={3 * number - 2},{3 * number - 1},{3 * number}"
    return f"vrt://{info['path']}?bands={number}"


def _name(entry: Entry) -> str:
    if entry.number:
        return f"{entry.info['variable']} {_dates_of(entry.info)[entry.number - 1]}"
    if entry.hillshade:
        return tr("{} hillshade").format(entry.info["variable"])
    return entry.info.get("variable") or entry.info["name"]


def _add(
    project: QgsProject,
    parent: QgsLayerTreeGroup,
    at: int,
    entry: Entry,
    source: str,
    visible: bool,
) -> QgsLayerTreeLayer | None:
    """Add a layer to the project and the tree; None when it cannot be shown, which is said."""
    layer = _open(entry)
    if not layer.isValid():
        _complain(layer, entry.path)
        return None
    layer.setCustomProperty(CUBE_PROPERTY, source)
    layer.setCustomProperty(LAYER_PROPERTY, entry.key)
    if "variable" in entry.info:
        _dress(layer, entry)
    elif "style" in entry.info:
        _dress_features(layer, entry)
    project.addMapLayer(layer, False)
    # Collapsed before it is in the tree: the view would leave some legends open that are closed later.
    node = QgsLayerTreeLayer(layer)
    node.setItemVisibilityChecked(visible)
    node.setExpanded(False)
    _shorten_legend(node, entry)
    parent.insertChildNode(at, node)
    return node


def _open(entry: Entry) -> QgsMapLayer:
    if entry.path.lower().endswith((".geojson", ".gpkg")):
        return QgsVectorLayer(entry.path, _name(entry), "ogr")
    with no_statistics_files():
        return QgsRasterLayer(entry.path, _name(entry), "gdal")


def _complain(layer: QgsMapLayer, path: str) -> None:
    text = tr("{} cannot be shown: {}").format(layer.name(), path)
    QgsMessageLog.logMessage(text, "Minicuber", Qgis.MessageLevel.Warning)


def _dress(layer: QgsRasterLayer, entry: Entry) -> None:
    """Style, dates and metadata of a layer of a cube."""
    if entry.hillshade:
        style_as_hillshade(layer, entry.info)
    else:
        style(layer, entry.info, 1 if entry.number else None)
    _set_facts(layer, entry)
    layer.setCustomProperty(LOOK_PROPERTY, fingerprint(layer))


def _dress_features(layer: QgsVectorLayer, entry: Entry) -> None:
    """Style of a layer of features, which says itself how it looks."""
    entry.info["style"](layer)
    layer.setCustomProperty(LOOK_PROPERTY, layer.renderer().dump())


def _set_facts(layer: QgsRasterLayer, entry: Entry) -> None:
    """What holds of a layer whatever it looks like."""
    if entry.number:
        set_date(layer, _dates_of(entry.info)[entry.number - 1])
    elif not entry.hillshade:
        set_dates(layer, entry.info)
    layer.setCustomProperty(DATES_PROPERTY, ",".join(entry.info["dates"]))
    set_origin(layer, entry.info)


def _reopen(project: QgsProject, layer: QgsMapLayer, entry: Entry, source: str) -> None:
    """Let a layer show what the cube is now. Our style is made anew; the user's stays, on the date that it showed."""
    if not isinstance(layer, QgsRasterLayer):
        layer.reload()
        if "style" in entry.info and layer.renderer().dump() == layer.customProperty(LOOK_PROPERTY, ""):
            _dress_features(layer, entry)
        return
    changed = layer.renderer() is not None and fingerprint(layer) != layer.customProperty(LOOK_PROPERTY, "")
    band, dates = shown_band(layer), str(layer.customProperty(DATES_PROPERTY, "")).split(",")
    set_source(layer, entry.path)
    if not layer.isValid():
        _complain(layer, entry.path)
        project.removeMapLayer(layer.id())
        return
    if "variable" in entry.info:
        if not changed:
            _dress(layer, entry)
        else:
            _set_facts(layer, entry)
            if band and not entry.hillshade and not entry.number:
                show_band(layer, _band_of(dates, band, entry.info))
        node = project.layerTreeRoot().findLayer(layer)
        if node is not None and not changed:
            _shorten_legend(node, entry)
    layer.triggerRepaint()


def _band_of(earlier: list[str], band: int, info: dict[str, Any]) -> int:
    """The band that has now the date that `band` of the earlier dates had; the clearest one's, when it is gone."""
    date = earlier[band - 1] if band <= len(earlier) else ""
    return list(info["dates"]).index(date) + 1 if date in info["dates"] else info["best"]


def _shorten_legend(node: QgsLayerTreeLayer, entry: Entry) -> None:
    nodes = legend_nodes(entry.info) if "variable" in entry.info and not entry.number else []
    if nodes:
        QgsMapLayerLegendUtils.setLegendNodeOrder(node, nodes)


def _layers_of(project: QgsProject, source: str) -> dict[str, list[QgsMapLayer]]:
    """The layers of a cube in the project by key, copies that the user made of one together."""
    found: dict[str, list[QgsMapLayer]] = {}
    for layer in project.mapLayers().values():
        if layer.customProperty(CUBE_PROPERTY) == source:
            found.setdefault(str(layer.customProperty(LAYER_PROPERTY, "")), []).append(layer)
    return found


def _group_of(project: QgsProject, source: str) -> QgsLayerTreeGroup | None:
    for group in _groups_in(project.layerTreeRoot()):
        if group.customProperty(CUBE_PROPERTY) == source:
            return group
    return None


def _groups_in(group: QgsLayerTreeGroup) -> list[QgsLayerTreeGroup]:
    found = []
    for child in group.children():
        if isinstance(child, QgsLayerTreeGroup):
            found += [child, *_groups_in(child)]
    return found


def _folder(group: QgsLayerTreeGroup, name: str, at: int) -> QgsLayerTreeGroup:
    """The group within a cube's group, collapsed and hidden when it is new: one click shows all in it."""
    for child in group.children():
        if isinstance(child, QgsLayerTreeGroup) and child.customProperty(FOLDER_PROPERTY) == name:
            return child
    folder = QgsLayerTreeGroup(name)
    folder.setCustomProperty(FOLDER_PROPERTY, name)
    folder.setExpanded(False)
    folder.setItemVisibilityChecked(False)
    group.insertChildNode(at, folder)
    return folder


def _place(group: QgsLayerTreeGroup, node: QgsLayerTreeLayer | None) -> int:
    """The index in a group of a node that is in it, or in a group of it; -1 of any other."""
    while node is not None and node.parent() is not None:
        if node.parent() is group or node.parent() == group:
            return group.children().index(node)
        node = node.parent()
    return -1


def _remove_empty_folders(group: QgsLayerTreeGroup) -> None:
    for child in list(group.children()):
        if (
            isinstance(child, QgsLayerTreeGroup)
            and child.customProperty(FOLDER_PROPERTY)
            and not child.children()
        ):
            group.removeChildNode(child)


def _first_shown(layers: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The layer that is visible at first: the natural colours, else the first one."""
    for info in layers:
        if info.get("kind") == "rgb":
            return info
    return layers[0] if layers else None
