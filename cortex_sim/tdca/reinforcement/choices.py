"""Three choice tasks from neuroscience, in which hidden credit matters: one decision ends a trial.

The policies are chains, without recurrence: the memory that a task needs is a trace in its observation, as a
population upstream would hold it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Generator, Tensor

from cortex_sim.tdca.reinforcement.environment import Physics, Range

_STIMULI, _FEATURES = 6, 8
_CONTEXTS = 4
_RULES, _VALUES = 3, 3


class _Choice:
    """One decision, reward 1 if it is right and −1 otherwise; the answer is the state's last variable."""

    actions: ClassVar[int] = 2
    cap: ClassVar[int] = 1
    worth: ClassVar[float] = 1.0

    def step(
        self, state: Tensor, action: Tensor, physics: Physics, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Reward or punish the decision."""
        right = (action == state[-1]).to(state.dtype)
        return state, 2 * right - 1, torch.ones_like(right, dtype=torch.bool)

    def observe(self, state: Tensor, physics: Physics) -> Tensor:
        """All but the answer."""
        return state[:-1].movedim(0, -1)

    def scaled(self, observation: Tensor) -> Tensor:
        """Observations, unchanged."""
        return observation

    def solved(self, lengths: Tensor, ended: Tensor, rewards: Tensor, seen: Tensor) -> Tensor:
        """The decision was right."""
        return rewards.sum(0) > 0


class MatchToSample(_Choice):
    """Delayed match-to-sample: report whether the test stimulus equals the sample, which is gone.

    Six stimuli, patterns of eight features ±1. The sample is seen as a trace that has decayed by
    exp(−delay/10), to no less than 0.37 of its size; both stimuli carry noise. Half of the trials match.
    Delay and noise vary. A linear readout of the observation is at chance.
    """

    observations: ClassVar[int] = 2 * _FEATURES
    ranges: ClassVar[Mapping[str, Range]] = {
        "delay": Range(3.0, (1.0, 6.0), (0.0, 10.0)),
        "noise": Range(0.2, (0.1, 0.3), (0.0, 0.5)),
    }

    def begin(self, physics: Physics, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Decayed sample, test and answer."""
        dtype = physics["noise"].dtype
        patterns = _patterns(dtype)
        sample = torch.randint(_STIMULI, shape, generator=generator)
        other = (sample + torch.randint(1, _STIMULI, shape, generator=generator)) % _STIMULI
        match = torch.randint(2, shape, generator=generator)
        test = torch.where(match == 1, sample, other)
        trace = torch.exp(-physics["delay"] / 10).expand(shape)[..., None]
        seen = torch.cat((trace * patterns[sample], patterns[test]), -1)
        noise = torch.randn(seen.shape, generator=generator, dtype=dtype)
        seen = seen + physics["noise"].expand(shape)[..., None] * noise
        return torch.cat((seen.movedim(-1, 0), match[None].to(dtype)))


def _patterns(dtype: torch.dtype) -> Tensor:
    """Orthogonal patterns: rows 2 to 7 of an 8 × 8 Hadamard matrix."""
    rows = torch.ones(1, 1, dtype=dtype)
    for _ in range(3):
        rows = torch.cat((torch.cat((rows, rows), 1), torch.cat((rows, -rows), 1)))
    return rows[1 : 1 + _STIMULI]


class ContextChoice(_Choice):
    """Context-dependent choice: of four evidence signals, report the sign of the one that a cue names.

    Each signal is a strength of either sign plus noise, the cue is one-hot (after Mante et al. 2013,
    doi:10.1038/nature12742, who had two signals). Strength and noise vary. Without the product of cue and
    evidence, decisions are right in about two of three trials.
    """

    observations: ClassVar[int] = 2 * _CONTEXTS
    ranges: ClassVar[Mapping[str, Range]] = {
        "noise": Range(0.3, (0.1, 0.5), (0.0, 0.8)),
        "strength": Range(1.0, (0.75, 1.25), (0.5, 1.5)),
    }

    def begin(self, physics: Physics, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Evidence, cue and answer."""
        dtype = physics["noise"].dtype
        signs = 2 * torch.randint(2, (*shape, _CONTEXTS), generator=generator) - 1
        cue = torch.randint(_CONTEXTS, shape, generator=generator)
        answer = signs.gather(-1, cue[..., None]).movedim(-1, 0) > 0
        noise = torch.randn(signs.shape, generator=generator, dtype=dtype)
        strength, width = (physics[name].expand(shape)[..., None] for name in ("strength", "noise"))
        evidence = strength * signs + width * noise
        one_hot = torch.nn.functional.one_hot(cue, _CONTEXTS).to(dtype)
        return torch.cat((torch.cat((evidence, one_hot), -1).movedim(-1, 0), answer.to(dtype)))


class CardSorting(_Choice):
    """Card sorting by a cued rule: of three features, report the value of the one that the cue names.

    A card has three features of three values, each one-hot with noise, and the cue is one-hot (after the
    sorting by colour, form or number of Milner 1963, Arch. Neurol. 9:90; there the rule must be inferred,
    here it is cued). With three actions, a wrong answer does not reveal the right one. Strength and noise
    vary. Without the product of cue and features, decisions are right in less than two of three trials.
    """

    observations: ClassVar[int] = _RULES * _VALUES + _RULES
    actions: ClassVar[int] = _VALUES
    ranges: ClassVar[Mapping[str, Range]] = {
        "noise": Range(0.2, (0.1, 0.3), (0.0, 0.5)),
        "strength": Range(1.0, (0.75, 1.25), (0.5, 1.5)),
    }

    def begin(self, physics: Physics, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Features, cue and answer."""
        dtype = physics["noise"].dtype
        values = torch.randint(_VALUES, (*shape, _RULES), generator=generator)
        cue = torch.randint(_RULES, shape, generator=generator)
        answer = values.gather(-1, cue[..., None]).movedim(-1, 0)
        one_hot = torch.nn.functional.one_hot
        strength, width = (physics[name].expand(shape)[..., None] for name in ("strength", "noise"))
        features = strength * one_hot(values, _VALUES).to(dtype).flatten(-2)
        noise = torch.randn(features.shape, generator=generator, dtype=dtype)
        seen = torch.cat((features + width * noise, one_hot(cue, _RULES).to(dtype)), -1)
        return torch.cat((seen.movedim(-1, 0), answer.to(dtype)))
