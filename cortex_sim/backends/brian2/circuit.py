"""The circuit of a declared network: basal inputs, apical compartments and plastic weights.

Pure analysis of the declaration; nothing here touches brian2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cortex_sim.activation_checks import check_texts
from cortex_sim.backends.brian2.names import identifiers
from cortex_sim.backends.brian2.normalised import check_normalisers
from cortex_sim.backends.routes import find_routes
from cortex_sim.checks import positive_ms, require_known
from cortex_sim.credit.teacher import Teacher
from cortex_sim.errors import BuildError, DeclarationError
from cortex_sim.feedback import Inverse, SignSymmetric, Transpose
from cortex_sim.loops import check_linear
from cortex_sim.network import Network
from cortex_sim.operators import Operator
from cortex_sim.population import Population
from cortex_sim.projection import Projection
from cortex_sim.regularisers import Decay, HardOrthogonality
from cortex_sim.rules.agreement import check_agreement
from cortex_sim.rules.in_time import InTime, constants_of
from cortex_sim.rules.places import not_in_time


class CreditSource(Enum):
    """What brings credit into an apical compartment."""

    UNWEIGHTED = "u passed back through the paired connector, which has no weights"
    TRANSPOSE = "Wᵀ u"
    SIGN = "sign(Wᵀ) u, scaled"
    INVERSE = "a loop through an error population, until W c = u"
    FREE = "B u"
    DIRECT = "B c_L"
    CHANNELS = "D g, the rates of a credit population, times the nudge's strength"


@dataclass(frozen=True)
class Apical:
    """One top-down projection: an apical compartment of its post population.

    ``up`` is the paired bottom-up projection, if any, and ``operator`` its linear algebra;
    ``damping`` and ``rescale`` belong to the inverse.
    """

    projection: Projection
    source: CreditSource
    operator: Operator
    up: Projection | None
    tau_ms: float
    damping: float = 0.0
    rescale: bool = False

    @property
    def name(self) -> str:
        """``pre->post``."""
        return self.projection.name

    @property
    def patchwise(self) -> bool:
        """Whether every patch of a convolution has an apical state of its own."""
        return self.source is CreditSource.INVERSE and self.operator.shares_weights


@dataclass(frozen=True)
class Circuit:
    """A network as rate dynamics sees it."""

    net: Network
    order: tuple[str, ...]
    sources: tuple[str, ...]
    apicals: tuple[Apical, ...]
    identifier: Mapping[str, str]
    operators: Mapping[str, Operator]
    teacher: Teacher | None = None

    def apical_inputs(self, population: str) -> list[Apical]:
        """Apical compartments of a population."""
        return [p for p in self.apicals if p.projection.post == population]

    def errors(self, population: str) -> list[Apical]:
        """Compartments of inverses below, whose error populations read this population's u."""
        return [
            p for p in self.apicals if p.projection.pre == population and p.source is CreditSource.INVERSE
        ]

    def lateral(self, population: str) -> Projection | None:
        """Lateral projection within a population, if it has one."""
        return next((p for p in self.net.laterals if p.post == population), None)

    def gated(self, population: str) -> bool:
        """Whether credit is multiplied by f′ in a population."""
        return self.teacher is None or self.teacher.network.gated or population not in self.teacher.hidden

    @property
    def receives_credit(self) -> bool:
        """Whether any population of the network receives credit."""
        return self.net.objective_at is not None or bool(self.apicals)

    def population(self, name: str) -> Population:
        """Population by name."""
        return self.net.populations[name]

    def var(self, kind: str, name: str) -> str:
        """Variable of a projection: ``var("drive", "V1->IT")`` is "drive_V1_to_IT"."""
        return f"{kind}_{self.identifier[name]}"

    def sent_rate(self, p: Projection, side: str) -> str:
        """Variable that synapses read as the rate of their pre or post population."""
        return "r" if (p.pre if side == "pre" else p.post) in self.sources else "sent_r"

    def plastic(self) -> list[Projection]:
        """Projections whose weights change."""
        return [p for p in self.net.projections.values() if p.plasticity is not None]


