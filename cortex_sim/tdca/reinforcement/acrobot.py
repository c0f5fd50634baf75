"""Acrobot, as gymnasium's Acrobot-v1 (Sutton 1996; the equations of Sutton and Barto's book)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Generator, Tensor

from cortex_sim.tdca.reinforcement.environment import Physics, Range

_GRAVITY, _DT, _CENTRE = 9.8, 0.2, 0.5  # the centres of mass stay at 0.5 where lengths vary, as published
_FASTEST = (4 * math.pi, 9 * math.pi)


class Acrobot:
    """Swing the tip of two links above a line by torque at their joint; reward −1 for each step until then.

    Both links have the same mass, length and moment of inertia, which vary. A step is a fourth-order
    Runge–Kutta step of 0.2 s. Episodes end after 200 steps (gymnasium's after 500). An episode is solved if
    it ends within 90 steps, as in the code published with Packer et al. 2018 (the paper says 80).
    """

    observations: ClassVar[int] = 6
    actions: ClassVar[int] = 3
    cap: ClassVar[int] = 200
    worth: ClassVar[float] = 100.0
    ranges: ClassVar[Mapping[str, Range]] = {
        name: Range(1.0, (0.75, 1.25), (0.5, 1.5)) for name in ("inertia", "length", "mass")
    }

    def begin(self, physics: Physics, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Angles and angular speeds uniform in ±0.1."""
        dtype = physics["mass"].dtype
        return 0.2 * torch.rand((4, *shape), generator=generator, dtype=dtype) - 0.1

    def step(
        self, state: Tensor, action: Tensor, physics: Physics, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step of 0.2 s."""
        torque = (action - 1).to(state.dtype)
        k1 = self._slope(state, torque, physics)
        k2 = self._slope(state + 0.5 * _DT * k1, torque, physics)
        k3 = self._slope(state + 0.5 * _DT * k2, torque, physics)
        k4 = self._slope(state + _DT * k3, torque, physics)
        first, second, turn1, turn2 = (state + _DT / 6.0 * (k1 + 2 * k2 + 2 * k3 + k4)).unbind(0)
        state = torch.stack(
            (
                _wrapped(first),
                _wrapped(second),
                turn1.clamp(-_FASTEST[0], _FASTEST[0]),
                turn2.clamp(-_FASTEST[1], _FASTEST[1]),
            )
        )
        ended = -state[0].cos() - (state[0] + state[1]).cos() > 1.0
        return state, ended.to(state.dtype) - 1, ended

    def _slope(self, state: Tensor, torque: Tensor, physics: Physics) -> Tensor:
        first, second, turn1, turn2 = state.unbind(0)
        m, length, moi = physics["mass"], physics["length"], physics["inertia"]
        cos, sin = second.cos(), second.sin()
        joint = m * length * _CENTRE
        d2 = m * _CENTRE**2 + joint * cos + moi
        d1 = m * _CENTRE**2 + m * (length**2 + _CENTRE**2) + 2 * joint * cos + 2 * moi
        pull2 = m * _CENTRE * _GRAVITY * (first + second).sin()
        pull1 = (
            -joint * turn2 * sin * (turn2 + 2 * turn1)
            + (m * _CENTRE + m * length) * _GRAVITY * first.sin()
            + pull2
        )
        ratio = d2 / d1
        bend2 = (torque + ratio * pull1 - joint * turn1.square() * sin - pull2) / (
            m * _CENTRE**2 + moi - ratio * d2
        )
        return torch.stack((turn1, turn2, -(d2 * bend2 + pull1) / d1, bend2))

    def observe(self, state: Tensor, physics: Physics) -> Tensor:
        """Cosine and sine of both angles, angular speeds."""
        first, second, turn1, turn2 = state.unbind(0)
        return torch.stack((first.cos(), first.sin(), second.cos(), second.sin(), turn1, turn2), -1)

    def scaled(self, observation: Tensor) -> Tensor:
        """Angular speeds divided by 2 and 4."""
        return observation * observation.new_tensor((1.0, 1.0, 1.0, 1.0, 0.5, 0.25))

    def solved(self, lengths: Tensor, ended: Tensor, rewards: Tensor, seen: Tensor) -> Tensor:
        """The line is reached within 90 steps."""
        return ended & (lengths <= 90)


def _wrapped(angle: Tensor) -> Tensor:
    """Angle within ±π, after one turn at most: a step cannot turn further, as the speeds are bounded."""
    over = (angle > math.pi).to(angle.dtype) - (angle < -math.pi).to(angle.dtype)
    return angle - 2 * math.pi * over
