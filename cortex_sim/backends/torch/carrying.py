"""How a model carries rates upward: with its parameters, in a graph whose backward pass carries credit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cortex_sim.backends.torch.feedback_weights import FeedbackWeights
from cortex_sim.backends.torch.lateral import without_lateral
from cortex_sim.backends.torch.presynaptic import ByReading, Presynaptic
from cortex_sim.backends.torch.steps import Link, Step
from cortex_sim.operators.autograd import CreditPath
from cortex_sim.projection import Projection


@dataclass(frozen=True)
class ByParameters:
    """Carries rates (presentation, *shape) across a model's weights.

    Parameters
    ----------
    weights, biases : mapping of str to Tensor
    feedback : FeedbackWeights
    populations : nn.Module
        Rate functions, and normalisers, by name.
    dtype : torch.dtype
        Precision of drives.
    credit : bool
        Whether the backward pass is that of the declared rules, rather than plain autograd's.
    presynaptic : Presynaptic
        What synapses read of their pre rates, where this is not the rates themselves.
    kept : callable
        From a population's name and drives to the factor of dropout on its rates; None without dropout.
    """

    weights: Mapping[str, Tensor] | nn.ParameterDict
    biases: Mapping[str, Tensor] | nn.ParameterDict
    feedback: FeedbackWeights
    populations: nn.Module
    dtype: torch.dtype
    credit: bool
    presynaptic: Presynaptic
    kept: Callable[[str, Tensor], Tensor | None]

    def bias(self, step: Step) -> Tensor | None:
        """Bias of a population's drive, (unit,) or (channel,); None if a normaliser adds it later."""
        bias: Tensor | None = None if step.population.normaliser else self.biases.get(step.name)
        return None if bias is None else bias.to(self.dtype)

    def through(self, step: Step, link: Link, r: Tensor, bias: Tensor | None) -> Tensor:
        """The drive that a projection adds; its backward pass carries credit along a paired projection."""
        return self._through(link, r, bias).reshape(-1, *step.population.shape)

    def _through(self, link: Link, r: Tensor, bias: Tensor | None) -> Tensor:
        op = link.operator
        if self.credit and link.paired is None:
            r = r.detach()
        if not op.weighted:
            unused: Tensor = op.drive(r, None, None)
            return unused
        r, w = r.to(self.dtype), self.weights[link.name]
        w = (w if link.supervised or not self.credit else w.detach()).to(self.dtype)
        drive: Tensor
        free = link.paired is None or self.feedback.is_transpose(link.paired.name)
        if self.credit and link.supervised and link.name in self.presynaptic and torch.is_grad_enabled():
            return self._through_reading(link, r, w, bias, free)
        if not self.credit or link.paired is None or free:
            drive = op.drive(r, w, bias)
            return drive
        return self._with_feedback(link, link.paired, r, w, bias)

    def _with_feedback(
        self, link: Link, paired: Projection, r: Tensor, w: Tensor, bias: Tensor | None
    ) -> Tensor:
        """The drive, with a backward pass along the paired projection."""
        op, name = link.operator, paired.name
        drive: Tensor
        gram = self.feedback.kept_gram(name) if op.takes_gram else None
        if gram is not None:
            m = gram if isinstance(gram, float) else gram.to(self.dtype)
            drive = op.drive_with_gram(r, w, bias, m)
            return drive
        rule = paired.plasticity if self.feedback.reads_credit(name) else None
        b = self.feedback.stored(name, w).to(self.dtype)
        drive = op.drive_with_feedback(r, w, bias, b, rule)
        return drive

    def _through_reading(self, link: Link, r: Tensor, w: Tensor, bias: Tensor | None, free: bool) -> Tensor:
        """The same drive and credit, but W (and B, where it follows W) changes with what synapses read."""
        op, fixed, paired = link.operator, w.detach(), link.paired
        if free or paired is None:
            a, b, rule = op.drive(r, fixed, bias), None, None
        elif self.feedback.reads_credit(paired.name):
            b, rule = self.feedback.stored(paired.name, w).to(self.dtype), paired.plasticity
            a = op.drive_with_feedback(r, fixed, bias, b.detach(), None)
        else:
            a, b, rule = self._with_feedback(link, paired, r, fixed, bias), None, None
        read = self.presynaptic.inputs(link.name, op, r).to(self.dtype)
        found: Tensor = ByReading.apply(a, w, b, read, op, rule)
        return found

    def biased(self, step: Step, a: Tensor, bias: Tensor) -> Tensor:
        """A drive with its bias, one per unit or channel."""
        return a + bias.to(a.dtype).reshape(-1, *[1] * (len(step.population.shape) - 1))

    def settled(self, step: Step, a: Tensor, rates: Mapping[str, Tensor], receives: Tensor | None) -> Tensor:
        """The drive minus lateral inhibition; the credit that the population sends down starts here."""
        if step.lateral is not None and step.exact:
            name = step.lateral.name
            a = without_lateral(a, self.weights[name], name, receives)
        for p in step.senders if self.credit else ():
            b = self.feedback.plastic_or_free(p.name).to(a.dtype)
            a = CreditPath.apply(a, rates[p.post], b)
        return a

    def rate(self, step: Step, a: Tensor) -> Tensor:
        """Rates, computed by the population's module, so that its hooks see them."""
        declared, name = step.population, step.name
        population = self.populations._modules[name]
        assert population is not None
        r: Tensor = population(a, self.biases.get(name) if declared.normaliser else None, self.kept(name, a))
        return r
