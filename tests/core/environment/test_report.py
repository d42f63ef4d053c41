"""The text for an issue."""

from __future__ import annotations

import os
from pathlib import Path

from minicuber.core.environment.report import report


def test_the_report_says_what_an_issue_needs_and_no_secret(made, toys, environ, tmp_path, monkeypatch):
    """Five questions back and forth per issue; and the proxy's password in public."""
    environment, _lines = made
    environ = {
        **environ,
        "HTTPS_PROXY": "http://anna:Geheim1@proxy.example:8080",
        "MY_TOKEN": "tok-123456",
        "REQUESTS_CA_BUNDLE": "/nowhere/ca.pem",
        "PIP_INDEX_URL": "https://bernd:Zweites2@index.example/simple",
    }
    text = report(
        environment.base,
        qgis_version="3.40.1",
        environ=environ,
        extra_environ={"HTTP_PROXY": "http://anna:Geheim1@proxy.example:8080"},
        requirements=toys.requirements,
    )
    for word in (
        "Minicuber ",
        "QGIS: 3.40.1",
        "from the environment that Minicuber set up",
        f"{environment.key}: complete",
        "toy-second 1.0",
        toys.requirements.digest[:12],
        "proxy.example:8080",
        "does not exist: REQUESTS_CA_BUNDLE",
        "PIP_INDEX_URL",
        "Free on its disk",
        "Pythons found",
        "The environment is complete",
    ):
        assert word in text
    for secret in ("Geheim1", "Zweites2", "tok-123456"):
        assert secret not in text
    home = str(Path.home())
    assert home not in text or home == "/"


def test_a_report_without_anything_is_still_one(tmp_path, toys):
    """It is most needed when nothing works."""
    text = report(
        tmp_path / "none",
        setting="/no/such/python",
        environ={"PATH": os.defpath},
        requirements=toys.requirements,
        find=False,
    )
    assert "does not exist" in text
    assert "Last set-up: none" in text
    assert not (tmp_path / "none").exists()
