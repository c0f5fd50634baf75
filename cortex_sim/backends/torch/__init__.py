"""The torch backend: the equilibrium of a declared network, batched, for training at scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from cortex_sim.backends.torch.model import PRECISIONS, Model
from cortex_sim.checks import look_up
from cortex_sim.errors import BuildError
from cortex_sim.network import Network

if TYPE_CHECKING:
    import xarray as xr

    from cortex_sim.protocol.experiment import Experiment

__all__ = ["Model", "build", "run"]


def build(net: Network, seed: int = 0, *, precision: Any = "32", device: str | torch.device = "cpu") -> Model:
    """Build a declared network on torch.

    Parameters
    ----------
    net : Network
        The declaration; checked as a whole first.
    seed : int, default 0
        Seeds initial weights, feedback and noise.
    precision : {"32", "64", "bf16"}, default "32"
        Of rates and credit; with bf16 the weights themselves stay in 32 bits.
    device : str, default "cpu"
        Where the model lives.

    Raises
    ------
    DeclarationError
        If the declaration cannot run or would silently not learn.
    BuildError
        If torch cannot run it as it stands.
    """
    look_up("precision", str(precision), PRECISIONS, BuildError)
    try:
        place = torch.device(device)
        torch.zeros(0, device=place)
    except (RuntimeError, AssertionError) as error:
        raise BuildError(f"device {device!r} cannot be used here: {str(error).splitlines()[0]}") from None
    return Model(net, seed, str(precision), place)


def run(
    experiment: Experiment,
    seed: int = 0,
    *,
    out: str | Path | None = None,
    arms: Sequence[str] | None = None,
    resume: bool = False,
    progress: bool = True,
) -> xr.Dataset:
    """Run an experiment's arms at the equilibria of their phases; see `cortex_sim.protocol.running.run`."""
    from cortex_sim.protocol import running

    return running.run(experiment, "torch", seed, out=out, arms=arms, resume=resume, progress=progress)
