"""One class a connector: its linear algebra, on numpy and torch alike, asked by every backend."""

from cortex_sim.operators.base import Operator, operator_of, units
from cortex_sim.operators.conv2d import ConvOperator
from cortex_sim.operators.dense import DenseOperator
from cortex_sim.operators.identity import IdentityOperator

__all__ = ["ConvOperator", "DenseOperator", "IdentityOperator", "Operator", "operator_of", "units"]
