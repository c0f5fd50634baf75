"""Returns of policies that learn under a rule in settings D, R and E, with controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from cortex_sim.credit import TopSignals
from cortex_sim.tdca.evolving.kinds import Report
from cortex_sim.tdca.inner.altered import Altered
from cortex_sim.tdca.inner.cohort import layout
from cortex_sim.tdca.reinforcement.episodes import Episodes, rollout
from cortex_sim.tdca.reinforcement.persistent import Learning
from cortex_sim.tdca.reinforcement.signals import packed

if TYPE_CHECKING:
    from cortex_sim.tdca.reinforcement.settings import ReinforcementSettings

Row = dict[str, list[float]]


@torch.no_grad()
def learned(
    settings: ReinforcementSettings, rule: Any, phi: Tensor, seed: int
) -> tuple[Learning, dict[str, Row]]:
    """Run the inner runs of the test settings to their end; returns them, and their returns by setting.

    Worlds, initial weights and random numbers depend on ``seed`` alone: they are the same under every rule.
    """
    tests, practice = settings.tests(), settings.practised()
    letters = "".join(tests.settings)
    learning = settings.learning(rule, tests.inner_runs * len(letters))
    generator = torch.Generator().manual_seed(1_000_003 + seed)
    count = learning.cohort.count
    every = torch.ones(count, dtype=torch.bool)
    learning.begin(every, letters, practice.scrambled, practice.updates, generator)
    parameters = layout(learning.cohort.rule, learning.cohort.step, learning.body).split(phi)
    returns, steps = [], torch.zeros(count)
    for _ in range(practice.updates):
        played = learning.play(generator)
        x, goal, _ = learning.judged(played)
        learning.cohort.advance(parameters, x, goal)
        returns.append(played.returns.mean(1))
        steps += played.lengths.sum(1)
    curve = torch.stack(returns)
    last = learning.play(generator, tests.after)
    found = {"mean": curve.mean(0), "steps": steps, **worth(learning.environment, last)}
    rows = {}
    for i, letter in enumerate(tests.settings):
        rows[letter] = {name: values[i :: len(letters)].tolist() for name, values in found.items()}
        rows[letter]["curve"] = curve[:, i :: len(letters)].mean(1).tolist()
    return learning, rows


def worth(environment: Any, played: Episodes) -> dict[str, Tensor]:
    """Mean return, and share of episodes solved, (run,)."""
    solved = environment.solved(played.lengths, played.ended, played.rewards, played.plain)
    return {"after": played.returns.mean(1), "solved": solved.float().mean(1)}


def controls_of(settings: ReinforcementSettings) -> dict[str, Any]:
    """Rules with disrupted credit, by control, for those controls that apply to the rule."""
    from cortex_sim.tdca.reinforcement.settings import network_of

    rule = settings.inner_rule()
    network = network_of(rule)
    found: dict[str, Any] = {}
    for how in settings.tests().controls:
        if how in ("silent", "units"):
            found[how] = Altered(rule, how)
        elif how == "observations" and network is not None and network.context.observation:
            found[how] = _shuffled(rule)
    return found


def _shuffled(rule: Any) -> Any:
    network = rule.credit_network
    return replace(rule, credit_network=replace(network, context=replace(network.context, shuffled=True)))


#: Ways to read a credit network as a policy: the outcome that it is shown, and the sign of its credit.
READINGS = tuple((outcome, sign) for outcome in (1.0, -1.0) for sign in (1.0, -1.0))


def read_as_policy(
    network: Any, parameters: dict[str, Tensor], outcome: float, sign: float, actions: int
) -> Callable[[Tensor], Tensor]:
    """A policy whose rates of actions (run, episode, action) are the credits from a credit network.

    The credit network is shown an observation, an outcome, and each action in turn, as if it had been drawn
    from equal probabilities; credits are averaged over the actions shown.
    """

    def top(seen: Tensor) -> Tensor:
        total: Any = 0.0
        one = seen.new_ones((*seen.shape[:-1], 1))
        for a in range(actions):
            taken = torch.zeros((*seen.shape[:-1], actions))
            taken[..., a] = 1.0
            others = [outcome * one] * len(network.context.horizons)
            goal = packed(taken, outcome * one, one, outcome * one, 0 * one, *others, seen)
            zero = torch.zeros_like(taken)
            total = total + network.credits(parameters, TopSignals(zero, goal, zero), [])[0]
        return sign * total / actions

    return top


@torch.no_grad()
def policies_read(
    settings: ReinforcementSettings, learning: Learning, phi: Tensor, seed: int
) -> dict[str, Row]:
    """Returns of the credit network read as a policy, by setting, in the way of reading that is best in R."""
    from cortex_sim.tdca.reinforcement.settings import network_of

    letters, tests = settings.tests().settings, settings.tests()
    parameters = layout(learning.cohort.rule, learning.cohort.step, learning.body).split(phi)
    network = network_of(settings.inner_rule())
    best: dict[str, Row] = {}
    score = -float("inf")
    chooses = letters.index("R") if "R" in letters else 0
    for outcome, sign in READINGS:
        generator = torch.Generator().manual_seed(2_000_003 + seed)
        top = read_as_policy(network, parameters, outcome, sign, learning.environment.actions)
        shape = (learning.cohort.count, tests.after)
        played = rollout(learning.environment, learning.world, top, shape, generator, greedy=True)
        found = worth(learning.environment, played)
        mean = float(found["after"][chooses :: len(letters)].mean())
        if mean > score:
            score = mean
            best = {
                letter: {name: v[i :: len(letters)].tolist() for name, v in found.items()}
                for i, letter in enumerate(letters)
            }
    return best


def outcome(settings: ReinforcementSettings, phi: Tensor, report: Report) -> dict[str, Any]:
    """Return over inner runs, return and share solved after them, by setting; controls as "D:silent"."""
    from cortex_sim.tdca.reinforcement.settings import network_of

    report("testing")
    learning, rows = learned(settings, settings.inner_rule(), phi, settings.seed)
    per_life: dict[str, Row] = dict(rows)
    for how, rule in controls_of(settings).items():
        report(f"testing {how}")
        disrupted = learned(settings, rule, phi, settings.seed)[1]
        per_life |= {f"{letter}:{how}": row for letter, row in disrupted.items()}
    if "policy" in settings.tests().controls and network_of(settings.inner_rule()) is not None:
        read = policies_read(settings, learning, phi, settings.seed)
        per_life |= {f"{letter}:policy": row for letter, row in read.items()}
    return {"return": {k: _summary(row) for k, row in per_life.items()}, "per_life": per_life, "missing": []}


def _summary(row: Row) -> dict[str, list[float]]:
    return {k: [float(np.mean(v)), float(np.std(v))] for k, v in row.items() if k != "curve"}
