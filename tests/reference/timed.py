"""Networks carried out in time, and their numbers by population."""

import numpy as np
from networks import Spread, shown

import cortex_sim as cs

NEAR = Spread(0.8, 1.2)


def protocol(
    net, x, y=None, *, ms=800.0, learn_ms=0.0, every_ms=None, batch=None, variables=None, **settings
):
    """Settle, nudged to y, then perhaps learn; settings go to the last phase, whole_* to the protocol."""
    drive, nudge = {net.stimulated[0]: x}, {} if y is None else {net.objective_at: y}
    whole = {k.removeprefix("whole_"): settings.pop(k) for k in list(settings) if k.startswith("whole_")}
    phases = [cs.Phase("settle", ms, drive=drive, nudge=nudge, **({} if learn_ms else settings))]
    if learn_ms:
        learning = {"plasticity": True, **settings}
        phases.append(cs.Phase("learn", learn_ms, drive=drive, nudge=nudge, **learning))
    record = cs.Record(variables=variables or ("rate", "credit", "drive"), every_ms=every_ms, phase=None)
    return cs.Protocol(*phases, batch=batch, record=record, **whole)


def by_population(net, recording, variable):
    """Population to (presentation, unit[, time_bin])."""
    found = {}
    for name in net.populations:
        chosen = recording[variable].isel(neuroid=recording["population"].values == name)
        order = ["presentation", *(["time_bin"] if "time_bin" in chosen.dims else []), "neuroid"]
        found[name] = chosen.transpose(*order).values
    return found


def settled(sim, x, y, **settings):
    """Rates and credits at the end of 800 ms, by population."""
    recording = sim.run(protocol(sim.net, x, y, **settings))
    return by_population(sim.net, recording, "rate"), by_population(sim.net, recording, "credit")


def expected(net, x, y, seed=0):
    """Torch's rates and credits by population, (presentation, unit)."""
    model = cs.torch.build(net, seed=seed, precision="64")
    recording = model.respond(x, y)
    return by_population(net, recording, "rate"), by_population(net, recording, "credit")


def assert_close(ours, theirs, tolerance, skip=()):
    for name, values in theirs.items():
        if name in skip:
            continue
        scale = max(np.abs(values).max(), 1e-12)
        worst = np.abs(ours[name].reshape(values.shape) - values).max() / scale
        assert worst < tolerance, f"{name}: off by {worst:.1e} of the largest"


__all__ = ["NEAR", "assert_close", "by_population", "expected", "protocol", "settled", "shown"]
