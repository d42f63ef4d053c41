"""The way from an algorithm, on whatever thread, to the project and the desktop, on the main thread.

Algorithms may finish on any thread. The loader lives on the main thread and is asked by a signal, which Qt
delivers there: at once when asked from it, queued otherwise, in the order in which it was asked.
"""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QCoreApplication, QObject, pyqtSignal

from .groups import update_group
from .release import Release, release, restore

PATIENCE = 5.0  # seconds to wait for the main thread to let go of a cube


class ProjectLoader(QObject):
    """Loads groups of layers into the current project, and lets go of them while their files are replaced."""

    # As object: a list would travel as QVariant, whose maps sort their keys.
    _asked = pyqtSignal(str, str, object, object)
    _releasing = pyqtSignal(object)
    _restoring = pyqtSignal(object)
    # For the desktop. An output was written: name of the algorithm, path.
    written = pyqtSignal(str, str)
    # An algorithm failed at its work: its name, why.
    failed = pyqtSignal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self._asked.connect(self._load)
        self._releasing.connect(self._release)
        self._restoring.connect(self._restore)

    def request(self, title: str, source: str, layers: list[dict[str, Any]], **options: Any) -> None:
        """Load `layers` as the group `title`; a group of the same `source` is brought up to date in its place.

        A layer is a dictionary as `LayerInfo` of the core has it, or `{"path", "name"}` of a plain file, of features
        with a function `style` that gives them their look.
        `options`: those of `update_group`.
        """
        self._asked.emit(title, source, layers, options)

    def release(self, cube: str) -> Release:
        """Let go of a cube that is open in the project; returns when that is done.

        A main thread that is busy for too long (as when it waits for this very algorithm) is not waited for.
        """
        ticket = Release(cube)
        self._releasing.emit(ticket)
        if not ticket.done.wait(PATIENCE):
            ticket.abandoned = True
        return ticket

    def restore(self, ticket: Release) -> None:
        """Open again what was released."""
        self._restoring.emit(ticket)

    def _load(self, title: str, source: str, layers: list[dict[str, Any]], options: dict[str, Any]) -> None:
        update_group(QgsProject.instance(), title, source, layers, **options)

    def _release(self, ticket: Release) -> None:
        try:
            if not ticket.abandoned:
                release(QgsProject.instance(), ticket)
        finally:
            ticket.done.set()

    def _restore(self, ticket: Release) -> None:
        restore(QgsProject.instance(), ticket)


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
