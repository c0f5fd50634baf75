"""How an objective looks between and around points of weight space: lines, planes, slices, trajectories.

Points are flat vectors in numpy; an objective is a function of many points at once, (point, parameter) to
(point,). Nothing here depends on what the parameters mean.
"""

from cortex_sim.landscapes.lines import along, barrier, climb, crosses
from cortex_sim.landscapes.planes import Plane
from cortex_sim.landscapes.principal import explained, explained_of_random_walk
from cortex_sim.landscapes.slices import filter_normalised

__all__ = [
    "Plane",
    "along",
    "barrier",
    "climb",
    "crosses",
    "explained",
    "explained_of_random_walk",
    "filter_normalised",
]
