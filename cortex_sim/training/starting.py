"""What a run starts from: the state of another, also where that one had another number of classes."""

from __future__ import annotations

from dataclasses import replace

from cortex_sim.checks import listed
from cortex_sim.network import Network
from cortex_sim.state import State, Variables, initial


def fitted(state: State, net: Network, seed: int) -> tuple[State, str | None]:
    """The state as ``net`` takes it, and a message where its top begins from weights drawn from ``seed``.

    Where the population of the objective has another number of units, projections onto and from it, and its
    biases, are those of a new network; everything else must fit, see `cortex_sim.state.State.fitted_to`.
    """
    top = net.objective_at
    kept = state.network.populations.get(top or "")
    if top is None or kept is None or kept.shape == net.populations[top].shape:
        return state.fitted_to(net, seed), None
    fresh = initial(net, seed)
    touched = [p.name for p in net.projections.values() if top in (p.pre, p.post)]
    before = state.network.copy()
    before.populations[top] = replace(kept, shape=net.populations[top].shape)

    changed = replace(
        state,
        network=before,
        weights={
            n: fresh.weights[n] if n in touched and n in fresh.weights else w
            for n, w in state.weights.items()
        },
        biases={n: fresh.biases[n] if n == top and n in fresh.biases else b for n, b in state.biases.items()},
        feedback={n: b for n, b in state.feedback.items() if n not in touched},
        rule_state={n: s for n, s in state.rule_state.items() if n not in touched},
        readings={n: s for n, s in state.readings.items() if n not in touched},
        auxiliary={n: a for n, a in state.auxiliary.items() if n not in touched},
        transfers={**state.transfers, **_of(top, fresh.transfers)},
        normalisers={**state.normalisers, **_of(top, fresh.normalisers)},
    )
    drawn = [name for name in touched if name in fresh.all_weights()]
    return changed.fitted_to(net, seed), (
        f"population {top} has {net.populations[top].size} units, and {kept.size} where training "
        f"starts from: the weights of {listed(drawn)}, and the biases of {top}, are drawn from the seed"
    )


def _of(top: str, fresh: Variables) -> Variables:
    return {top: fresh[top]} if top in fresh else {}
