"""Presynaptic decorrelation from its equations, presentation by presentation, P one matrix of all units."""

import numpy as np

from cortex_sim.presynaptic.drawing import noise_of


class Reference:
    """Slow state of one projection's reading, and what its synapses read."""

    def __init__(self, inputs, *, s=0.7, c=1.0, local=False, group=None, memory=0.9, rate=0.03, sigma=0.1):
        self.s, self.c, self.local, self.memory, self.rate, self.sigma = s, c, local, memory, rate, sigma
        self.mean, self.p = np.zeros(inputs), np.eye(inputs)
        self.before, self.after, self.seen, self.count = 1.0, 1.0, 0.0, 0
        number = np.arange(inputs) // (group or inputs)
        self.together = number[:, None] == number[None, :]

    def matrix(self):
        """A of what is read, A (r − c r̄)."""
        scale = np.sqrt((self.before + 1e-12) / (self.after + 1e-12))
        return (1 - self.s) * np.eye(len(self.p)) + self.s * scale * self.p

    def read(self, r):
        return np.array([self.matrix() @ (one - self.c * self.mean) for one in r])

    def renew(self, r, noise, share=1.0):
        n, kept = r.shape[1], self.memory**share
        self.seen = kept * self.seen + (1 - kept)
        weight = (1 - kept) / self.seen
        self.mean = (1 - weight) * self.mean + weight * sum(r) / len(r)
        c, power = np.zeros((n, n)), 0.0
        for one, xi in zip(r, noise, strict=True):
            x = one - self.c * self.mean
            z = self.p @ (x + self.sigma * xi)
            c += np.outer(z, z) / len(r)
            power += x @ x / n / len(r)
        c = np.where(self.together, c, 0) / (np.trace(c) / n)
        kappa = share * self.rate / (1 + self.rate * np.sqrt((c * c).sum()))
        towards = c - np.diag(np.diag(c)) if self.local else c @ self.p - self.p
        self.p = self.p - kappa * towards
        after = sum(sum((self.p @ (one - self.c * self.mean)) ** 2) for one in r) / n / len(r)
        self.before = (1 - weight) * self.before + weight * power
        self.after = (1 - weight) * self.after + weight * after
        self.count += 1

    def renew_as(self, name, r, share=1.0):
        """With the noise of a projection of this name."""
        self.renew(r, noise_of(name, self.count, *r.shape), share)

    def assert_state(self, state, tolerance=1e-12):
        """That state as the package keeps it is this."""
        size = state["matrix"].shape[-1]
        blocks = [self.p[i : i + size, i : i + size] for i in range(0, len(self.p), size)]
        expected = {"mean": self.mean, "matrix": blocks, "power": self.before, "power_after": self.after}
        for name, values in {**expected, "seen": self.seen}.items():
            np.testing.assert_allclose(np.asarray(state[name]), values, rtol=0, atol=tolerance, err_msg=name)


class Chain:
    """retina -> V1 -> IT, tanh below and linear at the top, squared error, credit by the transpose; in time.

    τ ȧ = −a + W r, τ_c ċ = −c + Wᵀ u, u = c ∘ f′(a), Ẇ = η u x′ᵀ with what is read, x′, of r: all from the
    state before the step; then the readings.
    """

    def __init__(self, w, v, readings, names, dt=1.0, tau=10.0, update_ms=100.0):
        self.w, self.v, self.dt, self.tau, self.share = w.copy(), v.copy(), dt, tau, dt / update_ms
        self.readings, self.names = readings, names
        self.a, self.b, self.c = np.zeros(len(w)), np.zeros(len(v)), np.zeros(len(w))

    def step(self, x, goal, eta):
        pace, r, top = self.dt / self.tau, np.tanh(self.a), self.b
        u_top = goal - top if eta else np.zeros_like(top)
        u = self.c * (1 - r**2)
        a = self.a + pace * (-self.a + self.w @ x)
        b = self.b + pace * (-self.b + self.v @ r)
        c = self.c + pace * (-self.c + self.v.T @ u_top)
        if eta:
            below, above = (k.read(y[None])[0] for k, y in zip(self.readings, (x, r), strict=True))
            step = eta * self.dt / 1000
            self.w, self.v = self.w + step * np.outer(u, below), self.v + step * np.outer(u_top, above)
            for reading, name, y in zip(self.readings, self.names, (x, r), strict=True):
                reading.renew_as(name, y[None], self.share)
        self.a, self.b, self.c = a, b, c
