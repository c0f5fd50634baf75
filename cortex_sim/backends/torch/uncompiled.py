"""Functions that torch.compile does not compile, without importing the compiler, which takes two seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


def uncompiled(function: Callable[P, T]) -> Callable[P, T]:
    """As `torch.compiler.disable`, but applied only once something else has loaded the compiler."""
    disabled: list[Callable[P, T]] = []

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if "torch._dynamo" not in sys.modules:  # then nothing is compiled
            return function(*args, **kwargs)
        if not disabled:
            _go_round(call)
            disabled.append(torch.compiler.disable(function))
        return disabled[0](*args, **kwargs)

    call._torchdynamo_disable = True  # type: ignore[attr-defined]  # compiled callers stop here too
    return call


def _go_round(call: Any) -> None:
    """Make the compiler skip ``call`` itself, which it would otherwise compile for every signature."""
    skip = getattr(sys.modules["torch._dynamo"].eval_frame, "skip_code", None)
    if skip is not None:
        skip(call.__code__)
