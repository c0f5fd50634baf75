"""Populations that drive one another, at equilibrium: their drives as a fixed point, in autograd's graph.

In the backward pass, the gradient g at the drives goes around the loop until it settles, λ = g + Jᵀλ, along
the usual paths: where these carry credit through B, so does the loop. With transposes this is implicit
differentiation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from cortex_sim.backends.torch.fixed_point import Settling, Solution, fixed_point
from cortex_sim.backends.torch.steps import Step
from cortex_sim.errors import RunError

Values = dict[str, Tensor]
Around = Callable[[Values, Values], tuple[Values, Values]]
Sweep = Callable[[Values], tuple[Values, Values]]


@dataclass(frozen=True)
class State:
    """The order of drives and gains of a loop's populations in one vector.

    Parameters
    ----------
    block : tuple of Step
        The populations.
    """

    block: tuple[Step, ...]

    @property
    def names(self) -> list[tuple[str, Step]]:
        """("a", population) for every drive, and ("g", population) where gain projections arrive."""
        return [(v, step) for step in self.block for v in ("a", "g")[: 1 + bool(step.gains)]]

    def apart(self, row: Tensor) -> tuple[Values, Values]:
        """Drives and gains by population, from vectors (presentation, number)."""
        parts = row.split([step.population.size for _, step in self.names], dim=1)
        found: dict[str, Values] = {"a": {}, "g": {}}
        for (variable, step), part in zip(self.names, parts, strict=True):
            found[variable][step.name] = part.reshape(-1, *step.population.shape)
        return found["a"], found["g"]

    def together(self, a: Values, g: Values) -> Tensor:
        """The inverse of `apart`."""
        by = {"a": a, "g": g}
        return torch.cat([by[variable][step.name].flatten(1) for variable, step in self.names], dim=1)

    def start(self, like: Tensor, before: Mapping[str, Tensor]) -> Tensor:
        """Initial drives and gains of the loop: "a:NAME" and "g:NAME" of ``before``, otherwise rest."""
        rest = {f"{v}:{step.name}": like.new_zeros(len(like), step.population.size) for v, step in self.names}
        return torch.cat([before.get(name, zero).to(like.dtype) for name, zero in rest.items()], dim=1)

    def pace(self, like: Tensor) -> Tensor:
        """Shortest time constant divided by that of each number."""
        shortest = min(step.population.tau_ms for step in self.block)
        sizes = [(step.population.size, shortest / step.population.tau_ms) for _, step in self.names]
        return torch.cat([like.new_full((size,), pace) for size, pace in sizes])

    def where(self, residual: Tensor) -> str:
        """Names of the populations that have not settled, the furthest first."""
        sizes = [step.population.size for _, step in self.names]
        parts = residual.abs().nan_to_num(nan=torch.inf).amax(0).split(sizes)
        worst = {step.name: 0.0 for step in self.block}
        for (_, step), part in zip(self.names, parts, strict=True):
            worst[step.name] = max(worst[step.name], float(part.max()))
        largest = max(worst.values())
        named = (name for name, value in worst.items() if value >= largest / 100)
        return " and ".join(sorted(named, key=lambda name: -worst[name]))


def closed(
    block: tuple[Step, ...],
    around: Around,
    like: Tensor,
    how: Settling,
    before: Mapping[str, Tensor],
) -> tuple[Values, Values, Values]:
    """Drives as the equations give them, and the drives and gains that give the rates, equal in value.

    ``around`` maps drives and gains to those after one pass around the loop; ``like`` is a tensor with their
    presentations, precision and device; ``before`` is where they settle from, see `State.start`.

    Raises
    ------
    RunError
        Naming the populations that do not settle, forward or backward.
    """
    state = State(block)

    def f(row: Tensor) -> Tensor:
        return state.together(*around(*state.apart(row)))

    start = state.start(like, before)
    pace = state.pace(start)
    solution = fixed_point(f, start, pace, how)
    _require_settled(state, solution, how, "activity")
    if not torch.is_grad_enabled():
        return state.apart(solution.x)[0], *state.apart(solution.x)
    leaf = solution.x.detach().requires_grad_()
    a, g = around(*state.apart(leaf))
    row = state.together(a, g)
    after = row.view_as(row)  # a separate node: its hook must not run when the loop is differentiated
    if after.requires_grad:
        after.register_hook(lambda grad: _around_the_loop(state, row, leaf, grad, pace, how))
    return a, *state.apart(after)


def _around_the_loop(
    state: State, row: Tensor, leaf: Tensor, grad: Tensor, pace: Tensor, how: Settling
) -> Tensor:
    """λ = grad + Jᵀλ."""
    if torch.is_grad_enabled():
        raise RunError(
            f"populations {', '.join(s.name for s in state.block)}: second derivatives through a loop are "
            "not available; differentiate once only (create_graph=False)"
        )
    scale = grad.abs().max()
    if not scale > 0:  # no gradient arrives, or NaN, which must be passed on
        return grad

    def f(sent: Tensor) -> Tensor:
        (back,) = torch.autograd.grad(row, leaf, sent, retain_graph=True, allow_unused=True)
        return grad / scale + (torch.zeros_like(sent) if back is None else back)

    solution = fixed_point(f, torch.zeros_like(grad), pace, how)
    _require_settled(state, solution, how, "credit")
    return solution.x * scale


def settled_credit(sweep: Sweep, like: Values, how: Settling) -> Values:
    """The fixed point of ``sweep``, a pass downward, in u of the populations in ``like``.

    Raises
    ------
    RunError
        Naming the populations whose credit does not settle.
    """
    names, sizes = list(like), [r.shape[1] for r in like.values()]

    def by_name(row: Tensor) -> Values:
        return dict(zip(names, row.split(sizes, dim=1), strict=True))

    def f(row: Tensor) -> Tensor:
        _, u = sweep(by_name(row))
        return torch.cat([u[name] for name in names], dim=1)

    rest = torch.cat([torch.zeros_like(r) for r in like.values()], dim=1)
    scale = f(rest).abs().max()  # the pass is affine: linear in its input, plus what is sent from above
    if not scale > 0:
        return by_name(rest)
    solution = fixed_point(lambda row: f(row * scale) / scale, rest, torch.ones_like(rest[0]), how)
    if not solution.settled:
        parts = solution.residual.abs().nan_to_num(nan=torch.inf).amax(0).split(sizes)
        worst = max(zip(names, parts, strict=True), key=lambda pair: float(pair[1].max()))[0]
        raise _unsettled(worst, names, solution, how, "credit")
    return by_name(solution.x * scale)


def _require_settled(state: State, found: Solution, how: Settling, what: str) -> None:
    if not found.settled:
        raise _unsettled(state.where(found.residual), [s.name for s in state.block], found, how, what)


def _unsettled(where: str, loop: list[str], found: Solution, how: Settling, what: str) -> RunError:
    size = float(found.residual.abs().max())
    ends = "grows without end" if found.grew else f"still changes by {size:.2g} each pass"
    ways = {
        "activity": "give weaker weights or a bounded activation, or run it in time on brian2, where it may "
        "oscillate or drift",
        "credit": "give weaker feedback weights around the loop, or leave out the credit around it",
    }
    called = "populations" if " and " in where else "population"
    return RunError(
        f"{called} {where}: {what} does not settle in the loop of {', '.join(loop)}, it {ends}; "
        f"{ways[what]} (or search longer, with settling=cs.torch.Settling(limit={2 * how.limit}))"
    )
