"""How a user identifies himself to a store of climate data: a token, a login, or keys, his own or the environment's."""

from __future__ import annotations

import os

from ..catalogs.entries import OWN, ClimateStore
from ..catalogs.http import Credentials, basic
from ..errors import InputError


class Login:
    """Never printed; what it gives goes to the store's own server alone."""

    def __init__(self, entry: ClimateStore, credentials: Credentials) -> None:
        self._entry, self._credentials = entry, credentials

    def check(self) -> None:
        """Raises `InputError` when the store wants a token or keys that nobody has given."""
        entry = self._entry
        if entry.auth in ("bearer", "basic") and not self.headers():
            named = f", or set {entry.token_name} in the environment" if entry.token_name else ""
            raise InputError(
                f"{entry.title} wants a token.",
                f"Choose an authentication configuration in ERA5_AUTH (an API header, Authorization){named}.",
            )
        if entry.auth == "keys" and not self.keys():
            raise InputError(
                f"{entry.title} wants keys of an object store.",
                "Choose them in ERA5_AUTH (access key as user name, secret key as password), or set "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment.",
            )

    def headers(self) -> dict[str, str]:
        """The header with which the user identifies himself, {} when he gave nothing."""
        given, entry = self._credentials, self._entry
        if given.header:
            if given.header.lower() != "authorization":
                raise InputError(
                    f"The header {given.header} of ERA5_AUTH cannot be used.",
                    "Choose one called Authorization.",
                )
            return {"Authorization": given.value}
        if given.username or given.password:
            if entry.auth == "bearer":
                return {"Authorization": f"Bearer {given.password}"}
            return {"Authorization": basic(given.username, given.password)}
        token = os.environ.get(entry.token_name, "") if entry.token_name else ""
        if not token:
            return {}
        if entry.auth == "basic":
            return {"Authorization": basic("token", token)}
        return {"Authorization": f"Bearer {token}"}

    def keys(self) -> dict[str, str]:
        """s3fs's names of the user's keys, else of those in the environment; {} where the store is for anyone."""
        given, s3 = self._credentials, self._entry.s3
        wanted = self._entry.auth == "keys" or self._entry.id == OWN or (s3 is not None and s3.keys)
        if not wanted and not given.username:
            return {}
        found = dict(zip(("key", "secret", "token"), given.s3_keys or (), strict=False))
        return {name: value for name, value in found.items() if value}
