"""Memory that training takes: a forecast before it starts, and a one-line message if it runs out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.modes import differentiating, only_looking
from cortex_sim.backends.torch.muon import Muon
from cortex_sim.backends.torch.showing import shown
from cortex_sim.errors import RunError
from cortex_sim.runs.room import available_memory, spelled

_AT_ONCE = 2**30  # bytes that the rates and drives of one evaluated batch may take


@dataclass(frozen=True)
class Forecast:
    """Bytes that training takes in addition to its data and the model, which are in memory already.

    Parameters
    ----------
    gradients, optimiser : int
        Gradients of all parameters that learn, and what the optimiser keeps of them.
    activations : int
        What one batch keeps for its backward pass, with the credit of the two largest populations.
    presentations : int
        Presentations in a batch.
    """

    gradients: int
    optimiser: int
    activations: int
    presentations: int

    @property
    def total(self) -> int:
        """Bytes altogether."""
        return self.gradients + self.optimiser + self.activations

    def __str__(self) -> str:
        return (
            f"about {spelled(self.total)} of memory in addition to data and weights: gradients "
            f"{spelled(self.gradients)}, optimiser {spelled(self.optimiser)}, a batch of "
            f"{self.presentations} presentations {spelled(self.activations)}"
        )


class OutOfMemory(RunError):
    """Memory ran out, or would run out."""


def forecast(model: Core, source: Any, batch: int, optimiser: torch.optim.Optimizer) -> Forecast:
    """Forecast from the first two presentations of a source; the model is left as it was.

    What a batch keeps is measured with one and with two presentations, and extrapolated linearly.
    """
    count = min(2, len(source))
    kept = [_kept(model, source, n) for n in range(1, count + 1)]
    each = kept[1] - kept[0] if count > 1 else kept[0]
    learns = [p for group in optimiser.param_groups for p in group["params"]]
    return Forecast(
        sum(_bytes(p) for p in learns), optimiser_bytes(optimiser), kept[0] + each * (batch - 1), batch
    )


def require_room(planned: Forecast, device: torch.device, network: str) -> None:
    """Raise `OutOfMemory` where a forecast exceeds what is available now."""
    found = available_memory() if device.type == "cpu" else None
    if device.type == "cuda":
        found = torch.cuda.mem_get_info(device)[0]
    if found is not None and planned.total > found:
        raise OutOfMemory(
            f"training of {network}: takes {planned}, but {spelled(found)} are available; "
            f"{_smaller(planned.presentations)}"
        )


@contextmanager
def saying_what_is_smaller(network: str, batch: int, step: int) -> Iterator[None]:
    """Turn a lack of memory into a one-line message that says what would take less."""
    try:
        yield
    except (RuntimeError, MemoryError) as exception:
        if not _lacks_memory(exception):
            raise
        raise OutOfMemory(
            f"training of {network}: memory ran out at update {step + 1}, with batches of {batch} "
            f"presentations; {_smaller(batch)}"
        ) from None


def evaluated_at_once(model: Core, most: int) -> int:
    """Presentations evaluated at a time: at most ``most``, fewer in a large network."""
    units = sum(population.size for population in model.net.populations.values())
    steps = 1 if model.unrolled is None else model.unrolled.steps
    return max(1, min(most, _AT_ONCE // (2 * units * steps * torch.empty(0, dtype=model.compute).itemsize)))


def optimiser_bytes(optimiser: torch.optim.Optimizer) -> int:
    """Bytes of an optimiser's state after its first step, estimated by a step on a small matrix."""
    if isinstance(optimiser, Muon):
        return sum(optimiser_bytes(part) for part in optimiser.parts)
    total = 0
    for group in optimiser.param_groups:
        ratio = _state_ratio(type(optimiser), group)
        total += int(ratio * sum(_bytes(p) for p in group["params"]))
    return total


def _state_ratio(cls: Any, group: dict[str, Any]) -> float:
    """Size of the state divided by that of the parameters."""
    small = torch.zeros(64, 64, requires_grad=True)
    small.grad = torch.zeros_like(small)
    settings = {name: value for name, value in group.items() if name not in ("params", "initial_lr")}
    try:
        made = cls([{"params": [small], **settings}])
        made.step()
    except Exception:  # an optimiser with other arguments: assume as much as Adam keeps
        return 2.0
    kept = sum(_bytes(x) for x in made.state[small].values() if isinstance(x, Tensor) and x.numel() > 1)
    return kept / _bytes(small)


@differentiating
def _kept(model: Core, source: Any, count: int) -> int:
    return _measured(model, source, count)


@only_looking
def _measured(model: Core, source: Any, count: int) -> int:
    """Bytes in use at the end of a forward pass, and those of the two largest populations' credit."""
    x, y = shown(source, np.arange(count), model.epochs_done)
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    alive: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            alive[storage.data_ptr()] = storage.nbytes()
        return tensor

    kept = []  # references, so that no memory is reused

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return note(tensor)

    model.prepare()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        total, _ = model.rule_terms(x, y, learning=False)
    del total
    steps = 1 if model.unrolled is None else model.unrolled.steps
    sizes = sorted((p.size for p in model.net.populations.values()), reverse=True)[:2]
    itemsize = torch.empty(0, dtype=model.compute).itemsize
    again = sum(p.size for p in model.net.populations.values()) if model.settling.recompute else 0
    return sum(alive.values()) + count * steps * itemsize * (sum(sizes) + again)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.itemsize


def _lacks_memory(exception: BaseException) -> bool:
    said = str(exception)
    lacks = isinstance(exception, (MemoryError, torch.OutOfMemoryError))
    return lacks or "can't allocate memory" in said or "out of memory" in said


def _smaller(batch: int) -> str:
    if batch == 1:
        return "give a smaller network, or precision=bf16, which halves the memory of rates"
    return (
        f"batch_size={batch // 2} with accumulate=2 makes the same update in about half the memory of a "
        "batch, and precision=bf16 halves it too"
    )
