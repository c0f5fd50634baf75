"""Time of a CartPole step, ours against gymnasium's ``CartPoleVectorEnv``, on one thread.

python benchmarks/reinforcement_speed.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv

from cortex_sim.tdca.reinforcement.cartpole import CartPole
from cortex_sim.tdca.reinforcement.environment import drawn

COUNTS = (128, 1024, 16384)
_STEPS, _ROUNDS = 100, 9


def timed(step: Callable[[], None]) -> float:
    """CPU microseconds of a call."""
    start = time.process_time()
    for _ in range(_STEPS):
        step()
    return 1e6 * (time.process_time() - start) / _STEPS


def ours(count: int) -> Callable[[], None]:
    """A step of our environment, each episode with its own physical parameters."""
    env, generator = CartPole(), torch.Generator().manual_seed(0)
    physics = drawn(env, "R", (count,), generator)
    state = env.begin(physics, (count,), generator)
    action = torch.randint(2, (count,), generator=generator)

    def step() -> None:
        after, _, ended = env.step(state, action, physics)
        torch.where(ended, state, after)

    return step


def gymnasiums(count: int) -> Callable[[], None]:
    """A step of gymnasium's environment."""
    env = CartPoleVectorEnv(count)
    env.reset(seed=0)
    action = np.random.default_rng(0).integers(2, size=count)

    def step() -> None:
        env.step(action)

    return step


def main() -> None:
    """Print the medians of interleaved rounds."""
    torch.set_num_threads(1)
    for count in COUNTS:
        pair = ours(count), gymnasiums(count)
        rounds = [[timed(step) for step in pair] for _ in range(_ROUNDS)]
        mine, theirs = (statistics.median(times) for times in zip(*rounds, strict=True))
        print(
            f"{count:6} episodes: {mine:7.0f} µs a step, "
            f"gymnasium {theirs:7.0f} µs, ratio {mine / theirs:.2f}"
        )


if __name__ == "__main__":
    main()
