"""Inputs and goals of a population other than numbers and arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from cortex_sim.calling import known_settings
from cortex_sim.checks import require_count, require_flag, require_known, short
from cortex_sim.errors import DeclarationError
from cortex_sim.protocol.closed_loop import LoopValue, unless_looped
from cortex_sim.protocol.per_trial import ABSENT, differing, numbers_per_trial
from cortex_sim.protocol.values import Comparable, above_zero_ms, at_least_zero, number, numeric

if TYPE_CHECKING:
    from cortex_sim.data import ImageSet
    from cortex_sim.preprocessing import Preprocessing


class Addable:
    """Inputs that ``+`` adds to others, arrays and numbers; see `Sum`."""

    __array_ufunc__ = None  # an array on the left leaves the sum to this class

    def __add__(self, other: Any) -> Sum:
        return Sum(self, other)

    def __radd__(self, other: Any) -> Sum:
        return Sum(other, self)


@known_settings
@dataclass(frozen=True, eq=False)
class TimeSeries(Comparable, Addable):
    """Input that changes within a phase.

    Parameters
    ----------
    values : array of shape (bin, unit), (bin, *shape of the population) or (bin,)
        Input in each bin, from the start of the phase; of shape (bin,), the same to every unit. With one
        more leading axis, (presentation, bin, unit), trial k gets the k-th: a movie per trial.
    bin_ms : float
        How long each bin is held, in ms, a multiple of the time step; the last lasts to the phase's end.
    """

    values: Any
    bin_ms: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", as_stimuli("TimeSeries", "values", self.values))
        object.__setattr__(self, "bin_ms", above_zero_ms("TimeSeries", "bin_ms", self.bin_ms))


@known_settings
@dataclass(frozen=True, eq=False)
class Noise(Comparable, Addable):
    """Gaussian input, independent for every presentation, and for every unit unless units share it.

    Parameters
    ----------
    sd : float, optional
        Standard deviation, 0 or more; may differ between trials.
    mean : float, default 0.0
        May differ between trials.
    hold_ms : float or None
        How long each value is held, in ms, a multiple of the time step; None draws a new value every time
        step.
    covariance : array of shape (unit, unit), optional
        In place of ``sd``: covariance between the units of the population, symmetric and without negative
        eigenvalues. Units with equal rows receive the same noise.
    """

    sd: Any = None
    mean: Any = 0.0
    hold_ms: float | None = None
    covariance: Any = None

    def __post_init__(self) -> None:
        if (self.sd is None) == (self.covariance is None):
            raise DeclarationError(
                "Noise: needs either sd, a standard deviation, or covariance, an array of shape (unit, "
                f"unit). Got {'neither' if self.sd is None else 'both'}"
            )
        if self.sd is None:
            object.__setattr__(self, "covariance", _as_covariance(self.covariance))
        else:
            object.__setattr__(self, "sd", numbers_per_trial(at_least_zero)("Noise", "sd", self.sd))
        object.__setattr__(self, "mean", numbers_per_trial(number)("Noise", "mean", self.mean))
        if self.hold_ms is not None:
            object.__setattr__(self, "hold_ms", above_zero_ms("Noise", "hold_ms", self.hold_ms))

    @property
    def parts(self) -> tuple[Any, ...]:
        """Settings that may differ between trials."""
        return (self.sd, self.mean)

    def with_parts(self, parts: Sequence[Any]) -> Noise:
        """The same with other settings; `ABSENT` is 0."""
        made = copy(self)
        for name, part in zip(("sd", "mean"), parts, strict=True):
            object.__setattr__(made, name, 0.0 if part is ABSENT else part)
        return made


def _as_covariance(given: Any) -> np.ndarray:
    values = numeric("Noise", "covariance", given)
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise DeclarationError(
            f"Noise: covariance must have the shape (unit, unit) of its population. Got {values.shape}"
        )
    largest = float(np.abs(values).max())
    if np.abs(values - values.T).max() > 1e-9 * largest:
        raise DeclarationError("Noise: covariance must be symmetric; give (covariance + covariance.T) / 2")
    lowest = float(np.linalg.eigvalsh(values)[0])
    if lowest < -1e-9 * largest * len(values):
        raise DeclarationError(
            f"Noise: covariance has the negative eigenvalue {lowest:.3g}, which no covariance can have; add "
            f"at least {-lowest:.3g} to its diagonal"
        )
    return values


@dataclass(frozen=True, eq=False, init=False)
class Sum(Comparable, Addable):
    """Several inputs added, such as an image plus noise; ``images + Noise(0.1)`` makes the same sum.

    Parameters
    ----------
    *parts : number, array, TimeSeries, Noise, Stimuli, or `PerTrial` or `FromTrial` of these
        Each as it would be given alone.

    Examples
    --------
    >>> import numpy as np
    >>> import cortex_sim as cs
    >>> images = np.zeros((3, 64))
    >>> cs.Sum(images, cs.Noise(0.1)) == images + cs.Noise(0.1)
    True
    """

    parts: tuple[Any, ...]

    def __init__(self, *parts: Any) -> None:
        if len(parts) < 2:
            raise DeclarationError(
                f"Sum: needs at least two inputs, such as Sum(images, Noise(0.1)). Got {len(parts)}"
            )
        whole = [one for part in parts for one in (part.parts if isinstance(part, Sum) else (part,))]
        made = [differing("Sum", f"part {k}", part, as_drive) for k, part in enumerate(whole)]
        object.__setattr__(self, "parts", tuple(made))

    def with_parts(self, parts: Sequence[Any]) -> Any:
        """The sum of other parts; `ABSENT` ones are left out."""
        found = tuple(part for part in parts if part is not ABSENT)
        if len(found) < 2:
            return found[0] if found else ABSENT
        made = copy(self)
        object.__setattr__(made, "parts", found)
        return made


@known_settings
@dataclass(frozen=True)
class Stimuli(Addable):
    """A data set by name: as a drive its images, as a nudge their labels; YAML keeps only the name.

    If the network holds the preprocessing of its training, that is applied to the images, as to all stimuli.

    Parameters
    ----------
    data : str
        Name or path for `cortex_sim.data.load`.
    split : {"train", "test"}
    count : int or None
        Presentations drawn from the split without regard to class; None takes all, in their order.
    seed : int, default 0
        Selects the presentations that are drawn; the same for images and labels.
    standardise : bool, default False
        Whether the images are standardised by the mean and standard deviation of the data set's training
        part. Ignored if the network holds the preprocessing of its training.
    """

    data: str
    split: str = "train"
    count: int | None = None
    seed: int = 0
    standardise: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.data, str) or not self.data:
            raise DeclarationError(
                f'Stimuli: data must be a name such as "digits", or a path. Got {self.data!r}'
            )
        require_known("split of Stimuli", self.split, {"train": None, "test": None})
        if self.count is not None:
            require_count("Stimuli", count=self.count)
        require_count("Stimuli", minimum=0, seed=self.seed)
        require_flag("Stimuli", standardise=self.standardise)

    @property
    def images(self) -> np.ndarray:
        """Images of shape (presentation, value) or (presentation, channel, row, column)."""
        return getattr(self._loaded(), f"x_{self.split}")[self._drawn()]

    def images_through(self, preprocessing: Preprocessing) -> np.ndarray:
        """The images with a trained network's preprocessing; ``standardise`` is ignored.

        Raises
        ------
        DeclarationError
            If their shape differs from that of the images on which it was trained.
        """
        raw = getattr(_loaded(self.data, False), f"x_{self.split}")[self._drawn()]
        shape, wanted = raw.shape[1:], preprocessing.shape
        one_is_flat = 1 in (len(shape), len(wanted)) and np.prod(shape) == np.prod(wanted)
        if shape != wanted and not one_is_flat:
            raise DeclarationError(
                f"Stimuli {self.data}: presentations have shape {shape}, but the network was trained on "
                f"{wanted} ({preprocessing.layout}); convert them with cs.data.stimuli(...).fit_to{wanted} "
                "and give the array"
            )
        return preprocessing.apply(raw.reshape(len(raw), *wanted))

    @property
    def labels(self) -> np.ndarray:
        """Labels of shape (presentation,)."""
        return getattr(self._loaded(), f"y_{self.split}")[self._drawn()]

    def _loaded(self) -> ImageSet:
        return _loaded(self.data, self.standardise)

    def _drawn(self) -> Any:
        available = len(getattr(self._loaded(), f"y_{self.split}"))
        if self.count is None:
            return slice(None)
        if self.count > available:
            raise DeclarationError(
                f"Stimuli {self.data}: count must be at most {available}, the presentations of its "
                f"{self.split} set. Got {self.count}"
            )
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, crc32(b"stimuli")]))
        return rng.permutation(available)[: self.count]


def _loaded(data: str, standardise: bool) -> ImageSet:
    """The set as it is now: a file that has changed, or another of the same relative path, is read again."""
    from cortex_sim.runs import identity

    return _read(data, standardise, repr(identity.of_data(data)))


@lru_cache(maxsize=2)
def _read(data: str, standardise: bool, content: str) -> ImageSet:
    from cortex_sim.data import load

    images = load(data)
    return images.standardised() if standardise else images


@known_settings
@dataclass(frozen=True, eq=False)
class Nudge(Comparable):
    """The goal of a population, with its own strength.

    Parameters
    ----------
    goal : array, Stimuli or value of a closed loop
        Labels of shape (presentation,) (whole numbers; at the objective's population only), target
        rates of shape (presentation, unit), or one target of shape (unit,) for all presentations.
    strength : float or None
        β, which may differ between trials; None takes the phase's.
    """

    goal: Any
    strength: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "goal", as_goal("Nudge", "goal", self.goal))
        if self.strength is not None:
            strength = numbers_per_trial(unless_looped(number))("Nudge", "strength", self.strength)
            object.__setattr__(self, "strength", strength)

    @property
    def parts(self) -> tuple[Any, ...]:
        """Settings that may differ between trials."""
        return (self.strength,)

    def with_parts(self, parts: Sequence[Any]) -> Nudge:
        """The same with another strength; `ABSENT` is the phase's."""
        made = copy(self)
        object.__setattr__(made, "strength", None if parts[0] is ABSENT else parts[0])
        return made


Drive = float | np.ndarray | TimeSeries | Noise | Stimuli | Sum | LoopValue


def as_drive(owner: str, what: str, value: Any) -> Drive:
    """A drive in one of its forms."""
    if isinstance(value, (TimeSeries, Noise, Stimuli, Sum, LoopValue)):
        return value
    _no_image_set(owner, what, value, "x_train")
    if value is None or isinstance(value, (str, Mapping, Nudge)):
        raise DeclarationError(
            f"{owner}: {what} must be a number, an array of shape (unit,) or (presentation, unit), "
            f"TimeSeries, Noise, Stimuli or Sum. Got {short(value)}"
        )
    if isinstance(value, (bool, int, float, np.number)):
        return number(owner, what, value.item() if isinstance(value, np.number) else value)
    return as_stimuli(owner, what, value)


def as_stimuli(owner: str, what: str, value: Any) -> np.ndarray:
    """Values of a drive; 8-bit values are grey levels, scaled to the range 0 to 1 as everywhere else."""
    values = numeric(owner, what, value)
    if values.dtype != np.uint8:
        return values
    scaled = values / np.float32(255)
    scaled.setflags(write=False)
    return scaled


def as_goal(owner: str, what: str, value: Any) -> np.ndarray | Stimuli | LoopValue:
    """A goal of a nudge: an array, the labels of a data set, or a value of a closed loop."""
    if isinstance(value, (Stimuli, LoopValue)):
        return value
    _no_image_set(owner, what, value, "y_train")
    if value is None or np.ndim(value) == 0 or isinstance(value, Mapping):
        raise DeclarationError(
            f"{owner}: {what} must be labels of shape (presentation,), target rates of shape (presentation, "
            f"unit) or one target of shape (unit,). Got {value!r}"
        )
    return numeric(owner, what, value)


def _no_image_set(owner: str, what: str, value: Any, part: str) -> None:
    if hasattr(value, "x_train"):
        raise DeclarationError(
            f"{owner}: {what} is a data set of two splits; give its .{part}, or Stimuli(name, split=...)"
        )
