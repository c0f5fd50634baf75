"""Soft matching equals a linear program and the best permutation; samples keep the matching."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_responses import planted, unrelated
from scipy.optimize import linprog

from cortex_sim.compare import soft_matching
from cortex_sim.compare.metric import Evaluation, Metric
from cortex_sim.compare.rdms import rdm
from cortex_sim.compare.responses import Responses
from cortex_sim.compare.soft_matching import SoftMatching, matched_correlation, transport
from cortex_sim.errors import DataError


def responses(name, values):
    return Responses(name, range(len(values)), values)


def correlations(x, y):
    return np.corrcoef(x.T, y.T)[: x.shape[1], x.shape[1] :]


def by_linear_program(similarity):
    """max Σ P_ij s_ij with row sums 1/p and column sums 1/q (Khosla & Williams 2024), by interior point."""
    p, q = similarity.shape
    sums = np.zeros((p + q, p, q))
    for i in range(p):
        sums[i, i] = 1
    for j in range(q):
        sums[p + j, :, j] = 1
    masses = np.r_[np.full(p, 1 / p), np.full(q, 1 / q)]
    solved = linprog(-similarity.ravel(), A_eq=sums.reshape(p + q, -1), b_eq=masses, method="highs-ipm")
    return -solved.fun


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 9))
def test_equals_a_linear_program(seed, p, q):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(11, p)), rng.normal(size=(11, q))
    assert matched_correlation(x, y) == pytest.approx(by_linear_program(correlations(x, y)), abs=1e-9)


@pytest.mark.parametrize("shape", [(7, 5), (6, 4), (5, 5), (12, 4)])
def test_every_way_to_the_plan_is_optimal_with_uniform_masses(shape, monkeypatch):
    similarity = np.random.default_rng(0).normal(size=shape)
    for largest in (2000, 0):  # as an assignment of copies, and as a linear program where sizes allow
        monkeypatch.setattr(soft_matching, "ASSIGNED", largest)
        plan = transport(similarity)
        full = np.zeros(shape)
        full[plan.rows, plan.columns] = plan.mass
        np.testing.assert_allclose(full.sum(0), 1 / shape[1])
        np.testing.assert_allclose(full.sum(1), 1 / shape[0])
        assert (full * similarity).sum() == pytest.approx(by_linear_program(similarity))


def test_equal_sizes_give_the_best_permutation():
    x, y = np.random.default_rng(1).normal(size=(2, 9, 5))
    similarity = correlations(x, y)
    best = max(np.mean([similarity[i, j] for i, j in enumerate(p)]) for p in itertools.permutations(range(5)))
    assert matched_correlation(x, y) == pytest.approx(best)


def test_forgives_order_gain_and_offset_but_no_rotation():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(50, 6))
    changed = x[:, rng.permutation(6)] * rng.uniform(0.1, 9, 6) + rng.normal(size=6)
    assert matched_correlation(x, changed) == pytest.approx(1)
    assert matched_correlation(x, np.tile(x, 3)) == pytest.approx(1)  # copies share the mass
    assert matched_correlation(x, -x) < 0.4
    rotated = x @ np.linalg.qr(rng.normal(size=(6, 6)))[0]
    assert matched_correlation(x, rotated) < 0.9


def test_is_a_metric_and_its_evaluation_an_evaluation():
    true, data = planted(0, stimuli=12, neuroids=7, repeats=2)
    metric: Metric = SoftMatching()
    evaluation = metric.evaluate(true, data)
    assert isinstance(evaluation, Evaluation)
    assert (evaluation.stimuli, evaluation.units) == (12, 7)
    assert (
        evaluation.score() == evaluation.raw() == pytest.approx(matched_correlation(true.values, data.values))
    )


@pytest.mark.parametrize("p", [7, 5])
def test_samples_keep_the_matching(p):
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(30, p)), rng.normal(size=(30, 7))
    evaluation = SoftMatching().evaluate(responses("x", x), responses("y", y))
    plan = transport(correlations(x, y))
    full = np.zeros((p, 7))
    full[plan.rows, plan.columns] = plan.mass
    chosen = rng.integers(0, 30, 30)
    by_neuroid = 7 * (full * correlations(x[chosen], y[chosen])).sum(0)
    assert evaluation.raw(stimuli=chosen) == pytest.approx(by_neuroid.mean())
    some = np.array([2, 2, 6])
    assert evaluation.raw(chosen, some) == pytest.approx(by_neuroid[some].mean())


def test_samples_vary_about_the_score_where_a_new_matching_would_be_above_it():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(2, 40, 30))
    evaluation = SoftMatching().evaluate(responses("x", x), responses("y", y))
    samples = [rng.integers(0, 40, 40) for _ in range(100)]
    kept = np.mean([evaluation.raw(s) for s in samples])
    matched = np.mean([matched_correlation(x[s], y[s]) for s in samples])
    assert kept == pytest.approx(evaluation.raw(), abs=0.02)
    assert matched > evaluation.raw() + 0.05


def test_a_neuroid_that_is_silent_in_a_sample_is_left_out_of_it():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(10, 4))
    y = x.copy()
    y[:, 1] = np.arange(10) == 3  # responds to one stimulus
    evaluation = SoftMatching().evaluate(responses("x", x), responses("y", y))
    without = np.array([0, 1, 2, 4, 5, 6, 7, 8, 9, 9])
    assert evaluation.raw(without) == pytest.approx(1)
    assert evaluation.raw() < 0.95
    with pytest.raises(DataError, match="no neuroid of y varies over these stimuli"):
        evaluation.raw(without, np.array([1]))


@pytest.mark.parametrize(("noise", "repeats"), [(1.5, 10), (1.5, 4)])
def test_a_planted_model_reaches_the_ceiling_and_no_other_does(noise, repeats):
    metric = SoftMatching(convention="over_ceiling")
    ratios, others = [], []
    for seed in range(6):
        true, data = planted(seed, repeats=repeats, noise=noise)
        shuffled = true.take(neuroids=np.random.default_rng(seed).permutation(true.neuroids))
        evaluation = metric.evaluate(shuffled, data)
        assert evaluation.raw() < 0.92
        ratios.append(evaluation.score())
        others.append(metric.evaluate(unrelated(data, seed), data).score())
    assert np.mean(ratios) == pytest.approx(1, abs=0.03)
    assert np.max(others) < 0.5


def test_large_populations_are_drawn_from_and_that_is_stated(monkeypatch):
    rng = np.random.default_rng(6)
    x, y = responses("x", rng.normal(size=(20, 90))), responses("y", rng.normal(size=(20, 7)))
    evaluation = SoftMatching(at_most=30).evaluate(x, y)
    assert dict(evaluation.drawn) == {"model": (30, 90), "neural": (7, 7)}
    assert evaluation.units == 7
    assert evaluation.notes == ("30 of 90 units of the model drawn at random (seed 0)",)
    again, other = (SoftMatching(at_most=30).evaluate(x, y, seed=s) for s in (0, 1))
    assert again.raw() == evaluation.raw() != other.raw()
    monkeypatch.setattr(soft_matching, "PROGRAMMED", 100)  # too many pairs for a linear program
    monkeypatch.setattr(soft_matching, "ASSIGNED", 100)
    assert dict(SoftMatching().evaluate(x, y).drawn) == {"model": (84, 90), "neural": (7, 7)}
    assert dict(SoftMatching(at_most=30).evaluate(y, x).drawn) == {"model": (7, 7), "neural": (28, 90)}


def test_constant_neuroids_are_left_out_and_bad_input_refused():
    true, data = planted(7, stimuli=12, neuroids=5, repeats=2)
    wide = Responses("wide", true.stimuli, np.c_[true.values, np.ones((12, 2))])
    evaluation = SoftMatching().evaluate(wide, data)
    assert evaluation.raw() == pytest.approx(matched_correlation(true.values, data.values))
    assert dict(evaluation.excluded) == {"model": 2, "neural": 0}
    with pytest.raises(DataError, match="0 of 5 neuroids of flat vary"):
        SoftMatching().evaluate(true, Responses("flat", data.stimuli, np.zeros((12, 5))))
    with pytest.raises(DataError, match="needs responses of neuroids"):
        SoftMatching().evaluate(true, rdm(data))
