"""The brian2 backend: a declared network as rate dynamics in time, for plasticity protocols."""

from __future__ import annotations

from typing import Any

import xarray as xr

from cortex_sim.backends.brian2.simulation import Simulation

__all__ = ["Simulation", "build", "run"]


build = Simulation  # what a user calls; its arguments are the class's own


def run(experiment: Any, seed: int = 0, **settings: Any) -> xr.Dataset:
    """Run every arm of an experiment; see `cortex_sim.protocol.running.run`."""
    from cortex_sim.protocol.running import run as carry

    return carry(experiment, "brian2", seed, **settings)
