"""How much memory or disk a recording takes, checked before the first trial."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

from cortex_sim.errors import RunError
from cortex_sim.recording.layout import ArmLayout, Layout
from cortex_sim.runs.room import require_memory, spelled

_NUMBER = 8  # bytes
_ROW = 100  # bytes of the coordinates of one presentation
_TWICE = 2  # chunks, and what they are joined to


def bytes_of(layout: Layout) -> int:
    """Bytes of the values and weights of a recording, each counted once."""
    rows = sum(_presentations(arm) for arm in layout.arms)
    values = rows * _bytes_of_a_row(layout)
    snapshots = sum(_snapshots(arm) for arm in layout.arms)
    weights = snapshots * _NUMBER * sum(math.prod(layout.shape(name)) for name in layout.snapshots.values())
    return values + rows * _ROW + weights


def require_memory_for(layout: Layout) -> None:
    """Raise `RunError` unless a recording fits in memory."""
    way = (
        "give out='FILE.nc' (cs.brian2.run, cs.torch.run), which keeps one chunk in memory, or record fewer "
        "populations, longer time bins (every_ms) or weights less often (weights_every)"
    )
    require_memory("recording", said(layout), _TWICE * bytes_of(layout), way)


def require_memory_for_a_run(layout: Layout) -> None:
    """Raise `RunError` unless the presentations that run together fit in memory, written or not."""
    largest = max(len(shown.trials) for arm in layout.arms for shown in arm.plan.shown)
    require_memory(
        "recording",
        said(layout, largest),
        _TWICE * largest * _bytes_of_a_row(layout),
        "record fewer populations or projections, longer time bins (every_ms), or a smaller batch",
    )


def _bytes_of_a_row(layout: Layout) -> int:
    """Bytes of the sampled values of one presentation."""
    return _NUMBER * sum(math.prod(layout.shape(name)) for name in layout.sampled)


def require_disk_for(layout: Layout, out: Path, already: int = 0) -> None:
    """Raise `RunError` unless the disk of ``out`` has room for what is not ``already`` written, in bytes."""
    if not out.parent.is_dir():
        return  # reported where the folder is used
    needed = _TWICE * bytes_of(layout) - already  # its chunks, and the file that they are joined to
    free = shutil.disk_usage(out.parent).free
    if needed > free:
        raise RunError(
            f"recording {out}: {said(layout)} would take {spelled(needed)} of disk while it is written, but "
            f"only {spelled(free)} is free; use another disk, or record fewer populations, longer time bins "
            "(every_ms) or weights less often (weights_every)"
        )


def said(layout: Layout, together: int | None = None) -> str:
    """Sizes in words, such as "5,000 presentations × 74 neuroids × 100 time bins".

    With ``together``, sizes of that many presentations, which run together, without snapshots.
    """
    rows = sum(_presentations(arm) for arm in layout.arms) if together is None else together
    parts = [f"{rows:,} presentations"]
    if layout.variables:
        parts.append(f"{layout.shape(layout.variables[0])[0]:,} neuroids")
    bins = layout.arms[0].bins
    if bins is not None:
        parts.append(f"{len(bins[0]):,} time bins")
    text = " × ".join(parts)
    if len(layout.variables) > 1:
        text += f" of {len(layout.variables)} variables"
    if layout.sampled_states:
        each = sum(math.prod(layout.shape(name)) for name in layout.sampled_states)
        each //= 1 if bins is None else len(bins[0])
        text += (
            f", with {each:,} values of rule state in each {'presentation' if bins is None else 'time bin'},"
        )
    if together is not None:
        return text
    snapshots = sum(_snapshots(arm) for arm in layout.arms)
    if snapshots:
        synapses = sum(math.prod(layout.shape(name)) for name in layout.weights.values())
        text += f", with {snapshots:,} snapshots of {synapses:,} weights,"
    return text


def _presentations(arm: ArmLayout) -> int:
    return sum(len(shown.trials) for shown in arm.plan.shown)


def _snapshots(arm: ArmLayout) -> int:
    wanted = arm.plan.wanted
    if not (wanted.weights or wanted.states):
        return 0
    trials = [shown.trials[-1] + 1 for shown in arm.plan.shown if shown.stage == "trial"]
    due = sum(done % wanted.weights_every == 0 for done in trials)
    return due + arm.starts
