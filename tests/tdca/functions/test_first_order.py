"""The rule of first order: against its equations point by point, Adam as its limit, and its controls."""

import math

import numpy as np
import pytest
import torch

from cortex_sim.errors import DeclarationError
from cortex_sim.tdca.functions.first_order import INPUTS, FirstOrder
from cortex_sim.tdca.functions.tasks import draw

FAMILIES = ("sphere", "levy", "rosenbrock")  # Ackley multiplies rounding errors by 50 a step
FORM = FirstOrder(hidden=5, points=3)


def tasks_of(n=4, each=2, names=FAMILIES):
    return draw(names, n, each, torch.Generator().manual_seed(3), torch.float64)


def trained_like(form=FORM, members=2, size=0.4):
    """Parameters at random, so that every one of them matters."""
    rng = np.random.default_rng(5)
    start = np.concatenate([form.draw(m)[name].ravel() for m in range(members) for name in form.shapes()])
    phi = torch.tensor(start.reshape(members, -1))
    return phi + size * torch.tensor(rng.normal(size=phi.shape))


def reference(form, named, tasks, i, generator, evaluations, control=None):
    """Values above the minimum (step, point) on task i, from the equations, one point at a time."""
    n, total, k = tasks.n, evaluations // form.points, form.points
    shape = (tasks.count, k, n)
    x = (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1)[i].numpy()
    keep = 1 / (1 + np.exp(-named["memories"]))
    mean, power, slow, change = (np.zeros((k, n)) for _ in range(4))
    own, own_value, spread, first, seen = x.copy(), np.full(k, np.inf), 0.0, None, []
    for step in range(total):
        time, lowest = step / total, float(tasks.lowest[i])
        at = tasks.only(i).measure(torch.tensor(x)[None])
        above, g = at[0][0].numpy(), at[1][0].numpy()
        seen.append(above)
        value = above + lowest
        for p in range(k):
            if value[p] < own_value[p]:
                own_value[p], own[p] = value[p], x[p]
        mean, power, slow = (
            keep[0] * mean + (1 - keep[0]) * g,
            keep[1] * power + (1 - keep[1]) * g**2,
            keep[2] * slow + (1 - keep[2]) * g,
        )
        m, v, s = (a / (1 - r ** (step + 1)) for a, r in zip((mean, power, slow), keep, strict=True))
        scaled, slowly = m / np.sqrt(v), s / np.sqrt(v)
        rate = np.exp(named["log_rate"]) * 10 ** (-named["fall"][0] * time)
        noise = torch.randn(shape, generator=generator, dtype=torch.float64)[i].numpy()
        size = np.sqrt((g**2).mean(1))
        first = size if first is None else first
        off = value - (own_value if control == "apart" else own_value.min())
        spread = np.maximum(0.9 * spread, off if control == "apart" else off.mean())
        new = np.empty_like(x)
        for p in range(k):
            for j in range(n):
                leader = own[p, j] if control == "apart" else own[own_value.argmin(), j]
                centre = x[p, j] if control == "apart" else x[:, j].mean()
                mine = spread[p] if control == "apart" else spread
                inputs = [scaled[p, j], g[p, j] / size[p], slowly[p, j]]
                for to in (leader, own[p, j], centre):
                    d = to - x[p, j]
                    inputs.append(d / (abs(d) + 3 * rate[p]))
                inputs += [
                    1 - 2 * time,
                    off[p] / (off[p] + mine) if off[p] + mine else 0.0,
                    np.clip(change[p, j], -5, 5) / 2,
                    noise[p, j],
                    np.clip(math.log(size[p] / first[p]) / 4, -3, 3),
                ]
                h = np.tanh(named["hidden"] @ np.array(inputs) + named["hidden_bias"])
                o1, o2 = named["outputs"] @ h + named["outputs_bias"]
                if control == "silent":
                    o1 = o2 = 0.0
                new[p, j] = rate[p] * (3 * o1 - scaled[p, j] * math.exp(np.clip(o2, -5, 2)))
        if control == "units":
            new = np.roll(new, 1, 1)
        if control != "quiet":
            middle = named["log_rate"].mean() + named["log_noise"][0]
            new = new + math.exp(middle) * 10 ** (-named["noise_fall"][0] * time) * noise
        change, x = new / rate[:, None], x + new
    return np.array(seen)


