"""Which declared networks have spiking units; anything else is refused by name."""

from __future__ import annotations

from cortex_sim.activations import Linear
from cortex_sim.backends.routes import find_routes
from cortex_sim.errors import BuildError
from cortex_sim.network import Network
from cortex_sim.population import Population
from cortex_sim.projection import Projection
from cortex_sim.rules.places import not_on_spikes

_RULE = 'use net.with_rule("e_prop"), "e_prop_symmetric" or "e_prop_diffused", or no plasticity'


def check_spiking(net: Network) -> None:
    """Raise where a network has no spiking counterpart.

    Raises
    ------
    DeclarationError
        If the declaration cannot run anywhere.
    BuildError
        If spiking units cannot run it as declared.
    """
    net.check()
    for p in net.of_rates:
        if p.plasticity is not None and (why := not_on_spikes(p.plasticity)):
            raise BuildError(f"projection {p.name}: {type(p.plasticity).__name__} {why}; {_RULE}")
    if net.objective_at is None:
        raise BuildError(
            f"network {net.name}: spiking units need a population that reads out; add "
            'net.objective(population, "squared_error")'
        )
    if net.teacher is not None:
        raise BuildError(f"network {net.name}: a credit network has no spiking units; {_RULE}")
    for population in net.populations.values():
        _check_population(net, population)
    for p in net.of_rates:
        _check_projection(net, p)
    memories = {p.plasticity: p.name for p in net.driving if p.plasticity is not None}
    if len(memories) > 1:
        raise BuildError(
            f"network {net.name}: {' and '.join(memories.values())} have different EProp rules; spiking "
            "units keep traces of one kind, so give all plastic projections the same rule"
        )
    find_routes(net)
    for p in net.top_downs:
        if p.pre != net.objective_at:
            raise BuildError(
                f"projection {p.name}: brings credit of {p.pre}, but under EProp credit comes from the top, "
                f"{net.objective_at}; declare net.top_down({net.objective_at!r}, {p.post!r}, ...)"
            )
        if p.plasticity is not None:
            raise BuildError(
                f"projection {p.name}: {type(p.plasticity).__name__} changes feedback weights, which "
                "spiking units keep fixed; leave plasticity out"
            )
        _check_additions(p)


def _check_population(net: Network, population: Population) -> None:
    label, is_top = f"population {population.name}", population.name == net.objective_at
    if population.normaliser is not None:
        raise BuildError(
            f"{label}: {type(population.normaliser).__name__} acts on drives of rate units; spiking units "
            "have none, leave normaliser out"
        )
    if population.dropout:
        raise BuildError(f"{label}: dropout acts in training on torch only; leave it out for spiking units")
    if population.apical_coupling:
        raise BuildError(
            f"{label}: with apical_coupling credit would act on the membrane, but in spiking units it "
            "changes weights only; leave apical_coupling out"
        )
    if is_top and not isinstance(population.activation, Linear):
        raise BuildError(
            f"{label}: the readout is a leaky sum of spikes, to which {type(population.activation).__name__} "
            'is not applied; declare activation="linear"'
        )
    if is_top and population.name in net.sources:
        raise BuildError(f"{label}: has the objective but no bottom-up input; declare a projection onto it")


def _check_projection(net: Network, p: Projection) -> None:
    label = f"projection {p.name}"
    if p.is_lateral or p.is_gain:
        raise BuildError(
            f"{label}: {'lateral projections subtract' if p.is_lateral else 'projections of gain multiply'} "
            "rates; spiking units have bottom-up and recurrent projections only"
        )
    if p.pre == net.objective_at:
        raise BuildError(f"{label}: comes from the readout, which sends no spikes; leave it out")
    if net.operator(p).synapses != "all":
        raise BuildError(
            f"{label}: a {net.operator(p).called} does not give each synapse its own weight, and every "
            "spiking synapse needs one; use cs.Dense(), or cs.Sparse()"
        )
    _check_additions(p)


def _check_additions(p: Projection) -> None:
    for what, given in (("regulariser", p.regularisers), ("constraint", p.constraints)):
        if given:
            raise BuildError(
                f"projection {p.name}: {type(given[0]).__name__} is not applied to spiking units; leave "
                f"{what} out"
            )
    if p.reads is not None:
        raise BuildError(
            f"projection {p.name}: {type(p.reads).__name__} transforms rates, and spiking units send "
            "spikes; leave reads out"
        )
