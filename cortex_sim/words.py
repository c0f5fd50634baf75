"""One word for a whole network: put every plastic bottom-up projection under one rule."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from cortex_sim.capabilities import rule_of
from cortex_sim.checks import look_up, require_known
from cortex_sim.connectors import has_weights
from cortex_sim.credit.saving import TrainedCredit
from cortex_sim.credit.shipped import credit_network
from cortex_sim.credit.step import step_of
from cortex_sim.credit.teacher import teach
from cortex_sim.errors import DeclarationError
from cortex_sim.feedback import Transpose
from cortex_sim.paths import Paths
from cortex_sim.presynaptic.checking import check_reads
from cortex_sim.projection import Projection
from cortex_sim.registry import make
from cortex_sim.rules.base import WORDS, TopDown, Word
from cortex_sim.rules.declared_credit import declared_word, trained_reads

if TYPE_CHECKING:
    from cortex_sim.network import Network


def word_for(rule: Any) -> Word:
    """Word of this name, or for a rule object (the first one registered with a rule of its class)."""
    if isinstance(rule, Word):
        return rule
    if isinstance(rule, str):
        return look_up("rule", rule, WORDS)
    given = make("rule", rule)
    if rule_of(given).top_down:
        raise DeclarationError(
            f"with_rule: {type(given).__name__} changes top-down weights; use a word "
            "('kolen_pollack', 'weight_mirror', 'gait_prop_learned') or a bottom-up rule"
        )
    if rule_of(given).lateral:
        raise DeclarationError(
            f"with_rule: {type(given).__name__} changes lateral weights; use "
            f"net.lateral(population, plasticity={type(given).__name__}())"
        )
    for word in WORDS.values():
        if type(word.rule) is type(given):
            return replace(word, rule=given)
    if rule_of(given).supervised:
        raise DeclarationError(
            f"with_rule: it is unknown how {type(given).__name__} receives its credit; "
            "call cortex_sim.register_word(name, Word(rule, paired=...)) once"
        )
    return Word(given)


def rewired(net: Network, rule: Any, feedback: dict[str, Any], credit: Any = None) -> Network:
    """Return the network under one rule; see `Network.with_rule`."""
    word = word_for(rule)
    called = type(word.rule).__name__
    if not any(p.plasticity is not None for p in net.bottom_ups):
        raise DeclarationError(
            f"with_rule: network {net.name} has no plastic bottom-up projection to put under {called}; "
            "declare plasticity=... where weights should learn"
        )
    learning = rule_of(word.rule).supervised
    if learning and net.objective_at is None:
        raise DeclarationError(
            f"with_rule: {called} needs an objective, and network {net.name} has none; "
            "add net.objective(population, CrossEntropy())"
        )
    trained = _trained_credit(net, word, feedback, credit)
    declared = None if trained is None else declared_word(trained)
    if trained is not None:
        word = replace(word, reads=trained_reads(trained)) if declared is None else declared
    other = net.copy()
    other.teacher, other.step = None, None if trained is None else step_of(trained)
    other.projections = {p.name: _under(word, p) for p in net.projections.values() if not p.is_top_down}
    if trained is not None and word.paired is None:
        teach(other, trained, word.diffusing)
    elif learning and word.direct is not None:
        _add_direct(other, word, feedback)
    elif learning and word.paired is not None:
        _add_paired(other, word, feedback)
    if feedback and not other.top_downs:
        raise DeclarationError(f"with_rule: {called} adds no feedback with settings; leave out {feedback}")
    other.check()
    return other


def _trained_credit(net: Network, word: Word, feedback: dict[str, Any], credit: Any) -> TrainedCredit | None:
    """The credit network of a rule that uses one; None for other rules."""
    called = type(word.rule).__name__
    if not rule_of(word.rule).from_teacher:
        if credit is not None:
            raise DeclarationError(
                f"with_rule: {called} takes no credit network; leave credit out, or use 'tdca'"
            )
        return None
    if feedback:
        raise DeclarationError(f"with_rule: {called} takes a credit network, not {feedback}; use credit=...")
    return credit_network(credit, net.populations[str(net.objective_at)].size)


def reading(net: Network, reads: Any) -> Network:
    """Return the network with ``reads`` in all plastic bottom-up projections; see `Network.with_reads`."""
    other, made = net.copy(), None if reads is None else make("reads", reads)
    for p in net.bottom_ups:
        if p.plasticity is not None and net.weight_shape(p):
            other.projections[p.name] = replace(p, reads=made, reads_by_word=False)
            check_reads(other, other.projections[p.name])
    return other


def with_settings(
    net: Network,
    word: str,
    rule_settings: dict[str, Any],
    feedback: dict[str, Any],
    credit: Any = None,
) -> Network:
    """Return the network under a word, with settings of the rule and of the feedback that it adds."""
    found = word_for(word)
    known = {field.name: None for field in fields(found.rule)}
    for setting in rule_settings:
        require_known(f"setting of rule {word}", setting, known)
    return rewired(net, replace(found, rule=replace(found.rule, **rule_settings)), feedback, credit)


def _under(word: Word, projection: Projection) -> Projection:
    if projection.is_lateral or projection.is_gain or projection.plasticity is None:
        return projection
    declared = None if projection.reads_by_word else projection.reads
    given = word.reads if declared is None and not projection.is_recurrent else None
    own = tuple(r for r in projection.regularisers if r not in projection.by_word)
    kinds = {type(r) for r in own}
    added = tuple(r for r in word.adds if type(r) not in kinds)
    return replace(
        projection,
        plasticity=word.rule,
        regularisers=own + added,
        by_word=added,
        reads=declared if given is None else given,
        reads_by_word=given is not None,
    )


def _needs_credit(net: Network) -> set[str]:
    """Populations that credit must reach: those with plastic inputs, and those above such a population."""
    needing: set[str] = set()
    grew = True
    while grew:
        grew = False
        for p in net.driving:
            wanted = p.plasticity is not None or p.pre in needing
            if wanted and p.post not in needing:
                needing.add(p.post)
                grew = True
    return needing


def _leads_to_objective(net: Network) -> set[str]:
    return Paths(net).leading


def _add_paired(net: Network, word: Word, settings: dict[str, Any]) -> None:
    needing, leading = _needs_credit(net), _leads_to_objective(net)
    for up in net.driving:
        if up.pre not in needing or up.post not in leading:
            continue
        if has_weights(up.connector):
            parts = word.paired(up.name)  # type: ignore[misc]
            _put(net, up.post, up.pre, replace(parts, regularisers=_shared(word, parts, up)), settings)
        else:  # the inverse, transpose and sign pattern of an identity are the identity
            _put(net, up.post, up.pre, TopDown(Transpose(of=up.name)), {})


def _shared(word: Word, parts: TopDown, up: Projection) -> tuple[Any, ...]:
    """Regularisers of the top-down projection; those that a word adds to both are the bottom-up one's."""
    above = {type(r): r for r in up.regularisers}
    return tuple(above.get(type(r), r) if r in word.adds else r for r in parts.regularisers)


def _add_direct(net: Network, word: Word, settings: dict[str, Any]) -> None:
    top = str(net.objective_at)
    ahead = {p.pre: p.name for p in net.bottom_ups if p.post == top and has_weights(p.connector)}
    for name in net.populations:
        learns = any(p.rule.supervised for p in net.drivers(name))
        if learns and name != top:
            onto_top = word.onto_top if name in ahead else None
            parts = word.direct() if onto_top is None else onto_top(ahead[name])  # type: ignore[misc]
            _put(net, top, name, parts, settings)


def _put(
    net: Network,
    pre: str,
    post: str,
    parts: TopDown,
    settings: dict[str, Any],
) -> None:
    known = {field.name: None for field in fields(parts.feedback) if field.name != "of"}  # type: ignore[arg-type]
    for setting in settings:
        require_known(f"setting of {type(parts.feedback).__name__} feedback", setting, known)
    net.top_down(
        pre,
        post,
        feedback=replace(parts.feedback, **settings),  # type: ignore[type-var]
        plasticity=parts.plasticity,
        regulariser=parts.regularisers,
    )
