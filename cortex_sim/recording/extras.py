"""Packages that only some users need: imported when used, and named where they are missing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from cortex_sim.errors import DataError


def imported(package: str, extra: str, purpose: str) -> Any:
    """The package, or an error that says how to install it.

    Parameters
    ----------
    package : str
        Such as "pynwb".
    extra : str
        Extra of cortex-sim that installs it: ``pip install 'cortex-sim[EXTRA]'``.
    purpose : str
        What needs it, such as "NWB files".

    Raises
    ------
    DataError
        If it is missing or cannot be imported.
    """
    try:
        return import_module(package)
    except ImportError as exception:
        missing = isinstance(exception, ModuleNotFoundError) and exception.name == package
        why = "is not installed" if missing else f"cannot be imported ({exception})"
        raise DataError(
            f"{purpose}: the package {package} {why}; install it: pip install 'cortex-sim[{extra}]'"
        ) from None


@contextmanager
def quiet_nwb() -> Iterator[None]:
    """Silence what pynwb and hdmf warn about in a file: older specifications, missing linked files, style."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(pynwb|hdmf)(\.|$)")
        yield
