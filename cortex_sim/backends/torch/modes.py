"""The modes a model can be in: with gradients or without, in full precision, training or only looking.

Training mode is torch's own, `nn.Module.train` and `nn.Module.eval`, and `cortex_sim` adds no other. In it,
and only by ``model(x, y)``, a batch moves slow state: rules' state, and parameters of activations.
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
    """Show stimuli in evaluation mode, and leave every module's mode as it was found."""
    modules = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in modules:
            module.training = True


Looking = TypeVar("Looking", bound=Callable[..., Any])


def only_looking(function: Looking) -> Looking:
    """The same function of a model, run while `looking`."""

    @wraps(function)
    def run(model: nn.Module, *args: Any, **kwargs: Any) -> Any:
        with looking(model):
            return function(model, *args, **kwargs)

    return cast("Looking", run)


def in_full_precision(device: torch.device) -> torch.autocast:
    """Context without ``autocast``: inverses, penalties and rules keep their digits."""
    return torch.autocast(device.type, enabled=False)
