"""Several ranks under ``torchrun``: by torch's own DistributedDataParallel."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import distributed as dist
from torch import nn

from cortex_sim.errors import CortexSimError, RunError


def start(device: str) -> tuple[int, int]:
    """Join the group that ``torchrun`` describes, if it started this process; (rank, ranks)."""
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ and not dist.is_initialized():
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
        if device.startswith("cuda"):
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    return place()


def place() -> tuple[int, int]:
    """Rank of this process and number of ranks; (0, 1) without a group."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def wrap(model: nn.Module) -> Any:
    """The model itself, or wrapped so that gradients are averaged over ranks.

    Buffers (feedback, rule state) start as those of rank 0, as weights do, and are not broadcast again:
    inverses follow from equal weights, rule state from the rates of all ranks.
    """
    if place()[1] == 1:
        return model
    for buffer in model.buffers():
        if buffer.numel():
            dist.broadcast(buffer, 0)
    parallel: Any = nn.parallel.DistributedDataParallel
    known = inspect.signature(parallel).parameters
    # torch 2.13 renamed the option and warns about the old name.
    option = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    return parallel(model, **{option: False})


def gathered(values: torch.Tensor, dim: int = 0) -> torch.Tensor:
    """``values`` of all ranks, concatenated along an axis, that of presentations; equally many on each."""
    values = values.contiguous()
    parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    try:
        dist.all_gather(parts, values)
    except RuntimeError as exception:  # of the backend, where a connection has closed
        raise RunError(
            "another process of this run has failed or ended, so this one ends too; its own message says why"
        ) from exception
    return torch.cat(parts, dim=dim)


def means(values: torch.Tensor) -> list[float]:
    """Means over ranks, which have equally many presentations; one transfer from the device.

    If a value is not finite on one rank, it is not finite on any, so that no rank waits for another.
    """
    found: list[float] = averaged(values).tolist()
    return found


def averaged(values: torch.Tensor) -> torch.Tensor:
    """The same, still on the device."""
    ranks, total = place()[1], values.detach()
    if ranks > 1:
        total = total.double()
        dist.all_reduce(total)
        total = total / ranks
    return total


def on_first(work: Callable[[], None]) -> None:
    """Do ``work`` on rank 0 alone; what it raises is raised on every rank, so that none waits for it."""

    def done() -> None:
        work()

    from_first(done)


def from_first(work: Callable[[], Any]) -> Any:
    """What ``work`` returns on rank 0, where alone it is done, on every rank; the same for what it raises."""
    rank, ranks = place()
    found: list[Any] = [None, None]
    if rank == 0:
        try:
            found = [work(), None]
        except CortexSimError as exception:
            found = [None, exception]
    if ranks > 1:
        dist.broadcast_object_list(found, 0)
    if found[1] is not None:
        raise found[1]
    return found[0]


def merged(found: dict[str, str]) -> dict[str, str]:
    """The entries of all ranks."""
    ranks = place()[1]
    if ranks == 1:
        return found
    parts: list[Any] = [None] * ranks
    dist.all_gather_object(parts, found)
    return {name: value for part in parts for name, value in part.items()}


def finish() -> None:
    """Leave the group."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
