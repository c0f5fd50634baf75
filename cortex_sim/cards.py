"""The identity card of a rule: what it computes, from where, where it runs, and what it is not.

Equation, source, departures and limits are read from the rule's docstring: its first paragraph, its section
References, and in its section Notes the paragraphs that begin with "Departures:" and "Limits:". The rest
comes from what the rule declares and from the code that would run it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from importlib import import_module
from inspect import cleandoc
from typing import Any

from cortex_sim.calling import known_arguments
from cortex_sim.capabilities import feedback_of, rule_of
from cortex_sim.checks import look_up
from cortex_sim.credit.feedback import Diffusion
from cortex_sim.errors import DeclarationError
from cortex_sim.registry import find, make, names
from cortex_sim.rules.base import WORDS, TopDown, Word
from cortex_sim.rules.places import by_targets, not_by_synapse, not_in_protocols, not_in_time, not_on_spikes

NOT_GIVEN = "not given"
TRAINING = "training on torch, in one process or several"
EQUILIBRIUM = "protocols at equilibrium, on torch"
BATCHED = "time, on brian2's batched engine"
SYNAPSES = "time, on brian2's synapses engine"
SPIKES = "spiking units, on brian2"
INNER_RUNS = "inner runs of outer loops"
_PAIR = "below->above"  # name of a bottom-up projection, for paired feedback and rules
_INNER = ("rules", "layered", "broadcast")  # modules of cortex_sim.tdca.inner that register inner rules


@dataclass(frozen=True)
class Card:
    """Identity card of a rule; ``print`` shows it as text, a notebook as a table.

    Parameters
    ----------
    name : str
        What the rule is called in ``with_rule``, ``plasticity=`` and ``--rule``.
    equation, source, departures, limits : str
        From the docstring; "not given" if it does not say.
    credit : str
        What the rule learns from: how credit arrives, or what it reads instead.
    feedback : str
        Which top-down weights bring that credit.
    runs : tuple of str
        Where it runs.
    refused : mapping of str to str
        Where it does not run, with the reason.
    needs : tuple of str
        What it requires of the network.
    rules : tuple of rule
        The rules that it consists of: for bottom-up (or lateral) weights, and for top-down weights.
    feedbacks : tuple of feedback
        The feedback that ``with_rule`` adds.
    """

    name: str
    equation: str
    source: str
    departures: str
    limits: str
    credit: str
    feedback: str
    runs: tuple[str, ...]
    refused: Mapping[str, str]
    needs: tuple[str, ...] = ()
    rules: tuple[Any, ...] = field(default=(), repr=False)
    feedbacks: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def rows(self) -> list[tuple[str, str]]:
        """What it shows: label and text."""
        shown = [
            ("Equation", self.equation),
            ("Source", self.source),
            ("Departures", self.departures),
            ("Credit", self.credit),
            ("Feedback", self.feedback),
            ("Runs in", "; ".join(self.runs)),
            ("Not in", "; ".join(f"{'; '.join(places)} ({why})" for why, places in self._by_reason())),
            ("Needs", "; ".join(self.needs)),
            ("Limits", self.limits),
        ]
        return [(label, text) for label, text in shown if text]

    def _by_reason(self) -> list[tuple[str, list[str]]]:
        return [
            (why, [place for place, said in self.refused.items() if said == why])
            for why in dict.fromkeys(self.refused.values())
        ]

    def __str__(self) -> str:
        lines = [f"rule {self.name}"]
        for label, text in self.rows:
            lines += textwrap.wrap(
                text, 100, initial_indent=f"{label:14}", subsequent_indent=14 * " ", break_on_hyphens=False
            )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from cortex_sim.viz import notebook

        return notebook.card(self)


@known_arguments("cs.card")
def card(rule: Any) -> Card:
    """Identity card of a rule.

    Parameters
    ----------
    rule : str, rule or Word
        A name, as ``with_rule`` and ``plasticity=`` take it, or an object. Your own rules have a card too:
        what the docstring does not say is "not given".

    Returns
    -------
    Card

    Raises
    ------
    DeclarationError
        If the name is unknown, or a class cannot be made into an object without settings.

    Examples
    --------
    >>> import cortex_sim as cs
    >>> print(cs.card("oja").equation)
    Δw_ij = η⟨y_i x_j − y_i² w_ij / n²⟩, x pre rate, y post rate, n the norm that weights settle at.
    """
    name, part, word = _found(rule)
    downs = _top_downs(word)
    rules = _rules(part, word, downs)
    places = _places(name, rules)
    return Card(
        name,
        **_said((word.docstring if word is not None else "") or type(part).__doc__ or ""),
        credit=_credit(rules),
        feedback=_feedback(part, word, downs),
        runs=tuple(place for place, why in places.items() if not why),
        refused={place: why for place, why in places.items() if why},
        needs=tuple(_needs(rules)),
        rules=rules,
        feedbacks=tuple(down.feedback for down in downs),
    )


def known_rules() -> list[str]:
    """Names of all rules: those of a whole network, then those of single projections."""
    words = sorted(WORDS)
    return words + [name for name in names("rule") if name not in WORDS]


# -- which rule -------------------------------------------------------------------------------------


def _found(rule: Any) -> tuple[str, Any, Word | None]:
    """The rule's name, the rule, and the word for a whole network, if there is one."""
    if isinstance(rule, Word):
        return next((n for n, w in WORDS.items() if w is rule), type(rule.rule).__name__), rule.rule, rule
    if isinstance(rule, str):
        name = look_up("rule", rule, {name: name for name in known_rules()})
        word = WORDS.get(name)
        if name in names("rule"):
            return name, _object(find("rule", name)), word
        assert word is not None
        return name, word.rule, word
    part = _object(rule) if isinstance(rule, type) else make("rule", rule)
    own = [name for name in names("rule") if find("rule", name) is type(part)]
    words = [name for name, word in WORDS.items() if type(word.rule) is type(part)]
    name = (own or words or [type(part).__name__])[0]
    word = WORDS.get(name)
    same = word is not None and type(word.rule) is type(part)
    return name, part, replace(word, rule=part) if same and word is not None else word


