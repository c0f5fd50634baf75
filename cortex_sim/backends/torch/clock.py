"""What noise depends on: updates made and training batches shown, kept with the weights."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn

from cortex_sim.backends.torch import distributed


class Clock(nn.Module):
    """Counts of updates and of draws; its state is part of ``state_dict``, so resumed noise goes on.

    Every training batch has a draw of its own, so no noise comes twice: not with gradient accumulation,
    and not without ``attach``. An update without a training batch before it (from `Model.updates`) counts
    as one. What only looks, such as `Model.updates`, uses the present draw and takes none.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed, self.updates, self.draws, self._shown = seed, 0, 0, False

    def shown(self) -> None:
        """A training batch has been shown."""
        self.draws += 1
        self._shown = True

    def updated(self) -> None:
        """An update has been made."""
        self.updates += 1
        self.draws += not self._shown
        self._shown = False

    def generator(self, name: str, device: torch.device) -> torch.Generator:
        """Noise of one projection at this draw: a pure function of seed, draw, rank and name."""
        entropy = [self.seed, self.draws, distributed.place()[0], crc32(name.encode())]
        state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
        return torch.Generator(device).manual_seed(int(state) >> 1)

    def get_extra_state(self) -> Tensor:
        """Counts as a tensor on the CPU, which any file of tensors takes."""
        return torch.tensor([self.updates, self.draws, int(self._shown)])

    def set_extra_state(self, state: Tensor) -> None:
        """Go on from counts that `get_extra_state` gave."""
        self.updates, self.draws, shown = (int(value) for value in state)
        self._shown = bool(shown)
