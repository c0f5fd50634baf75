"""Leaky integrate-and-fire units and e-prop, one trial and step at a time: Bellec et al. (2020), Methods.

For networks source -> units (with recurrence) -> readout. Shares nothing with the package.
"""

import numpy as np


def trial(x, y, w, tau, tau_out, dt, theta, gamma, refractory, credit, memory="leak", exists=None):
    """Spikes, readout, changes, final ē and summed e of one trial.

    Parameters
    ----------
    x, y : arrays (step, unit)
        Spikes in; targets, NaN where there is none.
    w : dict of in (n, inputs), rec (n, n) or None, out (k, n), b (n,), b_out (k,), feedback (n, k)
    refractory : int
        Steps from a spike to the first that may have another.
    credit : callable
        ``credit(y, target)``.
    """
    n, k = len(w["in"]), len(w["out"])
    alpha, kappa = np.exp(-dt / tau), np.exp(-dt / tau_out)
    keeps, keeps_out = (alpha, kappa) if memory == "leak" else (0.0, 0.0)
    v, z, out, since = np.zeros(n), np.zeros(n), np.zeros(k), np.full(n, 10**6)
    names = ["in", "rec", "b"] if w["rec"] is not None else ["in", "b"]
    eps = {s: np.zeros_like(w[s], dtype=float) for s in names}
    bar = {s: np.zeros_like(w[s], dtype=float) for s in names}
    total = {s: np.zeros_like(w[s], dtype=float) for s in names}
    zbar, onebar = np.zeros(n), np.zeros(k)
    dw = {s: np.zeros_like(w[s], dtype=float) for s in [*names, "out", "b_out"]}
    due = np.isfinite(y).all(1).sum()
    spikes, outputs = [], []
    for t in range(len(x)):
        drive = np.array([sum(w["in"][i, j] * x[t, j] for j in range(x.shape[1])) for i in range(n)])
        if w["rec"] is not None:
            drive = drive + np.array([sum(w["rec"][i, j] * z[j] for j in range(n)) for i in range(n)])
        v = alpha * v + (1 - alpha) * w["b"] * theta + theta * drive - theta * z
        for i in range(n):
            for j in range(x.shape[1]):
                eps["in"][i, j] = keeps * eps["in"][i, j] + x[t, j]
            if w["rec"] is not None:
                for j in range(n):
                    eps["rec"][i, j] = keeps * eps["rec"][i, j] + z[j]
            eps["b"][i] = keeps * eps["b"][i] + (1 - alpha)
        since = np.where(z > 0, 1, since + 1)
        free = since >= refractory
        psi = np.where(free, gamma / theta * np.maximum(0, 1 - abs((v - theta) / theta)), 0)
        z = np.where(free & (v > theta), 1.0, 0.0)
        out = kappa * out + (1 - kappa) * w["b_out"] + w["out"] @ z
        zbar = keeps_out * zbar + z
        onebar = keeps_out * onebar + (1 - kappa)
        for s in names:
            e = (psi * theta)[:, None] * eps[s] if s != "b" else psi * theta * eps[s]
            bar[s] = keeps_out * bar[s] + e
            total[s] = total[s] + e
        if np.isfinite(y[t]).all():
            top = credit(out, y[t]) / due
            signal = w["feedback"] @ top
            for s in names:
                dw[s] += signal[:, None] * bar[s] if s != "b" else signal * bar[s]
            dw["out"] += np.outer(top, zbar)
            dw["b_out"] += top * onebar
        spikes.append(z)
        outputs.append(out)
    return np.array(spikes), np.array(outputs), dw, bar, total
