"""From chunks to one Dataset: in memory, or written to netCDF while holding only one block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
import xarray as xr

from cortex_sim.errors import RunError
from cortex_sim.recording.guarded import guarded
from cortex_sim.recording.layout import Layout, Rows
from cortex_sim.recording.recorder import Store, joined

_BLOCK_BYTES = 2**20  # chunk size of the file: about what its readers keep in memory


def assemble(layout: Layout, stores: Sequence[Store], attributes: Mapping[str, Any]) -> xr.Dataset:
    """One Dataset of the chunks of all arms, in memory."""
    rows = joined([layout.empty(layout.by_presentation()), *_presentations(layout, stores)])
    rows |= joined([layout.empty(layout.by_snapshot()), *_snapshots(layout, stores)])
    return layout.dataset(rows, attributes)


def write(layout: Layout, stores: Sequence[Store], attributes: Mapping[str, Any], path: Path) -> None:
    """Write the chunks of all arms as netCDF.

    Blocks have the same length however the chunks were cut, so that an interrupted recording ends
    with the same bytes.
    """
    axes = {"presentation": (layout.by_presentation(), _presentations(layout, stores))}
    lengths = {"presentation": sum(len(arm.presentations["trial"]) for arm in layout.arms)}
    if layout.snapshots:
        axes["snapshot"] = (layout.by_snapshot(), _snapshots(layout, stores))
        lengths["snapshot"] = sum(store.lengths("snapshot_ms") for store in stores)
    blocks = {axis: _block_length(layout, names, lengths[axis]) for axis, (names, _) in axes.items()}
    chunks = {
        name: (min(blocks[axis], lengths[axis]) or 1, *layout.shape(name))
        for axis, (names, _) in axes.items()
        for name in names
    }
    with guarded(path) as guard, h5netcdf.File(guard, "w") as file:
        _declare(file, layout, attributes, lengths, chunks)
        for axis, (names, pieces) in axes.items():
            at = 0
            for rows in _blocks(pieces, blocks[axis]):
                count = len(rows[names[-1]])
                for name in names:
                    file.variables[name][at : at + count] = _plain(rows[name])
                at += count
                guard.check()
            if at != lengths[axis]:  # the rest of the file would be 0
                raise RunError(f"{path}: {at} of {lengths[axis]} rows of {axis} were kept; start again")


def _declare(
    file: Any,
    layout: Layout,
    attributes: Mapping[str, Any],
    lengths: Mapping[str, int],
    chunks: Mapping[str, tuple[int, ...]],
) -> None:
    """All names, coordinates and attributes, as xarray writes them, with room for variables in ``chunks``.

    Every axis has its full length from the beginning: the time to open a file with axes that may grow is
    quadratic in the number of its variables.
    """
    empty = layout.dataset(layout.empty(list(chunks)), attributes)
    variables, of_file = xr.conventions.encode_dataset_coordinates(empty)
    file.dimensions = {str(axis): lengths.get(str(axis), size) for axis, size in empty.sizes.items()}
    for name, variable in variables.items():
        coded = xr.conventions.encode_cf_variable(variable, name=name)
        text, labels = coded.dtype.kind in "OUS", dict(coded.attrs)
        made = file.create_variable(
            name,
            tuple(map(str, coded.dims)),
            dtype=h5py.string_dtype() if text else coded.dtype,
            fillvalue=labels.pop("_FillValue", None),
            chunks=chunks.get(name),
        )
        for label, value in labels.items():
            made.attrs[label] = value
        if name not in chunks:
            made[...] = _plain(coded.values)
    for label, value in of_file.items():
        file.attrs[label] = value


def _plain(values: np.ndarray) -> np.ndarray:
    """Text as the objects that HDF5 takes."""
    return values.astype(object) if values.dtype.kind == "U" else values


def _block_length(layout: Layout, names: Sequence[str], count: int) -> int:
    widest = max(8 * int(np.prod(layout.shape(name))) for name in names)
    return max(1, min(count, _BLOCK_BYTES // widest))


def _presentations(layout: Layout, stores: Sequence[Store]) -> Iterator[Rows]:
    sampled = layout.sampled
    for arm, store in zip(layout.arms, stores, strict=True):
        if not sampled:  # weights alone
            yield arm.presentations
            continue
        at = 0
        for rows in store.read(sampled):
            if rows:
                end = at + len(rows[sampled[0]])
                yield {**rows, **{name: values[at:end] for name, values in arm.presentations.items()}}
                at = end


def _snapshots(layout: Layout, stores: Sequence[Store]) -> Iterator[Rows]:
    if not layout.snapshots:
        return
    stored = [name for name in layout.by_snapshot() if name != "snapshot_arm"]
    for arm, store in zip(layout.arms, stores, strict=True):
        for rows in store.read(stored):
            if rows:
                yield {**rows, "snapshot_arm": np.asarray([arm.arm] * len(rows["snapshot_ms"]), dtype=str)}


def _blocks(pieces: Iterator[Rows], length: int) -> Iterator[Rows]:
    """The same rows, ``length`` at a time; the last block may be shorter."""
    waiting: list[Rows] = []
    count = 0
    for rows in pieces:
        waiting.append(rows)
        count += len(next(iter(rows.values())))
        if count >= length:
            whole = joined(waiting)
            for at in range(0, count - length + 1, length):
                yield {name: values[at : at + length] for name, values in whole.items()}
            rest = count - count % length
            waiting = [{name: values[rest:] for name, values in whole.items()}]
            count -= rest
    if count:
        yield joined(waiting)
