"""The brian2 backend: a declared network as rate dynamics in time, for plasticity protocols."""

from cortex_sim.backends.brian2 import messages  # first: it must see the state before brian2 loads
from cortex_sim.backends.brian2.cache_keys import use_faster_keys
from cortex_sim.backends.brian2.simulation import Simulation

__all__ = ["Simulation", "build"]

messages.settle()
use_faster_keys()

build = Simulation  # what a user calls; its arguments are the class's own
