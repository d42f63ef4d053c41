"""The layer of SPLIT column, whose field says to which split a place belongs."""

from __future__ import annotations

from typing import Any

from ..core.errors import InputError
from .features import Features
from .parameters import Parameters


def split_features(parameters: Parameters, order: dict[str, Any]) -> Features | None:
    """The features that SPLIT_OPTIONS names, of a layer of the project or a file; None for other splits.

    Raises `InputError` where they are missing.
    """
    if order["split"] != "column":
        return None
    options = order["split_options"]
    layer, field = str(options.get("layer") or ""), str(options.get("field") or "")
    if not layer or not field:
        raise InputError(
            "SPLIT column needs a layer and a field in SPLIT_OPTIONS.",
            '{"layer": "regions", "field": "split"}',
        )
    return Features(parameters.layer_by_name(layer, "SPLIT_OPTIONS"), field)
