"""Time bins without a target: NaN target rates, no error there; against autograd of the masked objective."""

import numpy as np
import pytest
import torch
from unrolled import KINDS, TORCH, numbers, three_areas

import cortex_sim as cs

DT, SIZES, BINS, EACH = 2.0, (7, 5, 4, 3), 4, 3
STEPS = cs.torch.Unrolled(BINS * EACH, DT)


def built(objective="cross_entropy", word="backprop", seed=1, **settings):
    net = three_areas(SIZES, word=word, **settings)
    net.objective_at = None
    net.objective("IT", objective)
    model = cs.torch.build(net, seed, precision="64", settling=STEPS)
    rng = np.random.default_rng(seed)
    model.set_biases({n: 0.3 * rng.normal(size=v.shape) for n, v in model.biases.items()})
    return model


def data(seed, count=6, one_hot=False):
    """Stimuli, and targets of which a third of the bins are missing; presentation 2 has none, 3 all."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, BINS, SIZES[0]))
    y = np.eye(3)[rng.integers(0, 3, size=(count, BINS))] if one_hot else rng.normal(size=(count, BINS, 3))
    known = rng.random((count, BINS)) > 1 / 3
    known[2], known[3], known[0] = False, True, [True, False, False, True]
    y[~known] = np.nan
    return x, y, known


def masked(model, x, y, known, error):
    """Minus autograd's gradients of the mean over presentations of the mean over their bins with a target."""
    w, b, _ = numbers(model)
    w, b = ({n: torch.tensor(v, requires_grad=True) for n, v in of.items()} for of in (w, b))
    net, total = model.net, 0.0
    a = {n: torch.zeros(len(x), net.populations[n].size, dtype=torch.float64) for n in KINDS}
    for k in range(STEPS.steps):
        r = {"retina": torch.tensor(x[:, k // EACH])} | {n: TORCH[of](a[n]) for n, of in KINDS.items()}
        received = {n: b[n] for n in KINDS}
        for p in net.driving:
            received[p.post] = received[p.post] + r[p.pre] @ w[p.name].T
        a = {n: a[n] + DT / net.populations[n].tau_ms * (received[n] - a[n]) for n in KINDS}
        if (k + 1) % EACH:
            continue
        for i in np.flatnonzero(known[:, k // EACH]):
            goal = torch.tensor(y[i, k // EACH])
            total = total + error(a["IT"][i], goal) / known[i].sum() / len(x)
    total.backward()
    return {n: -v.grad.numpy() for n, v in {**w, **b}.items()}, float(total.detach())


ERRORS = {
    "squared_error": lambda r, goal: 0.5 * ((r - goal) ** 2).sum(),
    "cross_entropy": lambda r, goal: -(goal * torch.log_softmax(r, 0)).sum(),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("objective", list(ERRORS))
def test_changes_are_autograds_of_the_masked_objective(objective, seed):
    model = built(objective, seed=seed)
    x, y, known = data(seed)
    expected, loss = masked(model, x, y, known, ERRORS[objective])
    assert float(model.loss(x, y)) == pytest.approx(loss, abs=1e-12)
    for found in (model.updates(x, y, biases=True), model.backprop_updates(x, y, biases=True)):
        for name, change in found.items():
            np.testing.assert_allclose(change, expected[name], atol=1e-12, err_msg=name)
    model.train()
    model(x, y).backward()
    for name, w in model.weights.items():
        np.testing.assert_allclose(-w.grad, expected[name], atol=1e-12)
    each = model.updates(x, y, per_presentation=True)
    for name, change in each.items():
        np.testing.assert_allclose(change.mean(0), expected[name], atol=1e-12)
        assert not change[2].any()  # no target, no error
        assert change[3].any()


def test_targets_in_the_last_bin_alone_are_those_without_bins():
    model = built("squared_error", word="feedback_alignment", scale=0.7)
    x, y, _ = data(0)
    last = np.full_like(y, np.nan)
    last[:, -1] = np.random.default_rng(5).normal(size=(6, 3))
    found, expected = model.updates(x, last), model.updates(x, last[:, -1])
    for name, change in found.items():
        np.testing.assert_allclose(change, expected[name], atol=1e-14)
    none = np.full_like(y, np.nan)
    assert float(model.loss(x, none)) == 0
    assert not any(change.any() for change in model.updates(x, none).values())


def test_credit_starts_only_where_there_is_a_target():
    model = built("squared_error")
    x, y, known = data(1)
    y[4], known[4] = np.nan, False
    y[4, 1], known[4, 1] = 0.5, True
    c = model.credits(x, y)["IT"].numpy()
    ends = np.zeros((6, STEPS.steps), bool)
    ends[:, EACH - 1 :: EACH] = known
    top = model.predict(x)
    goals = np.repeat(y, EACH, axis=1)
    for i, k in zip(*np.nonzero(ends), strict=True):
        np.testing.assert_allclose(c[i, k], (goals[i, k] - top[i, k]) / known[i].sum(), atol=1e-12)
    assert not c[~ends].any()  # nothing sends credit to IT
    recorded = model.respond(x, y).credit
    assert np.isfinite(recorded).all()


def test_accuracy_is_that_of_bins_with_a_target():
    model = built()
    x, y, known = data(2, one_hot=True)
    right = (model.predict(x)[:, EACH - 1 :: EACH].argmax(2) == np.nan_to_num(y).argmax(2))[known]
    curve = model.fit((x, y), 1, batch_size=4, optimiser={"name": "SGD", "lr": 1e-12}, progress=False)
    assert curve[0]["train_accuracy"] == pytest.approx(right.mean())
    assert curve[0]["train_loss"] == pytest.approx(float(model.loss(x, y)), rel=1e-6)


def test_learns_from_two_bins_of_four():
    """A cue of the first bin must be answered in the second and the last; nothing is asked in between."""
    x = np.zeros((2, 4, 1))
    x[:, 0, 0] = [-1, 1]
    y = np.full((2, 4, 2), np.nan)
    y[:, [1, 3]] = np.eye(2)[:, None]
    net = cs.Network("memory")
    net.population("bits", 1)
    net.population("PFC", 24, activation="tanh")
    net.population("choice", 2)
    net.bottom_up("bits", "PFC", plasticity="backprop")
    net.bottom_up("PFC", "choice", plasticity="backprop")
    net.recurrent("PFC", "PFC", plasticity="backprop")
    net.objective("choice", "cross_entropy")
    model = cs.torch.build(net.with_rule("backprop"), settling=cs.torch.Unrolled(4, dt_ms=10))
    curve = model.fit((x, y), 60, batch_size=2, optimiser={"name": "Adam", "lr": 0.02}, progress=False)
    assert curve[-1]["train_accuracy"] == 1.0 and curve[-1]["train_loss"] < 0.05


def test_partly_missing_and_infinite_targets_are_refused():
    model = built("squared_error")
    x, y, _ = data(0)
    partly = y.copy()
    partly[3, 1, 2] = np.nan
    with pytest.raises(
        cs.DataError,
        match="targets are NaN in some units of IT and not in others, first in presentation 3, time bin 1; "
        "give NaN in all 3 units of a bin without target, and in no unit of any other",
    ):
        model.loss(x, partly)
    y[5, 0] = np.inf
    with pytest.raises(cs.DataError, match="targets hold NaN or infinite values at precision 64"):
        model.updates(x, y)
    with pytest.raises(cs.DataError, match="every time bin of every target is NaN, so IT has no target"):
        model.fit((x, np.full_like(y, np.nan)), 1, progress=False)
    with pytest.raises(cs.DataError, match="hold NaN"):  # of all steps there is one target
        model.loss(x, np.full((6, 3), np.nan))
