"""Bounds between subjects equal rsatoolbox's; split-half ceilings are what the truth reaches."""

import numpy as np
import pytest
from planted_responses import planted
from scipy.stats import rankdata

from cortex_sim.compare.rdm_ceilings import between_subjects, mean_agreement, split_half
from cortex_sim.compare.rdm_comparators import COMPARATORS, Rdm
from cortex_sim.compare.rdms import measure_named, rdm
from cortex_sim.compare.repeat_halves import halves, mean_over_repeats, presented, repeated, signal_share
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.compare.rsa import Rsa
from cortex_sim.errors import DataError

STIMULI = 12
PAIRS = STIMULI * (STIMULI - 1) // 2
THEIRS = {"pearson": "corr", "spearman": "spearman", "rho-a": "rho-a", "whitened": "corr_cov"}


def subjects(seed, count, shared=1.0):
    rng = np.random.default_rng(seed)
    values = shared * rng.random(PAIRS) + rng.random((count, PAIRS))
    return [Rdm(f"subject {i}", v, STIMULI) for i, v in enumerate(values)]


@pytest.mark.parametrize("name", COMPARATORS)
def test_bounds_equal_rsatoolbox_with_enough_subjects(name):
    from rsatoolbox.inference.noise_ceiling import boot_noise_ceiling
    from rsatoolbox.rdm import RDMs

    rdms = subjects(0, 6)
    theirs = boot_noise_ceiling(RDMs(np.stack([r.values for r in rdms])), THEIRS[name])
    ours = between_subjects(rdms, np.arange(6), COMPARATORS[name])
    assert ours == pytest.approx(theirs, abs=5e-5)  # they solve for whitening by conjugate gradients
    assert ours[0] < ours[1] - 0.02


def test_lower_bound_of_ranks_averages_the_ranks_of_others():
    rdms = subjects(1, 3)
    scales = [1.0, 100.0, 1e4]  # raw values of the last would swamp the mean
    rdms = [Rdm(r.name, s * r.values, STIMULI) for r, s in zip(rdms, scales, strict=True)]
    ranks = np.stack([rankdata(r.values) for r in rdms])
    others = [np.delete(ranks, i, axis=0).mean(0) for i in range(3)]
    expected = np.mean([np.corrcoef(rankdata(o), r)[0, 1] for o, r in zip(others, ranks, strict=True)])
    assert between_subjects(rdms, np.arange(3), COMPARATORS["spearman"]) == pytest.approx((expected,) * 2)


@pytest.mark.parametrize(("count", "both"), [(2, False), (4, False), (5, True), (9, True)])
def test_the_upper_bound_needs_enough_subjects(count, both):
    lower, upper = between_subjects(subjects(2, count), np.arange(count), COMPARATORS["pearson"])
    assert (upper > lower + 0.01) if both else (upper == lower)


def test_unrelated_subjects_have_an_upper_bound_of_one_over_the_root_of_their_number():
    found = [between_subjects(subjects(s, 9, 0.0), np.arange(9), COMPARATORS["pearson"]) for s in range(40)]
    lower, upper = np.mean(found, axis=0)
    assert abs(lower) < 0.03 and upper == pytest.approx(1 / 3, abs=0.02)


def test_sessions_of_a_subject_are_left_out_together():
    """A second session repeats what only this subject has; the bound must not profit from it."""
    rng = np.random.default_rng(3)
    own = rng.random((3, PAIRS))
    values = np.repeat(own, 2, axis=0) + 0.1 * rng.random((6, PAIRS))
    of = {"animal": np.repeat(["a", "b", "c"], 2)}
    true = Responses("model", range(STIMULI), rng.normal(size=(STIMULI, 5)))
    data = Dissimilarities("sessions", range(STIMULI), values, of)
    together = Rsa().evaluate(true, data)
    apart = Rsa().evaluate(true, Dissimilarities("sessions", range(STIMULI), values))
    assert abs(together.ceiling[0]) < 0.3 and abs(together.reliability) < 0.3
    assert apart.ceiling[0] > together.ceiling[0] + 0.2 and apart.reliability > together.reliability + 0.1


def test_a_ceiled_score_is_divided_by_the_lower_bound():
    rng = np.random.default_rng(11)
    model = Responses("model", range(STIMULI), rng.normal(size=(STIMULI, 5)))
    values = rdm(model).values + 0.3 * rng.random((6, PAIRS))
    found = Rsa(convention="over_ceiling").evaluate(model, Dissimilarities("six", range(STIMULI), values))
    lower, upper = found.ceiling
    assert lower < upper and found.score() == found.raw() / lower


def test_one_subject_has_no_ceiling():
    only = subjects(4, 1)
    assert between_subjects(only, np.zeros(1, int), COMPARATORS["rho-a"]) is None
    assert mean_agreement(only, np.zeros(1, int), COMPARATORS["rho-a"]) is None


