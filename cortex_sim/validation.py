"""What a declaration must satisfy: each check names the object, what is wrong and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.capabilities import DeclaredFeedback, DeclaredRule, connector_of
from cortex_sim.checks import listed
from cortex_sim.connectors import Matrix, has_weights, size
from cortex_sim.constraint_checking import check_constraints
from cortex_sim.convolution import Conv2d
from cortex_sim.credit.checking import check_leaving
from cortex_sim.errors import DeclarationError
from cortex_sim.feedback import Transpose
from cortex_sim.initialisers import GivenWeights
from cortex_sim.joined import joined_of
from cortex_sim.normaliser_checking import check_normalisers
from cortex_sim.operators.checking import brings_operator, check_operator
from cortex_sim.paths import Paths
from cortex_sim.presynaptic.checking import check_reads
from cortex_sim.projection import BOTTOM_UP, GAIN, RECURRENT, TOP_DOWN, Projection
from cortex_sim.rules.base import PerPost, PerPre
from cortex_sim.rules.checking import check_credit, check_rule

if TYPE_CHECKING:
    from cortex_sim.network import Network


#: What a top-down projection does, and the kind of projection that does it.
EFFECTS = {"credit": TOP_DOWN, "drive": RECURRENT, "gain": GAIN}


def check_effect(name: str, effect: str, feedback: Any, connector: Any) -> None:
    """Refuse a connector for credit, and feedback for drive and gain."""
    if effect == "credit" and connector is not None:
        raise DeclarationError(
            f"projection {name}: the weights of credit come from feedback=..., not from a connector; leave "
            'connector out, or give effect="drive" or "gain"'
        )
    if effect != "credit" and feedback is not None:
        raise DeclarationError(
            f"projection {name}: feedback says where the weights of credit come from, but this projection "
            f'carries {effect}; give connector=... instead, or effect="credit"'
        )


def paired(net: Network, pre: str, post: str) -> Projection | None:
    """The bottom-up or recurrent projection back along which a top-down one from ``pre`` to ``post`` goes."""
    return next((p for p in net.driving if (p.pre, p.post) == (post, pre)), None)


def check_free(net: Network, projection: Projection) -> None:
    """Allow one projection per pair, direction and kind, and only one that drives."""
    name = projection.name
    alone = projection.kind in (BOTTOM_UP, TOP_DOWN) and projection.paired_with == BOTTOM_UP
    if projection.pre == projection.post and alone:
        raise DeclarationError(
            f"projection {name}: connects {projection.pre} to itself; use two populations, "
            f"net.recurrent({projection.pre!r}, {projection.pre!r}, ...) or "
            f"net.lateral({projection.pre!r}, ...)"
        )
    if name in net.projections:
        raise DeclarationError(
            f"projection {name}: already declared ({net.projections[name].kind}); "
            "two populations can have only one such projection; to add another, put a population in between"
        )
    same = [p for p in net.driving if (p.pre, p.post) == (projection.pre, projection.post)]
    if projection.drives and same:
        raise DeclarationError(
            f"projection {name}: {projection.pre} already drives {projection.post} by {same[0].name}, and "
            "only one projection can do so; to add another, put a population in between"
        )
    if not (projection.is_top_down or isinstance(projection.connector, Matrix)):
        _check_declared_first(net, projection)


def _check_declared_first(net: Network, projection: Projection) -> None:
    """Refuse a top-down projection declared before the bottom-up one that determines its shape."""
    if projection.reverse_name in net.projections:
        raise DeclarationError(
            f"projection {projection.name}: {projection.reverse_name} was declared before it and would not "
            f"share its kernel; declare the bottom-up projection first, then net.top_down(...)"
        )


def check_acyclic(net: Network, new: Projection) -> None:
    """Refuse a bottom-up projection that would close a cycle."""
    onward: dict[str, list[str]] = {}
    for p in net.bottom_ups:
        onward.setdefault(p.pre, []).append(p.post)
    paths, seen = [[new.post]], {new.post}
    while paths:
        path = paths.pop()
        if path[-1] == new.pre:
            raise DeclarationError(
                f"projection {new.name}: closes the cycle {' -> '.join([new.pre, *path])}; bottom-up "
                f"projections must not form cycles; use net.recurrent({new.pre!r}, {new.post!r}, ...) to "
                "drive, or net.top_down(...) to send credit back"
            )
        steps = [step for step in onward.get(path[-1], []) if step not in seen]
        seen.update(steps)
        paths.extend([*path, step] for step in steps)


def check_connector(net: Network, projection: Projection) -> None:
    """A user-defined connector needs a correct operator, or weights that form a matrix (post, pre)."""
    (before, after), link = net.ends(projection), projection.connector
    connector_of(link)  # refuses misspelt capabilities, before one is looked for
    shape, word = tuple(link.weight_shape(before, after)), type(link).__name__
    if brings_operator(link):
        check_operator(projection.name, link, before, after)
        return
    if isinstance(link, Conv2d) or not has_weights(link):
        return
    if shape != (size(after), size(before)):
        raise DeclarationError(
            f"projection {projection.name}: {word} has weights of shape {shape}, but {projection.post} has "
            f"{size(after)} units and {projection.pre} {size(before)}; your own connector needs weights of "
            f"shape (post units, pre units), {(size(after), size(before))}, or a method operator(pre, post); "
            "if it has no weights, use Identity()"
        )


def check_groups(net: Network, projection: Projection) -> None:
    """With a grouped connector a rule's state may be per channel or per synapse, not per input."""
    if not projection.rule.state or net.operator(projection).groups == 1:
        return
    side = PerPost if projection.is_top_down else PerPre  # of inputs, in the bottom-up direction
    for variable, kind in projection.rule.state.items():
        if isinstance(kind, side):
            link, word = type(projection.connector).__name__, type(projection.plasticity).__name__
            raise DeclarationError(
                f"projection {projection.name}: {word} keeps {variable} for each input, but the groups of "
                f"{link} read different inputs; use {link} without groups, or a rule with state per post "
                "unit or per synapse, such as Bcm(), or without state, such as Oja()"
            )


