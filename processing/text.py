"""All text that a user sees passes through `tr`."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication


def tr(text: str) -> str:
    """The text in the user's language, where a translation is loaded."""
    return QCoreApplication.translate("Minicuber", text)
