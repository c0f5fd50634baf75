"""A plain Euler loop of rate dynamics with one hidden chain, written from the equations, trial by trial."""

import numpy as np


class Chain:
    """retina -> V1 -> IT, tanh below and linear at the top; credit of the squared error by the transpose.

    τ ȧ = −a + W r + drive, τ_c ċ = −c + Wᵀ u, u = c ∘ f′(a), Ẇ = η u r: all from the state before the step.
    """

    def __init__(self, w, v, dt=1.0, tau=10.0):
        self.w, self.v, self.dt, self.tau = w.copy(), v.copy(), dt, tau
        self.rest()

    def rest(self):
        self.a, self.b = np.zeros(len(self.w)), np.zeros(len(self.v))
        self.c = np.zeros(len(self.w))

    def rates(self):
        return np.tanh(self.a), self.b

    def step(self, x, *, goal=None, strength=0.0, extra=0.0, eta=0.0, scale=1.0, credit=1.0, alive=1.0):
        """One step; ``extra`` drives V1, ``scale`` acts on V1->IT and ``credit`` on IT->V1."""
        share = self.dt / self.tau
        r, top = alive * np.tanh(self.a), self.b
        u_top = strength * (goal - top) if strength else np.zeros_like(top)
        u = alive * credit * self.c * (1 - np.tanh(self.a) ** 2)
        a = self.a + share * (-self.a + self.w @ x + extra)
        b = self.b + share * (-self.b + scale * (self.v @ r))
        c = self.c + share * (-self.c + self.v.T @ u_top)
        step = eta * self.dt / 1000
        self.w, self.v = self.w + step * np.outer(u, x), self.v + step * np.outer(u_top, r)
        self.a, self.b, self.c = a, b, c


def same_network(cs, seed=0):
    """The network that `Chain` is, its sizes distinct primes, and its initial weights."""
    net = cs.Network("chain")
    net.population("retina", 7)
    net.population("V1", 5, activation="tanh", bias=False)
    net.population("IT", 3, bias=False)
    net.bottom_up("retina", "V1", cs.Dense(init="xavier"), plasticity="backprop")
    net.bottom_up("V1", "IT", cs.Dense(init="xavier"), plasticity="backprop")
    net.objective("IT", "squared_error")
    net = net.with_rule("backprop")
    weights = net.initial_weights(seed)
    return net, weights["retina->V1"], weights["V1->IT"]
