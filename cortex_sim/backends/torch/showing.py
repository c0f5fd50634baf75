"""Training data: presentations requested by index, in memory or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from cortex_sim.data.sources import Source
from cortex_sim.errors import DataError


class InMemory:
    """Stimuli (`Presentations` if there are several sources) and labels or target rates, as a source."""

    def __init__(self, x: Any, y: Tensor) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        """Number of presentations."""
        return len(self.x)

    def batch(self, indices: Any, epoch: int = 0) -> tuple[Any, Tensor]:
        """Presentations by index, on their device; the same in every epoch."""
        return self.x[indices], self.y[indices]


def as_source(x: Any, y: Any = None) -> Any:
    """A source of stimuli with labels; a source is returned unchanged."""
    if y is not None:
        return InMemory(x, y)
    if not isinstance(x, Source):
        raise DataError(
            "training: give stimuli with labels or targets, or a source with len(source) and "
            f"batch(indices, epoch). Got {type(x).__name__}"
        )
    if not len(x):
        raise DataError("training: the source has no presentations; give at least one")
    return x


def shown(source: Any, indices: np.ndarray, epoch: int) -> tuple[Any, Any]:
    """One batch of a source: the stimuli, and labels or targets, of the requested indices.

    Raises
    ------
    DataError
        If the source returns another number than requested.
    """
    found = source.batch(indices, epoch)
    if not isinstance(found, tuple) or len(found) != 2:
        raise DataError("source: batch(indices, epoch) must return (x, y), with y None where there are none")
    x, y = found
    counts = {len(values) for values in x.values() if np.ndim(values)} if isinstance(x, Mapping) else {len(x)}
    if counts != {len(indices)} or (y is not None and len(y) != len(indices)):
        labels = "none" if y is None else len(y)
        returned = " and ".join(map(str, sorted(counts)))
        raise DataError(
            f"source: {len(indices)} presentations were requested, but it returned {returned} stimuli and "
            f"{labels} labels; return exactly those requested"
        )
    return x, y


def batches(seed: int, epoch: int, count: int, size: int) -> Iterator[np.ndarray]:
    """Indices of each batch of an epoch, a pure function of seed and epoch; the last may be smaller."""
    order = np.random.default_rng([seed, 1 + epoch]).permutation(count)
    for start in range(0, count, size):
        yield order[start : start + size]


def batch_size_for(count: int, asked: int, ranks: int) -> tuple[int, list[str]]:
    """Presentations in one batch, and messages if this is not the number requested, or some are left out.

    Raises
    ------
    DataError
        If there are fewer presentations than ranks.
    """
    if count < ranks:
        raise DataError(
            f"training: there are fewer presentations ({count}) than ranks ({ranks}); use fewer ranks"
        )
    shared = count - count % ranks
    said = []
    if asked > shared:
        said.append(
            f"training: batch size {asked} exceeds the {count} training presentations and is reduced to "
            f"{shared}: one update per epoch"
        )
    if shared < count:
        said.append(
            f"training: each epoch leaves out {count - shared} of {count} presentations, different ones in "
            f"each, so that the {ranks} ranks have equally many"
        )
    return min(asked, shared), said


def update_size_for(count: int, batch: int, accumulate: int) -> tuple[int, list[str]]:
    """Presentations of one update of several batches, and a message if the data hold fewer."""
    asked = batch * accumulate
    if asked <= count or accumulate == 1:
        return min(asked, count), []
    return count, [
        f"training: {accumulate} batches of {batch} exceed the {count} training presentations, so each "
        f"update takes all of them, in fewer batches ({-(-count // batch)})"
    ]
