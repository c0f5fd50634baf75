"""What a plan does in vain, said before it runs: open windows that no credit reaches."""

from __future__ import annotations

from logging import getLogger

from cortex_sim.network import Network
from cortex_sim.protocol.plan import Plan

_log = getLogger(__name__)


def say_what_stays(plan: Plan, net: Network) -> None:
    """Log a warning where windows of rules that learn from credit open, but nothing is ever nudged."""
    phases = plan.different_phases()
    opened = {
        name: phase.name for phase in phases for name in phase.eta if net.projections[name].rule.supervised
    }
    nudged = any(goal.strength for phase in phases for goal in phase.nudge.values())
    if opened and not nudged:
        name, phase = next(iter(opened.items()))
        _log.warning(
            "network %s: the window of %s opens in phase %s, but no phase nudges a population, so its "
            "credit is 0 "
            "and it learns nothing; give nudge={...}, or leave the window closed",
            net.name,
            name,
            phase,
        )
