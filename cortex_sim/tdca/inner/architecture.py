"""A declared chain of populations, compiled for many inner runs side by side.

Rates have shape (run, presentation, unit), weights (run, post, inputs of one place). Every connector is a
dense product at each of its places, so that one local step serves all connectors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cortex_sim.activations import Linear, Relu
from cortex_sim.allowed import allowed_of
from cortex_sim.backends.routes import find_routes
from cortex_sim.backends.torch.populations import torch_rate
from cortex_sim.backends.torch.settling import settle
from cortex_sim.backends.torch.steps import Link, Step, compiled
from cortex_sim.connectors import Shape
from cortex_sim.errors import BuildError
from cortex_sim.network import Network
from cortex_sim.objectives import CrossEntropy
from cortex_sim.operators import Operator
from cortex_sim.population import Population
from cortex_sim.projection import Projection
from cortex_sim.sources import only_source
from cortex_sim.transfers import adapts, bound, by_unit, initial_values, next_values, parameters_of


@dataclass(frozen=True)
class Layer:
    """A population and the one projection that drives it."""

    step: Step

    @property
    def link(self) -> Link:
        """The projection."""
        return self.step.inputs[0]

    @property
    def operator(self) -> Operator:
        """Operator of the projection's connector."""
        return self.link.operator

    @property
    def projection(self) -> Projection:
        """The projection as declared."""
        return self.link.projection

    @property
    def pre(self) -> Shape:
        """Shape of the population below."""
        return self.operator.pre

    @property
    def post(self) -> Shape:
        """Shape of the population."""
        return self.operator.post

    @property
    def bias(self) -> bool:
        """Whether the population has biases that learn."""
        return self.step.population.bias


def gated(transfer: Any, c: Tensor, a: Tensor) -> Tensor:
    """Credit times gain, c ∘ f′(a), of a population; faster where f is linear or rectifies."""
    if type(transfer) is Linear:
        return c
    if type(transfer) is Relu:
        return torch.ops.aten.threshold_backward(c, a, 0)
    return c * transfer.gain(a)


