"""What the desktop says after a run, above the map: where the output is, or that it failed, and the way to the log."""

from __future__ import annotations

import os
from html import escape
from typing import Any

from qgis.core import Qgis
from qgis.PyQt.QtCore import QTimer, QUrl
from qgis.PyQt.QtWidgets import QToolButton

from ..processing.text import tr

AFTER_TASK = 700  # ms


class Messages:
    """Shows messages in QGIS's message bar; they stay until they are closed, as a build may end at night."""

    def __init__(self, iface: Any) -> None:
        self._iface = iface

    def written(self, algorithm: str, path: str) -> None:
        """An algorithm has written `path`: its name leads to it in the file manager."""
        url = QUrl.fromLocalFile(path).toString(QUrl.ComponentFormattingOption.FullyEncoded)
        link = f'<a href="{escape(url)}">{escape(os.path.basename(path))}</a>'
        is_cube = path.lower().endswith((".nc", ".zarr"))
        text = tr("Cube written: {}") if is_cube else tr("Dataset written: {}")
        self._show(text.format(link), Qgis.MessageLevel.Success)

    def failed(self, algorithm: str, why: str) -> None:
        """An algorithm failed at its work."""
        self._show(f"{escape(algorithm)}: {escape(why)}", Qgis.MessageLevel.Critical)

    def _show(self, text: str, level: Qgis.MessageLevel) -> None:
        # QGIS has a message of its own for every task that ends, which would cover ours.
        QTimer.singleShot(AFTER_TASK, lambda: self._push(text, level))

    def _push(self, text: str, level: Qgis.MessageLevel) -> None:
        bar = self._iface.messageBar()
        item = bar.createMessage("Minicuber", text)
        button = QToolButton()
        button.setText(tr("Log"))
        button.setToolTip(tr("Open the log messages of QGIS; the log of the run is under Minicuber"))
        button.clicked.connect(lambda checked=False: self._iface.openMessageLog())
        item.layout().addWidget(button)
        bar.pushWidget(item, level, 0)
