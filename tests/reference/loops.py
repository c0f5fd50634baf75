"""Networks with loops, and their Euler steps written from the text, one presentation at a time:

tau da/dt = -a + sum W r + b - L r + external,   tau dg/dt = -g + sum W r,   r = max(0, 1 + g) f(a).
"""

import numpy as np

import cortex_sim as cs

F = {
    "tanh": (np.tanh, lambda a: 1 - np.tanh(a) ** 2),
    "logistic": (lambda a: 1 / (1 + np.exp(-a)), lambda a: np.exp(-a) / (1 + np.exp(-a)) ** 2),
    "relu": (lambda a: np.maximum(a, 0), lambda a: 1.0 * (a > 0)),
    "softplus": (lambda a: np.log1p(np.exp(a)), lambda a: 1 / (1 + np.exp(-a))),
    "linear": (lambda a: a, lambda a: np.ones_like(a)),
    "leaky_relu": (lambda a: np.where(a > 0, a, 0.1 * a), lambda a: np.where(a > 0, 1, 0.1)),
}


def two_areas(plasticity=None, first="tanh", second="softplus", gain=False, lateral=True):
    """A drives B bottom-up and B drives A back; A also itself, and has a lateral projection."""
    net = cs.Network("two areas")
    net.population("retina", 7)
    net.population("A", 5, activation=first, tau_ms=7.0)
    net.population("B", 3, activation=second, tau_ms=13.0)
    net.bottom_up("retina", "A", cs.Dense(init="xavier"), plasticity=plasticity)
    net.bottom_up("A", "B", cs.Dense(init="xavier"), plasticity=plasticity)
    net.recurrent("B", "A", cs.Dense(init="xavier"), plasticity=plasticity)
    net.recurrent("A", "A", cs.Dense(init="xavier"), plasticity=plasticity)
    if lateral:
        drawn = 0.3 * np.random.default_rng(3).normal(size=(5, 5))
        net.lateral("A", weights=drawn - np.diag(np.diag(drawn)), plasticity=cs.Decorrelation())
    if gain:
        net.top_down("B", "A", effect="gain", connector=cs.Dense(init="xavier"), plasticity=plasticity)
    return net


class ByHand:
    """One presentation; ``w`` by projection, ``kinds`` the activations' names by population."""

    def __init__(self, net, w, kinds, dt_ms, growth=None):
        self.net, self.kinds, self.dt, self.growth = net, kinds, dt_ms, growth
        self.w = {name: values.copy() for name, values in w.items()}
        sizes = {name: net.populations[name].size for name in kinds}
        self.a = {name: np.zeros(size) for name, size in sizes.items()}
        self.g = {name: np.zeros(size) for name, size in sizes.items()}

    def rates(self, x):
        found = dict(x)
        for name, kind in self.kinds.items():
            found[name] = np.maximum(0, 1 + self.g[name]) * F[kind][0](self.a[name])
        return found

    def step(self, x, eta=0.0, external=None):
        r = self.rates(x)
        moved_a, moved_g, moved_w = {}, {}, {}
        for name in self.kinds:
            drive = np.zeros(len(self.a[name])) if external is None else external.get(name, 0.0)
            gain = np.zeros(len(self.a[name]))
            for p in self.net.projections.values():
                if p.post != name or p.kind == "top_down":
                    continue
                signal = self.w[p.name] @ r[p.pre]
                if p.kind == "gain":
                    gain = gain + signal
                else:
                    drive = drive + (-signal if p.kind == "lateral" else signal)
            tau = self.net.populations[name].tau_ms
            moved_a[name] = self.dt / tau * (drive - self.a[name])
            moved_g[name] = self.dt / tau * (gain - self.g[name])
        for p in self.net.projections.values():
            if p.plasticity is not None:
                dw = np.zeros_like(self.w[p.name])
                for i, j in np.ndindex(dw.shape):
                    if p.kind == "lateral":
                        dw[i, j] = 0.0 if i == j else r[p.post][i] * r[p.pre][j]
                    else:
                        dw[i, j] = self.growth(self.w[p.name][i, j], r[p.pre][j], r[p.post][i])
                moved_w[p.name] = eta * self.dt * 1e-3 * dw
        for kept, moved in ((self.a, moved_a), (self.g, moved_g), (self.w, moved_w)):
            for name, change in moved.items():
                kept[name] = kept[name] + change
