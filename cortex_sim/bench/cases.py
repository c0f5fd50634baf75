"""Networks of the training benchmarks, declared and in plain torch, and one training step of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import lcm
from typing import Any

import torch
from torch import Tensor, nn

from cortex_sim import library
from cortex_sim.backends import torch as backend
from cortex_sim.backends.torch import distributed
from cortex_sim.backends.torch.training import Trainer
from cortex_sim.bench import plain_torch
from cortex_sim.bench.timing import Side
from cortex_sim.chains import VARIANCE_KEPT, dense_areas, join
from cortex_sim.connectors import Dense
from cortex_sim.default_settings import defaults
from cortex_sim.feedback import Inverse
from cortex_sim.network import Network
from cortex_sim.regularisers import HardOrthogonality
from cortex_sim.training.settings import network, resolve

CYCLE = 8  # fewest steps of a block
PLAIN = "plain torch"


@dataclass(frozen=True)
class Case:
    """A network, declared and in plain torch, under the settings that ship.

    Parameters
    ----------
    network : str
        Its name in the results.
    declare : callable
        Returns the network.
    plain : callable
        Returns the same architecture as an ``nn.Module``.
    batch : int
    settings_of : str
        The model whose shipped settings (optimiser, feedback, regularisers) apply.
    published : str, optional
        Name of the shipped configuration with the published algorithm.
    rate : float, optional
        Learning rate, where the settings are another model's.
    """

    network: str
    declare: Callable[[], Network]
    plain: Callable[[], nn.Module]
    batch: int
    settings_of: str
    published: str | None = None
    rate: float | None = None

    def under(self, rule: str) -> Network:
        """The network under a rule."""
        return defaults(self.settings_of, rule).on(self.declare())

    def optimiser(self, rule: str) -> dict[str, Any]:
        """Settings of the optimiser under a rule."""
        found: dict[str, Any] = defaults(self.settings_of, rule).fit["optimiser"]
        return found if self.rate is None else found | {"lr": self.rate}

    def stimuli(self, batches: int) -> tuple[Tensor, Tensor]:
        """Noise images and labels: the cost does not depend on them."""
        net, generator = self.declare(), torch.Generator().manual_seed(0)
        (retina,) = net.sources
        assert net.objective_at is not None
        classes = net.populations[net.objective_at].size
        x = torch.randn(batches * self.batch, *net.populations[retina].shape, generator=generator)
        return x, torch.randint(0, classes, (len(x),), generator=generator)

    def side(self, name: str, x: Tensor, y: Tensor) -> Side:
        """A step of a rule, or of plain torch."""
        return self.plain_step(x, y) if name == PLAIN else self.ours(name, x, y)

    def ours(self, rule: str, x: Tensor, y: Tensor) -> Side:
        """A step of a rule in its shipped settings."""
        net, schedule = self.under(rule), defaults(self.settings_of, rule).fit["schedule"]
        model = backend.build(net)
        trainer = Trainer(model, x, y, 1000, self.batch, self.optimiser(rule), schedule)
        return Side(over_batches(trainer.update, len(x), self.batch), cycle(net))

    def plain_step(self, x: Tensor, y: Tensor) -> Side:
        """A step of backpropagation in plain torch, with the optimiser of our backpropagation."""
        torch.manual_seed(0)
        net: Any = self.plain()
        # A low rate, like the initial one of the other side: noise is not to be learned.
        optimiser = plain_torch.optimiser(net, self.optimiser("backprop") | {"lr": 1e-4})
        if distributed.place()[1] > 1:
            net = nn.parallel.DistributedDataParallel(net)

        def step(index: Tensor) -> None:
            loss = nn.functional.cross_entropy(net(x[index]), y[index])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            loss.item()

        return Side(over_batches(step, len(x), self.batch), CYCLE)

    def published_step(self, x: Tensor, y: Tensor) -> Side:
        """A step of the published algorithm: float64, exact inverses with auxiliary units at every step."""
        assert self.published is not None
        settings = resolve(None, config=library.configuration(self.published))
        net = network(settings)
        model = backend.build(net, precision=settings.precision)
        trainer = Trainer(model, x, y, 1000, self.batch, settings.optimiser, settings.schedule)
        return Side(over_batches(trainer.update, len(x), self.batch), 1)


def cycle(net: Network) -> int:
    """Updates after which everything that acts every n-th step has acted equally often, at least 8."""
    periods = [r.every for p in net.bottom_ups for r in p.regularisers if isinstance(r, HardOrthogonality)]
    periods += [p.feedback.refresh for p in net.top_downs if isinstance(p.feedback, Inverse)]
    return lcm(CYCLE, *periods)


def over_batches(step: Callable[[Tensor], None], count: int, batch: int) -> Callable[[], None]:
    """Steps that cycle through batches in one order; with several ranks, each takes its share of a batch."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(1))
    rank, ranks = distributed.place()
    at = 0

    def take() -> None:
        nonlocal at
        step(order[at : at + batch][rank::ranks])
        at = (at + batch) % count

    return take


def shipped(
    name: str,
    plain: Callable[..., nn.Module],
    batch: int | None = None,
    *,
    called: str | None = None,
    settings_of: str | None = None,
    published: str | None = None,
    rate: float | None = None,
    **model_settings: Any,
) -> Case:
    """A shipped model; ``model_settings`` are arguments of both sides."""
    if batch is None:
        batch = int(defaults(settings_of or name, "gait_prop").fit["batch_size"])
    declare = partial(library.model, name, **model_settings)
    by_hand = partial(plain, **model_settings)
    return Case(called or name, declare, by_hand, batch, settings_of or name, published, rate)


def dense_chain(depth: int = 6, width: int = 1024, batch: int = 256, called: str = "dense") -> Case:
    """A chain like gait_cifar_deep, with other sizes."""

    def declare() -> Network:
        net = Network("dense")
        below = net.population("retina", shape=(3, 32, 32))
        below = dense_areas(net, below, depth, width, VARIANCE_KEPT)
        it = net.population("IT", 10, activation="linear")
        join(net, below, it, Dense(init=VARIANCE_KEPT))
        net.objective(it, "cross_entropy")
        return net

    by_hand = partial(plain_torch.dense, depth=depth, width=width)
    return Case(called, declare, by_hand, batch, "gait_cifar_deep")


def cases(batch: int | None = None) -> dict[str, Case]:
    """The networks of the benchmarks by name; ``batch`` in place of the batch size that ships."""
    found = [
        shipped("gait_cifar_deep", plain_torch.dense, batch, published="papers/gait_2021_cifar_deep"),
        shipped("conv4", plain_torch.conv4, batch),
        shipped(
            "gait_imagenet",
            plain_torch.gait_imagenet,
            batch or 32,
            settings_of="conv4",
            published="papers/gait_2021_imagenet",
            rate=1e-4,
        ),
        shipped("vgg_like", plain_torch.vgg_like, batch),
        shipped("resnet_like", plain_torch.resnet_like, batch),
    ]
    return {case.network: case for case in found}
