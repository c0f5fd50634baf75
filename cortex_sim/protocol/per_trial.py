"""Settings that differ between trials: one value per trial, or another value from some trial on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cortex_sim.calling import known_settings
from cortex_sim.checks import require_count, require_known, short
from cortex_sim.errors import DeclarationError
from cortex_sim.protocol.values import Comparable


class _Absent:
    """The value of a setting that a trial does not have; the setting's default applies."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


@known_settings
@dataclass(frozen=True, eq=False)
class PerTrial(Comparable):
    """One value per trial, wherever a phase or protocol takes a value that may differ between trials.

    Parameters
    ----------
    values : sequence or array whose first axis are trials
        One for each trial of a block, and every block starts over; or one for each trial of all blocks.
    by : {"trial", "image"}, default "trial"
        "image": one value per image instead, whatever the order in which images are presented.

    Examples
    --------
    >>> import cortex_sim as cs
    >>> cs.Phase("reward", 100, modulator=cs.PerTrial([1.0, 0.0, -1.0])).modulator.values
    (1.0, 0.0, -1.0)
    """

    values: Any
    by: str = "trial"

    def __post_init__(self) -> None:
        single = _is_array(self.values) and np.ndim(self.values) == 0
        if single or isinstance(self.values, (str, Mapping)) or not isinstance(self.values, Iterable):
            raise DeclarationError(
                f"PerTrial: values must be a list or an array with one entry for each trial. "
                f"Got {short(self.values)}"
            )
        values = tuple(self.values)
        if not values:
            raise DeclarationError("PerTrial: values is empty; give one value for each trial")
        object.__setattr__(self, "values", values)
        require_known("by of PerTrial", self.by, {"trial": None, "image": None})

    def at(self, trial: int, image: int) -> Any:
        """Value in one trial, which is counted over all blocks."""
        return self.values[image if self.by == "image" else trial % len(self.values)]

    def every(self) -> Iterator[Any]:
        """All values that it takes."""
        yield from self.values

    def converted(self, convert: Callable[[str, Any], Any]) -> PerTrial:
        """The same with each value converted by ``convert(where, value)``."""
        what = "trial" if self.by == "trial" else "image"
        return PerTrial(tuple(convert(f" in {what} {k}", v) for k, v in enumerate(self.values)), self.by)


@known_settings
@dataclass(frozen=True, eq=False, init=False)
class FromTrial(Comparable):
    """Another value from some trial on; before it, the setting's default.

    ``FromTrial(200, value)`` is the default in trials 0 to 199 and ``value`` from trial 200 on;
    ``FromTrial({0: one, 100: other})`` is ``one`` until trial 99 and ``other`` from then on. Trials are
    counted over all blocks of the protocol.

    Parameters
    ----------
    values : int, or mapping of int to value
        A trial, or trials and the values from each of them on.
    value : optional
        The value from that trial on.

    Examples
    --------
    >>> import cortex_sim as cs
    >>> show = cs.Phase("show", 200, drive={"retina": 0.5})
    >>> cs.Protocol(show, trials=300, lesion=cs.FromTrial(200, ["IT->V1"])).lesion.values
    {200: ('IT->V1',)}
    """

    values: Mapping[int, Any]

    def __init__(self, values: Any, value: Any = ABSENT) -> None:
        steps = values if isinstance(values, Mapping) else {values: value}
        if (value is ABSENT) != isinstance(values, Mapping) or not steps:
            raise DeclarationError(
                "FromTrial: takes a trial and a value, FromTrial(200, value), or a mapping of trials to "
                f"values, FromTrial({{100: one, 200: other}}). Got {short(values)}"
            )
        for trial in steps:
            require_count("FromTrial", minimum=0, trial=trial)
        object.__setattr__(self, "values", {int(trial): steps[trial] for trial in sorted(steps)})

    def at(self, trial: int, image: int) -> Any:
        """Value in one trial, which is counted over all blocks; `ABSENT` before the first."""
        found = [value for start, value in self.values.items() if start <= trial]
        return found[-1] if found else ABSENT

    def every(self) -> Iterator[Any]:
        """All values that it takes."""
        yield from self.values.values()

    def converted(self, convert: Callable[[str, Any], Any]) -> FromTrial:
        """The same with each value converted by ``convert(where, value)``."""
        return FromTrial({k: convert(f" from trial {k} on", v) for k, v in self.values.items()})


Differing = PerTrial | FromTrial


def differs(value: Any) -> bool:
    """Whether a setting differs between trials, as a whole or in one of its entries."""
    if isinstance(value, Mapping):
        return any(differs(item) for item in value.values())
    if isinstance(value, Differing):
        return True
    return any(differs(part) for part in getattr(value, "parts", ()))


def differing(owner: str, what: str, given: Any, convert: Callable[[str, str, Any], Any]) -> Any:
    """A setting converted, each of its values if it differs between trials.

    A list or array of numbers in place of one number means `PerTrial`: see `numbers_per_trial`.
    """
    if isinstance(given, Differing):
        return given.converted(lambda where, value: convert(owner, what + where, value))
    return convert(owner, what, given)


def numbers_per_trial(convert: Callable[[str, str, Any], Any]) -> Callable[[str, str, Any], Any]:
    """A converter that reads a list or array of numbers as one per trial, and passes on anything else."""

    def either(owner: str, what: str, given: Any) -> Any:
        listed = isinstance(given, (list, tuple)) or (_is_array(given) and np.ndim(given) == 1)
        return differing(owner, what, PerTrial(given) if listed else given, convert)

    return either


def resolved(value: Any, trial: int, image: int) -> Any:
    """A setting as it is in one trial; `ABSENT` where the trial does not have it."""
    if isinstance(value, Differing):
        return resolved(value.at(trial, image), trial, image)
    if isinstance(value, dict) and differs(value):
        found = {key: resolved(item, trial, image) for key, item in value.items()}
        return {key: item for key, item in found.items() if item is not ABSENT}
    if differs(value):
        return value.with_parts([resolved(part, trial, image) for part in value.parts])
    return value


def in_effect(value: Any) -> list[Differing]:
    """Everything in a setting that differs between trials."""
    if isinstance(value, Differing):
        return [value, *(found for item in value.every() for found in in_effect(item))]
    items = value.values() if isinstance(value, Mapping) else getattr(value, "parts", ())
    return [found for item in items for found in in_effect(item)]


def every(value: Any) -> Iterator[Any]:
    """Every value that a setting may have in some trial; itself where it does not differ."""
    items = value.every() if isinstance(value, Differing) else ()
    found = [one for item in items for one in every(item)]
    yield from found if isinstance(value, Differing) else [value]


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array__")
