"""``FILE:KEY`` names one array of a file, on either side of a comparison."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cortex_sim.checks import require_path
from cortex_sim.errors import DataError


@dataclass(frozen=True)
class Address:
    """An existing file or folder, and the name of one array in it; without a name, the reader chooses."""

    file: Path
    key: str | None = None

    def __str__(self) -> str:
        """As it is typed: ``FILE`` or ``FILE:KEY``."""
        return str(self.file) if self.key is None else f"{self.file}:{self.key}"


def address(given: str | os.PathLike[str], what: str = "neural data") -> Address:
    r"""Resolve ``FILE`` or ``FILE:KEY``, for a file with any suffix.

    What exists under the whole text is the file, although its name contains a colon. Otherwise the text
    is cut at the last colon before which something exists, so that keys with colons
    (``rec.nc:weight:V1->IT``) and with slashes (``rec.nwb:processing/behavior``) are possible. The colon
    of a drive, ``C:\data``, is part of the path.

    Parameters
    ----------
    given : str or path
    what : str
        Its name in error messages.

    Raises
    ------
    DataError
        If no such file or folder exists, or the key is empty.
    """
    path = Path(os.path.expanduser(require_path(what, given, DataError)))
    if _exists(path):
        return Address(path)
    text = os.fspath(path)
    for file, key in _cuts(text):
        if _exists(Path(file)):
            if not key:
                raise DataError(f"{what} {given}: no array is named after the colon; give {file}:KEY")
            return Address(Path(file), key)
    missing = _file_meant(text)
    raise DataError(f"{what} {given}: no file or folder {missing}; give the path of one, or FILE:KEY")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _cuts(text: str) -> Iterator[tuple[str, str]]:
    """Pairs (file, key) for each colon, from the last; the colon of a drive does not count."""
    at = text.rfind(":")
    while at > 0:
        drive = at == 1 and text[0].isalpha() and text[2:3] in ("\\", "/")
        if not drive:
            yield text[:at], text[at + 1 :]
        at = text.rfind(":", 0, at)


def _file_meant(text: str) -> str:
    """The file that a text most likely means where none exists: up to the first colon after a suffix."""
    for file, _ in reversed(list(_cuts(text))):
        if Path(file).suffix:
            return file
    return text
