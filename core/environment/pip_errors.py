"""Says in one sentence why an installer failed, from what it printed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import EnvironmentProblem

_NETWORK_HINT = "Check the network and QGIS's proxy settings, then run the set-up again."
# The first that matches decides. pip ends every failed download with "No matching distribution", so that the
# cause is looked for before it; a proxy's refusal and a bad certificate look like broken connections too.
_CAUSES = (
    (
        r"No space left on device|Errno 28\b|Disk quota exceeded|Errno 122\b|WinError 112\b|"
        r"not enough space on the disk",
        "The disk became full while the environment was made.",
        "Make room, or move the QGIS profile to a larger disk, then run the set-up again.",
    ),
    (
        r"Long Path support|WinError 206\b|filename or extension is too long",
        "A path in the environment became too long for Windows.",
        "Switch on long paths in Windows, or use a QGIS profile in a folder with a shorter name.",
    ),
    (
        r"DO NOT MATCH THE HASHES|Hash mismatch for",
        "A downloaded package is not the one that Minicuber was tested with: its checksum differs.",
        "Run the set-up again; if it fails again, ask who runs your package index or proxy.",
    ),
    (
        r"In --require-hashes mode|Hashes are required",
        "The list of packages lacks a checksum.",
        "Install the plugin again.",
    ),
    (
        r"Could not find a suitable TLS CA certificate bundle, invalid path: (?P<what>\S+)",
        "The file of certificate authorities {what} does not exist.",
        "Correct PIP_CERT, REQUESTS_CA_BUNDLE or SSL_CERT_FILE, or the certificate setting of pip.",
    ),
    (
        r"ProxyError|407 Proxy|Cannot connect to proxy|Tunnel connection failed|unable to connect to proxy|"
        r"dependencies for SOCKS|tunnel error|proxy authentication required",
        "The proxy refused the connection to the package index.",
        "Check QGIS's proxy settings (host, port, user and password), then run the set-up again.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|SSLError|confirming the ssl certificate|"
        r"invalid peer certificate|UnknownIssuer",
        "The certificate of the package index is not trusted.",
        "If your organisation's proxy reads TLS, give its certificate authority in PIP_CERT.",
    ),
    (
        r"40[13] Client Error|(?i:HTTP error) 40[13]|User for \S+:",
        "The package index refused access.",
        "Check user and password of the index that pip is set to (PIP_INDEX_URL or pip's configuration).",
    ),
    (
        r"NewConnectionError|ConnectionError|ConnectTimeout|ReadTimeout|Read timed out|Connection refused|"
        r"Connection reset|Connection aborted|Name or service not known|Temporary failure in name resolution|"
        r"getaddrinfo failed|nodename nor servname|Network is unreachable|No route to host|"
        r"Remote end closed connection|IncompleteRead|IncompleteDownload|error sending request|dns error|"
        r"timed out|HTTP Error 5\d\d|5\d\d Server Error",
        "The package index could not be reached.",
        _NETWORK_HINT,
    ),
    (
        r"Permission denied|Errno 13\b|WinError 5\b|Access is denied|Read-only file system|Errno 30\b|"
        r"WinError 32\b",
        "The environment could not be written: access was denied.",
        "Check the rights of the QGIS profile's folder, and whether a virus scanner holds it.",
    ),
    (
        r"No matching distribution found for (?P<what>[^\s;]+)",
        "There is no ready-made package of {what} for this Python and this system.",
        "Needed: CPython 3.11 to 3.14 on Windows 10, macOS 14 (Intel: 15), Linux with glibc 2.28, or newer.",
    ),
    (
        r"(?P<what>\S+) is not a supported wheel on this platform",
        "The package {what} is not made for this Python and this system.",
        "Use packages for this very system.",
    ),
    (
        r"(?P<what>\S+ \S+ has requirement .*|\S+ \S+ requires .*, which is not installed)",
        "The installed packages do not fit together: {what}.",
        "Run the set-up again with the environment made anew.",
    ),
)


def classify(lines: Sequence[str], doing: str = "The environment could not be made") -> EnvironmentProblem:
    """Return the problem behind an installer's output; `doing` begins the sentence of an unknown one."""
    text = "\n".join(lines)
    for pattern, message, hint in _CAUSES:
        match = re.search(pattern, text)
        if match:
            what = match.groupdict().get("what") or ""
            return EnvironmentProblem(message.format(what=what.rstrip(".")).replace("..", "."), hint)
    errors = [line for line in lines if re.match(r"\s*(error|ERROR)\b", line)] or [
        line for line in lines if line.strip()
    ]
    said = re.sub(r"(?i)^error:?\s*", "", errors[-1].strip()).rstrip(".") if errors else "it printed nothing"
    return EnvironmentProblem(f"{doing}: {said}.", "The log of the set-up holds all that was printed.")
