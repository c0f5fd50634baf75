"""The torch backend: the equilibrium of a declared network, batched, for training at scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from cortex_sim.backends.torch.features import Features
from cortex_sim.backends.torch.fixed_point import Settling
from cortex_sim.backends.torch.inner_step import InnerStep
from cortex_sim.backends.torch.inputs import PRECISIONS
from cortex_sim.backends.torch.model import Model
from cortex_sim.backends.torch.muon import Muon
from cortex_sim.backends.torch.onnx_file import to_onnx
from cortex_sim.backends.torch.optimising import make_optimiser, make_schedule
from cortex_sim.backends.torch.plain import from_state_dict, to_state_dict
from cortex_sim.backends.torch.unrollable import check_closes, check_recomputes, check_unrolls
from cortex_sim.backends.torch.unrolling import Unrolled
from cortex_sim.calling import known_arguments
from cortex_sim.checks import require_known
from cortex_sim.errors import BuildError
from cortex_sim.network import Network
from cortex_sim.state import as_state
from cortex_sim.state import load as read_state
from cortex_sim.wiring import require_network

__all__ = ["Features", "InnerStep", "Model", "Muon", "Settling", "Unrolled", "build", "from_state_dict"]
__all__ += ["load", "make_optimiser", "make_schedule", "to_onnx", "to_state_dict"]


@known_arguments("cs.torch.build")
def build(
    net: Network,
    seed: int = 0,
    *,
    precision: Any = "32",
    device: str | torch.device = "cpu",
    state: Any = None,
    settling: Settling | Unrolled | None = None,
) -> Model:
    """Build a declared network on torch.

    Parameters
    ----------
    net : Network
        The declaration; all of it is checked first.
    seed : int, default 0
        Seeds initial weights, feedback and noise.
    precision : {"32", "64", "bf16"}, default "32"
        Precision of rates and credit; with bf16 the weights themselves stay in 32 bits.
    device : str, default "cpu"
        Device of the model.
    state : State, model, simulation, path or run directory, optional
        Learned state to start from, instead of initial weights.
    settling : Settling or Unrolled, optional
        Tolerance and limit of the search for the equilibrium of loops; or `Unrolled(steps, dt_ms)`: rates
        after each of this many steps in time, and credit through these steps.

    Raises
    ------
    DeclarationError
        If the declaration cannot run or would silently not learn.
    BuildError
        If torch cannot run it as declared.
    """
    require_network("cs.torch.build", net)
    require_known("precision", str(precision), PRECISIONS, BuildError)
    try:
        place = torch.device(device)
        torch.zeros(0, device=place)
    except (RuntimeError, AssertionError) as exception:
        raise BuildError(
            f"device {device!r} cannot be used here ({str(exception).splitlines()[0]}); use device='cpu', or "
            "'cuda' where torch finds a GPU"
        ) from None
    if settling is not None and not isinstance(settling, (Settling, Unrolled)):
        raise BuildError(
            f"network {net.name}: settling must be cs.torch.Settling() or cs.torch.Unrolled(steps=20). Got "
            f"{settling!r}"
        )
    model = Model(net, seed, str(precision), place)
    if isinstance(settling, Unrolled):
        check_unrolls(model, settling)
        model.unrolled = settling
        model.keeps_traces = any(p.rule.keeps_traces for p in model.net.driving)
    else:
        check_closes(net)
        model.settling = Settling() if settling is None else settling
        if model.settling.recompute:
            check_recomputes(model)
    if state is not None:
        model.load_state(as_state(state))
    return model


def load(source: str | Path, *, device: str = "cpu", settling: Settling | Unrolled | None = None) -> Model:
    """Model from a run directory, a checkpoint, or a file that `cs.save` wrote, with its weights.

    The network comes from the file's data: no file is run.

    Parameters
    ----------
    source : path
    device : str, default "cpu"
    settling : Settling or Unrolled, optional
        By default as the model was saved: unrolled, or at equilibrium.

    Raises
    ------
    RunError
        If ``source`` does not exist or is damaged.
    """
    state = read_state(source)
    origin = state.origin
    seed, precision = int(origin.get("seed", 0)), str(origin.get("precision", "32"))
    if settling is None and "unrolled" in origin:
        settling = Unrolled(**origin["unrolled"])
    return build(state.network, seed, precision=precision, device=device, state=state, settling=settling)
