"""What a phase of a protocol does to a credit network, the same on every backend."""

from __future__ import annotations

from cortex_sim.credit.teacher import Teacher
from cortex_sim.protocol.plan import Goal, PhasePlan


def goal_at_top(teacher: Teacher, phase: PhasePlan) -> Goal | None:
    """The goal that the credit network receives; None where the top is not nudged, or with strength 0."""
    goal = phase.nudge.get(teacher.top)
    return goal if goal is not None and goal.strength else None


def delivered_strength(teacher: Teacher, phase: PhasePlan) -> float:
    """Factor on all credit that the network delivers: the nudge's strength.

    Without a nudge it is 1 in a phase that drives a credit population, and 0 in any other.
    """
    goal = goal_at_top(teacher, phase)
    if goal is not None:
        return goal.strength
    return float(any(name in phase.drive for name in teacher.populations))
