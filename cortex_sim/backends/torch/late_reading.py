"""Numbers of an update, read when this is cheap: at once on the CPU, one update late from an accelerator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cortex_sim.backends.torch import distributed

Receiver = Callable[[list[float]], None]


@dataclass(frozen=True)
class _Sent:
    """Numbers on their way to the CPU, and who receives them."""

    values: Tensor
    arrived: Any
    receive: Receiver


class LateReading:
    """Passes numbers on to receivers, in order.

    Reading from an accelerator means waiting until it has finished all its work. So numbers are sent to the
    CPU in parallel, and read once the next ones have been sent: meanwhile the accelerator works on the next
    update.

    Parameters
    ----------
    device : torch.device
        Device of the numbers.
    late : bool, optional
        Whether they are read one update late; by default on any device but the CPU.
    """

    def __init__(self, device: torch.device, late: bool | None = None) -> None:
        self._late = device.type != "cpu" if late is None else late
        self._sent: list[_Sent] = []

    def send(self, values: Tensor, receive: Receiver) -> None:
        """Send numbers, averaged over ranks, and pass on those sent earlier (unless late, these too)."""
        if not self._late:
            receive(distributed.means(values))
            return
        self._sent.append(_sent(distributed.averaged(values), receive))
        self.pass_on(keep=1)

    def pass_on(self, keep: int = 0) -> None:
        """Pass on all numbers but those of the last ``keep`` times."""
        while len(self._sent) > keep:
            first = self._sent.pop(0)
            if first.arrived is not None:
                first.arrived.synchronize()
            first.receive(first.values.tolist())


def _sent(values: Tensor, receive: Receiver) -> _Sent:
    if values.device.type != "cuda":
        return _Sent(values, None, receive)
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    host.copy_(values, non_blocking=True)
    arrived: Any = torch.cuda.Event()
    arrived.record()
    return _Sent(host, arrived, receive)