@pytest.mark.parametrize("control", [None, *FirstOrder.controls])
def test_equals_the_equations_point_by_point(control):
    tasks, phi = tasks_of(), trained_like()
    found = [above for above, _ in FORM.run(phi, tasks, 24, torch.Generator().manual_seed(9), control)]
    found = torch.stack(found, 2).numpy()  # (member, task, step, point)
    assert found.shape == (2, 6, 8, 3)
    for m in range(2):
        named = {name: p[m].numpy() for name, p in FORM.layout.split(phi).items()}
        for i in (0, 3, 5):
            wanted = reference(FORM, named, tasks, i, torch.Generator().manual_seed(9), 24, control)
            np.testing.assert_allclose(found[m, i], wanted, rtol=1e-6)


def test_before_training_it_is_adam_with_a_little_noise():
    """torch.optim.Adam from the same starts, without the noise."""
    form, tasks = FirstOrder(points=2, rate=0.05, fall=1.5), tasks_of(n=6)
    phi = form.layout.joined(form.draw(0))[None].double()
    runs = form.run(phi, tasks, 20, torch.Generator().manual_seed(1), "quiet")
    found = torch.stack([x[0] for _, x in runs])
    x = torch.nn.Parameter(found[0].clone())
    optimiser = torch.optim.Adam([x], lr=0.05, betas=(0.9, 0.99), eps=1e-12)
    for step, wanted in enumerate(found):
        torch.testing.assert_close(x.detach(), wanted, rtol=1e-5, atol=1e-5)
        x.grad = tasks.measure(x.detach())[1]
        optimiser.param_groups[0]["lr"] = 0.05 * 10 ** (-1.5 * step / 10)
        optimiser.step()


def test_about_183_parameters():
    assert FirstOrder().layout.count == 180 and len(INPUTS) == 11


def test_every_parameter_matters():
    tasks = tasks_of(n=3, each=1)
    phi = trained_like(members=1)
    base = [v for v, _ in FORM.run(phi, tasks, 12, torch.Generator().manual_seed(1))][-1]
    moved = phi.repeat(phi.shape[1], 1) + 0.1 * torch.eye(phi.shape[1], dtype=phi.dtype)
    last = [v for v, _ in FORM.run(moved, tasks, 12, torch.Generator().manual_seed(1))][-1]
    assert bool(((last - base).abs().amax((1, 2)) > 0).all())


def test_scale_offset_and_place_of_a_function_do_not_matter():
    """Nothing but differences and ratios of values is read."""
    tasks, phi = tasks_of(each=1), trained_like()
    from dataclasses import replace

    other = replace(tasks, scale=1e3 * tasks.scale, lowest=5e3 * tasks.lowest + 7)
    one, two = (
        [x for _, x in FORM.run(phi, t, 30, torch.Generator().manual_seed(2))][-1] for t in (tasks, other)
    )
    torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-6)


def test_members_and_tasks_do_not_interact():
    tasks, phi = tasks_of(each=1), trained_like()
    both = [v for v, _ in FORM.run(phi, tasks, 24, torch.Generator().manual_seed(2))][-1]
    one = [v for v, _ in FORM.run(phi[1:], tasks, 24, torch.Generator().manual_seed(2))][-1]
    torch.testing.assert_close(both[1:], one)


def test_what_does_not_fit_is_refused():
    with pytest.raises(DeclarationError, match="unknown control 'silence' .did you mean 'silent'"):
        next(FORM.run(trained_like(), tasks_of(), 8, torch.Generator(), "silence"))
    for wrong in ({"points": 0}, {"hidden": 1.5}, {"rate": -1.0}, {"noise": 0.0}, {"fall": math.nan}):
        with pytest.raises(DeclarationError, match=f"FirstOrder: {next(iter(wrong))} must be"):
            FirstOrder(**wrong)
