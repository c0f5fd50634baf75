"""What a plasticity rule is, and the local step that all supervised rules share.

Sign convention: **credit points where the rate should go**, and a rule returns Δw/η, the direction in
which the weight should change. The caller that takes the step chooses η.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from cortex_sim.arrays import Array
from cortex_sim.capabilities import Arrival
from cortex_sim.checks import spelled
from cortex_sim.errors import DeclarationError
from cortex_sim.feedback import Feedback
from cortex_sim.registry import is_same

__all__ = [
    "LOCAL_GROWTH",
    "Arrival",
    "Array",
    "Global",
    "Level",
    "PerPost",
    "PerPre",
    "PerSynapse",
    "Supervised",
    "TargetRule",
    "TopDown",
    "Unsupervised",
    "Word",
    "carried_down",
    "local_step",
    "register_word",
]


#: `local_step` as text, for one synapse at one moment, like ``growth`` of unsupervised rules.
LOCAL_GROWTH = "u_post * r_pre"


def local_step(u: Array, r_pre: Array) -> Array:
    """ΔW/η = ⟨u r_preᵀ⟩, u = c ∘ f′(a).

    From u (presentation, post) and r_pre (presentation, pre), weights (post, pre).
    """
    return u.T @ r_pre / u.shape[0]


def carried_down(b: Array, u: Array) -> Array:
    """Credit B u (presentation, post), from top-down weights B (post, pre) and u (presentation, pre)."""
    return u @ b.T


class Supervised(Protocol):
    """A rule of bottom-up projections: ΔW/η = ⟨u r_preᵀ⟩ with the credit of its post population.

    ``accepts`` lists the kinds of feedback that may bring this credit; ``arrival`` says how it arrives.
    """

    arrival: Any
    accepts: ClassVar[tuple[type, ...]]


@dataclass(frozen=True)
class Level:
    """Activity of one population as a target rule reads it, arrays of shape (presentation, unit).

    ``a`` is the drive, ``r`` the rate, ``bias`` the part of the drive that comes from no projection, ``c``
    the credit, and ``step`` is π of shape (presentation, 1): the target is t = r + π c.
    """

    activation: Any
    a: Array
    r: Array
    bias: Array
    c: Array
    step: Array

    @property
    def t(self) -> Array:
        """Target t = r + π c."""
        return self.r + self.step * self.c


class TargetRule(Protocol):
    """A supervised rule whose credit points to a target, computed from the top down.

    It must be the rule of a whole network, since targets below come from targets above. ``chain_only`` rules
    invert the whole drive, so a population may have only one input, and a dense one.
    """

    needs_float64: bool
    chain_only: ClassVar[bool]

    def top_step(self) -> float:
        """π of the top population: t_L = r_L + π c_L."""

    def delivered(self, carry: Callable[[Array], Array], above: Level, r_below: Array) -> tuple[Array, Array]:
        """Credit that one projection delivers below, and the step π that it sets there.

        ``carry`` multiplies by B: from (presentation, unit above) to (presentation, unit below).
        """


class Unsupervised(Protocol):
    """A rule that reads the rates on both sides of a projection, and its own state if it has any.

    ``change(w, r_pre, r_post)`` returns Δw/η; with ``state`` declared (variable → `PerPost`, …) it
    is ``change(w, r_pre, r_post, state) -> (Δw/η, new state)`` and changes no argument. To run in time it
    also needs ``growth``, the text for one synapse: see `cortex_sim.rules.in_time`.
    """

    change: Callable[..., Any]


@dataclass(frozen=True)
class PerPost:
    """State with one value per post unit (or channel, for a convolution), at first ``initial``."""

    initial: float = 0.0


@dataclass(frozen=True)
class PerPre:
    """State with one value per input of a post unit, at first ``initial``."""

    initial: float = 0.0


@dataclass(frozen=True)
class PerSynapse:
    """State with one value per synapse, of the weights' shape (post, pre), at first ``initial``."""

    initial: float = 0.0


@dataclass(frozen=True)
class Global:
    """State with one value for the projection, such as a third factor; at first ``initial``."""

    initial: float = 0.0


State = Mapping[str, Array]


@dataclass(frozen=True)
class TopDown:
    """The top-down projection that `Network.with_rule` adds.

    Parameters
    ----------
    feedback : Feedback
        Where its weights come from.
    plasticity : rule or None
        How they change; None keeps them.
    regularisers : tuple of regularisers
        What else acts on them.
    """

    feedback: Feedback
    plasticity: Any = None
    regularisers: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Word:
    """One word for a whole network: ``net.with_rule("gait_prop")``, ``--rule gait_prop``.

    Parameters
    ----------
    rule : rule
        Plasticity of every plastic bottom-up projection.
    paired : callable or None
        Takes the name of a bottom-up projection and returns its paired top-down projection.
    direct : callable or None
        Takes nothing and returns the top-down projection from the top to each population; instead of
        ``paired``.
    onto_top : callable or None
        With ``direct``: takes the name of a bottom-up projection onto the top and returns the top-down
        projection to its pre population, in place of what ``direct`` returns.
    diffusing : callable or None
        Takes the kernel of a credit network's channels and returns the top-down projection from them to a
        population.
    adds : tuple of regularisers
        Regularisers that the word needs on every plastic bottom-up projection (added if none of their kind
        is declared).
    reads : Decorrelated or None
        How plastic bottom-up synapses read pre rates, where nothing is declared.
    docstring : str
        Description in the form of a rule's docstring, if the rule's own does not fit; see
        `cortex_sim.card`.
    """

    rule: Any
    paired: Callable[[str], TopDown] | None = None
    direct: Callable[[], TopDown] | None = None
    onto_top: Callable[[str], TopDown] | None = None
    diffusing: Callable[[Feedback], TopDown] | None = None
    adds: tuple[Any, ...] = ()
    reads: Any = None
    docstring: str = ""


WORDS: dict[str, Word] = {}
_HOMES: dict[str, str] = {}  # by word, the module that registered it


def register_word(name: str, word: Word) -> None:
    """Make ``net.with_rule(name)`` and ``--rule name`` mean ``word``.

    Parameters
    ----------
    name : str
        The word as users write it.
    word : Word
        Rule and feedback that it stands for.

    Raises
    ------
    DeclarationError
        If another word has the name.

    Notes
    -----
    The same module may register a word again for a rule of the same class, as when a notebook cell is run
    again or a module is reloaded.
    """
    if not isinstance(name, str) or not name.strip() or name != name.strip():
        raise DeclarationError(f"register_word: a word is text without spaces around it. Got {name!r}")
    home = sys._getframe(1).f_globals.get("__name__", "")
    meant = spelled(name, WORDS)
    known = WORDS.get(meant)
    again = known is not None and meant == name and _HOMES.get(name) == home
    if known is not None and not (again and is_same(type(known.rule), type(word.rule))):
        raise DeclarationError(
            f"register_word: {meant!r} is taken, by {_HOMES.get(meant)} for {type(known.rule).__name__}; "
            "choose another name"
        )
    WORDS[name], _HOMES[name] = word, home
