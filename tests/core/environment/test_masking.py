"""Secrets in logs, messages and reports."""

from __future__ import annotations

import pytest
from minicuber.core.environment.masking import Masker, without_home


@pytest.mark.parametrize(
    "text",
    [
        "http://anna:Geheim1@proxy:8080",
        "ProxyError https://anna:Gehe@im1@proxy.example/",
        "Looking in indexes: https://Geheim1@index.example/simple",
        "https://x.example/a?sig=Geheim1&se=1",
        "https://x.example/a?access_token=Geheim1",
    ],
)
def test_a_password_in_an_address_is_masked(text):
    """pip prints the proxy's address with its password when the proxy fails."""
    masked = Masker()(text)
    assert "Geheim1" not in masked
    assert "im1@" not in masked
    assert "***" in masked


def test_a_password_without_its_address_is_masked():
    """A library prints only what it decoded from the proxy's address, or a token alone."""
    environ = {
        "https_proxy": "http://anna:Ge%40heim1@proxy:8080",
        "HTTP_PROXY": "bernd:Zweites2@proxy",
        "A_TOKEN": "tok-77",
    }
    masked = Masker(environ, None)("login anna with Ge@heim1 / Ge%40heim1 / Zweites2 and tok-77 failed")
    assert masked == "login anna with *** / *** / *** and *** failed"


def test_plain_text_stays():
    """A mask that eats half the log helps nobody."""
    text = "Collecting numpy==2.4.6 (from -r requirements.lock (line 3)) https://index.example/simple/numpy/"
    assert Masker({"HTTPS_PROXY": "http://proxy:8080", "NO_PROXY": "localhost"})(text) == text


def test_home_becomes_a_tilde():
    """The user's name stands in every path of a pasted report."""
    assert without_home("/home/anna/x and /home/annabel/y", "/home/anna") == "~/x and /home/annabel/y"
    assert without_home("C:\\Users\\anna\\x C:/Users/anna/y", "C:\\Users\\anna") == "~\\x ~/y"
