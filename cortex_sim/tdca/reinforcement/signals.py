"""Signals that reach the top of a policy at each step of an episode: action, outcome, end, observation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from cortex_sim.arrays import Array, array_namespace
from cortex_sim.checks import require_count, require_flag, require_known
from cortex_sim.credit.context import Parameters, TopSignals
from cortex_sim.credit.network import through
from cortex_sim.errors import DeclarationError
from cortex_sim.registry import register

#: Columns after those of actions; outcomes at other horizons follow, then the observation.
OUTCOME, WEIGHT, REWARD, END, OTHERS = range(5)


def packed(actions: Array, *columns: Array) -> Array:
    """The goal of a presentation: actions one-hot (…, action), then columns (…, 1), then the observation."""
    return array_namespace(actions).concat([actions, *columns], axis=-1)


def column(goal: Array, outputs: int, which: int) -> Array:
    """One column after the actions', (…, 1)."""
    return goal[..., outputs + which : outputs + which + 1]


def choice(rates: Array, goal: Array) -> Array:
    """The action taken, one-hot, minus probabilities: a − π; 0 where no action was taken."""
    xp = array_namespace(rates)
    chosen = goal[..., : rates.shape[-1]]
    odds = xp.exp(rates - xp.max(rates, axis=-1, keepdims=True))
    taken = xp.sum(chosen, axis=-1, keepdims=True)
    return chosen - taken * odds / xp.sum(odds, axis=-1, keepdims=True)


@register("context", "actions")
@dataclass(frozen=True)
class ActionContext:
    """Signals about an action that a credit network reads: a − π, the outcome, and the end of the episode.

    Before training, the broadcast signal is the outcome times a − π, REINFORCE's credit of the top (Williams
    1992, doi:10.1007/BF00992696). The end is a trace, exp(−steps left/8) if the episode ended before its
    cap, so that credit may depend on how near the end an action was.

    Parameters
    ----------
    outcome : {"advantage", "reward"}
        The return from the action on minus its running baseline, divided by its running deviation; or the
        reward of the step alone.
    observation : int, default 0
        Number of values of the observation, which it then reads; 0 for none.
    horizons : sequence of float, default ()
        Other discounts, in [0, 1). The return at each is read too, minus its own running baseline and divided
        by its own running deviation. The outcome broadcast is then a trained mixture, at first that of the
        policy's discount alone (dopamine neurons differ in discount: Masset et al. 2023,
        doi:10.1101/2023.11.12.566754).
    shuffled : bool, default False
        A control: it reads the observations of other steps, in a fixed random order.
    """

    outcome: str = "advantage"
    observation: int = 0
    horizons: tuple[float, ...] = ()
    shuffled: bool = False
    reads_error: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require_known("outcome of ActionContext", self.outcome, {"advantage": None, "reward": None})
        require_count(self, minimum=0, observation=self.observation)
        require_flag(self, shuffled=self.shuffled)
        object.__setattr__(self, "horizons", _horizons(self.horizons))
        if self.horizons and self.outcome != "advantage":
            raise DeclarationError(
                "ActionContext: horizons discount returns, but outcome is 'reward'; give outcome "
                "'advantage', or leave out horizons"
            )

    @property
    def parameters(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of the mixture of outcomes, if there are several."""
        return {"mixture": (1, 1 + len(self.horizons))} if self.horizons else {}

    def draw(self) -> dict[str, np.ndarray]:
        """Mixture before training: the outcome at the policy's discount alone."""
        return {name: np.eye(1, shape[1]) for name, shape in self.parameters.items()}

    def trained(self, parameters: Mapping[str, np.ndarray]) -> ActionContext:
        """The context itself: its mixture is kept with the credit network's parameters."""
        return self

    def signals(self, outputs: int) -> dict[str, int]:
        """Number of values of each signal: action, outcome, end, and the observation if it is read."""
        found = {"action": outputs, "outcome": 1, "end": 1} | dict.fromkeys(self._others(), 1)
        return {**found, "observation": self.observation} if self.observation else found

    def _others(self) -> list[str]:
        """Names of the outcomes at other horizons."""
        return [f"outcome_{discount:g}" for discount in self.horizons]

    def _outcome(self, received: TopSignals) -> Array:
        """Outcomes (…, 1 + horizon)."""
        outputs = received.rates.shape[-1]
        which = OUTCOME if self.outcome == "advantage" else REWARD
        found = column(received.goal, outputs, which)
        if not self.horizons:
            return found
        first = outputs + OTHERS
        others = received.goal[..., first : first + len(self.horizons)]
        return array_namespace(found).concat([found, others], axis=-1)

    def seen(self, received: TopSignals) -> dict[str, Array]:
        """The signals that `signals` names, each (…, value)."""
        outputs = received.rates.shape[-1]
        outcome = self._outcome(received)
        found = {
            "action": choice(received.rates, received.goal),
            "outcome": outcome[..., :1],
            "end": column(received.goal, outputs, END),
        }
        found |= {name: outcome[..., i : i + 1] for i, name in enumerate(self._others(), 1)}
        if self.observation:
            read = received.goal[..., outputs + OTHERS + len(self.horizons) :]
            order = np.random.default_rng(0).permutation(read.shape[-2]) if self.shuffled else slice(None)
            found["observation"] = read[..., order, :]
        return found

    def base(self, parameters: Parameters, received: TopSignals) -> Array:
        """Outcome times a − π, times the weight of the step."""
        outputs = received.rates.shape[-1]
        weight: Any = column(received.goal, outputs, WEIGHT)
        outcome: Any = self._outcome(received)
        if self.horizons:
            outcome = through(parameters["mixture"], outcome)
        return weight * outcome * choice(received.rates, received.goal)


def _horizons(given: Any) -> tuple[float, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise DeclarationError(f"ActionContext: horizons must be a list of discounts. Got {given!r}")
    for value in given:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
            raise DeclarationError(
                f"ActionContext: horizons must be discounts, at least 0 and below 1. Got {value!r}"
            )
    if len(set(given)) < len(given):
        raise DeclarationError(f"ActionContext: horizons must differ. Got {given!r}")
    return tuple(float(value) for value in given)
