"""Functions that torch.compile leaves as they are, without the compiler's import of two seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


def uncompiled(function: Callable[P, T]) -> Callable[P, T]:
    """`torch.compiler.disable`, which loads the compiler, once something else has loaded it."""
    disabled: list[Callable[P, T]] = []

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if "torch._dynamo" not in sys.modules:  # then nothing is compiled
            return function(*args, **kwargs)
        if not disabled:
            _go_round(call)
            disabled.append(torch.compiler.disable(function))
        return disabled[0](*args, **kwargs)

    call._torchdynamo_disable = True  # type: ignore[attr-defined]  # compiled callers break off here too
    return call


def _go_round(call: Any) -> None:
    """Let the compiler not look into ``call`` itself; it would compile it for every signature."""
    skip = getattr(sys.modules["torch._dynamo"].eval_frame, "skip_code", None)
    if skip is not None:
        skip(call.__code__)
