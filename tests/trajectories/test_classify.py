"""Identification of rules on planted data, where the answer is known."""

import numpy as np
import pytest
from small_trajectories import planted

from cortex_sim.errors import DataError
from cortex_sim.trajectories.classify import (
    CLASSIFIERS,
    Outcome,
    fit,
    held_out,
    permutation_accuracies,
    permuted,
)
from cortex_sim.trajectories.evidence import Evidence, at_matched_accuracy, learning_curve


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_a_planted_difference_is_found_on_unseen_architectures(classifier):
    different = ("activity_mean", "weights_rms", "credit_median")
    study = planted(shift=8.0, names=different)
    features = Evidence(statistics=(*different, "activity_rms", "weights_mean")).features(study)
    found = held_out(study, features, classifier)
    assert found.accuracy > 0.9
    low, high = found.interval()
    assert 0.7 < low <= found.correct.mean() <= high


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_without_a_difference_nothing_is_found(classifier):
    found = []
    fast = {"trees": 15} if classifier == "random_forest" else {}
    for seed in range(4):
        study = planted(seed=seed)
        features = Evidence(statistics=("activity_mean", "credit_rms", "weights_rms")).features(study)
        found.append(held_out(study, features, classifier, **fast).accuracy)
    assert abs(np.mean(found) - 1 / 3) < 0.15


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_the_same_features_for_every_rule_give_exactly_chance(classifier):
    study = planted(rules=("a", "b", "c", "d"))
    features = np.repeat(np.random.default_rng(0).normal(size=(len(study["run"]) // 4, 6)), 4, axis=0)
    fast = {"trees": 10} if classifier == "random_forest" else {}
    assert held_out(study, features, classifier, **fast).accuracy == 1 / 4


def test_a_mark_that_each_architecture_has_for_itself_does_not_generalise():
    """Which also shows that architectures are held out: seeds of known ones are recognised."""
    study = planted(seeds=4)
    nets = [int(net[3:]) for net in study["architecture"].values]
    rules = [("a", "b", "c").index(rule) for rule in study["rule"].values]
    mark = np.array([10.0 * net + (rule + net) % 3 for net, rule in zip(nets, rules, strict=True)])[:, None]
    assert held_out(study, mark, by="seed", trees=20).accuracy == 1.0
    assert held_out(study, mark, trees=20).accuracy < 0.6


def test_training_and_test_runs_are_disjoint(monkeypatch):
    study = planted(architectures=3)
    seen = []

    class Watching:
        def __init__(self, runs):
            assert runs == 18

        def fit(self, features, rule):
            self.known = set(features[:, 0].tolist())
            return self

        def predict(self, features):
            seen.extend(features[:, 0].tolist())
            assert not self.known & set(features[:, 0].tolist())
            return np.full(len(features), "a")

    monkeypatch.setitem(CLASSIFIERS, "watching", Watching)
    features = np.arange(len(study["run"]), dtype=float)[:, None]
    assert held_out(study, features, "watching").accuracy == pytest.approx(1 / 3)
    assert sorted(seen) == features[:, 0].tolist()


def test_a_classifier_may_be_tested_under_another_condition():
    study = planted(shift=8.0)
    one = Evidence(statistics=("activity_mean",))
    fitted = fit(study, one.features(study), trees=20)
    assert fitted.tested(one.features(study)).accuracy > 0.9
    rng = np.random.default_rng(0)
    assert fitted.tested(100 * rng.normal(size=one.features(study).shape)).accuracy < 0.7


def outcome(rule, predicted, group=None, seed=None):
    n = len(rule)
    return Outcome(
        np.array(list(rule)),
        np.array(list(predicted)),
        np.array(group or ["net"] * n),
        np.array(seed or [0] * n),
    )


def test_confusion_counts_by_rule():
    found = outcome("aaaabbcc", "aabbbaac")
    assert found.rules == ["a", "b", "c"]
    np.testing.assert_allclose(found.confusion(), [[0.5, 0.5, 0], [0.5, 0.5, 0], [0.5, 0, 0.5]])
    assert found.confusion_rows()[2] == {"rule": "c", "a": 0.5, "b": 0.0, "c": 0.5}
    assert found.accuracy == pytest.approx(0.5)
    assert found.confused_pairs() == [("a", "b", 0.5), ("a", "c", 0.25), ("b", "c", 0.0)]


def test_rules_count_alike_however_many_runs_each_has():
    assert outcome("aaaaaaab", "aaaaaaaa").accuracy == 0.5


def test_intervals_are_wider_where_whole_groups_are_right_or_wrong():
    """Twenty runs in ten groups that stand or fall together carry less than twenty single ones."""
    rng = np.random.default_rng(0)
    right = rng.permutation([True, False] * 10)
    together = np.repeat(right[:10], 2)
    group = [f"g{i // 2}" for i in range(20)]
    scattered = np.tile([True, False], 10)
    widths = []
    for correct in (together, scattered):
        predicted = np.where(correct, "a", "b")
        low, high = outcome("a" * 20, predicted, group).interval()
        widths.append(high - low)
    assert widths[0] > 0.3 and widths[1] == 0


def test_the_interval_covers_the_truth():
    """Groups differ in their rate of success; the truth is its mean over groups."""
    rng = np.random.default_rng(0)
    inside = []
    for number in range(60):
        rates = rng.beta(6, 3, size=12)
        correct = np.concatenate([rng.random(12) < rate for rate in rates])
        group = [f"g{i // 12}" for i in range(144)]
        seed = [i % 12 // 4 for i in range(144)]
        low, high = outcome("a" * 144, np.where(correct, "a", "b"), group, seed).interval(
            resamples=400, draws=number
        )
        inside.append(low <= 2 / 3 <= high)
    assert 0.8 < np.mean(inside) <= 1.0


def test_gains_are_paired():
    group = [f"g{i // 4}" for i in range(20)]
    first, second = outcome("a" * 20, "aaab" * 5, group), outcome("a" * 20, "abab" * 5, group)
    assert first.gain_over(second) == (0.25, 0.25, 0.25)  # the same in every group
    assert first.by_group() == {f"g{i}": 0.75 for i in range(5)}
    other = outcome("a" * 20, "aaab" * 5, ["g0"] * 20)
    with pytest.raises(DataError, match="only those of the same runs can be compared"):
        first.gain_over(other)


def test_permutation_keeps_blocks_and_destroys_the_rule():
    study = planted(shift=8.0)
    other = permuted(study, np.random.default_rng(0))
    assert (other["rule"].values != study["rule"].values).any()
    for net in np.unique(study["architecture"].values):
        for seed in range(3):
            block = (study["architecture"].values == net) & (study["seed"].values == seed)
            assert sorted(other["rule"].values[block]) == ["a", "b", "c"]
    features = Evidence(statistics=("activity_mean",)).features(study)
    found = permutation_accuracies(study, features, 4, trees=15)
    assert abs(found.mean() - 1 / 3) < 0.15 and found.max() < held_out(study, features, trees=15).accuracy


def test_evidence_selects_what_it_says():
    study = planted(snapshots=4)
    every = study["value"].values
    activity = study["observable"].values == "activity"
    free = study["scale_free"].values.astype(bool)
    np.testing.assert_array_equal(
        Evidence(("activity",), snapshots=(1, 3), scale_free=True).features(study),
        every[:, [1, 3]][..., activity & free].reshape(len(every), -1),
    )
    np.testing.assert_array_equal(
        Evidence(condition="noisy").features(study), study["measured"].values[0].reshape(len(every), -1)
    )


@pytest.mark.parametrize(
    "settings, match",
    [
        ({"observables": ("activty",)}, "unknown observable 'activty' .did you mean 'activity'"),
        ({"condition": "units_5"}, "unknown condition 'units_5'.*known: full, noisy"),
        ({"statistics": ("activity_mode",)}, "unknown statistic"),
        ({"snapshots": (7,)}, "snapshots must be numbers from 0 to 3. Got .7"),
        ({"observables": ("weights",), "statistics": ("activity_mean",)}, "no statistic is left"),
    ],
)
def test_evidence_that_is_not_there_is_refused(settings, match):
    with pytest.raises(DataError, match=match):
        Evidence(**settings).features(planted())


def test_the_learning_curve_is_accuracy_and_loss():
    study = planted(snapshots=4)
    found = learning_curve(study)
    np.testing.assert_allclose(found[:, :4], study["accuracy"].values)
    np.testing.assert_allclose(found[:, 4:], study["loss"].values)


def test_matched_accuracy_interpolates_at_the_first_crossing():
    study = planted(snapshots=5)
    study["accuracy"][:] = np.array([0.1, 0.5, 0.3, 0.6, 0.9])
    study["accuracy"][0] = 0.2  # never gets there
    one = Evidence(statistics=("credit_rms",))
    found, reached = at_matched_accuracy(study, one, (0.3, 0.55, 0.9))
    assert reached.tolist() == [False] + [True] * (len(study["run"]) - 1)
    v = one.select(study).values[1:]
    expected = [0.5 * v[:, 0] + 0.5 * v[:, 1], 0.5 * v[:, 2] + 0.5 * v[:, 3], v[:, 4]]
    np.testing.assert_allclose(found, np.concatenate([e.reshape(len(v), -1) for e in expected], axis=1))


def test_matched_accuracy_without_runs_is_refused():
    study = planted()
    with pytest.raises(DataError, match="no run passes accuracies 0.3 to 0.99"):
        at_matched_accuracy(study, Evidence(), (0.3, 0.99))


def test_what_cannot_be_classified_is_refused():
    study = planted(architectures=1)
    with pytest.raises(DataError, match="needs at least two values of architecture"):
        held_out(study, Evidence().features(study))
    study = planted()
    bad = Evidence().features(study)
    with pytest.raises(DataError, match="one row of features for each of 36 runs"):
        held_out(study, bad[1:])
    bad[3, 5] = np.nan
    with pytest.raises(DataError, match="features must be finite"):
        held_out(study, bad)
    with pytest.raises(DataError, match="unknown classifier 'forest'"):
        held_out(study, np.ones((36, 1)), "forest")