def circuit(net: Network, apical_tau_ms: float | Mapping[str, float]) -> Circuit:
    """Circuit of a declared network.

    Raises
    ------
    DeclarationError
        If the declaration cannot run.
    BuildError
        If rate dynamics cannot run it as declared.
    """
    net.check()
    routes = find_routes(net)
    if routes.by_targets:
        rule = next(p.plasticity for p in net.driving if p.rule.supervised)
        raise BuildError(
            f"network {net.name}: {rule!r} {not_in_time(rule)}; use GaitProp() in its limit form, or "
            'backend "torch"'
        )
    for p in net.driving:
        if p.rule.keeps_traces:
            raise BuildError(
                f"projection {p.name}: {type(p.plasticity).__name__} {not_in_time(p.plasticity)}; train it "
                "with cs.torch.build(net, settling=cs.torch.Unrolled(steps=20)), run it with spikes by "
                'cs.brian2.Spiking(net), or use net.with_rule("direct_feedback_alignment") here'
            )
    check_normalisers(net)
    check_linear(net)
    for population in net.populations.values():
        check_texts(population.activation)
    for p in net.projections.values():
        check_agreement(p.plasticity)
        _check(p)
    taus = _taus(net, apical_tau_ms)
    ways = {p.name: CreditSource.DIRECT for p in routes.direct} | {
        p.name: CreditSource.CHANNELS for p in routes.credit
    }
    apicals = tuple(_apical(net, p, taus[p.name], ways.get(p.name)) for p in net.top_downs)
    every = [*net.projections.values(), *net.credit_projections]
    names = identifiers([*net.populations, *net.credit_populations, *(p.name for p in every)])
    operators = {p.name: net.operator(p) for p in every}
    return Circuit(net, routes.order, tuple(net.sources), apicals, names, operators, routes.teacher)


def _check(p: Projection) -> None:
    for rule in p.regularisers:
        if not isinstance(rule, (Decay, HardOrthogonality)):
            raise BuildError(
                f"projection {p.name}: {type(rule).__name__} has no rate dynamics; use Decay(), "
                "HardOrthogonality(), or a lateral projection with Decorrelation()"
            )
    if p.plasticity is not None:
        try:
            InTime(p.plasticity)
        except DeclarationError as exception:
            raise BuildError(f"projection {p.name}: {exception}") from None


def _taus(net: Network, given: float | Mapping[str, float]) -> dict[str, float]:
    if not isinstance(given, Mapping):
        tau = float(positive_ms("simulation", apical_tau_ms=given))
        return {p.name: tau for p in net.top_downs}
    known = {p.name: 10.0 for p in net.top_downs}
    for name, tau in given.items():
        require_known(f"top-down projection of {net.name} in apical_tau_ms", name, known, BuildError)
        known[name] = float(positive_ms(f"projection {name}", apical_tau_ms=tau))
    return known


def _apical(net: Network, p: Projection, tau_ms: float, source: CreditSource | None) -> Apical:
    up = net.projections.get(p.reverse_name)
    up = None if up is None or up.is_top_down else up
    op = net.operator(p)
    if source is not None:
        return Apical(p, source, op, up, tau_ms)
    if not op.weighted:
        return Apical(p, CreditSource.UNWEIGHTED, op, up, tau_ms)
    match p.feedback:
        case Transpose():
            return Apical(p, CreditSource.TRANSPOSE, op, up, tau_ms)
        case SignSymmetric():
            return Apical(p, CreditSource.SIGN, op, up, tau_ms)
        case Inverse(auxiliary=True):
            raise BuildError(
                f"projection {p.name}: auxiliary units have no rate dynamics; use Inverse(auxiliary=False), "
                "whose loop reaches the same inverse without them"
            )
        case Inverse(damping=damping, rescale=rescale):
            return Apical(p, CreditSource.INVERSE, op, up, tau_ms, damping, rescale)
        case _:
            return Apical(p, CreditSource.FREE, op, up, tau_ms)


def settings_of(rule: Any) -> dict[str, float]:
    """A rule's constants by name, for the namespace of its growth; without ``ms``, which is brian2's unit."""
    return {name: value for name, value in constants_of(rule).items() if name != "ms"}
