"""Sources: populations without bottom-up input, whose rates the stimulus sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cortex_sim.checks import listed
from cortex_sim.errors import CortexSimError, RunError

if TYPE_CHECKING:
    from cortex_sim.network import Network

FORM = "{source: array}"
WAY_OUT = f"give arrays, {FORM}"


def only_source(net: Network, why: str, way_out: str, exception_type: type[CortexSimError] = RunError) -> str:
    """The only source of a network; messages say ``why`` there must be one only, and the ``way_out``.

    Raises
    ------
    CortexSimError
        Of type ``exception_type``, if there are several sources.
    """
    sources = net.sources
    if len(sources) > 1:
        raise exception_type(
            f"{why}, but network {net.name} has {len(sources)} sources, {listed(sources)}; {way_out}"
        )
    return sources[0]
