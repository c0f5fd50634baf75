"""A rule with ``change`` only, at equilibrium: one step per phase, since a phase has no time course."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cortex_sim.capabilities import rule_of
from cortex_sim.rules.in_time import State, initial_state


class ByPresentation:
    """A rule's ``change`` for one projection; its state advances by presentations, not by ms.

    Parameters
    ----------
    rule : rule
        An unsupervised rule with ``change`` and without ``growth``.

    Attributes
    ----------
    reads : frozenset of str
        The signals that its ``change`` reads.
    kinds : mapping of str to PerPost, PerPre, PerSynapse or Global
        The rule's state variables.
    """

    def __init__(self, rule: Any) -> None:
        declared = rule_of(rule)
        self.rule, self.kinds = rule, declared.state
        self._pre = "u_pre" if declared.reads_credit else "r_pre"
        self.reads = frozenset({self._pre, "r_post"})

    def initial_state(self, shape: tuple[int, int]) -> State:
        """State at the start, float64, for weights of ``shape`` (post, pre)."""
        return initial_state(self.kinds, shape)

    def __call__(
        self, w: np.ndarray, state: Mapping[str, np.ndarray], **signals: np.ndarray
    ) -> tuple[np.ndarray, State]:
        """Δw/η (post, pre), and what these presentations add to each state variable."""
        sides = signals[self._pre], signals["r_post"]
        if not self.kinds:
            return self.rule.change(w, *sides), {}
        change, new = self.rule.change(w, *sides, dict(state))
        return change, {name: np.asarray(new[name]) - state[name] for name in new}
