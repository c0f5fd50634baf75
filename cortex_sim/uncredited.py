"""Projections that carry activity and no credit: where supervised rules miss a part of the gradient.

Lateral projections and those of gain act on rates alone. Credit that arrives at a population takes their
effect as given, so weights before them do not learn for what they change through them. If nothing before them
learns from credit, as where a source sets the gain, nothing is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cortex_sim.checks import listed
from cortex_sim.loops import reached

if TYPE_CHECKING:
    from cortex_sim.network import Network
    from cortex_sim.projection import Projection


def uncredited(net: Network) -> list[Projection]:
    """Lateral projections and those of gain between weights that learn from credit and the objective."""
    if net.objective_at is None:
        return []
    ahead = {name: {name} | reached(name, net.of_rates) for name in net.populations}
    learned = {name for p in net.driving if p.rule.supervised for name in ahead[p.post]}
    between = (*net.laterals, *net.gains)
    return [p for p in between if p.pre in learned and net.objective_at in ahead[p.post]]


def uncredited_remarks(net: Network) -> list[str]:
    """What to say about them: one sentence, or nothing."""
    found = uncredited(net)
    if not found:
        return []
    rules = listed({type(p.plasticity).__name__ for p in net.driving if p.rule.supervised})
    names = listed(p.name if p.is_gain else f"{p.name} (lateral)" for p in found)
    return [
        f"network {net.name}: no credit passes {names}, so what {rules} changes before it misses part of the "
        "gradient; a recurrent projection carries credit, with negative weights in place of a lateral one"
    ]
