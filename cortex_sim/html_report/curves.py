"""Small panels of lines, one figure each, which the page sets side by side as its width allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cortex_sim.viz.panels import COLOURS, DASHES, new_figure, plain

WIDTH, HEIGHT = 3.7, 2.6  # inches; as wide as a phone, so that text keeps its size there


@dataclass(frozen=True)
class Look:
    """Colour and dashes of a line, also in a legend."""

    colour: str
    dash: str


@dataclass(frozen=True)
class Curve:
    """One line of a panel: its name, its points (x, y), and how it is drawn."""

    name: str
    points: tuple[tuple[float, float], ...]
    look: Look


def look(number: int) -> Look:
    """How the line with this number is drawn; neighbours differ in their dashes too, for print."""
    return Look(COLOURS[number % len(COLOURS)], DASHES[(number + number // len(COLOURS)) % len(DASHES)])


def panel(
    curves: Sequence[Curve],
    x: str,
    y: str,
    limits: tuple[float | None, float | None] = (None, None),
    level: float | None = None,
) -> Figure:
    """A figure of lines; ``level`` is a faint horizontal one."""
    figure = new_figure(WIDTH, HEIGHT)
    axes = figure.subplots()
    for curve in curves:
        marker = "o" if len(curve.points) <= 30 else None
        x_of, y_of = np.array(curve.points).T
        axes.plot(x_of, y_of, color=curve.look.colour, ls=curve.look.dash, marker=marker, ms=3, lw=1.6)
    if level is not None:
        axes.axhline(level, color="0.6", lw=1, ls=":")
    axes.set_ylim(*_limits(limits, curves))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    plain(axes, x, y)
    return figure


def _limits(
    limits: tuple[float | None, float | None], curves: Sequence[Curve]
) -> tuple[float | None, float | None]:
    """The requested limits, wider where a line would exceed them."""
    values = [y for curve in curves for _, y in curve.points]
    low, high = limits
    low = low if low is None or not values else min(low, min(values))
    high = high if high is None or not values else max(high, 1.03 * max(values))
    return low, high


def said(title: str, curves: Sequence[Curve], unit: str = "") -> str:
    """A panel in words: where each line starts and ends."""
    ends = [f"{c.name} from {c.points[0][1]:.4g}{unit} to {c.points[-1][1]:.4g}{unit}" for c in curves]
    return f"{title}: {'; '.join(ends)}"
