"""Labelled stimuli to train and test on, and their legitimate transformations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortex_sim.checks import listed
from cortex_sim.data.arrays import (
    as_array,
    as_labels,
    as_stimuli,
    blocks,
    class_names,
    require_known_labels,
    whole_number,
)
from cortex_sim.data.axes import keeps_order, same_axes_in_another_order
from cortex_sim.data.stimuli import StimulusSet
from cortex_sim.errors import DataError
from cortex_sim.preprocessing import Preprocessing

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Stimuli with their labels, split into a training and a test set, and perhaps a validation set.

    Every reader makes one with `image_set`, which checks and converts; user code should do the same.

    Parameters
    ----------
    name : str
        Name of the data in error messages and reports.
    x_train, x_test : float32 array of shape (presentation, value) or (presentation, channel, y, x)
        The stimuli.
    y_train, y_test : int64 array of shape (presentation,)
        The class of each presentation, as an index into ``classes``.
    classes : tuple of str
        The name of each class.
    x_validation, y_validation : array, optional
        Held back from the training set, for choosing settings; see `hold_out`.
    """

    name: str
    x_train: NDArray[np.float32]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int64]
    classes: tuple[str, ...]
    x_validation: NDArray[np.float32] | None = None
    y_validation: NDArray[np.int64] | None = None

    def __repr__(self) -> str:
        """A summary in one line, without the pixels."""
        held = self.x_validation
        validated = "" if held is None else f"{len(held)} to validate, "
        return (
            f"ImageSet({self.name!r}: {len(self.x_train)} to train, {validated}{len(self.x_test)} to test, "
            f"stimuli {self.stimulus_shape}, {self.n_classes} classes)"
        )

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        """Shape of one presentation: (value,) or (channel, y, x)."""
        return self.x_train.shape[1:]

    @property
    def n_classes(self) -> int:
        """Number of classes, whether or not each occurs."""
        return len(self.classes)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the existing parts, of "train", "validation" and "test"."""
        return tuple(part for part in PARTS if part != "validation" or self.x_validation is not None)

    def part(self, name: str) -> StimulusSet:
        """One part with its labels, as stimuli numbered from 0.

        Parameters
        ----------
        name : {"train", "validation", "test"}

        Raises
        ------
        DataError
            If there is no such part.
        """
        if name not in self.parts:
            way = "; hold_out makes one" if name == "validation" else ""
            raise DataError(f"data {self.name}: has no part {name!r}, but {listed(self.parts)}{way}")
        x, y = getattr(self, f"x_{name}"), getattr(self, f"y_{name}")
        return StimulusSet(x, labels=y, classes=self.classes, name=f"{self.name}, {name}")

    def preprocessing(self) -> Preprocessing:
        """Shape, mean and standard deviation of the training set, by which stimuli are standardised.

        One mean and sd per channel for images of shape (channel, y, x), one of each for everything else,
        over training presentations and positions. A constant channel has sd 1.
        """
        mean, sd = _moments(self.x_train)
        return Preprocessing(self.stimulus_shape, tuple(mean.ravel()), tuple(sd.ravel()))

    def standardised(self) -> ImageSet:
        """Return the set with the training set's mean removed and its standard deviation made 1.

        Every part is standardised by `preprocessing`, which is measured on the training set alone. A
        constant channel becomes 0.
        """
        return self.shown_through(self.preprocessing())

    def shown_through(self, preprocessing: Preprocessing) -> ImageSet:
        """Return the set as seen by a network trained with this preprocessing."""
        return self._each(preprocessing.apply)

    def _each(self, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> ImageSet:
        """The same change made to the stimuli of every part."""
        held = self.x_validation
        return replace(
            self,
            x_train=change(self.x_train),
            x_test=change(self.x_test),
            x_validation=None if held is None else change(held),
        )

    def hold_out(self, n: int, seed: int = 0) -> ImageSet:
        """Return a set whose validation part is ``n`` presentations held back from the training set.

        For choosing settings: they are tried on the validation part, and the test set, which stays
        unchanged, is used once, at the end.

        Parameters
        ----------
        n : int
            Presentations to hold back, drawn without regard to class; at least one stays.
        seed : int, default 0
            Which ones: the same seed holds back the same ones, in their original order.

        Raises
        ------
        DataError
            If there already is a validation part, or none would stay to train on.
        """
        if self.x_validation is not None:
            raise DataError(f"data {self.name}: already has a validation part; call hold_out only once")
        held = held_out(self.name, len(self.x_train), n, seed)
        return replace(
            self,
            name=f"{self.name}, {n} held out",
            x_train=self.x_train[~held],
            y_train=self.y_train[~held],
            x_validation=self.x_train[held],
            y_validation=self.y_train[held],
        )

    def fit_to(self, shape: int | Sequence[int], population: str = "input") -> ImageSet:
        """Return the same values in the shape of the population that they drive (a view).

        Parameters
        ----------
        shape : int or sequence of int
            Shape of the population, such as 784 or (1, 28, 28).
        population : str, default "input"
            Its name, for the error message.

        Raises
        ------
        DataError
            If the sizes differ, or the axes are in another order.

        Notes
        -----
        Flattening and unflattening keep the order of values. Putting the axes of an image in
        another order would not, so (3, 32, 32) is refused by a population of shape (32, 32, 3).
        """
        wanted = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        wanted = tuple(
            whole_number(self.name, f"each size of population {population}", size, 1, 2**31)
            for size in wanted
        )
        have = self.stimulus_shape
        if math.prod(wanted) != math.prod(have):
            raise DataError(
                f"data {self.name} has {_spelled(have)} values per presentation, but population "
                f"{population} expects {_spelled(wanted)}; give the population shape {have}, "
                "or choose other data"
            )
        if not keeps_order(have, wanted):
            moved = same_axes_in_another_order(have, wanted)
            what = "the same axes in another order" if moved else "other axes"
            raise DataError(
                f"data {self.name} has presentations of shape {have}, but population {population} "
                f"has {what}, {wanted}, which would scramble every image; give the population shape {have}"
            )
        return self._each(lambda x: x.reshape(-1, *wanted))


def held_out(name: str, presentations: int, n: int, seed: int) -> NDArray[np.bool_]:
    """Which training presentations are held back, (presentation,); see `ImageSet.hold_out`."""
    if presentations < 2:
        raise DataError(f"data {name}: 1 training presentation is too few to hold one out")
    n = whole_number(name, "hold_out's n", n, 1, presentations - 1)
    seed = whole_number(name, "hold_out's seed", seed, 0, 2**63 - 1)
    held = np.zeros(presentations, bool)
    held[np.random.default_rng(seed).permutation(presentations)[:n]] = True
    return held


def image_set(
    name: str,
    x_train: ArrayLike,
    y_train: ArrayLike,
    x_test: ArrayLike,
    y_test: ArrayLike,
    classes: Sequence[str] | NDArray[np.str_] | None = None,
    *,
    source: str | None = None,
) -> ImageSet:
    """Check arrays of any origin, convert them, and return them as an `ImageSet`.

    Parameters
    ----------
    name : str
        Name of the data in error messages and reports.
    x_train, x_test : array of shape (n, value), (n, y, x), (n, channel, y, x) or (n, y, x, channel)
        Stimuli, with 1 or 3 channels. Where both readings are possible, channels come first. uint8
        is scaled from 0..255 to 0..1. Arrays that are already float32 are not copied.
    y_train, y_test : integer array of shape (n,)
        Class of each presentation, from 0.
    classes : sequence of str, optional
        Names of the classes; by default the numbers from 0 to the largest label in ``y_train``.
    source : str, optional
        What error messages show instead of ``name``, such as the path of a file.

    Raises
    ------
    DataError
        If an array cannot be used; the message names the source, the array, what is wrong with it and
        what would be accepted.

    Examples
    --------
    >>> image_set("noise", np.zeros((5, 8, 8)), [0, 1, 2, 1, 0], np.ones((2, 8, 8)), [2, 1])
    ImageSet('noise': 5 to train, 2 to test, stimuli (1, 8, 8), 3 classes)
    """
    source = source or name
    _require_alike(source, x_train, x_test)
    train, test = as_stimuli(source, "x_train", x_train), as_stimuli(source, "x_test", x_test)
    if train.shape[1:] != test.shape[1:]:
        raise DataError(
            f"data {source}: x_train has presentations of shape {train.shape[1:]}, x_test of "
            f"{test.shape[1:]}; give both the same shape"
        )
    train_labels = as_labels(source, "y_train", y_train, len(train))
    test_labels = as_labels(source, "y_test", y_test, len(test))
    names = class_names(source, classes, train_labels)
    require_known_labels(source, "y_train", train_labels, names)
    require_known_labels(source, "y_test", test_labels, names)
    return ImageSet(name, train, train_labels, test, test_labels, names)


def _require_alike(source: str, x_train: ArrayLike, x_test: ArrayLike) -> None:
    """Raise unless both or neither are uint8: else only one would be scaled to 0..1."""
    numbers = "give numbers: uint8 from 0 to 255, or float32"
    train = as_array(source, "x_train", x_train, "biuf", numbers).dtype
    test = as_array(source, "x_test", x_test, "biuf", numbers).dtype
    if (train == np.uint8) != (test == np.uint8):
        raise DataError(
            f"data {source}: x_train is {train} and x_test is {test}, but only uint8 is scaled to "
            "0..1; give both the same dtype"
        )


def _spelled(shape: tuple[int, ...]) -> str:
    return str(shape[0]) if len(shape) == 1 else f"{math.prod(shape)} {shape}"


def _moments(x: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation per channel, in float64 and without a copy of x."""
    axes = tuple(axis for axis in range(x.ndim) if not (x.ndim == 4 and axis == 1))
    count = math.prod(x.shape[axis] for axis in axes)
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
    mean, variance = np.zeros(kept), np.zeros(kept)
    for block in blocks(x):
        mean += x[block].sum(axes, dtype=np.float64, keepdims=True) / count
    for block in blocks(x):
        variance += np.square(x[block] - mean).sum(axes, keepdims=True) / count
    sd = np.sqrt(variance)
    constant = sd <= np.finfo(np.float32).eps * np.abs(mean)  # the remainder is rounding, not signal
    return mean, np.where(constant, 1.0, sd)
