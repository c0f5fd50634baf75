"""Whether tied feedback was computed from the present weights, judged by their values.

Weights are changed by optimisers, by the user, through ``.data``, by loading, averaging, moving and copying,
and torch's version counters do not see all of these. Outside a training loop the weights themselves are
therefore compared with those from which the feedback was computed. In the loop of an attached optimiser,
feedback may be older than the weights (``Inverse(refresh=...)``); there, each step stores a mark of the
weights, and weights that differ from it were changed by the user. A mark holds the version, the place in
memory and, on the CPU, a sample of about 4,096 weights. In a loop, some edits go unnoticed until feedback is
next due: one through ``.data`` outside the sample and, on a GPU, where reading would stall the device, any
through ``.data``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_SAMPLE = 4096


@dataclass(frozen=True)
class Mark:
    """Every ``stride``-th value of some tensors; ``left`` if a step of a training loop stored the mark."""

    key: tuple[tuple[int, int], ...]
    values: tuple[Tensor, ...]
    stride: int
    left: bool


def _key(tensors: Sequence[Tensor]) -> tuple[tuple[int, int], ...]:
    return tuple((t.data_ptr(), 0 if t.is_inference() else t._version) for t in tensors)


def _every(t: Tensor, stride: int) -> Tensor:
    return t.detach().flatten()[::stride]


def whole(tensors: Sequence[Tensor]) -> Mark:
    """Mark of tensors with all their values."""
    return Mark(_key(tensors), tuple(_every(t, 1).clone() for t in tensors), 1, left=False)


def sampled(tensors: Sequence[Tensor]) -> Mark:
    """Mark of tensors cheap enough for every step of a training loop."""
    largest = max(t.numel() for t in tensors)
    stride = (largest // _SAMPLE) | 1  # odd, so that the sample is not confined to a few columns
    on_cpu = all(t.device.type == "cpu" for t in tensors)
    values = tuple(_every(t, stride).clone() for t in tensors) if on_cpu else ()
    return Mark(_key(tensors), values, stride, left=True)


def same(mark: Mark, tensors: Sequence[Tensor], in_loop: bool) -> bool:
    """Whether the tensors still equal those of ``mark``."""
    if in_loop and mark.key != _key(tensors):
        return False
    if in_loop and any(t.device.type != "cpu" for t in tensors):
        return True
    if not in_loop and mark.left:
        return False
    return all(
        kept.dtype == t.dtype and kept.device == t.device and torch.equal(kept, _every(t, mark.stride))
        for kept, t in zip(mark.values, tensors, strict=True)
    )
