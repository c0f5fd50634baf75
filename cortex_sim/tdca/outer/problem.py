"""Interfaces of the two loops: what an outer loop needs from inner runs, and what it provides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Generator, Tensor

from cortex_sim.checks import require_count
from cortex_sim.errors import DeclarationError, RunError


@dataclass(frozen=True, eq=False)
class Window:
    """Result of one unroll of all inner runs.

    Parameters
    ----------
    loss : tensor of shape (run,)
        Mean clipped loss of each inner run over the window; differentiable in φ where φ requires a gradient.
    begins : tensor of bool, shape (run,)
        Whether the inner run started with this window.
    contained : int
        Losses that were NaN or above the clip, and were set to it.
    """

    loss: Tensor
    begins: Tensor
    contained: int


class UnrolledProblem(Protocol):
    """Inner runs that persist from unroll to unroll: truncated unrolls of an inner loop.

    ``due()``, of shape (run,), says which inner runs start again in the next unroll; before the first unroll
    all do. With twins, inner runs 2i and 2i + 1 share task, random numbers and length, and differ only in
    their φ.

    To be spread over workers (``--workers``) it needs two more methods. ``share(runs)`` returns a problem of
    the inner runs in this slice, none of them started; it draws the random numbers of all inner runs and uses
    those of its own, and its ``unroll(phi, due)`` takes φ of its own inner runs and ``due`` of all.
    ``run_axes()`` gives, for every name in ``state()``, the axis of inner runs, or None for what all have in
    common.
    """

    @property
    def parameters(self) -> int:
        """P, the length of φ."""
        ...

    @property
    def count(self) -> int:
        """Number of inner runs."""
        ...

    def due(self) -> Tensor:
        """Inner runs that start again in the next unroll, bool of shape (run,)."""
        ...

    def unroll(self, phi: Tensor) -> Window:
        """Start the inner runs that are due, and advance all by one window under φ: (P,), or (run, P)."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Everything the next unroll depends on."""
        ...

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continue from a saved state."""
        ...


class FitnessProblem(Protocol):
    """Whole inner runs, for outer loops that need only one number, the fitness, of each member.

    ``contained`` counts the losses that were set to the clip since construction.

    To be spread over workers (``--workers``) it needs two more methods: ``outcomes(phi, generator)``, the
    result (member, …) of each member, which must not depend on the others; and ``compared(outcomes)``, the
    fitness (member,) of all members.
    """

    @property
    def contained(self) -> int:
        """Losses so far that were NaN or above the clip."""
        ...

    @property
    def parameters(self) -> int:
        """P, the length of φ."""
        ...

    def fitness(self, phi: Tensor, generator: Generator) -> Tensor:
        """Fitness (member,) of φ (member, P), lower is better; all members of a call have the same tasks."""
        ...


class Search(Protocol):
    """A running outer loop: it improves ``centre``, its present φ of shape (P,)."""

    @property
    def centre(self) -> Tensor:
        """Parameters found so far."""
        ...

    def step(self) -> dict[str, float]:
        """Make one outer iteration; returns its measurements (always ``loss`` and ``contained``)."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Everything the next step depends on, the inner runs included, by name."""
        ...

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continue from a saved state, bit for bit as the saved search would have."""
        ...


def started(owner: str, problem: Any, centre: Tensor) -> Tensor:
    """A copy of the centre to start from, checked against the problem.

    Raises
    ------
    DeclarationError
        If it is not a finite vector with as many numbers as the problem has parameters.
    """
    require_count(owner, parameters=problem.parameters)
    if not centre.is_floating_point() or tuple(centre.shape) != (problem.parameters,):
        raise DeclarationError(
            f"{owner}: the centre has shape {tuple(centre.shape)} and type {centre.dtype}, but the problem "
            f"has {problem.parameters} parameters; give a floating-point tensor of shape "
            f"({problem.parameters},)"
        )
    if not bool(torch.isfinite(centre).all()):
        raise DeclarationError(f"{owner}: the centre holds NaN or infinity; start from finite parameters")
    return centre.detach().clone()


def whole(given: Any, centre: Tensor) -> Tensor:
    """Full φ, if only a part of it, ``centre``, is searched; such a problem has ``whole(part)``."""
    return given.whole(centre) if hasattr(given, "whole") else centre


def checked(owner: str, own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of the given tensors whose names the owner has.

    Raises
    ------
    RunError
        If one is missing, or has another shape or type.
    """
    for name, tensor in own.items():
        if name not in given:
            raise RunError(f"{owner}: the saved state lacks {name!r}; resume with the searcher that saved it")
        other = given[name]
        if other.shape != tensor.shape or other.dtype != tensor.dtype:
            raise RunError(
                f"{owner}: saved {name!r} is {other.dtype} of shape {tuple(other.shape)}, but here it is "
                f"{tensor.dtype} of shape {tuple(tensor.shape)}; resume with the settings it was saved with"
            )
    return {name: given[name].clone() for name in own}


def within(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under names that start with ``prefix``, without it."""
    return {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}


def under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with ``prefix`` before their names."""
    return {prefix + name: t for name, t in state.items()}
