"""Layout of a drawing of a network: boxes, and arrows between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cortex_sim.projection import Projection

# Lengths in inches, which are also the units of the axes: text and boxes keep their proportions.
BOX_WIDTH, BOX_HEIGHT, LANE, MARGIN = 1.75, 0.5, 0.2, 0.25
GAP_STRAIGHT, GAP_SLANTED = 0.55, 1.0  # between rows: slanted arrows need the space
PORT = 0.35  # how far from the middle of a box its arrows leave and arrive

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A population's box: its centre, and its row, with the stimulus in row 0."""

    x: float
    y: float
    row: int
    outermost: frozenset[int]  # sides (-1 left, +1 right) on which it is the last box of its row


@dataclass(frozen=True)
class Arrow:
    """Corners of a projection's arrow, and the end of its label that is nearest to the arrow."""

    projection: Projection
    corners: list[Point]
    label: Point
    align: tuple[str, str]
