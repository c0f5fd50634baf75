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

BOTTOM_UP, TOP_DOWN, LATERAL = "bottom_up", "top_down", "lateral"


@dataclass(frozen=True)
class Projection:
    """Connections from population ``pre`` to population ``post``.

    Parameters
    ----------
    kind : {"bottom_up", "top_down", "lateral"}
        A bottom-up projection drives its post population; a top-down one brings it credit; a lateral
        one, from a population to itself, is subtracted from its drive.
    pre, post : str
        Names of the populations it comes from and goes to.
    connector : Connector
        What connects to what, and the initial weights. Of a top-down projection: that of the
        bottom-up projection it is paired with, in the other direction, else `Dense`.
    feedback : Feedback or None
        Top-down only: where its weights come from.
    plasticity : rule or None
        How its weights change; None where they do not.
    regularisers : tuple of regularisers
        What else acts on its weights.
    by_word : tuple of regularisers
        Those of them that `Network.with_rule` added, which the next call of it removes.
    """

    kind: str
    pre: str
    post: str
    connector: Connector
    feedback: Feedback | None = None
    plasticity: Any = None
    regularisers: tuple[Any, ...] = ()
    by_word: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """``pre->post``; also names the projection's random stream."""
        return f"{self.pre}->{self.post}"

    @property
    def reverse_name(self) -> str:
        """Name of the projection in the other direction between the same populations."""
        return f"{self.post}->{self.pre}"

    @property
    def is_top_down(self) -> bool:
        """Whether it carries credit."""
        return self.kind == TOP_DOWN

    @property
    def is_lateral(self) -> bool:
        """Whether it connects a population to itself."""
        return self.kind == LATERAL

    @cached_property
    def rule(self) -> DeclaredRule:
        """What its plasticity declares; all no where it has none."""
        return rule_of(self.plasticity)

    @cached_property
    def source(self) -> DeclaredFeedback:
        """What its feedback declares; all no where it has none."""
        return feedback_of(self.feedback)

    @cached_property
    def acting(self) -> tuple[DeclaredRegulariser, ...]:
        """What its regularisers declare."""
        return tuple(regulariser_of(one) for one in self.regularisers)

    @property
    def declared(self) -> tuple[DeclaredRule | DeclaredFeedback | DeclaredRegulariser, ...]:
        """What all of its parts declare: rule, feedback, regularisers."""
        return (self.rule, self.source, *self.acting)
