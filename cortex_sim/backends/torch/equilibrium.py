"""The equilibrium of a network in one phase of a protocol: driven, nudged, silenced, cut, scaled.

Population by population: a = Σ W r_pre + b + external drive and r = f(a) upward, c = Σ B u + nudge and
u = c ∘ f′(a) downward. At equilibrium, delays have no effect, and neither has the noise of gates and of
spontaneous activity, whose mean is zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from cortex_sim.backends.crediting import delivered_strength, goal_at_top
from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.fixed_point import Settling
from cortex_sim.backends.torch.looping import settled_credit
from cortex_sim.backends.torch.modes import only_looking
from cortex_sim.backends.torch.settling import Interventions, Values, gain_received
from cortex_sim.backends.torch.settling import settle as settle_rates
from cortex_sim.backends.torch.staying import Leaving, leaving
from cortex_sim.backends.torch.steps import Path, loops_alone
from cortex_sim.credit.in_parts import ActingOnCredit
from cortex_sim.errors import RunError
from cortex_sim.projection import RECURRENT
from cortex_sim.protocol.plan import Constant, Gate, Images, Input, PhasePlan, parts_of


@dataclass(frozen=True)
class Equilibrium:
    """Settled values by population, (presentation, unit); ``u`` is what synapses learn from.

    ``u_behind`` is c ∘ f′(n) of populations with a normaliser, before it passes down through the normaliser:
    what their bias, which acts after the normaliser, learns from.

    Drives, rates and ``u`` include credit populations, whose ``u`` is what they deliver. ``activity`` is what
    the next phase continues from, drives "a:NAME" and gains "g:NAME" of populations in loops; ``leaving``
    lists the loops whose equilibrium activity would leave within the phase.
    """

    drives: Values
    rates: Values
    credits: Values
    u: Values
    activity: Values = field(default_factory=dict)
    leaving: tuple[Leaving, ...] = ()
    u_behind: Values = field(default_factory=dict)

    def of_bias(self, name: str) -> Tensor:
        """What a population's bias learns from, (presentation, unit)."""
        return self.u_behind.get(name, self.u[name])


