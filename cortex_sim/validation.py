"""What a declaration must satisfy: each check names the object, what is wrong and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.activations import Invertible
from cortex_sim.checks import listed
from cortex_sim.connectors import Conv2d, Dense, has_weights, size
from cortex_sim.credit.checking import check_leaving, check_teacher
from cortex_sim.credit.teacher import by_credit
from cortex_sim.errors import DeclarationError
from cortex_sim.feedback import Given, Inverse
from cortex_sim.initialisers import GivenWeights
from cortex_sim.operators.checking import brings_operator, check_operator
from cortex_sim.paths import Paths
from cortex_sim.projection import BOTTOM_UP, Projection
from cortex_sim.regularisers import Decay
from cortex_sim.rules.base import WORDS, Arrival, TargetRule
from cortex_sim.rules.kolen_pollack import KolenPollack

if TYPE_CHECKING:
    from cortex_sim.network import Network


def is_supervised(rule: Any) -> bool:
    """Whether a rule reads the credit of its post population."""
    return hasattr(rule, "arrival")


def is_top_down_rule(rule: Any) -> bool:
    """Whether a rule changes top-down weights: it says ``top_down = True``, whatever settings it has."""
    said = getattr(rule, "top_down", None)
    if said is not None:
        return bool(said)
    return bool(getattr(rule, "spontaneous", False) or getattr(rule, "reads_credit", False))


def is_lateral_rule(rule: Any) -> bool:
    """Whether a rule changes lateral weights: it leaves their diagonal at zero."""
    return bool(getattr(rule, "lateral", False))


def check_free(net: Network, projection: Projection) -> None:
    """One projection a direction and pair."""
    name = projection.name
    if projection.pre == projection.post and not projection.is_lateral:
        raise DeclarationError(
            f"projection {name}: joins {projection.pre} to itself; use two populations, or "
            f"net.lateral({projection.pre!r}, ...)"
        )
    if name in net.projections:
        raise DeclarationError(
            f"projection {name}: already declared ({net.projections[name].kind}); "
            "one projection joins two populations in one direction, put a population between for a second"
        )
    if not (projection.is_top_down or isinstance(projection.connector, Dense)):
        _check_declared_first(net, projection)


def _check_declared_first(net: Network, projection: Projection) -> None:
    """A top-down projection takes its shape from the bottom-up one, so it cannot come first."""
    if projection.mate in net.projections:
        raise DeclarationError(
            f"projection {projection.name}: {projection.mate} was declared before it and would not share "
            "its kernel; declare the bottom-up projection first, then net.top_down(...)"
        )


def check_acyclic(net: Network, new: Projection) -> None:
    """Bottom-up projections may not close a cycle."""
    onward: dict[str, list[str]] = {}
    for p in net.bottom_ups:
        onward.setdefault(p.pre, []).append(p.post)
    paths, seen = [[new.post]], {new.post}
    while paths:
        path = paths.pop()
        if path[-1] == new.pre:
            raise DeclarationError(
                f"projection {new.name}: closes the cycle {' -> '.join([new.pre, *path])}; bottom-up "
                "projections run one way only, use net.top_down(...) for the way back"
            )
        steps = [step for step in onward.get(path[-1], []) if step not in seen]
        seen.update(steps)
        paths.extend([*path, step] for step in steps)


def check_connector(net: Network, projection: Projection) -> None:
    """One's own connector has an operator that holds what it says, or the weights of a matrix."""
    (before, after), link = net.ends(projection), projection.connector
    shape, word = tuple(link.weight_shape(before, after)), type(link).__name__
    if brings_operator(link):
        check_operator(projection.name, link, before, after)
        return
    if isinstance(link, Conv2d) or not has_weights(link):
        return
    if shape != (size(after), size(before)):
        raise DeclarationError(
            f"projection {projection.name}: {word} has weights of shape {shape}, but {projection.post} has "
            f"{size(after)} units and {projection.pre} {size(before)}; a connector of your own has weights "
            f"(post units, pre units), {(size(after), size(before))}, or a method operator(pre, post); "
            "without weights, use Identity()"
        )


