"""Tasks whose stimuli or labels are disturbed: another contrast, an offset, noise, wrong labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from cortex_sim.checks import require_finite, require_nonnegative
from cortex_sim.errors import DeclarationError
from cortex_sim.tdca.tasks.batch import Distribution, Task, TaskBatch, draw

_NOISE_OF_TESTS = 0  # seed: the noise is the same in every evaluation of a part


@dataclass(frozen=True, eq=False)
class Disturbed:
    """The tasks of a distribution, with stimuli contrast · x + offset + noise · ξ and some labels wrong.

    Parameters
    ----------
    distribution : Distribution
    contrast : float, default 1.0
        Factor on stimuli; not negative.
    offset : float, default 0.0
        Added to every value of a stimulus.
    noise : float, default 0.0
        Standard deviation of independent normal noise ξ, new for every presentation.
    wrong_labels : float, default 0.0
        Share of training presentations whose target is another output unit, each equally often; targets
        of the other parts stay right.

    Notes
    -----
    Image stimuli have mean 0 and variance 1 over the training part before they are disturbed. The noise of a
    whole part is the same in every evaluation with equally many inner runs and presentations at a time; with
    other numbers it is another sample.
    """

    distribution: Distribution
    contrast: float = 1.0
    offset: float = 0.0
    noise: float = 0.0
    wrong_labels: float = 0.0

    def __post_init__(self) -> None:
        require_nonnegative(self, contrast=self.contrast, noise=self.noise, wrong_labels=self.wrong_labels)
        require_finite(self, offset=self.offset)
        if self.wrong_labels > 1:
            raise DeclarationError(
                f"Disturbed: wrong_labels must be a share of at most 1, such as 0.2. Got {self.wrong_labels}"
            )
        if self.wrong_labels and (self.objective != "cross_entropy" or self.outputs < 2):
            raise DeclarationError(
                f"Disturbed: wrong_labels={self.wrong_labels} needs two or more classes; leave it out"
            )

    @property
    def inputs(self) -> int:
        """Values of one stimulus."""
        return self.distribution.inputs

    @property
    def outputs(self) -> int:
        """Units that have a target."""
        return self.distribution.outputs

    @property
    def objective(self) -> str:
        """Registered name of the objective."""
        return self.distribution.objective

    def tasks(self, count: int, generator: Generator) -> Task:
        """As in the distribution."""
        return self.distribution.tasks(count, generator)

    def shown(self, task: Task, batch: int, part: str, generator: Generator) -> tuple[Tensor, Tensor]:
        """Disturbed stimuli, and targets, of which some are wrong in the training part."""
        x, y = self.distribution.shown(task, batch, part, generator)
        if self.wrong_labels and part == "train":
            y = self._some_wrong(y, generator)
        return self._disturbed(x, generator), y

    def every(self, task: Task, part: str, chunk: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Disturbed stimuli of a whole part, with right targets."""
        generator = Generator().manual_seed(_NOISE_OF_TESTS)
        for x, y, counted in self.distribution.every(task, part, chunk):
            yield self._disturbed(x, generator), y, counted

    def draw(self, runs: int, generator: Generator, twins: bool = False) -> TaskBatch:
        """A task for every inner run, see `cortex_sim.tdca.tasks.batch.draw`."""
        return draw(self, runs, generator, twins)

    def _disturbed(self, x: Tensor, generator: Generator) -> Tensor:
        x = self.contrast * x + self.offset
        return x + self.noise * torch.randn(x.shape, generator=generator) if self.noise else x

    def _some_wrong(self, y: Tensor, generator: Generator) -> Tensor:
        """One-hot targets (task, batch, output), some of them moved to another output, drawn uniformly."""
        wrong = torch.rand(y.shape[:2], generator=generator) < self.wrong_labels
        on = torch.randint(1, self.outputs, y.shape[:2], generator=generator)
        label = (y.argmax(-1) + on * wrong) % self.outputs
        return torch.zeros_like(y).scatter_(2, label[..., None], 1.0)
