"""Settled drives and rates, population by population, in a graph whose backward pass carries credit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cortex_sim.backends.torch.lateral import settled
from cortex_sim.backends.torch.operations import (
    ConvWithFeedback,
    CreditPath,
    DenseWithFeedback,
    DenseWithInverse,
)
from cortex_sim.connectors import Conv2d, Dense, Identity
from cortex_sim.projection import Projection
from cortex_sim.validation import is_supervised

if TYPE_CHECKING:
    from cortex_sim.backends.torch.model import Model

F = nn.functional
Drives = dict[str, Tensor]


def settle(model: Model, x: Tensor, credit: bool) -> tuple[Drives, Drives]:
    """Drives a and rates r of every population at equilibrium.

    With ``credit`` the graph's backward pass is the declared rule's; without, it is plain
    autograd's, which is what backpropagation would do on the same weights.
    """
    compute = working_dtype(model)
    drives: Drives = {}
    rates: Drives = {model.stimulus: model.population(model.stimulus)(x)}
    for name in model.plan.order:
        if name == model.stimulus:
            continue
        a = settled(model, name, _drive(model, name, rates, credit))
        if credit:
            for path in model.plan.apart:
                if path.pre == name:
                    b = model.feedback.matrix(path.name, a.dtype)
                    a = CreditPath.apply(a, rates[path.post], b)
        drives[name] = a
        rates[name] = model.population(name)(a)
    if compute != model.compute:  # within autocast only the way there is in low precision
        drives = {name: a.to(model.compute) for name, a in drives.items()}
        rates = {name: r.to(model.compute) for name, r in rates.items()}
    return drives, rates


def working_dtype(model: Model) -> torch.dtype:
    """Precision of drives: the model's, or within ``autocast`` its own."""
    kind = model.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else model.compute


def is_identity(p: Projection) -> bool:
    """Whether a projection passes rates on as they are: `Identity` alone, no connector unknown to us."""
    return type(p.connector) is Identity


def _drive(model: Model, name: str, rates: Drives, credit: bool) -> Tensor:
    population = model.net.populations[name]
    bias = model.biases.get(name)
    total: Tensor | None = None
    for p in sorted(model.net.inputs(name), key=is_identity):
        part = _through(model, p, rates[p.pre], bias, credit)
        if not is_identity(p) and _takes_bias(p, population.shape):
            bias = None
        part = part.reshape(len(part), *population.shape)
        total = part if total is None else total + part
    assert total is not None  # every population but the stimulated one has an input
    if bias is not None:
        total = total + bias.to(total.dtype).reshape(-1, *[1] * (len(population.shape) - 1))
    return total


def _through(model: Model, p: Projection, r: Tensor, bias: Tensor | None, credit: bool) -> Tensor:
    """What a projection adds to the drive; its backward pass carries credit where one is due."""
    beside = model.plan.beside.get(p.name) if credit else None
    if credit and beside is None:
        r = r.detach()
    if is_identity(p):
        return r
    compute = working_dtype(model)
    r = r.to(compute)
    w = model.weights[p.name]
    if credit and not is_supervised(p.plasticity):
        w = w.detach()
    w = w.to(compute)
    if not _takes_bias(p, model.net.populations[p.post].shape):
        bias = None
    bias = None if bias is None else bias.to(compute)
    own = beside is not None and not model.feedback.is_transpose(beside.name)
    if not own:
        if isinstance(p.connector, Conv2d):
            return F.conv2d(r, w, bias, p.connector.stride, p.connector.padding)
        return F.linear(r.flatten(1), w, bias)
    assert beside is not None
    rule = beside.plasticity if model.feedback.reads_credit(beside.name) else None
    if isinstance(p.connector, Conv2d):
        kernel = model.feedback.stored(beside.name, w).to(compute)
        return ConvWithFeedback.apply(r, w, bias, kernel, rule, p.connector.stride, p.connector.padding)
    m = model.feedback.kept_gram(beside.name)
    if m is not None:
        m = m if isinstance(m, float) else m.to(compute)
        return DenseWithInverse.apply(r.flatten(1), w, bias, m)
    b = model.feedback.stored(beside.name, w).to(compute)
    return DenseWithFeedback.apply(r.flatten(1), w, bias, b, rule)


def _takes_bias(p: Projection, shape: tuple[int, ...]) -> bool:
    """Whether torch adds the population's bias inside this projection's own operation."""
    return isinstance(p.connector, Conv2d) or (isinstance(p.connector, Dense) and len(shape) == 1)
