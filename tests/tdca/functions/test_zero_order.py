"""The rule of zero order: against the equations, SNES as its limit, and values as all that it reads."""

import math

import numpy as np
import pytest
import torch

from cortex_sim.errors import DeclarationError
from cortex_sim.tdca.functions.tasks import draw
from cortex_sim.tdca.functions.zero_order import ZeroOrder, utilities

FORM = ZeroOrder(hidden=4, samples=6)


def tasks_of(n=4, each=2):
    return draw(("sphere", "levy"), n, each, torch.Generator().manual_seed(3), torch.float64)


def trained_like(members=2):
    rng = np.random.default_rng(5)
    start = np.stack([np.concatenate([p.ravel() for p in FORM.draw(m).values()]) for m in range(members)])
    return torch.tensor(start + 0.4 * rng.normal(size=start.shape))


def reference(named, tasks, i, generator, evaluations, control=None):
    """Samples' values above the minimum (step, sample) on task i, from the equations."""
    n, k, total = tasks.n, FORM.samples, evaluations // FORM.samples
    mu = (2 * torch.rand(tasks.count, n, generator=generator, dtype=torch.float64) - 1)[i].numpy()
    begun = named["log_sigma"][0] + named["log_sigma"][1] * math.log(n / 10)
    log_sigma, change, lowest, seen = np.full(n, begun), np.zeros(n), np.inf, []
    raw = np.maximum(0, math.log(k / 2 + 1) - np.log(np.arange(1, k + 1)))
    ranked = raw / raw.sum() - 1 / k
    eta, eta_sigma = np.exp(named["log_rates"])
    momentum = 1 / (1 + math.exp(-named["momentum"][0]))
    for step in range(total):
        eps = torch.randn(tasks.count, k, n, generator=generator, dtype=torch.float64)[i].numpy()
        x = mu + np.exp(log_sigma) * eps
        above = tasks.only(i).measure(torch.tensor(x)[None])[0][0].numpy()
        seen.append(above)
        value = above + float(tasks.lowest[i])
        rank = np.array([(value < v).sum() for v in value])
        w, v = np.empty(k), np.empty(k)
        for s in range(k):
            inputs = [
                2 * rank[s] / (k - 1) - 1,
                ranked[rank[s]] * k,
                np.clip((value[s] - value.mean()) / value.std(ddof=1), -3, 3),
                ((eps[s] ** 2).mean() - 1) * math.sqrt(n / 2),
                eps[s] @ change / np.linalg.norm(change) if step else 0.0,
                float(value[s] < lowest),
                1 - 2 * step / total,
                (log_sigma - begun).mean() / 4,
            ]
            o = named["outputs"] @ np.tanh(named["hidden"] @ np.array(inputs) + named["hidden_bias"])
            o = o + named["outputs_bias"]
            if control == "silent":
                o = np.zeros(2)
            w[s], v[s] = ranked[rank[s]] + o[0] / k, ranked[rank[s]] + o[1] / k
        if control == "samples":
            w, v = np.roll(w, 1), np.roll(v, 1)
        change = eta * w @ eps + momentum * change
        credit = np.exp(log_sigma) * change
        mu = mu + (np.roll(credit, 1) if control == "units" else credit)
        grow = 0.5 * eta_sigma * (3 + math.log(n)) / (5 * math.sqrt(n)) * (v @ (eps**2 - 1))
        log_sigma, lowest = log_sigma + np.clip(grow, -1, 1), min(lowest, value.min())
    return np.array(seen)


@pytest.mark.parametrize("control", [None, *ZeroOrder.controls])
def test_equals_the_equations_sample_by_sample(control):
    tasks, phi = tasks_of(), trained_like()
    found = [above for above, _ in FORM.run(phi, tasks, 42, torch.Generator().manual_seed(9), control)]
    found = torch.stack(found, 2).numpy()
    assert found.shape == (2, 4, 7, 6)
    for m in range(2):
        named = {name: p[m].numpy() for name, p in FORM.layout.split(phi).items()}
        for i in (0, 3):
            wanted = reference(named, tasks, i, torch.Generator().manual_seed(9), 42, control)
            np.testing.assert_allclose(found[m, i], wanted, rtol=1e-7)


def test_utilities_are_those_of_snes():
    found = utilities(8, torch.zeros(1, dtype=torch.float64)).numpy()
    assert found.sum() == pytest.approx(0) and (np.diff(found) <= 0).all() and found[4] == -1 / 8


def test_values_are_all_that_it_reads(monkeypatch):
    """Gradients of NaN change nothing."""
    from cortex_sim.tdca.functions.tasks import Tasks

    tasks, phi = tasks_of(), trained_like()
    once = [x for _, x in FORM.run(phi, tasks, 30, torch.Generator().manual_seed(1))][-1]
    real = Tasks.measure
    monkeypatch.setattr(Tasks, "measure", lambda self, x: (real(self, x)[0], torch.full_like(x, torch.nan)))
    again = [x for _, x in FORM.run(phi, tasks, 30, torch.Generator().manual_seed(1))][-1]
    assert torch.equal(once, again)


def test_a_value_that_is_not_a_number_counts_as_the_worst(monkeypatch):
    from cortex_sim.tdca.functions.tasks import Tasks

    tasks, phi, real = tasks_of(), trained_like(), Tasks.measure

    def broken(self, x):
        above, slope = real(self, x)
        above = above.clone()
        above[..., 0] = torch.nan
        return above, slope

    monkeypatch.setattr(Tasks, "measure", broken)
    last = [x for _, x in FORM.run(phi, tasks, 60, torch.Generator().manual_seed(1))][-1]
    assert bool(torch.isfinite(last).all())


def test_what_does_not_fit_is_refused():
    with pytest.raises(DeclarationError, match="unknown control 'apart'"):
        next(FORM.run(trained_like(), tasks_of(), 12, torch.Generator(), "apart"))
    for wrong in ({"samples": 3}, {"hidden": 0}, {"sigma": 0.0}, {"rate": -1.0}, {"sigma_rate": math.inf}):
        with pytest.raises(DeclarationError, match=f"ZeroOrder: {next(iter(wrong))} must be"):
            ZeroOrder(**wrong)
