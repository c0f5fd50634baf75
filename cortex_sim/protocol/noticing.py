"""Warnings about what a plan leaves out, before it runs: windows without credit, sources without drive."""

from __future__ import annotations

from collections.abc import Collection
from logging import getLogger

from cortex_sim.network import Network
from cortex_sim.protocol.plan import Plan
from cortex_sim.uncredited import uncredited_remarks

_log = getLogger(__name__)


def say_what_stays(plan: Plan, net: Network) -> None:
    """Log a warning where credit, or the input of a source, is missing throughout a plan."""
    say_what_learns_nothing(plan, net)
    say_what_rests(net, stated(plan))


def stated(plan: Plan) -> set[str]:
    """Populations that some phase drives, even with 0, silences, or makes spontaneously active."""
    phases = plan.different_phases()
    return {name for phase in phases for name in (*phase.drive, *phase.spontaneous, *phase.alive)}


def say_what_rests(net: Network, stated: Collection[str]) -> None:
    """Log a warning for each source that is not among those `stated`."""
    for name in (source for source in net.sources if source not in stated):
        _log.warning(
            "network %s: no phase drives source %s, so it is at rest throughout; give drive={%r: ...}, or "
            "drive={%r: 0} in a phase if that is intended",
            net.name,
            name,
            name,
            name,
        )


def say_what_learns_nothing(plan: Plan, net: Network) -> None:
    """Log a warning where credit that rules learn from never arrives, or does not reach every population."""
    phases = plan.different_phases()
    opened = {
        name: phase.name for phase in phases for name in phase.eta if net.projections[name].rule.supervised
    }
    nudged = any(goal.strength for phase in phases for goal in phase.nudge.values())
    nudged = nudged or any(phase.credit_drive for phase in phases)
    nudged = nudged or any(name in phase.drive for phase in phases for name in net.credit_populations)
    if opened and not nudged:
        name, phase = next(iter(opened.items()))
        _log.warning(
            "network %s: the window of %s opens in phase %s, but no phase nudges a population, so its "
            "credit is 0 and it learns nothing; give nudge={...}, or leave the window closed",
            net.name,
            name,
            phase,
        )
    if opened and nudged:
        for remark in uncredited_remarks(net):
            _log.warning("%s", remark)
