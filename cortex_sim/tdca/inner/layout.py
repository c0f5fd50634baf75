"""Outer parameters: named tensors in one vector φ, the same for all inner runs or one vector for each."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


class Layout:
    """Positions of named parameters in φ.

    Parameters
    ----------
    shapes : dict of str to tuple of int
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.shapes = dict(shapes)

    @property
    def count(self) -> int:
        """Length of φ."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def joined(self, named: Mapping[str, np.ndarray]) -> Tensor:
        """φ of shape (parameter,), float32, from its parts."""
        return torch.as_tensor(np.concatenate([np.ravel(named[name]) for name in self.shapes])).float()

    def split(self, phi: Tensor) -> dict[str, Tensor]:
        """Parts of φ (parameter,) or (run, parameter), by name; an axis of inner runs stays first."""
        lengths = [math.prod(shape) for shape in self.shapes.values()]
        lead = phi.shape[:-1]
        parts = phi.split(lengths, dim=-1)
        return {
            name: part.reshape((*lead, *shape))
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }
