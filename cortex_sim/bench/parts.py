"""Where the time of a training step goes: forward, credit, optimiser, regulariser, renewal of feedback.

The step is that of a user's loop, ``loss = model(x, y); loss.backward(); optimiser.step()``, with a clock
read between its lines and around what the model does after the optimiser's step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cortex_sim.backends import torch as backend
from cortex_sim.backends.torch.optimising import make_optimiser
from cortex_sim.bench import plain_torch
from cortex_sim.bench.cases import CYCLE, Case, cycle, over_batches
from cortex_sim.bench.timing import Side, clock, seconds_of
from cortex_sim.default_settings import defaults

PARTS = ("forward", "credit and updates", "optimiser", "regulariser", "renewal", "checks")


class Parts:
    """Seconds by part since the last `reset`; the time of a part inside another counts only once."""

    def __init__(self, threads: int) -> None:
        self._now = seconds_of(clock(threads))
        self.reset()

    def reset(self) -> None:
        """Start again from zero."""
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self.steps = 0
        self._inner = 0.0

    def timed(self, part: str, work: Callable[[], Any]) -> Any:
        """What ``work`` returns; its time, without that of parts inside it, is added to ``part``."""
        outside, self._inner = self._inner, 0.0
        began = self._now()
        result = work()
        took = self._now() - began
        self.seconds[part] += took - self._inner
        self._inner = outside + took
        return result

    def around(self, owner: Any, method: str, part: str) -> None:
        """Time every call of an object's method."""
        own = getattr(owner, method)

        def called(*args: Any, **settings: Any) -> Any:
            return self.timed(part, lambda: own(*args, **settings))

        object.__setattr__(owner, method, called)

    def means(self) -> dict[str, float]:
        """Seconds of one step, by part."""
        return {part: seconds / max(1, self.steps) for part, seconds in self.seconds.items()}


def our_parts(case: Case, rule: str, x: Tensor, y: Tensor, threads: int) -> tuple[Side, Parts]:
    """A step of a rule in its shipped settings, and its parts."""
    net = case.under(rule)
    model = backend.build(net)
    model.train()
    settings = defaults(case.settings_of, rule).fit["optimiser"]
    settings["lr"] = 1e-4  # noise is not to be learned
    optimiser = make_optimiser(model, settings)
    parts = Parts(threads)
    parts.around(model, "prepare", "checks")
    parts.around(model, "pull_back", "regulariser")
    parts.around(model.feedback, "renew", "renewal")
    parts.around(model.feedback, "mark", "checks")
    return Side(over_batches(_step(model, optimiser, parts, x, y), len(x), case.batch), cycle(net)), parts


def plain_parts(case: Case, x: Tensor, y: Tensor, threads: int) -> tuple[Side, Parts]:
    """A step in plain torch, and its parts."""
    torch.manual_seed(0)
    net = case.plain()
    optimiser = plain_torch.optimiser(net, case.optimiser("backprop") | {"lr": 1e-4})

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return nn.functional.cross_entropy(net(x), y)

    parts = Parts(threads)
    return Side(over_batches(_step(loss, optimiser, parts, x, y), len(x), case.batch), CYCLE), parts


def _step(
    loss: Callable[[Tensor, Tensor], Tensor],
    optimiser: torch.optim.Optimizer,
    parts: Parts,
    x: Tensor,
    y: Tensor,
) -> Callable[[Tensor], None]:
    def step(index: Tensor) -> None:
        total = parts.timed("forward", lambda: loss(x[index], y[index]))
        optimiser.zero_grad(set_to_none=True)
        parts.timed("credit and updates", total.backward)
        parts.timed("optimiser", optimiser.step)
        parts.steps += 1

    return step
