"""At scale: declared networks on torch, in batches, at equilibrium.

The public face of ``cortex_sim.backends.torch``: ``cs.torch``, or ``import cortex_sim.torch``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cortex_sim.backends.torch import (
    Features,
    InnerStep,
    Model,
    Muon,
    Settling,
    Unrolled,
    build,
    from_state_dict,
    load,
    make_optimiser,
    make_schedule,
    to_onnx,
    to_state_dict,
)
from cortex_sim.calling import known_arguments
from cortex_sim.experiments import running

if TYPE_CHECKING:
    import xarray as xr

    from cortex_sim.experiments.experiment import Experiment

__all__ = [
    "Features",
    "InnerStep",
    "Model",
    "Muon",
    "Settling",
    "Unrolled",
    "build",
    "from_state_dict",
    "load",
]
__all__ += ["make_optimiser", "make_schedule", "run", "to_onnx", "to_state_dict"]


@known_arguments("cs.torch.run")
def run(
    experiment: Experiment,
    seed: int = 0,
    *,
    out: str | Path | None = None,
    arms: Sequence[str] | None = None,
    resume: bool = False,
    progress: bool = True,
) -> xr.Dataset:
    """Run an experiment, each phase at its equilibrium; see `cortex_sim.experiments.running.run`."""
    return running.run(experiment, "torch", seed, out=out, arms=arms, resume=resume, progress=progress)
