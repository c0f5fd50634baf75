"""Labelled pictures on disk, split into parts: what `ImageSet` is for pictures in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.augmentation.base import Step
from cortex_sim.augmentation.chain import Chain
from cortex_sim.augmentation.crops import CentreCrop
from cortex_sim.augmentation.resizing import Resize
from cortex_sim.checks import listed
from cortex_sim.data.augmented import Augmented
from cortex_sim.data.images import PARTS, held_out
from cortex_sim.data.limits import chosen
from cortex_sim.data.stimuli import StimulusSet
from cortex_sim.data.streamed.pixels import StreamedPixels
from cortex_sim.data.streamed.stores import Store
from cortex_sim.data.streamed.unreadable import Unreadable
from cortex_sim.errors import DataError
from cortex_sim.preprocessing import Preprocessing

MEASURED = 1000  # training pictures on which mean and standard deviation are measured
VIEW = (Resize(), CentreCrop())  # unless another is declared


@dataclass(frozen=True, eq=False)
class Part:
    """Pictures of one part: their numbers in a store, and their classes; arrays of shape (n,)."""

    store: Store
    labels: NDArray[np.int64]
    numbers: NDArray[np.int64]

    @staticmethod
    def of(store: Store, labels: NDArray[Any]) -> Part:
        """All pictures of a store."""
        return Part(store, np.asarray(labels, np.int64), np.arange(len(store)))

    def chosen(self, at: NDArray[Any]) -> Part:
        """These alone."""
        return Part(self.store, self.labels[at], self.numbers[at])


@dataclass(frozen=True, eq=False)
class StreamedSet:
    """Labelled pictures that are decoded whenever they are requested.

    Made by `cortex_sim.data.streamed_set`. Pictures may differ in size: `fit_to` says which part of each is
    shown.

    Parameters
    ----------
    name : str
    of : mapping of str to Part
        "train", and "validation" or "test" or both.
    classes : tuple of str
    shape : tuple of int, optional
        (channel, rows, columns) in which they are shown, by `fit_to`.
    view : tuple of Step
        Brings a whole picture to that size in tests, and where nothing else is declared.
    """

    name: str
    of: Mapping[str, Part]
    classes: tuple[str, ...]
    shape: tuple[int, ...] | None = None
    view: tuple[Step, ...] = ()
    unreadable: Unreadable = field(default_factory=lambda: Unreadable(""))

    def __repr__(self) -> str:
        """A summary in one line."""
        words = {"train": "to train", "validation": "to validate", "test": "to test"}
        counts = ", ".join(f"{len(self.of[part].labels)} {words[part]}" for part in self.parts)
        shown = "of any size" if self.shape is None else f"shown as {self.shape}"
        return f"StreamedSet({self.name!r}: {counts}, {shown}, {self.n_classes} classes)"

    @property
    def n_classes(self) -> int:
        """Number of classes, whether or not each occurs."""
        return len(self.classes)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the existing parts, of "train", "validation" and "test"."""
        return tuple(part for part in PARTS if part in self.of)

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        """(channel, rows, columns) as shown."""
        if self.shape is None:
            raise DataError(f"data {self.name}: pictures may differ in size; use fit_to((3, 224, 224))")
        return self.shape

    def fit_to(
        self, shape: Sequence[int], population: str = "input", view: Sequence[Step] | None = None
    ) -> StreamedSet:
        """The same pictures as a population sees them.

        Parameters
        ----------
        shape : (channel, rows, columns)
            With 1 channel (grey, ITU-R 601) or 3 (RGB).
        population : str
            Its name, for errors.
        view : sequence of Step, optional
            By default ``(Resize(), CentreCrop())``: the shorter side is resized to 8/7 of the population's,
            then the centre is cut out.

        Raises
        ------
        DataError
            If the shape is not one of pictures, or the view does not give it.
        """
        wanted = tuple(int(size) for size in np.atleast_1d(shape))
        if len(wanted) != 3 or wanted[0] not in (1, 3):
            raise DataError(
                f"data {self.name}: pictures on disk are shown to a population of shape (1 or 3 channels, "
                f"rows, columns), but {population} has {wanted}; give it such a shape"
            )
        steps = tuple(step.within((wanted[1], wanted[2])) for step in (view or VIEW))
        chain = Chain(steps)
        if any(step.draws for step in steps) or not chain.sized or chain.shape((wanted[0], 1, 1)) != wanted:
            raise DataError(
                f"data {self.name}: the view {list(steps)} must bring every picture to {wanted} without "
                "random numbers; end it with CentreCrop()"
            )
        return replace(self, shape=wanted, view=steps)

    def hold_out(self, n: int, seed: int = 0) -> StreamedSet:
        """A set whose validation part is ``n`` pictures held back from the training set.

        Parameters and exceptions are those of `ImageSet.hold_out`.
        """
        if "validation" in self.of:
            raise DataError(f"data {self.name}: already has a validation part; leave hold_out out")
        held = held_out(self.name, len(self.of["train"].labels), n, seed)
        train = self.of["train"]
        parts = {**self.of, "train": train.chosen(~held), "validation": train.chosen(held)}
        return replace(self, name=f"{self.name}, {n} held out", of=parts)

    def pixels(self, part: str, strict: bool = False) -> StreamedPixels:
        """Pictures of one part as shown.

        Parameters
        ----------
        part : {"train", "validation", "test"}
        strict : bool, default False
            Whether a picture that cannot be read is an error, and not replaced by another of its class.

        Raises
        ------
        DataError
            If there is no such part, or `fit_to` has not been used.
        """
        if part not in self.of:
            way = "; hold_out makes one" if part == "validation" else ""
            raise DataError(f"data {self.name}: has no part {part!r}, but {listed(self.parts)}{way}")
        of, channels = self.of[part], self.stimulus_shape[0]
        return StreamedPixels(
            of.store, of.numbers, of.labels, channels, Chain(self.view), self.unreadable, strict
        )

    def part(self, name: str) -> StimulusSet:
        """One part as stimuli; here a picture that cannot be read is an error, since its id names it."""
        pixels = self.pixels(name, strict=True)
        ids = [pixels.store.name(int(number)) for number in pixels.numbers]
        of = self.of[name]
        return StimulusSet(pixels, ids, of.labels, classes=self.classes, name=f"{self.name}, {name}")

    def shown(self, part: str, preprocessing: Preprocessing | None = None) -> Augmented:
        """One part as a source for training and tests, every picture through the view."""
        return self.augmented(part, Chain(self.view), preprocessing)

    def augmented(self, part: str, chain: Chain, preprocessing: Preprocessing | None = None) -> Augmented:
        """One part through an augmentation, after the view if the augmentation gives no common size."""
        chain = chain if chain.sized else replace(chain, steps=(*self.view, *chain.steps))
        name = f"{self.name}, {part}"
        pixels = self.pixels(part)
        return Augmented(name, pixels, pixels.labels, chain, self.stimulus_shape, preprocessing)

    def preprocessing(self) -> Preprocessing:
        """Mean and standard deviation of each channel, measured on the training set as shown.

        On at most 1,000 pictures: the first of a fixed shuffle.
        """
        pixels = self.pixels("train")
        at = chosen(pixels.shape[0], MEASURED)
        total, squares, count = np.zeros(1, np.int64), np.zeros(1, np.int64), 0
        for start in range(0, len(at), 64):
            x = pixels.rows(at[start : start + 64]).astype(np.int64)
            count += x.size // x.shape[1]
            total, squares = total + x.sum((0, 2, 3)), squares + (x * x).sum((0, 2, 3))
        mean = total / count
        variance = np.maximum(squares / count - mean**2, 0)  # of whole numbers: exact up to the division
        sd = np.where(variance < 1e-9, 255.0, np.sqrt(variance))  # constant: sd 1 in units of 0..1
        return Preprocessing(self.stimulus_shape, tuple(mean / 255), tuple(sd / 255))
