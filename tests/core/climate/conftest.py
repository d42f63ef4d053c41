"""Keeps the keys of whoever runs the tests out."""

from __future__ import annotations

import climate_stores
import pytest


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
    while climate_stores.OPEN:
        climate_stores.OPEN.pop().close()
