"""A cohort: inner runs that advance in parallel, each with its own weights and task.

No operation in a step mixes inner runs, so NaN in one does not spread to others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from cortex_sim.tdca.inner.architecture import Architecture, gated
from cortex_sim.tdca.inner.layout import Layout
from cortex_sim.tdca.inner.plastic import Taken, of_each_run, plastic_part
from cortex_sim.tdca.inner.reading import InnerReadings, shares_to_train
from cortex_sim.tdca.inner.rules import InnerRule, Moment
from cortex_sim.tdca.inner.step import Local, Step, rates


def layout(rule: InnerRule, step: Step, body: Architecture) -> Layout:
    """Positions in φ of the outer parameters of a rule, of its synapses' readings, and of its step."""
    return Layout({name: p.shape for name, p in start(rule, step, 0, body).items()})


def start(rule: InnerRule, step: Step, seed: int, body: Architecture) -> dict[str, np.ndarray]:
    """Outer parameters before training, by name; those of the step come last."""
    return {**rule.draw(seed), **shares_to_train(body), **step.draw()}


class Cohort:
    """``count`` inner runs of one architecture under one rule.

    Parameters
    ----------
    body : Architecture
    rule : InnerRule
    step : Step
    count : int
        Inner runs.
    copies : int, default 1
        Consecutive inner runs that share a start, such as 2i and 2i + 1 with 2 copies: antithetic pairs, or
        all members of a generation.
    dtype : torch.dtype, default float32

    Attributes
    ----------
    done, length : Tensor
        Steps taken and steps to take in each inner run, (run,).
    """

    def __init__(
        self,
        body: Architecture,
        rule: InnerRule,
        step: Step,
        count: int,
        copies: int = 1,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.body, self.rule, self.step = body, rule, step
        self.count, self.copies, self.dtype = count, copies, dtype
        self.plastic = plastic_part(rule)
        self.taken = 0
        self.done, self.length = torch.zeros(count, dtype=dtype), torch.ones(count, dtype=dtype)
        weights, biases, fixed = self._initial(0)
        self.weights = [w.repeat(count, 1, 1) for w in weights]
        self.biases = [b.repeat(count, 1, 1) for b in biases]
        self.fixed = [f.repeat(count, *[1] * (f.dim() - 1)) for f in fixed]
        self.transfers = {
            name: {v: torch.as_tensor(x).to(dtype).repeat(count, 1) for v, x in values.items()}
            for name, values in body.first_transfers().items()
        }
        self.means = step.state(self.weights, self.biases)
        self.readings = InnerReadings(body, count, dtype)

    def _initial(self, seed: int) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        weights, biases = self.body.initial(seed)
        if self.plastic is None:
            fixed = self.rule.fixed(self.body, np.random.default_rng([seed, 1]))
        else:
            fixed = self.plastic.initial(self.body, seed, self.step)
        return self._tensors(weights), self._tensors(biases), self._tensors(fixed)

    def _tensors(self, arrays: list[np.ndarray]) -> list[Tensor]:
        return [torch.as_tensor(a).to(self.dtype)[None] for a in arrays]

    def begin(self, slots: Tensor, seeds: Tensor, length: Tensor) -> None:
        """Start new inner runs; ``copies`` inner runs share a start.

        Parameters
        ----------
        slots : Tensor of bool, shape (start,)
            Whether new inner runs start there.
        seeds : Tensor of shape (start,)
            Seeds of initial weights and of what the rule draws.
        length : Tensor of shape (start,)
            Steps in the new inner runs.
        """
        if not slots.any():
            return
        self.detach()
        for i in torch.nonzero(slots).flatten().tolist():
            runs = slice(i * self.copies, (i + 1) * self.copies)
            weights, biases, fixed = self._initial(int(seeds[i]))
            for mine, new in zip(
                [*self.weights, *self.biases, *self.fixed], [*weights, *biases, *fixed], strict=True
            ):
                mine[runs] = new
            for values in self.means.values():
                for mean in values:
                    mean[runs] = 0.0
            for name, initial in self.body.first_transfers().items():
                for variable, first in initial.items():
                    self.transfers[name][variable][runs] = torch.as_tensor(first).to(self.dtype)
            self.readings.begin(runs)
            self.done[runs], self.length[runs] = 0.0, length[i]

    def settle(self, x: Tensor) -> Tensor:
        """Rates at the top, (run, presentation, output)."""
        return self.body.settle(self.weights, self.biases, x, self.body.transfers(self.transfers))[1][-1]

    def changes(self, parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, list[Any]]:
        """Objective before the step (run,), and u and presynaptic rates of each layer."""
        loss, local, _, _ = self._changes(parameters, x, y)
        return loss, local

    def _changes(
        self, parameters: dict[str, Tensor], x: Tensor, y: Tensor
    ) -> tuple[Tensor, list[Any], Moment, list[Tensor]]:
        transfers = self.body.transfers(self.transfers)
        drives, rates, inputs = self.body.settle(self.weights, self.biases, x, transfers)
        seen = self.readings.read(inputs, parameters)
        objective, error = self.body.judged(rates[-1], y)
        time = self.done / self.length
        moment = Moment(self.weights, drives, rates, y, error, self.taken, transfers, time)
        credits = self.rule.credits(self.body, parameters, self.fixed, moment)
        local = []
        last = len(credits) - 1
        for i, (layer, c, read) in enumerate(zip(self.body.layers, credits, seen, strict=True)):
            name = layer.step.name
            u = gated(transfers[name], c, drives[name]) if self.rule.gated or i == last else c
            local.append((layer.operator.by_place(u), read))
        return objective.mean(-1), local, moment, inputs

    def advance(self, parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        """Take one inner step on presentations x (run, presentation, input) with targets y.

        Returns
        -------
        Tensor of shape (run,)
            Objective before the step.
        """
        self._initialise(parameters)
        loss, local, moment, inputs = self._changes(parameters, x, y)
        self.transfers = self.body.adapted(self.transfers, moment.drives)
        eta = rates(parameters, self.done, self.length)
        last = len(local) - 1
        deltas = []
        for i, (u, read) in enumerate(local):
            role = 1 if i == last else 0
            means = {name: self.means[name][i] for name in self.step.names}
            weight = self.weights[i] if self.plastic is None else torch.zeros_like(self.weights[i])
            layer = Local(weight, self.biases[i], u, read, x.shape[1])
            moved, bias, kept = self.step.take(eta[:, role], self.done, layer, means)
            deltas.append(moved)
            if self.body.layers[i].bias:
                self.biases[i] = bias
            for name, mean in kept.items():
                self.means[name][i] = mean
        self._move(
            parameters, deltas, Taken(moment, [read for _, read in local], deltas, self.step, eta, self.done)
        )
        self.readings.renew(inputs, self.taken, parameters)
        self.done = self.done + 1
        self.taken += 1
        return loss

    def _initialise(self, parameters: dict[str, Tensor]) -> None:
        """Scale the top-down weights of inner runs that begin to their trained size."""
        new = self.done == 0
        if self.plastic is not None and bool(new.any()):
            self.fixed = self.plastic.scaled(parameters, self.fixed, new)

    def _move(self, parameters: dict[str, Tensor], moved: list[Tensor], taken: Taken) -> None:
        """Set the weights after the step; with plastic feedback, also decay them and let feedback learn."""
        if self.plastic is None:
            self.weights = moved
            return
        kept = of_each_run(1 - self.plastic.forgetting(parameters))
        self.weights = [kept * w + delta for w, delta in zip(self.weights, moved, strict=True)]
        self.fixed = self.plastic.learned(self.body, parameters, self.fixed, taken)

    def detach(self) -> None:
        """Cut the gradient: later gradients treat the present state as constant."""
        self.weights = [w.detach() for w in self.weights]
        self.biases = [b.detach() for b in self.biases]
        self.fixed = [f.detach() for f in self.fixed]
        self.means = {name: [m.detach() for m in values] for name, values in self.means.items()}

    def _by_transfer(self) -> dict[str, Tensor]:
        return {f"transfer/{n}/{v}": x for n, values in self.transfers.items() for v, x in values.items()}

    def lost(self) -> Tensor:
        """Inner runs whose weights, bottom-up or top-down, are no longer finite, (run,) bool."""
        finite = torch.ones(self.count, dtype=torch.bool)
        for w in [*self.weights, *self.biases, *self.fixed]:
            finite &= torch.isfinite(w.detach()).flatten(1).all(1)
        return ~finite

    def _parts(self) -> dict[str, list[Tensor]]:
        return {"weight": self.weights, "bias": self.biases, "fixed": self.fixed, **self.means}

    def state(self) -> dict[str, Tensor]:
        """Everything needed to continue, as named tensors."""
        found = {f"{name}/{i}": t for name, ts in self._parts().items() for i, t in enumerate(ts)}
        found |= self._by_transfer() | self.readings.named()
        found |= {"done": self.done, "length": self.length, "taken": torch.tensor(self.taken)}
        return {name: t.detach().clone() for name, t in found.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`."""
        for name, values in self._parts().items():
            for i in range(len(values)):
                values[i] = state[f"{name}/{i}"].clone()
        self.transfers = {
            n: {v: state[f"transfer/{n}/{v}"].clone() for v in values} for n, values in self.transfers.items()
        }
        self.readings.restore(state)
        self.done, self.length = state["done"].clone(), state["length"].clone()
        self.taken = int(state["taken"])
