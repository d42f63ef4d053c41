"""One demo for all its tests, and the reading of it that they share."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from minicuber.core.demo.create import DemoParameters, create_demo_data
from minicuber.core.progress import Progress


class Recorder(Progress):
    """Keeps what it is told, and cancels itself after `cancel_after` updates."""

    def __init__(self, cancel_after: int | None = None) -> None:
        super().__init__()
        self.shown: list[tuple[float, str]] = []
        self.announced: list[Path] = []
        self._cancel_after = cancel_after

    def show(self, fraction: float, text: str) -> None:
        self.shown.append((fraction, text))
        if self._cancel_after is not None and len(self.shown) >= self._cancel_after:
            self.cancel()

    def scratch(self, path: Path) -> None:
        self.announced.append(path)


class Demo:
    """A finished demo, read without any code of its makers."""

    def __init__(self, folder: Path, result, progress: Recorder) -> None:
        self.folder, self.result, self.progress = folder, result, progress
        self.items = json.loads((folder / "items.json").read_text(encoding="utf-8"))["features"]

    def of(self, tile: str, sequence: str = "0") -> list[dict]:
        """The items of a tile by time, without the second processing of the duplicate."""
        chosen = [
            item
            for item in self.items
            if item["properties"]["grid:code"] == f"MGRS-{tile}"
            and item["properties"]["s2:sequence"] == sequence
        ]
        return sorted(chosen, key=lambda item: item["properties"]["datetime"])

    def stored(self, item: dict, key: str) -> np.ndarray:
        with rasterio.open(self.folder / item["assets"][key]["href"]) as dataset:
            return dataset.read(1)

    def values(self, item: dict, key: str) -> np.ndarray:
        """Values in units, NaN where there is no data."""
        numbers = self.stored(item, key)
        band = item["assets"][key]["raster:bands"][0]
        return np.where(numbers == 0, np.nan, numbers * band["scale"] + band["offset"])

    def ndvi(self, item: dict) -> np.ndarray:
        """NDVI at 10 m where the scene classification says that the ground is free, else NaN."""
        red, infrared = self.values(item, "red"), self.values(item, "nir")
        clear = np.isin(self.stored(item, "scl"), (2, 4, 5, 6, 7)).repeat(2, axis=0).repeat(2, axis=1)
        return np.where(clear, (infrared - red) / (infrared + red), np.nan)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo") / "set"
    progress = Recorder()
    result = create_demo_data(DemoParameters(str(folder)), progress)
    return Demo(folder, result, progress)


@pytest.fixture
def recorder() -> type[Recorder]:
    return Recorder
