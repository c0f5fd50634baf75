"""The update step of inner runs as an optimiser of torch, with the rates and the schedule of an outer loop.

    W ← (1 − λ_W) W + Δ(U),    B ← (1 − λ_B) B + κ Δ(U)ᵀ,    D ← (1 − λ_D) D + κ Δ(⟨x gᵀ⟩)

U is the rule's change, minus the gradient; Δ(U) and its schedule are those of `cortex_sim.tdca.inner.step`. λ
is the declared `Decay`, a share per update that does not depend on the rate, as in AdamW; κ is the gain of
`KolenPollack` or `PlasticDiffusion`; x and g are the rates and channels that `PlasticDiffusion` reads. W, B
and D have separate running means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cortex_sim.backends.torch import distributed
from cortex_sim.backends.torch.core import Core
from cortex_sim.checks import listed, require_count, require_positive
from cortex_sim.credit.shipped import credit_network
from cortex_sim.credit.step import TrainedStep, step_of
from cortex_sim.errors import RunError
from cortex_sim.projection import Projection
from cortex_sim.regularisers import Decay
from cortex_sim.rules.kolen_pollack import KolenPollack
from cortex_sim.rules.plastic_diffusion import PlasticDiffusion
from cortex_sim.tdca.inner.step import Adam, Mixed, rates

NAME = "inner_step"
_STEPS: dict[str, Any] = {"mixed": Mixed(), "adam": Adam()}
_WAY_OUT = 'use another optimiser, such as "Adam"'


@dataclass(frozen=True)
class Synapses:
    """Weights that take a step: of a bottom-up projection, of its paired top-down projection, or of D.

    Parameters
    ----------
    weight : Parameter
    bias : Parameter or None
        Of the post population, if these weights are bottom-up.
    up : str
        The projection by whose presynaptic energy the step is normalised: a bottom-up one, or D itself.
    inputs : int
        Number of inputs of one place.
    role : int
        0 below the top, 1 onto it.
    gain, decay : float
        κ and λ.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None
    up: str
    inputs: int
    role: int
    gain: float
    decay: float


@dataclass(frozen=True)
class Measured:
    """A layer as `cortex_sim.tdca.inner.step` expects it, from gradients: arrays (1, weight, 1)."""

    weight: Tensor
    bias: Tensor
    change: Tensor
    bias_change: Tensor
    inputs: int
    energy: Tensor

    def changes(self) -> tuple[Tensor, Tensor]:
        """U of the weights and of the bias."""
        return self.change, self.bias_change


