"""What reaches the top of a policy at each step of an episode: action, outcome, end, observation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from cortex_sim.arrays import Array, array_namespace
from cortex_sim.checks import look_up, require_count, require_flag
from cortex_sim.credit.context import Parameters, TopSignals
from cortex_sim.registry import register

OUTCOME, WEIGHT, REWARD, END, OBSERVATION = range(5)  # columns after the actions'; the observation is last


def packed(actions: Array, *columns: Array) -> Array:
    """The goal of a presentation: actions one-hot (…, action), then columns (…, 1), then the observation."""
    return array_namespace(actions).concat([actions, *columns], axis=-1)


def column(goal: Array, outputs: int, which: int) -> Array:
    """One column after the actions', (…, 1)."""
    return goal[..., outputs + which : outputs + which + 1]


def choice(rates: Array, goal: Array) -> Array:
    """A − π: the action taken, one-hot, minus its probability; 0 where no action was taken."""
    xp = array_namespace(rates)
    chosen = goal[..., : rates.shape[-1]]
    odds = xp.exp(rates - xp.max(rates, axis=-1, keepdims=True))
    taken = xp.sum(chosen, axis=-1, keepdims=True)
    return chosen - taken * odds / xp.sum(odds, axis=-1, keepdims=True)


@register("context", "actions")
@dataclass(frozen=True)
class ActionContext:
    """What a credit network reads of an action: a − π, what came of it, and the end of its episode.

    What is broadcast before training is the outcome times a − π, REINFORCE's credit of the top (Williams
    1992, doi:10.1007/BF00992696). The end is a trace, exp(−steps left/8) where the episode ended before its
    cap, so that credit may depend on how near the end an action was.

    Parameters
    ----------
    outcome : {"advantage", "reward"}
        The return from the action on minus its running baseline, over its running deviation; or the
        reward of the step alone.
    observation : int, default 0
        Values of the observation that it reads; 0 for none.
    shuffled : bool, default False
        A control: it reads the observations of other steps, in a fixed random order.
    """

    outcome: str = "advantage"
    observation: int = 0
    shuffled: bool = False
    parameters: ClassVar[Mapping[str, tuple[int, ...]]] = {}
    reads_error: ClassVar[bool] = False

    def __post_init__(self) -> None:
        look_up("outcome of ActionContext", self.outcome, {"advantage": None, "reward": None})
        require_count(self, minimum=0, observation=self.observation)
        require_flag(self, shuffled=self.shuffled)

    def draw(self) -> dict[str, np.ndarray]:
        """Nothing to draw."""
        return {}

    def trained(self, parameters: Mapping[str, np.ndarray]) -> ActionContext:
        """The context itself: it has no parameters."""
        return self

    def signals(self, outputs: int) -> dict[str, int]:
        """Action, outcome and end, and the observation where it is read."""
        found = {"action": outputs, "outcome": 1, "end": 1}
        return {**found, "observation": self.observation} if self.observation else found

    def _outcome(self, received: TopSignals) -> Array:
        which = OUTCOME if self.outcome == "advantage" else REWARD
        return column(received.goal, received.rates.shape[-1], which)

    def seen(self, received: TopSignals) -> dict[str, Array]:
        """Those signals."""
        outputs = received.rates.shape[-1]
        found = {
            "action": choice(received.rates, received.goal),
            "outcome": self._outcome(received),
            "end": column(received.goal, outputs, END),
        }
        if self.observation:
            read = received.goal[..., outputs + OBSERVATION :]
            order = np.random.default_rng(0).permutation(read.shape[-2]) if self.shuffled else slice(None)
            found["observation"] = read[..., order, :]
        return found

    def base(self, parameters: Parameters, received: TopSignals) -> Array:
        """Outcome times a − π, in proportion to the weight of the step."""
        outputs = received.rates.shape[-1]
        weight: Any = column(received.goal, outputs, WEIGHT)
        return weight * self._outcome(received) * choice(received.rates, received.goal)
