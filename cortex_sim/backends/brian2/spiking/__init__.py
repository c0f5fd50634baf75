"""Spiking units on brian2: a declared network as leaky integrate-and-fire units that learn by e-prop."""

from cortex_sim.backends.brian2 import messages  # first: it must see the state before brian2 loads
from cortex_sim.backends.brian2.spiking.firing_rates import FiringRates
from cortex_sim.backends.brian2.spiking.neurons import LeakyIntegrateAndFire
from cortex_sim.backends.brian2.spiking.simulation import Spiking
from cortex_sim.backends.brian2.spiking.trials import SpikingTrials

__all__ = ["FiringRates", "LeakyIntegrateAndFire", "Spiking", "SpikingTrials"]

messages.settle()
