"""Episodes of many policies in parallel; their returns, baselines and outcomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from cortex_sim.tdca.reinforcement.environment import Physics
from cortex_sim.tdca.reinforcement.signals import packed

_NEAR = 8.0  # time constant of the trace of an episode's end, in steps
_KEEP = 0.7  # decay of running baselines, per update
_SMALL = 1e-6
_ALL = slice(None)


@dataclass(frozen=True)
class World:
    """The world in which each inner run learns.

    Parameters
    ----------
    physics : mapping of str to Tensor of shape (run, 1)
        Physical parameters by name.
    rotation : Tensor of shape (run, observation, observation), optional
        Orthogonal matrix by which observations are turned before the policy and a credit network read them.
    order : Tensor of shape (run, action), optional
        The environment's action for each action of the policy.
    """

    physics: Physics
    rotation: Tensor | None = None
    order: Tensor | None = None

    def only(self, runs: slice) -> World:
        """The worlds of some of the inner runs."""
        if runs == _ALL:
            return self
        turned = (None if t is None else t[runs] for t in (self.rotation, self.order))
        return World({name: p[runs] for name, p in self.physics.items()}, *turned)

    def seen(self, x: Tensor) -> Tensor:
        """Scaled observations (run, episode, value) as policies read them."""
        return x if self.rotation is None else torch.bmm(x, self.rotation)

    def meant(self, action: Tensor) -> Tensor:
        """The environment's actions for those of policies, (run, episode)."""
        return action if self.order is None else self.order.gather(1, action)


