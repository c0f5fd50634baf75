"""Source: an object that yields presentations by number, a batch at a time, however they are stored."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray


@runtime_checkable
class Source(Protocol):
    """Presentations that can be requested by number; they need not all be in memory.

    `cortex_sim.data.StimulusSet` is one, and so is a part of an image set (``images.part("test")``). A
    user-defined source needs these two methods; if it also has an attribute ``ids``, one text per
    presentation, recordings name its stimuli by these.
    """

    def __len__(self) -> int:
        """Number of presentations."""

    def batch(self, indices: NDArray[Any], epoch: int = 0) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Presentations by number, and their labels or target rates, if any.

        Parameters
        ----------
        indices : integer array of shape (n,)
        epoch : int, default 0
            Number of times that all have been presented before; a source may vary its stimuli with it.

        Returns
        -------
        x : float32 array of shape (n, *stimulus); for a network with several sources, mapping of source to
            array
        y : array of shape (n,) or (n, unit), or None
        """
