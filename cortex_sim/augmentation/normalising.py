"""Normalisation of stimuli by a mean and standard deviation that are declared rather than measured."""

from __future__ import annotations

from dataclasses import dataclass

from cortex_sim.preprocessing import Preprocessing
from cortex_sim.registry import register


@register("augmentation", "normalise")
@dataclass(frozen=True)
class Normalise:
    """x' = (x − mean) / sd, with pixels x from 0 to 1; it becomes the `Preprocessing` of the network.

    So it applies in training, in tests and to every later presentation. It must be the last step.

    Parameters
    ----------
    mean, sd : tuple of float
        One per channel, or one for all. Defaults: the values commonly used for ImageNet's training set, RGB.
    """

    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    sd: tuple[float, ...] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        for name in ("mean", "sd"):
            value = getattr(self, name)
            object.__setattr__(self, name, tuple(value) if isinstance(value, (list, tuple)) else (value,))

    def preprocessing(self, shape: tuple[int, ...]) -> Preprocessing:
        """The same normalisation for presentations of the given shape."""
        return Preprocessing(shape, self.mean, self.sd)
