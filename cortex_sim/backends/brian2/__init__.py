"""The brian2 backend: a declared network as rate dynamics in time, for plasticity protocols."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import xarray as xr

from cortex_sim.backends.brian2.simulation import Simulation
from cortex_sim.network import Network

__all__ = ["Simulation", "build", "run"]


def build(
    net: Network,
    seed: int = 0,
    *,
    engine: str = "batched",
    dt_ms: float = 1.0,
    apical_tau_ms: float | Mapping[str, float] = 10.0,
    noise: float | Mapping[str, float] = 0.0,
    method: str = "euler",
    target: str = "numpy",
    equations: Mapping[str, str] | None = None,
    extra: Callable[[Mapping[str, Any]], list[Any]] | None = None,
) -> Simulation:
    """Build a declared network as rate dynamics.

    Parameters
    ----------
    net : Network
        The declaration; checked as a whole first.
    seed : int, default 0
        Seeds initial weights, feedback and noise.
    engine : {"batched", "synapses"}, default "batched"
        Matrix products over presentations side by side, or brian2 ``Synapses``, one presentation at
        a time. Both take the same steps.
    dt_ms : float, default 1.0
        Time step, in ms.
    apical_tau_ms : float or mapping, default 10.0
        Time constant τ_c of apical compartments, in ms; by top-down projection where a mapping.
    noise : float or mapping, default 0.0
        Standard deviation that noise gives a resting drive, by population where a mapping.
    method : {"euler", "exponential_euler"}, default "euler"
        How brian2 integrates.
    target : {"numpy", "cython", "cpp_standalone"}, default "numpy"
        brian2's code generation; numpy waits for no compiler. With the synapses engine, cpp_standalone
        compiles each plan into one C++ program, see ``docs/standalone.md``.
    equations : mapping of str to str, optional
        Equations of your own, in brian2's language, added to a population's: they may read ``r``, ``a``,
        and where there is credit ``c`` and ``u``.
    extra : callable, optional
        From the groups by population name, further brian2 objects to run along, such as monitors.

    Raises
    ------
    DeclarationError
        If the declaration cannot run.
    BuildError
        If it has no rate dynamics, or the time step is too long; the message says which would do.
    """
    return Simulation(
        net,
        seed,
        engine=engine,
        dt_ms=dt_ms,
        apical_tau_ms=apical_tau_ms,
        noise=noise,
        method=method,
        target=target,
        equations=equations,
        extra=extra,
    )


def run(experiment: Any, seed: int = 0, **settings: Any) -> xr.Dataset:
    """Run every arm of an experiment; see `cortex_sim.protocol.running.run`."""
    from cortex_sim.protocol.running import run as carry

    return carry(experiment, "brian2", seed, **settings)
