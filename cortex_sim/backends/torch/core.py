"""A declared network as parameters, state and forward pass: rates upward, credit through autograd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cortex_sim.backends.routes import Routes, find_routes
from cortex_sim.backends.torch import dividing, inputs, penalties, slow
from cortex_sim.backends.torch.arrival import Carry, carrying, direct_credits, target_credits
from cortex_sim.backends.torch.attachment import Attachment, not_attached
from cortex_sim.backends.torch.carrying import ByParameters
from cortex_sim.backends.torch.clock import Clock
from cortex_sim.backends.torch.constrained import Constrained, require_loaded
from cortex_sim.backends.torch.feedback_weights import FeedbackWeights
from cortex_sim.backends.torch.fixed_point import Settling
from cortex_sim.backends.torch.forward_in_time import Forward
from cortex_sim.backends.torch.inputs import PRECISIONS
from cortex_sim.backends.torch.lateral import check_settles
from cortex_sim.backends.torch.local_rules import LocalRules
from cortex_sim.backends.torch.modes import differentiating, in_full_precision
from cortex_sim.backends.torch.objective import as_rates, injected, mean_objective
from cortex_sim.backends.torch.orthogonality import pull_back_in_place
from cortex_sim.backends.torch.parameters import parameters
from cortex_sim.backends.torch.populations import Population, populations
from cortex_sim.backends.torch.presentations import Presentations, presentations, require_gradient_arrives
from cortex_sim.backends.torch.presynaptic import Presynaptic
from cortex_sim.backends.torch.settling import Values, settle
from cortex_sim.backends.torch.steps import blocks_of, compiled
from cortex_sim.backends.torch.teaching import TeacherCredit
from cortex_sim.backends.torch.timed import Judged, judged, target_tensor
from cortex_sim.backends.torch.uncompiled import uncompiled
from cortex_sim.backends.torch.unrolling import Unrolled, over_time, read_by_steps, unroll
from cortex_sim.checks import listed
from cortex_sim.errors import DataError
from cortex_sim.network import Network
from cortex_sim.regularisers import HardOrthogonality
from cortex_sim.rules.agreement import check_agreement
from cortex_sim.transfers import adapts

if TYPE_CHECKING:
    from cortex_sim.preprocessing import Held


class Core(nn.Module):
    """Parameters, state and forward pass of a network built for torch; `Model` adds what users do with it.

    ``core(x, y)`` is the surrogate whose backward pass leaves minus every rule's change in ``.grad``;
    ``core(x)`` gives the top population's rates.

    Attributes
    ----------
    net : Network
        The declaration, as it was when the model was built.
    weights, biases, auxiliary : nn.ParameterDict
        By projection ("V1->IT") and population ("IT").
    feedback : FeedbackWeights
        B of each top-down projection.
    populations : nn.Module
        A module for each population, whose output is its rates: ``model.get_submodule("populations.V1")``.
    last_objective : Tensor
        Mean objective of the last batch given to ``model(x, y)``.
    preprocessing : Preprocessing, mapping of source to Preprocessing, or None
        How its training stimuli were preprocessed; part of its state.
    """

    @differentiating
    def __init__(self, net: Network, seed: int, precision: str, device: torch.device) -> None:
        super().__init__()
        net.check()
        check_settles(net)
        net = net.copy()
        for p in net.projections.values():
            check_agreement(p.plasticity)
        self.net, self.seed, self.precision = net, seed, precision
        self.compute = PRECISIONS[precision]
        self.routes: Routes = find_routes(net)
        self.steps = compiled(net, self.routes)
        self.blocks = blocks_of(net, self.steps)
        self.settling = Settling()
        self.unrolled: Unrolled | None = None  # if not at equilibrium
        self.keeps_traces = False  # whether rules of an unrolled network keep traces forward in time
        self.top = net.objective_at or self.routes.order[-1]
        self.sources = tuple(net.sources)
        stored = torch.float64 if precision == "64" else torch.float32
        self.populations = populations(net, stored)
        self.adapting = tuple(n for n, p in net.populations.items() if adapts(p) and n not in self.sources)
        self.preprocessing: Held | None = None
        self.epochs_done = 0  # of training, over all calls of fit
        self.clock = Clock(seed)
        self.last_objective = torch.zeros(())
        self.register_buffer("_place", torch.zeros(0), persistent=False)
        self._attachment = Attachment()
        self.constrained = Constrained(net, stored)
        hard = ((p.name, "HardOrthogonality") for p in net.driving if dividing.hard(p))
        self._pulled, self._shown = next(hard, self.constrained.first), -1
        inputs.check_precision(net, precision)
        drawn = net.initial_weights(seed)
        self.weights, self.biases = parameters(net, drawn, stored)
        weights = dict(self.weights.items())
        self.feedback = FeedbackWeights(net, drawn, weights, stored, self.constrained.present)
        self.presynaptic = Presynaptic(net, stored)
        held = self.feedback, self.presynaptic, stored
        self.teacher = None if net.teacher is None else TeacherCredit(net, *held)
        self.local = LocalRules(net, weights, self.constrained.state_of, self.presynaptic.read)
        self.to(device)
        self.register_load_state_dict_pre_hook(require_loaded)
        self.register_load_state_dict_post_hook(_loaded)
        self.renew_feedback()

    error = property(lambda self: self.last_objective, doc="The former name of `last_objective`.")

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.get_buffer("_place").device

    @property
    def steps_done(self) -> int:
        """Number of updates made."""
        return self.clock.updates

    @steps_done.setter
    def steps_done(self, updates: int) -> None:
        self.clock.updates = updates

    def matrix(self, name: str) -> Tensor:
        """Bottom-up or lateral weights as rules see them, (post, inputs of one place)."""
        return self.net.operator(self.net.projections[name]).matrix(self.weights[name])

    def population(self, name: str) -> Population:
        """The module of one population, whose output is its rates."""
        module: Any = self.populations._modules[name]
        found: Population = module
        return found

    def transfer(self, name: str) -> Any:
        """Activation of a population as a function of drives (presentation, unit)."""
        return self.population(name).transfer(self.compute)

    def transfer_values(self) -> dict[str, dict[str, Tensor]]:
        """Parameters of activations, by population and name; only activations that have any."""
        return slow.transfer_values(self.populations)

    # -- rates ------------------------------------------------------------------------------------

    def presentations(self, x: Any, look: bool | None = True) -> Presentations:
        """Stimuli of every source, (presentation, *shape) on the model's device, checked against the network.

        ``x`` is {source: array}, or the array alone where there is one source.
        """
        return presentations(self.net, x, self.precision, self.device, look, self.unrolled)

    def stimulus_tensor(self, x: Any, look: bool | None = True) -> Tensor:
        """Stimuli of a network with one source as one tensor; for several, use `presentations`."""
        return self.presentations(x, look).one()

    def target_tensor(self, y: Any, look: bool | None = True) -> Tensor:
        """Labels (presentation[, time_bin]) or rates (presentation[, time_bin], unit), on the device."""
        if y is None:
            raise DataError(f"network {self.net.name}: its objective at {self.top} needs labels or targets y")
        top = self.net.populations[self.top]
        return target_tensor(y, top, self.precision, self.device, look, self.unrolled)

    def settle(self, x: Presentations | Any, credit: bool = True) -> tuple[Values, Values]:
        """Drives and rates of every population at equilibrium, (presentation[, step], *shape).

        With ``credit`` the graph's backward pass is the declared rules'; without, it is plain
        autograd's, which is what backpropagation would do on the same weights.
        """
        shown, carrier = self.shown(x), self.carrier(credit)
        if self.unrolled is not None:
            drives, rates = over_time(unroll(self.steps, shown, carrier, self.unrolled))
        else:
            drives, rates = settle(self.steps, shown, carrier, blocks=self.blocks, how=self.settling)
        if self._working_dtype() != self.compute:  # autocast: only the way to the rates is in low precision
            drives = {name: a.to(self.compute) for name, a in drives.items()}
            rates = {name: r.to(self.compute) for name, r in rates.items()}
        return drives, rates

    def shown(self, x: Presentations | Any) -> Values:
        """Rates of every source."""
        stimuli = self.presentations(x, look=None).by_source.items()
        return {name: self.population(name)(r, kept=self.kept(name, r)) for name, r in stimuli}

    def kept(self, name: str, like: Tensor) -> Tensor | None:
        """Factor of dropout on a population's rates in training, the same at all steps of one batch."""
        dropout = self.net.populations[name].dropout if self.training else 0.0
        return slow.kept_share(dropout, like, self.noise, name) if dropout else None

    def carrier(self, credit: bool) -> ByParameters:
        """What carries rates, with the present parameters."""
        weights, dtype = self.constrained.acting(self.weights), self._working_dtype()
        own = self.biases, self.feedback, self.populations, dtype
        return ByParameters(weights, *own, credit, self.presynaptic, self.kept)

    def carried(self) -> Carry:
        """What carries credit down, with the present feedback weights."""
        return carrying(self.weights, self.feedback, self.compute)

    def _working_dtype(self) -> torch.dtype:
        """Precision of drives: the model's, or within ``autocast`` that of autocast."""
        kind = self.device.type
        return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else self.compute

    # -- credit -----------------------------------------------------------------------------------

    def objective_value(self, r_top: Tensor, y: Tensor) -> Tensor:
        """Mean objective over presentations (and time bins), from the top's rates and labels or targets."""
        assert self.net.objective_function is not None
        return mean_objective(self.net.objective_function, self.judged(r_top, y))

    def judged(self, r_top: Tensor, y: Tensor) -> Judged:
        """The top's rates that have a target, and the labels or target rates of each row."""
        return judged(r_top, y, self.unrolled, listed(self.sources))

    def top_rates(self, stimuli: Presentations) -> Tensor:
        """Rates of the top population, (presentation[, step], unit), in plain autograd's graph."""
        _, rates = self.settle(stimuli, credit=False)
        return rates[self.top].flatten(1 if self.unrolled is None else 2)

    def forward(self, x: Any, y: Any = None, *, checked: bool = False) -> Tensor:
        """The surrogate for stimuli with labels or targets; the top's rates for stimuli alone.

        The surrogate is a scalar whose gradient is minus the change of every plastic weight, mean over the
        batch; its value is the objective for some rules only. In training mode it includes the regularisers'
        terms. Rates (presentation, unit) are in plain autograd's graph: their gradient is
        backpropagation's, whatever rules are declared. A network without an objective needs no labels: in
        training mode ``model(x)`` is its surrogate. ``checked`` skips checking the values of x and y.
        """
        if y is None and (self.net.objective_function is not None or not self.training):
            rates = self.top_rates(self.presentations(x, look=False))
            return slow.shown_plainly(rates, self.populations, self.after_showing) if self.training else rates
        self.prepare(training=self.training)
        total, self.last_objective = self.rule_terms(
            x, y, learning=self.training, look=None if checked else False
        )
        if self.training:
            with in_full_precision(self.device):
                acting, decay = self.constrained.acting(self.weights), not self._attachment.decays
                total = total + penalties.terms(self.net, acting, self.feedback, self.noise, decay)
            self.after_showing()
        return total

    def rule_terms(
        self,
        x: Any,
        y: Any,
        learning: bool,
        look: bool | None = True,
        one: int | None = None,
        of: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Terms whose gradient is minus the rules' changes, and the mean objective.

        ``learning`` also updates the rules' state and the parameters of activations. With ``one``, x is
        presentation number ``one`` of a batch of ``of``.
        """
        stimuli = self.presentations(x, look)
        require_gradient_arrives(stimuli, self.routes)
        drives, rates = ({}, {}) if self.keeps_traces else self.settle(stimuli)
        with in_full_precision(self.device):
            if self.keeps_traces:
                rates, total, objective = self.forward_in_time(stimuli, y, look).terms(self.local.projections)
            else:
                total, objective = self.credit_terms(drives, rates, y, look)
            if learning:
                slow.adapt(self.populations, self.adapting, drives)
            if self.unrolled is not None and self.local.projections:
                rates = read_by_steps(self.steps, rates, self.sources, self.carrier(credit=False))
            total = total + self.local.terms(self.constrained.acting(self.weights), rates, learning)
            if learning:
                self.presynaptic.learned_from(rates if self.teacher is None else self.teacher.sent | rates)
            spontaneous = self.feedback.terms(
                self.weights, self.noise, of or len(stimuli), one, ranks=learning
            )
            return total + spontaneous, objective

    def credit_terms(self, drives: Values, rates: Values, y: Any, look: bool | None) -> tuple[Tensor, Tensor]:
        """Terms of supervised rules, and the mean objective."""
        if self.net.objective_function is None:
            zero = torch.zeros((), device=self.device)
            return zero, zero
        goal = self.target_tensor(y, look)
        total = self.objective_value(rates[self.top], goal)
        objective = total.detach()
        if not (self.routes.direct or self.routes.by_targets or self.teacher):
            return total, objective
        top = rates[self.top].detach().flatten(1)
        c_top = self.net.objective_function.credit(top, as_rates(goal, top))
        if self.teacher is not None:
            at = {name: self.credited_at(name, drives, rates) for name in self.teacher.credited}
            return self.teacher.terms(rates, as_rates(goal, top), c_top, at), objective
        if self.routes.by_targets:
            rule = next(p.plasticity for p in self.net.driving if p.rule.supervised)
            credits = target_credits(
                self.steps, rule, self.carried(), self.biases, self.transfer, drives, rates, self.top, c_top
            )
            return injected(credits, rates), objective
        return total + injected(direct_credits(self.steps, self.carried(), rates, c_top), rates), objective

    def forward_in_time(self, stimuli: Presentations, y: Any, look: bool | None) -> Forward:
        """A batch, run forward in time for rules that keep traces."""
        assert self.unrolled and self.net.objective_function
        given = self.steps, self.shown(stimuli), self.target_tensor(y, look), self.unrolled, self.top
        own = self.constrained.acting(self.weights), self.biases, self.carrier(credit=False), self.carried()
        return Forward(*given, self.net.objective_function, *own, self.compute)

    def credited_at(self, name: str, drives: Values, rates: Values) -> Tensor:
        """Where a population's credit enters: at its rates, or at its drives if f′ does not multiply it."""
        return drives[name] if self.teacher is not None and self.teacher.at_drives(name) else rates[name]

    # -- after an optimiser's step ----------------------------------------------------------------

    def attach(self, optimiser: torch.optim.Optimizer) -> None:
        """Call `after_update` after every step of ``optimiser``, and of no other, as long as it exists.

        Raises
        ------
        RunError
            If it has none of this model's parameters.
        """
        self._attachment.begin(
            self.net.name, self.parameters(), self.before_update, self.after_update, optimiser
        )
        self.presynaptic.measure(getattr(optimiser, "measures", ()))

    def divide(self) -> None:
        """Share the work of `after_update` among all ranks, which must step together, until `detach`."""
        self._attachment.divided = True

    def detach(self) -> None:
        """Detach the optimiser; from then on feedback follows the weights at once."""
        self._attachment.end()
        self.presynaptic.measure(())
        self._shown = -1

    def before_update(self) -> None:
        """Copy the weights of projections whose synapses have their own learning rates."""
        self.constrained.remember({**dict(self.weights.items()), **self.feedback.free})

    @torch.no_grad()
    def after_update(self) -> None:
        """Count the update, enforce constraints, restore hard orthogonality, renew feedback that is due."""
        self.clock.updated()
        self._shown = -1
        self.constrained.enforce({**dict(self.weights.items()), **self.feedback.free})
        with in_full_precision(self.device):
            due = self.net, self.weights, self.feedback.auxiliary, self.steps_done
            dividing.carry_out(dividing.pulls(*due, self.pull_back), self._attachment.divided)
            self.feedback.renew(self.weights, self.steps_done, self._attachment.divided)
        self.feedback.mark(self.weights)

    def pull_back(self, name: str, rule: HardOrthogonality) -> None:
        """Pull weights back to orthogonal, with the auxiliary units, if any, as further rows."""
        extra, op = self.feedback.auxiliary.get(name), self.net.operator(self.net.projections[name])
        pull_back_in_place(self.weights[name], op, extra, rule, f"projection {name}")

    @differentiating
    def renew_feedback(self) -> None:
        """Recompute every tied feedback from the present weights."""
        self._shown = -1
        self.feedback.forget()
        with in_full_precision(self.device):
            self.feedback.renew_changed(self.weights, in_loop=False)

    def trust_feedback(self) -> None:
        """Accept feedback that was loaded with the weights as theirs, as a resumed run left it."""
        self.feedback.mark(self.weights)

    @uncompiled
    def prepare(self, training: bool = False) -> None:
        """Bring feedback up to date with the weights, and refuse an optimiser that is not attached."""
        with torch.inference_mode(False), in_full_precision(self.device):
            self.feedback.renew_changed(self.weights, in_loop=self._attachment.holds)
        acted_on, by = self._pulled
        if not (acted_on and training):
            return
        versions = sum(w._version for w in self.weights.values())
        if self._shown not in (-1, versions):
            raise not_attached(self.net.name, acted_on, by)
        self._shown = versions

    @uncompiled
    def after_showing(self) -> None:
        """Count a batch of training."""
        self.clock.shown()

    def noise(self, name: str) -> torch.Generator:
        """Noise of one projection at this draw: a pure function of seed, draw and name."""
        return self.clock.generator(name, self.device)


def _loaded(model: nn.Module, _: Any) -> None:
    """After ``load_state_dict`` of any module, have feedback renewed before it is used."""
    assert isinstance(model, Core)
    model.feedback.forget()
    model._shown = -1
