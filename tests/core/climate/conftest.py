"""Loads the makers of stores under a name of their own, and keeps the keys of whoever runs the tests out."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

if "climate_stores" not in sys.modules:
    spec = importlib.util.spec_from_file_location("climate_stores", Path(__file__).with_name("stores.py"))
    sys.modules["climate_stores"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["climate_stores"])


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Without keys, tokens and proxies of this machine, and with short pauses."""
    for name in (
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "CDSAPI_KEY",
        "EARTHDATAHUB_TOKEN", "NETRC",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("minicuber.core.climate.faults.PAUSE", 0.01)
    yield
    opened = sys.modules["climate_stores"].OPEN
    while opened:
        opened.pop().close()
