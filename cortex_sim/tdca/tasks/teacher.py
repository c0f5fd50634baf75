"""Teacher networks: random multilayer perceptrons whose outputs, or largest output, are to be learned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from cortex_sim import registry
from cortex_sim.activations import Activation
from cortex_sim.checks import require_count, require_known, require_positive
from cortex_sim.errors import DeclarationError
from cortex_sim.tdca.tasks.batch import Task

PROBES = 1000  # stimuli on which a teacher's outputs are measured when it is drawn
OBJECTIVES = {"outputs": "squared_error", "labels": "cross_entropy"}


@dataclass(frozen=True)
class Teachers:
    """y = (W_L r_{L−1} − mean) / sd, r_l = f(W_l r_{l−1}), W_l Gaussian of variance gain² / pre.

    Each output's mean and standard deviation are measured when a teacher is drawn, so that outputs
    have the same scale, and no class is rare merely because its output has an offset.

    Parameters
    ----------
    widths : sequence of int
        Units from the stimulus to the output, such as (20, 50, 10).
    activation : str, default "tanh"
        Registered name of f, of all but the outputs, which are linear.
    gain : float, default 2.0
        A larger gain makes the teacher less linear; positive.
    targets_are : {"labels", "outputs"}
        Whether the one-hot of the largest output is to be learned (cross-entropy), or the outputs
        (squared error).
    """

    widths: Sequence[int]
    activation: str = "tanh"
    gain: float = 2.0
    targets_are: str = "labels"

    def __post_init__(self) -> None:
        fine = isinstance(self.widths, Sequence) and not isinstance(self.widths, str)
        if not fine or len(self.widths) < 2:
            raise DeclarationError(
                f"Teachers: widths must list the units from stimulus to output. Got {self.widths!r}"
            )
        for width in self.widths:
            require_count(self, widths=width)
        require_positive(self, gain=self.gain)
        require_known("targets_are of Teachers", self.targets_are, OBJECTIVES)
        registry.find("activation", self.activation)

    @property
    def inputs(self) -> int:
        """Values of one stimulus."""
        return self.widths[0]

    @property
    def outputs(self) -> int:
        """Values of one target."""
        return self.widths[-1]

    @property
    def objective(self) -> str:
        """Cross-entropy for labels, squared error for outputs."""
        return OBJECTIVES[self.targets_are]

    def tasks(self, count: int, generator: Generator) -> Task:
        """``count`` teachers: weights_l (task, post, pre), mean and sd (task, 1, output)."""
        task = {
            f"weights_{layer}": torch.randn(count, post, pre, generator=generator)
            * (self.gain / math.sqrt(pre))
            for layer, (pre, post) in enumerate(zip(self.widths, self.widths[1:], strict=False), start=1)
        }
        probes = torch.randn(PROBES, self.inputs, generator=generator).expand(count, -1, -1)
        sd, mean = torch.std_mean(self._raw(task, probes), dim=1, keepdim=True)
        return {**task, "mean": mean, "sd": torch.where(sd > 0, sd, 1.0)}

    def targets(self, task: Task, x: Tensor) -> Tensor:
        """Targets (task, presentation, output) of stimuli x (task, presentation, input)."""
        y = (self._raw(task, x) - task["mean"]) / task["sd"]
        if self.targets_are == "outputs":
            return y
        return functional.one_hot(y.argmax(2), self.outputs).float()

    def _raw(self, task: Task, x: Tensor) -> Tensor:
        f: Activation = registry.make("activation", self.activation)
        layers = len(self.widths) - 1
        for layer in range(1, layers):
            x = f.rate(x @ task[f"weights_{layer}"].mT)
        return x @ task[f"weights_{layers}"].mT
