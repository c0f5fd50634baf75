"""Inner runs in windows and whole: their meta-gradient, their fates, their twins, their state."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from networks import Spread, dense_chain
from torch.nn.functional import one_hot, softplus

from cortex_sim.credit import DenseCredit
from cortex_sim.errors import DeclarationError
from cortex_sim.tdca.inner.architecture import architecture
from cortex_sim.tdca.inner.cohort import Cohort, layout, start
from cortex_sim.tdca.inner.inner_runs import PersistentRuns, Span, WholeRuns, clipped
from cortex_sim.tdca.inner.rules import Direct, TopDownCredit
from cortex_sim.tdca.inner.step import Adam, Mixed, Plain
from cortex_sim.tdca.tasks.settings import tasks_from

SIZES = (5, 7, 3)
STEPS = {"mixed": Mixed(0.01, 0.002), "adam": Adam(0.002), "plain": Plain(0.1)}
WHOLE = Span(shortest=3, longest=3, window=3, batch=4, validation=6)
SHORT = Span(shortest=2, longest=8, window=2, batch=4, validation=6)


def body_of(sizes=SIZES, activation="tanh"):
    return architecture(dense_chain(sizes, activation, Spread(0.1, 0.3)).with_rule("backprop"))


def tasks():
    return tasks_from({"kind": "teacher", "widths": [SIZES[0], 4, SIZES[-1]]})


def credit(**settings):
    return TopDownCredit(DenseCredit(SIZES[-1], channels=2, hidden=3, **settings))


def persistent(rule=None, step=STEPS["mixed"], count=4, span=SHORT, seed=0, **settings):
    return PersistentRuns(body_of(), rule or credit(), step, tasks(), count, span, seed, **settings)


def phi_of(rule, step, dtype=torch.float64):
    """Outer parameters off their start, so that no slope is zero by symmetry."""
    phi = layout(rule, step, body_of()).joined(start(rule, step, 3, body_of())).to(dtype)
    return phi + 0.05 * torch.randn(len(phi), generator=torch.Generator().manual_seed(1), dtype=dtype)


class Watched:
    """Tasks that keep what they have shown; everything else is as of the tasks."""

    def __init__(self, inner, shown):
        self.inner, self.seen = inner, shown

    def draw(self, runs, generator):
        return Watched(self.inner.draw(runs, generator), self.seen)

    def redraw(self, slots, generator):
        return Watched(self.inner.redraw(slots, generator), self.seen)

    def presentations(self, batch, part, generator, *among):
        x, y = self.inner.presentations(batch, part, generator, *among)
        self.seen.append((part, x, y))
        return x, y


@contextmanager
def watched_starts(found):
    real = Cohort.begin

    def begin(self, *given):
        real(self, *given)
        found.append([[t.clone() for t in ts] for ts in (self.weights, self.biases, self.fixed)])

    Cohort.begin = begin
    try:
        yield
    finally:
        Cohort.begin = real


def whole_run(phi, rule, step, weights, biases, fixed, shown, lengths):
    """Objective of one inner run of 3 steps, from the equations, for torch's autograd to go through."""
    named = layout(rule, step, body_of()).split(phi)
    (w1, w2), (b1, b2), (spread,) = weights, biases, fixed
    ws, means = [w1, w2, b1, b2], [(0.0, 0.0)] * 4
    energy, total = [0.0, 0.0], 0.0
    for t, (_, x, y) in enumerate(shown[:-1]):
        hidden = torch.tanh(x @ ws[0].T + ws[2])
        top = hidden @ ws[1].T + ws[3]
        total = total - (y * torch.log_softmax(top, 1)).sum(1).mean() / 3
        e = y - torch.softmax(top, 1)
        size = (e**2).mean(1, keepdim=True).add(1e-12).sqrt()
        h = torch.tanh(torch.cat([e, y], 1) @ named["context"].T + named["context_bias"])
        h = torch.tanh(h @ named["hidden"].T + named["hidden_bias"])
        c_top = e + size * (h @ named["top"].T)
        g = e @ named["broadcast_0"].T + size * (h @ named["channels_0"].T)
        loudness = [(v**2).mean(1, keepdim=True).add(1e-12).sqrt() for v in (c_top, g)]
        c = (g * loudness[0] / loudness[1]) @ spread.T
        changes = []
        for u, pre in ((c * (1 - hidden**2), x), (c_top, hidden)):
            changes.append((u.T @ pre / len(x), u.mean(0), pre))
        left = 0.5 * (1 + np.cos(np.pi * t / lengths))
        power = softplus(named["step_fall"] + np.log(np.e - 1))
        rate = named["step_rate"]
        eta = torch.exp(rate[..., 0] + rate[..., 1] * np.log(lengths / 100)) * left**power
        for layer, (dw, db, pre) in enumerate(changes):
            energy[layer] = 0.9 * energy[layer] + 0.1 * ((pre**2).sum(1).mean() + 1)
            fan_in = (196 / pre.shape[1]) ** 0.5
            for i, change in ((layer, dw), (layer + 2, db)):
                m, v = means[i]
                m, v = 0.9 * m + 0.1 * change, 0.99 * v + 0.01 * change**2
                means[i] = m, v
                m, v = m / (1 - 0.9 ** (t + 1)), v / (1 - 0.99 ** (t + 1))
                moved = fan_in * m / (v + 1e-12).sqrt()
                normed = 30 * change * (1 - 0.9 ** (t + 1)) / energy[layer]
                taken = {"plain": [change], "adam": [moved], "mixed": [normed, moved]}
                parts = next(taken[name] for name, known in STEPS.items() if known is step)
                ws[i] = ws[i] + sum(eta[layer, part] * p for part, p in enumerate(parts))
    _, x, y = shown[-1]
    top = torch.tanh(x @ ws[0].T + ws[2]) @ ws[1].T + ws[3]
    return total - (y * torch.log_softmax(top, 1)).sum(1).mean()


