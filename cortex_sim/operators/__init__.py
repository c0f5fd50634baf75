"""One class per connector: its linear algebra, on numpy and torch alike, used by every backend."""

from cortex_sim.operators.base import Operator, operator_of, units
from cortex_sim.operators.conv2d import ConvOperator
from cortex_sim.operators.dense import DenseOperator
from cortex_sim.operators.identity import IdentityOperator
from cortex_sim.operators.places import AtPlaces, Tied
from cortex_sim.operators.pooling import (
    AveragePoolOperator,
    GlobalAverageOperator,
    MaxPoolOperator,
    Selection,
)
from cortex_sim.operators.weightless import Weightless

__all__ = [
    "AtPlaces",
    "AveragePoolOperator",
    "ConvOperator",
    "DenseOperator",
    "GlobalAverageOperator",
    "IdentityOperator",
    "MaxPoolOperator",
    "Operator",
    "Selection",
    "Tied",
    "Weightless",
    "operator_of",
    "units",
]
