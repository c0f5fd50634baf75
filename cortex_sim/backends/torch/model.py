"""A declared network on torch: settled rates upward, credit downward through autograd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn

from cortex_sim.backends.routes import Plan, plan
from cortex_sim.backends.torch import inputs, penalties, settling
from cortex_sim.backends.torch.arrival import direct_credits, target_credits
from cortex_sim.backends.torch.feedback_weights import FeedbackWeights
from cortex_sim.backends.torch.lateral import check_settles
from cortex_sim.backends.torch.local_rules import LocalRules
from cortex_sim.backends.torch.orthogonality import pull_back
from cortex_sim.backends.torch.settling import Drives
from cortex_sim.backends.torch.taught import TaughtCredit
from cortex_sim.connectors import Conv2d, Dense
from cortex_sim.errors import BuildError, DataError, RunError
from cortex_sim.network import Network
from cortex_sim.objectives import CrossEntropy
from cortex_sim.projection import Projection
from cortex_sim.regularisers import HardOrthogonality
from cortex_sim.rules.agreement import check_agreement
from cortex_sim.validation import is_supervised

F = nn.functional
PRECISIONS = {"32": torch.float32, "64": torch.float64, "bf16": torch.bfloat16}


class Model(nn.Module):
    """A network built for torch; made by `cortex_sim.torch.build`.

    ``model(x, y)`` is the scalar whose backward pass leaves minus every rule's change in ``.grad``;
    `updates` gives the changes as tensors, `fit` trains, `respond` records.

    Attributes
    ----------
    net : Network
        The declaration.
    weights, biases, auxiliary : nn.ParameterDict
        By projection ("V1->IT") and population ("IT").
    feedback : FeedbackWeights
        B of each top-down projection.
    error : float
        Mean objective of the last batch given to ``model(x, y)``, as a tensor.
    """

    def __init__(self, net: Network, seed: int, precision: str, device: torch.device) -> None:
        super().__init__()
        net.check()
        check_settles(net)
        for p in net.projections.values():
            check_agreement(p.plasticity)
        self.net, self.seed, self.precision = net, seed, precision
        self.compute = PRECISIONS[precision]
        self.plan: Plan = plan(net)
        self.top = net.objective_at or self.plan.order[-1]
        self.stimulus = net.stimulated[0]
        self.rates = {name: settling.torch_rate(p.activation) for name, p in net.populations.items()}
        self.steps_done = 0
        self.error = torch.zeros(())
        self._attached = False
        hard = (p.name for p in net.bottom_ups if _hard(p))
        self._pulled, self._versions = next(hard, ""), -1
        self._check_precision()
        stored = torch.float64 if precision == "64" else torch.float32
        drawn = net.initial_weights(seed)
        self.weights = nn.ParameterDict()
        self.biases = nn.ParameterDict()
        for p in [*net.bottom_ups, *net.laterals]:
            if p.connector.plastic:
                if not isinstance(p.connector, (Dense, Conv2d)):
                    raise BuildError(
                        f"projection {p.name}: the torch backend cannot run {type(p.connector).__name__}; "
                        "use Dense, Conv2d or Identity"
                    )
                w = torch.as_tensor(drawn[p.name].copy()).to(stored)
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
        return next(iter(self.weights.values())).device

    # -- settling ---------------------------------------------------------------------------------

    def stimulus_tensor(self, x: Any) -> Tensor:
        """Stimuli as (presentation, *shape) on the model's device, checked against the network."""
        return inputs.stimulus_tensor(self, x)

    def target_tensor(self, y: Any) -> Tensor:
        """Labels (presentation,) or target rates (presentation, unit) on the model's device."""
        return inputs.target_tensor(self, y)

    def settle(self, x: Tensor, credit: bool = True) -> tuple[Drives, Drives]:
        """Drives and rates of every population; see `cortex_sim.backends.torch.settling.settle`."""
        return settling.settle(self, x, credit)

    # -- credit -----------------------------------------------------------------------------------

    def objective_value(self, r_top: Tensor, y: Tensor) -> Tensor:
        """Mean objective over presentations."""
        objective = self.net.error
        assert objective is not None
        if len(y) != len(r_top):
            raise DataError(
                f"{len(y)} labels for {len(r_top)} presentations of population {self.stimulus}; give one each"
            )
        r_top = r_top.flatten(1)
        if r_top.dtype == torch.bfloat16:
            r_top = r_top.float()
        if isinstance(objective, CrossEntropy) and y.dim() == 1:
            return objective.weight * F.cross_entropy(r_top, y)
        return objective.error(r_top, self._as_rates(y, r_top)).mean()

    def _as_rates(self, y: Tensor, r_top: Tensor) -> Tensor:
        if y.dim() == 1:
            return F.one_hot(y, r_top.shape[1]).to(r_top.dtype)
        return y.to(r_top.dtype)

    def forward(self, x: Any, y: Any = None) -> Tensor:
        """Scalar whose gradient is minus the change of every plastic weight, mean over the batch."""
        self._renew_if_due()
        total = self._rule_terms(x, y, learning=self.training)
        return total + penalties.terms(self) if self.training else total

    def _rule_terms(self, x: Any, y: Any, learning: bool) -> Tensor:
        """Terms whose gradient is minus what the rules say; ``learning`` lets their state move on."""
        stimuli = self.stimulus_tensor(x)
        drives, rates = self.settle(stimuli)
        total = self._credit_terms(drives, rates, y)
        return total + self.local.terms(self, rates, learning) + self.feedback.terms(self, len(stimuli))

    def _credit_terms(self, drives: Drives, rates: Drives, y: Any) -> Tensor:
        if self.net.error is None:
            self.error = torch.zeros((), device=self.device)
            return self.error
        if y is None:
            raise DataError(f"network {self.net.name}: its objective at {self.top} needs labels or targets y")
        goal = self.target_tensor(y)
        total = self.objective_value(rates[self.top], goal)
        self.error = total.detach()
        if not (self.plan.direct or self.plan.by_targets or self.taught):
            return total
        top = rates[self.top].detach().flatten(1)
        c_top = self.net.error.credit(top, self._as_rates(goal, top))
        if self.taught is not None:
            credits = self.taught.credits(rates, self._as_rates(goal, top), c_top)
            return self.injected(credits, {name: self._told_at(name, drives, rates) for name in credits})
        if self.plan.by_targets:
            return self.injected(target_credits(self, drives, rates, c_top), rates)
        return total + self.injected(direct_credits(self, c_top), rates)

    def _told_at(self, name: str, drives: Drives, rates: Drives) -> Tensor:
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

    # -- local updates as plain tensors -----------------------------------------------------------

    def updates(self, x: Any, y: Any = None, *, biases: bool = False) -> dict[str, Tensor]:
        """Change Δw/η of every plastic projection for one batch, regularisers left out.

        Parameters
        ----------
        x : array of shape (presentation, *stimulus)
        y : array of labels (presentation,) or target rates (presentation, unit)
        biases : bool, default False
            Also the biases' changes, under their population's name.

        Returns
        -------
        dict of str to Tensor
            Projection name to change, of the weights' shape.
        """
        self._renew_if_due()
        return self._negative_gradients(self._rule_terms(x, y, learning=False), biases, True)

    def backprop_updates(self, x: Any, y: Any, *, biases: bool = False) -> dict[str, Tensor]:
        """What backpropagation would change: minus autograd's gradient of the same objective."""
        if self.net.error is None:
            raise RunError(f"network {self.net.name}: has no objective, so backpropagation has no update")
        _, rates = self.settle(self.stimulus_tensor(x), credit=False)
        return self._negative_gradients(
            self.objective_value(rates[self.top], self.target_tensor(y)), biases, False
        )

    def _negative_gradients(self, total: Tensor, biases: bool, by_rule: bool) -> dict[str, Tensor]:
        wanted: dict[str, Tensor] = {n: w for n, w in self.weights.items() if w.requires_grad}
        if by_rule:
            wanted |= self.feedback.plastic
        else:
            wanted = {n: w for n, w in wanted.items() if not self.net.projections[n].is_lateral}
        if biases:
            wanted |= {n: b for n, b in self.biases.items() if b.requires_grad}
        found = torch.autograd.grad(total, list(wanted.values()), allow_unused=True)
        return {
            name: torch.zeros_like(w) if g is None else -g
            for (name, w), g in zip(wanted.items(), found, strict=True)
        }

    def credits(self, x: Any, y: Any) -> dict[str, Tensor]:
        """Credit c of every population that gets any, (presentation, *shape)."""
        self._renew_if_due()
        drives, rates = self.settle(self.stimulus_tensor(x))
        total = self._credit_terms(drives, rates, y)
        told = {n: self._told_at(n, drives, rates) for n in rates if n != self.stimulus}
        named = {n: t for n, t in told.items() if t.requires_grad}
        if not named:
            return {}
        found = torch.autograd.grad(total, list(named.values()), allow_unused=True)
        count = len(rates[self.stimulus])
        return {n: -g * count for n, g in zip(named, found, strict=True) if g is not None}

    # -- what users do with a model ---------------------------------------------------------------

    def fit(self, train: Any, epochs: int = 10, **settings: Any) -> list[dict[str, float]]:
        """Train; see `cortex_sim.backends.torch.fitting.fit`."""
        from cortex_sim.backends.torch.fitting import fit

        return fit(self, train, epochs, **settings)

    def respond(self, x: Any, y: Any = None, *, batch: int = 256) -> Any:
        """Recording of every population; see `cortex_sim.backends.torch.responding.respond`."""
        from cortex_sim.backends.torch.responding import respond

        return respond(self, x, y, batch=batch)

    # -- after an optimiser's step ----------------------------------------------------------------

    def attach(self, optimiser: torch.optim.Optimizer) -> None:
        """Let every step of ``optimiser`` be followed by `after_update`; needed once per optimiser."""
        optimiser.register_step_post_hook(lambda *_: self.after_update())
        self._attached = True

    @torch.no_grad()
    def after_update(self) -> None:
        """Count the update, pull hard-orthogonal weights back, renew feedback that is due."""
        self.steps_done += 1
        for p in self.net.bottom_ups:
            for rule in _hard(p):
                if self.steps_done % rule.every == 0:
                    self.pull_back(p.name, rule)
        self.feedback.renew(self.weights, self.steps_done)

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

    def renew_feedback(self) -> None:
        """Compute every tied feedback anew from the present weights."""
        self.feedback.renew(self.weights, 0)

    def _renew_if_due(self) -> None:
        """Where no optimiser is attached, feedback follows the weights at once."""
        if self._attached:
            return
        self.feedback.renew_changed(self.weights)
        versions = sum(w._version for w in self.weights.values())
        if self._pulled and self.training and versions != self._versions and self._versions >= 0:
            raise RunError(
                f"network {self.net.name}: {self._pulled} has HardOrthogonality, which acts after each "
                "optimiser step; call model.attach(optimiser) once before training"
            )
        self._versions = versions

    def noise(self, name: str) -> torch.Generator:
        """Noise of one projection at this update: a pure function of seed, update, rank and name."""
        rank = torch.distributed.get_rank() if _distributed() else 0
        entropy = [self.seed, self.steps_done, rank, crc32(name.encode())]
        state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
        return torch.Generator(self.device).manual_seed(int(state) >> 1)

    def set_weights(self, weights: Mapping[str, Any]) -> None:
        """Overwrite bottom-up, lateral or free top-down weights by name, then renew the feedback."""
        for name, values in weights.items():
            target = self.weights[name] if name in self.weights else self.feedback.plastic_or_free(name)
            new = torch.as_tensor(values)
            if new.shape != target.shape:
                raise BuildError(
                    f"projection {name}: weights have shape {tuple(target.shape)}. Got {tuple(new.shape)}"
                )
            if self.net.projections[name].is_lateral and new.diagonal().any():
                raise BuildError(
                    f"projection {name}: lateral weights must be zero on the diagonal, no unit projects to "
                    "itself; give them with it set to 0"
                )
            with torch.no_grad():
                target.copy_(new)
        self.renew_feedback()
        self._versions = -1


def _hard(p: Projection) -> list[HardOrthogonality]:
    return [rule for rule in p.regularisers if isinstance(rule, HardOrthogonality)]


def _distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


__all__ = ["PRECISIONS", "Drives", "Model"]
