"""Every registered rule on networks that ranks train together; run as a program, it is one of these ranks."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from networks import chain, conv, dense_chain
from rule_cases import FINITE, cases

import cortex_sim as cs
from cortex_sim.backends.torch import distributed
from cortex_sim.backends.torch.training import Trainer
from cortex_sim.credit import BroadcastCredit, TrainedCredit

REDUCED = cs.BatchNorm(reduced=True)
# Rules that send targets or deliver credit to drives; `cortex_sim.normaliser_checking` says why.
REFUSED = {"difference_target_prop", "target_prop", "tdca, pooled and ungated", *FINITE}
PRECISIONS = ("64", "32")
BATCH, EPOCHS, SHOWN = 16, 2, 40  # of which the last batch has 8, two for each of four ranks


def normalised(network):
    """The same, each hidden population with a normaliser over all ranks."""

    def declared(*given, **settings):
        net = network(*given, **settings)
        for name in [n for n in net.populations if n not in ("retina", "IT")]:
            net.populations[name] = replace(net.populations[name], normaliser=REDUCED)
        return net

    declared.__name__ = network.__name__
    return declared


def _plastic_diffusion(network):
    form = BroadcastCredit(11 if network is conv else 3, 4, "dense", False)
    return network().with_rule("tdca", credit=TrainedCredit(form, form.draw(2), {}))


def _lateral(_):
    """Nothing in it needs credit, and V1 is linear, as lateral weights ask for."""
    net = cs.Network("lateral")
    net.population("retina", 13)
    net.population("V1", 7)
    net.population("V2", 3, activation="tanh")
    net.bottom_up("retina", "V1", plasticity="oja")
    net.bottom_up("V1", "V2", plasticity="bcm")
    net.lateral("V1", plasticity=cs.Decorrelation())
    return net


def _noise(network):
    """Dropout, and a penalty that is estimated from probes drawn anew for each batch."""
    net = network("tanh", cs.Orthogonal(gain=1.4))
    hidden = next(n for n in net.populations if n not in ("retina", "IT"))
    net.populations[hidden] = replace(net.populations[hidden], dropout=0.4)
    last = next(p for p in net.bottom_ups if p.post == "IT")
    net.projections[last.name] = replace(last, regularisers=(cs.Orthogonality(0.1, probes=3),))
    return net.with_rule("weight_mirror")


def _pulled(_):
    """Pieces for every rank: hard orthogonality and inverses, auxiliary units too, of unlike cost."""
    net = dense_chain((23, 19, 17, 13, 11, 3), init=cs.Orthogonal(gain=1.4))
    hard = cs.HardOrthogonality(every=2)
    for p in net.bottom_ups[1:]:
        net.projections[p.name] = replace(p, regularisers=(hard,))
    return net.with_rule("gait_prop", refresh=2, auxiliary=True, damping=0.0)


SPECIAL = {
    "plastic diffusion": _plastic_diffusion,
    "lateral": _lateral,
    "noise": _noise,
    "pulled back": _pulled,
}


def nets(with_normalisers):
    """Networks by name; ``with_normalisers`` hidden populations have `BatchNorm(reduced=True)`."""
    found = {}
    for one in cases():
        case = one.values[0]
        if with_normalisers and case.name in REFUSED:
            continue
        network = normalised(case.network) if with_normalisers else case.network
        found[one.id] = replace(case, network=network)
    return found


def declared(name, normalised):
    """One of them, or a special one."""
    case = nets(normalised).get(name)
    if case is not None:
        return case.net
    kind, network = name.rsplit("-", 1)
    return SPECIAL[kind]({"chain": chain, "conv": conv}[network])


def names(normalised):
    special = [] if normalised else [f"{kind}-{network}" for kind, network in ON.items()]
    return [*nets(normalised), *special]


ON = {"plastic diffusion": "chain", "lateral": "chain", "noise": "conv", "pulled back": "chain"}


def presented(net):
    rng = np.random.default_rng(3)
    shape = net.populations[net.stimulated[0]].shape
    top = net.populations[net.objective_at].size if net.objective_at else 2
    return torch.as_tensor(0.5 * rng.normal(size=(SHOWN, *shape))), torch.as_tensor(
        rng.integers(top, size=SHOWN)
    )


def ended(name, normalised, precision):
    """All tensors after training on as many ranks as there are, or why the network is refused."""
    net = declared(name, normalised)
    try:
        model = cs.torch.build(net, seed=2, precision=precision)
    except cs.CortexSimError as refused:
        return str(refused)
    start = {n: t.clone() for n, t in model.state_dict().items()}
    trainer = Trainer(model, *presented(net), EPOCHS, BATCH, {"name": "SGD", "lr": 0.02, "momentum": 0.9})
    losses = [trainer.train_epoch() for _ in range(EPOCHS)]
    found = {n: t.clone() for n, t in model.state_dict().items()}
    return {"start": start, "end": found | {"losses": torch.tensor(losses, dtype=torch.float64)}}


def all_ended(which):
    """Of every case: by whether it is normalised, its name and precision."""
    return {
        (normalised, name, precision): ended(name, normalised, precision)
        for normalised in (False, True)
        for name in names(normalised)
        for precision in PRECISIONS
        if which is None or name in which
    }


if __name__ == "__main__":
    rank, _ = distributed.start("cpu")
    torch.save(all_ended(None), Path(sys.argv[1]) / f"{rank}.pt")
    distributed.finish()
