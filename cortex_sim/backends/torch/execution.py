"""How a network's passes are executed: compiled, and with channels last in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from cortex_sim.backends.torch.presentations import Presentations
from cortex_sim.errors import RunError
from cortex_sim.network import Network


def compiled(module: Any) -> Any:
    """The module, compiled for each shape separately: code for any shape would depend on the order of shapes.

    Earlier compiled code is discarded: it counts towards torch's limit of versions of a function, beyond
    which steps would run uncompiled, and round differently than in a process of their own.
    """
    torch.compiler.reset()
    return torch.compile(module, dynamic=False)


@contextmanager
def saying_what_failed(compiling: bool, network: str) -> Iterator[None]:
    """Turn an exception of the compiler into one line."""
    try:
        yield
    except Exception as exception:
        home = type(exception).__module__
        if not compiling or not home.startswith(("torch._dynamo", "torch._inductor")):
            raise
        first = str(exception).strip().splitlines()[0]
        raise RunError(
            f"setting compile: torch could not compile network {network} "
            f"({type(exception).__name__}: {first}); install a C++ compiler, or leave compile out"
        ) from None


def require_channels(net: Network) -> None:
    """Raise `RunError` where no source has channels."""
    if not any(len(net.populations[name].shape) == 3 for name in net.sources):
        raise RunError(
            f"setting channels_last: network {net.name} has no source of shape (channel, row, column); "
            "leave it out"
        )


def channels_last(x: Any) -> Any:
    """Stimuli with the channels of pictures last in memory, a layout that convolutions preserve."""
    if isinstance(x, Presentations):
        return Presentations({name: channels_last(values) for name, values in x.by_source.items()})
    if isinstance(x, Mapping):
        return {name: channels_last(values) for name, values in x.items()}
    pictures = x if isinstance(x, Tensor) else torch.as_tensor(x)
    return pictures.contiguous(memory_format=torch.channels_last) if pictures.dim() == 4 else pictures
