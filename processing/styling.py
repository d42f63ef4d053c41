"""How layers of a cube look: one stretch over all dates, classes in their colours, dates on the bands."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    Qgis,
    QgsContrastEnhancement,
    QgsDateTimeRange,
    QgsMultiBandColorRenderer,
    QgsPalettedRasterRenderer,
    QgsRasterBandStats,
    QgsRasterLayer,
    QgsSingleBandGrayRenderer,
)
from qgis.PyQt.QtCore import QDate, QDateTime, Qt, QTime
from qgis.PyQt.QtGui import QColor

RGB_RANGE = (0.0, 0.2)  # reflectance; fixed, so that dates can be compared by eye
BRIGHT_RANGE = (0.0, 0.5)  # the same for near and short-wave infrared
BRIGHT_BANDS = ("B06", "B07", "B08", "B8A", "B09", "B11", "B12")

# Sen2Cor's own colours of the scene classification.
SCL_COLOURS = {
    0: "#000000",
    1: "#ff0000",
    2: "#2f2f2f",
    3: "#643200",
    4: "#00a000",
    5: "#ffe65a",
    6: "#0000ff",
    7: "#808080",
    8: "#c0c0c0",
    9: "#ffffff",
    10: "#64c8ff",
    11: "#ff96ff",
}
MASK_COLOURS = {0: "#3a9d4b", 1: "#f2f2f2", 2: "#5a4632", 3: "#7fd4ff", 4: "#9a9a9a"}


def style(layer: QgsRasterLayer, info: dict[str, Any]) -> None:
    """Give a cube's layer its renderer, on the band of the clearest date."""
    kind = info["kind"]
    provider = layer.dataProvider()
    if kind == "rgb":
        renderer = QgsMultiBandColorRenderer(provider, 1, 2, 3)
        # Not through the constructor: it takes the pointers, but Python would free them too.
        renderer.setRedContrastEnhancement(_stretch(provider, 1, RGB_RANGE))
        renderer.setGreenContrastEnhancement(_stretch(provider, 2, RGB_RANGE))
        renderer.setBlueContrastEnhancement(_stretch(provider, 3, RGB_RANGE))
    elif kind == "classes":
        renderer = QgsPalettedRasterRenderer(provider, info["best"], _classes(info))
    else:
        band = info["best"]
        renderer = QgsSingleBandGrayRenderer(provider, band)
        renderer.setContrastEnhancement(_stretch(provider, band, _range(provider, info)))
    layer.setRenderer(renderer)
    metadata = layer.metadata()
    metadata.setTitle(info["long_name"])
    layer.setMetadata(metadata)


def _range(provider, info: dict[str, Any]) -> tuple[float, float]:
    if info["kind"] == "reflectance":
        return BRIGHT_RANGE if info["variable"].endswith(BRIGHT_BANDS) else RGB_RANGE
    wanted = QgsRasterBandStats.Stats.Min | QgsRasterBandStats.Stats.Max
    statistics = provider.bandStatistics(info["best"], wanted)
    return statistics.minimumValue, statistics.maximumValue


def _stretch(provider, band: int, limits: tuple[float, float]) -> QgsContrastEnhancement:
    enhancement = QgsContrastEnhancement(provider.dataType(band))
    algorithm = QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
    enhancement.setContrastEnhancementAlgorithm(algorithm)
    enhancement.setMinimumValue(limits[0])
    enhancement.setMaximumValue(limits[1])
    return enhancement


def _classes(info: dict[str, Any]) -> list[QgsPalettedRasterRenderer.Class]:
    colours = MASK_COLOURS if info["variable"] == "s2_mask" else SCL_COLOURS
    return [
        QgsPalettedRasterRenderer.Class(
            int(value), QColor(colours.get(int(value), "#888888")), name.replace("_", " ")
        )
        for value, name in sorted(info["classes"].items(), key=lambda entry: int(entry[0]))
    ]


def set_dates(layer: QgsRasterLayer, info: dict[str, Any]) -> None:
    """Give each band its day as a half-open UTC range, where QGIS can hold one (3.38 and later).

    Single-band renderers only: QGIS switches their band, not those of a colour composite.
    """
    mode = getattr(getattr(Qgis, "RasterTemporalMode", None), "FixedRangePerBand", None)
    if mode is None or info["kind"] == "rgb":
        return
    properties = layer.temporalProperties()
    properties.setMode(mode)
    properties.setFixedRangePerBand(
        {number: _day(date) for number, date in enumerate(info["dates"], start=1)}
    )
    properties.setIsActive(True)


def _day(text: str) -> QgsDateTimeRange:
    day = QDate.fromString(text, Qt.DateFormat.ISODate)
    midnight = QTime(0, 0)
    return QgsDateTimeRange(
        QDateTime(day, midnight, Qt.TimeSpec.UTC),
        QDateTime(day.addDays(1), midnight, Qt.TimeSpec.UTC),
        True,
        False,
    )
