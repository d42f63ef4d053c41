"""JSON over HTTP: asks again where that may help, and turns every failure into one sentence."""

from __future__ import annotations

import logging
import os
import re
import time
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ReadTimeoutError
from urllib3.util.retry import Retry

from ..errors import SourceError
from ..secrets import redacted

log = logging.getLogger(__name__)

TIMEOUT = (10, 60)  # seconds to connect, to answer
DENIED, DENIED_HINT = (401, 403), "Choose the credentials in CATALOG_AUTH."
LONGEST_PAUSE = 60  # seconds; a server may ask for a day


class _Retry(Retry):
    def get_retry_after(self, response: Any) -> float | None:
        pause = super().get_retry_after(response)
        return None if pause is None else min(pause, LONGEST_PAUSE)

    def increment(self, method=None, url=None, response=None, *rest: Any, **more: Any) -> Retry:
        following = super().increment(method, url, response, *rest, **more)
        if response is not None:
            name = redacted(url or "").split("?")[0].rstrip("/").rsplit("/", 1)[-1]
            log.info("%s: HTTP %d, it is asked for again.", name or "The server", response.status)
        return following


RETRIES = _Retry(
    total=6,
    connect=3,
    read=2,  # an answer that does not come within the time-out
    backoff_factor=0.5,
    status_forcelist=(429, 500, 502, 503, 504),
    allowed_methods=None,
    respect_retry_after_header=True,
)


@dataclass(frozen=True)
class Credentials:
    """What a user authenticates with: a name and a password (of S3: the access key and the secret key), or one
    header of HTTP. Never printed, never stored."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    header: str = field(default="", repr=False)
    value: str = field(default="", repr=False)

    @property
    def given(self) -> bool:
        return bool(self.username or self.header)

    @property
    def s3_keys(self) -> tuple[str, str, str] | None:
        """(access key, secret key, session token) of an object store: the user's, else those of the environment; None
        where there are none."""
        if self.username:
            return self.username, self.password, ""  # a token in the environment belongs to other keys
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        key, secret, token = (os.environ.get(name, "") for name in names)
        return (key, secret, token) if key and secret else None


def basic(username: str, password: str) -> str:
    """The value of the header Authorization of HTTP's basic authentication, in UTF-8."""
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


def origin(url: str) -> tuple[str, str]:
    """(scheme, host and port) of an address: what credentials are bound to."""
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()


class _BoundAuth(requests.auth.AuthBase):
    """Adds the credentials to requests to one origin and to no other, also when pages lead there."""

    def __init__(self, credentials: Credentials, url: str) -> None:
        self._credentials, self._origin = credentials, origin(url)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if origin(request.url) == self._origin:
            if self._credentials.header:
                request.headers[self._credentials.header] = self._credentials.value
            else:
                requests.auth.HTTPBasicAuth(self._credentials.username, self._credentials.password)(request)
        return request

    def take_back(self, request: requests.PreparedRequest) -> None:
        """Remove the header from a request that a redirect leads to another origin."""
        if origin(request.url) != self._origin:
            request.headers.pop(self._credentials.header or "Authorization", None)


def bound_auth(credentials: Credentials, url: str) -> _BoundAuth | None:
    """Credentials for a session of requests, valid for the origin of `url` alone."""
    return _BoundAuth(credentials, url) if credentials.given else None


class _Session(requests.Session):
    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Before a redirect is followed: requests itself takes only `Authorization` back."""
        super().rebuild_auth(prepared_request, response)
        if isinstance(self.auth, _BoundAuth):
            self.auth.take_back(prepared_request)


class _Adapter(HTTPAdapter):
    """Asks again, too, when the connection is lost in the middle of an answer, where urllib3 gives up."""

    def send(
        self, request: requests.PreparedRequest, stream: bool = False, **options: Any
    ) -> requests.Response:
        attempts = min(self.max_retries.total, self.max_retries.read)
        while True:
            answer = super().send(request, stream=stream, **options)
            try:
                if not stream:
                    answer.content  # noqa: B018  (reads it)
                return answer
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                if attempts <= 0:
                    raise
                attempts -= 1
                time.sleep(self.max_retries.backoff_factor)


def new_session(auth: requests.auth.AuthBase | None = None) -> requests.Session:
    """A session that asks again, with growing pauses, after 429, 5xx, time-outs and lost connections."""
    session = _Session()
    session.auth = auth
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Adapter(max_retries=RETRIES))
    return session


def get_json(session: requests.Session, url: str) -> Any:
    """The JSON at an address. Raises `SourceError` naming it and what went wrong."""
    if not url.lower().startswith(("http://", "https://")):
        raise SourceError(
            f"A remote catalog links to {redacted(url)}, which is not on the network.",
            "Do not use this catalog.",
        )
    try:
        answer = session.get(
            url, timeout=TIMEOUT, headers={"Accept": "application/geo+json, application/json"}
        )
        answer.raise_for_status()
    except requests.RequestException as error:
        hint = "Check the address and the network, or try again later."
        if isinstance(error, requests.HTTPError) and error.response.status_code in DENIED:
            hint = DENIED_HINT
        raise SourceError(
            f"The catalog at {redacted(url)} does not answer ({reason(error)}).", hint
        ) from error
    try:
        return answer.json()
    except ValueError as error:
        kind = answer.headers.get("Content-Type", "no content type").split(";")[0]
        raise SourceError(
            f"The catalog at {redacted(url)} answers with {kind}, not with JSON.",
            "Give the address of a STAC API or of a catalog's JSON file, not of a web page.",
        ) from error


def reason(error: Exception) -> str:
    """Why a request failed, in a few words without addresses."""
    cause = (
        getattr(error.args[0], "reason", None) if error.args else None
    )  # of urllib3, after several attempts
    if isinstance(error, requests.HTTPError):
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.Timeout) or isinstance(cause, ReadTimeoutError):
        return "time-out"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted"
    if isinstance(error, requests.exceptions.RetryError):
        status = re.search(r"\b\d{3}\b", str(cause))
        return f"{'HTTP ' + status[0] if status else 'an error'} at every one of several attempts"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was lost in the middle of its answer"
    if isinstance(error, requests.exceptions.JSONDecodeError):
        return "its answer is not JSON"
    return "no connection" if isinstance(error, requests.ConnectionError) else type(error).__name__
