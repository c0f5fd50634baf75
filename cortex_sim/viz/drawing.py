"""A network as a figure: areas stacked by depth, bottom-up arrows left, top-down right, lateral loops."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import BoxStyle, FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path as Line
from matplotlib.textpath import TextPath

from cortex_sim.connectors import has_weights, leaves_out
from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.projection import BOTTOM_UP, GAIN, LATERAL, RECURRENT, TOP_DOWN
from cortex_sim.runs.files import whole
from cortex_sim.viz import credit_columns
from cortex_sim.viz.boxes import (
    BOX_HEIGHT,
    BOX_WIDTH,
    GAP_SLANTED,
    GAP_STRAIGHT,
    LANE,
    MARGIN,
    PORT,
    Arrow,
    Box,
    Point,
)
from cortex_sim.viz.panels import InlineFigure
from cortex_sim.viz.tables import kind

if TYPE_CHECKING:
    from cortex_sim.network import Network
    from cortex_sim.projection import Projection

DASHES = (0, (4, 2))
SUFFIXES = (".png", ".svg", ".pdf")

UP, DOWN, INK = "#0072B2", "#D55E00", "#222222"  # Okabe & Ito: also for colour-blind readers
ACROSS, TELLING = "#009E73", "#FBEDE3"
BACK, MULTIPLYING = "#CC79A7", "#8A6D00"
LINES: dict[str, tuple[str, Any]] = {
    BOTTOM_UP: (UP, "-"),
    TOP_DOWN: (DOWN, DASHES),
    LATERAL: (ACROSS, "-"),
    RECURRENT: (BACK, "-"),
    GAIN: (MULTIPLYING, "-"),
}
# Where a projection from a population to itself leaves its box: to the right or left, above or below.
CORNERS = {LATERAL: (1, 1), RECURRENT: (-1, 1), TOP_DOWN: (1, -1), GAIN: (-1, -1)}
SMALL, LARGE = 7.5, 10.0  # points


def draw(net: Network, path: str | Path | None = None) -> Figure:
    """Figure of the network; saved as PNG, SVG or PDF where a path is given.

    Populations are placed by the longest path from the stimulus. Solid arrows are bottom-up projections,
    labelled with rule, wiring and constraints; dashed arrows are top-down projections, labelled with their
    feedback and, where it learns, its rule; loops are lateral projections. Recurrent and gain projections
    are drawn to the left of all others. A credit network is drawn on the right.

    Parameters
    ----------
    net : Network
        What to draw.
    path : path or None
        File to write; its suffix selects the format.

    Raises
    ------
    DeclarationError
        If the suffix is not .png, .svg or .pdf, the file cannot be written, or there is nothing to draw.
    """
    if path is not None and Path(path).suffix.lower() not in SUFFIXES:
        raise DeclarationError(f"drawing {path}: the suffix must be one of {', '.join(SUFFIXES)}")
    if not net.populations:
        raise DeclarationError(
            f"drawing: network {net.name} has no populations; declare some: net.population(name, units)"
        )
    boxes = _boxes(net)
    within = [p for p in net.projections.values() if p.pre in boxes and p.post in boxes]
    near = [p for p in within if p.kind in (BOTTOM_UP, TOP_DOWN) and _adjacent(boxes, p)]
    arrows = [_straight(net, boxes, p) for p in near]
    arrows += [_loop(boxes, p) for p in within if p.pre == p.post]
    extent = max(map(abs, _spread(boxes, arrows)))
    arrows += _around(boxes, [p for p in net.bottom_ups if p not in near], -1, extent)
    down = [p for p in net.top_downs if p in within and p not in near and p.pre != p.post]
    arrows += _around(boxes, down, +1, extent)
    closing = [p for p in [*net.recurrents, *net.gains] if p.pre != p.post]
    arrows += _around(boxes, closing, -1, max(map(abs, _spread(boxes, arrows))))
    if net.credit_populations:
        edge = max(_spread(boxes, arrows))
        boxes, more = credit_columns.placed(net, boxes, edge)
        arrows += more
    figure, axes = _page(net, boxes, arrows)
    for arrow in arrows:
        _arrow(axes, arrow)
    for name, box in boxes.items():
        _population(axes, net, name, box)
    if path is not None:
        _save(figure, Path(path))
    return figure


def _boxes(net: Network) -> dict[str, Box]:
    """Position of each population: rows by depth, within a row below its receivers."""
    graph = networkx.DiGraph()
    graph.add_nodes_from(net.populations)
    graph.add_edges_from((p.pre, p.post) for p in net.bottom_ups)
    rows = [list(row) for row in networkx.topological_generations(graph)]
    slanted = any(len(row) > 1 for row in rows)
    pitch = BOX_HEIGHT + (GAP_SLANTED if slanted else GAP_STRAIGHT)
    # The labels of two adjacent slanted arrows must fit between them, a quarter of the way along.
    labels = sum(_widest(projections) for projections in (net.bottom_ups, net.top_downs))
    within = [p for p in net.projections.values() if p.pre == p.post]
    loops = 0.25 + _widest(within) if within else 0.0
    column = max(BOX_WIDTH + 0.6, (labels + 1.0) / 0.67, BOX_WIDTH + loops + 0.3)
    boxes: dict[str, Box] = {}
    for depth, row in enumerate(rows):
        row.sort(key=lambda name: _mean(boxes[p.pre].x for p in net.inputs(name)))
        for place, name in enumerate(row):
            x = (place - (len(row) - 1) / 2) * column
            ends = {-1: place == 0, 1: place == len(row) - 1}
            outermost = frozenset(side for side, at_end in ends.items() if at_end)
            boxes[name] = Box(x, depth * pitch, depth, outermost)
    return boxes


def _mean(numbers: Iterable[float]) -> float:
    values = list(numbers)
    return sum(values) / len(values) if values else 0.0


def _loop(boxes: dict[str, Box], projection: Projection) -> Arrow:
    """Around a corner of a box, clear of the arrows at its sides; each kind has a different corner."""
    box = boxes[projection.pre]
    side, rise = CORNERS[projection.kind]
    right, top = box.x + side * BOX_WIDTH / 2, box.y + rise * BOX_HEIGHT / 2
    inside, outside = right - side * 0.08, right + side * 0.15
    low, high = top - rise * 0.1, top + rise * 0.12
    corners = [(inside, top), (inside, high), (outside, high), (outside, low), (right, low)]
    label = outside + side * 0.1, top + rise * 0.07
    return Arrow(projection, corners, label, ("left" if side > 0 else "right", "center"))


def _rise(boxes: dict[str, Box], projection: Projection) -> int:
    return boxes[projection.post].row - boxes[projection.pre].row


def _adjacent(boxes: dict[str, Box], projection: Projection) -> bool:
    return _rise(boxes, projection) == (-1 if projection.is_top_down else 1)


def _straight(net: Network, boxes: dict[str, Box], projection: Projection) -> Arrow:
    """Between adjacent rows: upward on the left of the boxes, downward on the right."""
    side, rise = (1, -1) if projection.is_top_down else (-1, 1)
    pre, post = boxes[projection.pre], boxes[projection.post]
    start = pre.x + side * PORT, pre.y + rise * BOX_HEIGHT / 2
    end = post.x + side * PORT, post.y - rise * BOX_HEIGHT / 2
    share = _label_place(boxes, net, projection) if pre.x != post.x else 0.5
    x, y = (a + share * (b - a) for a, b in zip(start, end, strict=True))
    clear = 0.07 + 0.08 * abs((end[0] - start[0]) / (end[1] - start[1]))
    label = x + side * clear, y
    return Arrow(projection, [start, end], label, ("left" if side > 0 else "right", "center"))


def _label_place(boxes: dict[str, Box], net: Network, projection: Projection) -> float:
    """Fraction of a slanted arrow, from its start, at which its label crosses no other arrow."""
    same = [p for p in net.projections.values() if p.is_top_down == projection.is_top_down]
    same = [p for p in same if p.pre in boxes and p.post in boxes and _adjacent(boxes, p)]
    leaving = sum(p.pre == projection.pre for p in same)
    arriving = sum(p.post == projection.post for p in same)
    return 0.75 if leaving > arriving else 0.25


def _around(boxes: dict[str, Box], projections: list[Projection], side: int, extent: float) -> list[Arrow]:
    """Past other rows, in lanes beside all boxes; projections from one population share a lane."""
    lanes = _lanes(boxes, projections)
    boxes_end = max(abs(box.x) for box in boxes.values()) + BOX_WIDTH / 2
    first = max(extent + 0.15, boxes_end + _widest(projections) + 0.4)
    arrows: dict[tuple[str, bool], list[Arrow]] = {}
    for p in sorted(projections, key=lambda p: abs(_rise(boxes, p))):
        lane = side * (first + LANE * lanes[p.pre])
        rises = _rise(boxes, p) >= 0
        leave = _run(boxes[p.pre], side, _port(projections, p.pre, None, side), rises)
        arrive = _run(boxes[p.post], side, _port(projections, p.post, p, side), not rises)
        (x, _), (_, y) = arrive[0], arrive[-1]
        along = arrows.setdefault((p.pre, rises), [])
        # A projection that goes further than the last branches off where that one left the lane.
        left = [corner for arrow in along for corner in arrow.corners if corner[0] == lane]
        trunk = left[-1] if left else (lane, leave[-1][1])
        corners = [*([] if along else leave), trunk, (lane, y), *reversed(arrive)]
        label = x + side * 0.17, y + 0.03
        along.append(Arrow(p, corners, label, ("left" if side > 0 else "right", "bottom")))
    return [arrow for along in arrows.values() for arrow in along]


def _lanes(boxes: dict[str, Box], projections: list[Projection]) -> dict[str, int]:
    """Lane of each sender, the shortest arrow innermost, such that no two arrows overlap."""
    reach: dict[str, tuple[int, int]] = {}
    for p in projections:
        rows = boxes[p.pre].row, boxes[p.post].row
        known = reach.get(p.pre, rows)
        reach[p.pre] = min(*known, *rows), max(*known, *rows)
    taken: list[list[tuple[int, int]]] = []
    lanes = {}
    for sender, (low, high) in sorted(reach.items(), key=lambda item: item[1][1] - item[1][0]):
        free = (i for i, lane in enumerate(taken) if all(high <= a or b <= low for a, b in lane))
        lanes[sender] = next(free, len(taken))
        taken.extend([[]] if lanes[sender] == len(taken) else [])
        taken[lanes[sender]].append((low, high))
    return lanes


def _port(projections: list[Projection], name: str, arriving: Projection | None, side: int) -> float:
    """Height on a box's side: one for each arrow that arrives, then one for those that leave."""
    ports: list[Projection | None] = [p for p in projections if p.post == name]
    if any(p.pre == name for p in projections):
        ports.append(None)
    place = (ports.index(arriving) + 1) / (len(ports) + 1) - 0.5
    return -side * place * BOX_HEIGHT