@dataclass(frozen=True)
class SideBySide:
    """Carrier of rates (run, presentation, unit); keeps the inputs of every place for the local step."""

    weights: Mapping[str, Tensor]
    biases: Mapping[str, Tensor]
    transfers: Mapping[str, Any]
    read: dict[str, Tensor] = field(default_factory=dict)

    def bias(self, step: Step) -> Tensor | None:
        """Biases (run, 1, channel)."""
        return self.biases.get(step.name)

    def through(self, step: Step, link: Link, r: Tensor, bias: Tensor | None) -> Tensor:
        """Drive (run, presentation, unit): one product at every place."""
        op = link.operator
        if not op.weighted:
            fixed: Tensor = op.up(r, None)
            return fixed
        self.read[link.name] = read = op.patches(r)
        up = self.weights[link.name].transpose(1, 2)
        drive: Tensor = op.placed(torch.bmm(read, up) if bias is None else torch.baddbmm(bias, read, up))
        return drive

    def biased(self, step: Step, a: Tensor, bias: Tensor) -> Tensor:
        """The drive plus one bias per channel."""
        return a + bias.repeat_interleave(a.shape[2] // bias.shape[2], dim=2)

    def settled(self, step: Step, a: Tensor, rates: Mapping[str, Tensor], receives: Tensor | None) -> Tensor:
        """The drive itself: a chain has no lateral projections."""
        return a

    def rate(self, step: Step, a: Tensor) -> Tensor:
        """Rates of a population."""
        return torch_rate(self.transfers[step.name])(a)


@dataclass(frozen=True)
class Architecture:
    """The chain, and the objective at its top.

    Parameters
    ----------
    net : Network
    steps : tuple of Step
        Every population, its source first.
    layers : tuple of Layer
        The populations driven through weights, which all learn; the lowest first, the top last.
    """

    net: Network
    steps: tuple[Step, ...]
    layers: tuple[Layer, ...]

    @property
    def inputs(self) -> int:
        """Units of the source."""
        return self.steps[0].population.size

    @property
    def outputs(self) -> int:
        """Units of the top population."""
        return self.steps[-1].population.size

    @property
    def hidden(self) -> list[Shape]:
        """Shapes of the layers' populations below the top."""
        return [layer.post for layer in self.layers[:-1]]

    def initial(self, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Initial weights and biases: the same as on every backend with this seed."""
        drawn = self.net.initial_weights(seed)
        weights = [layer.operator.matrix(drawn[layer.link.name]) for layer in self.layers]
        return weights, [np.zeros((1, layer.post[0])) for layer in self.layers]

    @cached_property
    def with_free_feedback(self) -> Network:
        """The network with free top-down weights too, for their initial values."""
        return self.net.with_rule("kolen_pollack")

    @cached_property
    def driven(self) -> dict[str, Population]:
        """Populations by name, without the source."""
        return {step.name: step.population for step in self.steps[1:]}

    def first_transfers(self) -> dict[str, dict[str, np.ndarray]]:
        """Initial parameters of the activations that have any, by population and name."""
        return {n: initial_values(p) for n, p in self.driven.items() if parameters_of(p)}

    def transfers(self, values: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Any]:
        """Activations by population as functions of the drive, from their parameters (run, value)."""
        return {
            name: bound(
                population.activation,
                {n: by_unit(population, v)[:, None] for n, v in values.get(name, {}).items()},
            )
            for name, population in self.driven.items()
        }

    def adapted(
        self, values: Mapping[str, Mapping[str, Tensor]], drives: Mapping[str, Tensor]
    ) -> dict[str, dict[str, Tensor]]:
        """Activations' parameters (run, value) after learning from drives (run, presentation, unit)."""
        return {
            name: next_values(self.driven[name], drives[name].detach(), kept)
            if adapts(self.driven[name])
            else dict(kept)
            for name, kept in values.items()
        }

    def settle(
        self, weights: list[Tensor], biases: list[Tensor], x: Tensor, transfers: Mapping[str, Any]
    ) -> tuple[dict[str, Tensor], list[Tensor], list[Tensor]]:
        """Drives by population, rates of layers (the stimulus first) and inputs of each layer's places.

        ``x`` has shape (run, presentation, input); ``transfers`` are activations as `transfers` returns them.
        """
        carrier = SideBySide(
            {layer.link.name: w for layer, w in zip(self.layers, weights, strict=True)},
            {layer.step.name: b for layer, b in zip(self.layers, biases, strict=True)},
            transfers,
        )
        drives, rates = settle(self.steps, {self.steps[0].name: x}, carrier)
        names = [layer.step.name for layer in self.layers]
        read = [carrier.read[layer.link.name] for layer in self.layers]
        return drives, [x, *(rates[n] for n in names)], read

    def down(
        self, u: Tensor, above: int, w: Tensor, drives: Mapping[str, Tensor], transfers: Mapping[str, Any]
    ) -> Tensor:
        """Credit Wᵀ u of layer ``above``, brought to the layer below through projections without weights."""
        link = self.layers[above].link
        c: Tensor = link.operator.down(u, w)
        between = {step.name: step for step in self.steps[1:]}
        while (name := link.projection.pre) != self.layers[above - 1].step.name:
            step = between[name]
            link = step.inputs[0]
            op, below = link.operator, link.projection.pre
            if not op.linear:
                op = op.at(torch_rate(transfers[below])(drives[below]))
            c = op.down(gated(transfers[name], c, drives[name]), None)
        return c

    def judged(self, top: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
        """Objective of every presentation (run, presentation), and credit of the top −∂E/∂r_L."""
        objective: Any = self.net.objective_function
        if isinstance(objective, CrossEntropy):
            log_p, goal = torch.log_softmax(top, -1), objective.smoothed(goal)
            value = -objective.weight * (goal * log_p).sum(-1)
            return value, objective.weight * (goal - log_p.exp())
        value = objective.value(top.flatten(0, 1), goal.flatten(0, 1)).reshape(goal.shape[:2])
        return value, objective.credit(top.flatten(0, 1), goal.flatten(0, 1)).reshape(goal.shape)

    @property
    def worst(self) -> float:
        """Largest loss, at which losses are clipped: log 2C for C classes, else 10."""
        return math.log(2 * self.outputs) if isinstance(self.net.objective_function, CrossEntropy) else 10.0


def architecture(net: Network) -> Architecture:
    """Compile a declared chain.

    Raises
    ------
    BuildError
        If the network is not a chain with an objective at its top, a projection has weights that do not
        learn, or something is not supported in parallel inner runs.
    """
    net.check()
    if net.objective_at is None or net.objective_function is None:
        raise BuildError(
            f"network {net.name}: has no objective, which an inner run needs; declare one with net.objective"
        )
    for p in [*net.laterals, *net.recurrents, *net.gains]:
        raise BuildError(
            f"projection {p.name}: {p.kind} projections are not supported in parallel inner runs; leave it "
            "out, or train the network by itself with model.fit"
        )
    only_source(net, "parallel inner runs need a chain", "project from one population", BuildError)
    for name, population in net.populations.items():
        if population.normaliser is not None or population.dropout:
            word = type(population.normaliser).__name__ if population.normaliser is not None else "dropout"
            raise BuildError(
                f"population {name}: {word} is not supported in parallel inner runs; leave it out, or train "
                "the network by itself with model.fit"
            )
    steps = compiled(net, find_routes(net))
    layers = []
    for step in steps[1:]:
        onward = [p for p in net.bottom_ups if p.pre == step.inputs[0].projection.pre]
        if len(onward) != 1 or len(step.inputs) != 1:
            raise BuildError(
                f"network {net.name}: parallel inner runs need a chain of populations, but {onward[0].pre} "
                f"projects to {len(onward)} populations, or to one with several inputs; keep one projection"
            )
        link = step.inputs[0]
        if allowed_of(net, link.projection) is not None:
            raise BuildError(
                f"projection {link.name}: constraints and connectors that leave synapses out are not "
                "supported in parallel inner runs; use Dense() without them"
            )
        if link.operator.groups > 1:
            raise BuildError(
                f"projection {link.name}: {type(link.projection.connector).__name__} with groups is not "
                "supported in parallel inner runs; use groups=1"
            )
        if link.operator.weighted and link.projection.plasticity is None:
            raise BuildError(
                f"projection {link.name}: has weights, but they do not learn; give it a plasticity rule"
            )
        if link.operator.weighted:
            layers.append(Layer(step))
    if not layers or layers[-1].step.name != net.objective_at:
        raise BuildError(
            f"network {net.name}: {net.objective_at} must be driven by weights that learn; use Dense() there"
        )
    return Architecture(net, steps, tuple(layers))
