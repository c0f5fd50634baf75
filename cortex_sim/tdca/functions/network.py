"""The small network of both rules: one hidden population and two outputs, for all members at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class SmallNetwork:
    """o = V tanh(W i + b) + c, with two outputs; the parameters W, b, V and c belong to a rule's φ.

    Parameters
    ----------
    inputs, hidden : int
        Numbers of inputs and of hidden units.
    """

    inputs: int
    hidden: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of W, b, V and c by name."""
        return {
            "hidden": (self.hidden, self.inputs),
            "hidden_bias": (self.hidden,),
            "outputs": (2, self.hidden),
            "outputs_bias": (2,),
        }

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """Parameters before training: W random with variance 1 / inputs; all others 0, so that o = 0."""
        shapes = self.shapes()
        found = {name: np.zeros(shape) for name, shape in shapes.items()}
        found["hidden"] = np.random.default_rng(seed).normal(size=shapes["hidden"]) / math.sqrt(self.inputs)
        return found

    def outputs(self, named: dict[str, Tensor], inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Both outputs (member, place) from inputs (member, input, place) and parameters (member, …)."""
        hidden = torch.tanh(torch.baddbmm(named["hidden_bias"][:, :, None], named["hidden"], inputs))
        o1, o2 = torch.baddbmm(named["outputs_bias"][:, :, None], named["outputs"], hidden).unbind(1)
        return o1, o2
