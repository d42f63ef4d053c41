"""`index.gpkg`: a point per sample, which says where it lies, in which file, and in which split.

It is the authority on splits: of a shard's samples as of files that somebody moved.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyogrio.raw
import shapely

from ..errors import InputError, StorageError

INDEX = "index.gpkg"
LAYER = "samples"
FIELDS = (
    "sample_id", "file", "row", "split", "fold", "cube", "pixel_row", "pixel_column", "size", "context_start",
    "context_end", "target_start", "target_end", "lon", "lat",
)  # fmt: skip
# What a GeoPackage says of its last change: the same for the same samples.
CHANGED = "1980-01-01T00:00:00.000Z"
Table = dict[str, np.ndarray]


def write_index(path: Path, tables: Iterable[Table]) -> None:
    """Write the index whole.

    `tables`: arrays by the names of `FIELDS`, (sample,), a cube's or block's at a time. Raises `StorageError`.
    """
    part = path.with_name(f"{path.stem}.part{path.suffix}")
    part.unlink(missing_ok=True)
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": CHANGED})
    try:
        for table in tables:
            columns = [_column(table[name]) for name in FIELDS]
            pyogrio.raw.write(
                part,
                geometry=shapely.to_wkb(shapely.points(table["lon"], table["lat"])),
                field_data=columns,
                fields=np.array(FIELDS, dtype=object),
                geometry_type="Point",
                crs="EPSG:4326",
                layer=LAYER,
                driver="GPKG",
                append=part.exists(),
                dataset_options={"VERSION": "1.2"},  # GDAL before 3.7, of QGIS 3.22, warns of a newer one
            )
        os.replace(part, path)
    except (
        pyogrio.errors.DataSourceError,
        pyogrio.errors.DataLayerError,
        pyogrio.errors.FeatureError,
    ) as error:
        raise StorageError(f"{path.name} cannot be written ({error}).", "Is the disk full?") from error
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
        part.unlink(missing_ok=True)


def _column(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind in "UO":
        return values.astype(object)
    return values if values.dtype.kind == "M" else np.ascontiguousarray(values)


def read_index(folder: Path, most: int = 0) -> Table:
    """The index of a dataset, in the order of its rows: arrays by the names of `FIELDS`. Raises `InputError`.

    `most`: about how many samples to read, spread evenly; 0 for all.
    """
    path = Path(folder) / INDEX
    if not path.is_file():
        raise InputError(
            f"{folder} is no dataset: it has no {INDEX}.", "Choose the folder of an exported dataset."
        )
    try:
        step = -(-pyogrio.read_info(path, layer=LAYER)["features"] // most) if most else 1
        some = f"fid % {step} = 0" if step > 1 else None
        meta, _, _, columns = pyogrio.raw.read(path, layer=LAYER, read_geometry=False, where=some)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise StorageError(f"{path} cannot be read ({error}).") from error
    table: dict[str, Any] = dict(zip(map(str, meta["fields"]), columns, strict=True))
    lacking = [name for name in FIELDS if name not in table]
    if lacking:
        raise InputError(f"{path} has no field {lacking[0]}.", "Take the index as it was written.")
    return table
