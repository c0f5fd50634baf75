"""In time: declared networks as rate dynamics on brian2, and as spiking units.

Public names of ``cortex_sim.backends.brian2``: ``cs.brian2``, or ``import cortex_sim.brian2``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cortex_sim.backends.brian2 import Simulation, build
from cortex_sim.backends.brian2.spiking import FiringRates, LeakyIntegrateAndFire, Spiking, SpikingTrials
from cortex_sim.calling import known_arguments
from cortex_sim.experiments import running

if TYPE_CHECKING:
    import xarray as xr

    from cortex_sim.experiments.experiment import Experiment

__all__ = ["FiringRates", "LeakyIntegrateAndFire", "Simulation", "Spiking", "SpikingTrials", "build", "run"]


@known_arguments("cs.brian2.run")
def run(
    experiment: Experiment,
    seed: int = 0,
    *,
    out: str | Path | None = None,
    arms: Sequence[str] | None = None,
    resume: bool = False,
    progress: bool = True,
) -> xr.Dataset:
    """Run each arm of an experiment in time, as rate dynamics; see `cortex_sim.experiments.running.run`."""
    return running.run(experiment, "brian2", seed, out=out, arms=arms, resume=resume, progress=progress)
