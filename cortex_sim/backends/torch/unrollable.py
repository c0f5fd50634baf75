"""Which networks can be unrolled, and which settle."""

from __future__ import annotations

from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.eligibility import Traces
from cortex_sim.backends.torch.unrolling import Unrolled
from cortex_sim.errors import BuildError
from cortex_sim.loops import loops_of
from cortex_sim.network import Network
from cortex_sim.projection import Projection


def check_unrolls(model: Core, how: Unrolled) -> None:
    """Raise `BuildError` where a network cannot be unrolled, or a rule says nothing about credit in time."""
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
                "presentations, which differ from step to step; use GroupNorm or LayerNorm, which need none, "
                "or leave settling at its default"
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
            f"projection {p.name}: its rule gives the credit of settled rates, and none through time; "
            f"{_WAY_OUT}"
        )
    if traced:
        _check_keeps_traces(model, how, traced[0])


def _check_keeps_traces(model: Core, how: Unrolled, first: Projection) -> None:
    """Rules that keep traces hold for the whole network, and need f′ of each unit by itself."""
    net, word = model.net, type(first.plasticity).__name__
    for p in net.driving:
        if p.rule.supervised and not p.rule.keeps_traces:
            raise BuildError(
                f"projection {p.name}: {type(p.plasticity).__name__} takes its credit back through steps, "
                f"and {word} of {first.name} needs none; give all supervised projections rules of one kind"
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
                f"population {step.name}: {word} needs how each unit's rate depends on its own drive, and "
                f"with {type(normaliser).__name__} it depends on those of others; leave it out"
            )
        traces = Traces(model.steps, step, how.dt_ms, model.top, model.compute)
        for link in learning:
            if traces.by_synapse(link) and link.operator.synapses != "all":
                raise BuildError(
                    f"projection {link.name}: {word} needs a trace at every synapse, which a "
                    f"{link.operator.called} has none of; use dt_ms={_top_tau(model):g}, the tau_ms of "
                    f'{model.top}, and memory="leak", or Dense()'
                )


def _top_tau(model: Core) -> float:
    return model.net.populations[model.top].tau_ms


def check_recomputes(model: Core) -> None:
    """Raise `BuildError` where rates computed again in the backward pass would be others."""
    moves = dict.fromkeys(model.adapting, "adapts with each batch")
    moves |= {n: "draws its dropout anew" for n, p in model.net.populations.items() if p.dropout}
    moves |= {
        p.post: "has synapses whose reading moves with each batch" for p, _ in model.presynaptic.projections
    }
    for name, why in moves.items():
        raise BuildError(
            f"population {name}: {why}, so its rates cannot be computed again in the backward pass; leave "
            "recompute out"
        )


def check_closes(net: Network) -> None:
    """Raise `BuildError` where a population with a normaliser would have to settle in a loop."""
    for loop in loops_of(net, gains=True):
        for name in loop.populations:
            normaliser = net.populations[name].normaliser
            if normaliser is not None:
                raise BuildError(
                    f"population {name}: {type(normaliser).__name__} in the loop of "
                    f"{', '.join(loop.populations)}, whose equilibrium is searched without normalisers; "
                    "unroll it (settling=cs.torch.Unrolled(steps=20)), or leave the normaliser out"
                )


_WAY_OUT = (
    'use net.with_rule("backprop") or "feedback_alignment", whose credit runs through the steps, or '
    '"e_prop", which needs none'
)
