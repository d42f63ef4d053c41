"""What cleaning did to a cube, as a page with pictures: removed shares, gaps, curves before and after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..report.figures import bars_of_dates, before_and_after, histogram
from ..report.page import Page, write_file

WORDS = {
    "removed_percent": "Clear values that were removed as outliers, per cent",
    "missing_percent": "Values that were missing before, per cent",
    "left_percent": "Values that are missing now, per cent",
    "long_gap_percent": "Pixels with a gap longer than MAX_GAP, per cent",
}


SHARES = np.linspace(0, 100, 401)  # per cent, between which pixels are counted


@dataclass(frozen=True)
class CleaningReport:
    """`options` of the cleaning. `days` (steps,), `removed_of_date`: share of the clear values (steps,).
    `removed_of_pixels`: number of pixels by the share of their clear values that was removed, between `SHARES`. `gaps`:
    number of pixels by the length of their longest gap in steps. `curves`: title, driver before, whether it went,
    after."""

    title: str
    options: dict[str, Any]
    days: np.ndarray
    driver: str
    removed_of_date: np.ndarray
    removed_of_pixels: np.ndarray
    gaps: np.ndarray
    curves: list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]
    result: dict[str, float]

    def pictures(self) -> dict[str, tuple[bytes, str]]:
        """Name to PNG and caption."""
        longest = int(np.max(np.nonzero(self.gaps)[0], initial=0))
        edges = np.arange(longest + 2) - 0.5
        most = int(np.max(np.nonzero(self.removed_of_pixels)[0], initial=0)) + 1
        drawn = {
            "removed": (
                bars_of_dates(self.days, 100 * self.removed_of_date, "removed (%)"),
                "Share of the clear values of each date that were removed as outliers.",
            ),
            "removed_of_pixels": (
                histogram(SHARES[: most + 1], self.removed_of_pixels[:most], "removed (%)"),
                "Number of pixels by the share of their clear values that were removed as outliers.",
            ),
            "gaps": (
                histogram(edges, self.gaps[: longest + 1], "longest gap (steps)"),
                "Number of pixels by their longest gap without a value, before filling.",
            ),
        }
        if self.curves:
            drawn["curves"] = (
                before_and_after(self.days, self.curves, self.driver),
                f"{self.driver} of pixels spread evenly over the cube, before and after.",
            )
        return drawn

    def write(self, path: Path) -> None:
        """Write the page, and its pictures as PNG beside it. Raises `StorageError`."""
        page = Page(f"Cleaning of {self.title}")
        page.table(("", ""), [(WORDS[name], value) for name, value in self.result.items()])
        for name, (picture, caption) in self.pictures().items():
            page.picture(picture, caption)
            write_file(path.with_name(f"{path.stem}_{name}.png"), picture)
        page.heading("Options")
        rows = [(key.upper(), ", ".join(value) if isinstance(value, (list, tuple)) else value)
                for key, value in self.options.items()]  # fmt: skip
        page.table(("Parameter", "Value"), rows)
        page.write(path)