def check_bottom_up(projection: Projection) -> None:
    """A bottom-up projection's rule must be able to act on it."""
    rule, name = projection.plasticity, projection.name
    word = type(projection.connector).__name__
    fixed = f"{word}() never changes its weights (plastic = False)"
    if projection.regularisers and not projection.connector.plastic:
        acting = type(projection.regularisers[0]).__name__
        lacks = (
            fixed if has_weights(projection.connector) else f"{word}() has no weights for {acting} to act on"
        )
        raise DeclarationError(f"projection {name}: {lacks}; remove the regulariser, or use Dense()")
    if rule is None:
        return
    if not projection.connector.plastic:
        lacks = fixed if has_weights(projection.connector) else f"{word}() has no weights to learn"
        raise DeclarationError(
            f"projection {name}: {lacks}; remove plasticity={type(rule).__name__}(...), or use Dense()"
        )
    if is_top_down_rule(rule):
        raise DeclarationError(
            f"projection {name}: {type(rule).__name__} changes top-down weights, {name} is bottom-up; "
            "give it to the net.top_down(...) that runs beside it"
        )
    if is_lateral_rule(rule):
        raise DeclarationError(
            f"projection {name}: {type(rule).__name__} changes lateral weights, {name} is bottom-up; "
            f"use net.lateral({projection.post!r}, plasticity={type(rule).__name__}())"
        )


def check_lateral(projection: Projection) -> None:
    """A lateral projection's weights must have no diagonal, its rule leave it so."""
    rule, name = projection.plasticity, projection.name
    init = projection.connector.init  # type: ignore[attr-defined]
    if isinstance(init, GivenWeights) and np.diag(init.weights).any():
        raise DeclarationError(
            f"projection {name}: lateral weights must be zero on the diagonal, no unit projects to itself; "
            "use weights - np.diag(np.diag(weights))"
        )
    if rule is not None and not is_lateral_rule(rule):
        raise DeclarationError(
            f"projection {name}: {type(rule).__name__} is no rule for lateral projections; use "
            "Decorrelation(), or a rule of your own that has lateral = True and leaves the diagonal at zero"
        )
    for regulariser in projection.regularisers:
        if not isinstance(regulariser, Decay):
            raise DeclarationError(
                f"projection {name}: {type(regulariser).__name__} does not act on lateral weights; "
                "use Decay()"
            )


def check_feedback(net: Network, projection: Projection) -> None:
    """Tied feedback and top-down rules must belong to the bottom-up projection beside them."""
    name, feedback, rule = projection.name, projection.feedback, projection.plasticity
    check_leaving(net, projection)
    parts: tuple[Any, ...] = (feedback, rule)
    for part in filter(_names_its_partner, parts):
        of = part.of
        beside = net.projections.get(of)
        if beside is None or beside.kind != BOTTOM_UP:
            raise DeclarationError(
                f"projection {name}: {type(part).__name__}(of={of!r}) names no bottom-up projection; "
                f"known: {listed(p.name for p in net.bottom_ups)}"
            )
        if of != projection.mate:
            raise DeclarationError(
                f"projection {name}: {type(part).__name__}(of={of!r}) belongs to a top-down projection "
                f"from {beside.post} to {beside.pre}; use net.top_down({beside.post!r}, {beside.pre!r}, ...)"
                f" or of={projection.mate!r}"
            )
    if rule is not None and not is_top_down_rule(rule):
        raise DeclarationError(
            f"projection {name}: {type(rule).__name__} is a rule for "
            f"{'lateral' if is_lateral_rule(rule) else 'bottom-up'} projections; top-down ones "
            f"learn by a rule with top_down = True, such as KolenPollack(of={projection.mate!r})"
        )
    if rule is not None and feedback is not None and feedback.tied:
        raise DeclarationError(
            f"projection {name}: {type(feedback).__name__} weights follow {projection.mate} and cannot have "
            "plasticity of their own; use feedback=Random() or Given(array), or plasticity=None"
        )
    if projection.regularisers and feedback is not None and feedback.tied:
        raise DeclarationError(
            f"projection {name}: {type(feedback).__name__} weights follow {projection.mate}, so "
            f"{type(projection.regularisers[0]).__name__} cannot act on them; give it to {projection.mate}"
        )
    if isinstance(feedback, Inverse):
        _check_inverse(net, projection, feedback)
    if getattr(feedback, "dense_only", False) and not isinstance(projection.connector, Dense):
        raise DeclarationError(
            f"projection {name}: {type(feedback).__name__} sends to single units, and {projection.mate} "
            f"beside it is {type(projection.connector).__name__}, whose form its weights would take; use "
            "feedback=Random() or Given(array), or a Dense projection onto the top"
        )
    if isinstance(feedback, Given):
        expected = net.weight_shape(projection)
        if feedback.weights.shape != expected:
            raise DeclarationError(
                f"projection {name}: weights have shape {feedback.weights.shape}, "
                f"give shape {expected} (of {size(net.ends(projection)[1])} "
                f"{projection.post} units by {size(net.ends(projection)[0])} {projection.pre} units)"
            )