def unrolled(step, each):
    """Gradient of the mean objective by `PersistentRuns`, and by `whole_run` on what it was given."""
    rule, starts, shown, count = credit(), [], [], 3
    runs = PersistentRuns(
        body_of(), rule, step, Watched(tasks(), shown), count, WHOLE, 5, dtype=torch.float64
    )
    phi = phi_of(rule, step)
    own = (phi.expand(count, -1) if each else phi).clone().requires_grad_(True)
    with watched_starts(starts):
        window = runs.unroll(own)
    assert window.contained == 0 and window.begins.all()
    (gradient,) = torch.autograd.grad(window.loss.mean(), own)
    ((weights, biases, fixed),) = starts

    def by_hand(phi):
        losses = []
        for i in range(count):
            mine = [(part, x[i].double(), y[i].double()) for part, x, y in shown]
            b = [b[i, 0] for b in biases]
            parts = [w[i] for w in weights], b, [f[i] for f in fixed]
            losses.append(whole_run(phi[i] if phi.dim() == 2 else phi, rule, step, *parts, mine, 3.0))
        return torch.stack(losses)

    return own.detach(), window.loss, gradient, by_hand


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("name", STEPS)
def test_meta_gradient_is_autograd_through_the_whole_unroll(name, each):
    phi, loss, gradient, by_hand = unrolled(STEPS[name], each)
    other = phi.clone().requires_grad_(True)
    losses = by_hand(other)
    torch.testing.assert_close(loss, losses, rtol=1e-10, atol=0)
    (wanted,) = torch.autograd.grad(losses.mean(), other)
    torch.testing.assert_close(gradient, wanted, rtol=1e-7, atol=1e-11)
    assert (wanted.abs() > 1e-9).double().mean() > 0.9


