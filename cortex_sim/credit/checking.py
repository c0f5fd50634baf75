"""What a declaration with a teacher must satisfy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cortex_sim.checks import listed
from cortex_sim.credit.teacher import taught_populations
from cortex_sim.credit.view import channels_of
from cortex_sim.errors import DeclarationError

if TYPE_CHECKING:
    from cortex_sim.network import Network
    from cortex_sim.projection import Projection


def check_leaving(net: Network, projection: Projection) -> None:
    """Weights from a credit population change by a rule for channels, or only in the outer loop.

    A rule for channels is refused everywhere else.
    """
    teacher, rule = net.teacher, projection.rule
    if teacher is None or projection.pre not in teacher.populations:
        if rule.from_channels:
            raise DeclarationError(
                f"projection {projection.name}: {type(rule.part).__name__} changes weights from the channels "
                f'of a credit network, but {projection.pre} is not a channel; use net.with_rule("tdca", '
                f'credit="broadcast_mnist"), or KolenPollack(of={projection.reverse_name!r})'
            )
        return
    if rule.from_channels and projection.post in teacher.hidden:
        return
    if rule.part is not None or projection.regularisers:
        raise DeclarationError(
            f"projection {projection.name}: weights of a credit network change only in the outer loop "
            "(cortex-sim evolve), except those from channels onto hidden populations, by "
            "PlasticDiffusion(); leave plasticity and regulariser out"
        )


def check_teacher(net: Network) -> None:
    """A credit network must train the whole network, and exactly the populations that learn."""
    rules = {p.name: p.plasticity for p in net.bottom_ups if p.rule.supervised}
    first = next((p.plasticity for p in net.bottom_ups if p.rule.from_teacher), None)
    teacher = net.teacher
    if first is None:
        if teacher is not None:
            raise DeclarationError(
                f"network {net.name}: has a credit network, but no projection learns from it; use "
                "plasticity=Tdca(), or net.with_rule(...)"
            )
        return
    again = 'use net.with_rule("tdca", credit=...)'
    for name, rule in rules.items():
        if rule != first:
            raise DeclarationError(
                f"projection {name}: learns by {rule!r}, but network {net.name} has a credit network "
                f'({first!r}), which must train all of it; use net.with_rule("tdca")'
            )
    if teacher is None:
        raise DeclarationError(
            f"network {net.name}: {next(iter(rules))} learns by {type(first).__name__}, but there is no "
            f"credit network; {again}, which adds one"
        )
    top = net.populations[str(net.objective_at)]
    declared, has = (
        (teacher.top, teacher.outputs, teacher.hidden),
        (top.name, top.size, taught_populations(net)),
    )
    if declared != has:
        raise DeclarationError(
            f"network {net.name}: its credit network is for {listed([*declared[2], declared[0]])} with "
            f"{declared[1]} outputs, but {listed([*has[2], has[0]])} learn, with {has[1]} outputs; {again}"
        )
    expected = {f"{channels_of(name)}->{name}": name for name in (*teacher.hidden, teacher.top)}
    found = {p.name: p for p in net.top_downs}
    for path, name in expected.items():
        if path not in found:
            raise DeclarationError(
                f"network {net.name}: the projection {path}, which brings {name} its credit, is missing; "
                f"{again}, or cut it in a protocol"
            )
    for path, p in found.items():
        if path not in expected:
            raise DeclarationError(
                f"projection {path}: brings credit from {p.pre}, but {type(first).__name__} takes credit "
                "only from the channels of a credit network; remove the projection"
            )
        if not isinstance(p.feedback, first.accepts):
            kinds = " or ".join(kind.__name__ for kind in first.accepts)
            raise DeclarationError(
                f"projection {path}: for {type(first).__name__} its feedback must be {kinds}. "
                f"Got {type(p.feedback).__name__}"
            )
