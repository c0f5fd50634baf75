"""Capabilities: what a rule, feedback, regulariser, activation or connector declares about itself.

A class declares a capability by an attribute of the class (``spontaneous = True``), or by a property where
a setting decides. What it leaves out has the default given here, so a user-defined class need not inherit
from anything. Only `rule_of` and its siblings read capabilities. They refuse an attribute whose name is
nearly that of a capability: otherwise a misspelt capability would be taken as absent.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from enum import Enum
from functools import cache, cached_property
from typing import Any, TypeVar

import numpy as np

from cortex_sim.checks import short, spelled
from cortex_sim.errors import DeclarationError


class Arrival(Enum):
    """How credit reaches a population through the top-down projections onto it."""

    CHAIN = "c = B u, with u of the sending population"
    DIRECT = "c = B c_L, whatever lies between"
    TARGETS = "a target, computed from the target of the sending population"
    CREDIT = "c = D g, with g the channels of a credit network, the network's teacher"


@dataclass(frozen=True)
class _Kind:
    """What the value of a capability must be, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]


def _is_types(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(kind, type) for kind in value)


_FLAG = _Kind("True or False", lambda value: isinstance(value, (bool, np.bool_)))
_NUMBER = _Kind("a number", lambda value: isinstance(value, numbers.Real) and not isinstance(value, bool))
_TEXT = _Kind("text", lambda value: isinstance(value, str))
_METHOD = _Kind("a method", lambda value: callable(value) and not isinstance(value, type))
_ARRIVAL = _Kind("a member of cortex_sim.rules.base.Arrival", lambda value: isinstance(value, Arrival))
_TYPES = _Kind("a tuple of classes", _is_types)
_STATE = _Kind("a mapping of variable to PerPost, PerPre, ...", lambda value: isinstance(value, Mapping))
_VALUES = _Kind("a mapping of name to initial value", lambda value: isinstance(value, Mapping))
_PER = _Kind('"unit" or "channel"', lambda value: value in ("unit", "channel"))
_GROWTH = _Kind(
    "text, a mapping of variable to text, or a method",
    lambda value: isinstance(value, (str, Mapping)) or (callable(value) and not isinstance(value, type)),
)
_NAME = _Kind("a projection's name", lambda value: isinstance(value, str) and "->" in value)


def _capability(kind: _Kind, default: Any = None) -> Any:
    return field(default=default, metadata={"kind": kind})


def _flag() -> Any:
    return _capability(_FLAG, False)


@dataclass(frozen=True, eq=False)
class DeclaredRule:
    """A rule and what it declares; if there is no rule, ``part`` is None and every flag is False.

    Parameters
    ----------
    part : rule or None
        The rule itself.
    arrival : Arrival or None
        Supervised rules: how credit reaches the post population.
    accepts : tuple of classes
        Supervised rules: the kinds of feedback that may bring that credit.
    needs_float64, chain_only : bool
        Supervised rules: whether float32 is too coarse for its credit; whether each population may have
        only one input, and a dense one.
    top_down : bool
        It changes top-down weights; by default true for rules that are spontaneous or read credit.
    lateral : bool
        It changes lateral weights, and leaves their diagonal at zero.
    spontaneous : bool
        It learns from spontaneous activity below and its echo above.
    reads_credit : bool
        It receives the credit u of its pre population in place of ``r_pre``.
    from_channels : bool
        It changes only the weights from a credit network's channels, and reads that network's credit.
    keeps_traces : bool
        In unrolled steps it keeps traces, so its credit need not be propagated back through time.
    state : mapping of str to PerPost, PerPre, PerSynapse or Global
        Its variables.
    growth : str, mapping of str to str, method, or None
        Its equation in time: as the text for one synapse, or, if it reads several synapses, as a method
        ``growth(w, r_pre, r_post)`` of whole arrays; see `cortex_sim.rules.in_time`.
    of : str or None
        Top-down rules: the bottom-up projection that it is paired with.
    change, top_step, delivered : method or None
        Its equation; for rules by targets, the step at the top and the credit that one projection delivers.
    check, check_whole : method or None
        Its own checks, ``check(net, projection)`` and ``check_whole(net, projection)``.
    """

    part: Any = None
    arrival: Arrival | None = _capability(_ARRIVAL)
    accepts: tuple[type, ...] = _capability(_TYPES, ())
    needs_float64: bool = _flag()
    chain_only: bool = _flag()
    top_down: bool = _capability(_FLAG)
    lateral: bool = _flag()
    spontaneous: bool = _flag()
    reads_credit: bool = _flag()
    from_channels: bool = _flag()
    keeps_traces: bool = _flag()
    state: Mapping[str, Any] = field(default_factory=dict, metadata={"kind": _STATE})
    growth: str | Mapping[str, str] | Callable[..., Any] | None = _capability(_GROWTH)
    of: str | None = _capability(_NAME)
    change: Callable[..., Any] | None = _capability(_METHOD)
    top_step: Callable[..., Any] | None = _capability(_METHOD)
    delivered: Callable[..., Any] | None = _capability(_METHOD)
    check: Callable[..., Any] | None = _capability(_METHOD)
    check_whole: Callable[..., Any] | None = _capability(_METHOD)

    @property
    def supervised(self) -> bool:
        """Whether it reads the credit of its post population."""
        return self.arrival is not None

    @property
    def from_teacher(self) -> bool:
        """Whether it takes its credit from a credit network."""
        return self.arrival is Arrival.CREDIT