class InnerStep(torch.optim.Optimizer):
    """The step of inner runs over a model's plastic weights and biases; ``optimiser="inner_step"``.

    Parameters
    ----------
    model : Core
    step : TrainedStep
        Rates and schedule; a network under a trained credit network has it as ``net.step``.
    horizon : int
        Number of updates in the schedule; the rates depend on it.
    lr : float, default 1.0
        Factor on all rates.

    Raises
    ------
    RunError
        If something learns that has no counterpart in inner runs, or after ``horizon`` updates.
    """

    decays = True  # it applies the declared `Decay` itself, not through the gradient

    def __init__(self, model: Core, step: TrainedStep, horizon: int, lr: float = 1.0) -> None:
        require_count(f"optimiser {NAME}", horizon=horizon)
        require_positive(f"optimiser {NAME}", lr=lr)
        self.synapses = _synapses(model)
        self.measures = tuple(dict.fromkeys(one.up for one in self.synapses))
        self._model = model
        parameters = [p for one in self.synapses for p in (one.weight, one.bias) if p is not None]
        super().__init__(parameters, {"lr": lr, "horizon": horizon, **step.to_data()})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all weights and biases from their gradients and the energies of what synapses read."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        group = self.param_groups[0]
        energies = self._energies()
        for one in self.synapses:
            self._take(one, _STEPS[group["name"]], group, energies[one.up])
        return loss

    def require(self, updates: int) -> None:
        """Raise `RunError` if the schedule ends before this many further updates."""
        done = max((int(self.state[one.weight].get("step", 0)) for one in self.synapses), default=0)
        left = int(self.param_groups[0]["horizon"]) - done
        if left < updates:
            raise RunError(
                f"optimiser {NAME}: the updates left in its schedule are {left}, but {updates} are to come; "
                "leave horizon out, so that it is set to fit, or make a new optimiser"
            )

    def _energies(self) -> dict[str, Tensor]:
        """Mean presynaptic energy of every projection since the last update, over all ranks."""
        if not set(self.measures) <= set(self._model.presynaptic.measured):
            raise RunError(
                f"optimiser {NAME}: is not attached to its model, so the energies of inputs are unknown; "
                "call model.attach(optimiser) before training (model.fit detaches its optimiser at the end)"
            )
        found = self._model.presynaptic.taken_energies()
        missing = [name for name in self.measures if name not in found]
        if missing:
            raise RunError(
                f"optimiser {NAME}: no batch was presented since the last update, so the inputs of "
                f"{missing[0]} are unknown; call model(x, y) in training mode before every step"
            )
        if distributed.place()[1] > 1:
            every = torch.stack([found[name] for name in self.measures])
            means = distributed.means(every)
            found = {n: every.new_tensor(x) for n, x in zip(self.measures, means, strict=True)}
        return found

    def _take(self, one: Synapses, step: Any, group: dict[str, Any], energy: Tensor) -> None:
        state, w = self._started(one, step), one.weight
        done = int(state["step"])
        if done >= group["horizon"]:
            raise RunError(
                f"optimiser {NAME}: its schedule ended after update {done}; make a new optimiser to continue"
            )
        eta = _eta(group, done)[:, one.role].to(w)
        means = {n: x for n, x in state.items() if n in step.names}
        bias = torch.zeros(1, 1, 1).to(w) if one.bias is None else _row(one.bias)
        if one.bias is not None:
            means |= {f"bias_{n}": x for n, x in self.state[one.bias].items()}
        else:
            means |= {"bias_m": torch.zeros_like(bias), "bias_v": torch.zeros_like(bias)}
        layer = Measured(
            torch.zeros_like(w).reshape(1, -1, 1),
            bias,
            _change(w) / one.gain,
            torch.zeros_like(bias) if one.bias is None else _change(one.bias),
            one.inputs,
            energy.to(w).reshape(1),
        )
        delta, moved, kept = step.take(eta, torch.full((1,), float(done)).to(w), layer, means)
        if w.requires_grad:  # frozen weights do not decay either
            w.mul_(1 - one.decay).add_(delta.reshape(w.shape), alpha=one.gain)
        if one.bias is not None:
            if one.bias.requires_grad:
                one.bias.copy_(moved.reshape(one.bias.shape))
            self.state[one.bias] = {n: kept[f"bias_{n}"] for n in ("m", "v")}
        state["step"] = state["step"] + 1
        state |= {n: x for n, x in kept.items() if not n.startswith("bias_")}

    def _started(self, one: Synapses, step: Any) -> dict[str, Any]:
        """Running means of one layer's weights; zero before its first step."""
        state: dict[str, Any] = self.state[one.weight]
        if not state:
            bias = one.weight.new_zeros(1, 1, 1) if one.bias is None else _row(one.bias)
            first = step.state([torch.zeros_like(_row(one.weight))], [torch.zeros_like(bias)])
            state |= {n: x[0] for n, x in first.items() if not n.startswith("bias_")}
            state["step"] = torch.tensor(0.0)
            if one.bias is not None:
                self.state[one.bias] = {n: first[f"bias_{n}"][0] for n in ("m", "v")}
        return state


def _row(p: Tensor) -> Tensor:
    """A parameter as (1, weight, 1)."""
    return p.detach().reshape(1, -1, 1)


def _change(p: Tensor) -> Tensor:
    """U, (1, weight, 1): minus the gradient, 0 if there is none."""
    return torch.zeros_like(_row(p)) if p.grad is None else -p.grad.reshape(1, -1, 1)


def _eta(group: dict[str, Any], done: int) -> Tensor:
    """Rates of shape (1, role, part), float64."""
    parameters = {f"step_{n}": torch.tensor(group[n], dtype=torch.float64) for n in ("rate", "fall")}
    at = (torch.full((1,), float(n), dtype=torch.float64) for n in (done, group["horizon"]))
    return float(group["lr"]) * rates(parameters, *at)