def _object(cls: Any) -> Any:
    """A rule of this class with its default settings; ``of`` is any projection."""
    missing = {f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING}
    if missing - {"of"}:
        given = ", ".join(f"{name}=..." for name in sorted(missing))
        raise DeclarationError(
            f"card: {cls.__name__} has settings without defaults; give an object, {cls.__name__}({given})"
        )
    return cls(**dict.fromkeys(missing, _PAIR))


def _top_downs(word: Word | None) -> list[TopDown]:
    """What ``with_rule`` adds below one projection."""
    if word is None:
        return []
    if word.paired is not None:
        return [word.paired(_PAIR)]
    onto_top = [word.onto_top(_PAIR)] if word.onto_top is not None else []
    return [*onto_top, word.direct()] if word.direct is not None else []


def _rules(part: Any, word: Word | None, downs: list[TopDown]) -> tuple[Any, ...]:
    own = [part] if word is None else [word.rule]
    return (*own, *(down.plasticity for down in downs if down.plasticity is not None))


# -- what its docstring says ------------------------------------------------------------------------


def _said(docstring: str) -> dict[str, str]:
    """Equation, source, departures and limits."""
    first, *others = re.split(r"^(\w+)\n-{3,}\n", cleandoc(docstring), flags=re.MULTILINE)
    sections = dict(zip(others[::2], others[1::2], strict=True))
    notes = _paragraphs(sections.get("Notes", ""))
    labelled = dict(note.split(": ", 1) for note in notes if ": " in note)
    return {
        "equation": (_paragraphs(first) or [NOT_GIVEN])[0],
        "source": " ".join(_paragraphs(sections.get("References", ""))) or NOT_GIVEN,
        "departures": labelled.get("Departures", NOT_GIVEN),
        "limits": labelled.get("Limits", NOT_GIVEN),
    }


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]


# -- what it declares -------------------------------------------------------------------------------


def _credit(rules: tuple[Any, ...]) -> str:
    declared = rule_of(rules[0])
    if declared.supervised:
        assert declared.arrival is not None
        return f"arrives as {declared.arrival.value}"
    if declared.from_channels:
        return "reads the channels of a credit network, and the rates of its own units"
    if declared.spontaneous:
        return "none: reads spontaneous activity below, and its echo above"
    where = "of one population, along lateral weights" if declared.lateral else "on both sides"
    return f"none: reads the rates {where}"


def _feedback(part: Any, word: Word | None, downs: list[TopDown]) -> str:
    declared = rule_of(part)
    if not declared.supervised and not downs:
        if declared.top_down:
            channels = "top-down weights from the channels of a credit network"
            return f"none added: it changes {channels if declared.from_channels else 'free top-down weights'}"
        return "none"
    said = [_added(down, word) for down in downs]
    if declared.from_teacher:
        said.append(f"{declared.accepts[0].__name__}, from a credit network's channels to each population")
    added = {Diffusion, *(type(down.feedback) for down in downs)}
    others = [kind.__name__ for kind in declared.accepts if kind not in added]
    if others and (word is None or not word.docstring):
        said.append(f"a declared projection may have {' or '.join(others)}")
    return "; ".join(said)


def _added(down: TopDown, word: Word | None) -> str:
    where = "paired with each bottom-up projection"
    if word is not None and word.direct is not None:
        where = "from the top to each population"
        if word.onto_top is not None:
            tied = feedback_of(down.feedback).tied
            where = "from the top to populations that project to it" if tied else "from the top to others"
    learns = "" if down.plasticity is None else f" that learns by {type(down.plasticity).__name__}"
    return f"{type(down.feedback).__name__}{learns}, {where}"


def _needs(rules: tuple[Any, ...]) -> list[str]:
    declared = [rule_of(rule) for rule in rules]
    found = []
    if any(by_targets(rule) for rule in rules):
        found += ["activations with an inverse", "no loops, normalisers or dropout"]
    if any(one.chain_only for one in declared):
        found.append("a chain of dense projections")
    if any(one.needs_float64 for one in declared):
        found.append('precision="64"')
    if any(one.from_teacher or one.from_channels for one in declared):
        found.append("a trained credit network")
    states = [name for one in declared for name in one.state]
    if states:
        found.append(f"state: {', '.join(states)}")
    return found


def _places(name: str, rules: tuple[Any, ...]) -> dict[str, str]:
    """Where rules run: place, and why not or ""."""

    def why(asked: Any) -> str:
        return next((f"{type(rule).__name__} {said}" for rule in rules if (said := asked(rule))), "")

    return {
        TRAINING: "",
        EQUILIBRIUM: why(not_in_protocols),
        BATCHED: why(not_in_time),
        SYNAPSES: why(not_by_synapse),
        SPIKES: why(not_on_spikes),
        INNER_RUNS: "" if inner_rules(name) else "it has no counterpart there",
    }


def inner_rules(name: str) -> list[str]:
    """Inner rules of outer loops (`cortex_sim.tdca.inner`) that are this rule, or train its settings."""
    for module in _INNER:
        import_module(f"cortex_sim.tdca.inner.{module}")
    inner = {own: find("inner_rule", own) for own in names("inner_rule")}
    return [own for own, cls in inner.items() if getattr(cls, "stands_for", own) == name]
