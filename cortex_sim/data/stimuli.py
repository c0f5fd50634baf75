"""Stimuli with ids, to record a network's responses to; with labels or without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortex_sim.checks import listed
from cortex_sim.data.arrays import as_labels, as_stored_stimuli
from cortex_sim.data.fitting import View, background_of, fit
from cortex_sim.data.pixels import Fitted, Held, Pixels, everything, is_small
from cortex_sim.errors import DataError
from cortex_sim.preprocessing import Preprocessing, as_shown

# Coordinates that every recording has.
TAKEN = {"stimulus_id", "repetition", "arm", "trial", "block", "stage", "presentation"}
TAKEN |= {"neuroid", "neuroid_id", "population", "channel", "row", "column", "rate", "drive", "credit"}


class _Values:
    """Field `x`: given as an array or as `Pixels`, read as an array."""

    def __get__(self, owner: StimulusSet | None, kind: type | None = None) -> NDArray[Any]:
        if owner is None:
            raise AttributeError("x")  # so that the field has no default
        return everything(owner.name, owner.pixels)

    def __set__(self, owner: StimulusSet, given: Any) -> None:
        owner.__dict__["x"] = given


@dataclass(frozen=True, eq=False)
class StimulusSet:
    """Stimuli, a unique id for each, and descriptors.

    Parameters
    ----------
    x : array of shape (n, value), (n, y, x), (n, channel, y, x) or (n, y, x, channel)
        The stimuli, with 1 or 3 channels; where both readings are possible, channels come first. uint8 is
        kept as it is, a quarter of the memory, and is scaled to 0..1 in every batch. Sets read from files may
        be larger than memory (`Pixels`): `batch` reads only what is requested, ``x`` reads everything.
    ids : sequence of str, optional
        By default the numbers from 0.
    labels : integer or text array of shape (n,), optional
        Text becomes an index into ``classes``, which are then its values, sorted.
    descriptors : mapping of str to array of shape (n,)
        Anything else that is known about every stimulus; it is copied into recordings.
    classes : sequence of str
        Names of the labels.
    name : str
        Name of the set in error messages and recordings.
    preprocessing : Preprocessing, optional
        Applied to every batch; see `shown_through`.
    changes : tuple of str
        What was done to the stimuli to fit them to a network.
    attributes : mapping of str to number or text
        Further information about the set for recordings to store, such as the visual angle.

    Raises
    ------
    DataError
        If ids are not unique, lengths differ, or values are not finite.

    Examples
    --------
    >>> StimulusSet(np.zeros((3, 8, 8)), ids=["a", "b", "c"], labels=["cat", "dog", "cat"])
    StimulusSet('stimuli': 3 of shape (1, 8, 8), 2 classes)
    """

    x: _Values = _Values()
    ids: Sequence[str] | None = None
    labels: Any = None
    descriptors: Mapping[str, ArrayLike] = field(default_factory=dict)
    classes: Sequence[str] = ()
    name: str = "stimuli"
    preprocessing: Preprocessing | None = None
    changes: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = self.__dict__["x"]
        x = given if isinstance(given, Pixels) else Held(as_stored_stimuli(self.name, "x", given))
        count = x.shape[0]
        ids = tuple(map(str, range(count))) if self.ids is None else _unique(self.name, self.ids, count)
        labels, classes = _labels(self.name, self.labels, self.classes, count)
        described = {name: _descriptor(self.name, name, v, count) for name, v in self.descriptors.items()}
        checked = {"x": x, "ids": ids, "labels": labels, "classes": classes, "descriptors": described}
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        """A summary in one line, without the pixels."""
        classes = f", {len(self.classes)} classes" if self.classes else ""
        known = f", with {listed(list(self.descriptors))}" if self.descriptors else ""
        return f"StimulusSet({self.name!r}: {len(self)} of shape {self.stimulus_shape}{classes}{known})"

    def __len__(self) -> int:
        """Number of stimuli."""
        return self.pixels.shape[0]

    def __getitem__(self, which: Any) -> StimulusSet:
        """The stimuli of a slice, of numbers, or of a mask, as a set."""
        return self.take(np.arange(len(self))[which])

    @property
    def pixels(self) -> Pixels:
        """The stimuli as they are stored: in memory, or in files from which batches are read."""
        stored: Pixels = self.__dict__["x"]
        return stored

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        """Shape of one stimulus: (value,) or (channel, y, x)."""
        return self.pixels.shape[1:]

    def take(self, indices: ArrayLike) -> StimulusSet:
        """The stimuli with these numbers, in this order, with all their descriptors.

        Parameters
        ----------
        indices : integer array of shape (n,)

        Raises
        ------
        DataError
            If a number is out of range.
        """
        at = np.atleast_1d(np.asarray(indices))
        if at.dtype.kind not in "iu" or not len(at) or at.min() < -len(self) or at.max() >= len(self):
            raise DataError(f"stimuli {self.name}: give numbers from 0 to {len(self) - 1}. Got {indices!r}")
        assert self.ids is not None
        return replace(
            self,
            x=self.pixels.chosen(at),
            ids=[self.ids[i] for i in at],
            labels=None if self.labels is None else self.labels[at],
            descriptors={name: np.asarray(values)[at] for name, values in self.descriptors.items()},
        )

    def batch(
        self, indices: NDArray[Any], epoch: int = 0
    ) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
        """Stimuli by number as float32, 8-bit ones from 0 to 1, and their labels; the same in every epoch."""
        shown = as_shown(self.pixels.rows(np.arange(len(self))[indices]), self.preprocessing)
        return shown, None if self.labels is None else self.labels[indices]

    def shown_through(self, preprocessing: Preprocessing) -> StimulusSet:
        """The same stimuli with a preprocessing applied to batches, such as that of a trained network.

        Raises
        ------
        DataError
            If the preprocessing is for stimuli of another shape.
        """
        if preprocessing.shape != self.stimulus_shape:
            raise DataError(
                f"stimuli {self.name}: have shape {self.stimulus_shape}, but the preprocessing is for "
                f"{preprocessing.shape}; use fit_to{preprocessing.shape} first"
            )
        return replace(self, x=self.pixels, preprocessing=preprocessing)

    def noting(self, **attributes: Any) -> StimulusSet:
        """The same stimuli, with further attributes for recordings to store."""
        return replace(self, x=self.pixels, attributes={**self.attributes, **attributes})

    def fit_to(
        self,
        shape: int | Sequence[int],
        population: str = "input",
        *,
        crop: str | None = None,
        degrees: float | None = None,
        model_degrees: float = 8.0,
    ) -> StimulusSet:
        """The same stimuli in the shape of the population that they drive; `changes` lists what was done.

        Pictures are resized by Pillow's bicubic filter, which is antialiased; grey becomes three equal
        channels, colour its luminance (ITU-R 601). Shapes that would need more are refused: another aspect
        ratio (unless cropped), axes in another order, values that are not pictures.

        Parameters
        ----------
        shape : int or sequence of int
            Shape of the population.
        population : str
            Its name, for errors.
        crop : {None, "centre"}
            "centre" cuts pictures of another aspect ratio to the population's, about their centre.
        degrees : float, optional
            Visual angle that the stimuli subtend (their shorter side, where they are cropped). They are
            centred in the model's field of view: surrounded by grey (128, or 0 if they are not 8-bit) where
            they are smaller, cut where they are larger. None: it is not known, and they fill the field.
        model_degrees : float, default 8.0
            Visual angle of the model's field of view. Recordings note both angles.

        Raises
        ------
        DataError
            If the stimuli would be scrambled or distorted; the message says what would be accepted.

        Notes
        -----
        Stimuli are placed as on the screen of a model in Brain-Score: the field of view, model_degrees /
        degrees times as large as the stimuli, is resized to the population.

        Examples
        --------
        >>> natural = StimulusSet(np.zeros((3, 60, 80), np.uint8))
        >>> natural.fit_to((1, 32, 32), crop="centre", degrees=4, model_degrees=8).changes[0]
        '60 x 80 centred in 120 x 120, surrounded by 128: 4 degrees of visual angle in a field of view of 8'
        """
        wanted = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(map(int, shape))
        view = View(crop, degrees, model_degrees)
        background = background_of(self.pixels.dtype)
        steps, changes = fit(self.name, self.stimulus_shape, wanted, population, view, background)
        x = self.pixels
        if steps:
            x = Fitted(x, steps)
            x = Held(everything(self.name, x)) if is_small(x) else x
        noted = {**self.attributes, **view.angles}
        return replace(self, x=x, changes=(*self.changes, *changes), attributes=noted)

    @property
    def provenance(self) -> dict[str, Any]:
        """What recordings store about the stimuli: their name, how they were fitted and preprocessed."""
        noted: dict[str, Any] = {"stimuli": self.name, **self.attributes}
        if self.changes:
            noted["stimuli_changed"] = "; ".join(self.changes)
        if self.preprocessing is not None:
            noted["stimuli_mean"] = list(self.preprocessing.mean)
            noted["stimuli_sd"] = list(self.preprocessing.sd)
        return noted

    def fingerprint(self) -> str:
        """Digest of everything that a recording of responses to them depends on.

        Files are read as they are now, undecoded. Equal content has one fingerprint in every process.
        """
        from cortex_sim.recording.fingerprint import fingerprint

        known = {"ids": self.ids, "labels": self.labels, "classes": self.classes, "shown": self.preprocessing}
        noted = {"descriptors": self.descriptors, "provenance": self.provenance}
        return fingerprint([self.pixels.digest(), known, noted])


def _unique(source: str, ids: Sequence[str], count: int) -> tuple[str, ...]:
    if isinstance(ids, str) or not all(isinstance(one, str) and one for one in ids):
        raise DataError(f"stimuli {source}: ids must be a list of texts, none of them empty")
    if len(ids) != count:
        raise DataError(f"stimuli {source}: {len(ids)} ids for {count} stimuli; give one each")
    twice = [one for one, times in Counter(ids).items() if times > 1]
    if twice:
        raise DataError(f"stimuli {source}: the id {twice[0]!r} occurs more than once; make ids unique")
    return tuple(map(str, ids))


def _labels(
    source: str, labels: Any, classes: Sequence[str], count: int
) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    names = tuple(map(str, classes))
    if labels is None:
        return None, names
    array = np.asarray(labels)
    if array.dtype.kind in "US":
        known = np.asarray(names) if names else np.unique(array)
        unknown = set(array.ravel().tolist()) - set(known.tolist())
        if unknown:
            raise DataError(
                f"stimuli {source}: labels {listed(sorted(unknown))} are not among the classes; add them to "
                "classes, or leave classes out"
            )
        numbers = {name: i for i, name in enumerate(known.tolist())}
        array = np.asarray([numbers[one] for one in array.ravel().tolist()]).reshape(array.shape)
        names = tuple(map(str, known.tolist()))
    checked = as_labels(source, "y", array, count)
    if names and checked.max() >= len(names):
        raise DataError(
            f"stimuli {source}: the label {checked.max()} has no name in classes; give labels from 0 to "
            f"{len(names) - 1}, or name every class"
        )
    return checked, names


def _descriptor(source: str, name: str, values: ArrayLike, count: int) -> NDArray[Any]:
    array = np.asarray(values)
    if name in TAKEN:
        raise DataError(f"stimuli {source}: every recording has its own {name}; rename the descriptor")
    if array.shape != (count,) or array.dtype.kind not in "biufU":
        raise DataError(
            f"stimuli {source}: descriptor {name} has shape {array.shape} and dtype {array.dtype}; give one "
            f"number or text for each of {count} stimuli"
        )
    return array
