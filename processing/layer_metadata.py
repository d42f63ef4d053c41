"""Where the values of a layer come from, in its metadata: source, licence, credits, links, history.

QGIS shows it in the layer's properties, and the rights as credits on maps and in layouts.
"""

from __future__ import annotations

import re
from typing import Any

from qgis.core import QgsAbstractMetadataBase, QgsLayerMetadata, QgsMapLayer

from .text import tr

URL = re.compile(r"https?://[^\s;,<>\"]+")


def set_origin(layer: QgsMapLayer, info: dict[str, Any]) -> None:
    """Fill a layer's metadata from what the cube says (`LayerInfo.about`)."""
    about = info.get("about", {})
    metadata = QgsLayerMetadata()
    metadata.setType("dataset")
    metadata.setIdentifier(info["variable"])
    metadata.setParentIdentifier(about.get("title", ""))
    metadata.setTitle(info["long_name"])
    metadata.setAbstract(_abstract(info, about))
    metadata.setRights(_parts(about.get("attribution", "")) or _credits(about.get("license", "")))
    metadata.setLicenses(_parts(about.get("license", "")))
    metadata.setLinks(_links(about))
    for line in about.get("history", "").splitlines():
        metadata.addHistoryItem(line.strip())
    metadata.setCrs(layer.crs())
    layer.setMetadata(metadata)


def _abstract(info: dict[str, Any], about: dict[str, str]) -> str:
    """A few lines: the variable, its units and period, and where it is from."""
    units = f" ({info['units']})" if info["units"] not in ("", "1") else ""
    lines = [f"{info['variable']}: {info['long_name']}{units}."]
    dates = info.get("all_dates") or info["dates"]
    if dates:
        lines.append(tr("{} dates, {} to {}.").format(len(dates), dates[0], dates[-1]))
    for text, name in (
        (tr("Cube: {}"), "title"),
        (tr("Source: {}"), "source"),
        (tr("Catalog: {}"), "catalog"),
        (tr("Institution: {}"), "institution"),
        (tr("Resampling: {}"), "resampling"),
        ("{}", "comment"),
    ):
        if about.get(name):
            lines.append(text.format(about[name]))
    return "\n".join(lines)


def _parts(text: str) -> list[str]:
    """What stands between semicolons."""
    return [part.strip() for part in text.split(";") if part.strip()]


def _credits(license: str) -> list[str]:
    """Of a licence what is no address: "Contains modified Copernicus Sentinel data"."""
    return [part for part in _parts(license) if not URL.fullmatch(part)]


def _links(about: dict[str, str]) -> list[Any]:
    """Every address that the cube names, once; a catalog that is a file is none."""
    found: dict[str, str] = {}
    for name, title in (
        ("catalog", tr("Catalog")),
        ("references", tr("Reference")),
        ("license", tr("Licence")),
        ("source", tr("Source")),
    ):
        for url in URL.findall(about.get(name, "")):
            found.setdefault(url.rstrip(".)"), title)
    return [QgsAbstractMetadataBase.Link(title, "WWW:LINK", url) for url, title in found.items()]
