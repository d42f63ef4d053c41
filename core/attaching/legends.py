"""Classes of a layer as CF has them: whether it has any, the numbers on disk, their names and their colours."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..cube.encoding import flags
from ..errors import InputError
from ..rasters import OF_CLASSES, Band, OnGrid
from .layer_order import LayerOrder

MOST_CLASSES = 254  # of uint8, one number being for missing


@dataclass(frozen=True)
class Legend:
    """`dtype` of the stored numbers, `fill`: that of a missing pixel. `attributes`: flag_values, flag_meanings and
    flag_colors; none where there are too many classes."""

    dtype: np.dtype
    fill: int
    attributes: dict[str, Any]

    def stored(self, values: np.ndarray) -> np.ndarray:
        """Values with NaN for missing as they are stored."""
        return np.where(np.isfinite(values), values, self.fill).astype(self.dtype)


def decided(order: LayerOrder, bands: list[Band]) -> LayerOrder:
    """The order of a raster whose band is chosen, with `classes` decided, and why.

    Where nobody said it: whole numbers with a colour table are classes (unless the method asked for mixes them), all
    others are continuous. A legend of another band does not count.
    """
    if order.legend_band not in (0, order.band):
        order = replace(order, classes=None, classes_why="", legend={}, colours={}, legend_band=0)
    if order.classes is not None:
        return replace(order, classes_why=order.classes_why or "as asked")
    band = bands[order.band - 1] if order.band <= len(bands) else Band("", False, {})
    if band.whole and band.colours:
        if order.method in ("auto", *OF_CLASSES):
            return replace(order, classes=True, classes_why="colour table", colours=band.colours)
        return replace(order, classes=False, classes_why=f"{order.method} mixes values")
    why = "whole numbers without a legend" if band.whole else "no whole numbers by its type"
    return replace(order, classes=False, classes_why=why)


def choice_in_words(order: LayerOrder, found: OnGrid) -> str:
    """Who chose how a raster was resampled, and by what."""
    kind = "classes" if order.classes else "continuous"
    return f"{'auto' if order.method == 'auto' else 'asked for'}: {kind} ({order.classes_why}), {found.fit}"


def values_there(values: np.ndarray, title: str) -> set[int]:
    """The classes that a layer has on the grid. Raises `InputError` naming it where they are not whole numbers."""
    there = np.unique(values[np.isfinite(values)])
    if np.any(there != np.rint(there)):
        raise InputError(f"The classes of {title} are not whole numbers.", "Attach it as numbers instead.")
    return set(map(int, there))


def legend_of(there: Iterable[int], names: dict[str, str], colours: dict[str, str]) -> Legend:
    """The legend of the classes that are there and of those that have a name.

    `names`: value (as text) to name; a class without one becomes class_N. `colours`: value to #rrggbb; they are kept
    where every class has one. uint8 with a number for missing that is no class, int32 where that does not fit.
    """
    named = {int(float(value)): str(name) for value, name in names.items()}
    listed = sorted({*there, *named})
    small = len(listed) <= MOST_CLASSES and all(0 <= value <= 255 for value in listed)
    dtype = np.dtype("uint8" if small else "int32")
    fill = max(set(range(256)) - set(listed)) if small else int(np.iinfo("int32").min)
    attributes: dict[str, Any] = {}
    if 0 < len(listed) <= MOST_CLASSES:
        words = {value: named.get(value) or f"class_{value}".replace("-", "minus_") for value in listed}
        attributes = {
            "flag_values": np.array(listed, dtype),
            "flag_meanings": " ".join(map(one_word, words.values())),
        }
        known = {int(float(value)): colour for value, colour in colours.items()}
        if set(listed) <= set(known):
            attributes["flag_colors"] = " ".join(known[value] for value in listed)
    return Legend(dtype, fill, attributes)


def legend_of_texts(names: dict[int, str], colours: dict[str, str], dtype: np.dtype) -> dict[str, Any]:
    """The attributes of texts that became classes: number to text, of which 0 is none. `colours`: by the text."""
    if len(names) > MOST_CLASSES:
        return {}
    said = flags({value: one_word(name) for value, name in names.items()})
    attributes = {**said, "flag_values": np.array(list(names), dtype)}
    if all(colours.get(name) for value, name in names.items() if value):
        attributes["flag_colors"] = " ".join(colours.get(name) or "#ffffff" for name in names.values())
    return attributes


def one_word(text: str) -> str:
    """A text as one word of CF's `flag_meanings`."""
    return re.sub(r"[^0-9A-Za-z_.+@-]+", "_", text.strip()).strip("_") or "unnamed"
