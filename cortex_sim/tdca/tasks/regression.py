"""Random smooth functions: sums of sinusoids, as samples of a Gaussian process."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from cortex_sim.checks import require_count, require_positive
from cortex_sim.tdca.tasks.batch import Task


@dataclass(frozen=True)
class SmoothFunctions:
    """y_o = √(2/F) Σ_f a_of cos(w_f·x / length + φ_f), with a and w standard normal, φ uniform.

    With many sinusoids F these are, for each output, samples of a Gaussian process of mean 0 and covariance
    exp(−‖x − x′‖² / (2 length²)); at every x the mean of y² over functions is 1.

    Parameters
    ----------
    inputs, outputs : int, default 1
    features : int, default 64
        F, the number of sinusoids.
    length : float, default 1.0
        Distance over which a function changes, in standard deviations of the stimuli; positive.

    References
    ----------
    Rahimi, Recht (2007), Random features for large-scale kernel machines.
    """

    inputs: int = 1
    outputs: int = 1
    features: int = 64
    length: float = 1.0

    objective: ClassVar[str] = "squared_error"

    def __post_init__(self) -> None:
        require_count(self, inputs=self.inputs, outputs=self.outputs, features=self.features)
        require_positive(self, length=self.length)

    def tasks(self, count: int, generator: Generator) -> Task:
        """``count`` functions: frequency (task, feature, input), phase, amplitude (task, output, feature)."""
        frequency = torch.randn(count, self.features, self.inputs, generator=generator) / self.length
        phase = 2 * math.pi * torch.rand(count, 1, self.features, generator=generator)
        amplitude = torch.randn(count, self.outputs, self.features, generator=generator)
        scale = math.sqrt(2 / self.features)
        return {"frequency": frequency, "phase": phase, "amplitude": amplitude * scale}

    def targets(self, task: Task, x: Tensor) -> Tensor:
        """Targets (task, presentation, output) of stimuli x (task, presentation, input)."""
        waves = torch.cos(x @ task["frequency"].mT + task["phase"])
        return waves @ task["amplitude"].mT
