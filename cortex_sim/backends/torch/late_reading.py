"""Numbers of an update, read when it is cheap: at once on the CPU, one update late from an accelerator."""

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

    To read from an accelerator means to wait until it has done all that was asked of it. So numbers are sent
    to the CPU beside other work, and read when the next ones have been sent: the accelerator has the next
    update to work on meanwhile.

    Parameters
    ----------
    device : torch.device
        Where the numbers are.
    late : bool, optional
        Whether they are read one update late; by default wherever the device is not the CPU.
    """

    def __init__(self, device: torch.device, late: bool | None = None) -> None:
        self._late = device.type != "cpu" if late is None else late
        self._sent: list[_Sent] = []

    def send(self, values: Tensor, receive: Receiver) -> None:
        """Send numbers, means over ranks, and pass on those sent before (not late: these too)."""
        if not self._late:
            receive(distributed.means(values))
            return
        self._sent.append(_sent(distributed.averaged(values), receive))
        self.pass_on(keep=1)

    def pass_on(self, keep: int = 0) -> None:
        """Pass on all numbers but those sent last."""
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
