"""Making the demo's folder appear whole or not at all, and never in place of something else."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError, StorageError
from ..progress import Progress
from . import site

log = logging.getLogger(__name__)

MARKER = "Minicuber demo data (synthetic)"
_OWN = {
    "README.txt",
    "catalog.json",
    "items.json",
    site.COLLECTION,
    "era5.nc",
    "dem.tif",
    "landcover.tif",
    "forest_mask.geojson",
}
# What file managers and QGIS leave beside files that were only looked at.
_TRACES = ("*.aux.xml", "*.qmd", "*.qml", ".DS_Store", "Thumbs.db", "desktop.ini", "__qgis*")


@contextlib.contextmanager
def new_folder(output: str, progress: Progress) -> Iterator[tuple[Path, Path]]:
    """Give (final path, hidden sibling to fill); at the end the sibling becomes the final folder.

    An earlier demo is moved aside before and removed after; if the block raises, nothing has changed.
    Raises `InputError` if something else is there, `StorageError` if the disk refuses.
    """
    if not output.strip():
        raise InputError("No folder for the demo data was given.", "Choose a folder that is new or empty.")
    final = Path(os.path.abspath(output))
    if final.is_symlink():
        final = final.resolve()
    part = final.with_name(f".{final.name}.{secrets.token_hex(4)}.part") if final.name else final
    aside = final.with_name(f".{final.name}.earlier-demo") if final.name else final
    try:
        _recover(final, aside)
        _check(final)
        missing = [folder for folder in (final.parent, *final.parent.parents) if not folder.exists()]
        try:
            progress.scratch(part)
            part.mkdir(parents=True)
            yield final, part
            progress.raise_if_cancelled()
            _check(final)
            _swap(part, final, aside)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            for folder in missing:
                with contextlib.suppress(OSError):
                    folder.rmdir()
            raise
    except OSError as error:
        log.exception("writing the demo data failed")
        raise StorageError(
            f"The demo data could not be written to {final}: {error.strerror or error}.",
            "Choose a folder that you may write to, with 60 MB of free space.",
        ) from error


def _check(final: Path) -> None:
    if not os.path.lexists(final):
        return
    if not final.is_dir():
        raise InputError(f"{final} is a file, not a folder.", "Choose a folder that is new or empty.")
    foreign = sorted(
        entry.name
        for entry in final.iterdir()
        if entry.name not in _OWN and not any(entry.match(pattern) for pattern in _TRACES)
    )
    if foreign or not (_is_demo(final) or not any(final.iterdir())):
        what = f" ({', '.join(foreign[:3])}{', ...' if len(foreign) > 3 else ''})" if foreign else ""
        raise InputError(
            f"The folder {final} holds files that are not demo data{what}; nothing was changed.",
            "Choose a folder that is new, empty, or holds nothing but an earlier demo.",
        )


def _is_demo(folder: Path) -> bool:
    try:
        with open(folder / "README.txt", encoding="utf-8") as readme:
            return readme.readline().strip() == MARKER
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def _recover(final: Path, aside: Path) -> None:
    """Put right what a run left that died between its two renames."""
    if aside.is_dir() and _is_demo(aside):
        if os.path.lexists(final):
            shutil.rmtree(aside)
        else:
            aside.rename(final)


def _swap(part: Path, final: Path, aside: Path) -> None:
    if not os.path.lexists(final):
        part.rename(final)
        return
    if not any(final.iterdir()):
        final.rmdir()  # Windows does not rename over a folder, not even an empty one
        part.rename(final)
        return
    final.rename(aside)
    try:
        part.rename(final)
    except OSError:
        aside.rename(final)
        raise
    # The new demo is in place: an old file that is still open somewhere is no reason to fail.
    shutil.rmtree(aside, ignore_errors=True)