def _names_its_partner(part: Any) -> bool:
    """Whether ``of`` is the bottom-up projection that this feedback or rule belongs to."""
    runs_beside = getattr(part, "tied", False) or is_top_down_rule(part)
    return runs_beside and getattr(part, "of", None) is not None


def _check_inverse(net: Network, projection: Projection, inverse: Inverse) -> None:
    shape = net.weight_shape(projection)
    if not shape:
        return
    kept_alike = net.operator(projection).feedback_like_weights
    post, fan_in = (shape[0], size(shape[1:])) if kept_alike else (shape[1], shape[0])
    if inverse.auxiliary and post > fan_in:
        raise DeclarationError(
            f"projection {projection.name}: {inverse.of} has {post} post units for {fan_in} inputs, and "
            "auxiliary units only fill up a smaller post population; use auxiliary=False"
        )


def check_network(net: Network) -> None:
    """Everything that needs the whole network; see `Network.check`."""
    paths = Paths(net)
    if not paths.inputs:
        raise DeclarationError(f"network {net.name}: no bottom-up projection; add net.bottom_up(...)")
    if len(net.stimulated) > 1:
        raise DeclarationError(
            f"network {net.name}: {listed(net.stimulated)} have no bottom-up input; the stimulus drives one "
            "population, project to the others or leave them out"
        )
    for lateral in net.laterals:
        if lateral.post in net.stimulated:
            raise DeclarationError(
                f"projection {lateral.name}: the rates of {lateral.post} are the stimulus, which nothing is "
                "taken off; give the lateral projection to a population with bottom-up input"
            )
    _check_objective(net)
    taught = any(by_credit(p.plasticity) for p in net.bottom_ups)
    for projection in net.bottom_ups:
        if is_supervised(projection.plasticity) and not taught:
            _check_arrival(net, projection, paths)
    check_teacher(net)
    _check_targets(net, paths)
    for projection in net.top_downs:
        _check_kolen_pollack(net, projection)


def _check_objective(net: Network) -> None:
    supervised = [p for p in net.bottom_ups if is_supervised(p.plasticity)]
    if supervised and net.objective_at is None:
        raise DeclarationError(
            f"network {net.name}: {supervised[0].name} learns by {type(supervised[0].plasticity).__name__}, "
            "which needs an objective; add net.objective(population, CrossEntropy())"
        )
    if net.objective_at in net.stimulated:
        raise DeclarationError(
            f"network {net.name}: the objective is at {net.objective_at}, whose rates are the stimulus; "
            "put it at a population with bottom-up input"
        )