@torch.no_grad()
@only_looking
def settle(
    model: Core, phase: PhasePlan, images: Sequence[int], before: Mapping[str, Tensor] | None = None
) -> Equilibrium:
    """The equilibrium of a phase with the present weights, for the presentations ``images``.

    Loops settle from ``before``, the ``activity`` of the previous phase, or from rest.

    Raises
    ------
    RunError
        If a loop does not settle, naming its populations.
    """
    acting = interventions(model, phase, list(images), before or {})
    drives, rates, activity, factors = _upward(model, acting, model.settling)
    left = leaving(model, acting, drives, _gains(activity), phase.duration_ms)
    if left:  # activity may only have come close to it
        limit = model.settling.limit
        patient = replace(model.settling, limit=2 * limit, follow=limit // 3)
        drives, rates, activity, factors = _upward(model, acting, patient)
        left = leaving(model, acting, drives, _gains(activity), phase.duration_ms)
    sent = _credit_network(model, phase, acting, list(images), rates)
    credits, u = _downward(model, phase, acting, list(images), drives, rates, sent.credits, factors)
    normalised = [name for name, p in model.net.populations.items() if p.normaliser is not None]
    behind = {n: _learned_from(model, acting, n, credits[n], drives[n], factors)[1] for n in normalised}
    drives, rates, u = drives | sent.drives, rates | sent.rates, u | sent.delivered
    return Equilibrium(drives, rates, credits, u, activity, tuple(left), behind)


def _upward(model: Core, acting: Interventions, how: Settling) -> tuple[Values, Values, Values, Values]:
    """Drives and rates of every population, activity of loops, and factors that gain projections set."""
    shown = {name: acting.external[name] for name in model.sources}
    carrier = model.carrier(credit=False)
    drives, rates = settle_rates(model.steps, shown, carrier, acting, model.blocks, how)
    activity = {}
    gained = {s.name: gain_received(s, rates, carrier, acting).flatten(1) for s in model.steps if s.gains}
    factors = {name: (1 + g).clamp(min=0) for name, g in gained.items()}
    for step in (step for block in model.blocks if loops_alone(block) for step in block):
        activity[f"a:{step.name}"] = drives[step.name].flatten(1)
        if step.gains:
            activity[f"g:{step.name}"] = gained[step.name]
    return _by_unit({**shown, **drives}), _by_unit(rates), activity, factors


def _gains(activity: Values) -> Values:
    return {name.removeprefix("g:"): g for name, g in activity.items() if name.startswith("g:")}


def _by_unit(values: Values) -> Values:
    return {name: value.flatten(1) for name, value in values.items()}


def interventions(
    model: Core, phase: PhasePlan, images: list[int], before: Mapping[str, Tensor]
) -> Interventions:
    """The interventions of a phase, for the presentations ``images``; loops settle from ``before``."""
    net = model.net
    return Interventions(
        external={
            name: _given(phase.drive.get(name), images, population.size).reshape(-1, *population.shape)
            for name, population in net.populations.items()
        },
        gates={name: 0.0 if gate.cut else gate.scale for name, gate in phase.gates.items()},
        alive={name: torch.as_tensor(units) for name, units in phase.alive.items()},
        spontaneous=frozenset(phase.spontaneous),
        before=before,
        injected={
            name: _given(given, images, net.populations[name].size)
            for name, given in phase.credit_drive.items()
        },
        credit_alive={name: torch.as_tensor(units) for name, units in phase.credit_alive.items()},
    )


def passes(phase: PhasePlan, name: str) -> float:
    """Factor on a projection's signal."""
    gate = phase.gates.get(name, Gate())
    return 0.0 if gate.cut else gate.scale


def _given(drive: Input | None, images: list[int], units: int) -> Tensor:
    values = np.zeros((len(images), units))
    for part in parts_of(drive):
        match part:
            case Constant(given):
                values += given
            case Images(given):
                values += given[images]
            case _:
                pass
    return torch.from_numpy(values)


def _downward(
    model: Core,
    phase: PhasePlan,
    acting: Interventions,
    images: list[int],
    drives: Values,
    rates: Values,
    by_teacher: Values,
    factors: Values,
) -> tuple[Values, Values]:
    """Credit and u of every population; the credit that loops send one another settles first."""

    def sweep(back: Values) -> tuple[Values, Values]:
        return _sweep(model, phase, acting, images, drives, rates, by_teacher, factors, back)

    paths = [path.projection for step in model.steps for path in step.paths]
    senders = list(dict.fromkeys(p.pre for p in paths if p.paired_with == RECURRENT))
    if not senders:
        return sweep({})
    return sweep(settled_credit(sweep, {name: rates[name] for name in senders}, model.settling))


def _sweep(
    model: Core,
    phase: PhasePlan,
    acting: Interventions,
    images: list[int],
    drives: Values,
    rates: Values,
    by_teacher: Values,
    factors: Values,
    back: Values,
) -> tuple[Values, Values]:
    """One pass downward; ``back`` is u of populations that send along recurrent projections."""
    carried = model.carried()
    credits: Values = {}
    u: Values = {}
    for step in reversed(model.steps):
        name = step.name
        c = torch.zeros_like(rates[name])
        if name not in model.sources:
            if model.teacher is None or name != model.net.objective_at:  # nudged through the credit network
                c = c + _nudge(model, phase, name, rates[name], images)
            for path in step.paths:
                pre = path.projection.pre
                if path.from_teacher:
                    c = c + _delivers(phase, path) * by_teacher[name]
                    continue
                if path.direct:
                    sent = credits[pre] * acting.active(pre)
                else:
                    sent = back[pre] if path.projection.paired_with == RECURRENT else u[pre]
                c = c + _delivers(phase, path) * carried(path, rates[name])(sent)
            c = acting.credit_of(name, c)
        credits[name] = c
        u[name] = _learned_from(model, acting, name, c, drives[name], factors)[0]
    return credits, u


def _learned_from(
    model: Core, acting: Interventions, name: str, c: Tensor, a: Tensor, factors: Values
) -> tuple[Tensor, Tensor]:
    """What a population's synapses and its bias learn from: u = c ∘ f′(a) for both.

    With a normaliser they are Jᵀ(c ∘ f′(n)) and c ∘ f′(n). Where gain projections arrive, f′ is multiplied by
    max(0, 1 + g), as rates are.
    """
    population, alive = model.population(name), acting.active(name)
    gated = c * factors[name] if name in factors and _is_gated(model, name) else c
    if population.normaliser is None:
        u = gated * _gain(model, name, a) * alive
        return u, u
    with torch.enable_grad():
        drive = a.detach().requires_grad_()
        offset = model.biases[name] if name in model.biases else None  # noqa: SIM401 - no get
        n = population.normaliser(drive.reshape(-1, *population.declared.shape), offset).flatten(1)
    behind = gated * _gain(model, name, n.detach()) * alive
    (through,) = torch.autograd.grad(n, drive, behind)
    return through, behind


def _gain(model: Core, name: str, a: Tensor) -> Tensor | float:
    """f′(a), or 1 where credit is not multiplied by it."""
    gain: Tensor | float = model.transfer(name).gain(a) if _is_gated(model, name) else 1.0
    return gain


def _is_gated(model: Core, name: str) -> bool:
    """Whether credit is multiplied by the slope of a population's rate."""
    declared = model.routes.teacher
    return declared is None or name not in declared.hidden or declared.network.gated


@dataclass(frozen=True)
class _Sent:
    """Drives and rates of credit populations, what they deliver, and its credit by receiving population."""

    drives: Values = field(default_factory=dict)
    rates: Values = field(default_factory=dict)
    delivered: Values = field(default_factory=dict)
    credits: Values = field(default_factory=dict)


def _credit_network(
    model: Core, phase: PhasePlan, acting: Interventions, images: list[int], rates: Values
) -> _Sent:
    """The equilibrium of a credit network; what it delivers is proportional to the nudge's strength."""
    if model.teacher is None or model.net.objective_function is None:
        return _Sent()
    declared = model.teacher.declared
    goal, strength = goal_at_top(declared, phase), delivered_strength(declared, phase)
    wanted = None if goal is None else np.array(goal.values[images])
    error = None
    if wanted is not None:
        error = model.net.objective_function.credit(rates[model.top], torch.from_numpy(wanted))
    acts = ActingOnCredit(
        {n: _given(phase.drive.get(n), images, p.size).numpy() for n, p in declared.populations.items()},
        acting.gates,
        phase.alive,
    )
    found = model.teacher.settled(rates, wanted, error, acts)
    drives, sent, credits = ({n: torch.from_numpy(v) for n, v in values.items()} for values in found)
    delivered, arriving = ({name: strength * v for name, v in of.items()} for of in (sent, credits))
    return _Sent(drives, sent, delivered, arriving)


def _delivers(phase: PhasePlan, p: Path) -> float:
    """Factor on the credit of a top-down projection; 0 if its error population is silenced."""
    return 0.0 if p.name in phase.errors_silenced else passes(phase, p.name)


def _nudge(model: Core, phase: PhasePlan, name: str, r: Tensor, images: list[int]) -> Tensor:
    goal = phase.nudge.get(name)
    if goal is None:
        return torch.zeros_like(r)
    wanted = torch.from_numpy(np.array(goal.values[images]))
    if name == model.net.objective_at and model.net.objective_function is not None:
        return goal.strength * model.net.objective_function.credit(r, wanted)
    return goal.strength * (wanted - r)


def check_alike(phases: Sequence[PhasePlan]) -> None:
    """Raise `RunError` where delay or noise, which have no effect at equilibrium, differ between trials."""
    for called in dict.fromkeys(phase.name for phase in phases):
        named = [phase.gates for phase in phases if phase.name == called]
        for name in {name for gates in named for name in gates}:
            for what in ("delay_ms", "noise_sd"):
                first, *other = sorted({getattr(gates.get(name, Gate()), what) for gates in named})
                if other:
                    raise RunError(
                        f"phase {called}: {what.removesuffix('_sd')} of {name} differs between trials "
                        f"({first:g} and {other[-1]:g}), but has no effect at equilibrium; leave it out, or "
                        'use backend "brian2"'
                    )


def check_settles(model: Core, phase: PhasePlan) -> None:
    """Raise `RunError` where a phase has no equilibrium."""
    owner = f"phase {phase.name}"
    drives = [(f"drive of {name}", given) for name, given in phase.drive.items()]
    drives += [(f"drive_credit of {name}", given) for name, given in phase.credit_drive.items()]
    for said, drive in ((said, part) for said, whole in drives for part in parts_of(whole)):
        if not isinstance(drive, (Constant, Images)):
            what = {"Series": "a time series", "White": "noise"}.get(type(drive).__name__, "no image set")
            raise RunError(
                f"{owner}: the {said} is {what}, which has no equilibrium; give an array or an "
                'image set, or use backend "brian2"'
            )
    for name in phase.errors_silenced:
        if not model.net.projections[name].source.damping:
            raise RunError(
                f"{owner}: without its error population {name} keeps its present credit, and with damping 0 "
                'it never decays; give Inverse(damping=1e-3), cut the projection, or use backend "brian2"'
            )
    for name in phase.eta:
        p = model.net.projections[name]
        reads_noise = p.rule.spontaneous
        if reads_noise and p.post not in phase.spontaneous:
            raise RunError(
                f"{owner}: {name} learns from spontaneous activity of {p.post}; make {p.post} spontaneous in "
                "this phase, or open the window in another"
            )
        if phase.spontaneous and not reads_noise:
            raise RunError(
                f"{owner}: {name} would learn from activity driven by noise, which has no equilibrium; "
                'open its window in a phase without spontaneous activity, or use backend "brian2"'
            )
