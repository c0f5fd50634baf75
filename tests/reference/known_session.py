"""A small experiment, and a session whose numbers are known by heart: no backend needed."""

import numpy as np

import cortex_sim as cs
from cortex_sim.protocol.plan import Sample

UP = "retina->V1"


class Ended(Exception):
    """Whatever ends a program in the middle of a trial."""


class KnownSession:
    """Rates are trial + unit/100 + bin/1000 (+ 0.5 in probes); every trial adds 1 to each weight.

    What is learned shows in the drive of V1, so that a session resumed from a wrong state is seen.
    """

    ends_before = None  # number of the `Shown` at which the program ends
    made = 0

    def __init__(self, net, seed):
        type(self).made += 1
        self.net, self.seed, self.preprocessing = net, seed, None
        self.w = net.initial_weights(seed)[UP].copy()
        self.begun = 0

    def check(self, plan):
        assert plan.shown

    def carry_out(self, plan, first, keep):
        for shown in plan.shown[first:]:
            if shown.number == type(self).ends_before:
                raise Ended
            self.begun += 1
            self.w += shown.stage == "trial"
            every = plan.wanted.every_ms
            bins = 1 if every is None else int(shown.duration_ms // every)
            rates = {
                n: self._rates(shown, bins, self.net.populations[n].size) for n in plan.wanted.populations
            }
            every_value = {
                "rate": rates,
                "drive": {n: r + self.w.sum() for n, r in rates.items()},
                "credit": {"V1": rates["V1"]} if "V1" in rates else {},
            }
            values = {v: every_value[v] for v in plan.wanted.variables}
            due = shown.stage == "trial" and (shown.trials[-1] + 1) % plan.wanted.weights_every == 0
            weights = {n: self.w.copy() for n in plan.wanted.weights if due}
            keep(Sample(shown, values, weights, time_ms=-1.0))

    @staticmethod
    def _rates(shown, bins, units):
        trial = np.asarray(shown.trials)[:, None, None] + 0.5 * (shown.stage == "probe")
        return trial + np.arange(bins)[None, :, None] / 1000 + np.arange(units)[None, None, :] / 100

    def checkpoint(self):
        return {"w": self.w, "begun": np.asarray(self.begun)}

    def restore(self, state):
        assert state["begun"].shape == ()
        self.w, self.begun = state["w"].copy(), int(state["begun"])

    def attributes(self):
        return {"network": self.net.name, "rule": "hebbian", "seed": self.seed, "begun": self.begun}


def network(name="small", units=4):
    net = cs.Network(name)
    net.population("retina", shape=(1, 2, 3))
    net.population("V1", units)
    net.bottom_up("retina", "V1", plasticity="hebbian")
    return net


def protocol(trials=7, probe=True, **settings):
    images = np.arange(18.0).reshape(3, 1, 2, 3)
    phases = [
        cs.Phase("settle", 30, drive={"retina": images}),
        cs.Phase("learn", 20, drive={"retina": images}, plasticity=True),
    ]
    look = [cs.Phase("settle", 30, drive={"retina": images}), cs.Phase("learn", 20)]
    return cs.Protocol(
        *phases,
        trials=trials,
        probe=cs.Protocol(*look) if probe else None,
        **{"repeat": 2, "record": cs.Record(weights=True, weights_every=3), **settings},
    )