def _check_arrival(net: Network, projection: Projection, paths: Paths) -> None:
    """The post population must get credit, by feedback that the rule accepts, from where it says."""
    rule, post = projection.plasticity, projection.post
    word, arriving = type(rule).__name__, paths.credit_inputs.get(post, [])
    kinds = " or ".join(kind.__name__ for kind in rule.accepts)
    if post != net.objective_at and not arriving:
        senders: list[Any] = [p.post for p in paths.onward.get(post, [])] or [net.objective_at]
        if rule.arrival is Arrival.DIRECT:
            senders = [net.objective_at]
        raise DeclarationError(
            f"projection {projection.name}: learns by {word}, but no top-down projection brings credit to "
            f"{post}; add net.top_down({senders[0]!r}, {post!r}, feedback={rule.accepts[0].__name__}(...)), "
            f"or use {_whole(rule)}, which adds all that are needed"
        )
    for path in arriving:
        over_identity = not has_weights(path.connector)
        if not over_identity and not isinstance(path.feedback, rule.accepts):
            raise DeclarationError(
                f"projection {projection.name}: learns by {word}, which takes its credit through {kinds}; "
                f"{path.name} has {type(path.feedback).__name__}, change one of the two"
            )
        if rule.arrival is Arrival.DIRECT and path.pre != net.objective_at:
            raise DeclarationError(
                f"projection {path.name}: {word} of {projection.name} takes credit straight from the top; "
                f"use net.top_down({net.objective_at!r}, {post!r}, ...)"
            )
        if rule.arrival is not Arrival.DIRECT and not paths.has_credit_without(path.pre, post):
            raise DeclarationError(
                f"projection {path.name}: brings {post} the credit of {path.pre}, which gets none itself; "
                f"add a top-down projection from above to {path.pre}"
            )
    _check_no_path_missing(net, projection, paths)


def _whole(rule: Any) -> str:
    """How to put a whole network under a rule, with the top-down projections that it needs."""
    words = [word for word, meant in WORDS.items() if type(meant.rule) is type(rule)]
    return f'net.with_rule("{words[0]}")' if words else f"net.with_rule({type(rule).__name__}())"


def _check_no_path_missing(net: Network, projection: Projection, paths: Paths) -> None:
    """A rule that runs beside bottom-up projections must run beside all that lead to the objective."""
    rule, post = projection.plasticity, projection.post
    if rule.arrival is Arrival.DIRECT:
        return
    by_hand = any(p.mate not in net.projections for p in paths.credit_inputs.get(post, []))
    for onward in paths.onward.get(post, []):
        if onward.post in paths.leading and onward.mate not in net.projections and not by_hand:
            raise DeclarationError(
                f"projection {projection.name}: {post} also drives {onward.post}, whose credit never comes "
                f"back; add net.top_down({onward.post!r}, {post!r}, ...)"
            )


def _check_targets(net: Network, paths: Paths) -> None:
    """Rules that work by targets hold for the whole network and invert its activations."""
    rules = [p.plasticity for p in net.bottom_ups if is_supervised(p.plasticity)]
    by_target = [rule for rule in rules if rule.arrival is Arrival.TARGETS]
    if not by_target:
        return
    first = by_target[0]
    if any(rule != first for rule in rules):
        raise DeclarationError(
            f"network {net.name}: {first!r} finds targets for the whole network, so every supervised "
            f"projection must carry it; use net.with_rule({first!r})"
        )
    word = type(first).__name__
    for population in {p.post: net.populations[p.post] for p in net.bottom_ups}.values():
        if not isinstance(population.activation, Invertible):
            raise DeclarationError(
                f"population {population.name}: {word} needs the inverse of the rate function, and "
                f"{type(population.activation).__name__} has none; use leaky_relu, tanh, logistic, "
                "softplus or linear"
            )
        if isinstance(first, TargetRule) and first.chain_only:
            _check_chain(paths, population.name, word)


def _check_chain(paths: Paths, population: str, word: str) -> None:
    inputs, onward = paths.inputs[population], paths.onward.get(population, [])
    if len(inputs) > 1 or len(onward) > 1 or not isinstance(inputs[0].connector, Dense):
        raise DeclarationError(
            f"population {population}: {word} inverts the whole drive, so it takes chains of Dense "
            "projections only; use DifferenceTargetProp() for other graphs"
        )


def _check_kolen_pollack(net: Network, projection: Projection) -> None:
    if not isinstance(projection.plasticity, KolenPollack):
        return
    beside = net.projections[projection.mate]
    down = sum(r.rate for r in projection.regularisers if isinstance(r, Decay))
    up = sum(r.rate for r in beside.regularisers if isinstance(r, Decay))
    if down != up or not up:
        raise DeclarationError(
            f"projection {projection.name}: KolenPollack needs one decay, above 0, on both weights; "
            f"{projection.name} has {down:g}, {beside.name} {up:g}: give regulariser=Decay(1e-4) to both"
        )
