"""Formats of datasets that others' tools read, by the name that FORMAT has for them."""

from __future__ import annotations

import importlib

from .base import Format

# name -> "module:attribute" below this package
FORMATS = {
    "seed": "seed:SeedFormat",
    "earthnet2021": "earthnet:EarthNet2021",
    "greenearthnet": "earthnet:GreenEarthNet",
}


def format_of(name: str) -> Format:
    """The format of this name, one of `FORMATS`."""
    module, attribute = FORMATS[name].split(":")
    return getattr(importlib.import_module(f".{module}", __package__), attribute)()