def scrambling(environment: Any, runs: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """A random orthogonal matrix, and a random order of actions, for each inner run."""
    n = environment.observations
    q, r = torch.linalg.qr(torch.randn(runs, n, n, generator=generator))
    rotation = q * torch.sign(torch.diagonal(r, dim1=1, dim2=2))[:, None]
    return rotation, torch.rand(runs, environment.actions, generator=generator).argsort(1)


@dataclass(frozen=True)
class Episodes:
    """Episodes of an update, by (time, run, episode).

    Parameters
    ----------
    seen : Tensor of shape (time, run, episode, observation)
        Observations as the policy reads them.
    plain : Tensor of the same shape
        Observations as the environment scales them, before any rotation.
    actions : Tensor of int64
        Actions of the policies.
    rewards, alive : Tensor
        Rewards, 0 after the end; whether a step was taken.
    ended : Tensor of bool, shape (run, episode)
        Whether an episode ended before its cap.
    """

    seen: Tensor
    plain: Tensor
    actions: Tensor
    rewards: Tensor
    alive: Tensor
    ended: Tensor

    @property
    def returns(self) -> Tensor:
        """Undiscounted return, (run, episode)."""
        return self.rewards.sum(0)

    @property
    def lengths(self) -> Tensor:
        """Steps taken, (run, episode)."""
        return self.alive.sum(0)


@torch.no_grad()
def rollout(
    environment: Any,
    world: World,
    top: Callable[[Tensor], Tensor],
    shape: tuple[int, int],
    generator: Generator,
    *,
    copies: int = 1,
    greedy: bool = False,
    among: slice = _ALL,
) -> Episodes:
    """Run episodes of policies; ``top`` gives rates (run, episode, action) from observations.

    ``shape`` is (run, episode); groups of ``copies`` consecutive inner runs share all random numbers. Actions
    are drawn from the softmax of the rates or, if ``greedy``, have the largest rate. ``world`` and ``shape``
    are of all inner runs, and random numbers are drawn for all; ``top`` and the episodes are of the inner
    runs ``among`` them.
    """
    drawn_for = (shape[0] // copies, shape[1])
    first = {name: p[::copies] for name, p in world.physics.items()}
    starts = among if among == _ALL else slice(among.start // copies, among.stop // copies)
    state = environment.begin(first, drawn_for, generator)[:, starts].repeat_interleave(copies, 1)
    world, shape = world.only(among), (state.shape[1], shape[1])
    seeds = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))
    alive = torch.ones(shape, dtype=torch.bool)
    ended = torch.zeros(shape, dtype=torch.bool)
    kept: list[tuple[Tensor, ...]] = []
    noise = (
        None if greedy else _gumbel((environment.cap, *drawn_for, environment.actions), seeds, copies, starts)
    )
    for time in range(environment.cap):
        plain = environment.scaled(environment.observe(state, world.physics))
        seen = world.seen(plain)
        rates = top(seen)
        if noise is not None:
            rates = rates + noise[time]
        action = rates.argmax(-1)
        after, reward, over = environment.step(state, world.meant(action), world.physics)
        kept.append((seen, plain, action, reward * alive, alive))
        state = torch.where(alive, after, state)  # ended episodes keep their last state, which is finite
        ended = ended | (over & alive)
        alive = alive & ~over
        if not bool(alive.any()):
            break
    seen, plain, actions, rewards, taken = (torch.stack(parts) for parts in zip(*kept, strict=True))
    return Episodes(seen, plain, actions, rewards, taken, ended)


def _gumbel(shape: tuple[int, ...], generator: Generator, copies: int, starts: slice) -> Tensor:
    """Noise with which the largest rate is a draw from the softmax of rates; copies share it."""
    u = torch.rand(shape, generator=generator)[:, starts].clamp_min(1e-20)
    noise = -torch.log(-torch.log(u))
    return noise.repeat_interleave(copies, 1) if copies > 1 else noise


def returns_to_go(rewards: Tensor, discount: float) -> Tensor:
    """G_t = Σ_k discount^k r_{t+k}, (time, run, episode)."""
    time = torch.arange(len(rewards), dtype=rewards.dtype)
    ahead = time[None] - time[:, None]
    decay = torch.where(ahead >= 0, discount ** ahead.clamp_min(0), torch.zeros_like(ahead))
    return torch.tensordot(decay, rewards, 1)


class Baselines:
    """Running mean of the return from each time step on, of each inner run, and its running deviation.

    b_t = Σ_k 0.7^k Σ_episodes G_t / Σ_k 0.7^k n_t, where k counts updates back from the present one, k = 0,
    and n_t is the number of episodes with a step t; σ² likewise, over all time steps. The present episodes
    are part of the mean, so that the first update has a baseline.

    Parameters
    ----------
    runs, cap : int
    """

    names = ("count", "total", "square")

    def __init__(self, runs: int, cap: int) -> None:
        self.count, self.total = torch.zeros(cap, runs), torch.zeros(cap, runs)
        self.square = torch.zeros(2, runs)

    def begin(self, runs: Tensor) -> None:
        """Reset the inner runs in a bool mask (run,)."""
        for name in self.names:
            getattr(self, name)[:, runs] = 0.0

    def judged(self, found: Tensor, alive: Tensor) -> tuple[Tensor, Tensor]:
        """Return minus baseline, G − b (time, run, episode), 0 where no step was taken; and σ (run,)."""
        steps = len(found)
        count, total = torch.zeros_like(self.count), torch.zeros_like(self.total)
        count[:steps], total[:steps] = alive.sum(-1), (found * alive).sum(-1)
        self.count, self.total = _KEEP * self.count + count, _KEEP * self.total + total
        mean = (self.total / self.count.clamp_min(_SMALL))[:steps, :, None]
        rest = (found - mean) * alive
        now = torch.stack((rest.square().sum((0, 2)), alive.sum((0, 2)).to(rest.dtype)))
        self.square = _KEEP * self.square + now
        return rest, (self.square[0] / self.square[1].clamp_min(1)).sqrt() + _SMALL

    def outcome(self, found: Tensor, alive: Tensor) -> tuple[Tensor, Tensor]:
        """(G − b)/σ, clipped at ±3, of returns from each step on; and σ (run,)."""
        rest, deviation = self.judged(found, alive)
        return (rest / deviation[:, None]).clamp(-3, 3), deviation

    def state(self) -> dict[str, Tensor]:
        """All running sums, by name."""
        return {name: getattr(self, name).clone() for name in self.names}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from `state`."""
        for name in self.names:
            setattr(self, name, state[name].clone())


def presented(
    episodes: Episodes, outcomes: Sequence[Tensor], actions: int, cap: int
) -> tuple[Tensor, Tensor]:
    """Steps of episodes as presentations: observations (run, presentation, value) and goals.

    Every inner run has cap · episodes presentations: first the steps that it took, in order of time, then the
    same observations again without a goal, so that presynaptic statistics are those of the steps taken.
    Steps are weighted so that the change of an inner run is the mean over the steps taken.
    ``outcomes`` (time, run, episode) are those at the policy's discount, then at other horizons.
    """
    time, runs, count = outcomes[0].shape
    dtype = outcomes[0].dtype
    alive = episodes.alive.to(dtype)
    one_hot = torch.nn.functional.one_hot(episodes.actions, actions).to(dtype)
    weight = (cap * count / alive.sum((0, 2)).clamp_min(1))[:, None].expand_as(outcomes[0])
    left = episodes.lengths.to(dtype) - 1 - torch.arange(time, dtype=dtype)[:, None, None]
    end = torch.exp(-left.clamp_min(0) / _NEAR) * episodes.ended
    signals = (outcomes[0], weight, episodes.rewards, end, *outcomes[1:])
    columns = [v[..., None] for v in signals]
    goal = packed(one_hot, *columns, episodes.seen)
    goal = goal.transpose(0, 1).reshape(runs, time * count, -1)
    taken = episodes.alive.transpose(0, 1).reshape(runs, time * count)
    order, steps = torch.argsort(~taken, dim=1, stable=True), taken.sum(1, keepdim=True)
    place = torch.arange(cap * count).expand(runs, -1)
    rows = order.gather(1, place % steps.clamp_min(1))
    goal = goal.gather(1, rows[..., None].expand(-1, -1, goal.shape[-1]))
    signalled, x = goal.split([goal.shape[-1] - episodes.seen.shape[-1], episodes.seen.shape[-1]], -1)
    return x, torch.cat((signalled * (place < steps)[..., None], x), -1)
