"""Rates over time: Euler steps of the rate dynamics, unrolled in autograd's graph.

Each step reads all rates at its beginning: a ← a + (dt/τ)(Σ W r + b − L r − a), likewise for gains g, and
then r = max(0, 1 + g) f(a). In the backward pass, credit passes through the same steps in reverse, along the
same paths as at equilibrium: across a projection through its feedback B, and within a unit by 1 − dt/τ. With
transposes this is backpropagation through time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cortex_sim.backends.torch.settling import Carrier, Values, gain_received, rate_of, received
from cortex_sim.backends.torch.steps import Step
from cortex_sim.calling import known_settings
from cortex_sim.checks import positive_ms, require_count


@known_settings
@dataclass(frozen=True)
class Unrolled:
    """Rates after each of a number of steps of the rate dynamics from rest, instead of their equilibrium.

    Parameters
    ----------
    steps : int
        Number of Euler steps in every presentation. A signal takes one step across each projection.
    dt_ms : float, default 1.0
        Length of a step, in ms; shorter than 2τ of every population. If it equals τ, a step is that of a
        discrete recurrent network, a = Σ W r + b.
    truncate : int, optional
        Number of steps in a segment. No credit passes back to the previous segment, while rates continue
        from it: truncated backpropagation through time. By default credit passes back to the first step.

    References
    ----------
    Werbos (1990), Proc. IEEE 78, doi:10.1109/5.58337, for backpropagation through time; Williams & Peng
    (1990), Neural Comput. 2, doi:10.1162/neco.1990.2.4.490, for its truncation.
    """

    steps: int
    dt_ms: float = 1.0
    truncate: int | None = None

    def __post_init__(self) -> None:
        require_count("unrolled", steps=self.steps)
        object.__setattr__(self, "dt_ms", positive_ms("unrolled", dt_ms=self.dt_ms))
        object.__setattr__(self, "steps", int(self.steps))
        object.__setattr__(self, "dt_ms", float(self.dt_ms))
        if self.truncate is not None:
            require_count("unrolled", truncate=self.truncate)
            object.__setattr__(self, "truncate", int(self.truncate))

    def __str__(self) -> str:
        credit = "" if self.truncate is None else f", credit truncated every {self.truncate}"
        return f"unrolled for {self.steps} steps of {self.dt_ms:g} ms{credit}"

    def cuts_credit(self, step: int) -> bool:
        """Whether a step begins a segment, so that no credit passes back from it."""
        return self.truncate is not None and step > 0 and step % self.truncate == 0

    def at(self, step: int, bins: int) -> int:
        """The time bin to which a step belongs."""
        return step * bins // self.steps


@dataclass(frozen=True)
class Moment:
    """Drives and rates of every population after one step, (presentation, *shape); equal for a source.

    ``gains`` are those of populations at which gain projections arrive, and ``read`` the rates that the step
    read at its beginning.
    """

    drives: Values
    rates: Values
    gains: Values
    read: Values


def unroll(
    steps: tuple[Step, ...], shown: Mapping[str, Tensor], carrier: Carrier, how: Unrolled
) -> list[Moment]:
    """Drives and rates of all steps; see `stepped`."""
    return list(stepped(steps, shown, carrier, how))


def stepped(
    steps: tuple[Step, ...], shown: Mapping[str, Tensor], carrier: Carrier, how: Unrolled
) -> Iterator[Moment]:
    """Steps one after another from rest, where drives and gains are 0; only the latest is kept in memory.

    Parameters
    ----------
    steps : tuple of Step
    shown : mapping of str to Tensor
        Rates of every source, (presentation, *shape) or (presentation, time_bin, *shape).
    carrier : Carrier
    how : Unrolled
    """
    # At equilibrium, lateral inhibition of linear populations is solved exactly; in time it is an input.
    circuit = tuple(replace(step, exact=False) for step in steps if step.name not in shown)
    axes = {step.name: len(step.population.shape) for step in steps}
    like = next(iter(shown.values()))
    a = {s.name: like.new_zeros((len(like), *s.population.shape)) for s in circuit}
    g = {s.name: torch.zeros_like(a[s.name]) for s in circuit if s.gains}
    pace = {s.name: how.dt_ms / s.population.tau_ms for s in circuit}
    rates = _rates(circuit, a, g, carrier)
    for number in range(how.steps):
        if how.cuts_credit(number):
            a, g, rates = _detached(a), _detached(g), _detached(rates)
        inputs = {name: _at(x, number, axes[name], how) for name, x in shown.items()}
        known = inputs | rates
        arrived = {s.name: received(s, known, carrier, None) for s in circuit}
        gains = {s.name: gain_received(s, known, carrier, None) for s in circuit if s.gains}
        a = {name: a[name] + pace[name] * (arrived[name] - a[name]) for name in a}
        g = {name: g[name] + pace[name] * (gains[name] - g[name]) for name in g}
        rates = _rates(circuit, a, g, carrier)
        yield Moment(inputs | a, inputs | rates, g, known)


def _rates(circuit: tuple[Step, ...], a: Values, g: Values, carrier: Carrier) -> Values:
    """Rates, as tensors other than the drives even if equal: credit is the gradient at the rates only."""
    rates = {s.name: rate_of(s, a[s.name], g.get(s.name), carrier, None) for s in circuit}
    return {name: r.view_as(r) if r is a[name] else r for name, r in rates.items()}


def _detached(values: Values) -> Values:
    return {name: x.detach() for name, x in values.items()}


def _at(x: Tensor, step: int, axes: int, how: Unrolled) -> Tensor:
    """Stimuli of one step, (presentation, *shape)."""
    return x if x.dim() == 1 + axes else x[:, how.at(step, x.shape[1])]


def read_by_steps(
    steps: tuple[Step, ...], rates: Values, sources: tuple[str, ...], carrier: Carrier
) -> Values:
    """Rates that every step reads at its beginning, (presentation·step, *shape), without a graph.

    The rates of a source are those of the step; those of other populations are from the end of the previous
    step, and at first from zero drives. So pre and post rates are read at the same time, as by a rule on
    brian2.

    Parameters
    ----------
    steps : tuple of Step
    rates : mapping of str to Tensor
        Rates after every step, (presentation, step, *shape).
    sources : tuple of str
    carrier : Carrier
    """
    circuit = tuple(step for step in steps if step.name not in sources)
    zero = {step.name: torch.zeros_like(rates[step.name][:, 0]) for step in circuit}
    first = _rates(circuit, zero, {step.name: zero[step.name] for step in circuit if step.gains}, carrier)
    read = {name: r.detach() for name, r in rates.items()}
    for name, r in first.items():
        read[name] = torch.cat([r.detach()[:, None], read[name][:, :-1]], dim=1)
    return {name: r.flatten(0, 1) for name, r in read.items()}


def over_time(moments: list[Moment]) -> tuple[Values, Values]:
    """Drives and rates by population, (presentation, step, *shape)."""
    first = moments[0]
    drives = {n: torch.stack([m.drives[n] for m in moments], dim=1) for n in first.drives}
    rates = {n: torch.stack([m.rates[n] for m in moments], dim=1) for n in first.rates}
    return drives, rates
