"""An HTML page that stands alone: headings, paragraphs, tables and pictures within the file."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..cube.part import part_output
from ..errors import InputError
from ..progress import Progress

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2em; }
table { border-collapse: collapse; margin: 1em 0; } td, th { padding: .2em .8em; border-bottom: 1px solid #ddd; }
th { text-align: left; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; } figcaption { color: #555; } figure { margin: 1em 0; }
"""


class Page:
    """A page in the making. Texts are escaped: they come from files and catalogs."""

    def __init__(self, title: str) -> None:
        self._title, self._parts = title, []

    def heading(self, text: str) -> None:
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def paragraph(self, text: str) -> None:
        self._parts.append(f"<p>{html.escape(text)}</p>")

    def table(self, head: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
        """A table; numbers are set to the right, with four digits."""
        cells = "".join(f"<th>{html.escape(each)}</th>" for each in head)
        lines = ["<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows]
        self._parts.append(f"<table><tr>{cells}</tr>{''.join(lines)}</table>")

    def picture(self, png: bytes, caption: str) -> None:
        data = base64.b64encode(png).decode("ascii")
        text = html.escape(caption)
        self._parts.append(
            f'<figure><img alt="{text}" src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>'
        )

    def text(self) -> str:
        """The page as HTML."""
        title = html.escape(self._title)
        return (
            f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f"<style>{STYLE}</style></head><body><h1>{title}</h1>{''.join(self._parts)}</body></html>\n"
        )

    def write(self, path: Path) -> None:
        """Write it, whole or not at all. Raises `StorageError`."""
        write_file(path, self.text().encode("utf-8"))


def write_file(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all. Raises `StorageError`."""
    with part_output(path, Progress()) as part:
        part.path.write_bytes(content)
        part.make_durable()
        part.commit()


def checked_page(text: str, parameter: str) -> Path | None:
    """The absolute path of a page to write, None where none is asked for. Raises `InputError`."""
    if not text:
        return None
    path = Path(text).absolute()
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{parameter} does not end in .html: {path.name}.", "A report is written as HTML.")
    if path.is_dir():
        raise InputError(f"{parameter} is a folder: {path}.", "Give the path of a file.")
    return path


def _cell(value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        text = f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
        return f'<td class="number">{text}</td>'
    return f"<td>{html.escape(str(value))}</td>"
