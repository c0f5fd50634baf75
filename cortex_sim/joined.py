"""Several projections whose rows share one total: `RowNorm` with ``over``.

All weights onto a unit, side by side, form one row that `cortex_sim.allowed` treats as usual. Weights of
projections that take no step stay as they are, and the others compensate for them.
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
    """Projections onto one population whose rows, side by side, share one total.

    Parameters
    ----------
    norm : RowNorm
        ``norm.over`` names the projections.
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
        """What messages call these projections."""
        return called(self.norm)

    def enforced(self, w: Matrices, allowed: Mapping[str, Allowed], moved: Collection[str]) -> Matrices:
        """New weights (post, input) of the projections that ``moved``, so that all rows have their totals."""
        found = self._rows(w, allowed, moved).enforced(_side_by_side(w, self.names))
        ends = np.cumsum([w[name].shape[1] for name in self.names])
        columns = zip(self.names, ends, strict=True)
        return {name: found[:, end - w[name].shape[1] : end] for name, end in columns if name in moved}

    def require(self, w: Matrices, allowed: Mapping[str, Allowed], error: type[CortexSimError]) -> None:
        """Raise if given weights do not add up to their shared total."""
        self._rows(w, allowed, self.names).require(_side_by_side(w, self.names), error)

    def _rows(self, w: Matrices, allowed: Mapping[str, Allowed], moved: Collection[str]) -> Allowed:
        """Allowed weights of the rows side by side; weights that do not move are bounded by their value."""
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
    """Weights (post, input) of the projections ``names``, which moved, after constraints are enforced."""
    moved = [name for name in names if name in allowed]
    together = {name for group in joined for name in group.names}
    found = {name: allowed[name].enforced(matrix(name)) for name in moved if name not in together}
    for group in joined:
        if not set(group.names).isdisjoint(moved):
            found |= group.enforced({name: matrix(name) for name in group.names}, allowed, moved)
    return found


def joined_of(net: Network) -> list[Joined]:
    """Groups of projections that share a total, in order of declaration.

    Raises
    ------
    DeclarationError
        If a projection that is named does not exist, or does not fit the others.
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
    """The norm that a projection shares with others, if any."""
    return next((part for part in p.constraints if isinstance(part, RowNorm) and part.over), None)


def require_carried(other: Projection, projection: Projection, norm: RowNorm) -> None:
    """Raise `DeclarationError` unless another projection carries the norm that this one shares with it."""
    if norm_of(other) != norm:
        raise DeclarationError(
            f"projection {other.name}: {projection.name} shares a RowNorm with it that it does not carry; "
            f"give the same RowNorm object to {called(norm)}"
        )


def join(net: Network, norm: RowNorm, projections: list[Projection]) -> Joined:
    """Put the rows of these projections side by side; refused if their rows stand for different units."""
    allowed = allowed_in(net, projections)
    rows = {name: len(one.low) for name, one in allowed.items()}
    first, *others = rows
    for name in others:
        if rows[name] != rows[first]:
            raise DeclarationError(
                f"projection {name}: its RowNorm is over {called(norm)}, but it has {rows[name]} rows of "
                f"weights and {first} has {rows[first]} (one per unit or, for a convolution, per channel); "
                "use connectors of the same kind"
            )
    low, high = (
        _side_by_side({n: getattr(one, bound) for n, one in allowed.items()}, norm.over)
        for bound in ("low", "high")
    )
    return Joined(norm, totals(called(norm), norm, low, high))


def allowed_in(net: Network, projections: list[Projection]) -> dict[str, Allowed]:
    """Allowed weights of each projection by itself, by name."""
    found = {p.name: allowed_of(net, p) for p in projections}
    return {name: one for name, one in found.items() if one is not None}


def _side_by_side(w: Matrices, names: Sequence[str]) -> Array:
    xp = array_namespace(w[names[0]])
    return xp.concat([w[name] for name in names], axis=1)


def called(norm: RowNorm) -> str:
    """What messages call the projections that share a norm."""
    return " and ".join(norm.over)
