"""What a rule requires of the projection that carries it, and of the network around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cortex_sim.capabilities import Arrival, activation_of
from cortex_sim.connectors import Matrix, has_weights
from cortex_sim.credit.checking import check_teacher
from cortex_sim.errors import DeclarationError
from cortex_sim.projection import RECURRENT
from cortex_sim.rules.base import WORDS

if TYPE_CHECKING:
    from cortex_sim.network import Network
    from cortex_sim.paths import Paths
    from cortex_sim.projection import Projection


def check_rule(projection: Projection) -> None:
    """Refuse a rule that cannot act on the weights of the projection that carries it."""
    if projection.plasticity is None:
        return
    if projection.is_top_down:
        _check_on_top_down(projection)
    elif projection.is_lateral:
        _check_on_lateral(projection)
    else:
        _check_on_driving(projection)
    rule = projection.rule
    if rule.supervised != bool(rule.accepts) or not (rule.supervised or rule.change):
        raise DeclarationError(
            f"projection {projection.name}: {_word(projection)} must declare change(...) if it is "
            "unsupervised, or both arrival and accepts if it is supervised; add what is missing"
        )
    if rule.arrival is Arrival.TARGETS and not (rule.top_step and rule.delivered):
        raise DeclarationError(
            f"projection {projection.name}: {_word(projection)} works by targets, but lacks top_step() or "
            "delivered(carry, above, r_below); add both, as in cortex_sim/rules/target_prop.py"
        )


def _check_on_driving(projection: Projection) -> None:
    name, word, link = projection.name, _word(projection), type(projection.connector).__name__
    kind = projection.kind.replace("_", "-")
    if projection.is_gain and projection.rule.supervised:
        raise DeclarationError(
            f"projection {name}: {word} needs credit for a drive, but {name} sets a gain; use a rule that "
            'reads rates only, such as Hebbian(), or effect="drive"'
        )
    if not projection.connector.plastic:
        fixed = f"{link}() never changes its weights (plastic = False)"
        lacks = fixed if has_weights(projection.connector) else f"{link}() has no weights to learn"
        raise DeclarationError(f"projection {name}: {lacks}; remove plasticity={word}(...), or use Dense()")
    if projection.rule.top_down:
        raise DeclarationError(
            f"projection {name}: {word} changes top-down weights, but {name} is {kind}; "
            "give it to the paired net.top_down(...)"
        )
    if projection.rule.lateral:
        raise DeclarationError(
            f"projection {name}: {word} changes lateral weights, but {name} is {kind}; "
            f"use net.lateral({projection.post!r}, plasticity={word}())"
        )


def _check_on_lateral(projection: Projection) -> None:
    if not projection.rule.lateral:
        raise DeclarationError(
            f"projection {projection.name}: {_word(projection)} is no rule for lateral projections; use "
            "Decorrelation(), or your own rule with lateral = True that keeps the diagonal at zero"
        )


def _check_on_top_down(projection: Projection) -> None:
    if not projection.rule.top_down:
        raise DeclarationError(
            f"projection {projection.name}: {_word(projection)} is a rule for "
            f"{'lateral' if projection.rule.lateral else 'bottom-up'} projections; for top-down ones "
            f"use a rule with top_down = True, such as KolenPollack(of={projection.reverse_name!r})"
        )


def check_credit(net: Network, paths: Paths) -> None:
    """Every supervised rule must receive its credit in the way that it declares."""
    supervised = [p for p in net.driving if p.rule.supervised]
    if not any(p.rule.from_teacher for p in supervised):
        for projection in supervised:
            _check_arrival(net, projection, paths)
    check_teacher(net)
    _check_targets(net, paths)


def _check_arrival(net: Network, projection: Projection, paths: Paths) -> None:
    """The post population must receive credit from the right populations, by feedback the rule accepts."""
    rule, post = projection.rule, projection.post
    word, arriving = _word(projection), paths.credit_inputs.get(post, [])
    kinds = " or ".join(kind.__name__ for kind in rule.accepts)
    if post != net.objective_at and not arriving:
        senders: list[Any] = [p.post for p in paths.onward.get(post, [])] or [net.objective_at]
        if rule.arrival is Arrival.DIRECT:
            senders = [net.objective_at]
        raise DeclarationError(
            f"projection {projection.name}: learns by {word}, but no top-down projection brings credit to "
            f"{post}; add net.top_down({senders[0]!r}, {post!r}, feedback={rule.accepts[0].__name__}(...)), "
            f"or use {_whole(projection.plasticity)}, which adds all projections that are needed"
        )
    for path in arriving:
        over_identity = not has_weights(path.connector)
        if not over_identity and not isinstance(path.feedback, rule.accepts):
            raise DeclarationError(
                f"projection {projection.name}: learns by {word}, which takes its credit through {kinds}, "
                f"but {path.name} has {type(path.feedback).__name__}; change one of the two"
            )
        if rule.arrival is Arrival.DIRECT and path.pre != net.objective_at:
            raise DeclarationError(
                f"projection {path.name}: {word} of {projection.name} takes credit directly from the top; "
                f"use net.top_down({net.objective_at!r}, {post!r}, ...)"
            )
        in_a_loop = path.paired_with == RECURRENT  # then credit may circulate, and settles
        known = path.pre in paths.credited if in_a_loop else paths.has_credit_without(path.pre, post)
        if rule.arrival is not Arrival.DIRECT and not known:
            raise DeclarationError(
                f"projection {path.name}: brings {post} the credit of {path.pre}, which receives none "
                f"itself; add a top-down projection from above to {path.pre}"
            )
    _check_no_path_missing(net, projection, paths)


def _whole(rule: Any) -> str:
    """How to put a whole network under a rule, with the top-down projections that it needs."""
    words = [word for word, meant in WORDS.items() if type(meant.rule) is type(rule)]
    return f'net.with_rule("{words[0]}")' if words else f"net.with_rule({type(rule).__name__}())"


def _check_no_path_missing(net: Network, projection: Projection, paths: Paths) -> None:
    """Credit must return along every bottom-up projection that leads to the objective."""
    post = projection.post
    if projection.rule.arrival is Arrival.DIRECT:
        return
    by_hand = any(p.reverse_name not in net.projections for p in paths.credit_inputs.get(post, []))
    for onward in paths.onward.get(post, []):
        if onward.post in paths.leading and onward.reverse_name not in net.projections and not by_hand:
            raise DeclarationError(
                f"projection {projection.name}: {post} also drives {onward.post}, whose credit does not "
                f"return; add net.top_down({onward.post!r}, {post!r}, ...)"
            )


def _check_targets(net: Network, paths: Paths) -> None:
    """Rules that work by targets must cover the whole network, and need activations with an inverse."""
    supervised = [p for p in net.driving if p.rule.supervised]
    by_target = [p for p in supervised if p.rule.arrival is Arrival.TARGETS]
    if not by_target:
        return
    first, declared = by_target[0].plasticity, by_target[0].rule
    if any(p.plasticity != first for p in supervised):
        raise DeclarationError(
            f"network {net.name}: {first!r} computes targets for the whole network, so every supervised "
            f"projection must carry it; use net.with_rule({first!r})"
        )
    word = type(first).__name__
    if net.recurrents:
        raise DeclarationError(
            f"projection {net.recurrents[0].name}: {word} computes targets from the top down, which never "
            "ends in a loop; use GaitProp() in its limit form, or a network without recurrent projections"
        )
    for population in {p.post: net.populations[p.post] for p in net.bottom_ups}.values():
        if not activation_of(population.activation).invertible:
            raise DeclarationError(
                f"population {population.name}: {word} needs the inverse of the rate function, but "
                f"{type(population.activation).__name__} has none; use leaky_relu, tanh, logistic, "
                "softplus or linear"
            )
        if population.normaliser is not None:
            raise DeclarationError(
                f"population {population.name}: {word} inverts the map from drive to rate, but "
                f"{type(population.normaliser).__name__} has no inverse; leave it out, or use GaitProp() in "
                "its limit form, whose credit passes through it by the Jacobian"
            )
        if population.dropout:
            raise DeclarationError(
                f"population {population.name}: {word} inverts the map from drive to rate, but dropout has "
                "no inverse; leave it out, or use GaitProp() in its limit form"
            )
        if declared.chain_only:
            _check_chain(paths, population.name, word)


def _check_chain(paths: Paths, population: str, word: str) -> None:
    inputs, onward = paths.inputs[population], paths.onward.get(population, [])
    if len(inputs) > 1 or len(onward) > 1 or not isinstance(inputs[0].connector, Matrix):
        raise DeclarationError(
            f"population {population}: {word} inverts the whole drive, so it works only in chains of Dense "
            "projections; use DifferenceTargetProp() for other graphs"
        )


def _word(projection: Projection) -> str:
    return type(projection.plasticity).__name__
