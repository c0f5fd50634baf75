"""Colours of the page in its light and its dark scheme, and of figures, which follow it.

Figures are drawn in the package's own colours (`cortex_sim.viz`); on the page each of them is a variable of
the style sheet, with a value for light and one for dark. Lines have a contrast of at least 3:1 to the paper,
text one of 4.5:1 (WCAG 2.2, 1.4.3 and 1.4.11).
"""

from __future__ import annotations

import re

#: Roles of the page: light, dark.
ROLES = {
    "paper": ("#ffffff", "#14181c"),
    "ink": ("#1f2328", "#e6e8eb"),
    "faint": ("#59626b", "#a3abb4"),
    "line": ("#d0d6dc", "#3a424a"),
    "raised": ("#f4f6f8", "#1e242a"),
    "marked": ("#fff1cc", "#4a3c12"),
}
#: Colours in which figures are drawn: light, dark.
FIGURES = {
    "#0072b2": ("#0072b2", "#5ab0ea"),
    "#d55e00": ("#b84f00", "#ff9248"),
    "#009e73": ("#007a58", "#3fcf9f"),
    "#cc79a7": ("#a84f80", "#e39bc4"),
    "#e69f00": ("#946600", "#f0b030"),
    "#56b4e9": ("#2e86bd", "#9fd6f7"),
    "#f0e442": ("#7d7600", "#f0e442"),
    "#8a6d00": ("#7d6200", "#d3b13c"),
    "#000000": ROLES["ink"],
    "#222222": ROLES["ink"],
    "#262626": ROLES["ink"],
    "#ffffff": ROLES["paper"],
    "#eef1f4": ("#eef1f4", "#262d34"),
    "#fbede3": ("#fbede3", "#3b2a1f"),
    "#595959": ROLES["faint"],
    "#4c4c4c": ROLES["faint"],
    "#666666": ROLES["faint"],
    "#808080": ("#767676", "#98a0a8"),
    "#8c8c8c": ("#767676", "#98a0a8"),
    "#999999": ("#8a8a8a", "#8a929a"),
    "#b0b0b0": ("#b0b0b0", "#59626b"),
    "#b2b2b2": ("#b0b0b0", "#59626b"),
    "#cccccc": ("#d0d6dc", "#3a424a"),
}
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")


def variables(dark: bool) -> str:
    """Declarations of all variables in one scheme, for the style sheet."""
    roles = {f"--{name}": pair for name, pair in ROLES.items()}
    figures = {_variable(name): pair for name, pair in FIGURES.items()}
    return " ".join(f"{name}: {pair[dark]};" for name, pair in (roles | figures).items())


def following(style: str) -> str:
    """A style in which every colour that is known follows the scheme."""
    return _COLOUR.sub(lambda found: reference(found.group()), style)


def reference(colour: str) -> str:
    """A colour as the page's style sheet states it."""
    known = colour.lower()
    return f"var({_variable(known)})" if known in FIGURES else known


def _variable(colour: str) -> str:
    return f"--c{colour[1:]}"
