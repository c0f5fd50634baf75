"""A declared chain of populations, compiled for many lives side by side.

Rates have shape (life, presentation, *population), weights (life, post, inputs of one post unit). A
convolution is the same dense product at every patch, so one local step serves both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cortex_sim.activations import Linear, Relu
from cortex_sim.backends.torch.populations import torch_rate
from cortex_sim.connectors import Conv2d, Dense, Shape, size
from cortex_sim.errors import BuildError
from cortex_sim.network import Network
from cortex_sim.objectives import CrossEntropy
from cortex_sim.projection import Projection

F = torch.nn.functional


@dataclass(frozen=True)
class Layer:
    """One bottom-up projection and the population it drives."""

    projection: Projection
    pre: Shape
    post: Shape
    activation: Any
    bias: bool

    def seen(self, r: Tensor) -> Tensor:
        """What each output place reads, (life, presentation · place, input), from the rates below."""
        lives, presentations = r.shape[:2]
        if not isinstance(self.projection.connector, Conv2d):
            return r.reshape(lives, presentations, -1)
        conv = self.projection.connector
        flat = r.reshape(lives * presentations, *self.pre)
        patches = F.unfold(flat, conv.kernel, padding=conv.padding, stride=conv.stride)
        return patches.transpose(1, 2).reshape(lives, -1, patches.shape[1])

    def shaped(self, a: Tensor, presentations: int) -> Tensor:
        """(life, presentation · place, channel) as (life, presentation, unit), places innermost."""
        if len(self.post) == 1:
            return a
        return a.reshape(len(a), presentations, -1, self.post[0]).transpose(2, 3).flatten(2)

    def gated(self, c: Tensor, a: Tensor) -> Tensor:
        """U = c ∘ f′(a); one operation instead of four where f is linear or rectifies."""
        match self.activation:
            case Linear():
                return c
            case Relu():
                return torch.ops.aten.threshold_backward(c, a, 0)
            case _:
                return c * self.activation.gain(a)

    def flat(self, u: Tensor) -> Tensor:
        """The way back from `shaped`."""
        if len(self.post) == 1:
            return u
        return u.reshape(*u.shape[:2], self.post[0], -1).transpose(2, 3).reshape(len(u), -1, self.post[0])


@dataclass(frozen=True)
class Architecture:
    """The chain, lowest layer first, and the objective at its top."""

    net: Network
    layers: tuple[Layer, ...]

    @property
    def inputs(self) -> int:
        """Units of the stimulated population."""
        return size(self.layers[0].pre)

    @property
    def outputs(self) -> int:
        """Units of the top population."""
        return size(self.layers[-1].post)

    @property
    def hidden(self) -> list[Shape]:
        """Shapes of the populations between."""
        return [layer.post for layer in self.layers[:-1]]

    def born(self, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Weights and biases at birth: those that every backend starts from with this seed."""
        drawn = self.net.initial_weights(seed)
        weights = [drawn[layer.projection.name].reshape(layer.post[0], -1) for layer in self.layers]
        return weights, [np.zeros((1, layer.post[0])) for layer in self.layers]

    def settle(
        self, weights: list[Tensor], biases: list[Tensor], x: Tensor
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Drives, rates (the stimulus first) and what each layer reads, for x (life, presentation, input)."""
        drives, rates, seen = [], [x], []
        for layer, w, b in zip(self.layers, weights, biases, strict=True):
            read = layer.seen(rates[-1])
            a = torch.baddbmm(b, read, w.transpose(1, 2))
            a = layer.shaped(a, x.shape[1])
            seen.append(read)
            drives.append(a)
            rates.append(torch_rate(layer.activation)(a))
        return drives, rates, seen

    def judged(self, top: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
        """Objective of every presentation (life, presentation), and credit of the top −∂E/∂r_L."""
        objective: Any = self.net.error
        if isinstance(objective, CrossEntropy):
            log_p = torch.log_softmax(top, -1)
            error = -objective.weight * (goal * log_p).sum(-1)
            return error, objective.weight * (goal - log_p.exp())
        error = objective.error(top.flatten(0, 1), goal.flatten(0, 1)).reshape(goal.shape[:2])
        return error, objective.credit(top.flatten(0, 1), goal.flatten(0, 1)).reshape(goal.shape)

    @property
    def worst(self) -> float:
        """Where losses are clipped: log 2C for C classes, else 10."""
        return math.log(2 * self.outputs) if isinstance(self.net.error, CrossEntropy) else 10.0


def architecture(net: Network) -> Architecture:
    """Compile a declared chain.

    Raises
    ------
    BuildError
        If the network is no chain of plastic `Dense` and `Conv2d` projections under an objective.
    """
    net.check()
    if net.objective_at is None or net.error is None:
        raise BuildError(f"network {net.name}: has no objective; a life learns to serve one")
    if net.laterals:
        raise BuildError(f"projection {net.laterals[0].name}: lateral projections have no lives side by side")
    layers, below = [], net.stimulated[0]
    while below != net.objective_at:
        onward = [p for p in net.bottom_ups if p.pre == below]
        if len(onward) != 1 or len(net.inputs(onward[0].post)) != 1:
            raise BuildError(
                f"network {net.name}: lives side by side need a chain, and {below} projects to "
                f"{len(onward)} populations or to one with several inputs"
            )
        p = onward[0]
        if not isinstance(p.connector, (Dense, Conv2d)) or p.plasticity is None:
            raise BuildError(f"projection {p.name}: give it Dense or Conv2d and a plasticity rule")
        pre, post = net.populations[p.pre], net.populations[p.post]
        layers.append(Layer(p, pre.shape, post.shape, post.activation, post.bias))
        below = p.post
    return Architecture(net, tuple(layers))
