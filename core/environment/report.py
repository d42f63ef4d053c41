"""A text about the Python environment that a user can paste into an issue: no secrets, no home folder."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

from ... import __version__
from ..errors import EnvironmentProblem, MinicuberError
from .environment import environments
from .interpreters import search
from .lookup import VARIABLE, find_core_python, own_python
from .masking import Masker, without_home
from .processes import child_environ
from .requirements import Requirements
from .storage import LOG_NAME, free_mb
from .uv import managed_pythons

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_BUNDLES = ("PIP_CERT", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def report(
    base: Path,
    *,
    setting: Optional[str] = None,
    qgis_version: str = "",
    extra_environ: Optional[Mapping[str, str]] = None,
    environ: Optional[Mapping[str, str]] = None,
    requirements: Optional[Requirements] = None,
    find: bool = True,
    log_lines: int = 40,
) -> str:
    """Return the report. `find`: look for this machine's Pythons too, which starts each of them (seconds)."""
    environ = os.environ if environ is None else environ
    whole = {**environ, **(extra_environ or {})}
    lines = [
        f"Minicuber {__version__}",
        f"System: {platform.platform()}, {platform.machine()}",
        f"QGIS: {qgis_version or 'none'}; its Python: {platform.python_version()} ({sys.executable})",
    ]
    lines += _core(base, setting, environ, requirements)
    free = free_mb(base)
    lines.append(f"Free on its disk: {'unknown' if free is None else f'{free / 1000:.1f} GB'}")
    lines += _network(whole)
    if find:
        lines += _pythons(base, whole)
    lines += _last_log(Path(base), log_lines)
    return without_home(Masker(whole)("\n".join(lines))) + "\n"


def _core(
    base: Path, setting: Optional[str], environ: Mapping[str, str], requirements: Optional[Requirements]
) -> list[str]:
    lines = [f"{VARIABLE}: {environ.get(VARIABLE) or 'not set'}; setting: {setting or 'not set'}"]
    try:
        requirements = requirements or Requirements.read()
    except EnvironmentProblem as problem:
        return [*lines, f"Packages wanted: {problem}"]
    try:
        core = find_core_python(setting, base, environ, requirements)
        lines.append(f"Python of the core: {core.path}, from {core.text}")
    except EnvironmentProblem as problem:
        lines.append(f"Python of the core: none. {problem}")
    lines.append(f"Packages wanted: {requirements.count}, lock {requirements.digest[:12]}")
    found = environments(base, requirements.digest)
    lines.append(f"Environments in {base}: {len(found) or 'none'}")
    for environment in found:
        state, reason = environment.assess()
        details = environment.details() or {}
        lines.append(f"  {environment.key}: {state}{f' ({reason})' if reason else ''}")
        if details:
            made_by = details.get("interpreter", "?")
            lines.append(f"    Python {details['python_version']} of {made_by}, {details['created']}")
            packages = details["packages"]
            lines.append("    " + ", ".join(f"{name} {version}" for name, version in packages.items()))
    _path, reason = own_python(requirements)
    lines.append(f"QGIS's own Python: {f'does not serve, {reason}' if reason else 'serves'}")
    return lines


def _network(environ: Mapping[str, str]) -> list[str]:
    upper = {name.upper(): value for name, value in environ.items()}
    lines = []
    for title, names in (("Proxy", _PROXIES), ("Certificate authorities", _BUNDLES)):
        present = [f"{name}={upper[name]}" for name in names if upper.get(name)]
        lines.append(f"{title}: {', '.join(present) if present else 'not set'}")
    missing = [name for name in _BUNDLES if upper.get(name) and not os.path.exists(upper[name])]
    if missing:
        lines.append(f"  does not exist: {', '.join(missing)}")
    settings = sorted(name for name in upper if name.startswith("PIP_"))
    lines.append(f"Settings of pip in the environment: {', '.join(settings) if settings else 'none'}")
    return lines


def _pythons(base: Path, environ: Mapping[str, str]) -> list[str]:
    try:
        found = search(environ=child_environ(environ), further=managed_pythons(base))
    except (MinicuberError, OSError) as error:
        return [f"Pythons: {error}"]
    lines = [f"Pythons found: {len(found.found) or 'none'}"]
    for item in found.found:
        lacks = "" if item.complete else ", cannot make virtual environments with pip"
        lines.append(f"  {item.path}: {item.implementation} {item.version_text}, {item.platform}{lacks}")
    lines += [f"  not usable: {reason}" for _path, reason in found.rejected]
    return lines


def _last_log(base: Path, count: int) -> list[str]:
    try:
        lines = (base / LOG_NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ["Last set-up: none"]
    return ["Last set-up:", *(f"  {line}" for line in lines[-count:])]
