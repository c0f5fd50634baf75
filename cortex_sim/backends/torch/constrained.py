"""Constraints on torch: after every step, whatever the optimiser, weights satisfy their constraints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from cortex_sim.allowed import Allowed, allowed_of
from cortex_sim.errors import BuildError
from cortex_sim.joined import Joined, enforced, joined_of
from cortex_sim.network import Network
from cortex_sim.rules.base import PerSynapse

_PARTS = ("low", "high", "rates", "total")


class Constrained(nn.Module):
    """The allowed weights of every projection that has constraints or lacks synapses.

    Its arrays are buffers, so that they move with the model between devices. Checkpoints leave them out,
    since they follow from the declaration.
    """

    def __init__(self, net: Network, dtype: torch.dtype) -> None:
        super().__init__()
        own = [p for p in net.projections.values() if net.weight_shape(p)]
        found = {p.name: allowed_of(net, p) for p in own}
        self._declared: dict[str, Allowed] = {n: a for n, a in found.items() if a is not None}
        self._operators = {p.name: net.operator(p) for p in own}
        self._shapes = {p.name: tuple(net.weight_shape(p)) for p in own}
        self._down = {p.name for p in own if p.is_top_down}
        self._before: dict[str, Tensor] = {}
        self.arrays = nn.ModuleDict()
        for name, allowed in self._declared.items():
            kept = nn.Module()
            for part in _PARTS:
                values = getattr(allowed, part)
                if values is not None:
                    exact = torch.float64 if part == "total" else dtype
                    kept.register_buffer(part, torch.as_tensor(values.copy()).to(exact), persistent=False)
            if not allowed.exists.all():
                exists = torch.as_tensor(self._outward(name, allowed.exists))
                kept.register_buffer("exists", exists.to(dtype), persistent=False)
            self.arrays[name] = kept
        self._joined, self.totals = joined_of(net), nn.Module()
        for i, group in enumerate(self._joined):
            self.totals.register_buffer(str(i), torch.as_tensor(group.total.copy()), persistent=False)

    @property
    def _members(self) -> set[str]:
        return {name for group in self._joined for name in group.names}

    def __contains__(self, name: object) -> bool:
        return name in self._declared

    def __len__(self) -> int:
        return len(self._declared)

    @property
    def first(self) -> tuple[str, str]:
        """A projection with constraints, and what constrains it; both empty where there is none."""
        for name, allowed in self._declared.items():
            return name, allowed.word
        return "", ""

    def present(self, name: str, w: Tensor) -> Tensor:
        """Weights whose gradient is 0 where there is no synapse, in the declared shape."""
        exists = dict(self.arrays[name].named_buffers()).get("exists") if name in self._declared else None
        return w if exists is None else w * exists.to(w.dtype)

    def acting(self, weights: Mapping[str, Tensor] | nn.ParameterDict) -> dict[str, Tensor]:
        """All of these weights as `present` returns them, by name of their projection."""
        return {name: self.present(name, w) for name, w in weights.items()}

    def state_of(self, name: str, kind: Any, new: Tensor, old: Tensor) -> Tensor:
        """New rule state; a variable per synapse stays unchanged where there is no synapse."""
        if not isinstance(kind, PerSynapse) or name not in self._declared:
            return new
        allowed = self._present(name)
        return torch.where((allowed.low == 0) & (allowed.high == 0), old, new)

    def scaled(self, name: str, step: Tensor) -> Tensor:
        """A step of a matrix, (post, input), with each synapse's learning rate."""
        return self._present(name).scaled(step) if name in self._declared else step

    @torch.no_grad()
    def remember(self, weights: Mapping[str, Tensor]) -> None:
        """Copy the weights before a step, where synapses have their own learning rates."""
        scaled = [name for name, allowed in self._declared.items() if allowed.rates is not None]
        self._before = {name: weights[name].detach().clone() for name in scaled if name in weights}

    @torch.no_grad()
    def enforce(self, weights: Mapping[str, Tensor], names: Iterable[str] | None = None) -> None:
        """Bring weights that moved back into their allowed sets, in place.

        ``weights`` are by projection, and include those whose rows are constrained together with others.
        ``names`` are the projections whose weights moved; by default all that are trained.
        """
        trained = (name for name, w in weights.items() if w.requires_grad)
        moved = [name for name in (trained if names is None else names) if name in self._declared]

        def stepped(name: str) -> Tensor:
            now = self._matrix(name, weights[name])
            if name not in self._before:
                return now
            before = self._matrix(name, self._before[name])
            return before + self._present(name).scaled(now - before)

        allowed = {name: self._present(name) for name in self._declared}
        for name, w in enforced(moved, stepped, allowed, self._together()).items():
            own = weights[name]
            own.copy_(self._outward(name, w, tuple(own.shape)))
        self._before = {}

    def fits(self, name: str, w: Any) -> bool:
        """Whether an array has the shape of a projection's weights; torch itself refuses any other."""
        return isinstance(w, Tensor) and name in self._shapes and tuple(w.shape) == self._shapes[name]

    def require(self, given: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> None:
        """Raise `BuildError` where the constraints do not allow given weights, together with the others."""
        shown = {n: w for n, w in {**others, **given}.items() if n in self._declared or n in self._members}
        w = {n: self._matrix(n, values).detach().cpu().double().numpy() for n, values in shown.items()}
        for name in given:
            if name in self._declared:
                self._declared[name].require(w[name], BuildError)
        for group in self._joined:
            if not given.keys().isdisjoint(group.names) and w.keys() >= set(group.names):
                group.require(w, self._declared, BuildError)

    def _present(self, name: str) -> Allowed:
        """The allowed set, on the model's device."""
        here = dict(self.arrays[name].named_buffers())
        declared = self._declared[name]
        return Allowed(name, here["low"], here["high"], here.get("rates"), here.get("total"), declared.norm)

    def _together(self) -> list[Joined]:
        """Projections whose rows are constrained together, with totals on the model's device."""
        totals = dict(self.totals.named_buffers())
        return [replace(group, total=totals[str(i)]) for i, group in enumerate(self._joined)]

    def _matrix(self, name: str, w: Tensor) -> Tensor:
        op = self._operators[name]
        found: Tensor = op.feedback_matrix(w) if name in self._down else op.matrix(w)
        return found

    def _outward(self, name: str, matrix: Any, shape: tuple[int, ...] | None = None) -> Any:
        """A matrix in the declared shape of its weights; a mask, for which ``shape`` is None, in its own."""
        if name in self._down:
            return self._operators[name].as_feedback(matrix, matrix.shape if shape is None else shape)
        return matrix if shape is None else matrix.reshape(shape)

    def __getstate__(self) -> dict[str, Any]:
        """A copy lies between two steps, so it keeps no earlier weights."""
        return {**self.__dict__, "_before": {}}


def require_loaded(model: Any, given: Mapping[str, Any], prefix: str, *_: Any) -> None:
    """Before ``load_state_dict`` of a model writes anything, require that the given weights are allowed."""
    place, constrained = f"{prefix}weights.", model.constrained
    brought = {key.removeprefix(place): w for key, w in given.items() if key.startswith(place)}
    constrained.require({n: w for n, w in brought.items() if constrained.fits(n, w)}, {})
