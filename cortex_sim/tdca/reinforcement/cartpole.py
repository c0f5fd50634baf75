"""CartPole, as gymnasium's CartPole-v1 (Barto, Sutton and Anderson 1983, doi:10.1109/TSMC.1983.6313077)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Generator, Tensor

from cortex_sim.tdca.reinforcement.environment import Physics, Range

_GRAVITY, _CART, _TAU = 9.8, 1.0, 0.02
_EDGE, _TILT = 2.4, 12 * 2 * math.pi / 360
_SCALE = torch.tensor((1 / 1.2, 1.0, 10.0, 1.0), dtype=torch.float64)


class CartPole:
    """Keep a pole upright by pushing its cart left or right; reward 1 for each step.

    The force, and the pole's length and mass, vary. A step is an Euler step of 0.02 s. Episodes end after
    200 steps, and are solved if they last 195, as in Packer et al. 2018.
    """

    observations: ClassVar[int] = 4
    actions: ClassVar[int] = 2
    cap: ClassVar[int] = 200
    worth: ClassVar[float] = 100.0
    ranges: ClassVar[Mapping[str, Range]] = {
        "force": Range(10.0, (5.0, 15.0), (1.0, 20.0)),
        "length": Range(0.5, (0.25, 0.75), (0.05, 1.0)),
        "mass": Range(0.1, (0.05, 0.5), (0.01, 1.0)),
    }

    def begin(self, physics: Physics, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """All four variables uniform in ±0.05."""
        dtype = physics["force"].dtype
        return 0.1 * torch.rand((4, *shape), generator=generator, dtype=dtype) - 0.05

    def step(
        self, state: Tensor, action: Tensor, physics: Physics, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step of 0.02 s."""
        x, v, angle, turn = state.unbind(0)
        mass, length = physics["mass"], physics["length"]
        total, moment = mass + _CART, mass * length
        push = physics["force"] * (2 * action - 1)
        cos, sin = angle.cos(), angle.sin()
        inner = (push + moment * turn.square() * sin) / total
        bend = (_GRAVITY * sin - cos * inner) / (length * (4.0 / 3.0 - mass * cos.square() / total))
        gain = inner - moment * bend * cos / total
        state = torch.add(state, torch.stack((v, gain, turn, bend)), alpha=_TAU)
        ended = (state[0].abs() > _EDGE) | (state[2].abs() > _TILT)
        return state, torch.ones_like(x), ended

    def observe(self, state: Tensor, physics: Physics) -> Tensor:
        """Position, velocity, angle, angular velocity."""
        return state.movedim(0, -1)

    def scaled(self, observation: Tensor) -> Tensor:
        """Divided by 1.2, 1, 0.1, 1."""
        return observation * _SCALE.to(observation.dtype)

    def solved(self, lengths: Tensor, ended: Tensor, rewards: Tensor, seen: Tensor) -> Tensor:
        """At least 195 steps."""
        return lengths >= 195
