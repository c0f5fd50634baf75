"""What a network has learned in a protocol: the state after its last trial, to be presented with stimuli."""

from __future__ import annotations

from cortex_sim.checks import listed, require_known
from cortex_sim.errors import RunError
from cortex_sim.experiments.experiment import Experiment
from cortex_sim.protocol.planning import plan
from cortex_sim.state import State


def arm_of(experiment: Experiment, arm: str | None) -> str:
    """The named arm, or the only one.

    Raises
    ------
    RunError
        If there is no such arm, or several and none is named.
    """
    if arm is None and len(experiment.arms) > 1:
        raise RunError(
            f"respond: the experiment has several arms; give --arm (arm=), one of {listed(experiment.arms)}"
        )
    name = next(iter(experiment.arms)) if arm is None else arm
    require_known("arm", name, experiment.arms, RunError)
    return name


def after(experiment: Experiment, arm: str, seed: int) -> State:
    """State after all trials of one arm, simulated in time on brian2; nothing is recorded.

    Parameters
    ----------
    experiment : Experiment
    arm : str
    seed : int
        Seed of weights, order and noise, as for ``simulate``.
    """
    from cortex_sim import brian2

    protocol, net = experiment.arms[arm].protocol, experiment.network_of(arm)
    under = experiment.conditions(net, seed)
    simulation = brian2.build(
        net,
        seed,
        engine=under.engine,
        dt_ms=under.dt_ms,
        apical_tau_ms=under.apical_tau_ms,
        noise=under.noise,
        state=under.state,
    )
    simulation.carry_out(plan(protocol, net, seed, simulation.preprocessing), 0, lambda sample: None)
    return simulation.state()
