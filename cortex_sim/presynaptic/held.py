"""What plastic projections read in protocols, with its slow state in float64, for both backends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.presynaptic.drawing import noise_of
from cortex_sim.projection import Projection

if TYPE_CHECKING:
    from cortex_sim.network import Network

Arrays = dict[str, np.ndarray]


def first_readings(net: Network) -> dict[str, Arrays]:
    """Initial state of every projection with ``reads``, by name."""
    found = {}
    for p in net.bottom_ups:
        if p.reads is not None:
            first, groups = p.reads.initial(inputs_of(net, p)), net.operator(p).groups
            if groups > 1:  # each reads its own inputs
                first = {n: np.repeat(np.asarray(x)[None], groups, axis=0) for n, x in first.items()}
            found[p.name] = {**first, "count": np.array(0.0)}
    return found


def updates_between(how: Any) -> int:
    """After how many updates of weights a reading's state is updated; 1 for a user-defined reading."""
    return int(getattr(how, "every", 1))


def inputs_of(net: Network, p: Projection) -> int:
    """Number of inputs of one post unit; in a convolution those of a patch, in the channels of its group."""
    shape = net.weight_shape(p)
    return int(np.prod(shape[1:]))


def reads_as(net: Network, p: Projection) -> Projection | None:
    """The projection whose reading a plastic projection has; None where synapses read rates.

    A top-down rule that makes the same change as its paired projection (`KolenPollack`) reads as that one
    does, otherwise the two would not become transposes. A rule of weights from credit channels
    (`PlasticDiffusion`) reads as the first bottom-up projection from its post population with ``reads`` of
    units rather than patches.
    """
    if p.reads is not None:
        return p
    if not (p.is_top_down and p.rule.reads_credit):
        return None
    if p.rule.from_channels:
        return next((q for q in net.bottom_ups if q.pre == p.post and _reads_units(net, q)), None)
    paired = net.projections.get(p.reverse_name)
    return None if paired is None or paired.reads is None else paired


def _reads_units(net: Network, p: Projection) -> bool:
    """Whether plastic synapses have ``reads`` that cover every unit below, rather than patches of them."""
    if p.plasticity is None or p.reads is None:
        return False
    return net.operator(p).places == 1 and inputs_of(net, p) == net.populations[p.pre].size


@dataclass
class Reading:
    """One projection's reading and its state at one moment.

    Parameters
    ----------
    name : str
        The projection.
    how : Decorrelated
    state : dict of str to array
        Its arrays are replaced, never changed in place.
    """

    name: str
    how: Any
    state: Arrays

    def copy(self) -> Reading:
        """A copy whose state changes independently."""
        return Reading(self.name, self.how, dict(self.state))

    def read(self, r: np.ndarray) -> np.ndarray:
        """What synapses read of rates ([group,] presentation, input)."""
        return np.asarray(self.how.read(self.state, r))

    def renew(self, r: np.ndarray, ms: float) -> None:
        """Advance the state by ``ms`` milliseconds at rates ([group,] presentation, input).

        More than one update is done in several steps: a single one would be too long for P.
        """
        updates = ms / self.how.update_ms
        steps = max(1, ceil(updates))
        for _ in range(steps):
            count = self.state["count"]
            noise = noise_of(self.name, int(count), *r.shape)
            new = self.how.renewed(self.state, r, noise, updates / steps)
            self.state = {**{n: np.asarray(x) for n, x in new.items()}, "count": count + 1}


class Readings:
    """Readings of a network's projections, by name.

    Parameters
    ----------
    net : Network
    start : mapping of str to mapping, optional
        Initial state by projection and variable; by default that of `first_readings`.
    """

    def __init__(self, net: Network, start: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.net = net
        kept = first_readings(net) | dict(start or {})
        self.of = {
            name: Reading(name, net.projections[name].reads, _float64(kept[name]))
            for name in first_readings(net)
        }

    def by(self, p: Projection) -> Reading | None:
        """The reading of a plastic projection; None if its synapses read rates."""
        owner = reads_as(self.net, p)
        return None if owner is None else self.of[owner.name]

    def as_arrays(self) -> dict[str, Arrays]:
        """Copies of all state, by projection and variable."""
        return {name: {v: np.array(x) for v, x in one.state.items()} for name, one in self.of.items()}

    def flat(self) -> Arrays:
        """The same as a flat mapping, for checkpoints."""
        return {f"reading:{n}:{v}": x for n, state in self.as_arrays().items() for v, x in state.items()}

    def restore(self, kept: Mapping[str, np.ndarray]) -> None:
        """Restore the state that `flat` returned."""
        for name, one in self.of.items():
            one.state = {v: np.array(kept[f"reading:{name}:{v}"], dtype=np.float64) for v in one.state}


def _float64(state: Mapping[str, Any]) -> Arrays:
    return {variable: np.array(values, dtype=np.float64) for variable, values in state.items()}
