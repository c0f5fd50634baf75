"""What a network settles to in one phase of a protocol: driven, nudged, silenced, cut, scaled.

Population by population: a = Σ W r_pre + b + external drive and r = f(a) upward, c = Σ B u + nudge and
u = c ∘ f′(a) downward. Whatever passes in time is gone at equilibrium: delays, and the noise of gates and
of spontaneous activity, whose mean is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cortex_sim.backends.torch.arrival import carried
from cortex_sim.backends.torch.lateral import settled
from cortex_sim.backends.torch.model import Model
from cortex_sim.backends.torch.settling import is_identity
from cortex_sim.connectors import Conv2d
from cortex_sim.errors import RunError
from cortex_sim.projection import Projection
from cortex_sim.protocol.plan import Constant, Gate, Images, Input, PhasePlan

Values = dict[str, Tensor]


@dataclass(frozen=True)
class Equilibrium:
    """Settled values by population, (presentation, unit); ``u`` is what synapses learn from."""

    drives: Values
    rates: Values
    credits: Values
    u: Values


@torch.no_grad()
def settle(model: Model, phase: PhasePlan, images: Sequence[int]) -> Equilibrium:
    """Where a phase would settle with the present weights, for the presentations ``images``."""
    drives, rates = _upward(model, phase, list(images))
    credits, u = _downward(model, phase, list(images), drives, rates)
    return Equilibrium(drives, rates, credits, u)


def signal(model: Model, p: Projection, r: Tensor) -> Tensor:
    """W r of a bottom-up projection, (presentation, post unit), from r (presentation, pre unit)."""
    if is_identity(p):
        return r
    w = model.weights[p.name]
    if isinstance(p.connector, Conv2d):
        maps = r.reshape(-1, *model.net.populations[p.pre].shape)
        return torch.nn.functional.conv2d(maps, w, None, p.connector.stride, p.connector.padding).flatten(1)
    return r @ w.T


def passes(phase: PhasePlan, name: str) -> float:
    """Factor on a projection's signal."""
    gate = phase.gates.get(name, Gate())
    return 0.0 if gate.cut else gate.scale


def alive(phase: PhasePlan, name: str) -> Tensor | float:
    """1 for each active unit of a population, 0 for each silenced one."""
    return torch.as_tensor(phase.alive[name]) if name in phase.alive else 1.0


def _upward(model: Model, phase: PhasePlan, images: list[int]) -> tuple[Values, Values]:
    drives: Values = {}
    rates: Values = {}
    for name in model.plan.order:
        a = _given(phase.drive.get(name), images, model.net.populations[name].size)
        if name == model.stimulus:
            r = a
        else:
            a = _drive(model, phase, name, a, rates)
            r = model.net.populations[name].activation.rate(a)
        if name in phase.spontaneous:
            r = torch.zeros_like(r)
        drives[name], rates[name] = a, r * alive(phase, name)
    return drives, rates


def _drive(model: Model, phase: PhasePlan, name: str, a: Tensor, rates: Values) -> Tensor:
    population = model.net.populations[name]
    for p in model.net.inputs(name):
        a = a + passes(phase, p.name) * signal(model, p, rates[p.pre])
    if name in model.biases:
        bias = model.biases[name]
        a = a + bias.repeat_interleave(population.size // len(bias))
    heard = passes(phase, f"{name}->{name}") * alive(phase, name) * (name not in phase.spontaneous)
    return settled(model, name, a, torch.ones(population.size, dtype=a.dtype) * heard)


def _given(drive: Input | None, images: list[int], units: int) -> Tensor:
    values = np.zeros((len(images), units))
    match drive:
        case Constant(given):
            values[:] = given
        case Images(given):
            values[:] = given[images]
    return torch.from_numpy(values)


def _downward(
    model: Model, phase: PhasePlan, images: list[int], drives: Values, rates: Values
) -> tuple[Values, Values]:
    direct = {p.name for p in model.plan.direct}
    taught = _taught(model, phase, images, rates)
    credits: Values = {}
    u: Values = {}
    for name in reversed(model.plan.order):
        c = torch.zeros_like(rates[name])
        if name != model.stimulus:
            if not (taught and name == model.net.objective_at):  # its nudge is what the credit network sees
                c = c + _nudge(model, phase, name, rates[name], images)
            for p in model.net.credit_inputs(name):
                if p in model.plan.credit:
                    c = c + _delivers(phase, p) * taught.get(name, c.new_zeros(()))
                    continue
                told = credits[p.pre] * alive(phase, p.pre) if p.name in direct else u[p.pre]
                c = c + _delivers(phase, p) * carried(model, p)(told)
        credits[name] = c
        u[name] = c * _gain(model, name, drives[name]) * alive(phase, name)
    return credits, u


def _gain(model: Model, name: str, a: Tensor) -> Tensor | float:
    """f′(a), or 1 where credit has no part in it."""
    declared = model.plan.taught
    if declared is not None and name in declared.hidden and not declared.network.gated:
        return 1.0
    gain: Tensor = model.net.populations[name].activation.gain(a)
    return gain


def _taught(model: Model, phase: PhasePlan, images: list[int], rates: Values) -> Values:
    """Credit from the credit network, in proportion to the nudge's strength; nothing without a nudge."""
    top = model.net.objective_at
    goal = phase.nudge.get(str(top))
    if model.taught is None or model.net.error is None or goal is None:
        return {}
    wanted = torch.from_numpy(np.array(goal.values[images]))
    told = model.taught.credits(rates, wanted, model.net.error.credit(rates[model.top], wanted))
    return {name: goal.strength * c for name, c in told.items()}


def _delivers(phase: PhasePlan, p: Projection) -> float:
    """Factor on the credit a top-down projection brings; a silent error population brings none."""
    return 0.0 if p.name in phase.errors_silenced else passes(phase, p.name)


def _nudge(model: Model, phase: PhasePlan, name: str, r: Tensor, images: list[int]) -> Tensor:
    goal = phase.nudge.get(name)
    if goal is None:
        return torch.zeros_like(r)
    wanted = torch.from_numpy(np.array(goal.values[images]))
    if name == model.net.objective_at and model.net.error is not None:
        return goal.strength * model.net.error.credit(r, wanted)
    return goal.strength * (wanted - r)


def check_settles(model: Model, phase: PhasePlan) -> None:
    """Raise `RunError` where a phase has no equilibrium to speak of."""
    owner = f"phase {phase.name}"
    for name, drive in phase.drive.items():
        if not isinstance(drive, (Constant, Images)):
            what = {"Series": "a time series", "White": "noise"}.get(type(drive).__name__, "no image set")
            raise RunError(
                f"{owner}: the drive of {name} is {what}, which settles to nothing; give an array or an "
                'image set, or use backend "brian2"'
            )
    for name in phase.errors_silenced:
        if not getattr(model.net.projections[name].feedback, "damping", 0.0):
            raise RunError(
                f"{owner}: without its error population {name} keeps the credit that it has, for ever where "
                'damping is 0; give Inverse(damping=1e-3), cut the projection, or use backend "brian2"'
            )
    for name in phase.eta:
        p = model.net.projections[name]
        listens = bool(getattr(p.plasticity, "spontaneous", False))
        if listens and p.post not in phase.spontaneous:
            raise RunError(
                f"{owner}: {name} learns from spontaneous activity of {p.post}; let {p.post} be spontaneous "
                "in this phase, or open the window in another"
            )
        if phase.spontaneous and not listens:
            raise RunError(
                f"{owner}: {name} would learn from activity that noise drives, which settles to nothing; "
                'open its window in a phase without spontaneous activity, or use backend "brian2"'
            )
