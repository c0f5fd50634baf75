"""Preprocessing of stimuli: measured on a network's training set, and fixed from then on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.checks import listed, require_known
from cortex_sim.errors import DataError

if TYPE_CHECKING:
    from cortex_sim.network import Network

#: Names of the axes of one presentation, by number of axes.
_LAYOUTS = {1: "value", 3: "channel, row, column"}


@dataclass(frozen=True)
class Preprocessing:
    """Mean and standard deviation of the training set, with which stimuli are standardised, and their shape.

    x' = (x − mean) / sd, with one mean and sd per channel for images, and one of each for everything else.
    They belong to the network that was trained with them: other stimuli are transformed with the same
    numbers, so that the network sees changes of contrast or brightness.

    Parameters
    ----------
    shape : tuple of int
        Shape of one presentation as the network takes it: (channel, row, column) or (value,).
    mean, sd : tuple of float
        One per channel, or one in all; in units of the stimuli, where 8-bit pixels run from 0 to 1. The
        default changes nothing.
    """

    shape: tuple[int, ...]
    mean: tuple[float, ...] = (0.0,)
    sd: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        for name, kind in (("shape", int), ("mean", float), ("sd", float)):
            object.__setattr__(self, name, tuple(kind(value) for value in getattr(self, name)))
        channels = self.shape[0] if len(self.shape) == 3 else 1
        numbers = np.array([*self.mean, *self.sd])
        for name in ("mean", "sd"):
            if len(getattr(self, name)) not in (1, channels):
                raise DataError(
                    f"preprocessing: {name} must be one number, or one for each of {channels} channels. "
                    f"Got {getattr(self, name)}"
                )
        if not np.isfinite(numbers).all() or min(self.sd) <= 0:
            raise DataError(
                f"preprocessing: mean must be finite and sd above 0. Got mean {self.mean}, sd {self.sd}"
            )

    @property
    def layout(self) -> str:
        """Axes of one presentation, in words."""
        return _LAYOUTS.get(len(self.shape), "axes as in shape")

    @property
    def changes_nothing(self) -> bool:
        """Whether values stay unchanged."""
        return set(self.mean) == {0.0} and set(self.sd) == {1.0}

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Stimuli as the network sees them, float32.

        Parameters
        ----------
        x : array of shape (presentation, *shape)

        Raises
        ------
        DataError
            If a presentation has another shape.
        """
        if x.shape[1:] != self.shape:
            raise DataError(
                f"preprocessing: presentations have shape {x.shape[1:]}, but the network was trained on "
                f"{self.shape} ({self.layout}); give that shape"
            )
        if self.changes_nothing:
            return np.asarray(x, dtype=np.float32)
        shaped = np.empty(x.shape, np.float32)
        step = max(1, 2**22 // max(1, math.prod(self.shape)))  # few float64 copies at a time
        for at in range(0, len(x), step):
            shaped[at : at + step] = (x[at : at + step] - self._along(self.mean)) / self._along(self.sd)
        return shaped

    def apply_to_levels(self, x: np.ndarray) -> np.ndarray:
        """The same for uint8 levels, which stand for 0 to 1: bit-identical to `apply`, from a table.

        Parameters
        ----------
        x : uint8 array of shape (presentation, *shape)
        """
        if x.shape[1:] != self.shape:
            return self.apply(x)  # refuses it
        images = len(self.shape) == 3
        one = replace(self, shape=(self.shape[0], 1, 1) if images else (1,))
        levels = np.divide(np.arange(256), np.float32(255), dtype=np.float32)
        table = one.apply(np.broadcast_to(levels.reshape(-1, *[1] * len(self.shape)), (256, *one.shape)))
        if not images:
            found: np.ndarray = table[:, 0][x]
            return found
        shaped = np.empty(x.shape, np.float32)
        rows = np.ascontiguousarray(table[:, :, 0, 0].T)
        for number, channel in np.ndindex(x.shape[:2]):  # "clip" skips a check that 8 bits always pass
            np.take(rows[channel], x[number, channel], out=shaped[number, channel], mode="clip")
        return shaped

    def _along(self, numbers: tuple[float, ...]) -> np.ndarray:
        return np.asarray(numbers).reshape(-1, *[1] * (len(self.shape) - 1))

    def to_data(self) -> dict[str, Any]:
        """The preprocessing as plain data."""
        return {field.name: list(getattr(self, field.name)) for field in fields(self)}

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> Preprocessing:
        """Preprocessing from plain data written by `to_data`.

        Raises
        ------
        DataError
            If the data cannot be read.
        """
        try:
            return Preprocessing(**{name: tuple(values) for name, values in data.items()})
        except (TypeError, ValueError) as exception:
            raise DataError(f"preprocessing: cannot be read ({exception})") from None


def as_shown(x: np.ndarray, preprocessing: Preprocessing | None = None) -> np.ndarray:
    """Stimuli as float32, 8-bit ones from 0 to 1, with a preprocessing applied."""
    if x.dtype == np.uint8:
        if preprocessing is not None:
            return preprocessing.apply_to_levels(x)
        # Divided, not multiplied by 1/255, so that values are bit-identical to those of an image set.
        return np.divide(x, np.float32(255), dtype=np.float32)
    return x if preprocessing is None else preprocessing.apply(x)


#: Preprocessing of a network: of its source or, if it has several, {source: preprocessing}.
Held = Preprocessing | Mapping[str, Preprocessing]


def by_source(net: Network, held: Held | None) -> dict[str, Preprocessing]:
    """Preprocessing by source; stimuli of sources without one are shown unchanged.

    Raises
    ------
    DataError
        If it does not say which of several sources it is for, or names an unknown one.
    """
    if held is None:
        return {}
    sources = net.sources
    if not isinstance(held, Mapping):
        if len(sources) > 1:
            raise DataError(
                f"network {net.name}: its preprocessing does not say which of its sources, "
                f"{listed(sources)}, it was measured for; set model.preprocessing = "
                f"{{{sources[0]!r}: preprocessing}}"
            )
        return {sources[0]: held}
    for name, one in held.items():
        require_known(f"source of {net.name} in its preprocessing", name, dict.fromkeys(sources), DataError)
        if not isinstance(one, Preprocessing):
            raise DataError(
                f"network {net.name}: the preprocessing of {name} must be a Preprocessing, such as "
                f"images.preprocessing() of an ImageSet. Got {one!r}"
            )
    return dict(held)


def as_data(net: Network, held: Held | None) -> dict[str, Any] | None:
    """Preprocessing of a network as plain data, for files."""
    known = by_source(net, held)
    if isinstance(held, Preprocessing):
        return held.to_data()
    return {"by_source": {name: one.to_data() for name, one in known.items()}} if known else None


def from_data(data: Mapping[str, Any] | None) -> Held | None:
    """Preprocessing of a network from plain data written by `as_data`."""
    if data is None:
        return None
    if "by_source" in data:
        return {name: Preprocessing.from_data(one) for name, one in data["by_source"].items()}
    return Preprocessing.from_data(data)
