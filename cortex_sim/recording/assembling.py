"""From chunks to one Dataset: in memory, or written to netCDF while holding only one block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np
import xarray as xr

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
    _write_empty(
        layout, attributes, {name: blocks[a] for a, (names, _) in axes.items() for name in names}, path
    )
    with guarded(path, "a") as guard, h5netcdf.File(guard, "a") as file:
        for axis, (names, pieces) in axes.items():
            file.resize_dimension(axis, lengths[axis])
            at = 0
            for rows in _blocks(pieces, blocks[axis]):
                count = len(rows[names[-1]])
                for name in names:
                    values = rows[name]
                    file.variables[name][at : at + count] = (
                        values.astype(object) if values.dtype.kind == "U" else values
                    )
                at += count
                guard.check()


def _write_empty(layout: Layout, attributes: Mapping[str, Any], block: Mapping[str, int], path: Path) -> None:
    """All names, coordinates and attributes, without presentations and snapshots."""
    empty = layout.empty([*layout.by_presentation(), *layout.by_snapshot()])
    encoding = {name: {"chunksizes": (block[name], *layout.shape(name))} for name in block}
    growing = ["presentation", *(["snapshot"] if layout.snapshots else [])]
    with guarded(path) as guard:
        # xarray would make them in the order of a set, which differs between processes.
        with h5netcdf.File(guard, "w") as file:
            for axis in growing:
                file.dimensions[axis] = None
        layout.dataset(empty, attributes).to_netcdf(
            guard, mode="a", engine="h5netcdf", unlimited_dims=growing, encoding=encoding
        )


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
