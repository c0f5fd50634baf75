"""Unrolled steps written from the text, in numpy and in plain autograd.

a ← a + (dt/τ)(Σ W r + b − a), r = f(a) from rest; credit c = −∂E/∂r at the top, backward in time
c_pre += (dt/τ) B λ, λ ← c ∘ f′(a) + (1 − dt/τ) λ, Δw = ⟨Σ (dt/τ) λ r_preᵀ⟩.
"""

import numpy as np
import torch
from loops import F

import cortex_sim as cs

TORCH = {"tanh": torch.tanh, "softplus": torch.nn.functional.softplus, "linear": lambda a: a}
KINDS = {"A": "tanh", "B": "softplus", "IT": "linear"}


def three_areas(sizes=(7, 5, 4, 3), word="backprop", skip=False, **feedback):
    """A chain whose middle areas drive themselves and one another; sizes and time constants all differ."""
    net = cs.Network("three areas")
    net.population("retina", sizes[0])
    for (name, kind), size, tau in zip(KINDS.items(), sizes[1:], (7.0, 11.0, 5.0), strict=True):
        net.population(name, size, activation=kind, tau_ms=tau)
    for pre, post in (("retina", "A"), ("A", "B"), ("B", "IT")):
        net.bottom_up(pre, post, plasticity="backprop")
    net.recurrent("B", "A", plasticity="backprop")
    net.recurrent("B", "B", plasticity="backprop")
    net.objective("IT", "cross_entropy")
    net = net.with_rule(word, **feedback)
    if skip:
        net.top_down("IT", "A", feedback="random")
    return net


def numbers(model):
    """Weights, biases and what carries credit of each projection, as arrays."""
    w = {n: v.detach().numpy().astype(float) for n, v in model.weights.items()}
    b = {n: v.detach().numpy().astype(float) for n, v in model.biases.items()}
    down = {
        p.name: model.feedback.matrix(p.name, model.weights.get(p.reverse_name)) for p in model.net.top_downs
    }
    return w, b, {n: v.detach().numpy().T for n, v in down.items()}


def courses(net, w, b, x, dt):
    """Drives and rates of every population after each step, from x (step, presentation, unit)."""
    a = {n: np.zeros((x.shape[1], net.populations[n].size)) for n in KINDS}
    seen = []
    for shown in x:
        r = {"retina": shown} | {n: F[k][0](a[n]) for n, k in KINDS.items()}
        new = {}
        for n in KINDS:
            drive = sum(r[p.pre] @ w[p.name].T for p in net.driving if p.post == n) + b[n]
            new[n] = a[n] + dt / net.populations[n].tau_ms * (drive - a[n])
        before, a = r, new
        seen.append((before, a, {n: F[k][0](a[n]) for n, k in KINDS.items()}))
    return seen


def changes(net, w, b, down, x, dt, c_top):
    """Changes by projection and population, and credits by population and step, by the recursion.

    ``c_top`` gives the credit of the top after each step, (presentation, unit), or None.
    """
    seen, count = courses(net, w, b, x, dt), x.shape[1]
    pace = {n: dt / net.populations[n].tau_ms for n in KINDS}
    later = {n: np.zeros((count, net.populations[n].size)) for n in KINDS}
    dw = {p.name: np.zeros_like(w[p.name]) for p in net.driving}
    db = {n: np.zeros_like(b[n]) for n in KINDS}
    credits = []
    for k in reversed(range(len(seen))):
        before, a, r = seen[k]
        c = {n: np.zeros_like(later[n]) for n in KINDS}
        given = c_top(k, r["IT"])
        if given is not None:
            c["IT"] = c["IT"] + given
        for p in net.top_downs:
            c[p.post] = c[p.post] + pace[p.pre] * later[p.pre] @ down[p.name]
        # later is λ of step k + 1; what stays of it within the unit joins the credit of this step
        later = {n: c[n] * F[KINDS[n]][1](a[n]) + (1 - pace[n]) * later[n] for n in KINDS}
        for p in net.driving:
            dw[p.name] += pace[p.post] * later[p.post].T @ before[p.pre] / count
        for n in KINDS:
            db[n] += pace[n] * later[n].mean(0)
        credits.insert(0, c)
    return dw, db, {n: np.stack([c[n] for c in credits], axis=1) for n in KINDS}


def autograd(net, w, b, x, y, dt, every, truncate=None):
    """Minus plain autograd's gradients, of the cross-entropy at the end of every ``every`` steps.

    With ``truncate``, the state is detached before each segment of so many steps.
    """
    w = {n: torch.tensor(v, requires_grad=True) for n, v in w.items()}
    b = {n: torch.tensor(v, requires_grad=True) for n, v in b.items()}
    a = {n: torch.zeros(x.shape[1], net.populations[n].size, dtype=torch.float64) for n in KINDS}
    total = 0.0
    for k, shown in enumerate(torch.tensor(x)):
        if truncate is not None and k % truncate == 0:
            a = {n: v.detach() for n, v in a.items()}
        r = {"retina": shown} | {n: TORCH[kind](a[n]) for n, kind in KINDS.items()}
        received = {n: b[n] for n in KINDS}
        for p in net.driving:
            received[p.post] = received[p.post] + r[p.pre] @ w[p.name].T
        a = {n: a[n] + dt / net.populations[n].tau_ms * (received[n] - a[n]) for n in KINDS}
        if (k + 1) % every == 0:
            labels = torch.tensor(y[:, (k + 1) // every - 1])
            total = total + torch.nn.functional.cross_entropy(a["IT"], labels) / y.shape[1]
    total.backward()
    grown = {n: torch.zeros_like(v) if v.grad is None else -v.grad for n, v in {**w, **b}.items()}
    return {n: v.numpy() for n, v in grown.items()}, float(total.detach())
