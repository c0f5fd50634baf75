"""Steps of an augmentation in sequence, each with its own random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim import registry
from cortex_sim.augmentation.base import Pictures, Shape, Step
from cortex_sim.augmentation.draws import uniform
from cortex_sim.augmentation.normalising import Normalise
from cortex_sim.errors import DeclarationError


@dataclass(frozen=True)
class Chain:
    """Steps, in order; a pure function of the pictures, the seed, the epoch and the presentations' indices.

    Parameters
    ----------
    steps : tuple of Step
    seed : int
    """

    steps: tuple[Step, ...] = ()
    seed: int = 0

    @property
    def sized(self) -> bool:
        """Whether pictures of different sizes have the same size after all steps."""
        return any(step.sized for step in self.steps)

    def shape(self, have: Shape) -> Shape:
        """(channel, rows, columns) after all steps."""
        for step in self.steps:
            have = step.shape(have)
        return have

    def __call__(
        self, pictures: Sequence[NDArray[Any]] | Pictures, indices: NDArray[Any], epoch: int
    ) -> Pictures:
        """Augmented pictures (n, channel, rows, columns).

        Parameters
        ----------
        pictures : array of shape (n, channel, y, x), or n arrays of shape (channel, y, x)
            Pictures of different sizes need a step that brings them to the same size, such as a crop.
        indices : integer array of shape (n,)
            Indices of the presentations.
        epoch : int
        """
        numbers = [uniform(self.seed, epoch, indices, i, s.draws) for i, s in enumerate(self.steps)]
        first = 0
        if isinstance(pictures, np.ndarray):
            x = pictures
        else:
            first = 1 + next((i for i, step in enumerate(self.steps) if step.sized), -1)
            x = np.stack([self._one(picture, i, numbers[:first]) for i, picture in enumerate(pictures)])
        for step, u in zip(self.steps[first:], numbers[first:], strict=True):
            x = step(x, u)
        return x

    def _one(self, picture: NDArray[Any], number: int, numbers: list[NDArray[Any]]) -> NDArray[Any]:
        x = picture[None]
        for step, u in zip(self.steps, numbers, strict=False):
            x = step(x, u[number : number + 1])
        changed: NDArray[Any] = x[0]
        return changed


def declared(
    given: Any, size: tuple[int, int], owner: str = "augmentation"
) -> tuple[tuple[Step, ...], Normalise | None]:
    """Steps from names, ``{name: …, setting: …}`` or objects, and the normalisation among them, if any.

    Parameters
    ----------
    given : list, a single step, or None
    size : (int, int)
        Rows and columns that the network sees, for steps whose size was left open.
    owner : str
        What error messages begin with.

    Raises
    ------
    DeclarationError
        If a step is unknown, or a normalisation is not the last step.
    """
    made = registry.make_all("augmentation", given, owner)
    last = made[-1] if made and isinstance(made[-1], Normalise) else None
    steps = made[:-1] if last else made
    if any(isinstance(step, Normalise) for step in steps):
        raise DeclarationError(
            f"{owner}: normalise rescales pixels, and the other steps do not take rescaled ones; put it "
            "last, once"
        )
    return tuple(step.within(size) for step in steps), last
