"""The modes of a model: with gradients or without, in full precision, in training or evaluation.

Training mode is torch's own, `nn.Module.train` and `nn.Module.eval`; `cortex_sim` adds no other. A batch
changes slow state (state of rules, parameters of activations) in training mode and by ``model(x, y)`` only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import torch
from torch import nn

P = ParamSpec("P")
T = TypeVar("T")


def differentiating(function: Callable[P, T]) -> Callable[P, T]:
    """The same function, run with gradients on, even within ``no_grad`` or ``inference_mode``."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with torch.inference_mode(False), torch.enable_grad():
            return function(*args, **kwargs)

    return run


@contextmanager
def looking(model: nn.Module) -> Iterator[None]:
    """Context in evaluation mode, which restores the mode of every module at its end."""
    modules = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in modules:
            module.training = True


Looking = TypeVar("Looking", bound=Callable[..., Any])


def only_looking(function: Looking) -> Looking:
    """The same function of a model, run in evaluation mode by `looking`."""

    @wraps(function)
    def run(model: nn.Module, *args: Any, **kwargs: Any) -> Any:
        with looking(model):
            return function(model, *args, **kwargs)

    return cast("Looking", run)


def in_full_precision(device: torch.device) -> torch.autocast:
    """Context without ``autocast``, so that inverses, penalties and rules keep full precision."""
    return torch.autocast(device.type, enabled=False)
