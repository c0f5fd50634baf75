"""One pass upward: drives and rates of every population at equilibrium.

Passes differ in how rates are carried across a projection (`Carrier`), and in what a protocol does
(`Interventions`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from cortex_sim.backends.torch.fixed_point import Settling
from cortex_sim.backends.torch.looping import closed
from cortex_sim.backends.torch.steps import Link, Step, loops_alone

Values = dict[str, Tensor]


class Carrier(Protocol):
    """How rates are carried in one kind of pass; each carrier chooses the axes of rates and drives."""

    def bias(self, step: Step) -> Tensor | None:
        """Bias of a population, if it has one."""

    def through(self, step: Step, link: Link, r: Tensor, bias: Tensor | None) -> Tensor:
        """W r (+ b, if given) of one projection, with the axes of the population's drive."""

    def biased(self, step: Step, a: Tensor, bias: Tensor) -> Tensor:
        """A drive with a bias that no projection has added."""

    def settled(self, step: Step, a: Tensor, rates: Mapping[str, Tensor], receives: Tensor | None) -> Tensor:
        """A drive minus lateral inhibition, which receives the share ``receives`` of each unit's rate."""

    def rate(self, step: Step, a: Tensor) -> Tensor:
        """Rates of a population."""


@dataclass(frozen=True)
class Interventions:
    """What a phase of a protocol does to a pass.

    Parameters
    ----------
    external : mapping of str to Tensor
        Drive in addition to that of projections, by population.
    gates : mapping of str to float
        Factor on a projection's signal; 0 where it is cut.
    alive : mapping of str to Tensor of shape (unit,)
        1 for each active unit, 0 for each silenced one.
    spontaneous : frozenset of str
        Populations whose rates are noise with mean zero.
    before : mapping of str to Tensor of shape (presentation, unit)
        Drives "a:NAME" and gains "g:NAME" from which populations of loops settle; from rest otherwise.
    injected : mapping of str to Tensor of shape (presentation, unit)
        Credit from outside, by population.
    credit_alive : mapping of str to Tensor of shape (unit,)
        0 for each unit whose credit is silenced, else 1.
    """

    external: Mapping[str, Tensor] = field(default_factory=dict)
    gates: Mapping[str, float] = field(default_factory=dict)
    alive: Mapping[str, Tensor] = field(default_factory=dict)
    spontaneous: frozenset[str] = frozenset()
    before: Mapping[str, Tensor] = field(default_factory=dict)
    injected: Mapping[str, Tensor] = field(default_factory=dict)
    credit_alive: Mapping[str, Tensor] = field(default_factory=dict)

    def passes(self, projection: str) -> float:
        """Factor on a projection's signal."""
        return self.gates.get(projection, 1.0)

    def active(self, population: str) -> Tensor | float:
        """1 for each active unit of a population, 0 for each silenced one."""
        return self.alive.get(population, 1.0)

    def acted_on(self, population: str, r: Tensor) -> Tensor:
        """Rates (presentation, *shape) after the phase's interventions."""
        if population in self.spontaneous:
            return torch.zeros_like(r)
        if population in self.alive:
            return r * self.alive[population].to(r.dtype).reshape(r.shape[1:])
        return r

    def credit_of(self, population: str, c: Tensor) -> Tensor:
        """Credit (presentation, unit) after the phase's interventions."""
        c = c * self.credit_alive.get(population, 1.0)
        return c + self.injected.get(population, 0.0)

    def receiving(self, population: str, like: Tensor) -> Tensor:
        """Share of each unit's rate that a lateral projection receives, (unit,)."""
        factor = self.passes(f"{population}->{population}") * (population not in self.spontaneous)
        return like.new_ones(like[0].numel()) * factor * self.active(population)


def settle(
    steps: tuple[Step, ...],
    shown: Mapping[str, Tensor],
    carrier: Carrier,
    acting: Interventions | None = None,
    blocks: tuple[tuple[Step, ...], ...] | None = None,
    how: Settling = Settling(),  # noqa: B008 - frozen
) -> tuple[Values, Values]:
    """Drives a (of all populations but sources) and rates r at equilibrium.

    Parameters
    ----------
    steps : tuple of Step
        Sources first.
    shown : mapping of str to Tensor
        Rates of every source.
    carrier : Carrier
    acting : Interventions, optional
    blocks : tuple of tuple of Step, optional
        Steps in the order in which they settle, those of a loop together; by default each separately.
    how : Settling
        How loops are solved.

    Raises
    ------
    RunError
        If a loop does not settle, naming its populations.
    """
    drives: Values = {}
    rates: Values = {name: x if acting is None else acting.acted_on(name, x) for name, x in shown.items()}
    alone = tuple((step,) for step in steps if step.name not in shown)
    for block in alone if blocks is None else blocks:
        if loops_alone(block):
            _settle_loop(block, drives, rates, carrier, acting, how)
            continue
        (step,) = block
        if how.recompute and torch.is_grad_enabled():
            given = (step, dict(rates), carrier, acting)
            found = checkpoint(_visited, *given, use_reentrant=False, preserve_rng_state=False)
        else:
            found = _visited(step, rates, carrier, acting)
        drives[step.name], rates[step.name] = found
    return drives, rates


