"""Shipped protocols cut short, so that a quick test can run them from end to end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import cortex_sim as cs
from cortex_sim import library
from cortex_sim.experiments.finding import experiment as found


def module(name):
    """Module of a shipped protocol."""
    return library.load_module("protocols", name)


def shortened(name, engine="batched", seed=0, only=None, **settings):
    """Its experiment with other settings of every protocol, such as ``trials=3``; probes one by one.

    ``only`` names the arms that are kept.
    """
    made = found(name, seed)
    arms = {
        arm: replace(made.arms[arm], protocol=_one_by_one(made.arms[arm].protocol).replace(**settings))
        for arm in (made.arms if only is None else only)
    }
    return replace(made, arms=arms, engine=engine)


def _one_by_one(protocol):
    """The synapses engine shows one presentation at a time."""
    return protocol.replace(probe=protocol.probe and protocol.probe.replace(batch=1))


def both_engines(name, **settings):
    """Recordings of the shortened experiment, after checking that both engines took the same steps."""
    batched, synapses = (
        cs.brian2.run(shortened(name, engine, **settings)) for engine in ("batched", "synapses")
    )
    assert batched.sizes == synapses.sizes
    for variable in batched.data_vars:
        ours, theirs = batched[variable].values, synapses[variable].values
        scale = max(abs(ours).max(), 1e-12)
        np.testing.assert_allclose(theirs, ours, rtol=1e-10, atol=1e-12 * scale, err_msg=str(variable))
    return batched


def runs_on_disk(name, tmp_path, seed=0):
    """The statistics of the default experiment, through a file as ``cortex-sim simulate`` makes it."""
    with cs.brian2.run(found(name, seed), seed, out=tmp_path / "out.nc", progress=False) as recording:
        return module(name).statistics(recording)
