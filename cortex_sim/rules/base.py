"""What a plasticity rule is, and the local step that every supervised rule shares.

Sign, fixed once: **credit points where the rate should go**, and a rule returns Δw/η, the direction
in which the weight should change. The caller that takes the step owns η.
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


#: `local_step` as text: one synapse at one moment, as ``growth`` of unsupervised rules.
LOCAL_GROWTH = "u_post * r_pre"


def local_step(u: Array, r_pre: Array) -> Array:
    """ΔW/η = ⟨u r_preᵀ⟩, u = c ∘ f′(a).

    From u (presentation, post) and r_pre (presentation, pre), weights (post, pre).
    """
    return u.T @ r_pre / u.shape[0]


def carried_down(b: Array, u: Array) -> Array:
    """C = B u, from B (post, pre) of a top-down projection and u (presentation, pre)."""
    return u @ b.T


class Supervised(Protocol):
    """A rule of bottom-up projections: ΔW/η = ⟨u r_preᵀ⟩ with the credit of its post population.

    ``accepts`` are the kinds of feedback that may bring that credit; ``arrival`` is how it arrives.
    """

    arrival: Any
    accepts: ClassVar[tuple[type, ...]]


@dataclass(frozen=True)
class Level:
    """A population as a target rule meets it, arrays of shape (presentation, unit).

    ``a`` drive, ``r`` rate, ``bias`` the part of the drive that no projection brings, ``c`` credit,
    ``step`` π of shape (presentation, 1): its target is t = r + π c.
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
    """A supervised rule whose credit is the way to a target, found from the top down.

    It holds for a whole network: targets below come from targets above. ``chain_only`` rules invert
    the whole drive, so a population may have one dense input only.
    """

    needs_float64: bool
    chain_only: ClassVar[bool]

    def top_step(self) -> float:
        """π of the top population: t_L = r_L + π c_L."""

    def delivered(self, carry: Callable[[Array], Array], above: Level, r_below: Array) -> tuple[Array, Array]:
        """Credit that one projection delivers below, and the step π it asks for there.

        ``carry`` takes (presentation, unit above) to B times it, (presentation, unit below).
        """


class Unsupervised(Protocol):
    """A rule that reads the rates on both sides of a projection, and its own state if it has any.

    ``change(w, r_pre, r_post)`` returns Δw/η; with ``state`` declared (variable → `PerPost`, …) it
    is ``change(w, r_pre, r_post, state) -> (Δw/η, new state)``, pure. In time it needs ``growth``
    too, the text of one synapse: see `cortex_sim.rules.in_time`.
    """

    change: Callable[..., Any]


@dataclass(frozen=True)
class PerPost:
    """State with one value per post unit (per channel of a convolution)."""

    initial: float = 0.0


@dataclass(frozen=True)
class PerPre:
    """State with one value per input of a post unit."""

    initial: float = 0.0


@dataclass(frozen=True)
class PerSynapse:
    """State with one value per synapse, of the weights' shape (post, pre)."""

    initial: float = 0.0


@dataclass(frozen=True)
class Global:
    """State with one value for the projection, such as a third factor."""

    initial: float = 0.0


State = Mapping[str, Array]


@dataclass(frozen=True)
class TopDown:
    """What `Network.with_rule` puts beside (or instead of) a bottom-up projection, going down."""

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
        From the name of a bottom-up projection, the top-down projection that runs beside it.
    direct : callable or None
        From nothing, the top-down projection from the top to each population (exclusive of beside).
    onto_top : callable or None
        Beside `direct`: from the name of a bottom-up projection onto the top, the top-down one to its pre
        population, in place of what `direct` gives.
    diffusing : callable or None
        From the kernel of a credit network's channels, the top-down projection from them to a population.
    adds : tuple of regularisers
        Regularisers that the word needs on every plastic bottom-up projection (added where none of
        their kind is declared).
    reads : Decorrelated or None
        What plastic bottom-up synapses read, where nothing is declared.
    docstring : str
        What it is, in the form of a rule's docstring, where that of its rule does not say it; see
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

    A word may be registered again where it was before, for a rule of the same class: a cell that is run
    again, a module that is reloaded.

    Raises
    ------
    DeclarationError
        If another word has the name.
    """
    if not isinstance(name, str) or not name.strip() or name != name.strip():
        raise DeclarationError(f"register_word: a word is text without blanks around it. Got {name!r}")
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
