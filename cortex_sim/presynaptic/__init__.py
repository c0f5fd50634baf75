"""What plastic synapses read of their pre population, where it is not its rate."""

from cortex_sim.presynaptic.decorrelated import Decorrelated

__all__ = ["Decorrelated"]
