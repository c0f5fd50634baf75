"""Outer loops, which train a credit network on the inner runs that it teaches; chosen by name.

``cortex_sim.registry.make("searcher", "nres")`` gives the settings of one; ``begin`` starts it on inner runs.
"""

from cortex_sim.tdca.outer.evolution import CMAES, PGPE, SNES
from cortex_sim.tdca.outer.meta_gradient import MetaGradient
from cortex_sim.tdca.outer.nres import NRES
from cortex_sim.tdca.outer.problem import FitnessProblem, Search, UnrolledProblem, Window

__all__ = [
    "CMAES",
    "NRES",
    "PGPE",
    "SNES",
    "FitnessProblem",
    "MetaGradient",
    "Search",
    "UnrolledProblem",
    "Window",
]
