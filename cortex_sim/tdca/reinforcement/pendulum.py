"""Pendulum swing-up, as gymnasium's Pendulum-v1, with three torques to choose from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Generator, Tensor

from cortex_sim.tdca.reinforcement.environment import Physics, Range

_GRAVITY, _DT, _FASTEST, _TORQUE = 10.0, 0.05, 8.0, 2.0


class Pendulum:
    """Swing a pendulum up and hold it; the reward is minus a cost of angle, speed and torque.

    The torque is −2, 0 or 2 (gymnasium's is continuous). Mass and length vary. An episode of 200 steps is
    solved if the pendulum is within π/3 of upright in its last 100 steps, as in Packer et al. 2018.
    """

    observations: ClassVar[int] = 3
    actions: ClassVar[int] = 3
    cap: ClassVar[int] = 200
    worth: ClassVar[float] = 1000.0
    ranges: ClassVar[Mapping[str, Range]] = {
        name: Range(1.0, (0.75, 1.25), (0.5, 1.5)) for name in ("length", "mass")
    }

    def begin(self, physics: Physics, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Angle uniform in ±π, angular speed in ±1."""
        u = 2 * torch.rand((2, *shape), generator=generator, dtype=physics["mass"].dtype) - 1
        return torch.stack((math.pi * u[0], u[1]))

    def step(
        self, state: Tensor, action: Tensor, physics: Physics, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step of 0.05 s."""
        angle, turn = state.unbind(0)
        torque = _TORQUE * (action - 1).to(state.dtype)
        from_top = torch.remainder(angle + math.pi, 2 * math.pi) - math.pi
        cost = from_top.square() + 0.1 * turn.square() + 0.001 * torque.square()
        length = physics["length"]
        pull = 3 * _GRAVITY / (2 * length) * angle.sin() + 3.0 / (physics["mass"] * length**2) * torque
        turn = (turn + pull * _DT).clamp(-_FASTEST, _FASTEST)
        state = torch.stack((angle + turn * _DT, turn))
        return state, -cost, torch.zeros_like(angle, dtype=torch.bool)

    def observe(self, state: Tensor, physics: Physics) -> Tensor:
        """Cosine and sine of the angle, angular speed."""
        angle, turn = state.unbind(0)
        return torch.stack((angle.cos(), angle.sin(), turn), -1)

    def scaled(self, observation: Tensor) -> Tensor:
        """Angular speed divided by 4."""
        return observation * observation.new_tensor((1.0, 1.0, 0.25))

    def solved(self, lengths: Tensor, ended: Tensor, rewards: Tensor, seen: Tensor) -> Tensor:
        """Within π/3 of upright in the last 100 steps."""
        return (seen[-100:, ..., 0] >= 0.5).all(0)