def _visited(
    step: Step, rates: Values, carrier: Carrier, acting: Interventions | None
) -> tuple[Tensor, Tensor]:
    """Drive and rates of a population outside loops."""
    a = received(step, rates, carrier, acting)
    g = gain_received(step, rates, carrier, acting) if step.gains else None
    return a, rate_of(step, a, g, carrier, acting)


def _settle_loop(
    block: tuple[Step, ...],
    drives: Values,
    rates: Values,
    carrier: Carrier,
    acting: Interventions | None,
    how: Settling,
) -> None:
    """Settle populations that drive one another, and add their drives and rates to those given."""
    names = frozenset(step.name for step in block)

    def within(a: Values, g: Values) -> Values:
        return {step.name: rate_of(step, a[step.name], g.get(step.name), carrier, acting) for step in block}

    outer = {step.name: _drive(step, names, rates, carrier, acting) for step in block}
    gains = {s.name: _split(s, s.gains, names, rates, carrier, acting) for s in block if s.gains}

    def around(a: Values, g: Values) -> tuple[Values, Values]:
        known = rates | within(a, g)
        whole = {s.name: outer[s.name].whole(s, known, carrier, acting) for s in block}
        drive = {s.name: _less_lateral(s, whole[s.name], known, carrier, acting) for s in block}
        return drive, {s.name: gains[s.name].whole(s, known, carrier, acting) for s in block if s.gains}

    like = next(iter(rates.values()))
    before = {} if acting is None else acting.before
    found, a, g = closed(block, around, like.flatten(1), how, before)
    drives.update(found)
    rates.update(within(a, g))


def received(step: Step, rates: Values, carrier: Carrier, acting: Interventions | None) -> Tensor:
    """Drive of a population, from the rates of those that project to it."""
    a = _drive(step, frozenset(), rates, carrier, acting).whole(step, rates, carrier, acting)
    return _less_lateral(step, a, rates, carrier, acting)


def gain_received(step: Step, rates: Values, carrier: Carrier, acting: Interventions | None) -> Tensor:
    """The summed signal of gain projections, g."""
    return _split(step, step.gains, frozenset(), rates, carrier, acting).whole(step, rates, carrier, acting)


def rate_of(
    step: Step, a: Tensor, g: Tensor | None, carrier: Carrier, acting: Interventions | None
) -> Tensor:
    """Rates r = max(0, 1 + g) f(a), after a phase's interventions."""
    r = carrier.rate(step, a)
    r = r if g is None else r * (1 + g).clamp(min=0)
    return r if acting is None else acting.acted_on(step.name, r)


@dataclass(frozen=True)
class _Part:
    """The sum that makes a drive or gain, without the part that comes from inside a loop.

    Parameters
    ----------
    total : Tensor or None
        External drive, projections from outside and the bias, computed once; None if there are none.
    within : tuple of Link
        Projections from inside, whose signal changes from pass to pass.
    bias : Tensor or None
        The bias, if it is not in the total.
    """

    total: Tensor | None
    within: tuple[Link, ...]
    bias: Tensor | None

    def whole(self, step: Step, rates: Values, carrier: Carrier, acting: Interventions | None) -> Tensor:
        """The whole sum, with what comes from inside."""
        total = _sum(step, self.within, rates, carrier, acting, self.total, self.bias)
        assert total is not None  # every population but sources has an input
        return total


def _drive(
    step: Step, loop: frozenset[str], rates: Values, carrier: Carrier, acting: Interventions | None
) -> _Part:
    external = None if acting is None else acting.external.get(step.name)
    return _split(step, step.inputs, loop, rates, carrier, acting, external, carrier.bias(step))


def _split(
    step: Step,
    links: tuple[Link, ...],
    loop: frozenset[str],
    rates: Values,
    carrier: Carrier,
    acting: Interventions | None,
    external: Tensor | None = None,
    bias: Tensor | None = None,
) -> _Part:
    outer = tuple(link for link in links if link.projection.pre not in loop)
    within = tuple(link for link in links if link.projection.pre in loop)
    if external is None and not outer:
        return _Part(None, within, bias)
    return _Part(_sum(step, outer, rates, carrier, acting, external, bias), within, None)


def _sum(
    step: Step,
    links: tuple[Link, ...],
    rates: Values,
    carrier: Carrier,
    acting: Interventions | None,
    total: Tensor | None,
    bias: Tensor | None,
) -> Tensor | None:
    """A total plus the signals of projections and the bias; None if there is nothing to add."""
    for link in links:
        fused = bias if acting is None and link.operator.adds_bias else None
        part = carrier.through(step, link, rates[link.projection.pre], fused)
        bias = None if fused is not None else bias
        part = part if acting is None else acting.passes(link.name) * part
        total = part if total is None else total + part
    return total if bias is None or total is None else carrier.biased(step, total, bias)


def _less_lateral(
    step: Step, a: Tensor, rates: Values, carrier: Carrier, acting: Interventions | None
) -> Tensor:
    """The drive minus the inhibition by a lateral projection."""
    if step.lateral is not None and not step.exact:
        signal = carrier.through(step, step.lateral, rates[step.name], None)
        a = a - (signal if acting is None else acting.passes(step.lateral.name) * signal)
    receives = None if acting is None else acting.receiving(step.name, a)
    return carrier.settled(step, a, rates, receives)