def _run(box: Box, side: int, port: float, above: bool) -> list[Point]:
    """Corners from a box to its lane: out of its side if that is free, else over or under it."""
    if side in box.outermost:
        return [(box.x + side * BOX_WIDTH / 2, box.y + port)]
    x, edge = box.x + side * 2 * PORT, BOX_HEIGHT / 2 * (1 if above else -1)
    return [(x, box.y + edge), (x, box.y + 1.7 * edge)]


def _label(projection: Projection) -> str:
    parts: list[Any] = [projection.feedback] if projection.feedback is not None else []
    if projection.plasticity is not None:
        parts.append(projection.plasticity)
    if not projection.is_top_down and not has_weights(projection.connector):
        parts.append(projection.connector)
    if not projection.is_top_down and leaves_out(projection.connector):
        parts.append(projection.connector)
    parts += [] if projection.reads is None else [projection.reads]
    joint = {True: "joint ", False: ""}
    kept = [joint[bool(getattr(part, "over", ()))] + kind(part) for part in projection.constraints]
    return " + ".join([*map(kind, parts), *kept]) or "fixed"


def _text_width(text: str, points: float) -> float:
    return float(TextPath((0, 0), text, size=points).get_extents().width) / 72


def _widest(projections: list[Projection]) -> float:
    return max((_text_width(_label(p), SMALL) for p in projections), default=0.0)


