"""Splits inner runs among workers, and joins their state again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

State = dict[str, Tensor]
Axes = Mapping[str, int | None]


def parts(count: int, workers: int, together: int = 1) -> list[slice]:
    """Consecutive inner runs (or members) for each worker, split as evenly as possible.

    Groups of ``together`` stay with one worker: 2 for pairs.
    """
    groups = count // together
    ends = [together * (groups * i // workers) for i in range(workers + 1)]
    return [slice(*ends[i : i + 2]) for i in range(workers)]


def split(state: Mapping[str, Tensor], axes: Axes, shares: Sequence[slice]) -> list[State]:
    """The state of each share, from that of all inner runs; ``axes`` is ``run_axes()`` of the problem."""
    return [{name: _cut(tensor, axes[name], share) for name, tensor in state.items()} for share in shares]


def _cut(tensor: Tensor, axis: int | None, share: slice) -> Tensor:
    return tensor if axis is None else tensor.narrow(axis, share.start, share.stop - share.start).clone()


def joined(states: Sequence[Mapping[str, Tensor]], axes: Axes) -> State:
    """The state of all inner runs, from that of each share in order."""
    found = dict(states[0])  # what all have in common
    for name in found:
        axis = axes[name]
        if axis is not None:
            found[name] = torch.cat([state[name] for state in states], axis)
    return found
