"""Network: populations, the projections between and within them, and one objective."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cortex_sim import validation
from cortex_sim.calling import known_arguments, known_settings
from cortex_sim.checks import look_up, require_name
from cortex_sim.connectors import Connector, Dense
from cortex_sim.credit.step import TrainedStep
from cortex_sim.credit.teacher import Teacher
from cortex_sim.displayed import DisplayedNetwork
from cortex_sim.errors import DeclarationError
from cortex_sim.feedback import Feedback
from cortex_sim.initialisers import GivenWeights, Zeros
from cortex_sim.objectives import Objective
from cortex_sim.population import Population, shape_of
from cortex_sim.projection import BOTTOM_UP, LATERAL, RECURRENT, TOP_DOWN, Projection, acting, called
from cortex_sim.registry import make
from cortex_sim.wiring import Place, Wiring


@known_settings
class Network(Wiring, DisplayedNetwork):
    """A network, declared once and run by any backend.

    Parameters
    ----------
    name : str
        Name in tables, drawings, recordings and files: without "/", and without spaces at either end.

    Attributes
    ----------
    populations, projections : dict
        By name.
    teacher : Teacher or None
        The credit network that trains it, set by ``with_rule("tdca", credit=...)``.
    step : TrainedStep or None
        The weight update that its credit network was trained with: on torch, the optimiser "inner_step".

    Examples
    --------
    >>> import cortex_sim as cs
    >>> net = cs.Network("two")
    >>> retina = net.population("retina", 64)
    >>> it = net.population("IT", 10, activation="linear")
    >>> up = net.bottom_up(retina, it, cs.Dense(), plasticity=cs.GaitProp())
    >>> net.objective(it, cs.CrossEntropy())
    >>> up.name
    'retina->IT'
    """

    def __init__(self, name: str) -> None:
        require_name("network", name)
        self.name = name
        self.populations: dict[str, Population] = {}
        self.projections: dict[str, Projection] = {}
        self.teacher: Teacher | None = None
        self.step: TrainedStep | None = None
        self.objective_at: str | None = None
        self.objective_function: Objective | None = None

    @known_arguments("net.population")
    def population(
        self,
        name: str,
        size: int | None = None,
        *,
        shape: Iterable[int] | None = None,
        activation: Any = "linear",
        tau_ms: float = 10.0,
        bias: bool = True,
        nonnegative: bool = False,
        apical_coupling: float = 0.0,
        normaliser: Any = None,
        dropout: float = 0.0,
    ) -> Population:
        """Add a population of ``size`` units, or of ``shape`` (channel, row, column); see `Population`.

        Raises
        ------
        DeclarationError
            If the name is taken or malformed, or neither or both of size and shape are given.
        """
        form = shape_of(name, size, shape)
        self._check_name(name)
        rate = make("activation", activation, f"population {name}")
        normal = None if normaliser is None else make("normaliser", normaliser, f"population {name}")
        own = tau_ms, bias, nonnegative, apical_coupling, normal, dropout
        population = Population(name, form, rate, *own)
        self.populations[name] = population
        return population

    @known_arguments("net.bottom_up")
    def bottom_up(
        self,
        pre: Place,
        post: Place,
        connector: Connector | str = Dense(),  # noqa: B008 - frozen
        *,
        plasticity: Any = None,
        regulariser: Any = (),
        constraint: Any = (),
        reads: Any = None,
    ) -> Projection:
        """Add a projection whose pre rates drive its post population.

        Parameters
        ----------
        pre, post : Population or str
            Where it comes from and goes to.
        connector : Connector, default Dense()
            What connects to what, and the initial weights.
        plasticity : rule or str or None
            How the weights change; None keeps them.
        regulariser : regulariser, or a list of them
            What else acts on the weights.
        constraint : constraint, or a list of them
            What the weights satisfy at every step: `Bounds`, `Dale`, `RowNorm`, `LearningRates`.
        reads : Decorrelated, optional
            How pre rates are transformed for plasticity; by default not at all. Activity does not change.

        Raises
        ------
        DeclarationError
            If shapes do not fit, a population is unknown, the two are connected already, or a cycle arises.
        """
        own = plasticity, regulariser, constraint, reads
        projection = self._of_rates(BOTTOM_UP, pre, post, connector, *own)
        validation.check_acyclic(self, projection)
        return self._add(projection)

    @known_arguments("net.recurrent")
    def recurrent(
        self,
        pre: Place,
        post: Place,
        connector: Connector | str = Dense(),  # noqa: B008 - frozen
        *,
        plasticity: Any = None,
        regulariser: Any = (),
        constraint: Any = (),
    ) -> Projection:
        """Add a projection that drives ``post`` like a bottom-up one and may close a loop.

        ``pre`` may be ``post`` itself, or lie above it. The projection is named "pre->post recurrent".

        Parameters
        ----------
        pre, post : Population or str
            Where it comes from and goes to; ``post`` must have bottom-up input.
        connector, plasticity, regulariser, constraint
            As for `bottom_up`.

        Raises
        ------
        DeclarationError
            If shapes do not fit, a population is unknown, or ``pre`` already drives ``post``.
        """
        return self._add(self._of_rates(RECURRENT, pre, post, connector, plasticity, regulariser, constraint))

    @known_arguments("net.top_down")
    def top_down(
        self,
        pre: Place,
        post: Place,
        *,
        feedback: Feedback | str | None = None,
        effect: str = "credit",
        connector: Connector | str | None = None,
        plasticity: Any = None,
        regulariser: Any = (),
        constraint: Any = (),
    ) -> Projection:
        """Add a projection from ``pre`` down to ``post``, which carries credit, or rates that act on rates.

        With effect "credit", weights B have shape (post units, pre units) or, paired with a convolution, its
        kernel's shape; if the network has a teacher, its credit populations may send too. With "drive" and
        "gain", weights are those of a connector.

        Parameters
        ----------
        pre, post : Population or str
            Where it comes from and goes to.
        feedback : Feedback or str
            For credit: where the weights come from.
        effect : {"credit", "drive", "gain"}
            "drive" is added to the drive of ``post``, as in `recurrent`. "gain" multiplies its rates by
            max(0, 1 + g), where τ dg/dt = −g + Σ W r_pre with the time constant of ``post``.
        connector : Connector, optional
            For drive and gain: what connects to what, and the initial weights; default Dense().
        plasticity, regulariser, constraint
            As for `bottom_up`.

        Raises
        ------
        DeclarationError
            If a population is unknown, the two are connected so already, or feedback is for another pair.
        """
        kind = look_up("effect of a top-down projection", effect, validation.EFFECTS, exact=True)
        validation.check_effect(f"{pre}->{post}", effect, feedback, connector)
        if kind != TOP_DOWN:
            link = Dense() if connector is None else connector
            return self._add(self._of_rates(kind, pre, post, link, plasticity, regulariser, constraint))
        source, goal = self._place(pre, credit=True), self._place(post)
        reverse = validation.paired(self, source.name, goal.name)
        projection = Projection(
            TOP_DOWN,
            source.name,
            goal.name,
            Dense() if reverse is None else reverse.connector,
            make("feedback", feedback, called(source.name, goal.name)),
            **acting(source.name, goal.name, plasticity, regulariser, constraint),
            paired_with=BOTTOM_UP if reverse is None else reverse.kind,
        )
        validation.check_free(self, projection)
        validation.check_parts(self, projection)
        return self._add(projection)

    @known_arguments("net.lateral")
    def lateral(
        self,
        population: Place,
        *,
        weights: Any = None,
        plasticity: Any = None,
        regulariser: Any = (),
        constraint: Any = (),
    ) -> Projection:
        """Add a projection from a population to itself, subtracted from its drive: a = W r_pre + b − L r.

        Parameters
        ----------
        population : Population or str
            The population.
        weights : array of shape (unit, unit), optional
            Initial L, zero on the diagonal; default all zero.
        plasticity : rule or str or None
            How L changes: a rule for lateral projections, such as `Decorrelation`.
        regulariser, constraint
            As for `bottom_up`; of the regularisers only `Decay`.

        Raises
        ------
        DeclarationError
            If the population is unknown or has a lateral projection already, or an argument is not valid.
        """
        place = self._place(population)
        projection = Projection(
            LATERAL,
            place.name,
            place.name,
            Dense(init=Zeros() if weights is None else GivenWeights(weights)),
            **acting(place.name, place.name, plasticity, regulariser, constraint),
        )
        validation.check_free(self, projection)
        projection.connector.check(projection.name, place.shape, place.shape)
        validation.check_parts(self, projection)
        return self._add(projection)

    @known_arguments("net.objective")
    def objective(self, population: Place, objective: Objective | str) -> None:
        """Minimise ``objective``, an objective or its name, at the top population; a network has only one.

        Raises
        ------
        DeclarationError
            If there already is an objective, or the population is unknown.
        """
        top = self._place(population)
        if self.objective_at is not None:
            raise DeclarationError(
                f"network {self.name}: the objective is already at {self.objective_at}; declare one only"
            )
        self.objective_function = make("objective", objective, f"population {top.name}")
        self.objective_at = top.name

    def initial_weights(self, seed: int) -> dict[str, np.ndarray]:
        """Initial weights of all projections that have independent weights, float64, by name.

        Tied top-down projections and identities have none. Each projection draws from its own random stream:
        the same seed gives the same weights on every backend and under every rule. Feedback that is shared
        by all targets of a population is drawn from that population's stream. A credit network contributes
        its kernels and addresses; its trained parameters belong to the teacher.
        """
        from cortex_sim.initial_weights import drawn

        return drawn(self, seed)

    def check(self) -> None:
        """Raise `DeclarationError` at the first part that could not run or would silently not learn."""
        validation.check_network(self)

    @known_arguments("net.with_rule")
    def with_rule(self, rule: Any, *, credit: Any = None, **feedback: Any) -> Network:
        """Return a copy of this network under one rule: a word ("gait_prop") or a rule object.

        The plasticity of every plastic bottom-up or recurrent projection is replaced, every top-down
        projection is removed, and the ones that the rule needs are added; populations, lateral projections,
        connectors, regularisers and initial weights are kept.

        Parameters
        ----------
        rule : str or rule
            "backprop", … (``cortex-sim list rules``), or an object such as ``GaitProp(form="finite")``.
        credit : TrainedCredit, path or name, optional
            Credit network for "tdca": a file that ``cortex-sim evolve`` wrote, or the name of a shipped one.
        **feedback
            Settings of the feedback that the rule adds, such as ``damping=0``.

        Raises
        ------
        DeclarationError
            If the rule is unknown, or does not fit the network or these settings.
        """
        from cortex_sim.words import rewired

        return rewired(self, rule, feedback, credit)

    def with_reads(self, reads: Any) -> Network:
        """Return this network with ``reads`` in every plastic bottom-up projection; None for plain rates."""
        from cortex_sim.words import reading

        return reading(self, reads)

    def copy(self) -> Network:
        """An independent network with the same declaration."""
        other = Network(self.name)
        other.populations = dict(self.populations)
        other.projections, other.teacher, other.step = dict(self.projections), self.teacher, self.step
        other.objective_at, other.objective_function = self.objective_at, self.objective_function
        return other

    def to_yaml(self, path: str | Path | None = None) -> str:
        """The declaration as lossless YAML; also written to ``path`` if given."""
        from cortex_sim.declaration_yaml import write

        return write(self, path)

    @staticmethod
    def from_yaml(source: str | Path) -> Network:
        """Network from YAML text, or from a file where a path is given."""
        from cortex_sim.declaration_yaml import read

        return read(source)

    def __repr__(self) -> str:
        return (
            f"<Network {self.name}: {len(self.populations)} populations, "
            f"{len(self.bottom_ups)} bottom-up, {len(self.top_downs)} top-down, "
            f"{len(self.laterals)} lateral{self._loops()} projections>"
        )

    def _loops(self) -> str:
        counted = {"recurrent": len(self.recurrents), "gain": len(self.gains)}
        return "".join(f", {count} {kind}" for kind, count in counted.items() if count)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Network):
            return NotImplemented
        return vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def _of_rates(
        self,
        kind: str,
        pre: Place,
        post: Place,
        connector: Any,
        plasticity: Any,
        regulariser: Any,
        constraint: Any,
        reads: Any = None,
    ) -> Projection:
        """A projection that carries rates; checked, except for cycles."""
        source, goal = self._place(pre), self._place(post)
        link = make("connector", connector, called(source.name, goal.name))
        projection = Projection(
            kind,
            source.name,
            goal.name,
            link,
            **acting(source.name, goal.name, plasticity, regulariser, constraint),
            reads=None if reads is None else make("reads", reads, called(source.name, goal.name)),
        )
        validation.check_free(self, projection)
        link.check(f"{source.name}->{goal.name}", source.shape, goal.shape)
        validation.check_connector(self, projection)
        validation.check_parts(self, projection)
        return projection

    def _add(self, projection: Projection) -> Projection:
        self.projections[projection.name] = projection
        return projection
