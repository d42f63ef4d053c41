"""The table of layers as a Qt model: a row for each layer that can be attached, and where it lies about the cube."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from qgis.core import QgsIconUtils, QgsMapLayer, QgsProject
from qgis.PyQt.QtCore import QAbstractTableModel, QModelIndex, Qt
from qgis.PyQt.QtGui import QBrush, QColor, QIcon, QPainter, QPalette, QPixmap
from qgis.PyQt.QtWidgets import QApplication

from ..processing.text import tr
from .cubes import CubeFacts, of_a_cube, open_cubes, share_covered
from .layer_rows import Row, can_be_attached, method_texts, row_tooltip

LAYER, NAME, METHOD, BAND, PLACE = range(5)
CHOICES = Qt.ItemDataRole.UserRole + 1  # (text, value) of what a cell may be
RED = "#c0392b"
MOST_NAMES = 3  # that a line lists
FAINT = 0.55  # opacity of what is not ticked
COLOURS = {"covers": "#3c9d4e", "part": "#e09a1a", "misses": RED, "unknown": "#9a9a9a"}
SLOW = {"postgres", "oracle", "mssql", "hana", "WFS", "OAPIF", "arcgisfeatureserver"}


class LayerModel(QAbstractTableModel):
    """Rows in the order of the project's tree. Layers of cubes are left out unless `with_cubes` is set."""

    def __init__(self, project: QgsProject, parent: Any = None) -> None:
        super().__init__(parent)
        self._project = project
        self.rows: list[Row] = []
        self.cube: CubeFacts | None = None
        self.with_cubes = False
        self.asleep = False  # shown as disabled, which has a colour of its own
        self._shares: dict[str, float | None] = {}
        self.refresh()

    # --- what is in it -------------------------------------------------------------------------

    def refresh(self) -> None:
        """Bring the rows up to date with the project; choices that were made stay."""
        there = {row.layer.id(): row for row in self.rows}
        self.beginResetModel()
        self.rows = [there.get(layer.id()) or Row.of(layer) for layer in self._layers()]
        self.endResetModel()

    def _layers(self) -> list[QgsMapLayer]:
        nodes = self._project.layerTreeRoot().findLayers()
        ordered = {node.layerId(): node.layer() for node in nodes if node.layer() is not None}
        hidden = {key: layer for key, layer in self._project.mapLayers().items() if key not in ordered}
        found = [layer for layer in (*ordered.values(), *hidden.values()) if can_be_attached(layer)]
        cubes = list(open_cubes(self._project))
        return [layer for layer in found if self.with_cubes or not of_a_cube(layer, cubes)]

    def forget(self, ids: Iterable[str]) -> None:
        """Drop the rows of layers that are about to be deleted."""
        gone = set(ids)
        if any(row.layer.id() in gone for row in self.rows):
            self.beginResetModel()
            self.rows = [row for row in self.rows if row.layer.id() not in gone]
            self.endResetModel()

    def set_cube(self, cube: CubeFacts | None) -> None:
        """Say which cube the layers are for; None while that is not known."""
        self.cube = cube
        self._shares.clear()
        self._all_changed()

    def tick(self, places: Iterable[int], on: bool) -> None:
        """Tick or untick the rows at `places`."""
        for place in places:
            self.rows[place].ticked = on
        self._all_changed()

    def ticked(self) -> list[Row]:
        """The rows that are ticked."""
        return [row for row in self.rows if row.ticked]

    def shared_names(self) -> list[str]:
        """The names that several ticked rows have: of one variable over time."""
        counted = Counter(row.name for row in self.rows if row.ticked)
        return [name for name, count in counted.items() if count > 1]

    def has_dates(self) -> bool:
        """Whether something that is ticked becomes a variable over time."""
        return bool(self.shared_names()) or any(row.has_dates() for row in self.ticked())

    # --- what is said of them ------------------------------------------------------------------

    def place(self, row: Row) -> tuple[str, str]:
        """("covers", "part", "misses" or "unknown", a text) of a layer about the cube, by extents."""
        if self.cube is None:
            return "unknown", ""
        provider = row.layer.dataProvider()
        if not row.ticked and provider is not None and provider.name() in SLOW:
            return "unknown", ""  # a server may count all features for an extent
        key = row.layer.id()
        if key not in self._shares:
            self._shares[key] = share_covered(row.layer, self.cube, self._project.transformContext())
        share = self._shares[key]
        if share is None:
            return "unknown", tr("has no extent")
        if share <= 0:
            return "misses", tr("misses the cube")
        if share >= 1:
            return "covers", tr("covers the cube")
        if row.is_vector:
            return "part", tr("covers part")
        return "part", tr("covers {} %").format(max(1, min(99, round(100 * share))))

    def problems(self, row: Row) -> dict[str, str]:
        """What keeps a row from being attached: as `Row.problems`, and "place"."""
        found = row.problems()
        if not row.is_vector and "layer" not in found and self.place(row)[0] == "misses":
            found["place"] = tr("The layer lies beside the cube, so that it has nothing to give.")
        return found

    def hints(self, row: Row) -> list[str]:
        """What is worth knowing of a row's name."""
        found = []
        if row.name in self.shared_names():
            found.append(tr("Dated layers of one name become one variable over time."))
        if self.cube is not None and row.name in self.cube.names:
            found.append(tr("The cube has a variable {}, which this replaces.").format(row.name))
        return found

    def summary(self) -> str:
        """A line about the rows that are ticked."""
        rows = self.ticked()
        if not self.rows:
            return tr("The project has no raster or vector layer that can be attached.")
        if not rows:
            return tr("No layer is ticked.")
        said = [tr("{} of {} layers ticked").format(len(rows), len(self.rows))]
        if self.cube is not None:
            places = Counter(self.place(row)[0] for row in rows)
            texts = {
                "covers": tr("{} covering the cube"),
                "part": tr("{} covering part of it"),
                "misses": tr("{} missing it"),
            }
            said.append(", ".join(text.format(places[key]) for key, text in texts.items() if places[key]))
            replaced = [name for name in dict.fromkeys(row.name for row in rows) if name in self.cube.names]
            if replaced:
                listed, more = ", ".join(replaced[:MOST_NAMES]), len(replaced) - MOST_NAMES
                text = tr("replacing {} and {} more") if more > 0 else tr("replacing {}")
                said.append(text.format(listed, more))
        text = "; ".join(part for part in said if part) + "."
        shared = self.shared_names()
        if shared:
            same = tr("Dated layers of one name ({}) become one variable over time.")
            text += " " + same.format(", ".join(shared[:MOST_NAMES]))
        return text

    # --- what Qt asks for ----------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else 5

    def headerData(self, section: int, orientation: Any, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation != Qt.Orientation.Horizontal or role != Qt.ItemDataRole.DisplayRole:
            return None
        return (tr("Layer"), tr("Variable"), tr("Resampling"), tr("Band or field"), tr("Extent"))[section]

    def flags(self, index: QModelIndex) -> Any:
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if index.column() == LAYER:
            return flags | Qt.ItemFlag.ItemIsUserCheckable
        if index.column() in (NAME, METHOD) or len(self.choices(index)) > 1:
            return flags | Qt.ItemFlag.ItemIsEditable
        return flags

    def choices(self, index: QModelIndex) -> list[tuple[str, str]]:
        """What the cell may be; [] where it is free text, or not the user's to say."""
        row = self.rows[index.row()]
        if index.column() == METHOD:
            return row.methods()
        return row.bands() if index.column() == BAND else []

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, column)
        if role == Qt.ItemDataRole.EditRole:
            return {NAME: row.name, METHOD: row.method, BAND: row.band}.get(column)
        if role == Qt.ItemDataRole.CheckStateRole and column == LAYER:
            return Qt.CheckState.Checked if row.ticked else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.DecorationRole:
            return self._icon(row, column)
        if role == Qt.ItemDataRole.ForegroundRole:
            return self._colour(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tooltip(row, column)
        return self.choices(index) if role == CHOICES else None

    def setData(self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.CheckStateRole and column == LAYER:
            row.ticked = Qt.CheckState(value) == Qt.CheckState.Checked
        elif role == Qt.ItemDataRole.EditRole and column in (NAME, METHOD, BAND):
            key = {NAME: "name", METHOD: "method", BAND: "band"}[column]
            value = str(value).strip()
            if getattr(row, key) == value:
                return False
            setattr(row, key, value)
            row.ticked = True  # who says what becomes of a layer wants it
        else:
            return False
        self._all_changed()  # hints of other rows depend on it
        return True

    def _all_changed(self) -> None:
        if self.rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.rows) - 1, PLACE))

    def _text(self, row: Row, column: int) -> str:
        if column == LAYER:
            return row.layer.name()
        if column == NAME:
            return row.name
        if column == METHOD:
            return method_texts()[row.method, row.is_vector]
        if column == BAND:
            return next((text for text, value in row.bands() if value == row.band), row.band)
        return tr("cannot be used") if "layer" in row.problems() else self.place(row)[1]

    def _icon(self, row: Row, column: int) -> QIcon | QPixmap | None:
        if column == LAYER:
            return QgsIconUtils.iconForLayer(row.layer)
        if column == PLACE and self._text(row, PLACE):
            return _dot(COLOURS["misses" if "layer" in row.problems() else self.place(row)[0]])
        return None

    def _colour(self, row: Row, column: int) -> QBrush | None:
        if self.asleep:
            return None
        if not row.ticked:
            colour = QColor(QApplication.palette().color(QPalette.ColorRole.Text))
            colour.setAlphaF(FAINT)
            return QBrush(colour)
        wrong = self.problems(row)
        keys = {LAYER: ("layer",), NAME: ("name",), METHOD: ("method",), PLACE: ("place", "layer")}
        return QBrush(QColor(RED)) if any(key in wrong for key in keys.get(column, ())) else None

    def _tooltip(self, row: Row, column: int) -> str:
        wrong = self.problems(row)
        if column == LAYER:
            return "\n\n".join(filter(None, [wrong.get("layer"), row_tooltip(row)]))
        if column == NAME:
            return "\n".join([wrong["name"]] if "name" in wrong else self.hints(row))
        if column == METHOD:
            return wrong.get("method", "")
        if column == PLACE:
            by = tr("By the extents; pixels without a value are not looked at.")
            return wrong.get("layer") or wrong.get("place") or by
        return self._text(row, column)


def _dot(colour: str) -> QPixmap:
    pixmap = QPixmap(10, 10)
    pixmap.fill(QColor(0, 0, 0, 0))
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QColor(colour))
    painter.setBrush(QColor(colour))
    painter.drawEllipse(1, 1, 7, 7)
    painter.end()
    return pixmap
