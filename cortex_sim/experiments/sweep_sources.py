"""Sources of the experiments of a sweep: a function of the seed, a file or name, or an experiment."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from cortex_sim.checks import require_known
from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.experiments import finding
from cortex_sim.experiments.experiment import Arm, Experiment
from cortex_sim.protocol.protocol import Protocol

_OF_EXPERIMENT = ("dt_ms", "apical_tau_ms", "noise", "engine")
_OF_PROTOCOL = tuple(f.name for f in fields(Protocol) if f.name not in ("phases", "probe", "record"))


@dataclass(frozen=True)
class Source:
    """Makes the experiment of each seed and setting.

    Parameters
    ----------
    given : Experiment, callable or str
        An experiment for all seeds; a function ``f(seed, ...)``; or what `finding.experiment` takes.
    """

    given: Any

    def __post_init__(self) -> None:
        if not isinstance(self.given, (Experiment, str)) and not callable(self.given):
            raise RunError(
                "sweep: give an Experiment, a function of the seed that returns one, or the name or path of "
                f"a protocol. Got {self.given!r}"
            )

    def experiment(self, seed: int, settings: Mapping[str, Any]) -> Experiment:
        """The experiment of one seed under one setting.

        A setting is an argument of the function if it has one of that name; else a setting of the experiment
        (``dt_ms``, ``noise``, …) or of the protocols of all arms (``eta_per_s``, ``trials``, ``repeat``, …).

        Raises
        ------
        RunError
            If a setting is unknown; the message lists the known ones.
        """
        own = {name: value for name, value in settings.items() if name in self._arguments()}
        made = self._made(seed, own)
        for name, value in settings.items():
            if name not in own:
                made = _changed(made, name, value, self._arguments())
        return made

    def _function(self) -> Callable[..., Any] | None:
        if isinstance(self.given, Experiment):
            return None
        if isinstance(self.given, str):
            return finding.function_of(self.given)
        function: Callable[..., Any] = self.given
        return function

    def _arguments(self) -> tuple[str, ...]:
        function = self._function()
        if function is None:
            return ()
        return tuple(name for name in inspect.signature(function).parameters if name != "seed")

    def _made(self, seed: int, own: Mapping[str, Any]) -> Experiment:
        if isinstance(self.given, Experiment):
            return self.given
        if isinstance(self.given, str) and not own:
            return finding.experiment(self.given, seed)
        function = self._function()
        assert function is not None
        parameters = inspect.signature(function).parameters
        if "seed" not in parameters and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            raise RunError(
                f"sweep: the function must take seed, as in def experiment(seed). Got "
                f"{function.__name__}{inspect.signature(function)}"
            )
        made = function(seed=seed, **own)
        if not isinstance(made, Experiment):
            raise RunError(f"sweep: the function must return a cs.Experiment. Got {type(made).__name__}")
        return made


def _changed(experiment: Experiment, name: str, value: Any, arguments: tuple[str, ...]) -> Experiment:
    known = dict.fromkeys([*arguments, *_OF_EXPERIMENT, *_OF_PROTOCOL])
    require_known("setting of a sweep", name, known, RunError)
    try:
        if name in _OF_EXPERIMENT:
            return replace(experiment, **{name: value})
        arms = {
            arm: Arm(kept.protocol.replace(**{name: value}), kept.network)
            for arm, kept in experiment.arms.items()
        }
        return replace(experiment, arms=arms)
    except DeclarationError as exception:
        raise RunError(f"sweep: {name}={value!r}: {exception}") from None
