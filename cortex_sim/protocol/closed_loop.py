"""Closed loops: drives, nudges and modulators that a function computes from the network's activity."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np

from cortex_sim.arrays import finite
from cortex_sim.calling import known_settings
from cortex_sim.checks import look_up, require_flag, require_known, require_name, short
from cortex_sim.errors import CortexSimError, DeclarationError
from cortex_sim.protocol.per_trial import Differing
from cortex_sim.protocol.values import Comparable, above_zero_ms, by_name, names

Values = dict[str, np.ndarray]
#: Functions of all closed loops that were declared, by ``module:function``: reading a file finds them here.
KNOWN: dict[str, Any] = {}
_TAKEN = ("weight", "post", "pre")  # beginnings of other names in recordings


@dataclass(frozen=True)
class Seen:
    """What the function of a closed loop receives: ``seen["IT"]`` are the rates of IT, (unit,).

    Attributes
    ----------
    trial, block : int
        Number of the trial, counted over all blocks from 0, and of its block, from 1.
    image : int
        Index of the image that was shown; 0 without images.
    rates : mapping of population to array of shape (unit,)
        At the end of the phase, or their mean over it.
    own_trial : int
        Which trial of its own protocol it is, as `PerTrial` counts them: another than ``trial`` in a sequence
        of protocols. By default ``trial``.
    """

    trial: int
    block: int
    image: int
    rates: Mapping[str, np.ndarray]
    own_trial: int = -1

    def __post_init__(self) -> None:
        if self.own_trial < 0:
            object.__setattr__(self, "own_trial", self.trial)

    def __getitem__(self, population: str) -> np.ndarray:
        """Rates of a population that the loop reads."""
        return look_up("population that this closed loop reads", population, self.rates)


@known_settings
@dataclass(frozen=True, eq=False)
class ClosedLoop(Comparable):
    """State that a function updates from rates once a trial, and from which phases take values.

    ``loop["contrast"]`` stands for the present value of the state variable ``contrast``, wherever a phase
    takes a drive, the goal or strength of a nudge, a modulator, or the scale of a projection.
    ``cut={"IT->V1": loop["off"]}`` and ``silence={"V1/3": loop["off"]}`` act while ``off`` is 1, not while
    it is 0; ``duration_ms=loop["wait_ms"].up_to(500)`` is the length of a phase. The function is called at
    the end of ``phase`` in every trial; later phases of that trial, and later trials, have the new values.

    Parameters
    ----------
    function : callable
        ``function(seen, state, rng)`` returns the state variables that change, as a mapping. ``seen`` is a
        `Seen`, ``state`` a copy of the present state, and ``rng`` a `numpy.random.Generator`
        that depends on the seed, the loop's name and the trial alone. Whatever else the function keeps is
        lost when a recording is resumed.
    reads : list of populations
        Populations whose rates the function receives.
    phase : str
        Phase at whose end the function is called.
    state : mapping of str to number or array, or callable
        Values before the first trial: each keeps its shape, and whole numbers stay whole. An
        array of shape (0, ...) is a list: it may grow, and is not recorded. A callable
        ``state(rng)`` returns such a mapping.
    average : bool, default False
        Whether ``seen`` has the mean over the time steps of the phase instead of the rates at its end. At
        equilibrium both are the same.
    name : str, optional
        Name in recordings and messages; by default that of the function.

    Examples
    --------
    >>> import cortex_sim as cs
    >>> def follow(seen, state, rng):
    ...     return {"level": state["level"] + 0.1 * (1.0 - seen["V1"].mean())}
    >>> loop = cs.ClosedLoop(follow, reads=["V1"], phase="show", state={"level": 0.5})
    >>> cs.Phase("show", 200, drive={"retina": loop["level"]}).drive
    {'retina': follow:level}
    """

    function: Callable[[Seen, dict[str, Any], np.random.Generator], Mapping[str, Any]]
    reads: Any
    phase: str
    state: Any
    average: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise DeclarationError(
                f"ClosedLoop: function must be a function(seen, state, rng). Got {short(self.function)}"
            )
        object.__setattr__(self, "name", self.name or getattr(self.function, "__name__", ""))
        if not self.name or "<" in str(self.name):
            raise DeclarationError(
                f"ClosedLoop: a function called {self.name!r} gives the loop no name; give name=..., or "
                "define the function with def"
            )
        require_name("ClosedLoop", self.name)
        owner = f"closed loop {self.name}"
        if self.name in _TAKEN or ":" in self.name:
            raise DeclarationError(
                f"{owner}: its name must have no colon, and not be one of {', '.join(_TAKEN)}; give another "
                "name=..."
            )
        _check_arguments(owner, self.function)
        object.__setattr__(self, "reads", names(owner, "reads", self.reads))
        if not self.reads:
            raise DeclarationError(f'{owner}: reads is empty; name populations whose rates it sees, ["V1"]')
        if not isinstance(self.phase, str) or not self.phase:
            raise DeclarationError(f"{owner}: phase must be the name of a phase. Got {self.phase!r}")
        require_flag(owner, average=self.average)
        if not callable(self.state):
            object.__setattr__(self, "state", as_state(owner, self.state))
        for function in (self.function, self.state):
            if callable(function) and place_in_code(function):
                KNOWN[place_in_code(function)] = function

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self.name)

    def __getitem__(self, variable: str) -> LoopValue:
        """The present value of a state variable, in place of a value of a phase."""
        if not callable(self.state):
            require_known(f"variable of closed loop {self.name}", variable, self.state)
        return LoopValue(self, variable)

    def before_first_trial(self, seed: int) -> Values:
        """State before the first trial."""
        if not callable(self.state):
            return dict(self.state)
        owner = f"closed loop {self.name}"
        try:
            made = self.state(generator(seed, self.name, 0))
        except CortexSimError:
            raise
        except Exception as exception:
            from cortex_sim.library import place_of

            raise DeclarationError(f"{owner}: its state failed, {place_of(exception)}") from exception
        return as_state(owner, made)


@dataclass(frozen=True)
class LoopValue:
    """The present value of a variable of a closed loop; made by ``loop["variable"]``.

    ``most`` is its upper limit as a duration in ms; see `up_to`.
    """

    loop: ClosedLoop
    variable: str
    most: float | None = None

    def up_to(self, most: float) -> LoopValue:
        """The value as a duration in ms, above 0 and at most ``most``; trials are planned with ``most``."""
        return replace(self, most=above_zero_ms(repr(self), "its longest duration", most))

    def __repr__(self) -> str:
        longest = "" if self.most is None else f" up to {self.most:g}"
        return f"{self.loop.name}:{self.variable}{longest}"


def as_duration(owner: str, what: str, given: Any) -> Any:
    """A time above 0 in ms, or a variable of a loop with an upper limit."""
    if isinstance(given, LoopValue) and given.most is None:
        raise DeclarationError(
            f"{owner}: {what} of a closed loop needs its longest value in ms, with which trials are planned; "
            f"give loop[{given.variable!r}].up_to(1000)"
        )
    return given if isinstance(given, LoopValue) else above_zero_ms(owner, what, given)


def longest_ms(duration: Any) -> float:
    """The longest that a duration may be: itself, or, where a closed loop sets it, the declared limit."""
    most = duration.most if isinstance(duration, LoopValue) else duration
    return float(most or 0.0)


def names_or_looped(owner: str, what: str, given: Any) -> Any:
    """Names, or a mapping of names to variables of a loop, 1 where the setting acts on the name, else 0."""
    if not isinstance(given, Mapping):
        return names(owner, what, given)
    for name, value in given.items():
        if not isinstance(value, LoopValue):
            raise DeclarationError(
                f"{owner}: {what} must be a list of names, or a mapping of names to variables of a closed "
                f"loop, such as {{{name!r}: loop['off']}}. Got {short(given)}"
            )
    return by_name(owner, what, given)


def place_in_code(function: Any) -> str:
    """``module:function`` for a function at the top of a module; "" for others, which no file can name."""
    name = getattr(function, "__qualname__", "<")
    return "" if "<" in name else f"{function.__module__}:{name}"


def generator(seed: int, name: str, call: int) -> np.random.Generator:
    """Generator of one call of a loop's function: a pure function of seed, name and trial (call - 1)."""
    return np.random.default_rng(np.random.SeedSequence([seed, crc32(name.encode()), call]))


