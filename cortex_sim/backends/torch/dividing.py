"""Work after a step whose results every rank needs, divided among ranks: orthogonality and inverses.

Each piece is done by one rank, and its result is sent to all. So all ranks have the same numbers, even if
their processors round differently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from cortex_sim.backends.torch import distributed
from cortex_sim.network import Network
from cortex_sim.projection import Projection
from cortex_sim.regularisers import HardOrthogonality

Weights = Mapping[str, Tensor] | nn.ParameterDict


@dataclass(frozen=True)
class Work:
    """One piece of work: its cost, in any unit, how to do it, and the tensors that it changes in place."""

    cost: float
    do: Callable[[], None]
    changed: tuple[Tensor, ...]


def owners(costs: Sequence[float], ranks: int) -> list[int]:
    """Rank that does each piece: assigned by falling cost, each to the rank with the least so far."""
    loads, found = [0.0] * ranks, [0] * len(costs)
    for piece in sorted(range(len(costs)), key=lambda i: -costs[i]):
        found[piece] = loads.index(min(loads))
        loads[found[piece]] += costs[piece]
    return found


@torch.no_grad()
def carry_out(works: Sequence[Work], divided: bool) -> None:
    """Do all pieces or, if ``divided``, only this rank's share; then every rank must pass the same pieces.

    Raises
    ------
    Lost
        If another rank failed in its piece or ended.
    """
    rank, ranks = distributed.place()
    if not divided or ranks == 1:
        for work in works:
            work.do()
        return
    by = owners([work.cost for work in works], ranks)
    for work, owner in zip(works, by, strict=True):
        if owner == rank:
            work.do()
    sent = [
        (t, t.detach().contiguous(), owner) for w, owner in zip(works, by, strict=True) for t in w.changed
    ]
    with distributed.naming_lost_ranks():
        waited = [dist.broadcast(values, owner, async_op=True) for _, values, owner in sent]
        for one in waited:
            one.wait()
    for tensor, values, owner in sent:
        if owner != rank and values.data_ptr() != tensor.data_ptr():  # a copy: the tensor is not contiguous
            tensor.copy_(values)


def hard(p: Projection) -> list[HardOrthogonality]:
    """Regularisers that pull the weights of a projection back after a step."""
    return [rule for rule in p.regularisers if isinstance(rule, HardOrthogonality)]


def pulls(
    net: Network, weights: Weights, auxiliary: Weights, steps_done: int, pull: Callable[[str, Any], None]
) -> list[Work]:
    """Pulls back to orthogonal, ``pull(projection, rule)``, that are due after ``steps_done`` updates."""
    found = []
    for p in net.driving:
        due = [rule for rule in hard(p) if steps_done % rule.every == 0]
        if due:
            w, extra = weights[p.name], auxiliary[p.name] if p.name in auxiliary else None  # noqa: SIM401
            cost = w.numel() * min(net.operator(p).matrix(w).shape)
            found.append(Work(cost, partial(_each, pull, p.name, due), (w,) if extra is None else (w, extra)))
    return found


def _each(pull: Callable[[str, Any], None], name: str, due: Sequence[HardOrthogonality]) -> None:
    for rule in due:
        pull(name, rule)