@pytest.mark.parametrize("name", STEPS)
def test_meta_gradient_is_the_slope_of_the_objective(name):
    phi, _, gradient, by_hand = unrolled(STEPS[name], each=False)
    for i in range(0, len(phi), 5):
        h = 1e-5 * torch.nn.functional.one_hot(torch.tensor(i), len(phi))
        slope = (by_hand(phi + h).mean() - by_hand(phi - h).mean()) / 2e-5
        torch.testing.assert_close(gradient[i], slope, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", STEPS)
def test_phi_of_each_life_alike_is_phi_shared(name):
    shared, own = (persistent(step=STEPS[name], dtype=torch.float64) for _ in range(2))
    phi = phi_of(credit(), STEPS[name])
    for _ in range(5):
        torch.testing.assert_close(
            shared.unroll(phi).loss, own.unroll(phi.expand(4, -1)).loss, rtol=1e-10, atol=0
        )
    for one, other in zip(shared.cohort.weights, own.cohort.weights, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_an_exploding_life_harms_itself_alone():
    rule, step = credit(), STEPS["mixed"]
    fine, harmed = (persistent(rule, step, count=5) for _ in range(2))
    phi = phi_of(rule, step, torch.float32).expand(5, -1).clone()
    mad = phi.clone()
    mad[2, -sum(p.size for p in step.draw().values())] = 100.0  # log of a rate
    others = torch.tensor([0, 1, 3, 4])
    with torch.no_grad():
        one, other = fine.unroll(phi), harmed.unroll(mad)
    assert torch.equal(one.loss[others], other.loss[others])
    assert other.contained > one.contained == 0
    assert torch.isfinite(other.loss).all()
    worst = np.log(2 * SIZES[-1])
    assert other.loss[2] > worst  # a step and the validation, both at the clip
    for a, b in zip(fine.cohort.weights, harmed.cohort.weights, strict=True):
        assert torch.equal(a[others], b[others])
        assert not torch.equal(a[2], b[2])


def test_a_life_whose_weights_are_nan_is_reborn():
    rule, step = credit(), STEPS["mixed"]
    runs = persistent(rule, step, span=Span(shortest=50, longest=50, window=5, batch=4, validation=6))
    phi = phi_of(rule, step, torch.float32)
    with torch.no_grad():
        runs.unroll(phi)
        assert not runs.due().any()
        runs.cohort.weights[0][1] = torch.nan
        assert runs.due().tolist() == [False, True, False, False]
        window = runs.unroll(phi)
    assert window.begins.tolist() == [False, True, False, False]
    assert window.contained == 0 and torch.isfinite(window.loss).all()
    assert runs.cohort.done.tolist() == [10, 5, 10, 10]


def test_one_of_a_pair_takes_its_twin_along():
    runs = persistent(count=4, twins=True, span=Span(50, 50, 5, 4, 6))
    with torch.no_grad():
        runs.unroll(phi_of(credit(), STEPS["mixed"], torch.float32))
    runs.cohort.weights[1][2] = torch.inf
    assert runs.due().tolist() == [False, False, True, True]


def test_losses_are_clipped():
    given = torch.tensor([0.5, torch.nan, torch.inf, 7.0, -torch.inf])
    assert clipped(given, 2.0)[:4].tolist() == [0.5, 2.0, 2.0, 2.0]


def test_relative_objectives_count_by_their_logarithm():
    one = Span(shortest=1, longest=1, window=1, batch=4, validation=6, validation_weight=0)
    log = Span(shortest=1, longest=1, window=1, batch=4, validation=6, validation_weight=0, relative=True)
    phi = phi_of(credit(), STEPS["mixed"], torch.float32)
    plain, relative = (persistent(span=span).unroll(phi).loss for span in (one, log))
    torch.testing.assert_close(relative, torch.log(plain + 0.01))
    members = phi_of(Direct(), STEPS["mixed"], torch.float32)[None]
    plain, relative = (
        WholeRuns(body_of(), Direct(), STEPS["mixed"], tasks(), 1, span).fitness(
            members, torch.Generator().manual_seed(0)
        )
        for span in (one, log)
    )
    torch.testing.assert_close(relative, torch.log(plain + 0.01))


def test_twins_are_equal_under_equal_phi_and_only_then():
    runs = persistent(count=6, twins=True)
    phi = phi_of(credit(), STEPS["mixed"], torch.float32).expand(6, -1).clone()
    starts = []
    with torch.no_grad():
        for _ in range(6):
            window = runs.unroll(phi)
            starts.append(window.begins.clone())
            assert torch.equal(window.loss[0::2], window.loss[1::2])
        assert len(set(window.loss.tolist())) == 3
        phi[0] += 0.01
        window = runs.unroll(phi)
    assert window.loss[0] != window.loss[1] and torch.equal(window.loss[2::2], window.loss[3::2])
    assert not torch.stack(starts).all()  # inner runs of several windows


def test_a_life_that_ends_is_followed_by_another_on_another_task():
    runs = persistent()
    phi = phi_of(credit(), STEPS["mixed"], torch.float32)
    tasks, saw = None, 0
    with torch.no_grad():
        for _ in range(8):
            due = runs.due()
            window = runs.unroll(phi)
            assert torch.equal(window.begins, due)
            now = runs.tasks.state()["weights_1"]
            if tasks is not None:
                changed = (now != tasks).flatten(1).any(1)
                assert torch.equal(changed, due)
                saw += int(due.sum())
            tasks = now.clone()
            assert (runs.cohort.done <= runs.cohort.length).all()
    assert 0 < saw < 28


@pytest.mark.parametrize("twins", [False, True])
@pytest.mark.parametrize("name", STEPS)
def test_a_restored_cohort_goes_on_bit_for_bit(name, twins):
    one, other = (persistent(step=STEPS[name], twins=twins, seed=seed) for seed in (0, 1))
    phi = phi_of(credit(), STEPS[name], torch.float32)
    with torch.no_grad():
        for _ in range(3):
            one.unroll(phi)
        saved = {k: v.clone() for k, v in one.state().items()}
        went_on = [one.unroll(phi).loss for _ in range(5)]
        other.unroll(phi)
        other.restore(saved)
        assert torch.equal(torch.stack(went_on), torch.stack([other.unroll(phi).loss for _ in range(5)]))
    for key, value in one.state().items():
        assert torch.equal(value, other.state()[key]), key


def test_lengths_are_whole_windows_spread_evenly_over_their_logarithm():
    lengths = Span(20, 1000, 20).lengths(4000, torch.Generator().manual_seed(0))
    assert (lengths % 20 == 0).all() and lengths.min() == 20 and lengths.max() == 1000
    middle = np.sqrt(20 * 1000)
    np.testing.assert_allclose((lengths < middle).double().mean(), 0.5, atol=0.04)


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"window": 0}, "window must be a whole number of at least 1"),
        ({"shortest": 30, "longest": 20}, "longest must be a whole number of at least 30"),
        ({"batch": 2.5}, "batch must be a whole number"),
        ({"validation_weight": -1}, "validation_weight must be 0 or more"),
    ],
)
def test_impossible_spans_are_refused(wrong, said):
    with pytest.raises(DeclarationError, match=said):
        Span(**wrong)


