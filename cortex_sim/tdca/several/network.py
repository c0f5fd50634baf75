"""The network that all kinds of inner run share, and its cue for the kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cortex_sim.checks import require_count, require_flag
from cortex_sim.tdca.functions.first_order import INPUTS
from cortex_sim.tdca.functions.network import SmallNetwork
from cortex_sim.tdca.inner.layout import Layout

#: Kinds of inner run, in the order of the cue's columns.
KINDS = ("supervised", "reinforcement", "functions")


@dataclass(frozen=True)
class SharedNetwork:
    """o = V tanh(W i + b + q_k) + c: the small network of functions with a cue q_k for each kind k.

    i are the inputs of `cortex_sim.tdca.functions.first_order`, which have the same meaning in every kind
    (`cortex_sim.tdca.several.credit`). A one-hot cue times weights adds a column of weights to b: for a fixed
    kind the network is a `SmallNetwork`, and inner runs of that kind do not depend on the other kinds.

    Parameters
    ----------
    hidden : int, default 12
        Hidden units.
    cue : bool, default True
        Whether it receives the cue; otherwise q = 0, and only its other inputs distinguish kinds.
    """

    hidden: int = 12
    cue: bool = True

    def __post_init__(self) -> None:
        require_count(self, hidden=self.hidden)
        require_flag(self, cue=self.cue)

    @property
    def small(self) -> SmallNetwork:
        """The network for a fixed kind."""
        return SmallNetwork(len(INPUTS), self.hidden)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of W, b, V and c, and of all q (hidden, kind), by name."""
        return self.small.shapes() | ({"cue": (self.hidden, len(KINDS))} if self.cue else {})

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """Parameters before training: those of the small network, and q = 0."""
        return {name: np.zeros(shape) for name, shape in self.shapes().items()} | self.small.draw(seed)

    @property
    def layout(self) -> Layout:
        """Positions of the parameters in the network's φ."""
        return Layout(self.shapes())

    def read(self, kind: str) -> Tensor:
        """Positions in the network's φ of the parameters that inner runs of this kind depend on, (used,).

        All but the cues of other kinds: a search by random perturbations must not perturb those.
        """
        where = self.layout.split(torch.arange(self.layout.count))
        found = [where[name].flatten() for name in self.small.shapes()]
        return torch.cat([*found, where["cue"][:, KINDS.index(kind)]] if self.cue else found)

    def at(self, named: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
        """Parameters of the small network in inner runs of this kind."""
        found = {name: named[name] for name in self.small.shapes()}
        if self.cue:
            found["hidden_bias"] = found["hidden_bias"] + named["cue"][..., KINDS.index(kind)]
        return found
