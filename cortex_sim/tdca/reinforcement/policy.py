"""Policies: declared chains whose top population has one unit for each action."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from cortex_sim.backends.torch.populations import torch_rate
from cortex_sim.errors import RunError
from cortex_sim.network import Network
from cortex_sim.objectives import CrossEntropy
from cortex_sim.tdca.inner.architecture import Architecture, architecture
from cortex_sim.tdca.reinforcement.signals import OUTCOME, WEIGHT, choice, column


class Policy(Architecture):
    """A chain that draws actions from the softmax of its top: π = softmax(r_L).

    Goals are those of `cortex_sim.tdca.reinforcement.signals`. The objective of a step is REINFORCE's,
    −A log π(a), and the credit of the top A (a − π), where A is the outcome times the weight of the step.
    """

    def judged(self, top: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
        """Objective of every step (run, presentation), and credit of the top."""
        outputs = top.shape[-1]
        gain = column(goal, outputs, OUTCOME) * column(goal, outputs, WEIGHT)
        chosen = (goal[..., :outputs] * torch.log_softmax(top, -1)).sum(-1)
        return -gain[..., 0] * chosen, gain * choice(top, goal)

    def forward(
        self, weights: list[Tensor], biases: list[Tensor], transfers: dict[str, Any]
    ) -> Callable[[Tensor], Tensor]:
        """Function from observations to rates of the top (run, presentation, action), at these weights."""
        plain = len(self.layers) == len(self.steps) - 1 and all(
            len(layer.pre) == len(layer.post) == 1 for layer in self.layers
        )
        if not plain:
            return lambda x: self.settle(weights, biases, x, transfers)[1][-1]
        stages = [
            (w.transpose(1, 2), b, torch_rate(transfers[layer.step.name]))
            for layer, w, b in zip(self.layers, weights, biases, strict=True)
        ]

        def top(x: Tensor) -> Tensor:
            for up, bias, rate in stages:
                x = rate(torch.baddbmm(bias, x, up))
            return x

        return top


def policy(net: Network, environment: Any) -> Policy:
    """Compile a declared chain as a policy of an environment.

    Raises
    ------
    BuildError, RunError
        If it is not a chain, its sizes are not the environment's, or its objective is not cross-entropy.
    """
    body = architecture(net)
    sizes = (body.inputs, body.outputs)
    if sizes != (environment.observations, environment.actions):
        raise RunError(
            f"model {net.name}: has {sizes[0]} inputs and {sizes[1]} outputs, but the environment has "
            f"{environment.observations} observations and {environment.actions} actions; "
            "change model_settings to match"
        )
    if not isinstance(body.net.objective_function, CrossEntropy):
        raise RunError(
            f"model {net.name}: a policy draws actions from a softmax; give it the objective cross_entropy"
        )
    return Policy(body.net, body.steps, body.layers)
