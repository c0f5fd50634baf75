"""Euler steps of the rate equations for dense networks, population by population, written from the text:

tau da/dt = -a + sum W r + b;   tau_c dc/dt = -alpha c + W'(u - W c)   or   -c + B u;   u = c f'(a).
"""

import numpy as np
from graphs import ACTIVATIONS


def softmax(r):
    grown = np.exp(r - r.max())
    return grown / grown.sum()


class Reference:
    """One presentation of a dense network; weights by name, ``free`` B, ``alpha`` None for transposes."""

    def __init__(self, net, weights, free, alpha, dt_ms, tau_c_ms=10.0):
        self.net, self.w, self.free, self.alpha = net, weights, free, alpha
        self.dt, self.tau_c = dt_ms, tau_c_ms
        hidden = [n for n in net.populations if n not in net.stimulated]
        self.a = {n: np.zeros(net.populations[n].size) for n in hidden}
        self.b = {n: np.zeros(net.populations[n].size) for n in hidden}
        self.c = {p.name: np.zeros(net.populations[p.post].size) for p in net.top_downs}

    def rate(self, name, x):
        if name in self.net.stimulated:
            return x
        return ACTIVATIONS[type(self.net.populations[name].activation).__name__][0](self.a[name])

    def gain(self, name):
        return ACTIVATIONS[type(self.net.populations[name].activation).__name__][1](self.a[name])

    def credit(self, name, r, label):
        total = sum((self.c[p.name] for p in self.net.credit_inputs(name)), np.zeros(len(r)))
        if name == self.net.objective_at and label is not None:
            total = total + np.eye(len(r))[label] - softmax(r)
        return total

    def step(self, x, label, eta=0.0):
        r = {n: self.rate(n, x) for n in self.net.populations}
        c = {n: self.credit(n, r[n], label) for n in self.a}
        u = {n: c[n] * self.gain(n) for n in self.a}
        moved_a, moved_c, moved_w, moved_b = {}, {}, {}, {}
        for n in self.a:
            drive = self.b[n] + sum(self.w[p.name] @ r[p.pre] for p in self.net.inputs(n))
            tau = self.net.populations[n].tau_ms
            moved_a[n] = self.dt / tau * (drive - self.a[n])
            moved_b[n] = eta * self.dt * 1e-3 * u[n]
        for p in self.net.top_downs:
            here = self.c[p.name]
            if p.name in self.free:
                speed = -here + self.free[p.name] @ u[p.pre]
            else:
                w = self.w[p.reverse_name]
                if self.alpha is None:
                    speed = -here + w.T @ u[p.pre]
                else:
                    speed = -self.alpha * here + w.T @ (u[p.pre] - w @ here)
            moved_c[p.name] = self.dt / self.tau_c * speed
        for p in self.net.bottom_ups:
            moved_w[p.name] = eta * self.dt * 1e-3 * np.outer(u[p.post], r[p.pre])
        for kept, moved in ((self.a, moved_a), (self.c, moved_c), (self.w, moved_w), (self.b, moved_b)):
            for name, change in moved.items():
                kept[name] = kept[name] + change
