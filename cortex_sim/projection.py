"""Projection: connections from one population to another, with their plasticity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cortex_sim.capabilities import (
    DeclaredFeedback,
    DeclaredRegulariser,
    DeclaredRule,
    feedback_of,
    regulariser_of,
    rule_of,
)
from cortex_sim.connectors import Connector
from cortex_sim.feedback import Feedback
from cortex_sim.registry import make, make_all

BOTTOM_UP, TOP_DOWN, LATERAL = "bottom_up", "top_down", "lateral"
RECURRENT, GAIN = "recurrent", "gain"

# Suffixes of names, so that two populations can be connected in several ways.
_SAID = {RECURRENT: " recurrent", GAIN: " gain"}


@dataclass(frozen=True)
class Projection:
    """Connections from population ``pre`` to population ``post``.

    Parameters
    ----------
    kind : {"bottom_up", "top_down", "lateral", "recurrent", "gain"}
        A bottom-up projection drives its post population; a top-down one brings it credit; a lateral
        one, from a population to itself, is subtracted from its drive. A recurrent one drives like a
        bottom-up one and may close a loop; a gain projection multiplies the rates.
    pre, post : str
        Names of the populations it comes from and goes to.
    connector : Connector
        What connects to what, and the initial weights. For a top-down projection: the connector of its
        paired bottom-up projection, in the other direction, or `Dense` if there is none.
    feedback : Feedback or None
        Top-down only: where its weights come from.
    plasticity : rule or None
        How its weights change; None if they do not.
    regularisers : tuple of regularisers
        What else acts on its weights.
    by_word : tuple of regularisers
        The regularisers that `Network.with_rule` added, and removes when called again.
    paired_with : {"bottom_up", "recurrent"}
        Top-down only: the kind of projection that it is paired with.
    constraints : tuple of constraints
        What its weights satisfy at every step.
    reads : Decorrelated or None
        Bottom-up only: how pre rates are transformed for plasticity; None: not at all.
    reads_by_word : bool
        Whether `Network.with_rule` set ``reads``, and removes it when called again.
    """

    kind: str
    pre: str
    post: str
    connector: Connector
    feedback: Feedback | None = None
    plasticity: Any = None
    regularisers: tuple[Any, ...] = ()
    by_word: tuple[Any, ...] = ()
    paired_with: str = BOTTOM_UP
    constraints: tuple[Any, ...] = ()
    reads: Any = None
    reads_by_word: bool = False

    @property
    def name(self) -> str:
        """``pre->post``, or with a suffix ``pre->post recurrent``; also names its random stream."""
        along = " credit" if self.paired_with == RECURRENT else _SAID.get(self.kind, "")
        return f"{self.pre}->{self.post}{along}"

    @property
    def reverse_name(self) -> str:
        """Name of its paired projection in the other direction (one carries rates, the other credit)."""
        along = _SAID[RECURRENT] if self.paired_with == RECURRENT else " credit" if self.is_recurrent else ""
        return f"{self.post}->{self.pre}{along}"

    @property
    def is_top_down(self) -> bool:
        """Whether it carries credit."""
        return self.kind == TOP_DOWN

    @property
    def is_lateral(self) -> bool:
        """Whether it connects a population to itself."""
        return self.kind == LATERAL

    @property
    def is_recurrent(self) -> bool:
        """Whether it drives its post population and may close a loop."""
        return self.kind == RECURRENT

    @property
    def is_gain(self) -> bool:
        """Whether it multiplies the rates of its post population."""
        return self.kind == GAIN

    @property
    def drives(self) -> bool:
        """Whether its signal is added to the drive: it is bottom-up or recurrent."""
        return self.kind in (BOTTOM_UP, RECURRENT)

    @cached_property
    def rule(self) -> DeclaredRule:
        """What its plasticity declares; every flag is False if it has none."""
        return rule_of(self.plasticity)

    @cached_property
    def source(self) -> DeclaredFeedback:
        """What its feedback declares; every flag is False if it has none."""
        return feedback_of(self.feedback)

    @cached_property
    def acting(self) -> tuple[DeclaredRegulariser, ...]:
        """What its regularisers declare."""
        return tuple(regulariser_of(one) for one in self.regularisers)

    @property
    def declared(self) -> tuple[DeclaredRule | DeclaredFeedback | DeclaredRegulariser, ...]:
        """What its rule, feedback and regularisers declare."""
        return (self.rule, self.source, *self.acting)


def called(pre: str, post: str) -> str:
    """What messages call a projection that is being declared."""
    return f"projection {pre}->{post}"


def acting(pre: str, post: str, plasticity: Any, regulariser: Any, constraint: Any) -> dict[str, Any]:
    """Rule, regularisers and constraints of a projection, made from a declaration's arguments."""
    owner = called(pre, post)
    return {
        "plasticity": None if plasticity is None else make("rule", plasticity, owner),
        "regularisers": make_all("regulariser", regulariser, owner),
        "constraints": make_all("constraint", constraint, owner),
    }
