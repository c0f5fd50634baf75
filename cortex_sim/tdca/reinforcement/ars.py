"""Augmented random search, a baseline without credit: whole policies are perturbed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from cortex_sim.checks import require_count
from cortex_sim.tdca.reinforcement.environment import drawn
from cortex_sim.tdca.reinforcement.episodes import World, rollout

GRID = tuple((step, noise) for step in (0.02, 0.1, 0.5) for noise in (0.03, 0.1, 0.3))  # α and ν


@dataclass(frozen=True)
class RandomSearch:
    """θ ← θ + α/(d σ) Σ_k (R(θ + νδ_k) − R(θ − νδ_k)) δ_k, with δ_k ~ N(0, 1) and σ the SD of returns R.

    Observations are centred and scaled by running statistics, as in V2 of the paper; the action is the
    largest of the policy's outputs. All directions are used.

    Parameters
    ----------
    directions : int, default 4
        Number d of directions δ_k in an update.
    repeats : int, default 1
        Episodes of each perturbed policy.
    updates : int, default 30
    hidden : int, default 0
        Tanh units between observations and actions; 0 for a linear policy, which starts at zero.

    References
    ----------
    Mania, Guy and Recht (2018), arXiv 1803.07055.
    """

    directions: int = 4
    repeats: int = 1
    updates: int = 30
    hidden: int = 0

    def __post_init__(self) -> None:
        require_count(self, directions=self.directions, repeats=self.repeats, updates=self.updates)
        require_count(self, minimum=0, hidden=self.hidden)

    def start(self, environment: Any, runs: int, generator: Generator) -> Tensor:
        """θ (run, parameter) before learning."""
        n, a, h = environment.observations, environment.actions, self.hidden
        if not h:
            return torch.zeros(runs, a * (n + 1))
        first = torch.randn(runs, h, n, generator=generator) * (2 / n) ** 0.5
        last = torch.randn(runs, a, h, generator=generator) / h**0.5
        zeros = torch.zeros(runs, h + a)
        return torch.cat((first.flatten(1), last.flatten(1), zeros), 1)

    def rates(self, environment: Any, theta: Tensor, x: Tensor) -> Tensor:
        """Outputs (policy, episode, action) of policies θ (policy, parameter)."""
        n, a, h = environment.observations, environment.actions, self.hidden
        count = len(theta)
        if not h:
            weights, bias = theta.split([a * n, a], 1)
            return torch.baddbmm(bias[:, None], x, weights.reshape(count, a, n).transpose(1, 2))
        first, last, bias, bias_last = theta.split([h * n, a * h, h, a], 1)
        y = torch.tanh(torch.baddbmm(bias[:, None], x, first.reshape(count, h, n).transpose(1, 2)))
        return torch.baddbmm(bias_last[:, None], y, last.reshape(count, a, h).transpose(1, 2))


@torch.no_grad()
def searched(
    search: RandomSearch,
    environment: Any,
    letters: str,
    runs: int,
    alpha: Tensor,
    nu: Tensor,
    seed: int,
    after: int = 16,
) -> dict[str, Tensor]:
    """Run searches in parallel, search i in a world of setting ``letters[i % len(letters)]``.

    Parameters
    ----------
    letters : str
        Settings of physical parameters, such as "DRE".
    runs : int
        Number of searches.
    alpha, nu : Tensor of shape (run,)
        Step size, and size of perturbations.
    seed, after : int
        Seed of all random numbers; test episodes of the policy found.

    Returns
    -------
    dict of str to Tensor
        ``mean`` (run,), the mean return over all episodes of the search; ``steps`` (run,) in the environment;
        ``after`` and ``solved`` (run,), mean return and share of solved test episodes; ``curve``
        (update, run), the mean return of every update.
    """
    generator = torch.Generator().manual_seed(3_000_017 + seed)
    physics = {name: torch.zeros(runs, 1) for name in sorted(environment.ranges)}
    for i, letter in enumerate(letters):
        for name, values in drawn(environment, letter, (runs, 1), generator).items():
            physics[name][i :: len(letters)] = values[i :: len(letters)]
    both = 2 * search.directions
    world = World({name: p.repeat_interleave(both, 0) for name, p in physics.items()})
    theta = search.start(environment, runs, generator)
    count = torch.full((runs, 1), 1e-3)
    mean, square = torch.zeros(runs, environment.observations), torch.ones(runs, environment.observations)

    def standard(x: Tensor, policies: int) -> Tensor:
        deviation = (square - mean.square()).clamp_min(1e-4).sqrt()
        times = policies // runs
        centre, width = mean.repeat_interleave(times, 0), deviation.repeat_interleave(times, 0)
        return (x - centre[:, None]) / width[:, None]

    returns, steps = [], torch.zeros(runs)
    for _ in range(search.updates):
        delta = torch.randn(runs, search.directions, theta.shape[1], generator=generator)
        shift = nu[:, None, None] * delta
        policies = torch.cat((theta[:, None] + shift, theta[:, None] - shift), 1).flatten(0, 1)

        def perturbed(x: Tensor, policies: Tensor = policies) -> Tensor:
            return search.rates(environment, policies, standard(x, len(policies)))

        shape = (runs * both, search.repeats)
        played = rollout(environment, world, perturbed, shape, generator, greedy=True)
        reward = played.returns.mean(1).reshape(runs, 2, search.directions)
        spread = reward.flatten(1).std(1).clamp_min(1e-6)
        moved = ((reward[:, 0] - reward[:, 1])[..., None] * delta).sum(1)
        theta = theta + (alpha / spread / search.directions)[:, None] * moved
        returns.append(reward.flatten(1).mean(1))
        steps += played.lengths.reshape(runs, -1).sum(1)
        alive = played.alive.reshape(len(played.alive), runs, -1, 1).float()
        seen = played.seen.reshape(*alive.shape[:3], -1) * alive
        now = alive.sum((0, 2))
        share = now / (count + now)
        mean = mean + share * (seen.sum((0, 2)) / now - mean)
        square = square + share * ((seen * seen).sum((0, 2)) / now - square)
        count = count + now
    last = rollout(
        environment,
        World(physics),
        lambda x: search.rates(environment, theta, standard(x, runs)),
        (runs, after),
        generator,
        greedy=True,
    )
    solved = environment.solved(last.lengths, last.ended, last.rewards, last.plain).float().mean(1)
    curve = torch.stack(returns)
    return {
        "mean": curve.mean(0),
        "steps": steps,
        "after": last.returns.mean(1),
        "solved": solved,
        "curve": curve,
    }


def tuned(search: RandomSearch, environment: Any, runs: int, seed: int = 99) -> tuple[float, float]:
    """Pair α, ν of the grid with the largest mean return in setting R, over ``runs`` searches each."""
    grid = torch.tensor(GRID).repeat_interleave(runs, 0)
    found = searched(search, environment, "R", len(grid), grid[:, 0], grid[:, 1], seed)["mean"]
    return GRID[int(found.reshape(len(GRID), runs).mean(1).argmax())]
