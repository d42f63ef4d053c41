"""Where a cube may be written: what is known to go wrong is refused before any work."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError, StorageError
from .layers import check_output
from .part import check_replaceable, is_zarr_name


def checked_output(text: str) -> Path:
    """The output's absolute path. Raises `InputError` when it is missing or of another kind."""
    if not text:
        raise InputError("OUTPUT is missing.", "Give the path of the cube to write, ending in .nc or .zarr.")
    path = Path(text)
    if path.suffix.lower() != ".nc" and not is_zarr_name(path):
        raise InputError(
            f"OUTPUT does not end in .nc or .zarr: {path.name}.", "A cube is written as NetCDF or Zarr."
        )
    check_replaceable(path)
    check_output(path)
    if path.is_file():
        try:
            with open(path, "r+b"):
                pass
        except OSError as error:
            raise StorageError(
                f"{path} cannot be replaced ({error.strerror}).",
                "Close what holds it open, or choose another name.",
            ) from error
    return path.absolute()
