"""What the synapses engine cannot run: weights that synapses share, equations that read several synapses."""

from __future__ import annotations

from cortex_sim.backends.brian2.circuit import Circuit
from cortex_sim.errors import BuildError
from cortex_sim.rules.places import not_by_synapse


def check_no_sharing(circuit: Circuit) -> None:
    """Raise `BuildError` where synapses would have to share a weight, or read one another's."""
    for p in circuit.plastic():
        if why := not_by_synapse(p.plasticity):
            raise BuildError(
                f'projection {p.name}: {type(p.plasticity).__name__} {why}; use engine="batched"'
            )
    for p in circuit.net.bottom_ups:
        if p.reads is not None:
            raise BuildError(
                f"projection {p.name}: {type(p.reads).__name__} mixes the rates of several pre units, and "
                'the synapses engine updates each synapse by itself; use engine="batched"'
            )
    for p in [*circuit.net.driving, *circuit.net.gains]:
        op = circuit.operators[p.name]
        if not op.weighted and not op.synapses:
            raise BuildError(
                f"projection {p.name}: the synapses engine connects units by weights, and "
                f'{type(p.connector).__name__} has no weights; use engine="batched"'
            )
        if not op.synapses:
            raise BuildError(
                f"projection {p.name}: the synapses engine gives every synapse its own weight, and a "
                f'{op.called} shares them; use engine="batched"'
            )
    for name, population in circuit.net.populations.items():
        if len(population.shape) == 3 and population.bias and supervised_inputs(circuit, name):
            raise BuildError(
                f"population {name}: the synapses engine gives every unit its own bias, and channels share "
                f'them; declare {name} with a number of units or bias=False, or use engine="batched"'
            )


def supervised_inputs(circuit: Circuit, name: str) -> bool:
    """Whether the population's bias learns."""
    return any(p.rule.supervised for p in circuit.net.drivers(name))