def is_list(initial: np.ndarray) -> bool:
    """Whether a variable with this initial value may grow."""
    return initial.ndim > 0 and len(initial) == 0


def as_number(
    owner: str, what: str, value: Any, error: type[CortexSimError] = DeclarationError
) -> np.ndarray:
    """A finite number or array of a state, float64 or int64, read-only."""
    try:
        given = np.array(value)
    except (TypeError, ValueError):
        given = np.array(None)
    if given.dtype.kind not in "fiub":
        raise error(f"{owner}: {what} must be a number or an array of numbers. Got {short(value)}")
    if not (np.isfinite(given).all() if given.ndim else math.isfinite(given)):
        raise error(f"{owner}: {what} holds NaN or infinity; {finite(given)}")
    found = given.astype(np.float64 if given.dtype.kind == "f" else np.int64, copy=False)
    found.setflags(write=False)
    return found


def as_state(owner: str, given: Any) -> Values:
    """A loop's state before the first trial, as arrays by name."""
    if not isinstance(given, Mapping) or not given:
        raise DeclarationError(
            f'{owner}: state must be a mapping of names to numbers or arrays, such as {{"level": 0.5}}. '
            f"Got {short(given)}"
        )
    for name in given:
        if not isinstance(name, str) or not name.isidentifier():
            raise DeclarationError(
                f"{owner}: a name in its state must be one word of letters, digits and _. Got {name!r}"
            )
    return {name: as_number(owner, name, value) for name, value in given.items()}


