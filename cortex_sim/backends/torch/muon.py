"""Muon for a whole network: matrices of weights by `torch.optim.Muon`, all else by a second optimiser.

Muon replaces the running mean M of a matrix's gradient by its nearest semi-orthogonal matrix, by a few
Newton–Schulz iterations: W ← (1 − ηλ) W − η s NS(M), where s depends on the shape (``adjust_lr_fn``). It is
defined for matrices, so the kernel of a convolution is taken as (C_out, C_in·k·k), and biases and all other
parameters that are not weights of a projection are left to a second optimiser.

References
----------
Jordan et al. (2024), "Muon: an optimizer for hidden layers in neural networks"; Liu et al. (2025),
arXiv 2502.16982, for "match_rms_adamw".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

NAME = "Muon"
OTHERS: dict[str, Any] = {"name": "AdamW", "lr": 1e-3, "weight_decay": 0.0}


class Muon(Optimizer):
    """`torch.optim.Muon` over matrices, and a second optimiser over the rest, as one optimiser.

    Its parameter groups are Muon's, then the second optimiser's: each has its own rate, a schedule changes
    both.

    Parameters
    ----------
    matrices : sequence of Tensor
        Weights with two or more axes; all axes but the first are flattened into one.
    settings : mapping
        Settings of `torch.optim.Muon`.
    rest : Optimizer or None
        Optimiser of all other parameters; None if there are none.
    """

    def __init__(
        self, matrices: Sequence[Tensor], settings: Mapping[str, Any], rest: Optimizer | None
    ) -> None:
        self._matrices, self._rest = list(matrices), rest
        self._views = [_as_matrix(w) for w in self._matrices]
        self._muon = torch.optim.Muon(self._views, **settings)
        own = {k: v for k, v in self._muon.param_groups[0].items() if k != "params"}
        others = [] if rest is None else rest.param_groups
        super().__init__([{"params": self._matrices, **own}, *others], {})
        self.defaults = dict(self._muon.defaults)

    @property
    def parts(self) -> list[Optimizer]:
        """Both optimisers."""
        return [self._muon, *([] if self._rest is None else [self._rest])]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._look_again()
        first, *others = self.param_groups
        _follow(self._muon.param_groups[0], first)
        for w, view in zip(self._matrices, self._views, strict=True):
            view.grad = None if w.grad is None else w.grad.reshape(len(w), -1)
            self._muon.state[view] = self.state[w]  # one state, which a checkpoint holds
        self._muon.step()
        if self._rest is not None:
            for theirs, ours in zip(self._rest.param_groups, others, strict=True):
                _follow(theirs, ours)
                for p in ours["params"]:
                    self._rest.state[p] = self.state[p]
            self._rest.step()
        for view in self._views:
            view.grad = None
        return loss

    def _look_again(self) -> None:
        """Make new matrices where weights have moved to other memory, such as another device."""
        for number, (w, view) in enumerate(zip(self._matrices, self._views, strict=True)):
            if w.data_ptr() != view.data_ptr() or w.device != view.device:
                self._muon.state.pop(view, None)
                self._views[number] = self._muon.param_groups[0]["params"][number] = _as_matrix(w)


def _as_matrix(w: Tensor) -> Tensor:
    """The weights as (first axis, all others), sharing memory."""
    return w.detach().view(len(w), -1)


def _follow(theirs: dict[str, Any], ours: Mapping[str, Any]) -> None:
    """Copy rates and other settings, which schedules and checkpoints change."""
    theirs.update({name: value for name, value in ours.items() if name != "params"})