def whole_runs(seen, runs=2):
    return WholeRuns(body_of(), Direct(), STEPS["mixed"], Watched(tasks(), seen), runs, SHORT)


def test_all_members_live_the_same_lives():
    seen = []
    runs = whole_runs(seen)
    phi = phi_of(Direct(), STEPS["mixed"], torch.float32)
    members = torch.stack([phi, phi + 0.1, phi])
    fitness = runs.fitness(members, torch.Generator().manual_seed(0))
    assert fitness.shape == (3,)
    assert fitness[0] == fitness[2] != fitness[1]
    assert all(len(x) == 2 for _, x, _ in seen)  # a task for each inner run, none for each member
    alone = runs.fitness(members[1:2], torch.Generator().manual_seed(0))
    torch.testing.assert_close(alone[0], fitness[1], rtol=1e-5, atol=0)


def test_fitness_is_the_mean_over_steps_and_validation_at_the_end():
    seen, starts = [], []
    runs = whole_runs(seen, runs=1)
    phi = phi_of(Direct(), STEPS["mixed"], torch.float32)
    with watched_starts(starts):
        fitness = runs.fitness(phi[None], torch.Generator().manual_seed(4))
    ((weights, biases, fixed),) = starts
    cohort = Cohort(runs.body, runs.rule, runs.step, 1)
    cohort.weights, cohort.biases, cohort.fixed = weights, biases, fixed
    trained = [(x, y) for part, x, y in seen if part == "train"]
    cohort.length[:] = len(trained)
    losses = [float(cohort.advance(runs.layout.split(phi), x, y)) for x, y in trained]
    (_, x, y) = seen[-1]
    assert seen[-1][0] == "validation"
    final = -(y * torch.log_softmax(cohort.settle(x), -1)).sum(-1).mean()
    np.testing.assert_allclose(float(fitness), np.mean(losses) + float(final), rtol=1e-5)


def test_a_member_that_explodes_is_contained():
    runs = whole_runs([])
    phi = phi_of(Direct(), STEPS["mixed"], torch.float32)
    mad = phi.clone()
    mad[0] = 100.0
    fitness = runs.fitness(torch.stack([phi, mad]), torch.Generator().manual_seed(0))
    assert torch.isfinite(fitness).all() and fitness[1] > np.log(2 * SIZES[-1]) and runs.contained > 0
    alone = whole_runs([]).fitness(phi[None], torch.Generator().manual_seed(0))
    torch.testing.assert_close(alone[0], fitness[0], rtol=1e-5, atol=0)


def test_objective_and_its_credit():
    body = body_of()
    top = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    goal = one_hot(torch.arange(10).reshape(2, 5) % 3, 3).double()
    error, credit_of_top = body.judged(top, goal)
    assert error.shape == (2, 5)
    (gradient,) = torch.autograd.grad(error.sum(), top)
    torch.testing.assert_close(credit_of_top, -gradient)
    np.testing.assert_allclose(body.worst, np.log(6))
