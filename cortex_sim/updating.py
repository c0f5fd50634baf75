"""How an update is computed from batches: accumulation, clipping, averaging of weights, compilation."""

from __future__ import annotations

from dataclasses import dataclass

from cortex_sim.checks import require_count
from cortex_sim.errors import RunError


@dataclass(frozen=True)
class Updating:
    """Settings of an update besides optimiser and schedule.

    Parameters
    ----------
    accumulate : int, default 1
        Number of batches whose mean change makes one update: equivalent to one batch of that many times the
        size, with the memory of one. Rules with state, and noise, still process the batches one by one.
    clip_norm : float, optional
        Largest norm of the change (of all parameters together, including regularisers); a larger change is
        scaled down to this norm before it reaches the optimiser.
    ema_decay : float, optional
        Decay d of the exponential moving average of everything that learns, w̄ ← d w̄ + (1 − d) w after each
        update; at update t, d is (1 + t)/(10 + t) while that is smaller, so that initial weights are
        forgotten.
    compile : bool, default False
        Whether `torch.compile` compiles the network's passes, separately for each batch size, so that a
        resumed run executes the same code.
    channels_last : bool, default False
        Whether images are laid out with channels last in memory, which makes some convolutions faster.
    """

    accumulate: int = 1
    clip_norm: float | None = None
    ema_decay: float | None = None
    compile: bool = False
    channels_last: bool = False

    def __post_init__(self) -> None:
        require_count("training", accumulate=self.accumulate)
        if self.clip_norm is not None and not (_is_number(self.clip_norm) and self.clip_norm > 0):
            raise RunError(f"setting clip_norm must be a number above 0, or null. Got {self.clip_norm!r}")
        if self.ema_decay is not None and not (_is_number(self.ema_decay) and 0 < self.ema_decay < 1):
            raise RunError(
                f"setting ema_decay must be between 0 and 1, such as 0.999, or null. Got {self.ema_decay!r}"
            )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")