def test_pairs_missing_in_one_subject_are_left_out_for_all():
    rdms = subjects(5, 3)
    holes = rdms[1].values.copy()
    holes[[2, 30]] = np.nan
    kept = np.isfinite(holes)
    values = np.stack([r.values for r in rdms])[:, kept]
    z = (values - values.mean(1, keepdims=True)) / values.std(1, keepdims=True)
    expected = np.mean([np.corrcoef(np.delete(z, i, 0).mean(0), z[i])[0, 1] for i in range(3)])
    rdms[1] = Rdm("holes", holes, STIMULI)
    assert between_subjects(rdms, np.arange(3), COMPARATORS["pearson"])[0] == pytest.approx(expected)


@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_halves_hold_every_repeat_once(missing):
    _, data = planted(6, stimuli=7, neuroids=5, repeats=6, missing=missing)
    first, second = halves(data.repeats, np.random.default_rng(0))
    both = np.concatenate([first, second])
    np.testing.assert_array_equal(np.sort(both, axis=0), np.sort(data.repeats, axis=0))
    assert (presented(first) - presented(second)).max() <= 1
    assert (presented(first) >= presented(second)).all()


def test_neuroids_recorded_together_are_split_together():
    repeats = np.broadcast_to(np.arange(6.0)[:, None, None], (6, 8, 3)).copy()
    first, _ = halves(repeats, np.random.default_rng(0))
    assert (first == first[:, :, :1]).all()
    assert np.ptp(mean_over_repeats(first)[:, 0]) > 0  # another half for other stimuli


def test_signal_share_is_the_reliability_of_means():
    shares, truths = [], []
    for seed in range(20):
        true, data = planted(seed, stimuli=200, neuroids=10, repeats=5, noise=1.5)
        shares.append(signal_share(data.repeats))
        truths.append(
            [np.corrcoef(t, d)[0, 1] ** 2 for t, d in zip(true.values.T, data.values.T, strict=True)]
        )
    np.testing.assert_allclose(np.mean(shares), np.mean(truths), atol=0.01)


def test_stimuli_with_a_single_repeat_do_not_count():
    _, data = planted(7, stimuli=9, neuroids=4, repeats=4)
    repeats = data.repeats.copy()
    repeats[1:, [2, 5]] = np.nan
    few = Responses("few", data.stimuli, np.nanmean(repeats, axis=0), repeats)
    kept = [f"image {i}" for i in range(9) if i not in (2, 5)]
    assert list(repeated(few).stimuli) == kept
    assert repeated(few, at_least=5) is None and repeated(Responses("one", few.stimuli, few.values)) is None


@pytest.mark.parametrize("repeats", [3, 4])
@pytest.mark.parametrize(("measure", "comparator"), [("correlation", "rho-a"), ("euclidean", "whitened")])
def test_the_split_half_ceiling_is_what_the_truth_reaches(measure, comparator, repeats):
    how, compare = measure_named(measure), COMPARATORS[comparator]
    ceilings, reached = [], []
    for seed in range(6):
        true, data = planted(seed, repeats=repeats, noise=1.0)
        ceilings.append(split_half(data, how, compare, splits=10, seed=0) ** 0.5)
        a, b = (Rdm(d.name, rdm(d, how).values[0], len(d)) for d in (true, data))
        reached.append(compare.compare(a, b, np.ones(len(data))))
    assert np.mean(reached) < 0.93
    assert np.mean(ceilings) == pytest.approx(np.mean(reached), abs=0.02)


def test_halves_of_crossnobis_need_two_repeats_each():
    true, data = planted(10, stimuli=9, neuroids=5, repeats=3)
    assert Rsa("crossnobis").evaluate(true, data).ceiling is None
    assert Rsa("euclidean").evaluate(true, data).ceiling is not None


def test_data_without_signal_have_a_ceiling_of_zero_or_little():
    noise = np.random.default_rng(8).normal(size=(6, 20, 9))
    data = Responses("noise", range(20), noise.mean(0), noise)
    model = Responses("model", range(20), np.random.default_rng(9).normal(size=(20, 9)))
    evaluation = Rsa("crossnobis", "whitened", convention="over_ceiling").evaluate(model, data)
    assert evaluation.reliability < 0.1 and evaluation.ceiling[0] < 0.35
    if evaluation.ceiling[0] == 0:
        with pytest.raises(DataError, match="the ceiling is 0.00, so these data are not reliable"):
            evaluation.score()


def test_ceilings_depend_on_the_seed_alone():
    true, data = planted(9, stimuli=15, neuroids=6, repeats=4)
    one, same, other = (Rsa(splits=2).evaluate(true, data, seed=s).ceiling for s in (0, 0, 1))
    assert one == same != other
