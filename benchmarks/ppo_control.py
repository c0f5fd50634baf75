"""Proximal policy optimisation, by stable-baselines3, under the conditions of benchmarks/reinforcement.py.

    pip install stable-baselines3
    python benchmarks/ppo_control.py cartpole                 # after benchmarks/reinforcement.py run cartpole

Each run learns in one world of D, R or E, for as many environment steps as the credit network's inner runs
took there, rounded up to whole updates of 256. Settings are those published for CartPole in RL Baselines3
Zoo (8 environments, 32 steps, batches of 256, 20 epochs, γ .98, λ .8, clip .2 falling to 0); the learning
rate, which also falls to 0, is the best of three in R, by the return over learning in worlds of other
seeds. Results go to ``benchmarks/results/reinforcement/NAME_ppo-SEED.json``; seeds that have one are not
run again. Stable-baselines3 is not a dependency of the package.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cortex_sim.tdca.evolving.reading import configured
from cortex_sim.tdca.reinforcement.environment import drawn
from cortex_sim.tdca.reinforcement.episodes import World, rollout
from cortex_sim.tdca.reinforcement.named import ENVIRONMENTS, environment
from cortex_sim.tdca.reinforcement.outcome import worth
from cortex_sim.tdca.studies.jobs import Folders

ROOT = Path(__file__).resolve().parents[1]
RATES = (3e-4, 1e-3, 3e-3)
SEEDS = (3, 4, 5)  # as benchmarks/reinforcement.py
_COUNT, _TUNING = 8, 2


def vector_environment(task: str, letter: str, seed: int) -> Any:
    """Eight episodes in one world, as stable-baselines3 steps them."""
    from gymnasium import spaces
    from stable_baselines3.common.vec_env import VecEnv

    env, generator = environment(task), torch.Generator().manual_seed(seed)

    class Episodes(VecEnv):
        def __init__(self) -> None:
            self.physics = drawn(env, letter, (1,), generator)
            self.returns: list[float] = []
            box = spaces.Box(-np.inf, np.inf, (env.observations,), np.float32)
            super().__init__(_COUNT, box, spaces.Discrete(env.actions))

        def _fresh(self) -> torch.Tensor:
            return env.begin(self.physics, (_COUNT,), generator)

        def _seen(self) -> np.ndarray:
            return env.scaled(env.observe(self.state, self.physics)).numpy().astype(np.float32)

        def reset(self) -> np.ndarray:
            self.state, self.steps = self._fresh(), torch.zeros(_COUNT, dtype=torch.int64)
            self.totals = torch.zeros(_COUNT)
            return self._seen()

        def step_async(self, actions: np.ndarray) -> None:
            self.actions = torch.as_tensor(actions).long()

        def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
            self.state, reward, ended = env.step(self.state, self.actions, self.physics)
            self.steps, self.totals = self.steps + 1, self.totals + reward
            capped = (self.steps >= env.cap) & ~ended
            over, last = ended | capped, self._seen()
            infos: list[dict[str, Any]] = [{} for _ in range(_COUNT)]
            for i in torch.nonzero(over).flatten().tolist():
                self.returns.append(float(self.totals[i]))
                infos[i] = {"terminal_observation": last[i], "TimeLimit.truncated": bool(capped[i])}
            self.state = torch.where(over, self._fresh(), self.state)
            self.steps = torch.where(over, torch.zeros_like(self.steps), self.steps)
            self.totals = torch.where(over, torch.zeros_like(self.totals), self.totals)
            return self._seen(), reward.numpy(), over.numpy(), infos

        def close(self) -> None:
            """Do nothing: no window or process is open."""

        def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
            return [getattr(self, attr_name, None)] * _COUNT

        def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
            sys.exit(f"batched episodes have no attributes of their own; PPO asked to set {attr_name!r}")

        def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
            sys.exit(f"batched episodes have no methods of their own; PPO asked for {method_name!r}")

        def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
            return [False] * _COUNT

    return Episodes()


def learned(task: str, letter: str, seed: int, rate: float, steps: int, after: int) -> dict[str, float]:
    """Mean return of the episodes of learning; return and share solved of ``after`` episodes after it."""
    from stable_baselines3 import PPO

    env = vector_environment(task, letter, seed)
    model = PPO(
        "MlpPolicy",
        env,
        learning_rate=lambda left: rate * left,
        clip_range=lambda left: 0.2 * left,
        n_steps=32,
        batch_size=256,
        n_epochs=20,
        gamma=0.98,
        gae_lambda=0.8,
        seed=seed,
        device="cpu",
        verbose=0,
    )
    model.learn(steps)

    def top(seen: torch.Tensor) -> torch.Tensor:
        rates = model.policy.get_distribution(seen.flatten(0, 1)).distribution.logits
        return rates.reshape(*seen.shape[:2], -1)

    generator = torch.Generator().manual_seed(4_000_037 + seed)
    found = worth(
        environment(task), rollout(environment(task), World(env.physics), top, (1, after), generator)
    )
    ended = {"mean": float(np.mean(env.returns)), "steps": float(model.num_timesteps)}
    return ended | {name: float(value) for name, value in found.items()}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("task", choices=sorted(ENVIRONMENTS))
    parser.add_argument("--runs", type=int, default=3, help="worlds of each setting and seed")
    given = parser.parse_args()
    if importlib.util.find_spec("stable_baselines3") is None:
        sys.exit("stable-baselines3 is not installed; use: pip install stable-baselines3")
    torch.set_num_threads(1)
    places = Folders(ROOT / "runs", ROOT / "benchmarks" / "results" / "reinforcement")
    kept = [r for s in SEEDS if (r := places.kept(f"{given.task}_tdca-{s}")) is not None]
    if not kept:
        sys.exit(
            f"no result of the credit network yet; run: python benchmarks/reinforcement.py run {given.task}"
        )
    budget = {
        letter: round(float(np.mean([r["per_life"][letter]["steps"] for r in kept]))) for letter in "DRE"
    }
    tests = configured(f"reinforcement_{given.task}").tests()
    open_seeds = [seed for seed in SEEDS if places.kept(f"{given.task}_ppo-{seed}") is None]
    if not open_seeds:
        return
    tried = {
        rate: np.mean(
            [learned(given.task, "R", 900 + i, rate, budget["R"], 1)["mean"] for i in range(_TUNING)]
        )
        for rate in RATES
    }
    rate = max(tried, key=lambda r: tried[r])
    print(given.task, "R", {str(r): float(v) for r, v in tried.items()}, flush=True)
    for seed in open_seeds:
        found = {
            letter: [
                learned(given.task, letter, 100 * seed + i, rate, budget[letter], tests.after)
                for i in range(given.runs)
            ]
            for letter in tests.settings
        }
        rows = {
            letter: {name: [one[name] for one in each] for name in each[0]} for letter, each in found.items()
        }
        places.keep(f"{given.task}_ppo-{seed}", {"rate": rate, "per_life": rows})
        print(given.task, seed, {k: float(np.mean(v["mean"])) for k, v in rows.items()}, flush=True)


if __name__ == "__main__":
    main()
