"""Rows of several projections that keep their total together: `RowNorm` with ``over``.

The weights onto a unit, side by side, are one row of the set in `cortex_sim.allowed`; those of projections
that do not change meanwhile stay as they are, and the others make up for them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cortex_sim.allowed import Allowed, allowed_of, totals
from cortex_sim.arrays import Array, array_namespace
from cortex_sim.checks import look_up
from cortex_sim.constraints import RowNorm
from cortex_sim.errors import CortexSimError, DeclarationError

if TYPE_CHECKING:
    from cortex_sim.network import Network
    from cortex_sim.projection import Projection

Matrices = Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Joined:
    """Projections onto one population whose rows, side by side, keep their total.

    Parameters
    ----------
    norm : RowNorm
        Its ``over`` are their names.
    total : array of shape (post, 1)
        Sum or length of each row.
    """

    norm: RowNorm
    total: Array

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, in the order of their columns."""
        found: tuple[str, ...] = self.norm.over
        return found

    @property
    def name(self) -> str:
        """What messages call them."""
        return called(self.norm)

    def enforced(self, w: Matrices, allowed: Mapping[str, Allowed], moved: Collection[str]) -> Matrices:
        """Weights (post, input) of those that ``moved``, such that all rows have their total."""
        found = self._rows(w, allowed, moved).enforced(_side_by_side(w, self.names))
        ends = np.cumsum([w[name].shape[1] for name in self.names])
        columns = zip(self.names, ends, strict=True)
        return {name: found[:, end - w[name].shape[1] : end] for name, end in columns if name in moved}

    def require(self, w: Matrices, allowed: Mapping[str, Allowed], error: type[CortexSimError]) -> None:
        """Raise where weights that were given do not have their total together."""
        self._rows(w, allowed, self.names).require(_side_by_side(w, self.names), error)

    def _rows(self, w: Matrices, allowed: Mapping[str, Allowed], moved: Collection[str]) -> Allowed:
        """The set of the rows side by side; weights that do not move are their own bounds."""
        low = {name: allowed[name].low if name in moved else w[name] for name in self.names}
        high = {name: allowed[name].high if name in moved else w[name] for name in self.names}
        least, largest = _side_by_side(low, self.names), _side_by_side(high, self.names)
        return Allowed(self.name, least, largest, total=self.total, norm=self.norm)


def enforced(
    names: Iterable[str],
    matrix: Callable[[str], Array],
    allowed: Mapping[str, Allowed],
    joined: Sequence[Joined],
) -> dict[str, Array]:
    """What constraints make of the weights (post, input) of the projections ``names``, which moved."""
    moved = [name for name in names if name in allowed]
    together = {name for group in joined for name in group.names}
    found = {name: allowed[name].enforced(matrix(name)) for name in moved if name not in together}
    for group in joined:
        if not set(group.names).isdisjoint(moved):
            found |= group.enforced({name: matrix(name) for name in group.names}, allowed, moved)
    return found


def joined_of(net: Network) -> list[Joined]:
    """Projections that keep rows together, in order of declaration.

    Raises
    ------
    DeclarationError
        If one that is named does not exist, or does not fit the others.
    """
    found: dict[RowNorm, Joined] = {}
    for p in net.projections.values():
        norm = norm_of(p)
        if norm is not None and norm not in found:
            for name in norm.over:
                shares = f"projection that shares the RowNorm of {p.name}"
                other = look_up(shares, name, net.projections, exact=True)
                require_carried(other, p, norm)
            found[norm] = join(net, norm, [net.projections[name] for name in norm.over])
    return list(found.values())


def norm_of(p: Projection) -> RowNorm | None:
    """The norm that a projection keeps together with others."""
    return next((part for part in p.constraints if isinstance(part, RowNorm) and part.over), None)


def require_carried(other: Projection, projection: Projection, norm: RowNorm) -> None:
    """Raise `DeclarationError` unless another projection carries the norm that this one shares with it."""
    if norm_of(other) != norm:
        raise DeclarationError(
            f"projection {other.name}: {projection.name} keeps a RowNorm together with it, which it does not "
            f"carry; give the same RowNorm object to {called(norm)}"
        )


def join(net: Network, norm: RowNorm, projections: list[Projection]) -> Joined:
    """These projections as rows side by side; refused where rows of one mean other units than of another."""
    allowed = allowed_in(net, projections)
    rows = {name: len(one.low) for name, one in allowed.items()}
    first, *others = rows
    for name in others:
        if rows[name] != rows[first]:
            raise DeclarationError(
                f"projection {name}: its RowNorm is over {called(norm)}, but it has {rows[name]} rows of "
                f"weights and {first} has {rows[first]}, one per unit or, of a convolution, one per channel; "
                "use connectors of one kind"
            )
    low, high = (
        _side_by_side({n: getattr(one, bound) for n, one in allowed.items()}, norm.over)
        for bound in ("low", "high")
    )
    return Joined(norm, totals(called(norm), norm, low, high))


def allowed_in(net: Network, projections: list[Projection]) -> dict[str, Allowed]:
    """Their allowed weights by name, each for itself."""
    found = {p.name: allowed_of(net, p) for p in projections}
    return {name: one for name, one in found.items() if one is not None}


def _side_by_side(w: Matrices, names: Sequence[str]) -> Array:
    xp = array_namespace(w[names[0]])
    return xp.concat([w[name] for name in names], axis=1)


def called(norm: RowNorm) -> str:
    """What messages call the projections that share a norm."""
    return " and ".join(norm.over)
