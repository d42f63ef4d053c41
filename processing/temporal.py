"""When layers are. Those of a cube get half-open UTC days, per band where QGIS can hold that, else per layer."""

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
    properties.setMode(_fixed_mode())
    properties.setFixedTemporalRange(_day(date))
    properties.setIsActive(True)


def _fixed_mode() -> Any:
    modes = getattr(Qgis, "RasterTemporalMode", None) or QgsRasterLayerTemporalProperties.TemporalMode
    fixed = getattr(modes, "FixedTemporalRange", None)
    return modes.ModeFixedTemporalRange if fixed is None else fixed


def _day(text: str) -> QgsDateTimeRange:
    day = QDate.fromString(text, Qt.DateFormat.ISODate)
    midnight = QTime(0, 0)
    return QgsDateTimeRange(
        QDateTime(day, midnight, Qt.TimeSpec.UTC),
        QDateTime(day.addDays(1), midnight, Qt.TimeSpec.UTC),
        True,
        False,
    )


def dates_of(layer: QgsRasterLayer) -> list[str]:
    """The ISO dates on which the fixed temporal ranges of a layer begin: of each band ("" without one) where they have
    ranges of their own, a single one where the layer has one; none where it is not temporal.

    A date counts as it is written, whatever the time zone.
    """
    properties = layer.temporalProperties()
    if properties is None or not properties.isActive():
        return []
    modes = getattr(Qgis, "RasterTemporalMode", None)
    per_band = getattr(modes, "FixedRangePerBand", None)
    if per_band is not None and properties.mode() == per_band:
        ranges = properties.fixedRangePerBand()
        return [_begin(ranges.get(number)) for number in range(1, layer.bandCount() + 1)]
    if properties.mode() != _fixed_mode():
        return []
    date = _begin(properties.fixedTemporalRange())
    return [date] if date else []


def _begin(period: QgsDateTimeRange | None) -> str:
    if period is None or not period.begin().isValid():
        return ""
    return period.begin().date().toString(Qt.DateFormat.ISODate)
