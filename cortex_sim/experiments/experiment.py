"""Experiment: a network and its arms, protocols that each start from the same weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_sim.calling import known_settings
from cortex_sim.checks import look_up, require_known, require_name
from cortex_sim.errors import DeclarationError
from cortex_sim.network import Network
from cortex_sim.protocol.noticing import say_what_learns_nothing, say_what_rests, stated
from cortex_sim.protocol.phase import Phase
from cortex_sim.protocol.plan import Conditions
from cortex_sim.protocol.planning import plan
from cortex_sim.protocol.protocol import Protocol
from cortex_sim.protocol.sequence import Sequence
from cortex_sim.protocol.values import above_zero_ms, at_least_zero, by_name
from cortex_sim.state import State, as_state

ENGINES = ("batched", "synapses")


@known_settings
@dataclass(frozen=True)
class Arm:
    """A protocol, and the network on which it runs if that is not the experiment's.

    Parameters
    ----------
    protocol : Protocol or Sequence
    network : Network, optional
        Such as ``net.with_rule("backprop")``; with the same populations as the experiment's network.
    """

    protocol: Protocol | Sequence
    network: Network | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.protocol, (Protocol, Sequence)):
            raise DeclarationError(
                f"Arm: protocol must be a Protocol, or a Sequence of them. Got {self.protocol!r}"
            )
        if not isinstance(self.network, (Network, type(None))):
            raise DeclarationError(f"Arm: network must be a Network. Got {self.network!r}")

    __hash__ = None  # type: ignore[assignment]


@known_settings
@dataclass(frozen=True)
class Experiment:
    """A network and its arms, all on the same populations.

    The weights of each projection are drawn from the seed of the run and the projection's name, so every
    arm starts from the same weights. Every protocol is checked against its network at declaration.

    Parameters
    ----------
    network : Network
    arms : mapping of name to Protocol, Sequence or Arm
    dt_ms : float, default 1.0
        Time step, in ms.
    apical_tau_ms : float or mapping, default 10.0
        Time constant, in ms, of the compartments that receive credit; a mapping gives one for each top-down
        projection.
    noise : float or mapping, default 0.0
        Standard deviation that noise gives to every drive at rest; a mapping gives one for each population.
    engine : {"batched", "synapses"}
        How brian2 runs it: by matrix products, or by brian2 ``Synapses``; both compute the same.
    start : path, State, Model or Simulation, optional
        What every arm starts from instead of drawn weights: a run directory, a file that `cs.save` wrote, a
        state, or a built network. Arms with another rule start from its weights and biases too.

    Raises
    ------
    DeclarationError
        If a setting is wrong, a protocol does not fit its network, or the arms' populations differ.

    Examples
    --------
    >>> import cortex_sim as cs
    >>> intact = cs.Protocol(cs.Phase("show", 200, drive={"retina": 0.5}))
    >>> arms = {"intact": intact, "cut": intact.replace(lesion=["IT->V1"])}
    >>> list(cs.Experiment(cs.model("digits_mlp"), arms).arms)
    ['intact', 'cut']
    """

    network: Network
    arms: Mapping[str, Any]
    dt_ms: float = 1.0
    apical_tau_ms: Any = 10.0
    noise: Any = 0.0
    engine: str = "batched"
    start: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.network, Network):
            raise DeclarationError(
                "Experiment: the first argument must be a Network, as in Experiment(net, {...}). "
                f"Got {self.network!r}"
            )
        if not isinstance(self.arms, Mapping) or not self.arms:
            raise DeclarationError(
                'Experiment: arms must be a mapping of names to protocols, such as {"intact": protocol}. '
                f"Got {self.arms!r}"
            )
        arms = {name: _as_arm(name, given) for name, given in self.arms.items()}
        object.__setattr__(self, "arms", arms)
        object.__setattr__(self, "dt_ms", above_zero_ms("Experiment", "dt_ms", self.dt_ms))
        for what, convert in (("apical_tau_ms", above_zero_ms), ("noise", at_least_zero)):
            object.__setattr__(self, what, _one_or_each(what, getattr(self, what), convert))
        require_known("engine of Experiment", self.engine, dict.fromkeys(ENGINES))
        for name, arm in arms.items():
            if arm.network is not None:
                _check_populations(name, self.network, arm.network)
        object.__setattr__(self, "start", str(self.start) if isinstance(self.start, Path) else self.start)
        # Read once: the file may change later.
        object.__setattr__(self, "_state", None if self.start is None else as_state(self.start))
        _check_names("apical_tau_ms", self.apical_tau_ms, self._networks(), lambda net: net.top_downs)
        _check_names("noise", self.noise, self._networks(), lambda net: net.populations.values())
        driven: set[str] = set()
        for name, arm in arms.items():
            state = self.state_for(self.network_of(name), 0)
            preprocessing = None if state is None else state.preprocessing
            planned = plan(arm.protocol, self.network_of(name), 0, preprocessing)
            say_what_learns_nothing(planned, self.network_of(name))
            driven |= stated(planned)
        say_what_rests(self.network, driven)  # an arm without a US may be the control for one with it

    __hash__ = None  # type: ignore[assignment]

    def network_of(self, arm: str) -> Network:
        """Network on which an arm runs."""
        return look_up("arm", arm, self.arms, exact=True).network or self.network

    def state_for(self, net: Network, seed: int) -> State | None:
        """State that a network of the experiment starts from; None if its weights are drawn from the seed."""
        state: State | None = getattr(self, "_state")  # noqa: B009 - set past the frozen dataclass
        return None if state is None else state.fitted_to(net, seed)

    def conditions(self, net: Network, seed: int) -> Conditions:
        """What a backend receives to run one of the networks."""
        return Conditions(
            dt_ms=self.dt_ms,
            apical_tau_ms=_of(self.apical_tau_ms, {p.name for p in net.top_downs}),
            noise=_of(self.noise, set(net.populations)),
            engine=self.engine,
            state=self.state_for(net, seed),
        )

    def _networks(self) -> list[Network]:
        return [self.network_of(arm) for arm in self.arms]

    def _repr_html_(self) -> str:
        from cortex_sim.viz import notebook

        return notebook.experiment(self)

    def to_yaml(self, path: str | Path | None = None) -> str:
        """The experiment as YAML, without loss; also written to ``path`` if given."""
        from cortex_sim.experiments.experiment_yaml import write

        return write(self, path)

    @staticmethod
    def from_yaml(source: str | Path, seed: int = 0) -> Experiment:
        """Experiment from YAML text or a file; ``seed`` applies to data sets declared without one."""
        from cortex_sim.experiments.experiment_yaml import experiment_from_yaml

        return experiment_from_yaml(source, seed)


def _as_arm(name: Any, given: Any) -> Arm:
    if not isinstance(name, str) or not name:
        raise DeclarationError(f"Experiment: an arm's name must be a non-empty string. Got {name!r}")
    require_name(f"Experiment: arm {name!r}", name)
    if isinstance(given, Arm):
        return given
    if not isinstance(given, (Protocol, Sequence)):
        way = f"; give Protocol({given.name!r} and further phases)" if isinstance(given, Phase) else ""
        raise DeclarationError(
            f"Experiment: arm {name} must be a Protocol, a Sequence or an Arm{way}. Got {given!r}"
        )
    return Arm(given)


def _one_or_each(what: str, given: Any, convert: Callable[[str, str, Any], float]) -> Any:
    if not isinstance(given, Mapping):
        return convert("Experiment", what, given)
    found = by_name("Experiment", what, given)
    return {name: convert("Experiment", f"{what} of {name}", value) for name, value in found.items()}


def _check_names(
    what: str, given: Any, networks: list[Network], of: Callable[[Network], Iterable[Any]]
) -> None:
    """Raise unless every name in a mapping belongs to the network of some arm."""
    known = {one.name: None for net in networks for one in of(net)}
    for name in given if isinstance(given, Mapping) else ():
        require_known(f"name in {what} of Experiment", name, known)


def _of(given: Any, names: set[str]) -> Any:
    """The entries of a mapping that belong to one network; a single number is returned as it is."""
    return {n: value for n, value in given.items() if n in names} if isinstance(given, Mapping) else given


def _check_populations(arm: str, network: Network, own: Network) -> None:
    for name in {**network.populations, **own.populations}:
        first, second = network.populations.get(name), own.populations.get(name)
        if first != second:
            raise DeclarationError(
                f"Experiment: all arms must have the same populations; {name} is {first or 'missing'} in "
                f"{network.name}, but {second or 'missing'} in the network of arm {arm}"
            )
