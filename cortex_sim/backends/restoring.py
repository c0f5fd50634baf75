"""Whether a checkpoint belongs to this network, checked before anything is overwritten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cortex_sim.errors import RunError

_KINDS = ("weight:", "bias:", "state:", "auxiliary:")


def require_own(network: str, own: Mapping[str, np.ndarray], given: Any) -> None:
    """Raise an exception if a checkpoint does not match a network.

    Parameters
    ----------
    network : str
        Its name, for the message.
    own : mapping of str to array
        What a checkpoint of the network holds, by name.
    given : mapping of str to array
        The checkpoint.

    Raises
    ------
    RunError
        Naming the first entry that is missing, damaged or of another shape.
    """
    if not isinstance(given, Mapping):
        raise RunError(
            f"network {network}: a checkpoint must be the mapping that checkpoint() returned. Got "
            f"{type(given).__name__}"
        )
    way = "; give what checkpoint() of this network returned"
    for name, ours in own.items():
        if name not in given:
            raise RunError(f"network {network}: the checkpoint has no {name!r}{way}")
        theirs = np.asarray(given[name])
        if theirs.shape != np.shape(ours):
            raise RunError(
                f"network {network}: {name!r} has shape {theirs.shape} in the checkpoint, but "
                f"{np.shape(ours)} in this network{way}"
            )
        require_numbers(network, name, theirs)
    for name in given:
        if name not in own and str(name).startswith(_KINDS):
            raise RunError(f"network {network}: the checkpoint has {name!r}, but this network does not{way}")


def require_numbers(network: str, name: str, values: Any) -> None:
    """Raise `RunError` where an entry of a checkpoint holds anything but numbers."""
    if np.asarray(values).dtype.kind not in "fiub":
        raise RunError(
            f"network {network}: {name!r} in the checkpoint is not an array of numbers, so the checkpoint is "
            "damaged; give an intact one"
        )
