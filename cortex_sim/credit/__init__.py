"""Credit networks as declarations: what they read, how they are built, how their credit spreads.

They are plain data and numpy, without torch or brian2. They are trained in ``cortex_sim.tdca``.
"""

from cortex_sim.credit.broadcast import BroadcastCredit
from cortex_sim.credit.context import Context, ErrorContext, RawContext, TopSignals
from cortex_sim.credit.dense import DenseCredit
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
from cortex_sim.credit.layered import LayeredCredit
from cortex_sim.credit.network import ChannelSet, CreditNetwork, Placed, place, pooled, spread
from cortex_sim.credit.saving import TrainedCredit, load_credit, untrained
from cortex_sim.credit.shared import SharedCredit
from cortex_sim.credit.teacher import Teacher

__all__ = [
    "Block",
    "BroadcastCredit",
    "ChannelSet",
    "CoarseMap",
    "Context",
    "CreditNetwork",
    "DenseCredit",
    "ErrorContext",
    "LayeredCredit",
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
    "Teacher",
    "TopSignals",
    "TrainedCredit",
    "diffusion",
    "load_credit",
    "place",
    "pooled",
    "spread",
    "untrained",
]