def _spread(boxes: dict[str, Box], arrows: list[Arrow]) -> list[float]:
    """Left and right extent of boxes, arrows and labels."""
    xs = [box.x + side * BOX_WIDTH / 2 for box in boxes.values() for side in (-1, 1)]
    for arrow in arrows:
        room = _text_width(_label(arrow.projection), SMALL)
        xs += [x for x, _ in arrow.corners]
        xs.append(arrow.label[0] + (room if arrow.align[0] == "left" else -room))
    return xs


def _page(net: Network, boxes: dict[str, Box], arrows: list[Arrow]) -> tuple[Figure, Axes]:
    """Empty page, large enough for all boxes, arrows and labels, with name and legend."""
    xs = _spread(boxes, arrows)  # and at least as wide as the legend
    room = 1.1 + 0.7 * sum(bool(projections) for _, projections, _, _ in _further(net))
    xs += [-room, room]
    low, high = min(xs) - MARGIN, max(xs) + MARGIN
    bottom = min(box.y for box in boxes.values()) - BOX_HEIGHT / 2 - 0.55
    top = max(box.y for box in boxes.values()) + BOX_HEIGHT / 2 + 0.5
    figure = InlineFigure(figsize=(high - low, top - bottom))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(low, high), ylim=(bottom, top))
    axes.set_axis_off()
    middle = (low + high) / 2
    axes.text(middle, top - 0.25, net.name, size=LARGE, weight="bold", color=INK, ha="center", va="center")
    legend: list[tuple[str, str, Any]] = [("bottom-up", UP, "-"), ("top-down", DOWN, DASHES)]
    legend += [(words, colour, line) for words, projections, colour, line in _further(net) if projections]
    for place, (words, colour, dashes) in enumerate(legend):
        at = middle + 1.4 * (place - len(legend) / 2) + 0.25
        axes.plot([at, at + 0.35], [bottom + 0.22] * 2, color=colour, linestyle=dashes, linewidth=1.2)
        axes.text(at + 0.42, bottom + 0.22, words, size=SMALL, color=INK, va="center")
    return figure, axes


