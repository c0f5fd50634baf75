"""Projections that carry activity but no credit: where supervised rules miss part of the gradient.

Lateral and gain projections act on rates only. Credit treats their effect as constant, so weights upstream of
them receive no credit for effects that pass through them. If nothing upstream learns from credit, for
instance where a source sets the gain, nothing is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cortex_sim.checks import listed
from cortex_sim.loops import reached

if TYPE_CHECKING:
    from cortex_sim.network import Network
    from cortex_sim.projection import Projection


def uncredited(net: Network) -> list[Projection]:
    """Lateral and gain projections between the objective and weights that learn from credit."""
    if net.objective_at is None:
        return []
    ahead = {name: {name} | reached(name, net.of_rates) for name in net.populations}
    learned = {name for p in net.driving if p.rule.supervised for name in ahead[p.post]}
    between = (*net.laterals, *net.gains)
    return [p for p in between if p.pre in learned and net.objective_at in ahead[p.post]]


def uncredited_remarks(net: Network) -> list[str]:
    """One remark about these projections, or none."""
    found = uncredited(net)
    if not found:
        return []
    rules = listed({type(p.plasticity).__name__ for p in net.driving if p.rule.supervised})
    names = listed(p.name if p.is_gain else f"{p.name} (lateral)" for p in found)
    return [
        f"network {net.name}: no credit passes through {names}, so upstream weights that learn by {rules} "
        "miss part of the gradient; recurrent projections carry credit, and with negative weights can "
        "replace lateral ones"
    ]
