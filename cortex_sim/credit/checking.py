"""What a declaration with credit populations must satisfy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cortex_sim.credit.declared import by_credit, declared_credit
from cortex_sim.credit.kernels import diffusion
from cortex_sim.errors import DeclarationError

if TYPE_CHECKING:
    from cortex_sim.network import Network
    from cortex_sim.projection import Projection


def check_within(net: Network, projection: Projection) -> None:
    """Credit populations hear each other; what they send changes in the outer loop only."""
    pre, post = projection.pre, projection.post
    if post in net.credit_populations and pre not in net.credit_populations:
        raise DeclarationError(
            f"projection {projection.name}: {post} is a credit population and hears of {pre} by its context "
            "alone; project from a credit population"
        )
    if pre not in net.credit_populations:
        return
    if projection.plasticity is not None or projection.regularisers:
        raise DeclarationError(
            f"projection {projection.name}: weights of a credit network change in the outer loop only "
            "(cortex-sim evolve); leave plasticity and regulariser out"
        )
    kernel = getattr(projection.feedback, "kernel", None)
    if kernel is not None:
        sender, receiver = net.ends(projection)
        try:
            diffusion(kernel, receiver, sender[0], np.random.default_rng(0))
        except DeclarationError as error:
            raise DeclarationError(f"projection {projection.name}: {error}") from None


def check_taught(net: Network) -> None:
    """A credit network teaches the whole network; what it needs must be there."""
    rules = {p.name: p.plasticity for p in net.bottom_ups if hasattr(p.plasticity, "arrival")}
    first = next((rule for rule in rules.values() if by_credit(rule)), None)
    if first is None:
        if net.credit_populations:
            raise DeclarationError(
                f"network {net.name}: has credit populations, but no projection learns from them; use "
                "plasticity=Tdca(), or net.with_rule(...)"
            )
        return
    for name, rule in rules.items():
        if rule != first:
            raise DeclarationError(
                f"projection {name}: learns by {rule!r}, but {first!r} teaches network {net.name}, and a "
                'credit network teaches all of it; use net.with_rule("tdca")'
            )
    declared_credit(net)
    for path in net.top_downs:
        if path.pre not in net.credit_populations:
            raise DeclarationError(
                f"projection {path.name}: brings credit from {path.pre}, but {type(first).__name__} takes it "
                "from credit populations only; remove the projection"
            )
