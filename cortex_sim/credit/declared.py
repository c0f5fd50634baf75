"""The credit network that a declaration holds, read off its populations and top-down projections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.activations import Linear, Tanh
from cortex_sim.arrays import Array
from cortex_sim.checks import listed
from cortex_sim.credit.feedback import Addressed, Diffusion, Elementwise
from cortex_sim.credit.kernels import NoDiffusion
from cortex_sim.credit.network import CreditNetwork, DenseCredit, Placed, SharedCredit
from cortex_sim.errors import DeclarationError
from cortex_sim.feedback import Given
from cortex_sim.rules.base import Arrival

if TYPE_CHECKING:
    from cortex_sim.network import Network

CONTEXT, BASE, FIRST, DEEP = "TDCA context", "TDCA base", "TDCA", "TDCA deep"


def channels_of(population: str | None) -> str:
    """Name of the credit population that a population hears."""
    return f"TDCA {population}"


@dataclass(frozen=True)
class DeclaredCredit:
    """A credit network as it stands in a declaration.

    Parameters
    ----------
    network : CreditNetwork
        Its equations.
    top : str
        The top population.
    hidden : tuple of str
        Populations that it teaches below the top, the lowest first; hidden[i] hears set i of channels.
    weights : dict of str to str
        Which of its parameters are weights of which top-down projection.
    constants : dict of str to array
        Its other parameters: biases, and small networks of the shared form.
    """

    network: CreditNetwork
    top: str
    hidden: tuple[str, ...]
    weights: Mapping[str, str]
    constants: Mapping[str, np.ndarray]

    def parameters(self, weights: Mapping[str, Array]) -> dict[str, Array]:
        """Parameters that are weights, from the weights of top-down projections by name."""
        return {name: weights[projection] for name, projection in self.weights.items()}

    def placed(self, weights: Mapping[str, Array]) -> list[Placed]:
        """Kernels and addresses of the hidden populations, from the weights of top-down projections."""
        shared = isinstance(self.network, SharedCredit)
        return [
            Placed(
                weights[f"{channels_of(name)}->{name}"],
                weights[f"{BASE}->{channels_of(name)}"] if shared else None,
                0 if shared else i,
            )
            for i, name in enumerate(self.hidden)
        ]


def by_credit(rule: Any) -> bool:
    """Whether a rule takes its credit from a credit network."""
    return getattr(rule, "arrival", None) is Arrival.CREDIT


def taught(net: Network) -> tuple[str, ...]:
    """Populations below the top whose inputs a credit network teaches, the lowest first."""
    learning = {p.post for p in net.bottom_ups if by_credit(p.plasticity)} - {net.objective_at}
    order = TopologicalSorter({name: [p.pre for p in net.inputs(name)] for name in net.populations})
    return tuple(name for name in order.static_order() if name in learning)


def declared_credit(net: Network) -> DeclaredCredit:
    """The credit network of a declaration whose supervised projections carry `Tdca`.

    Raises
    ------
    DeclarationError
        If a population or projection of it is missing, or does not fit.
    """
    rule = next(p.plasticity for p in net.bottom_ups if by_credit(p.plasticity))
    reading = _Reading(net)
    hidden, top = taught(net), str(net.objective_at)
    outputs = net.populations[top].size
    reading.sized(BASE, outputs, f"as many as {top}")
    reading.sized(channels_of(top), outputs, f"as many as {top}")
    reading.whole(channels_of(top), top)
    for name in hidden:
        reading.needs(channels_of(name), f"to give {name} its credit")
        reading.feedback(channels_of(name), name, (Diffusion, Given))
    read = _dense if CONTEXT in net.credit_populations or FIRST in net.credit_populations else _shared
    network, weights, constants = read(reading, rule, hidden, top)
    _check_nothing_else(net, reading)
    return DeclaredCredit(network, top, hidden, weights, constants | rule.context.draw())


class _Reading:
    """The credit network's parts, asked for by name; keeps what was asked for."""

    def __init__(self, net: Network) -> None:
        self.net = net
        self.populations: set[str] = set()
        self.projections: set[str] = set()

    def needs(self, name: str, why: str, activation: type = Linear) -> int:
        """Size of a credit population; ``why`` ends the error where there is none."""
        found = self.net.credit_populations.get(name)
        if found is None:
            raise DeclarationError(
                f'network {self.net.name}: Tdca needs a credit population "{name}" {why}; use '
                f'net.with_rule("tdca"), or add net.credit_population("{name}", ...)'
            )
        if not isinstance(found.activation, activation):
            raise DeclarationError(
                f"credit population {name}: must be {activation.__name__.lower()}. Got {found.activation!r}"
            )
        self.populations.add(name)
        return found.size

    def sized(self, name: str, size: int, why: str, activation: type = Linear) -> None:
        """The same, where the size is known."""
        if (found := self.needs(name, f"of {size} units, {why}", activation)) != size:
            raise DeclarationError(f"credit population {name}: must have {size} units, {why}. Got {found}")

    def feedback(self, pre: str, post: str, kinds: type | tuple[type, ...]) -> Any:
        """Feedback of a top-down projection, which must be one of ``kinds``."""
        name = f"{pre}->{post}"
        wanted = kinds if isinstance(kinds, tuple) else (kinds,)
        words = " or ".join(kind.__name__ for kind in wanted)
        found = self.net.projections.get(name)
        if found is None:
            raise DeclarationError(
                f"network {self.net.name}: Tdca needs the top-down projection {name}; add "
                f"net.top_down({pre!r}, {post!r}, feedback={wanted[0].__name__}(...))"
            )
        if not isinstance(found.feedback, wanted):
            raise DeclarationError(
                f"projection {name}: Tdca takes {words} there. Got {type(found.feedback).__name__}"
            )
        self.projections.add(name)
        return found.feedback

    def given(self, pre: str, post: str) -> str:
        """Name of a projection that must carry trained weights."""
        self.feedback(pre, post, Given)
        return f"{pre}->{post}"

    def whole(self, pre: str, post: str) -> None:
        """A projection that must bring every unit its own signal, unchanged."""
        feedback = self.feedback(pre, post, Diffusion)
        if feedback.kernel != NoDiffusion() or feedback.signs:
            raise DeclarationError(
                f"projection {pre}->{post}: brings each unit its own signal; use Diffusion(NoDiffusion())"
            )

    def biases(self, name: str) -> np.ndarray:
        """Biases of a credit population, (1, unit)."""
        population = self.net.credit_populations[name]
        return np.zeros((1, population.size)) if population.biases is None else population.biases[None]


