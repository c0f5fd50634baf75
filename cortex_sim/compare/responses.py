"""What metrics compare: responses of neuroids to stimuli, or dissimilarities between the responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import listed
from cortex_sim.data.identities import identities
from cortex_sim.errors import DataError

Array = NDArray[np.float64]
ROUNDING = 1e-12  # variation, relative to the size of responses, that counts as none
LARGEST = 1e60  # largest response: sums of fourth powers, as in CKA, must stay in the range of float64


@dataclass(frozen=True, eq=False)
class Responses:
    """Responses of neuroids to stimuli, one row per stimulus, with or without repeats.

    Parameters
    ----------
    name : str
        Name in messages and tables, such as "V4 201025" or "conv4/IT".
    stimuli : sequence of str
        Unique ids of the stimuli.
    values : array of shape (stimulus, neuroid)
        Means over repeats; finite. Like ``repeats`` it is read-only, since scores are computed only once.
    repeats : array of shape (repeat, stimulus, neuroid), optional
        Single presentations; NaN where a repeat is missing, but no neuroid lacks all of a stimulus.
    units : mapping of str to array of shape (neuroid,)
        Labels of neuroids: ``neuroid_id``, and ``animal``, ``session``, ``population`` where known.
    groups : array of shape (stimulus,), optional
        Stimuli of one group (copies, a category, a run) share a fold where grouped folds are used.
    """

    name: str
    stimuli: Sequence[str]
    values: Array
    repeats: Array | None = None
    units: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    groups: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "stimuli", _ids(f"responses {self.name}", self.stimuli))
        object.__setattr__(self, "values", _numbers(f"responses {self.name}: values", self.values))
        if self.values.ndim != 2 or len(self.values) != len(self.stimuli):
            raise DataError(
                f"responses {self.name}: values must have shape (stimulus, neuroid) with "
                f"{len(self.stimuli)} stimuli. Got {self.values.shape}"
            )
        twice = len(self.stimuli) - len(set(self.stimuli))
        if twice:
            raise DataError(
                f"responses {self.name}: stimulus ids must be unique, but {twice} of {len(self.stimuli)} "
                f"repeat others; give repeats of a stimulus as repeats"
            )
        finite = np.abs(self.values) <= LARGEST
        if not finite.all():
            stimulus, neuroid = np.argwhere(~finite)[0]
            raise DataError(
                f"responses {self.name}: neuroid {neuroid} has no finite response to stimulus "
                f"{self.stimuli[stimulus]!r} ({self.values[stimulus, neuroid]:g}); leave out that neuroid or "
                f"that stimulus"
            )
        self._check_repeats()
        _check_lengths(f"responses {self.name}", self.units, self.neuroids, "neuroids")
        if self.groups is not None:
            object.__setattr__(self, "groups", np.asarray(self.groups))
            _check_lengths(f"responses {self.name}", {"groups": self.groups}, len(self), "stimuli")
            require_labels(f"responses {self.name}: groups", self.groups)

    def _check_repeats(self) -> None:
        if self.repeats is None:
            return
        repeats = _numbers(f"responses {self.name}: repeats", self.repeats, keep=True)
        object.__setattr__(self, "repeats", repeats)
        if repeats.ndim != 3 or repeats.shape[1:] != self.values.shape:
            raise DataError(
                f"responses {self.name}: repeats must have shape (repeat, {len(self)}, {self.neuroids}). "
                f"Got {repeats.shape}"
            )
        missing = np.isnan(repeats).all(axis=0)
        if missing.any() or np.isinf(repeats).any():
            wrong = missing if missing.any() else np.isinf(repeats).any(axis=0)
            stimulus, neuroid = np.argwhere(wrong)[0]
            what = "has no repeat" if missing.any() else "has an infinite repeat"
            raise DataError(
                f"responses {self.name}: neuroid {neuroid} {what} of stimulus {self.stimuli[stimulus]!r}; "
                f"mark single missing repeats with NaN, and leave out neuroids or stimuli that have none"
            )

    def __len__(self) -> int:
        """Number of stimuli."""
        return len(self.stimuli)

    @property
    def neuroids(self) -> int:
        """Number of neuroids."""
        return self.values.shape[1]

    def take(self, stimuli: Any = None, neuroids: Any = None) -> Responses:
        """These stimuli and these neuroids, by number or mask, in this order."""
        s = np.arange(len(self)) if stimuli is None else np.arange(len(self))[stimuli]
        n = np.arange(self.neuroids) if neuroids is None else np.arange(self.neuroids)[neuroids]
        return replace(
            self,
            stimuli=[self.stimuli[int(i)] for i in s],
            values=self.values[np.ix_(s, n)],
            repeats=None if self.repeats is None else self.repeats[:, s][:, :, n],
            units={key: np.asarray(of)[n] for key, of in self.units.items()},
            groups=None if self.groups is None else np.asarray(self.groups)[s],
        )


@dataclass(frozen=True, eq=False)
class Dissimilarities:
    """Representational dissimilarity matrices (RDMs) of the same stimuli, one per subject or session.

    Parameters
    ----------
    name : str
    stimuli : sequence of str
        Unique ids.
    values : array of shape (rdm, pair)
        Upper triangles, row by row: (0, 1), (0, 2), …; NaN where a pair was not measured.
    units : mapping of str to array of shape (rdm,)
        Labels of the RDMs: ``animal``, ``session`` where known.
    measure : str
        How they were computed, such as "1 - r" or "crossnobis".
    """

    name: str
    stimuli: Sequence[str]
    values: Array
    units: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    measure: str = "unknown"

    def __post_init__(self) -> None:
        object.__setattr__(self, "stimuli", _ids(f"RDMs {self.name}", self.stimuli))
        object.__setattr__(self, "values", np.atleast_2d(_numbers(f"RDMs {self.name}: values", self.values)))
        n = len(self.stimuli)
        if self.values.ndim != 2 or self.values.shape[1] != n * (n - 1) // 2:
            raise DataError(
                f"RDMs {self.name}: values must have shape (rdm, pair), and {n} stimuli have "
                f"{n * (n - 1) // 2} pairs. Got {self.values.shape}"
            )
        if np.isinf(self.values).any():
            raise DataError(f"RDMs {self.name}: hold infinite dissimilarities; mark missing ones with NaN")
        _check_lengths(f"RDMs {self.name}", self.units, len(self.values), "RDMs")
        if len(set(self.stimuli)) != n:
            raise DataError(f"RDMs {self.name}: stimulus ids occur more than once; make them unique")

    def __len__(self) -> int:
        """Number of stimuli."""
        return len(self.stimuli)

    def square(self) -> Array:
        """The matrices, shape (rdm, stimulus, stimulus), with zeros on the diagonal."""
        n = len(self)
        full = np.zeros((len(self.values), n, n))
        rows, columns = np.triu_indices(n, 1)
        full[:, rows, columns] = full[:, columns, rows] = self.values
        return full

    def take(self, stimuli: Any = None) -> Dissimilarities:
        """These stimuli, by number or mask, in this order."""
        s = np.arange(len(self)) if stimuli is None else np.arange(len(self))[stimuli]
        rows, columns = np.triu_indices(len(s), 1)
        kept = self.square()[:, s][:, :, s][:, rows, columns]
        return replace(self, stimuli=[self.stimuli[int(i)] for i in s], values=kept)


def _ids(what: str, given: Sequence[Any]) -> tuple[str, ...]:
    found = tuple(identities(f"{what}: stimuli", list(given)))
    if not all(found):
        raise DataError(
            f"{what}: {found.count('')} of {len(found)} stimulus ids are empty or NaN; give one for each"
        )
    return found


def _numbers(what: str, given: Any, keep: bool = False) -> NDArray[Any]:
    """Numbers as float64 (``keep``: in their own precision), as a read-only view."""
    array = np.asarray(given)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what} must be numbers. Got dtype {array.dtype}")
    found = (array if keep and array.dtype.kind == "f" else array.astype(np.float64, copy=False)).view()
    found.flags.writeable = False
    return found


def _check_lengths(what: str, known: Mapping[str, Any], count: int, of: str) -> None:
    for key, values in known.items():
        if np.shape(values) != (count,):
            raise DataError(f"{what}: {key} must be given for each of {count} {of}. Got {np.shape(values)}")


def require_labels(what: str, labels: NDArray[Any]) -> None:
    """Raise `DataError` where a label is missing: those without one would count as one group."""
    if labels.dtype.kind in "biu":
        return
    without = [number for number, one in enumerate(labels.tolist()) if one is None or one != one or one == ""]
    if without:
        raise DataError(
            f"{what}: {len(without)} of {len(labels)} are empty or NaN, such as entry {without[0]}; name "
            "the group of each, a separate one for those that belong to none"
        )


def matched(
    model: Responses, neural: Responses | Dissimilarities
) -> tuple[Responses, Responses | Dissimilarities]:
    """Both with the stimuli that they share, in the order of the neural data.

    Raises
    ------
    DataError
        If a stimulus of the neural data was not presented to the model.
    """
    at = {stimulus: i for i, stimulus in enumerate(model.stimuli)}
    missing = [stimulus for stimulus in neural.stimuli if stimulus not in at]
    if missing:
        raise DataError(
            f"{model.name} and {neural.name}: {len(missing)} of {len(neural)} stimuli of the neural data "
            f"were not presented to the model, such as {listed(missing[:3])}; present the data's own stimuli "
            f"(the model has {listed(list(model.stimuli[:3]))}, …)"
        )
    return model.take([at[stimulus] for stimulus in neural.stimuli]), neural
