"""Representational dissimilarity matrices from files: named arrays, and HDF5 as rsatoolbox writes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortex_sim.checks import listed
from cortex_sim.data.identities import identities
from cortex_sim.data.limits import MAX_BYTES
from cortex_sim.errors import DataError
from cortex_sim.neural.companions import given_ids, ids_of_stimuli, own_stimuli
from cortex_sim.neural.shape import is_triangular, rdms, stimuli_of_pairs
from cortex_sim.neural.stored import Stored, dataset, opened

if TYPE_CHECKING:
    import h5py

FORM = "RDMs: an array (pair), (rdm, pair), (subject, session, pair) or (rdm, stimulus, stimulus)"
ANIMALS = ("animal", "animals", "subject", "subjects", "participant")
SESSIONS = ("session", "sessions")
IDS = ("stimulus_id", "image_id", "ids", "stimulus", "stimuli", "images", "conds", "conditions", "pattern")


def looks_like_rdms(stored: Stored, name: str, stimuli: int | None) -> bool:
    """Whether an array holds dissimilarities rather than responses, by its name and shape.

    Parameters
    ----------
    stored : Stored
    name : str
    stimuli : int, optional
        Number of stimuli of the file, if its ids or pictures reveal it.
    """
    shape, kind = stored.shapes[name]
    if kind not in "iuf" or name.startswith("response") or not shape:
        return False
    if named_so(name):
        return True
    ids = given_ids(stored) or []
    if len(set(ids)) < len(ids):
        return False  # one id per presentation, not per stimulus
    if len(shape) > 1 and shape[-1] == shape[-2] and stimuli in (None, shape[-1]):
        return _are_squares(stored.numbers(name, "(stimulus, stimulus)"))
    if stimuli is None:
        return len(shape) == 1
    return shape[-1] == stimuli * (stimuli - 1) // 2 and not (len(shape) == 2 and shape[0] == stimuli)


def named_so(name: str) -> bool:
    """Whether an array's name says that it holds dissimilarities."""
    return any(word in name.lower() for word in ("rdm", "dissim"))


def read_rdms(stored: Stored, name: str) -> xr.Dataset:
    """The RDMs of one array; leading axes are animals (subjects) and sessions.

    Raises
    ------
    DataError
        If its shape is neither that of upper triangles nor of symmetric squares, or does not fit the ids.
    """
    values = stored.numbers(name, "(rdm, pair) or (rdm, stimulus, stimulus)")
    if (
        values.ndim > 1
        and values.shape[-1] == values.shape[-2]
        and _square_meant(values, own_stimuli(stored))
    ):
        values = _triangles(f"{stored.path}: {name}", values)
    leading, pairs = values.shape[:-1], values.shape[-1]
    if len(leading) > 2:
        raise stored.refused(name, "give (rdm, pair), (subject, session, pair) or (rdm, stimulus, stimulus)")
    n = stimuli_of_pairs(str(stored.path), name, pairs)
    ids, numbered = ids_of_stimuli(stored, n, name)
    return rdms(
        f"{stored.path.stem}, {name}",
        values.reshape(-1, pairs),
        ids,
        measure=stored.text("measure"),
        known=_known(stored, name, leading),
        attributes={"stimuli": "numbered" if numbered else "named"},
    )


def is_rsatoolbox(path: Path) -> bool:
    """Whether an HDF5 file holds RDMs as `rsatoolbox.rdm.RDMs.save` writes them."""
    with opened(path) as file:
        return "dissimilarities" in file and "pattern_descriptors" in file


def read_rsatoolbox(path: Path, *, max_bytes: int = MAX_BYTES) -> xr.Dataset:
    """RDMs with their descriptors.

    Stimuli are named by the pattern descriptor ``stimulus_id`` or another usual name, else by the only one
    with unique texts, else they are numbered.
    """
    with opened(path) as file:
        values = np.atleast_2d(dataset(file, path, "dissimilarities", max_bytes))
        patterns = _group(file, path, "pattern_descriptors")
        of_rdms = _group(file, path, "rdm_descriptors")
        measure = file.attrs.get("dissimilarity_measure")
    if values.ndim != 2 or values.dtype.kind not in "iuf":
        raise DataError(
            f"neural data {path}: dissimilarities has shape {values.shape} and dtype {values.dtype}; give "
            f"numbers of shape (rdm, pair), as rsatoolbox writes them"
        )
    n = stimuli_of_pairs(str(path), "dissimilarities", values.shape[1])
    known = {}
    for name, of in of_rdms.items():
        if of.shape == (len(values),) and name != "index":
            known[_renamed(name)] = of
    ids = _ids(path, patterns, n)
    return rdms(
        path.stem,
        values.astype(np.float64),
        ids or _numbers(n),
        measure=_text(measure),
        known=known,
        attributes={"stimuli": "named" if ids else "numbered"},
    )


