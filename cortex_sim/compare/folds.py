"""Which stimuli are held out together when a mapping is cross-validated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import require_count
from cortex_sim.compare.responses import Responses
from cortex_sim.errors import DataError

Numbers = NDArray[np.int64]


class Folds(Protocol):
    """A way to divide stimuli into folds; every stimulus is held out exactly once."""

    name: ClassVar[str]

    def assign(self, responses: Responses, rng: np.random.Generator) -> Numbers:
        """Fold of each stimulus, shape (stimulus,), from 0.

        Raises
        ------
        DataError
            If there are fewer stimuli or groups than folds.
        """
        ...


@dataclass(frozen=True)
class RandomFolds:
    """Stimuli in random order, in folds of equal size (they differ by at most one stimulus).

    It leaks where stimuli next to each other are alike, such as frames of a film or neighbouring
    presentations of a drifting recording: use `BlockedFolds` or `GroupedFolds` there.
    """

    n: int = 10
    name: ClassVar[str] = "random"

    def __post_init__(self) -> None:
        require_count(self, minimum=2, n=self.n)

    def assign(self, responses: Responses, rng: np.random.Generator) -> Numbers:
        """Fold of each stimulus, shape (stimulus,)."""
        _enough(responses, self.n, len(responses), "stimuli")
        return rng.permutation(np.arange(len(responses)) % self.n)


@dataclass(frozen=True)
class BlockedFolds:
    """Contiguous stretches of stimuli, in the order of the responses.

    For responses in the order of presentation: slow drift, and what neighbours share, is then not in both
    the training and the held-out stimuli, except at the edges of the stretches.
    """

    n: int = 10
    name: ClassVar[str] = "blocked"

    def __post_init__(self) -> None:
        require_count(self, minimum=2, n=self.n)

    def assign(self, responses: Responses, rng: np.random.Generator) -> Numbers:
        """Fold of each stimulus, shape (stimulus,)."""
        _enough(responses, self.n, len(responses), "stimuli")
        return np.arange(len(responses)) * self.n // len(responses)


@dataclass(frozen=True)
class GroupedFolds:
    """Whole groups (`Responses.groups`: a category, a film, variants of one image) are held out together.

    Groups are assigned one by one, the largest first (of equal size at random), to the fold with the fewest
    stimuli.
    """

    n: int = 10
    name: ClassVar[str] = "grouped"

    def __post_init__(self) -> None:
        require_count(self, minimum=2, n=self.n)

    def assign(self, responses: Responses, rng: np.random.Generator) -> Numbers:
        """Fold of each stimulus, shape (stimulus,)."""
        group = _groups(responses, self.name)
        sizes = np.bincount(group)
        _enough(responses, self.n, len(sizes), "groups")
        shuffled = rng.permutation(len(sizes))
        fold_of, filled = np.empty(len(sizes), np.int64), np.zeros(self.n)
        for one in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
            fold_of[one] = np.argmin(filled)
            filled[fold_of[one]] += sizes[one]
        return fold_of[group]


@dataclass(frozen=True)
class AcrossRuns:
    """Each run or session (`Responses.groups`) is one fold: fitted on the others, tested on it."""

    name: ClassVar[str] = "across_runs"

    def assign(self, responses: Responses, rng: np.random.Generator) -> Numbers:
        """Fold of each stimulus, shape (stimulus,)."""
        run = _groups(responses, self.name)
        _enough(responses, 2, int(run.max()) + 1, "runs")
        return run


#: Ways to divide stimuli, by name.
FOLDS: dict[str, type[Any]] = {
    kind.name: kind for kind in (RandomFolds, GroupedFolds, BlockedFolds, AcrossRuns)
}


def _groups(responses: Responses, name: str) -> Numbers:
    """Groups numbered from 0."""
    if responses.groups is None:
        raise DataError(
            f"responses {responses.name}: {name} folds need the group of every stimulus; give "
            f"Responses(groups=...), or use random or blocked folds"
        )
    return np.unique(np.asarray(responses.groups), return_inverse=True)[1].reshape(-1).astype(np.int64)


def _enough(responses: Responses, folds: int, there: int, what: str) -> None:
    if there < folds:
        raise DataError(
            f"responses {responses.name}: {folds} folds need at least {folds} {what}. Got {there}; "
            f"use fewer folds"
        )
