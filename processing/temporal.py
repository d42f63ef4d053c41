"""When the layers of a cube are: half-open UTC days, per band where QGIS can hold that, else per layer."""

from __future__ import annotations

from typing import Any

from qgis.core import Qgis, QgsDateTimeRange, QgsRasterLayer, QgsRasterLayerTemporalProperties
from qgis.PyQt.QtCore import QDate, QDateTime, Qt, QTime


def set_dates(layer: QgsRasterLayer, info: dict[str, Any]) -> None:
    """Give each band its day, where QGIS can hold one (3.38 and later).

    Single-band renderers only: QGIS switches their band, not those of a colour composite.
    """
    mode = getattr(getattr(Qgis, "RasterTemporalMode", None), "FixedRangePerBand", None)
    if mode is None or info["kind"] == "rgb" or not info["dates"]:
        return
    properties = layer.temporalProperties()
    properties.setMode(mode)
    properties.setFixedRangePerBand(
        {number: _day(date) for number, date in enumerate(info["dates"], start=1)}
    )
    properties.setIsActive(True)


def set_date(layer: QgsRasterLayer, date: str) -> None:
    """Give a layer that shows one date (ISO) its day."""
    properties = layer.temporalProperties()
    modes = getattr(Qgis, "RasterTemporalMode", None) or QgsRasterLayerTemporalProperties.TemporalMode
    fixed = getattr(modes, "FixedTemporalRange", None)
    properties.setMode(modes.ModeFixedTemporalRange if fixed is None else fixed)
    properties.setFixedTemporalRange(_day(date))
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
