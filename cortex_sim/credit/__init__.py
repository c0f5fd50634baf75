"""Credit networks as they are declared: what they read, how they are built, how their credit spreads.

Plain data and numpy: neither torch nor brian2. They are trained in `cortex_sim.tdca`.
"""

from cortex_sim.credit.context import ErrorContext, RawContext, Told
from cortex_sim.credit.kernels import (
    Block,
    CoarseMap,
    Learned,
    Line,
    Modulo,
    NoDiffusion,
    Ring,
    Scattered,
    Sheet,
    diffusion,
)
from cortex_sim.credit.network import CreditNetwork, DenseCredit, Placed, SharedCredit
from cortex_sim.credit.saving import TrainedCredit, load_credit, untrained

__all__ = [
    "Block",
    "CoarseMap",
    "CreditNetwork",
    "DenseCredit",
    "ErrorContext",
    "Learned",
    "Line",
    "Modulo",
    "NoDiffusion",
    "Placed",
    "RawContext",
    "Ring",
    "Scattered",
    "SharedCredit",
    "Sheet",
    "Told",
    "TrainedCredit",
    "diffusion",
    "load_credit",
    "untrained",
]
