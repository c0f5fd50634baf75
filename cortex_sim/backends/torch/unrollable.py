"""Which networks can be unrolled, and which can settle."""

from __future__ import annotations

from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.eligibility import Traces
from cortex_sim.backends.torch.unrolling import Unrolled
from cortex_sim.errors import BuildError
from cortex_sim.loops import loops_of
from cortex_sim.network import Network
from cortex_sim.projection import Projection


def check_unrolls(model: Core, how: Unrolled) -> None:
    """Raise `BuildError` where a network cannot be unrolled, or a rule does not define credit in time."""
    net = model.net
    for name, population in net.populations.items():
        if name not in net.sources and how.dt_ms >= 2 * population.tau_ms:
            raise BuildError(
                f"population {name}: its drive is unstable at dt_ms={how.dt_ms:g}; use dt_ms below "
                f"{2 * population.tau_ms:g}, or a longer tau_ms"
            )
    for name in model.adapting:
        raise BuildError(
            f"population {name}: {type(net.populations[name].activation).__name__} adapts to settled drives, "
            "not to steps in time; leave settling at its default, or use another activation"
        )
    for name, population in net.populations.items():
        if population.normaliser is not None and population.normaliser.running:
            raise BuildError(
                f"population {name}: {type(population.normaliser).__name__} takes its statistics over "
                "presentations, and these statistics would differ from step to step; use GroupNorm or "
                "LayerNorm, or leave settling at its default"
            )
    for p, _ in model.presynaptic.projections:
        raise BuildError(
            f"projection {p.name}: {type(p.reads).__name__} is measured on settled rates, not on unrolled "
            "steps; leave reads out here, or run it in time on brian2"
        )
    if model.teacher is not None:
        raise BuildError(
            f"network {net.name}: its credit network reads settled rates, not unrolled steps; "
            f"{_WAY_OUT}, or run it in time on brian2"
        )
    traced = [p for p in net.driving if p.rule.keeps_traces]
    for p in () if traced else (*model.routes.direct, *model.routes.targets):
        raise BuildError(
            f"projection {p.name}: its rule defines credit for settled rates, but not through time; "
            f"{_WAY_OUT}"
        )
    if traced:
        _check_keeps_traces(model, how, traced[0])


def _check_keeps_traces(model: Core, how: Unrolled, first: Projection) -> None:
    """Rules that keep traces must be those of the whole network, and need each unit's own f′."""
    net, word = model.net, type(first.plasticity).__name__
    for p in net.driving:
        if p.rule.supervised and not p.rule.keeps_traces:
            raise BuildError(
                f"projection {p.name}: {type(p.plasticity).__name__} needs credit back through time, but "
                f"{word} of {first.name} sends none; give all supervised projections rules of one kind"
            )
    if how.truncate is not None:
        raise BuildError(
            f"network {net.name}: {word} sends no credit back through time, so there is none to truncate; "
            "leave truncate out"
        )
    for step in model.steps:
        learning = [link for link in step.inputs if link.projection.rule.keeps_traces]
        normaliser = step.population.normaliser
        if learning and normaliser is not None:
            raise BuildError(
                f"population {step.name}: {word} needs rates that depend on each unit's own drive, but with "
                f"{type(normaliser).__name__} they depend on those of other units; leave the normaliser out"
            )
        traces = Traces(model.steps, step, how.dt_ms, model.top, model.compute)
        for link in learning:
            if traces.by_synapse(link) and link.operator.synapses != "all":
                raise BuildError(
                    f"projection {link.name}: {word} needs a trace at every synapse, which a "
                    f"{link.operator.called} does not have; use dt_ms={_top_tau(model):g}, the tau_ms of "
                    f'{model.top}, and memory="leak", or use Dense()'
                )


def _top_tau(model: Core) -> float:
    return model.net.populations[model.top].tau_ms


def check_recomputes(model: Core) -> None:
    """Raise `BuildError` where rates recomputed in the backward pass would differ."""
    moves = dict.fromkeys(model.adapting, "adapts with each batch")
    moves |= {n: "would draw new dropout" for n, p in model.net.populations.items() if p.dropout}
    moves |= {
        p.post: "has synapses whose reading changes with each batch" for p, _ in model.presynaptic.projections
    }
    for name, why in moves.items():
        raise BuildError(
            f"population {name}: {why}, so its rates cannot be recomputed in the backward pass; leave "
            "recompute out"
        )


def check_closes(net: Network) -> None:
    """Raise `BuildError` where a population with a normaliser would settle in a loop."""
    for loop in loops_of(net, gains=True):
        for name in loop.populations:
            normaliser = net.populations[name].normaliser
            if normaliser is not None:
                raise BuildError(
                    f"population {name}: {type(normaliser).__name__} in the loop of "
                    f"{', '.join(loop.populations)}, but loops settle only without normalisers; unroll the "
                    "network (settling=cs.torch.Unrolled(steps=20)), or leave the normaliser out"
                )


_WAY_OUT = (
    'use net.with_rule("backprop") or "feedback_alignment", whose credit runs through the steps, or '
    '"e_prop", which needs none'
)
