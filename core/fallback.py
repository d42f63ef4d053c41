"""The same scenes in a second catalog, for files that the first cannot give."""

from __future__ import annotations

import logging
from dataclasses import replace

from .catalogs.access import Access
from .catalogs.http import Credentials
from .catalogs.registry import Registry
from .catalogs.search import search
from .errors import MinicuberError
from .plan import Plan, scenes_of
from .progress import Progress
from .sources import sentinel2 as s2

log = logging.getLogger(__name__)


class Twins:
    """Finds the files of a plan's scenes in its fallback catalog, which is searched when it is first needed."""

    def __init__(self, plan: Plan, registry: Registry) -> None:
        self._plan, self._registry = plan, registry
        self._source = plan.recipe.fallback_catalog
        if plan.found.source == self._source:
            self._source = ""  # it is in use already
        self._scenes: dict[tuple, s2.Scene] | None = None
        self._access: Access | None = None

    def __call__(self, scene: s2.Scene, band: str) -> tuple[s2.BandFile, Access] | None:
        """The file of a band of the same scene (platform, tile, sensing start) and how it is reached, or None.

        To be called by one thread at a time.
        """
        if not self._source or not scene.tile:
            return None
        if self._scenes is None:
            self._scenes = self._search()
        twin = self._scenes.get((scene.platform, scene.tile, scene.sensing))
        return (twin.files[band], self._access) if twin and band in twin.files else None

    def _search(self) -> dict[tuple, s2.Scene]:
        plan = self._plan
        log.info("The fallback catalog %s is searched.", self._source)
        query = replace(plan.query, max_cloud=100.0)
        try:
            # The credentials belong to the first catalog: no other server may see them.
            found = search(self._source, query, self._registry, Progress())
            scenes = scenes_of(found, self._registry, plan.bands)
        except MinicuberError as error:
            log.warning("The fallback catalog cannot help: %s", error)
            return {}
        self._access = found.access(self._registry, Credentials())
        return {(s.platform, s.tile, s.sensing): s for s in scenes}