@dataclass(frozen=True, eq=False)
class DeclaredFeedback:
    """Feedback and what it declares.

    Parameters
    ----------
    part : feedback or None
        The feedback itself.
    tied : bool
        Its weights follow a bottom-up projection.
    of : str or None
        The name of that projection, or of the one that it is paired with.
    dense_only : bool
        It addresses single units, so its weights cannot be a convolution kernel.
    one_signal : bool
        The sending population's share of B is drawn once for all receivers, from its stream (``sender``).
    knows_shape : bool
        Its weights depend on the shape of the receiving population (``post``).
    knows_weights : bool
        Its weights depend on the initial weights ``up`` (channel, input) of its paired bottom-up projection,
        and on that projection's ``operator``; ``draw`` returns them as (input, channel).
    damping : float
        α of an inverse.
    draw : method or None
        Free feedback: its weights.
    check, check_whole : method or None
        Its own checks.
    """

    part: Any = None
    tied: bool = _flag()
    of: str | None = _capability(_NAME)
    dense_only: bool = _flag()
    one_signal: bool = _flag()
    knows_shape: bool = _flag()
    knows_weights: bool = _flag()
    damping: float = _capability(_NUMBER, 0.0)
    draw: Callable[..., Any] | None = _capability(_METHOD)
    check: Callable[..., Any] | None = _capability(_METHOD)
    check_whole: Callable[..., Any] | None = _capability(_METHOD)


@dataclass(frozen=True, eq=False)
class DeclaredRegulariser:
    """A regulariser and what it declares.

    Parameters
    ----------
    part : regulariser or None
        The regulariser itself.
    lateral : bool
        It may act on lateral weights.
    by_backend : bool
        Backends implement it, so it needs no `change`.
    change : method or None
        ``change(w)``: its Δw/η from weights (post, inputs), added to the rule's.
    check, check_whole : method or None
        Its own checks.
    """

    part: Any = None
    lateral: bool = _flag()
    by_backend: bool = _flag()
    change: Callable[..., Any] | None = _capability(_METHOD)
    check: Callable[..., Any] | None = _capability(_METHOD)
    check_whole: Callable[..., Any] | None = _capability(_METHOD)


@dataclass(frozen=True, eq=False)
class DeclaredActivation:
    """An activation and what it declares.

    Parameters
    ----------
    part : activation or None
        The activation itself.
    invertible : bool
        It has an inverse, ``drive``.
    lowest : float or None
        The lower bound of its rates.
    rate_text, gain_text : str or None
        f(a) and f′(a) as text for brian2.
    drive : method or None
        f⁻¹(r).
    parameters : mapping of str to float
        Its parameters with their initial values; see `cortex_sim.transfers`.
    per : {"unit", "channel"}
        Whether each parameter has one value per unit or per channel.
    adapted : method or None
        How the parameters adapt to a training batch.
    """

    part: Any = None
    invertible: bool = _flag()
    lowest: float | None = _capability(_NUMBER)
    rate_text: str | None = _capability(_TEXT)
    gain_text: str | None = _capability(_TEXT)
    drive: Callable[..., Any] | None = _capability(_METHOD)
    parameters: Mapping[str, float] = field(default_factory=dict, metadata={"kind": _VALUES})
    per: str = _capability(_PER, "unit")
    adapted: Callable[..., Any] | None = _capability(_METHOD)


