"""RSA: comparators equal rsatoolbox's, copies of stimuli are dropped, planted models are recovered."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from planted_responses import planted, unrelated
from scipy.stats import pearsonr, rankdata, spearmanr

from cortex_sim.compare.metric import Evaluation, Metric
from cortex_sim.compare.rdm_comparators import COMPARATORS, Rdm, comparator_named
from cortex_sim.compare.rdms import rdm
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.compare.rsa import Rsa
from cortex_sim.errors import DataError

THEIRS = {"pearson": "corr", "spearman": "spearman", "rho-a": "rho-a", "whitened": "corr_cov"}


def triangles(seed, stimuli, ties=False, related=1.0):
    rng = np.random.default_rng(seed)
    first, noise = rng.random((2, stimuli * (stimuli - 1) // 2))
    second = related * first + noise
    return tuple(np.round(a, 1) if ties else a for a in (first, second))


def subselected(triangle, chosen):
    """The RDM of a sample of stimuli, as a triangle with NaN for pairs of copies of one stimulus."""
    n = int((1 + np.sqrt(1 + 8 * len(triangle))) // 2)
    square = np.zeros((n, n))
    square[np.triu_indices(n, 1)] = triangle
    square += square.T
    np.fill_diagonal(square, np.nan)
    return square[np.ix_(chosen, chosen)][np.triu_indices(len(chosen), 1)]


def rsatoolbox_compare(first, second, method):
    from rsatoolbox.rdm import RDMs, compare

    return compare(RDMs(first[None]), RDMs(second[None]), method)[0, 0]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("name", COMPARATORS)
def test_equals_rsatoolbox_on_all_stimuli_and_on_a_bootstrap_sample(name, ties):
    stimuli = 13
    first, second = triangles(0, stimuli, ties)
    chosen = np.random.default_rng(1).integers(0, stimuli, stimuli)
    assert len(set(chosen)) < stimuli
    for sample in (np.arange(stimuli), chosen):
        counts = np.bincount(sample, minlength=stimuli).astype(float)
        ours = COMPARATORS[name].compare(Rdm("a", first, stimuli), Rdm("b", second, stimuli), counts)
        theirs = rsatoolbox_compare(subselected(first, sample), subselected(second, sample), THEIRS[name])
        assert ours == pytest.approx(theirs, abs=1e-10)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 12), st.booleans())
def test_copies_are_dropped_as_from_subselected_matrices(seed, stimuli, ties):
    first, second = triangles(seed, stimuli, ties)
    sample = np.random.default_rng(seed).integers(0, stimuli, 17)
    assume(len(set(sample)) > 3)
    a, b = subselected(first, sample), subselected(second, sample)
    kept = ~np.isnan(a)
    assume(np.ptp(a[kept]) > 0 and np.ptp(b[kept]) > 0)
    x, y = Rdm("a", first, stimuli), Rdm("b", second, stimuli)
    counts = np.bincount(sample, minlength=stimuli).astype(float)
    for name, reference in (("pearson", pearsonr), ("spearman", spearmanr)):
        assert COMPARATORS[name].compare(x, y, counts) == pytest.approx(reference(a[kept], b[kept])[0])


def test_pairs_that_were_not_measured_are_left_out():
    first, second = triangles(2, 9)
    second[[3, 17]] = np.nan
    kept = ~np.isnan(second)
    x, y = Rdm("a", first, 9), Rdm("b", second, 9)
    expected = {"pearson": pearsonr, "spearman": spearmanr, "rho-a": spearmanr}
    for name, reference in expected.items():
        found = COMPARATORS[name].compare(x, y, np.ones(9))
        assert found == pytest.approx(reference(first[kept], second[kept])[0])
    theirs = rsatoolbox_compare(np.where(kept, first, np.nan), second, "corr_cov")
    assert COMPARATORS["whitened"].compare(x, y, np.ones(9)) == pytest.approx(theirs)


def test_ranks_are_those_of_the_pairs_as_often_as_they_occur():
    """With ties and unmeasured pairs, and counts as whole numbers too, of which ranks are not."""
    rng = np.random.default_rng(4)
    for _ in range(20):
        values = rng.integers(-2, 3, size=15).astype(float)
        values[rng.random(15) < 0.3] = np.nan
        found = Rdm("a", values, 6)
        weights = rng.integers(0, 4, size=15) * found.measured
        occurring = np.repeat(np.arange(15), weights)
        ranks = rankdata(values[occurring])
        expected = [ranks[occurring == pair].mean() if (occurring == pair).any() else 0 for pair in range(15)]
        for times in (weights, weights.astype(float)):
            np.testing.assert_allclose(found.ranks(times), expected)


def test_rho_a_is_spearman_with_ties_broken_at_random():
    first, second = triangles(3, 11, ties=True)
    rng = np.random.default_rng(0)
    broken = [
        np.corrcoef(*(np.lexsort((rng.random(a.size), a)).argsort() for a in (first, second)))[0, 1]
        for _ in range(3000)
    ]
    found = comparator_named("rho-a").compare(Rdm("a", first, 11), Rdm("b", second, 11), np.ones(11))
    assert found == pytest.approx(np.mean(broken), abs=0.004)
    assert found < spearmanr(first, second)[0] - 0.004


def test_monkey_and_human_it_correlate_as_published(real):
    with np.load(real("objects92_it_rdms.npz"), allow_pickle=False) as file:
        monkey, human = file["monkeyIT_674neurons"], file["humanIT_316vx"]
    found = {
        name: how.compare(Rdm("monkey", monkey, 92), Rdm("human", human, 92), np.ones(92))
        for name, how in COMPARATORS.items()
    }
    assert found["pearson"] == pytest.approx(0.491, abs=5e-4)
    assert found["spearman"] == pytest.approx(spearmanr(monkey, human)[0])
    assert found["whitened"] == pytest.approx(rsatoolbox_compare(monkey, human, "corr_cov"))


def test_is_a_metric_and_its_evaluation_an_evaluation():
    true, data = planted(0, stimuli=12, neuroids=7, repeats=2)
    metric: Metric = Rsa()
    evaluation = metric.evaluate(true, data)
    assert isinstance(evaluation, Evaluation)
    assert (evaluation.stimuli, evaluation.units) == (12, 7)
    assert Rsa().evaluate(true, rdm(data)).units == 1


@pytest.mark.parametrize("comparator", COMPARATORS)
def test_scores_are_means_over_rdms_and_follow_the_sample(comparator):
    true, data = planted(4, stimuli=15, neuroids=9, repeats=2)
    rdms = np.stack([rdm(unrelated(data, seed)).values[0] + rdm(data).values[0] for seed in range(3)])
    neural = Dissimilarities("subjects", data.stimuli, rdms, {"animal": np.array(list("abc"))})
    evaluation = Rsa(comparator=comparator).evaluate(true, neural)
    each = [evaluation.raw(units=np.array([u])) for u in range(3)]
    assert np.ptp(each) > 0.01
    assert evaluation.score() == pytest.approx(np.mean(each))
    assert evaluation.raw(units=np.array([2, 2, 0])) == pytest.approx((2 * each[2] + each[0]) / 3)
    some = np.array([1, 3, 4, 8, 9, 10, 13])
    alone = Rsa(comparator=comparator).evaluate(true.take(some), neural.take(some))
    assert evaluation.raw(stimuli=some) == pytest.approx(alone.raw())


def test_resampled_neuroids_give_the_rdm_of_these_neuroids():
    true, data = planted(5, stimuli=15, neuroids=9, repeats=3)
    evaluation = Rsa("crossnobis").evaluate(true, data)
    some = np.array([0, 2, 5, 7, 7])
    alone = Rsa("crossnobis").evaluate(true, data.take(neuroids=some))
    assert evaluation.raw(units=some) == pytest.approx(alone.raw(), abs=1e-12)
    assert abs(evaluation.raw(units=some) - evaluation.raw()) > 0.01


def test_unrelated_features_stay_at_zero_in_bootstrap_samples():
    rng = np.random.default_rng(0)
    means = []
    for seed in range(20):
        _, data = planted(seed, stimuli=40, neuroids=30, repeats=4)
        evaluation = Rsa().evaluate(unrelated(data, 1000 + seed, 80), data)
        means += [evaluation.score(rng.integers(0, 40, 40)) for _ in range(10)]
    assert abs(np.mean(means)) < 0.02  # .08 if copies were kept as pairs without distance


SETTINGS = [
    ("correlation", "rho-a"), ("correlation", "pearson"), ("correlation", "spearman"),
    ("euclidean", "pearson"), ("euclidean", "rho-a"), ("crossnobis", "whitened"), ("crossnobis", "pearson"),
]  # fmt: skip


@pytest.mark.parametrize(("measure", "comparator"), SETTINGS)
def test_a_planted_model_reaches_the_ceiling_and_no_other_does(measure, comparator):
    metric = Rsa(measure, comparator, convention="over_ceiling")
    ratios, raws, others = [], [], []
    for seed in range(4):
        true, data = planted(seed, missing=0.1)
        evaluation = metric.evaluate(true, data)
        ratios.append(evaluation.score())
        raws.append(evaluation.raw())
        others.append(metric.evaluate(unrelated(data, seed), data).score())
    assert np.mean(raws) < 0.96 and np.mean(ratios) == pytest.approx(1, abs=0.03)
    assert np.max(others) < 0.3


def test_constant_neuroids_are_left_out_and_counted():
    true, data = planted(6, stimuli=15, neuroids=9, repeats=2)
    wide = Responses("wide", true.stimuli, np.c_[true.values, np.full((15, 4), 3.0)])
    evaluation = Rsa().evaluate(wide, data)
    assert evaluation.score() == Rsa().evaluate(true, data).score()
    assert dict(evaluation.excluded) == {"model": 4, "neural": 0}
    assert evaluation.notes == (
        "dissimilarities correlation, compared by rho-a",
        "neuroids of the model left out: 4, whose response is the same to all stimuli",
    )


def test_refuses_what_has_no_score():
    true, data = planted(7, stimuli=15, neuroids=9, repeats=2)
    flat = Responses("flat", data.stimuli, np.ones((15, 9)))
    with pytest.raises(DataError, match="0 of 9 neuroids of flat vary over the 15 stimuli"):
        Rsa().evaluate(true, flat)
    with pytest.raises(DataError, match="same stimuli in the same order"):
        Rsa().evaluate(true.take(np.arange(15)[::-1]), data)
    with pytest.raises(DataError, match="RDM same: all dissimilarities of these stimuli are equal"):
        Rsa().evaluate(true, Dissimilarities("same", data.stimuli, np.ones(105)))
    missing = np.full(105, np.nan)
    with pytest.raises(DataError, match="fewer than 3 pairs of different stimuli"):
        Rsa().evaluate(true, Dissimilarities("missing", data.stimuli, missing))
    with pytest.raises(DataError, match="unknown comparator 'cosine'"):
        Rsa(comparator="cosine")
    one = Responses("means", data.stimuli, data.values)
    with pytest.raises(DataError, match='convention "over_ceiling": these data have no ceiling'):
        Rsa(convention="over_ceiling").evaluate(true, one).score()


def test_order_of_ranks_is_all_that_rho_a_reads():
    true, data = planted(8, stimuli=15, neuroids=9, repeats=2)
    bent = Dissimilarities("bent", data.stimuli, np.exp(5 * rdm(data).values))
    straight, curved = (
        {c: Rsa(comparator=c).evaluate(true, d).score() for c in COMPARATORS} for d in (rdm(data), bent)
    )
    assert straight["rho-a"] == pytest.approx(curved["rho-a"])
    assert abs(straight["pearson"] - curved["pearson"]) > 0.02
