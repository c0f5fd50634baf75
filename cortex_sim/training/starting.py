"""State that a run starts from: that of another run, even one with other classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cortex_sim.checks import listed
from cortex_sim.network import Network
from cortex_sim.runs.directory import CHECKPOINT
from cortex_sim.runs.files import read_tensors
from cortex_sim.state import State, Variables, initial


def fitted(state: State, net: Network, seed: int) -> tuple[State, str | None]:
    """The state fitted to ``net``, and a message if its top starts from weights drawn from ``seed``.

    If the population of the objective has another number of units, the projections to and from it, and its
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
        f"population {top} has {net.populations[top].size} units, but {kept.size} in the state that training "
        f"starts from: the weights of {listed(drawn)}, and the biases of {top}, are drawn from the seed"
    )


def classes_of(state: Path) -> tuple[str, ...]:
    """Names of the classes that a run was trained on, in the order of its units; none if it kept none.

    Parameters
    ----------
    state : Path
        A run directory, or a file in it.
    """
    checkpoint = (state if state.is_dir() else state.parent) / CHECKPOINT
    if not checkpoint.is_file():
        return ()
    metadata, _ = read_tensors(checkpoint, "checkpoint")
    return tuple(map(str, (metadata.get("extra") or {}).get("classes") or ()))


def other_classes(start: Path, data: str, classes: Sequence[str]) -> str | None:
    """A message if units were trained on other classes than the data now give them."""
    before = classes_of(start)
    units = [unit for unit, pair in enumerate(zip(classes, before, strict=False)) if pair[0] != pair[1]]
    if not units or set(before).isdisjoint(classes):
        return None
    return (
        f"data {data}: unit {units[0]} stands for class {classes[units[0]]}, but for {before[units[0]]} in "
        "the run that this one starts from; such units have to learn their new class"
    )


def _of(top: str, fresh: Variables) -> Variables:
    return {top: fresh[top]} if top in fresh else {}