def _known(stored: Stored, name: str, leading: tuple[int, ...]) -> dict[str, Any]:
    """Animal and session of every RDM, from the axes before the pairs."""
    if not leading:
        return {}
    if len(leading) == 2:
        return _crossed(stored, *leading)
    for key, usual in (("animal", ANIMALS), ("session", SESSIONS)):
        found = _names(stored, usual, leading[0])
        if found:
            return {key: found}
    for key, usual in (("animal", ANIMALS), ("session", SESSIONS)):
        if any(word in name.lower() for word in usual):
            return {key: _numbers(leading[0])}
    texts = [other for other, (shape, kind) in stored.shapes.items() if shape == leading and kind == "U"]
    return {"rdm_id": stored.read(texts[0]) if len(texts) == 1 else _numbers(leading[0])}


def _crossed(stored: Stored, first: int, second: int) -> dict[str, Any]:
    """Labels of axes (animal, session), or (session, animal) where only that fits the names in the file."""
    outer: tuple[str, tuple[str, ...]] = ("animal", ANIMALS)
    inner: tuple[str, tuple[str, ...]] = ("session", SESSIONS)
    if not _names(stored, ANIMALS, first) and _names(stored, ANIMALS, second):
        outer, inner = inner, outer
    return {
        outer[0]: np.repeat(_names(stored, outer[1], first) or _numbers(first), second),
        inner[0]: np.tile(_names(stored, inner[1], second) or _numbers(second), first),
    }


def _names(stored: Stored, usual: tuple[str, ...], count: int) -> list[str]:
    """Names of animals or sessions, from the first array of a usual name and this length."""
    for name in usual:
        if name in stored and stored.shape(name) == (count,) and stored.shapes[name][1] in "iuUS":
            return [str(one) for one in stored.read(name).tolist()]
    return []


def _numbers(count: int) -> list[str]:
    return [str(i) for i in range(count)]


def _square_meant(values: NDArray[Any], stimuli: int | None) -> bool:
    """Whether the last two axes are stimuli; (3, 3) may also be 3 RDMs of 3 pairs, if not symmetric."""
    n = values.shape[-1]
    return not is_triangular(n) or n == stimuli or _are_squares(values)


def _are_squares(values: NDArray[Any]) -> bool:
    """Symmetric, with a diagonal of zeros; NaN counts as equal to NaN."""
    transposed = np.swapaxes(values, -1, -2)
    diagonal = np.diagonal(values, axis1=-2, axis2=-1)
    large = np.max(np.abs(values), initial=0.0, where=np.isfinite(values))
    alike = np.allclose(values, transposed, rtol=1e-5, atol=1e-6 * large, equal_nan=True)
    return bool(alike and (np.isnan(diagonal) | (np.abs(diagonal) <= 1e-6 * large)).all())


def _triangles(what: str, values: NDArray[Any]) -> NDArray[Any]:
    """Upper triangles of squares (..., stimulus, stimulus)."""
    if not _are_squares(values):
        raise DataError(
            f"neural data {what} is square, {values.shape}, but not symmetric with zeros on the diagonal; "
            f"give dissimilarities, or name an array of responses response_mean"
        )
    rows, columns = np.triu_indices(values.shape[-1], 1)
    found: NDArray[Any] = values[..., rows, columns]
    return found


def _group(file: h5py.File, path: Path, name: str) -> dict[str, NDArray[Any]]:
    """One-dimensional descriptors of a group; lists were written as groups with numbered entries."""
    import h5py

    found: dict[str, NDArray[Any]] = {}
    group = file.get(name)
    for key in group if isinstance(group, h5py.Group) else ():
        item = group[key]
        if isinstance(item, h5py.Dataset) and item.shape is not None and len(item.shape) == 1:
            values = dataset(group, path, key)
            if values.dtype.kind in "biufU":
                found[key] = values
    return found


def _ids(path: Path, patterns: dict[str, NDArray[Any]], n: int) -> list[str]:
    """Names of the stimuli; none where no descriptor names them."""
    fitting = {name: of for name, of in patterns.items() if len(of) == n}
    for name in IDS:
        if name in fitting:
            return identities(f"neural data {path}: {name}", fitting[name])
    texts = [k for k, of in fitting.items() if of.dtype.kind == "U" and len(set(of.tolist())) == n]
    if len(texts) > 1:
        raise DataError(
            f"neural data {path}: which descriptor names the stimuli? Rename one of {listed(texts)} to "
            f"stimulus_id in pattern_descriptors"
        )
    return [str(one) for one in fitting[texts[0]].tolist()] if texts else []


def _renamed(name: str) -> str:
    if name.lower() in ANIMALS:
        return "animal"
    return "session" if name.lower() in SESSIONS else name


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
