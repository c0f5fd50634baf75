"""Debiased CKA equals its U-statistic, tuple by tuple, and ignores copies of stimuli."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_responses import planted, unrelated

from cortex_sim.compare.cka import Cka, gram, hsic
from cortex_sim.compare.metric import Evaluation, Metric
from cortex_sim.compare.rdms import rdm
from cortex_sim.compare.responses import Responses
from cortex_sim.errors import DataError


def responses(name, values):
    return Responses(name, range(len(values)), values)


def song(k, m):
    """Song et al. 2012, equation 5."""
    n, one = len(k), np.ones(len(k))
    joint = np.trace(k @ m) + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    return (joint - 2 / (n - 2) * (one @ k @ m @ one)) / (n * (n - 3))


def by_quadruples(k, m, sample):
    """The mean over quadruples of positions that hold four different stimuli."""
    terms = []
    for i, j, q, r in itertools.permutations(sample, 4):
        if len({i, j, q, r}) == 4:
            terms.append(k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]))
    return np.mean(terms)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 17), st.integers(1, 5), st.integers(1, 23))
def test_equals_song_2012(seed, stimuli, p, q):
    rng = np.random.default_rng(seed)
    k, m = gram(rng.normal(size=(stimuli, p))), gram(rng.normal(size=(stimuli, q)))
    assert hsic(k, m) == pytest.approx(song(k, m), abs=1e-10 * np.abs(k).max() * np.abs(m).max())


@pytest.mark.parametrize("sample", [[0, 1, 2, 3, 4], [0, 1, 1, 2, 3, 4, 4, 4], [3, 3, 0, 0, 1, 2]])
def test_copies_get_no_weight(sample):
    rng = np.random.default_rng(0)
    k, m = gram(rng.normal(size=(5, 3))), gram(rng.normal(size=(5, 2)))
    weights = np.bincount(sample, minlength=5).astype(float)
    assert hsic(k, m, weights) == pytest.approx(by_quadruples(k, m, sample))


def test_offsets_change_nothing_even_in_a_bootstrap_sample():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(9, 3)), rng.normal(size=(9, 4))
    weights = np.array([1.0, 0, 2, 1, 3, 1, 0, 1, 1])
    raw = (x + 5) @ (x + 5).T
    np.fill_diagonal(raw, 0)
    assert hsic(raw, gram(y), weights) == pytest.approx(hsic(gram(x), gram(y), weights))


def test_cka_of_a_population_with_itself_rotated_and_scaled_is_one():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(19, 7))
    rotation = np.linalg.qr(rng.normal(size=(7, 7)))[0]
    evaluation = Cka().evaluate(responses("m", 3 * x @ rotation + 2), responses("d", x))
    assert evaluation.raw() == pytest.approx(1)
    squeezed = Cka().evaluate(responses("m", x * np.linspace(0.1, 3, 7)), responses("d", x))
    assert squeezed.raw() < 0.9


def test_independent_features_are_at_zero_where_the_biased_one_is_near_one():
    found, biased = [], []
    for seed in range(5):
        x, y = np.random.default_rng(seed).normal(size=(2, 92, 2000))
        found.append(Cka().evaluate(responses("x", x), responses("y", y)).raw())
        k, m = ((v - v.mean(0)) @ (v - v.mean(0)).T for v in (x, y))
        biased.append((k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum()))
    assert np.abs(found).max() < 0.05
    assert np.mean(biased) == pytest.approx(0.96, abs=0.01)


def test_independent_features_stay_at_zero_in_bootstrap_samples():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 30, 300))
    evaluation = Cka().evaluate(responses("x", x), responses("y", y))
    samples = [evaluation.raw(rng.integers(0, 30, 30)) for _ in range(200)]
    assert np.mean(samples) == pytest.approx(evaluation.raw(), abs=0.02)  # .92 if copies were kept as pairs


def test_is_a_metric_and_its_evaluation_an_evaluation():
    true, data = planted(0, stimuli=12, neuroids=7, repeats=2)
    metric: Metric = Cka()
    evaluation = metric.evaluate(true, data)
    assert isinstance(evaluation, Evaluation)
    assert (evaluation.stimuli, evaluation.units) == (12, 7)
    some = np.array([0, 2, 3, 7, 8, 11])
    assert evaluation.raw(stimuli=some) == pytest.approx(
        metric.evaluate(true.take(some), data.take(some)).raw()
    )
    chosen = np.array([6, 1, 1])
    assert evaluation.raw(units=chosen) == pytest.approx(metric.evaluate(true, data.take(None, chosen)).raw())


@pytest.mark.parametrize(("noise", "repeats"), [(1.5, 10), (1.5, 3), (4.0, 10)])
def test_a_planted_model_reaches_the_ceiling_and_no_other_does(noise, repeats):
    metric = Cka(convention="over_ceiling")
    ratios, others = [], []
    for seed in range(6):
        true, data = planted(seed, repeats=repeats, noise=noise)
        evaluation = metric.evaluate(true, data)
        assert evaluation.raw() < 0.95
        ratios.append(evaluation.score())
        others.append(metric.evaluate(unrelated(data, seed), data).score())
    assert np.mean(ratios) == pytest.approx(1, abs=0.03)
    assert np.max(others) < 0.3


def test_a_score_above_its_ceiling_is_reported_as_such():
    for seed in range(20):
        true, data = planted(seed, stimuli=12, neuroids=7, repeats=4, noise=1)
        evaluation = Cka(convention="over_ceiling").evaluate(true, data)
        if evaluation.score() > 1:
            break
    assert evaluation.score() == evaluation.raw() / evaluation.ceiling[0] > 1
    assert f"score {evaluation.score():.2f} is above 1: the ceiling is an estimate" in evaluation.notes[-1]
    assert Cka().evaluate(true, data).notes == ()


def test_constant_neuroids_are_left_out_and_counted():
    true, data = planted(4, stimuli=12, neuroids=7, repeats=2)
    wide = Responses("wide", true.stimuli, np.c_[true.values, np.full((12, 2), 0.1)])
    evaluation = Cka().evaluate(wide, data)
    assert evaluation.raw() == pytest.approx(Cka().evaluate(true, data).raw())
    assert dict(evaluation.excluded) == {"model": 2, "neural": 0}


def test_refuses_what_has_no_score():
    true, data = planted(5, stimuli=12, neuroids=7, repeats=2)
    with pytest.raises(DataError, match="needs at least 4 stimuli"):
        Cka().evaluate(true.take([0, 1, 2]), data.take([0, 1, 2]))
    with pytest.raises(DataError, match="needs at least 4 different stimuli. Got 3"):
        Cka().evaluate(true, data).raw(np.array([0, 1, 2, 2, 1]))
    with pytest.raises(DataError, match="needs responses of neuroids, but data holds RDMs"):
        Cka().evaluate(true, rdm(data))
    with pytest.raises(DataError, match="0 of 3 neuroids of flat vary"):
        Cka().evaluate(true, Responses("flat", data.stimuli, np.ones((12, 3))))
    axes = responses("axes", np.eye(4))  # no two stimuli share anything
    with pytest.raises(DataError, match="share no measurable variance"):
        Cka().evaluate(axes, responses("d", np.random.default_rng(0).normal(size=(4, 3))))
    with pytest.raises(DataError, match="unknown convention"):
        Cka(convention="squared")
