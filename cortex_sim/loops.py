"""Loops of a network: populations that act on one another through projections that carry rates."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cortex_sim.errors import BuildError

if TYPE_CHECKING:
    from cortex_sim.network import Network
    from cortex_sim.projection import Projection

#: Units of a loop above which its Jacobian is not computed: the cost grows with the cube.
LARGEST = 3000


@dataclass(frozen=True)
class Loop:
    """Populations that can all be reached from one another, and the projections among them.

    Parameters
    ----------
    populations : tuple of str
        In order of declaration.
    projections : tuple of Projection
        Bottom-up, recurrent, lateral and gain projections.
    """

    populations: tuple[str, ...]
    projections: tuple[Projection, ...]

    @property
    def called(self) -> str:
        """The projections that close it, for messages: "projection E->E recurrent"."""
        closing = [p.name for p in self.projections if p.kind != "bottom_up"]
        return f"projection{'s' if len(closing) > 1 else ''} {', '.join(closing)}"

    def units(self, net: Network) -> int:
        """Number of units."""
        return sum(net.populations[name].size for name in self.populations)

    def weighted(self, net: Network) -> list[str]:
        """Names of its projections that have weights."""
        return [p.name for p in self.projections if net.operator(p).weighted]

    def by_unit(self, net: Network, value: Callable[[str], float]) -> np.ndarray:
        """One number per population, repeated for each of its units, (unit of the loop,)."""
        return np.concatenate([np.full(net.populations[n].size, value(n)) for n in self.populations])

    def matrix(
        self,
        net: Network,
        weights: Mapping[str, np.ndarray],
        scales: Mapping[str, float] | None = None,
        *,
        gain: bool = False,
    ) -> np.ndarray:
        """Effect of each unit's rate on each unit's drive (or gain), (post, pre); negative if lateral.

        ``weights`` are matrices as operators take them; ``scales`` are factors on the signals of
        projections, 1 for those not named.
        """
        places, end = {}, 0
        for name in self.populations:
            places[name] = slice(end, end + net.populations[name].size)
            end += net.populations[name].size
        found = np.zeros((end, end))
        for p in self.projections:
            if p.is_gain == gain:
                sent = np.eye(net.populations[p.pre].size)
                carried = np.asarray(net.operator(p).up(sent, weights.get(p.name, np.empty((0, 0)))))
                sign = (-1.0 if p.is_lateral else 1.0) * (scales or {}).get(p.name, 1.0)
                found[places[p.post], places[p.pre]] += sign * carried.T
        return found

    def jacobian(
        self,
        net: Network,
        weights: Mapping[str, np.ndarray],
        scales: Mapping[str, float],
        by_drive: np.ndarray,
        by_gain: np.ndarray,
    ) -> np.ndarray:
        """Jacobian of τ⁻¹(−a + M r), in 1/ms; with gain projections, also of τ⁻¹(−g + G r), by a and g.

        ``by_drive`` and ``by_gain`` are ∂r/∂a and ∂r/∂g of r = max(0, 1 + g) f(a), (unit of the loop,).
        """
        tau = self.by_unit(net, lambda name: net.populations[name].tau_ms)[:, None]
        drive, own = self.matrix(net, weights, scales), np.eye(len(tau))
        if not any(p.is_gain for p in self.projections):
            found: np.ndarray = (drive * by_drive - own) / tau
            return found
        gain = self.matrix(net, weights, scales, gain=True)
        upper = np.concatenate([drive * by_drive - own, drive * by_gain], axis=1)
        lower = np.concatenate([gain * by_drive, gain * by_gain - own], axis=1)
        return np.concatenate([upper / tau, lower / tau])


def loops_of(net: Network, among: Collection[str] | None = None, gains: bool = False) -> list[Loop]:
    """Loops of a network, or of only its populations ``among``, in order of declaration.

    With ``gains``, projections that multiply rates count too.
    """
    names = [name for name in net.populations if among is None or name in among]
    within = [p for p in net.of_rates if p.pre in names and p.post in names and (gains or not p.is_gain)]
    if not any(p.kind != "bottom_up" for p in within):
        return []
    ahead = {name: reached(name, within) for name in names}
    found: list[Loop] = []
    seen: set[str] = set()
    for name in names:
        if name in seen or name not in ahead[name]:
            continue
        members = tuple(n for n in names if n in ahead[name] and name in ahead[n])
        seen.update(members)
        found.append(Loop(members, tuple(p for p in within if p.pre in members and p.post in members)))
    return found


def check_linear(net: Network) -> None:
    """Refuse nonlinear operators in loops: whether a loop settles is judged by its Jacobian.

    Raises
    ------
    BuildError
        Naming a projection of a loop whose operator is not linear.
    """
    for p in (p for loop in loops_of(net, gains=True) for p in loop.projections):
        if not net.operator(p).linear:
            raise BuildError(
                f"projection {p.name}: {type(p.connector).__name__} is part of a loop and not linear, so "
                "its Jacobian does not tell whether activity settles; leave it out of the loop, use "
                "AveragePool2d(), or train the loop unrolled in steps"
            )


def reached(start: str, projections: list[Projection]) -> set[str]:
    """Populations that a path of at least one projection leads to."""
    found: set[str] = set()
    ahead = [start]
    while ahead:
        here = ahead.pop()
        new = [p.post for p in projections if p.pre == here and p.post not in found]
        found.update(new)
        ahead.extend(new)
    return found
