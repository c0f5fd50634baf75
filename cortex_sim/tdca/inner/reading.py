"""Presynaptic rates as plastic synapses read them in parallel inner runs; each run has its own slow state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cortex_sim.credit.layered import SHARES
from cortex_sim.presynaptic.drawing import noise_of
from cortex_sim.presynaptic.held import inputs_of, updates_between
from cortex_sim.tdca.inner.architecture import Architecture

ONE = 40.0  # a logit whose share is 1 in double precision


def shares_to_train(body: Architecture) -> dict[str, np.ndarray]:
    """Logits of the shares s and c that an outer loop trains, by name, at their declared values.

    One pair serves all layers. A share that is declared as 0 or 1 stays as it is.
    """
    return {name: p for name, p in declared_shares(body).items() if abs(p) < ONE}


def declared_shares(body: Architecture) -> dict[str, np.ndarray]:
    """Logits of declared shares, by name (∓`ONE` for 0 and 1); none if synapses read plain rates."""
    declared = [layer.projection.reads for layer in body.layers if layer.projection.reads is not None]
    found = {}
    for name in SHARES:
        values = [share for reads in declared if (share := getattr(reads, name, None)) is not None]
        if values:
            inside = [share for share in values if 0 < share < 1] or values
            found[name] = np.array(_logit(inside[0]))
    return found


def _logit(share: float) -> float:
    return log(share / (1 - share)) if 0 < share < 1 else ONE if share else -ONE


class InnerReadings:
    """Readings of an architecture's layers, applied to arrays (run, place, input).

    No gradient passes through their state: the meta-gradient treats P, mean and powers as constants.

    Parameters
    ----------
    body : Architecture
    count : int
        Inner runs.
    dtype : torch.dtype

    Attributes
    ----------
    state : dict of int to dict
        State by layer and variable, each (run, …), of the layers whose synapses do not read plain rates.
    """

    def __init__(self, body: Architecture, count: int, dtype: torch.dtype) -> None:
        self.projections = {
            i: layer.projection for i, layer in enumerate(body.layers) if layer.projection.reads is not None
        }
        self._first = {
            i: {
                variable: torch.as_tensor(values).to(dtype)
                for variable, values in p.reads.initial(inputs_of(body.net, p)).items()
            }
            for i, p in self.projections.items()
        }
        self.state = {
            i: {v: x.expand(count, *x.shape).clone() for v, x in first.items()}
            for i, first in self._first.items()
        }

    def begin(self, runs: slice) -> None:
        """Reset the state of these runs to its initial values."""
        for i, first in self._first.items():
            for variable, values in first.items():
                self.state[i][variable][runs] = values

    def _shares(self, i: int, parameters: Mapping[str, Tensor]) -> dict[str, Any]:
        """Trained s and c of a layer, if any; None for one that stays as declared."""
        reads = self.projections[i].reads
        trained = [
            parameters[name].sigmoid() if name in parameters and 0 < getattr(reads, name, 0) < 1 else None
            for name in SHARES
        ]
        return {} if trained == [None, None] else {"shares": tuple(trained)}

    def read(self, rates: Sequence[Tensor], parameters: Mapping[str, Tensor]) -> list[Tensor]:
        """Rates as the synapses of every layer read them, from their inputs (run, place, input)."""
        found = list(rates)
        for i, p in self.projections.items():
            found[i] = p.reads.read(self.state[i], rates[i], **self._shares(i, parameters))
        return found

    @torch.no_grad()
    def renew(self, rates: Sequence[Tensor], number: int, parameters: Mapping[str, Tensor]) -> None:
        """Update the state after inner step ``number``, if an update is due; all runs share its noise."""
        for i, p in self.projections.items():
            every = updates_between(p.reads)
            if number % every:
                continue
            r = rates[i].detach()
            noise = torch.from_numpy(noise_of(p.name, number, *r.shape[1:])).to(r)
            self.state[i] = p.reads.renewed(
                self.state[i], r, noise, float(every), **self._shares(i, parameters)
            )

    def named(self) -> dict[str, Tensor]:
        """All state, one name for each tensor."""
        return {f"reading/{i}/{v}": x for i, kept in self.state.items() for v, x in kept.items()}

    def restore(self, kept: dict[str, Tensor]) -> None:
        """Continue from the state that `named` returned."""
        self.state = {
            i: {v: kept[f"reading/{i}/{v}"].clone() for v in values} for i, values in self.state.items()
        }
