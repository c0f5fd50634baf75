"""How a network is displayed: as a table, as a drawing, and in a notebook as both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from cortex_sim.network import Network


class DisplayedNetwork:
    """Display methods of `cortex_sim.network.Network`; the drawing library is loaded on first use."""

    def draw(self, path: str | Path | None = None) -> Any:
        """Draw populations and all kinds of projection (matplotlib figure; saved if a path is given)."""
        from cortex_sim.viz.drawing import draw

        return draw(cast("Network", self), path)

    def __str__(self) -> str:
        from cortex_sim.viz.tables import network_table

        return network_table(cast("Network", self))

    def _repr_html_(self) -> str:
        from cortex_sim.viz import notebook

        return notebook.network(cast("Network", self))