_Parts = tuple[CreditNetwork, dict[str, str], dict[str, np.ndarray]]


def _dense(reading: _Reading, rule: Any, hidden: Sequence[str], top: str) -> _Parts:
    net = reading.net
    outputs = net.populations[top].size
    h = reading.needs(FIRST, "as its first layer", Tanh)
    reading.sized(DEEP, h, f"as many as {FIRST}", Tanh)
    channels = tuple(net.credit_populations[channels_of(name)].size for name in hidden)
    network = DenseCredit(
        outputs,
        channels or 1,
        h,
        rule.context,
        levels=max(1, len(hidden)),
        pooled=rule.pooled and bool(hidden),
        gated=rule.gated,
    )
    seen = network.shapes()["context"][1]
    reading.sized(CONTEXT, seen, "which stand for error or rates, goal, and pooled rates where it has them")
    weights = {
        "context": reading.given(CONTEXT, FIRST),
        "hidden": reading.given(FIRST, DEEP),
        "top": reading.given(DEEP, channels_of(top)),
    }
    reading.whole(BASE, channels_of(top))
    for i, name in enumerate(hidden):
        weights[f"broadcast_{i}"] = reading.given(BASE, channels_of(name))
        weights[f"channels_{i}"] = reading.given(DEEP, channels_of(name))
    return network, weights, {"context_bias": reading.biases(FIRST), "hidden_bias": reading.biases(DEEP)}


def _shared(reading: _Reading, rule: Any, hidden: Sequence[str], top: str) -> _Parts:
    if rule.pooled:
        raise DeclarationError(
            f"network {reading.net.name}: Tdca(pooled=True) needs the dense form, which has a "
            f'credit population "{CONTEXT}"; leave pooled out'
        )
    small = reading.feedback(BASE, channels_of(top), Elementwise)
    constants = {"top": small.weights, "top_bias": small.bias, "top_out": small.out}
    for name in hidden:
        unit = reading.feedback(BASE, channels_of(name), Addressed)
        mine = {"unit": unit.weights, "unit_bias": unit.bias, "unit_out": unit.out}
        if any(not np.array_equal(value, constants.get(key, value)) for key, value in mine.items()):
            raise DeclarationError(
                f"projection {BASE}->{channels_of(name)}: the shared form has one small network for all "
                f"populations, and {channels_of(hidden[0])} hears through another; give both the same"
            )
        constants |= mine
    sizes = [reading.net.credit_populations[channels_of(name)].size for name in hidden]
    network = SharedCredit(sizes[0] if sizes else 1, len(small.weights), rule.context, gated=rule.gated)
    return network, {}, constants


def _check_nothing_else(net: Network, reading: _Reading) -> None:
    """What the equations do not read would silently do nothing."""
    idle = set(net.credit_populations) - reading.populations
    if idle:
        raise DeclarationError(
            f"network {net.name}: credit populations {listed(idle)} have no part in its credit network; "
            "remove them"
        )
    for p in net.credit_projections:
        if p.name not in reading.projections:
            raise DeclarationError(
                f"projection {p.name}: has no part in the credit network of {net.name}; remove it"
            )
