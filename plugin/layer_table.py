"""The table of layers as people see it: a filter above, ticks, cells with something to choose from."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProject
from qgis.gui import QgsFilterLineEdit
from qgis.PyQt.QtCore import QEvent, QRect, QSize, QSortFilterProxyModel, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QStyle,
    QStyledItemDelegate,
    QStyleOption,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..processing.text import tr
from .layer_model import BAND, CHOICES, LAYER, METHOD, NAME, PLACE, LayerModel

ARROW = 18  # pixels at the right of a cell with choices
WIDTHS = {LAYER: 200, NAME: 145, METHOD: 180, BAND: 110}


class LayerTable(QWidget):
    """The rows of a `LayerModel`, which is `model`; `changed` when a choice was made."""

    changed = pyqtSignal()

    def __init__(self, project: QgsProject, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = LayerModel(project, self)
        self._shown = _Filter(self)
        self._shown.setSourceModel(self.model)
        self.filter = QgsFilterLineEdit()
        self.filter.setShowSearchIcon(True)
        self.filter.setPlaceholderText(tr("Search layers…"))
        self.filter.textChanged.connect(self._shown.setFilterFixedString)
        self.with_cubes = QCheckBox(tr("Layers of cubes too"))
        self.with_cubes.setToolTip(
            tr("List the variables of cubes that are open, to attach them to another one")
        )
        self.with_cubes.toggled.connect(self._list_cubes)
        self.all, self.none = QToolButton(), QToolButton()
        for button, text, tip, on in (
            (self.all, tr("Tick all"), tr("Tick every layer that is listed"), True),
            (self.none, tr("Tick none"), tr("Untick every layer that is listed"), False),
        ):
            button.setText(text)
            button.setToolTip(tip)
            button.clicked.connect(lambda checked=False, on=on: self._tick_listed(on))
        self.view = _make_view(self._shown, self)
        self._summary = QLabel()
        self._summary.setWordWrap(True)
        top = QHBoxLayout()
        top.addWidget(self.filter, 1)
        for widget in (self.with_cubes, self.all, self.none):
            top.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(top)
        layout.addWidget(self.view, 1)
        layout.addWidget(self._summary)
        self.model.dataChanged.connect(self._tell)
        self.model.modelReset.connect(self._tell)
        self._tell()

    def finish_editing(self) -> None:
        """Take over what is being typed."""
        self.view.setFocus()

    def changeEvent(self, event: Any) -> None:
        if event.type() == QEvent.Type.EnabledChange:
            self.model.asleep = not self.isEnabled()
        super().changeEvent(event)

    def _list_cubes(self, on: bool) -> None:
        self.model.with_cubes = on
        self.model.refresh()

    def _tick_listed(self, on: bool) -> None:
        shown = self._shown
        self.model.tick([shown.mapToSource(shown.index(n, 0)).row() for n in range(shown.rowCount())], on)

    def _tell(self, *ignored: Any) -> None:
        self._summary.setText(self.model.summary())
        self.changed.emit()


class _Filter(QSortFilterProxyModel):
    """Rows whose layer or variable has the text."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.setSortCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.setDynamicSortFilter(False)  # a row that is being edited stays where it is
        self._text = ""

    def setFilterFixedString(self, text: str) -> None:
        self._text = text.strip().lower()
        self.invalidateFilter()

    def filterAcceptsRow(self, place: int, parent: Any) -> bool:
        row = self.sourceModel().rows[place]
        return self._text in row.layer.name().lower() or self._text in row.name.lower()


def _make_view(model: QSortFilterProxyModel, parent: QWidget) -> QTableView:
    view = QTableView(parent)
    view.setModel(model)
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    triggers = QAbstractItemView.EditTrigger
    view.setEditTriggers(
        triggers.DoubleClicked | triggers.SelectedClicked | triggers.EditKeyPressed | triggers.AnyKeyPressed
    )
    view.setAlternatingRowColors(True)
    view.setMinimumHeight(180)
    view.setShowGrid(False)
    view.setWordWrap(False)
    view.setIconSize(QSize(16, 16))
    view.verticalHeader().hide()
    view.verticalHeader().setDefaultSectionSize(view.fontMetrics().height() + 10)
    header = view.horizontalHeader()
    header.setHighlightSections(False)
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)  # as in the tree of layers, until it is clicked
    view.setSortingEnabled(True)
    for column, width in WIDTHS.items():
        header.resizeSection(column, width)
    header.setSectionResizeMode(LAYER, QHeaderView.ResizeMode.Interactive)
    header.setSectionResizeMode(PLACE, QHeaderView.ResizeMode.Stretch)
    for column in (METHOD, BAND):
        view.setItemDelegateForColumn(column, _ChoiceDelegate(view))
    # One click opens a list, as in any combo box; names need two, as in any table.
    view.clicked.connect(lambda index: view.edit(index) if index.column() in (METHOD, BAND) else None)
    return view


class _ChoiceDelegate(QStyledItemDelegate):
    """A cell that is one of several: an arrow says so, and the list opens when it is edited."""

    def paint(self, painter: Any, option: Any, index: Any) -> None:
        if not index.flags() & Qt.ItemFlag.ItemIsEditable:
            super().paint(painter, option, index)
            return
        style, box = option.widget.style(), QRect(option.rect)
        style.drawPrimitive(QStyle.PrimitiveElement.PE_PanelItemViewItem, option, painter, option.widget)
        option.rect = box.adjusted(0, 0, -ARROW, 0)
        super().paint(painter, option, index)
        arrow = QStyleOption()
        arrow.initFrom(option.widget)
        arrow.rect = QRect(box.right() - ARROW + 4, box.center().y() - 5, 10, 10)
        style.drawPrimitive(QStyle.PrimitiveElement.PE_IndicatorArrowDown, arrow, painter, option.widget)

    def createEditor(self, parent: QWidget, option: Any, index: Any) -> QComboBox:
        box = QComboBox(parent)
        for text, value in index.data(CHOICES):
            box.addItem(text, value)
        box.setFrame(False)
        box.activated.connect(lambda place: self._taken(box))
        return box

    def _taken(self, box: QComboBox) -> None:
        self.commitData.emit(box)
        self.closeEditor.emit(box, QStyledItemDelegate.EndEditHint.NoHint)

    def setEditorData(self, editor: QComboBox, index: Any) -> None:
        editor.setCurrentIndex(max(0, editor.findData(index.data(Qt.ItemDataRole.EditRole))))
        editor.showPopup()

    def setModelData(self, editor: QComboBox, model: Any, index: Any) -> None:
        model.setData(index, editor.currentData(), Qt.ItemDataRole.EditRole)
