"""The drawing of "Credit on one page": how credit arrives, a panel for each way.

    python docs/figures/credit.py

writes docs/figures/credit.svg, and a test compares the two.
"""

from html import escape
from itertools import pairwise
from pathlib import Path

PLACE = Path(__file__).with_suffix(".svg")
WIDTH, HEIGHT, COLUMNS = 270, 270, 2
RATES, CREDIT = "#555555", "#c23b22"
AREAS = {"IT": 66, "V2": 146, "V1": 226}  # by name, the middle of its box
LEFT, MIDDLE, RIGHT = 75, 110, 145  # of the boxes
BOX = 26  # half of a box's height


def text(
    x: float, y: float, said: str, colour: str = "#111111", size: int = 15, anchor: str = "start"
) -> str:
    """One line of text."""
    style = f'font-size="{size}" fill="{colour}" text-anchor="{anchor}"'
    return f'<text x="{x:g}" y="{y:g}" {style}>{escape(said)}</text>'


def arrow(points: str, colour: str) -> str:
    """A line along an SVG path, with a head at its end."""
    name = "rates" if colour == RATES else "credit"
    return f'<path d="{points}" fill="none" stroke="{colour}" stroke-width="2.5" marker-end="url(#{name})"/>'


def box(x: float, y: float, said: str, half: float = 35) -> str:
    """A population."""
    shape = f'<rect x="{x - half:g}" y="{y - BOX:g}" width="{2 * half:g}" height="{2 * BOX:g}" rx="7"'
    return f'{shape} fill="#eef3f7" stroke="#33536b" stroke-width="1.5"/>' + text(
        x, y + 5, said, anchor="middle"
    )


def upward(*labels: str) -> str:
    """Three populations and what drives them."""
    rows = list(AREAS.values())
    drawn = [box(MIDDLE, y, name) for name, y in AREAS.items()]
    for above, below in pairwise(rows):
        drawn.append(arrow(f"M{LEFT + 15} {below - BOX} V{above + BOX + 9}", RATES))
    drawn += [
        text(LEFT - 10, y + 45, said, RATES, anchor="end") for y, said in zip(rows, labels, strict=False)
    ]
    return "".join(drawn)


def local() -> str:
    """The step that all supervised rules share."""
    pre, post, y = 50, 210, 130
    return "".join(
        [
            box(pre, y, "pre"),
            box(post, y, "post"),
            arrow(f"M{pre + 35} {y} H{post - 46}", RATES),
            text((pre + post) / 2, y - 12, "W", RATES, anchor="middle"),
            text(pre, y + 50, "rate r", RATES, anchor="middle"),
            arrow(f"M{post} {y - 80} V{y - BOX - 9}", CREDIT),
            text(post - 10, y - 62, "credit c", CREDIT, anchor="end"),
            text(post, y + 50, "u = c ∘ f′", CREDIT, anchor="middle"),
            text(130, 228, "ΔW = η ⟨u rᵀ⟩", size=18, anchor="middle"),
        ]
    )


def chain() -> str:
    """Credit from the population above."""
    v2, v1 = AREAS["V2"], AREAS["V1"]
    return (
        upward("W", "W")
        + arrow(f"M{RIGHT - 15} {AREAS['IT'] + BOX} V{v2 - BOX - 9}", CREDIT)
        + arrow(f"M{RIGHT - 15} {v2 + BOX} V{v1 - BOX - 9}", CREDIT)
        + text(RIGHT, v2 - 35, "c = B u", CREDIT)
        + text(RIGHT, v1 - 35, "c = B u", CREDIT)
    )


def direct() -> str:
    """Credit from the top to each population."""
    drawn = upward("W", "W")
    for name, bend in (("V2", 190), ("V1", 225)):
        y = AREAS[name]
        drawn += arrow(f"M{RIGHT} {AREAS['IT']} C{bend} {AREAS['IT']} {bend} {y} {RIGHT + 9} {y}", CREDIT)
    return drawn + text(RIGHT + 8, 258, "c = B c_L", CREDIT)


def targets() -> str:
    """Targets from the population above."""
    drawn = upward("W", "W")
    for above, below in (("IT", "V2"), ("V2", "V1")):
        y, end = AREAS[above] + BOX, AREAS[below] - BOX - 9
        drawn += arrow(f"M{RIGHT - 15} {y} V{end}", CREDIT)
        drawn += text(RIGHT, y + 19, "t = g(t above)", CREDIT)
    return drawn + text(RIGHT + 8, 232, "c = (t − r) / π", CREDIT)


def network() -> str:
    """Channels of a credit network to each population, the top included."""
    x, half = 221, 40
    tall = f'<rect x="{x - half}" y="40" width="{2 * half}" height="212" rx="7"'
    drawn = upward("W", "W") + f'{tall} fill="#fbeeeb" stroke="{CREDIT}" stroke-width="1.5"/>'
    drawn += text(x, 140, "credit", CREDIT, anchor="middle") + text(
        x, 158, "network", CREDIT, anchor="middle"
    )
    drawn += arrow(f"M{RIGHT} {AREAS['IT'] - 14} H{x - half - 9}", RATES)
    for y in AREAS.values():
        drawn += arrow(f"M{x - half} {y + 10} H{RIGHT + 9}", CREDIT)
    return drawn + text(RIGHT + 4, AREAS["V2"] - 2, "D g", CREDIT)


def rates() -> str:
    """No credit: both sides' rates."""
    v2, v1 = AREAS["V2"], AREAS["V1"]
    middle = (v2 + v1) / 2
    return (
        upward("W", "W")
        + text(RIGHT + 8, middle - 4, "Δw from rates", RATES)
        + text(RIGHT + 8, middle + 15, "on both sides", RATES)
    )


PANELS = {
    "The shared local step": local,
    "By a chain": chain,
    "Directly from the top": direct,
    "From targets": targets,
    "From a credit network": network,
    "Unsupervised: no credit": rates,
}


def drawing() -> str:
    """All panels, as SVG."""
    rows = -(-len(PANELS) // COLUMNS)
    heads = "".join(
        f'<marker id="{name}" viewBox="0 0 10 10" refX="1" refY="5" markerWidth="4" markerHeight="4" '
        f'orient="auto"><path d="M0 0 L10 5 L0 10 z" fill="{colour}"/></marker>'
        for name, colour in (("rates", RATES), ("credit", CREDIT))
    )
    panels = []
    for number, (title, draw) in enumerate(PANELS.items()):
        x, y = number % COLUMNS * WIDTH, number // COLUMNS * HEIGHT
        panels.append(f'<g transform="translate({x} {y})">{text(10, 24, title, size=16)}{draw()}</g>')
    size = (
        f'viewBox="0 0 {COLUMNS * WIDTH} {rows * HEIGHT}" width="{COLUMNS * WIDTH}" height="{rows * HEIGHT}"'
    )
    font = 'font-family="DejaVu Sans, Verdana, sans-serif"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font} role="img">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f"<defs>{heads}</defs>",
        *panels,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PLACE.write_text(drawing(), "utf-8")
