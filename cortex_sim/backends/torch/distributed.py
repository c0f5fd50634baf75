"""Training on several ranks (processes) under ``torchrun``, by torch's DistributedDataParallel."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import distributed as dist
from torch import nn

from cortex_sim.backends.torch import meeting
from cortex_sim.errors import CortexSimError, RunError


class Lost(RunError):
    """Another process of the run has failed or ended, so that this one cannot continue."""


@contextmanager
def naming_lost_ranks() -> Iterator[None]:
    """Report in one sentence that another rank has failed or ended, instead of gloo's and NCCL's messages.

    Raises
    ------
    Lost
        In place of torch's exception.
    """
    try:
        yield
    except RuntimeError as exception:
        if not (isinstance(exception, dist.DistError) or "gloo" in str(exception)):
            raise
        raise Lost(
            "another process of this run has failed or ended, so this one ends too; its own message says why"
        ) from exception


def start(device: str) -> tuple[int, int]:
    """Join the group that ``torchrun`` describes, if it started this process; returns (rank, ranks)."""
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ and not dist.is_initialized():
        if device.startswith("cuda"):
            _take_gpu(int(os.environ.get("LOCAL_RANK", "0")))
        rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        with naming_lost_ranks():
            store = meeting.store(rank)
            where = {} if store is None else {"store": store, "rank": rank, "world_size": ranks}
            dist.init_process_group("nccl" if device.startswith("cuda") else "gloo", **where)
    return place()


def anywhere(found: bool, device: str) -> bool:
    """Whether ``found`` is true on any rank."""
    if place()[1] == 1:
        return found
    return bool(summed(torch.tensor([float(found)], device=device)) > 0)


def _take_gpu(local: int) -> None:
    """One GPU for each process of this machine."""
    found = torch.cuda.device_count()
    if local >= found:
        way = f"give --nproc-per-node {found}" if found else "train with --device cpu"
        raise RunError(
            f"device cuda: torchrun started process {local + 1} on this machine, which has fewer GPUs "
            f"({found}); {way}"
        )
    torch.cuda.set_device(local)


def place() -> tuple[int, int]:
    """Rank of this process and number of ranks; (0, 1) without a group."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def wrap(model: nn.Module) -> Any:
    """The model, wrapped so that gradients are averaged over ranks if there are several.

    Buffers (feedback, rule state) start as those of rank 0, as weights do, and are not broadcast again:
    inverses are computed from equal weights, and rule state from the rates of all ranks.
    """
    if place()[1] == 1:
        return model
    with naming_lost_ranks():
        for buffer in model.buffers():
            if buffer.numel():
                dist.broadcast(buffer, 0)
    parallel: Any = nn.parallel.DistributedDataParallel
    known = inspect.signature(parallel).parameters
    # torch 2.13 renamed the option and warns about the old name.
    option = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    return parallel(model, **{option: False})


def gathered(values: torch.Tensor, dim: int = 0) -> torch.Tensor:
    """``values`` of all ranks, concatenated along the axis of presentations; every rank has equally many."""
    values = values.contiguous()
    parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    with naming_lost_ranks():
        dist.all_gather(parts, values)
    return torch.cat(parts, dim=dim)


def own(draw: Callable[[int], torch.Tensor], presentations: int, dim: int = 0) -> torch.Tensor:
    """Noise for the presentations of this rank, from a draw for those of all ranks in one process's order.

    So every presentation has the same noise as in a single process, at the cost of drawing for all ranks.
    """
    rank, ranks = place()
    if ranks == 1:
        return draw(presentations)
    return draw(presentations * ranks).movedim(dim, 0)[rank::ranks].movedim(0, dim)


def means(values: torch.Tensor) -> list[float]:
    """Means over ranks, which have equally many presentations; one transfer from the device.

    A value that is not finite on one rank makes the mean so on all, so that no rank waits for another.
    """
    found: list[float] = averaged(values).tolist()
    return found


def averaged(values: torch.Tensor) -> torch.Tensor:
    """Means over ranks as in `means`, but left on the device."""
    ranks = place()[1]
    return values.detach() if ranks == 1 else summed(values) / ranks


def summed(values: torch.Tensor) -> torch.Tensor:
    """Sums over ranks, on the device; float64 where there are several ranks."""
    total = values.detach()
    if place()[1] > 1:
        total = total.double().clone()
        with naming_lost_ranks():
            dist.all_reduce(total)
    return total


def on_first(work: Callable[[], None]) -> None:
    """Do ``work`` on rank 0 only; an exception is raised on every rank, so that none waits for rank 0."""

    def done() -> None:
        work()

    from_first(done)


def from_first(work: Callable[[], Any]) -> Any:
    """Do ``work`` on rank 0 only, and return its result, or raise its exception, on every rank."""
    rank, ranks = place()
    found: list[Any] = [None, None]
    if rank == 0:
        try:
            found = [work(), None]
        except CortexSimError as exception:
            found = [None, exception]
    if ranks > 1:
        with naming_lost_ranks():
            dist.broadcast_object_list(found, 0)
    if found[1] is not None:
        if rank:
            found[1].said_by_the_first = True
        raise found[1]
    return found[0]


def merged(found: dict[str, str]) -> dict[str, str]:
    """The entries of all ranks in one mapping."""
    ranks = place()[1]
    if ranks == 1:
        return found
    parts: list[Any] = [None] * ranks
    with naming_lost_ranks():
        dist.all_gather_object(parts, found)
    return {name: value for part in parts for name, value in part.items()}


def finish() -> None:
    """Leave the group."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