@dataclass(frozen=True, eq=False)
class DeclaredConnector:
    """A connector and what it declares.

    Parameters
    ----------
    part : connector or None
        The connector itself.
    plastic : bool
        Its weights can change.
    operator : method or None
        ``operator(pre, post)``, the linear algebra of a user-defined connector.
    wiring : method or None
        ``wiring(name, pre, post)``: which synapses exist, bool of shape (post, pre), or None if all do.
        ``draw(rng, pre, post, exists)`` then receives it.
    """

    part: Any = None
    plastic: bool = _flag()
    operator: Callable[..., Any] | None = _capability(_METHOD)
    wiring: Callable[..., Any] | None = _capability(_METHOD)


_Declared = TypeVar(
    "_Declared", DeclaredRule, DeclaredFeedback, DeclaredRegulariser, DeclaredActivation, DeclaredConnector
)


def rule_of(part: Any) -> DeclaredRule:
    """What a rule declares.

    Raises
    ------
    DeclarationError
        Here and in its siblings: if a capability is misspelt or has an invalid value.
    """
    found = _read(DeclaredRule, "rule", part)
    if found.top_down is None:
        return replace(found, top_down=found.spontaneous or found.reads_credit)
    return found


def feedback_of(part: Any) -> DeclaredFeedback:
    """What feedback declares."""
    return _read(DeclaredFeedback, "feedback", part)


def regulariser_of(part: Any) -> DeclaredRegulariser:
    """What a regulariser declares."""
    return _read(DeclaredRegulariser, "regulariser", part)


def activation_of(part: Any) -> DeclaredActivation:
    """What an activation declares."""
    found = _read(DeclaredActivation, "activation", part)
    if found.invertible and found.drive is None:
        raise DeclarationError(
            f"activation {type(part).__name__}: invertible = True needs its inverse; add drive(r), "
            "or write invertible = False"
        )
    return found


def connector_of(part: Any) -> DeclaredConnector:
    """What a connector declares."""
    return _read(DeclaredConnector, "connector", part)


def _read(view: type[_Declared], kind: str, part: Any) -> _Declared:
    known: dict[str, _Kind] = {f.name: f.metadata["kind"] for f in fields(view) if f.metadata}
    owner = f"{kind} {type(part).__name__}"
    _refuse_misspelt(owner, part, known)
    declared: dict[str, Any] = {}
    for name, wanted in known.items():
        # asked of the class: an AttributeError inside a property must not count as "absent"
        value = getattr(part, name) if hasattr(type(part), name) else getattr(part, name, None)
        if value is None:
            continue
        if wanted is _NAME:  # a rule that is paired with nothing may have a setting of this name
            declared |= {name: value} if wanted.holds(value) else {}
        elif wanted.holds(value):
            declared[name] = value
        else:
            raise DeclarationError(
                f"{owner}: {name} is a capability and must be {wanted.words}; rename it if you mean "
                f"something else. Got {short(value)}"
            )
    return view(part, **declared)


def _refuse_misspelt(owner: str, part: Any, known: Mapping[str, _Kind]) -> None:
    for name, value, siblings in _attributes(part):
        for meant in _near(name, tuple(known)):
            wanted = known[meant]
            found = isinstance(value, (property, cached_property)) and wanted is not _METHOD
            if meant not in siblings and (found or wanted.holds(value)):
                raise DeclarationError(
                    f"{owner}: has {name}, which nothing reads; write {meant} if you mean that, "
                    "otherwise choose a less similar name"
                )


def _attributes(part: Any) -> Iterator[tuple[str, Any, set[str]]]:
    """Public attributes, including settings: name, value, and all names defined in the same class."""
    settings = {f.name for f in fields(part)} if is_dataclass(part) else set()
    for cls in type(part).__mro__[:-1]:
        own = {name for name in {*vars(cls), *vars(cls).get("__annotations__", {})} if name[:1] != "_"}
        for name in sorted(own):
            if name in settings:
                yield name, getattr(part, name), own
            elif name in vars(cls):
                value = vars(cls)[name]
                yield name, value.__func__ if isinstance(value, (staticmethod, classmethod)) else value, own


@cache  # the same few names are looked up for every part of every network
def _near(name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Capabilities that an unknown name may be a misspelling of, the nearest first."""
    if name in known:
        return ()
    turned = [one for one in known if sorted(one) == sorted(name)]  # "tide" for "tied"
    meant = spelled(name, known)
    near = [meant] if meant in known else turned + get_close_matches(name, known, n=3, cutoff=0.8)
    return tuple(near)