def check_regularisers(projection: Projection) -> None:
    """Refuse a regulariser that neither has ``change(w)`` nor is implemented by backends."""
    for regulariser in projection.acting:
        if not (regulariser.change or regulariser.by_backend):
            raise DeclarationError(
                f"projection {projection.name}: {type(regulariser.part).__name__} has no change(w), so it "
                "would never act; give the class one that returns its Δw/η"
            )


def check_bottom_up(projection: Projection) -> None:
    """Refuse regularisers where there are no weights, or weights that never change."""
    link = projection.connector
    if projection.regularisers and not link.plastic:
        word, acting = type(link).__name__, type(projection.regularisers[0]).__name__
        fixed = f"{word}() never changes its weights (plastic = False)"
        lacks = fixed if has_weights(link) else f"{word}() has no weights for {acting} to act on"
        raise DeclarationError(
            f"projection {projection.name}: {lacks}; remove the regulariser, or use Dense()"
        )


def check_lateral(projection: Projection) -> None:
    """Lateral weights must be zero on the diagonal, and regularisers must keep them so."""
    name, init = projection.name, projection.connector.init  # type: ignore[attr-defined]
    if isinstance(init, GivenWeights) and np.diag(init.weights).any():
        raise DeclarationError(
            f"projection {name}: lateral weights must be zero on the diagonal, since no unit projects to "
            "itself; use weights - np.diag(np.diag(weights))"
        )
    for regulariser in projection.acting:
        if not regulariser.lateral:
            raise DeclarationError(
                f"projection {name}: {type(regulariser.part).__name__} does not act on lateral weights; "
                "use Decay()"
            )


def check_feedback(net: Network, projection: Projection) -> None:
    """Feedback must fit its paired projection, and tied weights must not change independently."""
    name, source = projection.name, projection.source
    check_leaving(net, projection)
    word = type(source.part).__name__
    if source.tied and projection.plasticity is not None:
        raise DeclarationError(
            f"projection {name}: {word} weights follow {projection.reverse_name}, so they cannot have a "
            "rule; use feedback=Random() or Given(array), or plasticity=None"
        )
    if source.tied and projection.regularisers:
        raise DeclarationError(
            f"projection {name}: {word} weights follow {projection.reverse_name}, so "
            f"{type(projection.regularisers[0]).__name__} cannot act on them; give it to "
            f"{projection.reverse_name}"
        )
    unweighted = not has_weights(projection.connector) and not net.operator(projection).synapses
    if unweighted and not isinstance(source.part, Transpose):  # for an identity all feedback is the identity
        link = type(projection.connector).__name__
        raise DeclarationError(
            f"projection {name}: {link} of {projection.reverse_name} has no weights to follow or replace, "
            "so credit returns by its transpose; use feedback=Transpose("
            f"of={projection.reverse_name!r})"
        )
    if source.dense_only and not isinstance(projection.connector, Matrix):
        raise DeclarationError(
            f"projection {name}: {word} addresses single units, but its weights would have the form of "
            f"{type(projection.connector).__name__}, as {projection.reverse_name} has; use feedback=Random() "
            "or Given(array), or a Dense projection onto the top"
        )
    if not (source.tied or source.draw):
        raise DeclarationError(
            f"projection {name}: {word} has tied = False but no draw(rng, shape, senders); add this method, "
            "which returns its weights, or write tied = True"
        )


