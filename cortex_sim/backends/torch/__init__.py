"""The torch backend: the equilibrium of a declared network, batched, for training at scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from cortex_sim.backends.torch.fixed_point import Settling
from cortex_sim.backends.torch.inputs import PRECISIONS
from cortex_sim.backends.torch.model import Model
from cortex_sim.checks import look_up
from cortex_sim.errors import BuildError
from cortex_sim.network import Network
from cortex_sim.state import as_state
from cortex_sim.state import load as read_state

__all__ = ["Model", "Settling", "build", "load"]


def build(
    net: Network,
    seed: int = 0,
    *,
    precision: Any = "32",
    device: str | torch.device = "cpu",
    state: Any = None,
    settling: Settling | None = None,
) -> Model:
    """Build a declared network on torch.

    Parameters
    ----------
    net : Network
        The declaration; checked as a whole first.
    seed : int, default 0
        Seeds initial weights, feedback and noise.
    precision : {"32", "64", "bf16"}, default "32"
        Precision of rates and credit; with bf16 the weights themselves stay in 32 bits.
    device : str, default "cpu"
        Device of the model.
    state : State, model, simulation, path or run directory, optional
        Learned state to start from, instead of initial weights.
    settling : Settling, optional
        Tolerance and limit of the search for the equilibrium of loops.

    Raises
    ------
    DeclarationError
        If the declaration cannot run or would silently not learn.
    BuildError
        If torch cannot run it as declared.
    """
    look_up("precision", str(precision), PRECISIONS, BuildError)
    try:
        place = torch.device(device)
        torch.zeros(0, device=place)
    except (RuntimeError, AssertionError) as exception:
        raise BuildError(f"device {device!r} cannot be used here: {str(exception).splitlines()[0]}") from None
    model = Model(net, seed, str(precision), place)
    if settling is not None:
        model.settling = settling
    if state is not None:
        model.load_state(as_state(state))
    return model


def load(source: str | Path, *, device: str = "cpu") -> Model:
    """Model from a run directory, a checkpoint, or a file that `cs.save` wrote, with its weights.

    The network comes from the file's data: no file is run.

    Parameters
    ----------
    source : path
    device : str, default "cpu"

    Raises
    ------
    RunError
        If it does not exist or is damaged.
    """
    state = read_state(source)
    origin = state.origin
    seed, precision = int(origin.get("seed", 0)), str(origin.get("precision", "32"))
    return build(state.network, seed, precision=precision, device=device, state=state)
