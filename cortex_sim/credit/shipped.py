"""Where a credit network comes from: an object, a file, or one that is shipped in the package."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from cortex_sim.checks import listed
from cortex_sim.credit.saving import TrainedCredit, load_credit, untrained
from cortex_sim.credit.shared import SharedCredit
from cortex_sim.errors import DeclarationError, RunError

_FOLDER = Path(__file__).resolve().parent / "pretrained"
_SUFFIX = ".safetensors"
_PREFERRED = ("tdca_mnist", "tdca_shared")  # the first that fits the network's outputs

_log = logging.getLogger(__name__)


def shipped() -> list[str]:
    """Names of the credit networks in the package."""
    return sorted(path.stem for path in _FOLDER.glob(f"*{_SUFFIX}"))


def credit_network(given: Any, outputs: int) -> TrainedCredit:
    """Trained credit network for ``outputs`` units at the top.

    Parameters
    ----------
    given : TrainedCredit, path, name of `shipped`, or None
        None for the shipped one that fits.

    Raises
    ------
    DeclarationError
        If it is none of these, or the file does not exist.
    """
    if isinstance(given, TrainedCredit):
        return given
    if given is None:
        return _default(outputs)
    if not isinstance(given, (str, Path)):
        raise DeclarationError(
            f"credit: give a TrainedCredit, a file, or one of {listed(shipped())}. Got {given!r}"
        )
    path = _FOLDER / f"{given}{_SUFFIX}" if str(given) in shipped() else Path(given)
    try:
        return load_credit(path)
    except RunError as exception:
        raise DeclarationError(f"{exception}; shipped: {listed(shipped())}") from None


def _default(outputs: int) -> TrainedCredit:
    for name in _PREFERRED:
        if name in shipped():
            trained = load_credit(_FOLDER / f"{name}{_SUFFIX}")
            if trained.network.outputs in (None, outputs):
                return trained
    _log.warning("no trained credit network is shipped for %d outputs: using an untrained one", outputs)
    return untrained(SharedCredit())