def check_partner(net: Network, projection: Projection, part: DeclaredRule | DeclaredFeedback) -> None:
    """Feedback or a rule paired with a bottom-up projection must run opposite to that projection."""
    of, name, word = part.of, projection.name, type(part.part).__name__
    paired = net.projections.get(str(of))
    if of is None:
        return
    if paired is None or not paired.drives:
        raise DeclarationError(
            f"projection {name}: {word}(of={of!r}) names no bottom-up projection; "
            f"known: {listed(p.name for p in net.driving)}"
        )
    if of != projection.reverse_name:
        raise DeclarationError(
            f"projection {name}: {word}(of={of!r}) belongs to a top-down projection "
            f"from {paired.post} to {paired.pre}; use net.top_down({paired.post!r}, {paired.pre!r}, ...)"
            f" or of={projection.reverse_name!r}"
        )


def check_parts(net: Network, projection: Projection) -> None:
    """Rule, feedback and regularisers must fit the projection, and pass their own checks."""
    if projection.source.tied or projection.source.knows_weights:
        check_partner(net, projection, projection.source)
    if projection.rule.top_down and projection.is_top_down:
        check_partner(net, projection, projection.rule)
    check_rule(projection)
    check_groups(net, projection)
    check_regularisers(projection)
    if projection.is_top_down:
        check_feedback(net, projection)
    elif projection.is_lateral:
        check_lateral(projection)
    else:
        check_bottom_up(projection)
    check_constraints(net, projection)
    check_reads(net, projection)
    for part in projection.declared:
        if part.check is not None:
            part.check(net, projection)


def check_network(net: Network) -> None:
    """All checks that need the whole network; see `Network.check`."""
    paths = Paths(net)
    if not paths.inputs:
        raise DeclarationError(f"network {net.name}: no bottom-up projection; add net.bottom_up(...)")
    _check_sources(net)
    _check_coupling(net)
    check_normalisers(net)
    _check_objective(net)
    check_credit(net, paths)
    for projection in net.projections.values():
        check_parts(net, projection)
        for part in projection.declared:
            if part.check_whole is not None:
                part.check_whole(net, projection)
    joined_of(net)


def _check_sources(net: Network) -> None:
    """A population without bottom-up input is a source: it must project somewhere, and has no credit.

    The stimulus sets its rates: nothing may be subtracted from them, added to them or multiplied with them.
    """
    sources, sending = net.sources, {p.pre for p in net.of_rates}
    acts = {"lateral": "subtracted from", RECURRENT: "added to", GAIN: "multiplied with"}
    for p in net.of_rates:
        if p.kind != BOTTOM_UP and p.post in sources:
            raise DeclarationError(
                f"projection {p.name}: the rates of {p.post} are the stimulus, so nothing can be "
                f"{acts[p.kind]} them; give the {p.kind} projection to a population with bottom-up input"
            )
    for name in sources:
        if name not in sending:
            raise DeclarationError(
                f"population {name}: has no bottom-up input and projects to nothing, so it has no effect; "
                f"add net.bottom_up(..., {name!r}) or net.bottom_up({name!r}, ...), or leave it out"
            )
    for p in net.top_downs:
        if p.pre in sources:
            raise DeclarationError(
                f"projection {p.name}: {p.pre} has no bottom-up input, so its rates are the stimulus and it "
                f"has no credit to send; send from a population with input, or add net.bottom_up(..., "
                f"{p.pre!r})"
            )


def _check_coupling(net: Network) -> None:
    """Refuse apical coupling where there is no credit, or no drive for it to act on."""
    for name, population in net.populations.items():
        if population.apical_coupling and name in net.sources:
            raise DeclarationError(
                f"population {name}: apical_coupling acts on the drive, but the rates of {name} are the "
                "stimulus; leave it at 0"
            )
        if population.apical_coupling and net.objective_at is None and not net.top_downs:
            raise DeclarationError(
                f"population {name}: apical_coupling={population.apical_coupling:g}, but network {net.name} "
                "has no credit; add net.objective(...) or a top-down projection, or leave it at 0"
            )


def _check_objective(net: Network) -> None:
    supervised = [p for p in net.driving if p.rule.supervised]
    if supervised and net.objective_at is None:
        raise DeclarationError(
            f"network {net.name}: {supervised[0].name} learns by {type(supervised[0].plasticity).__name__}, "
            "which needs an objective; add net.objective(population, CrossEntropy())"
        )
    if net.objective_at in net.sources:
        raise DeclarationError(
            f"network {net.name}: the objective is at {net.objective_at}, whose rates are the stimulus; "
            "put it at a population with bottom-up input"
        )
