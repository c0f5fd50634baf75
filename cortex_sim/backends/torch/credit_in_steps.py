"""Which populations credit cannot reach within the steps of an unrolled network.

Credit passes back over one projection per step. Credit of a target at step k, counted from 0, reaches a
population d projections below the objective if the target's segment began at least d steps earlier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from cortex_sim.backends.torch.timed import steps_with_target
from cortex_sim.backends.torch.unrolling import Unrolled
from cortex_sim.checks import listed

if TYPE_CHECKING:
    from cortex_sim.network import Network


def out_of_reach(net: Network, how: Unrolled, judged: list[int]) -> dict[str, int]:
    """Populations that no credit reaches, though weights onto them learn from it, with their distances.

    A distance is the number of projections from the population to the objective.

    Parameters
    ----------
    net : Network
    how : Unrolled
    judged : list of int
        Steps with a target, from 0.
    """
    back = _steps_back(how, judged)
    direct = any(p.rule.keeps_traces for p in net.driving)  # then credit from the top arrives at once
    far = {name: min(d, 1) if direct else d for name, d in _distances(net).items()}
    far = {name: d for name, d in far.items() if d > back}
    learning = {p.post for p in net.driving if p.rule.supervised}
    return {name: far[name] for name in net.populations if name in far and name in learning}


def reach_remarks(net: Network, how: Unrolled | None, y: Tensor | None) -> list[str]:
    """One sentence about the populations that are out of reach, or nothing."""
    if how is None or net.objective_at is None:
        return []
    judged = steps_with_target(y, how)
    found = out_of_reach(net, how, judged)
    if not found:
        return []
    whole = how.truncate is None
    return [
        f"network {net.name}: no credit reaches {listed(found)}, so weights onto "
        f"{'it' if len(found) == 1 else 'them'} do not learn: credit passes one projection per step, and the "
        f"last target is at step {_steps_back(how, judged) + 1} of "
        f"{how.steps if whole else f'its segment of {how.truncate}'}; it must be at step "
        f"{max(found.values()) + 1} or later, so {'give more steps' if whole else 'change truncate or steps'}"
    ]


def _steps_back(how: Unrolled, judged: list[int]) -> int:
    """The most steps that credit goes back from any target."""
    return max((step % (how.truncate or how.steps) for step in judged), default=0)


def _distances(net: Network) -> dict[str, int]:
    """Fewest projections to the population of the objective, from every population that leads to it."""
    found, here = {str(net.objective_at): 0}, [str(net.objective_at)]
    while here:
        below = [p.pre for name in here for p in net.driving if p.post == name and p.pre not in found]
        found |= dict.fromkeys(below, found[here[0]] + 1)
        here = list(dict.fromkeys(below))
    return found
