"""A trained credit network as a file: safetensors, with its declaration as text; no code or pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from cortex_sim.credit.network import CreditNetwork
from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.registry import from_data, to_data
from cortex_sim.runs.files import whole

_KEY = "cortex_sim_credit"


@dataclass(frozen=True, eq=False)
class TrainedCredit:
    """A credit network with its parameters.

    Parameters
    ----------
    network : CreditNetwork
        Its form and settings.
    parameters : dict of str to array
        Float64, with the names of ``network.shapes()``.
    about : dict
        Provenance: how it was trained, with which rates and schedule.

    Raises
    ------
    DeclarationError
        If parameters do not fit the form or contain NaN or infinity, or ``about`` is not a mapping.
    """

    network: CreditNetwork
    parameters: dict[str, np.ndarray]
    about: dict[str, Any]

    def __post_init__(self) -> None:
        check_parameters(self.network, self.parameters)
        if not isinstance(self.about, Mapping):
            raise DeclarationError(f"credit network: about must be a mapping. Got {self.about!r}")

    def provenance(self, *names: str) -> Mapping[str, Any]:
        """The mapping in ``about`` under these nested names; {} if there is none."""
        found: Any = self.about
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    def save(self, path: str | Path) -> None:
        """Write to ``path``, completely or not at all."""
        path = Path(path)
        text = json.dumps({"network": to_data("credit_network", self.network), "about": self.about})
        tensors = {name: np.array(p, np.float64, order="C") for name, p in self.parameters.items()}
        with whole(path) as part:
            save_file(tensors, str(part), {_KEY: text})
            part.chmod(path.parent.stat().st_mode & 0o666)  # safetensors gives read access only to the owner


def check_parameters(network: CreditNetwork, parameters: Mapping[str, Any]) -> None:
    """Raise `DeclarationError` unless parameters have the network's ``shapes()`` and are finite."""
    expected = network.shapes()
    given = {name: tuple(np.shape(p)) for name, p in parameters.items()}
    if given != expected:
        wrong = sorted(set(given.items()) ^ set(expected.items()))
        raise DeclarationError(f"credit network: parameters do not fit its form ({wrong[0][0]}: {wrong})")
    for name, p in parameters.items():
        if not np.isfinite(np.asarray(p)).all():
            raise DeclarationError(
                f"credit network: parameter {name} contains NaN or infinity; train it again at a lower rate"
            )


def untrained(network: CreditNetwork, seed: int = 0) -> TrainedCredit:
    """The network before training: a fixed broadcast, and a residual network that adds little."""
    return TrainedCredit(network, network.draw(seed), {"trained": False})


def load_credit(path: str | Path) -> TrainedCredit:
    """Credit network from a file written by `TrainedCredit.save` or ``cortex-sim evolve``.

    Raises
    ------
    RunError
        If the file is missing, damaged, or contains something else.
    """
    path = Path(path)
    if not path.is_file():
        raise RunError(f"credit network {path}: no such file; cortex-sim evolve writes such files")
    try:
        with safe_open(str(path), framework="np") as opened:
            text = (opened.metadata() or {}).get(_KEY)
            parameters = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        found = json.loads(text) if text else None
    except (SafetensorError, OSError, json.JSONDecodeError) as exception:
        raise RunError(f"credit network {path}: the file is damaged ({exception})") from None
    if not isinstance(found, dict) or not {"network", "about"} <= set(found):
        raise RunError(f"credit network {path}: not a credit network; give a file that evolve wrote")
    try:
        network = from_data("credit_network", found["network"])
        return TrainedCredit(network, parameters, found["about"])
    except DeclarationError as exception:
        raise RunError(f"credit network {path}: {exception}") from None
