"""Reads a recipe from a file: JSON of ours, `specs` of earthnet-minicuber as JSON, or a cube that holds its own."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from .cube.read import cube_path, open_stored
from .earthnet_specs import is_specs, recipe_of_specs
from .errors import InputError

log = logging.getLogger(__name__)


def read_recipe(path: Path) -> tuple[dict[str, Any], Path | None]:
    """The fields of `Recipe` that a file names, as plain values, and the folder that its paths are relative to: that
    of the file; None for a cube, where they are absolute.

    What `specs` ask for and we do not have is logged as warnings. Raises `InputError` when the file cannot be read or
    holds no recipe.
    """
    text, folder = _text_of(path)
    try:
        values = json.loads(text)
    except ValueError as error:
        raise InputError(f"RECIPE is not JSON: {path} ({' '.join(str(error).split())}).") from error
    if not isinstance(values, dict):
        raise InputError(
            f"RECIPE holds no recipe: {path}.", "It must be a JSON object with names and values."
        )
    if is_specs(values):
        values, notes = recipe_of_specs(values)
        for note in notes:
            log.warning("Not taken over from the specs: %s", note)
    return values, folder


def _text_of(path: Path) -> tuple[str, Path | None]:
    """The JSON in a file or a cube, and the folder as `read_recipe` has it."""
    if path.suffix.lower() != ".json" or path.name == "zarr.json":
        with open_stored(cube_path(path)) as cube:
            text = cube.attrs.get("recipe")
        if not isinstance(text, str):
            raise InputError(f"The cube {path} holds no recipe.", "Choose one that Minicuber built.")
        return text, None
    try:
        return path.read_text(encoding="utf-8-sig"), path.absolute().parent
    except (OSError, ValueError) as error:
        raise InputError(
            f"RECIPE cannot be read: {path} ({getattr(error, 'strerror', None) or 'no text'})."
        ) from error
