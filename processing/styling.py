"""How layers of a cube look: one stretch over all dates, classes in their colours, relief for elevation.

The numbers to stretch over come from the core, which has looked at the values (`LayerInfo.range`): nothing is
computed here, on the main thread.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any
from xml.etree.ElementTree import canonicalize

from qgis.core import (
    Qgis,
    QgsColorRampLegendNodeSettings,
    QgsColorRampShader,
    QgsContrastEnhancement,
    QgsGradientColorRamp,
    QgsGradientStop,
    QgsHillshadeRenderer,
    QgsMultiBandColorRenderer,
    QgsPalettedRasterRenderer,
    QgsRasterDataProvider,
    QgsRasterLayer,
    QgsRasterRenderer,
    QgsRasterShader,
    QgsSingleBandGrayRenderer,
    QgsSingleBandPseudoColorRenderer,
)
from qgis.PyQt.QtGui import QColor, QPainter
from qgis.PyQt.QtXml import QDomDocument

# Where the core could not look at the values.
GUESSED = {"rgb": (0.0, 0.2), "reflectance": (0.0, 0.5), "aerosol": (0.0, 0.5), "vapour": (0.0, 5.0)}
RAMPS = {
    "index": ("#8c510a", "#dfc27d", "#ffffe5", "#c2e699", "#78c679", "#31a354", "#00501f"),
    "moisture": ("#8c510a", "#d8b365", "#f5f5f5", "#67a9cf", "#08519c"),
    "elevation": ("#2f7d4a", "#8fbf6a", "#e8dc9a", "#c8965a", "#96643c", "#b8a79c", "#ffffff"),
    "aerosol": ("#ffffe5", "#fee391", "#fe9929", "#cc4c02", "#662506"),
    "vapour": ("#f7fbff", "#c6dbef", "#6baed6", "#2171b5", "#08306b"),
    "number": ("#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#fde725"),
    "date": ("#0d0887", "#7e03a8", "#cc4778", "#f89540", "#f0f921"),
}
DAY_COLOURS = 17  # of days that follow each other, then again from the first; longer than most steps
MOST_DAYS = 1500  # as classes; beyond, a ramp
EPOCH = dt.date(1970, 1, 1)
METRES_PER_DEGREE = 111_320.0


def style(layer: QgsRasterLayer, info: dict[str, Any], band: int | None = None) -> None:
    """Give a cube's layer its renderer, on a band (from 1); None: that of the clearest date.

    `info` as `LayerInfo` of the core.
    """
    layer.setRenderer(_renderer(layer, info, info["best"] if band is None else band))
    if info["kind"] == "elevation":
        _smooth(layer)


def style_as_hillshade(layer: QgsRasterLayer, info: dict[str, Any]) -> None:
    """Make a layer the shade of an elevation layer below it."""
    renderer = QgsHillshadeRenderer(layer.dataProvider(), info["best"], 315, 45)
    renderer.setMultiDirectional(True)
    renderer.setZFactor(1 / METRES_PER_DEGREE if layer.crs().isGeographic() else 1)
    layer.setRenderer(renderer)
    _smooth(layer)
    layer.setBlendMode(QPainter.CompositionMode.CompositionMode_Multiply)
    layer.setOpacity(0.6)


def _smooth(layer: QgsRasterLayer) -> None:
    """Interpolate between pixels before they are coloured: the shade of single pixels is stripes."""
    methods = getattr(QgsRasterDataProvider, "ResamplingMethod", None) or Qgis.RasterResamplingMethod
    layer.setResamplingStage(Qgis.RasterResamplingStage.Provider)
    layer.dataProvider().enableProviderResampling(True)
    layer.dataProvider().setZoomedInResamplingMethod(methods.Cubic)
    layer.dataProvider().setZoomedOutResamplingMethod(methods.Cubic)


def fingerprint(layer: QgsRasterLayer) -> str:
    """What a layer's look comes to; it changes when somebody changes the renderer, opacity or blending."""
    document = QDomDocument()
    root = document.createElement("look")
    document.appendChild(root)
    layer.renderer().writeXml(document, root)
    blend = layer.blendMode()
    root.setAttribute("look", f"{layer.opacity():.3f} {getattr(blend, 'value', blend)}")
    # Qt writes attributes in no certain order.
    return hashlib.sha256(canonicalize(document.toString()).encode()).hexdigest()[:16]


def shown_band(layer: QgsRasterLayer) -> int:
    """The number of the band that a layer with a single-band renderer shows, 0 of any other."""
    renderer = layer.renderer()
    bands = renderer.usesBands() if renderer is not None else []
    return bands[0] if len(bands) == 1 else 0


def show_band(layer: QgsRasterLayer, band: int) -> None:
    """Let a layer with a single-band renderer show another band, in the colours that it has."""
    renderer = layer.renderer()
    if isinstance(renderer, QgsPalettedRasterRenderer):
        layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), band, renderer.classes()))
        return
    for setter in ("setInputBand", "setGrayBand", "setBand"):
        if hasattr(renderer, setter):
            getattr(renderer, setter)(band)
            return


