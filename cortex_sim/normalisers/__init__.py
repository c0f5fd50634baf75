"""Normalisers of a population's drive: `BatchNorm`, `GroupNorm`, `LayerNorm`."""

from cortex_sim.normalisers.base import Normaliser
from cortex_sim.normalisers.batch_norm import BatchNorm
from cortex_sim.normalisers.group_norm import GroupNorm
from cortex_sim.normalisers.layer_norm import LayerNorm

__all__ = ["BatchNorm", "GroupNorm", "LayerNorm", "Normaliser"]
