"""Networks under a credit network of every form, far from where its training starts; a phase for them."""

import numpy as np
from networks import chain
from timed import NEAR

import cortex_sim as cs
from cortex_sim.credit import BroadcastCredit, DenseCredit, SharedCredit, TrainedCredit, untrained


def taught(network=chain, form="dense", context="error", **settings):
    """A network under a credit network whose parameters, biases too, are far from where training starts."""
    net = network(init=NEAR)
    outputs = net.populations["IT"].size
    if form == "dense":
        declared = DenseCredit(outputs, 5, 7, context, levels=2, **settings)
    elif form == "broadcast":
        declared = BroadcastCredit(outputs, 5, **settings)
    else:
        declared = SharedCredit(5, 4, context, **settings)
    start, rng = untrained(declared, seed=1), np.random.default_rng(3)
    moved = {name: p + 0.3 * rng.normal(size=p.shape) for name, p in start.parameters.items()}
    return net.with_rule("tdca", credit=TrainedCredit(start.network, moved, {}))


FORMS = {
    "dense, error": {},
    "dense, raw": {"context": "raw"},
    "pooled": {"pooled": True},
    "ungated": {"gated": False},
    "signs": {"signs": True},
    "shared, error": {"form": "shared"},
    "shared, raw": {"form": "shared", "context": "raw"},
    "broadcast": {"form": "broadcast"},
}


def script(net, x, y, ms=800.0, every_ms=None, **settings):
    """One phase; all populations are recorded, those of the credit network too."""
    drive = {"retina": x, **settings.pop("drive", {})}
    nudge = settings.pop("nudge", {net.objective_at: y})
    return cs.Protocol(
        cs.Phase("all", ms, drive=drive, nudge=nudge, **settings),
        batch=len(x),
        record=cs.Record(("rate", "drive", "credit"), list(net.every_population), every_ms),
    )


def by_name(net, recording, variable):
    """Population to (presentation, unit[, time_bin]), credit populations too."""
    found = {}
    for name in net.every_population:
        chosen = recording[variable].isel(neuroid=recording["population"].values == name)
        found[name] = chosen.transpose(
            "presentation", *(["time_bin"] * ("time_bin" in chosen.dims)), "neuroid"
        )
    return {name: values.values for name, values in found.items()}
