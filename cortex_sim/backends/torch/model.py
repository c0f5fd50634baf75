"""A declared network on torch: settled rates upward, credit downward through autograd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cortex_sim.backends.routes import Plan, plan
from cortex_sim.backends.torch import changes, inputs, outputs, penalties, settling, weights
from cortex_sim.backends.torch.arrival import direct_credits, target_credits
from cortex_sim.backends.torch.attachment import Attachment
from cortex_sim.backends.torch.clock import Clock
from cortex_sim.backends.torch.feedback_weights import FeedbackWeights
from cortex_sim.backends.torch.lateral import check_settles
from cortex_sim.backends.torch.local_rules import LocalRules
from cortex_sim.backends.torch.modes import differentiating, in_full_precision
from cortex_sim.backends.torch.orthogonality import pull_back
from cortex_sim.backends.torch.populations import Population, populations
from cortex_sim.backends.torch.settling import Drives
from cortex_sim.backends.torch.taught import TaughtCredit
from cortex_sim.connectors import Conv2d, Dense
from cortex_sim.errors import BuildError, DataError, RunError
from cortex_sim.network import Network
from cortex_sim.projection import Projection
from cortex_sim.regularisers import HardOrthogonality
from cortex_sim.rules.agreement import check_agreement
from cortex_sim.validation import is_supervised

if TYPE_CHECKING:
    from cortex_sim.preprocessing import Preprocessing
    from cortex_sim.state import State

PRECISIONS = {"32": torch.float32, "64": torch.float64, "bf16": torch.bfloat16}


class Model(nn.Module):
    """A network built for torch; made by `cortex_sim.torch.build`.

    ``model(x, y)`` is the surrogate whose backward pass leaves minus every rule's change in ``.grad``, and
    ``model(x)`` the top population's rates; `loss` is the objective, `updates` gives the changes as tensors,
    `fit` trains, `respond` records, `predict` gives the top's rates as an array.

    Attributes
    ----------
    net : Network
        The declaration, as it was when the model was built.
    weights, biases, auxiliary : nn.ParameterDict
        By projection ("V1->IT") and population ("IT").
    feedback : FeedbackWeights
        B of each top-down projection.
    populations : nn.Module
        A module for each population whose output are its rates: ``model.get_submodule("populations.V1")``.
    error : Tensor
        Mean objective of the last batch given to ``model(x, y)``.
    preprocessing : Preprocessing or None
        With which its training stimuli were shown; part of its state.
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
        self.plan: Plan = plan(net)
        self.top = net.objective_at or self.plan.order[-1]
        self.stimulus = net.stimulated[0]
        self.populations = populations(net, self.stimulus)
        self.preprocessing: Preprocessing | None = None
        self.epochs_done = 0  # of training, whichever call of fit they were made by
        self.clock = Clock(seed)
        self.error = torch.zeros(())
        self.register_buffer("_place", torch.zeros(0), persistent=False)
        self._attachment = Attachment()
        hard = (p.name for p in net.bottom_ups if _hard(p))
        self._pulled, self._shown = next(hard, ""), -1
        self._check_precision()
        stored = torch.float64 if precision == "64" else torch.float32
        drawn = net.initial_weights(seed)
        self.weights = nn.ParameterDict()
        self.biases = nn.ParameterDict()
        for p in [*net.bottom_ups, *net.laterals]:
            if not settling.is_identity(p):
                w = torch.as_tensor(_own_weights(p, drawn).copy()).to(stored)
                self.weights[p.name] = nn.Parameter(w, requires_grad=p.plasticity is not None)
        for name, population in net.populations.items():
            if population.bias and net.inputs(name):
                learns = any(is_supervised(p.plasticity) for p in net.inputs(name))
                zero = torch.zeros(population.bias_shape, dtype=stored)
                self.biases[name] = nn.Parameter(zero, requires_grad=learns)
        self.feedback = FeedbackWeights(net, drawn, dict(self.weights.items()), stored)
        declared = self.plan.taught
        self.taught = None if declared is None else TaughtCredit(declared, self.feedback, stored)
        self.local = LocalRules(net, dict(self.weights.items()))
        self.to(device)
        self.register_load_state_dict_post_hook(_loaded)
        self.renew_feedback()

    def _check_precision(self) -> None:
        rules = [p.plasticity for p in self.net.bottom_ups if is_supervised(p.plasticity)]
        if self.precision != "64" and any(getattr(rule, "needs_float64", False) for rule in rules):
            raise BuildError(
                f"network {self.net.name}: {rules[0]!r} loses its small step at precision {self.precision}; "
                'build with precision="64" (--precision 64), or use the limit form'
            )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.get_buffer("_place").device

    @property
    def steps_done(self) -> int:
        """Updates made."""
        return self.clock.updates

    @steps_done.setter
    def steps_done(self, updates: int) -> None:
        self.clock.updates = updates

    def population(self, name: str) -> Population:
        """The module of one population: its output are its rates."""
        module: Any = self.populations._modules[name]
        found: Population = module
        return found

    # -- settling ---------------------------------------------------------------------------------

    def stimulus_tensor(self, x: Any, look: bool = True) -> Tensor:
        """Stimuli as (presentation, *shape) on the model's device, checked against the network."""
        return inputs.stimulus_tensor(self, x, look)

    def target_tensor(self, y: Any, look: bool = True) -> Tensor:
        """Labels (presentation,) or target rates (presentation, unit) on the model's device."""
        return inputs.target_tensor(self, y, look)

    def settle(self, x: Tensor, credit: bool = True) -> tuple[Drives, Drives]:
        """Drives and rates of every population; see `cortex_sim.backends.torch.settling.settle`."""
        return settling.settle(self, x, credit)

    # -- credit -----------------------------------------------------------------------------------

    def objective_value(self, r_top: Tensor, y: Tensor) -> Tensor:
        """Mean objective over presentations."""
        return outputs.objective_value(self, r_top, y)

    def forward(self, x: Any, y: Any = None) -> Tensor:
        """The surrogate of `surrogate` for stimuli with labels or targets, the top's rates without.

        Rates (presentation, unit) are in plain autograd's graph: their gradient is backpropagation's,
        whatever rules are declared. A network without an objective needs no labels: in training mode
        ``model(x)`` is its surrogate.
        """
        if y is None and (self.net.error is not None or not self.training):
            return outputs.top_rates(self, inputs.stimulus_tensor(self, x, look=False))
        self._before_use(training=self.training)
        total, self.error = self.rule_terms(x, y, learning=self.training, look=False)
        if self.training:
            with in_full_precision(self.device):
                total = total + penalties.terms(self)
            self._after_showing()
        return total

    def surrogate(self, x: Any, y: Any = None) -> Tensor:
        """Scalar whose gradient is minus the change of every plastic weight, mean over the batch.

        It is built for its gradient alone: its value is the objective for some rules only; see `loss`. In
        training mode it holds the regularisers' terms too. The same as ``model(x, y)``.
        """
        if y is None and self.net.error is not None:
            raise DataError(f"network {self.net.name}: its objective at {self.top} needs labels or targets y")
        value: Tensor = self(x, y)
        return value

    def loss(self, x: Any, y: Any) -> Tensor:
        """Mean objective over presentations, a number without a graph; training goes by ``model(x, y)``."""
        return outputs.loss(self, x, y)

    def predict(self, x: Any, *, batch: int = 256) -> Any:
        """Rates of the top population; see `cortex_sim.backends.torch.outputs.predict`."""
        return outputs.predict(self, x, batch)

    def rule_terms(
        self, x: Any, y: Any, learning: bool, look: bool = True, one: int | None = None, of: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Terms whose gradient is minus what the rules say, and the mean objective.

        ``learning`` lets the rules' state move on. With ``one``, x holds that presentation of a batch ``of``
        so many.
        """
        stimuli = self.stimulus_tensor(x, look)
        self._require_gradient_arrives(stimuli)
        drives, rates = self.settle(stimuli)
        with in_full_precision(self.device):
            total, error = self.credit_terms(drives, rates, y, look)
            total = total + self.local.terms(self, rates, learning)
            return total + self.feedback.terms(self, of or len(stimuli), one), error

    def _require_gradient_arrives(self, stimuli: Tensor) -> None:
        paths = [*self.plan.beside.values(), *self.plan.apart]
        if stimuli.requires_grad and not any(p.post == self.stimulus for p in paths):
            raise DataError(
                f"stimuli need a gradient, but no projection brings credit to population {self.stimulus}, so "
                "theirs would be missing; give x.detach(), or model(x) for plain autograd's gradient"
            )

    def credit_terms(self, drives: Drives, rates: Drives, y: Any, look: bool) -> tuple[Tensor, Tensor]:
        """Terms of what supervised rules say, and the mean objective."""
        if self.net.error is None:
            zero = torch.zeros((), device=self.device)
            return zero, zero
        if y is None:
            raise DataError(f"network {self.net.name}: its objective at {self.top} needs labels or targets y")
        goal = inputs.target_tensor(self, y, look)
        total = self.objective_value(rates[self.top], goal)
        error = total.detach()
        if not (self.plan.direct or self.plan.by_targets or self.taught):
            return total, error
        top = rates[self.top].detach().flatten(1)
        c_top = self.net.error.credit(top, outputs.as_rates(goal, top))
        if self.taught is not None:
            credits = self.taught.credits(rates, outputs.as_rates(goal, top), c_top)
            told = {name: self.told_at(name, drives, rates) for name in credits}
            return self.injected(credits, told), error
        if self.plan.by_targets:
            return self.injected(target_credits(self, drives, rates, c_top), rates), error
        return total + self.injected(direct_credits(self, c_top), rates), error

    def told_at(self, name: str, drives: Drives, rates: Drives) -> Tensor:
        """Where a population takes its credit: at its rates, or at its drives if f′ has no part in it."""
        if self.taught is None:
            return rates[name]
        declared = self.taught.declared
        at_drives = name in declared.hidden and not declared.network.gated
        return drives[name] if at_drives else rates[name]

    @staticmethod
    def injected(credits: Drives, rates: Drives) -> Tensor:
        """−⟨c·r⟩ summed over populations: its gradient at the rates (or drives) is minus the credit."""
        presentations = len(next(iter(rates.values())))
        total = next(iter(rates.values())).new_zeros(())
        for name, c in credits.items():
            total = total - (c.detach() * rates[name].flatten(1)).sum() / presentations
        return total

    # -- what users do with a model ---------------------------------------------------------------

    def updates(
        self, x: Any, y: Any = None, *, biases: bool = False, per_presentation: bool = False
    ) -> dict[str, Tensor]:
        """Change Δw/η by projection; see `cortex_sim.backends.torch.changes.updates`."""
        return changes.updates(self, x, y, biases, per_presentation)

    def backprop_updates(self, x: Any, y: Any, *, biases: bool = False) -> dict[str, Tensor]:
        """What backpropagation would change: minus autograd's gradient of the same objective."""
        return changes.backprop_updates(self, x, y, biases)

    def credits(self, x: Any, y: Any) -> dict[str, Tensor]:
        """Credit c of every population that gets any, (presentation, *shape)."""
        return changes.credits(self, x, y)

    @differentiating
    def fit(self, train: Any, epochs: int = 10, **settings: Any) -> list[dict[str, float | None]]:
        """Train; see `cortex_sim.backends.torch.fitting.fit`."""
        from cortex_sim.backends.torch.fitting import fit

        try:
            return fit(self, train, epochs, **settings)
        finally:
            self.detach()

    def respond(self, x: Any, y: Any = None, **settings: Any) -> Any:
        """Recording of every population; see `cortex_sim.backends.torch.responding.respond`."""
        from cortex_sim.backends.torch.responding import respond

        return respond(self, x, y, **settings)

    def set_weights(self, given: Mapping[str, Any]) -> None:
        """Overwrite bottom-up, lateral or free top-down weights by projection, then renew the feedback."""
        weights.set_weights(self, given)
        self.renew_feedback()

    def set_biases(self, given: Mapping[str, Any]) -> None:
        """Overwrite biases by population, one a unit or, where the shape has channels, one a channel."""
        weights.set_biases(self, given)

    def state(self) -> State:
        """Everything that it has learned; see `cortex_sim.state.State`."""
        return weights.state(self)

    def load_state(self, given: State) -> None:
        """Take over the state of the same network, trained here, on brian2, or under another rule."""
        weights.load_state(self, given)
        self.renew_feedback()

    # -- after an optimiser's step ----------------------------------------------------------------

    def attach(self, optimiser: torch.optim.Optimizer) -> None:
        """Let every step of ``optimiser``, and of no other, be followed by `after_update` while it lives.

        Raises
        ------
        RunError
            If it is an optimiser of another model.
        """
        self._attachment.begin(self, optimiser)

    def detach(self) -> None:
        """Follow no optimiser any more: from here on feedback follows the weights at once."""
        self._attachment.end()
        self._shown = -1

    @torch.no_grad()
    def after_update(self) -> None:
        """Count the update, pull hard-orthogonal weights back, renew feedback that is due."""
        self.clock.updated()
        self._shown = -1
        with in_full_precision(self.device):
            for p in self.net.bottom_ups:
                for rule in _hard(p):
                    if self.steps_done % rule.every == 0:
                        self.pull_back(p.name, rule)
            self.feedback.renew(self.weights, self.steps_done)
        self.feedback.mark(self.weights)

    def pull_back(self, name: str, rule: HardOrthogonality) -> None:
        """Pull weights, and auxiliary units where there are any as further rows, back to orthogonal."""
        w = self.weights[name]
        rows = w.flatten(1)
        extra = self.feedback.auxiliary.get(name)
        both = rows if extra is None else torch.cat([rows, extra])
        pulled = pull_back(both, rule, f"projection {name}")
        w.copy_(pulled[: len(rows)].reshape(w.shape))
        if extra is not None:
            extra.copy_(pulled[len(rows) :])

    @differentiating
    def renew_feedback(self) -> None:
        """Compute every tied feedback anew from the present weights."""
        self._shown = -1
        self.feedback.forget()
        with in_full_precision(self.device):
            self.feedback.renew_changed(self.weights, in_loop=False)

    def trust_feedback(self) -> None:
        """Take feedback that was loaded together with its weights for theirs, as a resumed loop left it."""
        self.feedback.mark(self.weights)

    @torch.compiler.disable
    def _before_use(self, training: bool = False) -> None:
        """Let feedback belong to the present weights, and refuse an optimiser that is not attached."""
        with torch.inference_mode(False), in_full_precision(self.device):
            self.feedback.renew_changed(self.weights, in_loop=self._attachment.holds)
        if not (self._pulled and training):
            return
        versions = sum(w._version for w in self.weights.values())
        if self._shown not in (-1, versions):
            raise RunError(
                f"network {self.net.name}: {self._pulled} has HardOrthogonality, which acts after each "
                "optimiser step; call model.attach(optimiser) once before training, for each optimiser"
            )
        self._shown = versions

    @torch.compiler.disable
    def _after_showing(self) -> None:
        self.clock.shown()

    def noise(self, name: str) -> torch.Generator:
        """Noise of one projection at this draw: a pure function of seed, draw, rank and name."""
        return self.clock.generator(name, self.device)


def _loaded(model: nn.Module, _: Any) -> None:
    """After ``load_state_dict``, of whatever part: feedback is renewed before it is used."""
    assert isinstance(model, Model)
    model.feedback.forget()
    model._shown = -1


def _own_weights(p: Projection, drawn: Mapping[str, Any]) -> Any:
    if p.name not in drawn or not isinstance(p.connector, (Dense, Conv2d)):
        raise BuildError(
            f"projection {p.name}: the torch backend cannot run {type(p.connector).__name__}; "
            "use Dense, Conv2d or Identity"
        )
    return drawn[p.name]


def _hard(p: Projection) -> list[HardOrthogonality]:
    return [rule for rule in p.regularisers if isinstance(rule, HardOrthogonality)]


__all__ = ["PRECISIONS", "Drives", "Model"]
