"""A credit network in a drawing: columns next to the network, with credit from right to left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cortex_sim.viz.boxes import BOX_HEIGHT, BOX_WIDTH, LANE, PORT, Arrow, Box, Point

if TYPE_CHECKING:
    from cortex_sim.network import Network
    from cortex_sim.projection import Projection

GAP, SPACING = 1.0, BOX_HEIGHT + 0.45  # between columns, and between middles of boxes in a column
AWAY = 0.14  # distance of a label from the arrowhead
_WHOLE = frozenset({-1, 1})


def placed(net: Network, boxes: Mapping[str, Box], edge: float) -> tuple[dict[str, Box], list[Arrow]]:
    """All boxes, and the arrows of the credit network's projections, right of ``edge``.

    Each column further right is one projection further away; channels are at the height of the population
    that receives them.
    """
    leaving = [p for p in net.top_downs if p.pre in net.credit_populations]
    first = edge + LANE * (len(leaving) + 1) + 0.8 + BOX_WIDTH / 2
    columns: dict[int, list[str]] = {}
    for name in net.credit_populations:
        columns.setdefault(_column(net, name, frozenset()), []).append(name)
    found = dict(boxes)
    highest = max(box.y for box in boxes.values())
    for column, names in sorted(columns.items()):
        wanted = {name: _height(net, found, name, highest) for name in names}
        y = float("inf")
        for name in sorted(names, key=lambda name: -wanted[name]):
            y = min(y - SPACING, wanted[name])
            found[name] = Box(first + (column - 1) * (BOX_WIDTH + GAP), y, 0, _WHOLE)
    arrows = [_within(net, found, p) for p in net.credit_projections]
    arrows += [_out(found, p, edge + LANE * (i + 1)) for i, p in enumerate(leaving)]
    return found, arrows


def _column(net: Network, name: str, seen: frozenset[str]) -> int:
    """1 for populations that project out of the credit network, one more for each projection before."""
    onward = [p.post for p in net.credit_projections if p.pre == name and p.post not in seen]
    return 1 + max((_column(net, post, seen | {name}) for post in onward), default=0)


def _height(net: Network, boxes: Mapping[str, Box], name: str, otherwise: float) -> float:
    """The height of its receiver if there is exactly one, else the height of the top."""
    every = [*net.projections.values(), *net.credit_projections]
    receivers = [p.post for p in every if p.pre == name and p.post in boxes]
    return boxes[receivers[0]].y if len(receivers) == 1 else otherwise


def _within(net: Network, boxes: Mapping[str, Box], projection: Projection) -> Arrow:
    """Straight from the left of one box to the right of another."""
    pre, post = boxes[projection.pre], boxes[projection.post]
    arriving = sorted(
        (p for p in net.credit_projections if p.post == projection.post), key=lambda p: -boxes[p.pre].y
    )
    place = (arriving.index(projection) + 1) / (len(arriving) + 1) - 0.5
    start = pre.x - BOX_WIDTH / 2, pre.y
    end = post.x + BOX_WIDTH / 2, post.y - place * BOX_HEIGHT
    below = place > 0
    label = end[0] + AWAY, end[1] + (-0.05 if below else 0.05)
    return Arrow(projection, [start, end], label, ("left", "top" if below else "bottom"))


def _out(boxes: Mapping[str, Box], projection: Projection, lane: float) -> Arrow:
    """To the side of a box if that is free, else over it."""
    pre, post = boxes[projection.pre], boxes[projection.post]
    start: Point = (pre.x - BOX_WIDTH / 2, pre.y)
    if +1 in post.outermost:
        arrive: list[Point] = [(post.x + BOX_WIDTH / 2, post.y)]
    else:
        over = post.x + 2 * PORT, post.y + 0.85 * BOX_HEIGHT
        arrive = [over, (over[0], post.y + BOX_HEIGHT / 2)]
    level = arrive[0][1]
    bend = [] if abs(level - start[1]) < 1e-9 else [(lane, start[1]), (lane, level)]
    label = start[0] - 0.1, start[1] + 0.03
    return Arrow(projection, [start, *bend, *arrive], label, ("right", "bottom"))
