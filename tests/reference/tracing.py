"""E-prop written from its equations: one presentation, one step, one synapse at a time, in float64.

a[t+1] = a[t] + p (Σ W r[t] + b − a[t]) from rest, r = f(a); ε_ij[t+1] = k_i ε_ij[t] + p_i r_j[t] with
k_i = 1 − p_i (+ p_i w_ii f′(a_i[t]) where traces follow a unit's synapse onto itself); e = f′ ε;
ē[t+1] = (1 − p_L) ē[t] + p_L e[t]; Δw_ij = ⟨Σ_t (B c_L[t])_i ē_ij[t]⟩, at the top ⟨Σ_t c_L,i[t] e_ij[t]⟩.
A bias is a synapse whose pre rate is 1.
"""

import numpy as np
from loops import F


def changes(net, kinds, w, b, down, x, c_top, dt, memory="leak"):
    """Changes by projection and population.

    ``kinds`` names each population's activation, ``down`` holds B as (pre unit of the top, unit), ``x`` is
    (step, presentation, unit) of the one source, ``c_top(t, r)`` the top's credit (presentation, unit) after
    step t, or None.
    """
    top, (source,) = net.objective_at, net.stimulated
    pace = {n: 1.0 if memory == "none" else dt / net.populations[n].tau_ms for n in kinds}
    links = {p.name: p for p in net.driving}
    dw = {n: np.zeros_like(w[n]) for n in links}
    db = {n: np.zeros_like(b[n]) for n in kinds}
    count = x.shape[1]
    for presentation in range(count):
        a = {n: np.zeros(net.populations[n].size) for n in kinds}
        epsilon = {n: np.zeros_like(w[n]) for n in links} | {n: np.zeros((len(b[n]), 1)) for n in kinds}
        bar = {n: np.zeros_like(values) for n, values in epsilon.items()}
        for t, shown in enumerate(x[:, presentation]):
            read = {source: shown} | {n: F[kinds[n]][0](a[n]) for n in kinds}
            began = {n: F[kinds[n]][1](a[n]) for n in kinds}
            a = {
                n: a[n] + dt / net.populations[n].tau_ms
                * (sum(w[p.name] @ read[p.pre] for p in links.values() if p.post == n) + b[n] - a[n])
                for n in kinds
            }  # fmt: skip
            given = c_top(t, F[kinds[top]][0](a[top])[None], presentation)
            for name in epsilon:
                post = links[name].post if name in links else name
                r_pre = read[links[name].pre] if name in links else np.ones(1)
                own = sum(np.diag(w[p.name]) for p in links.values() if p.pre == p.post == post)
                for i, j in np.ndindex(epsilon[name].shape):
                    e = began[post][i] * epsilon[name][i, j]
                    bar[name][i, j] += pace[top] * (e - bar[name][i, j])
                    kept = 1 - pace[post]
                    if memory == "unit" and not np.isscalar(own):
                        kept += pace[post] * own[i] * began[post][i]
                    epsilon[name][i, j] = kept * epsilon[name][i, j] + pace[post] * r_pre[j]
                    if given is None:
                        continue
                    if post == top:
                        now = F[kinds[post]][1](a[post])
                        change = given[0, i] * now[i] * epsilon[name][i, j]
                    else:
                        change = given[0] @ down[f"{top}->{post}"][:, i] * bar[name][i, j]
                    if name in links:
                        dw[name][i, j] += change / count
                    else:
                        db[name][i] += change / count
    return dw, db