def _synapses(model: Core) -> list[Synapses]:
    """All weights that the step changes, bottom-up ones first.

    Raises
    ------
    RunError
        If something learns that has no counterpart in inner runs.
    """
    net = model.net
    if model.unrolled is not None:
        raise RunError(
            f"optimiser {NAME}: is for networks at equilibrium, but network {net.name} is unrolled; "
            f"{_WAY_OUT}, or build it without settling"
        )
    plastic = [p for p in net.projections.values() if p.plasticity is not None]
    if not plastic:
        raise RunError(
            f"network {net.name}: nothing to train, no projection has plasticity; give one a rule, or use "
            "net.with_rule(...)"
        )
    for p in plastic:
        _check(model, p)
    found = [_bottom_up(model, p) for p in net.bottom_ups if p.plasticity is not None]
    found += [_top_down(model, p) for p in net.top_downs if p.plasticity is not None]
    held = {id(p) for one in found for p in (one.weight, one.bias)}
    others = [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in held]
    if others:
        raise RunError(f"optimiser {NAME}: has no rates for {listed(others)}, which also learn; {_WAY_OUT}")
    return found


def _check(model: Core, p: Projection) -> None:
    if p.is_top_down and isinstance(p.plasticity, (KolenPollack, PlasticDiffusion)):
        return
    if p.kind != "bottom_up" or not p.rule.supervised:
        raise RunError(
            f"optimiser {NAME}: projection {p.name} learns by {type(p.plasticity).__name__}, but only "
            "supervised bottom-up rules, KolenPollack and PlasticDiffusion have rates in inner runs; "
            f"{_WAY_OUT}"
        )
    learning = [q.name for q in model.net.drivers(p.post) if q.plasticity is not None]
    if len(learning) > 1:
        raise RunError(
            f"optimiser {NAME}: {p.post} is driven by {listed(learning)}, which all learn, but in inner runs "
            f"a single projection drives each population; {_WAY_OUT}"
        )


def _bottom_up(model: Core, p: Projection) -> Synapses:
    bias = model.biases[p.post] if p.post in model.biases else None  # noqa: SIM401 - no get
    w = model.weights[p.name]
    return Synapses(w, bias, p.name, _inputs(model, p), int(p.post == model.top), 1.0, _decay(p))


def _top_down(model: Core, p: Projection) -> Synapses:
    b, rule = model.feedback.learned[p.name], p.plasticity
    if isinstance(rule, PlasticDiffusion):
        turned = rule.energy == "rates"  # as the transpose of a readout onto the channels
        return Synapses(b, None, p.name, b.shape[1 - turned], int(turned), rule.gain, _decay(p))
    up = model.net.projections[p.reverse_name]
    role = int(up.post == model.top)
    return Synapses(b, None, up.name, _inputs(model, up), role, p.plasticity.gain, _decay(p))


def _inputs(model: Core, p: Projection) -> int:
    return int(model.matrix(p.name).shape[1])


def _decay(p: Projection) -> float:
    share = sum(one.rate for one in p.regularisers if isinstance(one, Decay))
    if share > 1:
        raise RunError(
            f"optimiser {NAME}: Decay of {p.name} is the share of weights that an update removes, so it must "
            f"be at most 1. Got {share:g}"
        )
    return share


def inner_step(
    model: Core, horizon: int | None, credit: Any = None, lr: float = 1.0, *, updates: int | None = None
) -> InnerStep:
    """The optimiser from settings, with the rates of ``credit``, by default those of the network.

    Raises
    ------
    RunError
        If there are no rates, or no horizon.
    """
    if credit is None:
        step = model.net.step
    else:
        step = step_of(credit_network(credit, model.net.populations[model.top].size))
    if step is None:
        whose = f"network {model.net.name} has" if credit is None else "this credit network has"
        raise RunError(
            f"optimiser {NAME}: {whose} no trained step; give credit=..., a file of cortex-sim evolve, or "
            f"{_WAY_OUT}"
        )
    length = updates if horizon is None else horizon
    if length is None:
        raise RunError(
            f"optimiser {NAME}: needs the number of updates in the training; give it, such as horizon=1000"
        )
    return InnerStep(model, step, length, lr)
