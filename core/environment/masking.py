"""Keeps passwords and tokens out of logs, messages and reports."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Optional
from urllib.parse import unquote

MASK = "***"

# Greedy up to the last "@" before a slash or a blank: passwords may hold an unescaped "@".
_USERINFO = re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/?#'\"]*@")
_QUERY = re.compile(r"(?i)\b((?:sig|[a-z_-]*token|password|passwd|secret|api_?key)=)[^&\s'\"]+")
_SECRET_NAME = re.compile(r"(?i)TOKEN|PASSWORD|PASSWD|SECRET|API_?KEY|CREDENTIAL")
_URL_NAME = re.compile(r"(?i)PROXY$|INDEX_URL$|FIND_LINKS$|MIRROR$")


class Masker:
    """Replaces what looks like a secret, and every secret that the given environments hold.

    A password may be printed by a tool without the URL around it, so that its very text is looked for too.
    """

    def __init__(self, *environs: Optional[Mapping[str, str]]) -> None:
        secrets = set()
        for environ in environs:
            for name, value in (environ or {}).items():
                secrets.update(_secrets(name, value))
        self._secrets = sorted((s for s in secrets if len(s) >= 4), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return `text` without its secrets."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        text = _USERINFO.sub(rf"\g<1>{MASK}@", text)
        return _QUERY.sub(rf"\g<1>{MASK}", text)


def without_home(text: str, home: Optional[str] = None) -> str:
    """Return `text` with the home folder written as "~"."""
    home = home or os.path.expanduser("~")
    if len(home) > 3:
        for form in {home, home.replace("\\", "/")}:
            text = re.sub(re.escape(form) + r"(?=$|[\\/\s:;,'\")])", "~", text)
    return text


def _secrets(name: str, value: str) -> set[str]:
    if _SECRET_NAME.search(name):
        return {value}
    found = set()
    if _URL_NAME.search(name):
        for url in value.split():
            userinfo = url.rpartition("@")[0].rpartition("//")[2]
            password = userinfo.partition(":")[2]
            # A password of three letters would tear holes into every word: only the pair is masked then.
            found.update({password, unquote(password), userinfo})
    return found - {""}
