"""The shape of neural data: Datasets of responses (presentation, neuroid[, time_bin]) and of RDMs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from cortex_sim.data.identities import identities
from cortex_sim.errors import DataError

#: What may be known of neuroids, by coordinate.
OF_NEUROIDS = ("neuroid_id", "session", "animal", "population", "compartment")

_UNITS = {
    "spikes/s": ("spikes/s", "spike/s", "sp/s", "spk/s", "hz", "1/s", "spikes per second"),
    "spike count": ("spike count", "spike counts", "count", "counts", "spikes"),
    "1": ("1", "", "a.u.", "au", "arbitrary", "dimensionless", "none", "z", "z-score"),
}
_NORMAL = {spelling: unit for unit, spellings in _UNITS.items() for spelling in spellings}


def normal_units(units: str | None) -> str:
    """The unit "spikes/s", "spike count" or "1" for its usual spellings; any other unit unchanged."""
    text = "" if units is None else str(units).strip()
    return _NORMAL.get(text.lower(), text)


def recording(
    name: str,
    rate: NDArray[Any],
    stimulus_id: Sequence[str] | NDArray[Any],
    *,
    units: str | None = None,
    repetition: ArrayLike | None = None,
    presentations: Mapping[str, ArrayLike] | None = None,
    neuroids: Mapping[str, ArrayLike] | None = None,
    time_bins: tuple[ArrayLike, ArrayLike] | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Responses as a Dataset in the shape of a recording, with plain coordinates.

    Parameters
    ----------
    name : str
        Name of the data in tables and messages.
    rate : array of shape (presentation, neuroid) or (presentation, neuroid, time_bin)
        NaN where a neuroid has no response to that presentation.
    stimulus_id : sequence of str
        One per presentation.
    units : str, optional
        "spikes/s", "spike count", "1" (the default), or another.
    repetition : array of shape (presentation,), optional
        By default, how often the stimulus was presented before.
    presentations, neuroids : mapping of str to array, optional
        Further coordinates; neuroids are numbered if there is no ``neuroid_id``.
    time_bins : (start, end), optional
        Arrays of shape (time_bin,), in ms.
    attributes : mapping of str to value, optional
        Further attributes of the Dataset.
    """
    dims = ("presentation", "neuroid", "time_bin")[: rate.ndim]
    ids = np.asarray(identities(f"neural data {name}: stimulus_id", stimulus_id), dtype=np.str_)
    counted = repetitions(ids.tolist()) if repetition is None else np.asarray(repetition)
    known = {"neuroid_id": [str(i) for i in range(rate.shape[1])], **(neuroids or {})}
    coordinates: dict[str, Any] = {
        "stimulus_id": ("presentation", ids),
        "repetition": ("presentation", counted),
    }
    coordinates |= {key: ("presentation", np.asarray(of)) for key, of in (presentations or {}).items()}
    coordinates |= {key: ("neuroid", _labels(key, of)) for key, of in known.items()}
    if time_bins is not None:
        start, end = (np.asarray(edge, dtype=np.float64) for edge in time_bins)
        coordinates |= {
            "time_bin_start": ("time_bin", start, {"units": "ms", "long_name": "start of the time bin"}),
            "time_bin_end": ("time_bin", end, {"units": "ms", "long_name": "end of the time bin, exclusive"}),
        }
    labels = {"units": normal_units(units), "long_name": "response"}
    return xr.Dataset({"rate": (dims, rate, labels)}, coordinates, {"name": name, **(attributes or {})})


def rdms(
    name: str,
    dissimilarity: NDArray[Any],
    stimulus_id: Sequence[str] | NDArray[Any],
    *,
    measure: str | None = None,
    known: Mapping[str, ArrayLike] | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Representational dissimilarity matrices as a Dataset.

    Parameters
    ----------
    name : str
    dissimilarity : array of shape (rdm, pair)
        Upper triangles, row by row: (0, 1), (0, 2), …
    stimulus_id : sequence of str
        One per stimulus.
    measure : str, optional
        Such as "1 - r"; "unknown" by default.
    known : mapping of str to array of shape (rdm,), optional
        ``animal``, ``session``, …
    attributes : mapping of str to value, optional
        Further attributes of the Dataset.
    """
    coordinates: dict[str, Any] = {
        "stimulus_id": (
            "stimulus",
            np.asarray(identities(f"neural data {name}: stimulus_id", stimulus_id), np.str_),
        )
    }
    coordinates |= {key: ("rdm", _labels(key, of)) for key, of in (known or {}).items()}
    labels = {"units": "1", "long_name": "dissimilarity, upper triangle row by row"}
    return xr.Dataset(
        {"dissimilarity": (("rdm", "pair"), dissimilarity, labels)},
        coordinates,
        {"name": name, "measure": measure or "unknown", **(attributes or {})},
    )


def repetitions(ids: Iterable[Any]) -> NDArray[np.int64]:
    """How often each entry occurred before."""
    seen: Counter[Any] = Counter()
    found = []
    for one in ids:
        found.append(seen[one])
        seen[one] += 1
    return np.asarray(found, dtype=np.int64)


def is_triangular(pairs: int) -> bool:
    """Whether it is the number of pairs of some number of stimuli, at least 2."""
    return pairs > 0 and math.isqrt(1 + 8 * pairs) ** 2 == 1 + 8 * pairs


def stimuli_of_pairs(source: str, name: str, pairs: int) -> int:
    """Number n of stimuli with n (n − 1) / 2 pairs.

    Raises
    ------
    DataError
        If no whole number of stimuli has that many pairs.
    """
    n = (1 + math.isqrt(1 + 8 * pairs)) // 2
    if not is_triangular(pairs):
        raise DataError(
            f"neural data {source}: {name} has {pairs} entries per RDM, not the n (n - 1) / 2 pairs of n "
            f"stimuli ({n} have {n * (n - 1) // 2}); give the upper triangle, or a square"
        )
    return n


def _labels(key: str, values: ArrayLike) -> NDArray[Any]:
    """Identities as text, everything else as it is."""
    array = np.asarray(values)
    return array.astype(np.str_) if key in OF_NEUROIDS or array.dtype.kind == "O" else array
