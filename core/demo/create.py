"""The job `createdemodata`: a small synthetic set of everything that the plugin reads, made offline."""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.transform import Affine

from ..progress import Progress
from . import site
from .climate import make_ground, make_weather, write_store
from .cog import CogTemplate
from .landscape import make_landscape
from .layers import write_elevation, write_forest_mask, write_land_cover
from .place import MARKER, new_folder
from .products import LAYERS, Product, products_of
from .scenes import Scene, make_scene
from .stac import make_item, write_catalog, write_item

log = logging.getLogger(__name__)

LOCAL_LAYERS = ("dem.tif", "landcover.tif", "forest_mask.geojson")
README = f"""{MARKER}

{site.SYNTHETIC}. Do not draw conclusions about any real place from it.

catalog.json            static STAC catalog of Sentinel-2 L2A-like scenes every 5 days,
                        {site.FIRST_DATE} to {site.LAST_DATE}, tiles 32TLT and 32TMT, EPSG:{site.EPSG}
items.json              the same items as one item collection
{site.COLLECTION}/         collection, items and cloud-optimised GeoTIFFs
era5.nc                 ERA5-like hourly weather, 3 x 3 cells
dem.tif                 elevation in m, 30 m, EPSG:{site.EPSG}
landcover.tif           land cover with the codes of ESA WorldCover, EPSG:4326
forest_mask.geojson     polygons of forest

In it on purpose: clouds, shadows and snow; six dates on which one tile ends at the edge of the swath;
one scene in two processing baselines ({site.DUPLICATE[1]}, {site.DUPLICATE[0]}); the offset of reflectance
from 2022-01-25 on; a dry and hot summer in 2022.
"""


@dataclass(frozen=True)
class DemoParameters:
    """`output`: the folder to make; it may be missing, empty or an earlier demo."""

    output: str


@dataclass(frozen=True)
class DemoResult:
    """What was made: absolute paths, the extent as QGIS writes one, ISO dates (both inclusive)."""

    catalog: str
    extent: str
    start: str
    end: str
    era5: str
    layers: tuple[str, ...]


def create_demo_data(parameters: DemoParameters, progress: Progress) -> DemoResult:
    """Write the demo into the folder `parameters.output`: whole, or not at all.

    Always the same bytes on the same versions of the libraries. Raises `InputError` for a folder that
    holds something else, `StorageError` where it cannot be written, `Cancelled`.
    """
    return _create(parameters, progress, site.DATES)


def _create(parameters: DemoParameters, progress: Progress, dates: np.ndarray) -> DemoResult:
    with new_folder(parameters.output, progress) as (output, part):
        _fill(part, progress, dates)
    progress.show(1.0, "The demo data are ready")
    log.info("demo data of %d dates written to %s", len(dates), output)
    left, bottom, right, top = site.EXTENT
    return DemoResult(
        catalog=str(output / "catalog.json"),
        extent=f"{left},{right},{bottom},{top} [EPSG:{site.EPSG}]",
        start=str(site.FIRST_DATE),
        end=str(site.LAST_DATE),
        era5=str(output / "era5.nc"),
        layers=tuple(str(output / name) for name in LOCAL_LAYERS),
    )


def _fill(folder: Path, progress: Progress, dates: np.ndarray) -> None:
    (folder / "README.txt").write_bytes(README.encode())
    progress.update(0.0, "Weather of 2020 to 2022")
    weather = make_weather()
    ground = make_ground(weather)
    write_store(weather, folder / "era5.nc")
    progress.update(0.05, "Terrain and land cover")
    landscape = make_landscape()
    write_elevation(landscape, folder / "dem.tif")
    write_land_cover(landscape, folder / "landcover.tif")
    write_forest_mask(landscape, folder / "forest_mask.geojson")
    progress.update(0.08, "Scenes")

    seen_land = landscape.window(site.UNION)
    writer = _SceneWriter(folder)
    stop = threading.Event()

    def work(date: np.datetime64) -> list[tuple[str, dict[str, Any]]]:
        if stop.is_set():
            return []
        return writer.write(make_scene(seen_land, weather, ground, date), stop)

    entries: list[tuple[str, dict[str, Any]]] = []
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="demo") as pool:
        futures = [pool.submit(work, date) for date in dates]
        try:
            for number, (date, future) in enumerate(zip(dates, futures, strict=True), 1):
                entries += future.result()
                text = f"Scenes of {str(date)[:7]}: {number} of {len(dates)} dates"
                progress.update(0.08 + 0.89 * number / len(dates), text)
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    progress.update(0.98, "Catalog")
    write_catalog(folder, entries)


class _SceneWriter:
    """Cuts scenes into the tiles' products and writes these; thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._templates = {}
        for tile in site.TILES:
            for resolution, dtype in {(layer.resolution, layer.dtype) for layer in LAYERS}:
                transform = Affine(resolution, 0, tile.crop[0], 0, -resolution, tile.crop[3])
                template = CogTemplate(tile.grid(resolution), transform, dtype, site.SYNTHETIC)
                self._templates[tile.code, resolution, dtype] = template

    def write(self, scene: Scene, stop: threading.Event) -> list[tuple[str, dict[str, Any]]]:
        """Write all products of a scene; returns each item's folder, relative, and the item."""
        entries = []
        for product in products_of(scene.date):
            if stop.is_set():
                break
            entries.append((product.folder, self._write_product(product, scene)))
        return entries

    def _write_product(self, product: Product, scene: Scene) -> dict[str, Any]:
        folder, tile = self._folder / product.folder, product.tile
        folder.mkdir(parents=True)
        stored = {}
        for layer in LAYERS:
            values = scene.layers[layer.key][:, tile.columns(layer.resolution)]
            numbers = layer.digital_numbers(values, product.baseline)
            stored[layer.key] = np.where(site.seen(tile, scene.date, layer.resolution), numbers, 0)
            template = self._templates[tile.code, layer.resolution, layer.dtype]
            (folder / f"{layer.name}.tif").write_bytes(template.encode(stored[layer.key]))
        item = make_item(product, stored["scl"])
        write_item(folder, item)
        return item