def legend_nodes(info: dict[str, Any]) -> list[int]:
    """The entries of the legend to show, by number; none for all of them.

    Of dates as classes those that the shown step can have: there is one class for each day of the cube.
    """
    if info["kind"] != "date" or not _days_as_classes(info):
        return []
    dates = [dt.date.fromisoformat(date) for date in info["dates"]]
    last = (dates[info["best"] - 1] - EPOCH).days - int(info["range"][0])
    first = max(0, last - _step_days(dates) + 1)
    return [0, *range(first + 1, last + 2)]  # the name of the band comes first


def _renderer(layer: QgsRasterLayer, info: dict[str, Any], band: int) -> QgsRasterRenderer:
    kind, provider = info["kind"], layer.dataProvider()
    if kind == "rgb":
        return _natural_colours(provider, info)
    if kind == "classes":
        return QgsPalettedRasterRenderer(provider, band, _classes(info))
    if kind == "date" and _days_as_classes(info):
        return QgsPalettedRasterRenderer(provider, band, _days(info))
    if kind in RAMPS:
        return _in_colour(provider, band, info)
    renderer = QgsSingleBandGrayRenderer(provider, band)
    renderer.setContrastEnhancement(_stretch(provider, band, _range(info)))
    return renderer


def _natural_colours(provider, info: dict[str, Any]) -> QgsMultiBandColorRenderer:
    renderer = QgsMultiBandColorRenderer(provider, 1, 2, 3)
    # Not through the constructor: it takes the pointers, but Python would free them too.
    renderer.setRedContrastEnhancement(_stretch(provider, 1, _range(info)))
    renderer.setGreenContrastEnhancement(_stretch(provider, 2, _range(info)))
    renderer.setBlueContrastEnhancement(_stretch(provider, 3, _range(info)))
    return renderer


def _range(info: dict[str, Any]) -> tuple[float, float]:
    low, high = info.get("range") or GUESSED.get(info["kind"], (0.0, 1.0))
    return float(low), float(high)


def _stretch(provider, band: int, limits: tuple[float, float]) -> QgsContrastEnhancement:
    enhancement = QgsContrastEnhancement(provider.dataType(band))
    algorithm = QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
    enhancement.setContrastEnhancementAlgorithm(algorithm)
    enhancement.setMinimumValue(limits[0])
    enhancement.setMaximumValue(limits[1])
    return enhancement


def _in_colour(provider, band: int, info: dict[str, Any]) -> QgsSingleBandPseudoColorRenderer:
    """A ramp of colours over the range; values beyond it have the colours of its ends."""
    low, high = _range(info)
    function = QgsColorRampShader(low, high)
    function.setSourceColorRamp(_ramp(RAMPS[info["kind"]]))
    function.classifyColorRamp()
    function.setLegendSettings(_legend(info, low, high))
    shader = QgsRasterShader()
    shader.setRasterShaderFunction(function)
    renderer = QgsSingleBandPseudoColorRenderer(provider, band, shader)
    renderer.setClassificationMin(low)
    renderer.setClassificationMax(high)
    return renderer


def _ramp(colours: tuple[str, ...]) -> QgsGradientColorRamp:
    last = len(colours) - 1
    stops = [QgsGradientStop(place / last, QColor(colours[place])) for place in range(1, last)]
    return QgsGradientColorRamp(QColor(colours[0]), QColor(colours[last]), False, stops)


def _legend(info: dict[str, Any], low: float, high: float) -> QgsColorRampLegendNodeSettings:
    settings = QgsColorRampLegendNodeSettings()
    if info["kind"] == "date":
        settings.setMinimumLabel(_iso(low))
        settings.setMaximumLabel(_iso(high))
    else:
        units = {"metre": "m", "meter": "m", "1": ""}.get(info["units"], info["units"])
        settings.setSuffix(f" {units}" if units else "")
    return settings


def _classes(info: dict[str, Any]) -> list[QgsPalettedRasterRenderer.Class]:
    colours = info.get("colours", {})
    ordered = sorted(info["classes"].items(), key=lambda entry: int(entry[0]))
    return [
        QgsPalettedRasterRenderer.Class(
            int(value), QColor(colours[value]) if value in colours else _other(place), name.replace("_", " ")
        )
        for place, (value, name) in enumerate(ordered)
    ]


def _other(place: int) -> QColor:
    """Colours for classes that have none: hues that lie far apart, however many there are."""
    golden = 137.508  # degrees
    return QColor.fromHsv(int(place * golden) % 360, 150 + 50 * (place % 2), 220 - 40 * (place // 2 % 3))


def _days_as_classes(info: dict[str, Any]) -> bool:
    low, high = info.get("range") or (0.0, 0.0)
    return bool(info["dates"]) and 0 < high - low < MOST_DAYS


def _days(info: dict[str, Any]) -> list[QgsPalettedRasterRenderer.Class]:
    first, last = (int(end) for end in info["range"])
    return [
        QgsPalettedRasterRenderer.Class(day, _other(day % DAY_COLOURS), _iso(day))
        for day in range(first, last + 1)
    ]


def _step_days(dates: list[dt.date]) -> int:
    return min(((b - a).days for a, b in zip(dates, dates[1:])), default=1)


def _iso(day: float) -> str:
    return (EPOCH + dt.timedelta(int(day))).isoformat()
