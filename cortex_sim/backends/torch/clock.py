"""What noise depends on: the counts of updates and of training batches, saved with the weights."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn


class Clock(nn.Module):
    """Counts of updates and of draws, part of ``state_dict``, so that a resumed run continues its noise.

    Every training batch has its own draw, so that no noise is repeated, neither with gradient accumulation
    nor without ``attach``. An update without a training batch before it (from `Model.updates`) counts
    as a draw. Functions without side effects, such as `Model.updates`, use the present draw and do not
    advance it.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed, self.updates, self.draws, self._shown = seed, 0, 0, False

    def shown(self) -> None:
        """Count a training batch."""
        self.draws += 1
        self._shown = True

    def updated(self) -> None:
        """Count an update."""
        self.updates += 1
        self.draws += not self._shown
        self._shown = False

    def generator(self, name: str, device: torch.device) -> torch.Generator:
        """Noise of one projection at this draw: a pure function of seed, draw and name, equal on all ranks.

        Noise for single presentations is divided among ranks by `distributed.own`.
        """
        entropy = [self.seed, self.draws, 0, crc32(name.encode())]  # 0: one stream for all ranks
        state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
        return torch.Generator(device).manual_seed(int(state) >> 1)

    def get_extra_state(self) -> Tensor:
        """Counts as a tensor on the CPU, which any tensor file can hold."""
        return torch.tensor([self.updates, self.draws, int(self._shown)])

    def set_extra_state(self, state: Tensor) -> None:
        """Continue from counts that `get_extra_state` returned."""
        self.updates, self.draws, shown = (int(value) for value in state)
        self._shown = bool(shown)