def _further(net: Network) -> list[tuple[str, list[Projection], str, Any]]:
    """Kinds of projection that only some networks have, with their lines."""
    kinds = {LATERAL: net.laterals, RECURRENT: net.recurrents, GAIN: net.gains}
    return [(kind, found, *LINES[kind]) for kind, found in kinds.items()]


def _arrow(axes: Axes, arrow: Arrow) -> None:
    colour, dashes = LINES[arrow.projection.kind]
    (x0, y0), (x1, y1) = arrow.corners[-2:]
    length = math.hypot(x1 - x0, y1 - y0)
    along = (x1 - x0) / length, (y1 - y0) / length
    neck = x1 - 0.1 * along[0], y1 - 0.1 * along[1]
    wings = [(neck[0] + s * 0.045 * along[1], neck[1] - s * 0.045 * along[0]) for s in (-1, 1)]
    line = Line([*arrow.corners[:-1], neck])
    style = {"linestyle": dashes, "linewidth": 1.2, "edgecolor": colour}
    axes.add_patch(PathPatch(line, facecolor="none", joinstyle="round", zorder=1, **style))
    axes.add_patch(Polygon([arrow.corners[-1], *wings], facecolor=colour, linewidth=0, zorder=2))
    paper = {"boxstyle": "square,pad=0.08", "facecolor": "white", "edgecolor": "none"}
    (x, y), (ha, va) = arrow.label, arrow.align
    words = _label(arrow.projection)
    axes.text(x, y, words, size=SMALL, color=colour, ha=ha, va=va, bbox=paper, zorder=3)


def _population(axes: Axes, net: Network, name: str, box: Box) -> None:
    inside = name in net.credit_populations
    population: Any = net.credit_populations[name] if inside else net.populations[name]
    corner = box.x - BOX_WIDTH / 2, box.y - BOX_HEIGHT / 2
    shape = BoxStyle("round", pad=0, rounding_size=0.06)
    stimulated, at_top = name in net.sources, name == net.objective_at
    axes.add_patch(
        FancyBboxPatch(
            corner,
            BOX_WIDTH,
            BOX_HEIGHT,
            boxstyle=shape,
            facecolor="white" if stimulated else TELLING if inside else "#EEF1F4",
            edgecolor=DOWN if at_top or inside else INK,
            linewidth=1.2 if at_top else 0.8,
            zorder=4,
        )
    )
    says = ["×".join(map(str, population.shape))]
    if not inside and population.normaliser is not None:
        says.append(kind(population.normaliser))
    says.append("stimulus" if stimulated else kind(population.activation))
    if at_top:
        says.append(kind(net.objective_function))
    for words, points, weight, dy in (
        (name, LARGE, "bold", 0.1),
        (" · ".join(says), SMALL, "normal", -0.12),
    ):
        fitted = points * min(1.0, (BOX_WIDTH - 0.15) / _text_width(words, points))
        axes.text(
            box.x,
            box.y + dy,
            words,
            size=fitted,
            weight=weight,
            color=INK,
            ha="center",
            va="center",
            zorder=5,
        )


def _save(figure: Figure, path: Path) -> None:
    try:
        with whole(path) as part:
            figure.savefig(part, format=path.suffix[1:].lower(), dpi=200)
    except RunError as refused:
        raise DeclarationError(f"drawing {refused}") from None