def values_in(setting: Any) -> Iterator[LoopValue]:
    """Every value of a closed loop in a setting of a phase, whatever the trial in which it acts."""
    if isinstance(setting, LoopValue):
        yield setting
        return
    items: list[Any] = []
    if isinstance(setting, Differing):
        items += setting.every()
    elif isinstance(setting, Mapping):
        items += setting.values()
    else:
        items += [*getattr(setting, "parts", ()), *([setting.goal] if hasattr(setting, "goal") else ())]
    for item in items:
        yield from values_in(item)


#: Settings that a closed loop cannot set, and what it can set instead.
_INSTEAD = {
    "delay_ms": "the length of a phase before it, duration_ms=loop[...].up_to(500)",
    "noise": "a drive that its function draws with rng",
    "plasticity": "modulator, the third factor of a rule, or scale",
    "eta_per_s": "modulator, the third factor of a rule, or scale",
    "spontaneous": "a drive that its function draws with rng",
    "silence_error": 'cut={"IT->V1": loop[...]}',
    "interval_ms": "the length of a last phase without drive, duration_ms=loop[...].up_to(500)",
    "lesion": "cut or silence of each phase, as a mapping of names to loop[...]",
}


def never_looped(convert: Callable[[str, str, Any], Any]) -> Callable[[str, str, Any], Any]:
    """A converter that refuses values of a closed loop, and says what a loop sets instead."""

    def converted(owner: str, what: str, given: Any) -> Any:
        for value in values_in(list_of(given)):
            instead = _INSTEAD[what.split()[0]]
            raise DeclarationError(
                f"{owner}: {what} cannot follow a closed loop, such as {value!r}; let it set {instead}"
            )
        return convert(owner, what, given)

    return converted


def list_of(given: Any) -> Any:
    """A list as a mapping, so that `values_in` looks into it."""
    return dict(enumerate(given)) if isinstance(given, (list, tuple, set)) else given


def unless_looped(convert: Callable[[str, str, Any], Any]) -> Callable[[str, str, Any], Any]:
    """A converter that leaves a value of a closed loop as it is."""
    return lambda owner, what, given: given if isinstance(given, LoopValue) else convert(owner, what, given)


def _check_arguments(owner: str, function: Callable[..., Any]) -> None:
    try:
        inspect.signature(function).bind(None, None, None)
    except TypeError:
        raise DeclarationError(
            f"{owner}: its function must take (seen, state, rng). Got {inspect.signature(function)}"
        ) from None
    except ValueError:  # written in C, without a signature
        return
