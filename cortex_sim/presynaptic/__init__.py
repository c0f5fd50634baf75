"""What plastic synapses read of their pre population, where this is not its rate."""

from cortex_sim.presynaptic.decorrelated import Decorrelated

__all__ = ["Decorrelated"]
