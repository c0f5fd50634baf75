"""Credit needs autograd, whatever mode its caller is in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


def differentiating(function: Callable[P, T]) -> Callable[P, T]:
    """The same function, run with gradients on, even within ``no_grad`` or ``inference_mode``."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with torch.inference_mode(False), torch.enable_grad():
            return function(*args, **kwargs)

    return run


def in_full_precision(device: torch.device) -> torch.autocast:
    """Context without ``autocast``: inverses, penalties and rules keep their digits."""
    return torch.autocast(device.type, enabled=False)
