"""The time line of a protocol: a row for everything that a phase sets; trials and probes as a strip."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cortex_sim.protocol.closed_loop import LoopValue
from cortex_sim.protocol.per_trial import differs
from cortex_sim.viz.panels import finished, new_figure, note, plain
from cortex_sim.viz.timeline_rows import COLOUR_OF, Row, rows_of

if TYPE_CHECKING:
    from cortex_sim.protocol.protocol import Protocol

ROW_HEIGHT, LEAST = 0.24, 0.09  # inches; smallest share of the width that a phase takes
SHOWN = 7  # blocks drawn one by one
CHARACTERS = 120  # that fit the width of a trial


def draw(protocol: Protocol, path: str | Path | None = None) -> Figure:
    """Draw one trial of a protocol over time, one trial of its probe, and their order.

    Parameters
    ----------
    protocol : Protocol
    path : path, optional
        File to write (PNG, SVG, PDF).

    Returns
    -------
    matplotlib.figure.Figure
        Phases from left to right; a row for each drive, nudge, window, modulator, silenced population and cut
        projection. Above, blocks of trials and the probes between them.
    """
    panels = [("trial", protocol)]
    if protocol.probe is not None:
        panels.append(("probe", protocol.probe))
    rows = [rows_of(one, protocol.lesion) for _, one in panels]
    heights = [0.42, *(0.5 + ROW_HEIGHT * max(1, len(r)) for r in rows)]
    figure = new_figure(8.0, sum(heights) + 0.45 * len(panels) + 0.25)
    strip, *axes = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _strip(strip, protocol)
    widened = [
        _trial(one, name, of, found) for one, (name, of), found in zip(axes, panels, rows, strict=True)
    ]
    note(figure, "short phases are drawn too wide; the times below them are correct" * any(widened))
    return finished(figure, path)


def _trial(axes: Axes, name: str, protocol: Protocol, rows: list[Row]) -> bool:
    """Draw one trial; returns whether a phase is drawn too wide."""
    durations = list(protocol.durations_ms.values())
    edges, widened = _edges(durations)
    for number, phase in enumerate(protocol.durations_ms):
        if number % 2:
            axes.axvspan(edges[number], edges[number + 1], color="0.5", alpha=0.12, lw=0, zorder=0)
        middle = (edges[number] + edges[number + 1]) / 2
        recorded = protocol.record.every_ms is None and phase == protocol.recorded_phase
        axes.text(
            middle,
            -0.62,
            f"{phase} ●" if recorded and name == "trial" else phase,
            ha="center",
            va="bottom",
            size=8,
        )
    for place, row in enumerate(rows):
        for number, said in row.said.items():
            _segment(axes, edges[number], edges[number + 1], place, COLOUR_OF[row.kind], said)
    axes.set(xlim=(0, edges[-1]), ylim=(max(1, len(rows)) - 0.4, -1.15))
    axes.set_yticks(range(len(rows)), [row.label for row in rows], fontsize=8)
    axes.tick_params(axis="y", length=0)
    _times(axes, edges, durations)
    plain(axes, "", "")
    axes.grid(False)
    axes.spines[["left"]].set_visible(False)
    axes.set_title(_headline(name, protocol), fontsize=9, loc="left")
    return widened


def _headline(name: str, protocol: Protocol) -> str:
    lengths = [protocol.interval_ms, *(phase.duration_ms for phase in protocol.phases)]
    longest = "up to " if any(differs(one) or isinstance(one, LoopValue) for one in lengths) else ""
    said = f"one {name}, {longest}{protocol.duration_ms:g} ms"
    if not protocol.reset:
        said += ", continues from the previous one"
    if name == "trial":
        every = protocol.record.every_ms
        said += ", ● recorded at its end" if every is None else f", recorded every {every:g} ms"
    return said


def _edges(durations: list[float]) -> tuple[list[float], bool]:
    """Where phases begin and end, as shares of the width; no phase gets less than the least share."""
    total = sum(durations)
    least = min(LEAST, 0.8 / len(durations))
    shares = [max(d / total, least) for d in durations]
    edges = [0.0]
    for share in shares:
        edges.append(edges[-1] + share / sum(shares))
    return edges, any(d / total < least for d in durations)


def _times(axes: Axes, edges: list[float], durations: list[float]) -> None:
    at = [sum(durations[:number]) for number in range(len(edges))]
    labels = [f"{time:g}" for time in at]
    labels[-1] += " ms"
    axes.set_xticks(edges, labels, fontsize=8)


def _segment(axes: Axes, left: float, right: float, place: int, colour: str, said: str) -> None:
    bar = Rectangle((left, place - 0.38), right - left, 0.76, facecolor=colour, alpha=0.35, lw=0)
    axes.add_patch(bar)
    most = max(1, int((right - left) * CHARACTERS))
    fitting = said if len(said) <= most else f"{said[: most - 1]}…"
    axes.text((left + right) / 2, place, fitting, ha="center", va="center", size=7)


# -- the strip -------------------------------------------------------------------------------------


def _strip(axes: Axes, protocol: Protocol) -> None:
    """Probes narrow and light, blocks wide and dark; of many blocks the first ones, then the last."""
    pieces = _pieces(protocol)
    x = 0.0
    for kind, said in pieces:
        width = {"probe": 0.55, "block": 1.0, "gap": 0.3}[kind]
        if kind != "gap":
            colour = "0.93" if kind == "probe" else "#9db7cc"
            axes.add_patch(Rectangle((x, 0), width, 1, facecolor=colour, edgecolor="0.4", lw=0.7))
        axes.text(x + width / 2, 0.5, said, ha="center", va="center", size=7)
        x += width + 0.04
    axes.set(xlim=(0, max(x, 4.0)), ylim=(0, 1))
    axes.set_axis_off()
    axes.set_title(textwrap.fill(_order(protocol), 80), fontsize=9, loc="left")


def _pieces(protocol: Protocol) -> list[tuple[str, str]]:
    probe = [] if protocol.probe is None else [("probe", "probe")]
    count = protocol.repeat
    shown: list[int | None] = list(range(1, count + 1))
    if count > SHOWN:
        shown = [*range(1, SHOWN - 1), None, count]
    pieces: list[tuple[str, str]] = list(probe)
    for number in shown:
        pieces += [("gap", "…")] if number is None else [("block", f"block {number}"), *probe]
    return pieces


def _order(protocol: Protocol) -> str:
    trials = _trials(protocol)
    blocks = "one block" if protocol.repeat == 1 else f"{protocol.repeat} blocks"
    order = ", shuffled in each" if protocol.order == "shuffled" else ""
    batch = "" if protocol.batch in (None, 1) else f", {protocol.batch} presentations in parallel"
    probe = "" if protocol.probe is None else f"; a probe of {_trials(protocol.probe)} before and after"
    probe += " each" if probe and protocol.repeat > 1 else ""
    return f"{blocks} of {trials}{order}{batch}{probe}"


def _trials(protocol: Any) -> str:
    """Trials of a block, as far as the protocol says without its network and data."""
    if protocol.trials is not None:
        return f"{protocol.trials} trial{'s' * (protocol.trials != 1)}"
    from cortex_sim.viz.timeline_rows import has_images

    return "one trial per image" if has_images(protocol) else "one trial"
