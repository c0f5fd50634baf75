"""Recovery: distinct candidates are distinguished, equal ones are not, and then no winner is named."""

from __future__ import annotations

import json

import numpy as np
import pytest
from planted_scores import Overlap, responses

from cortex_sim.compare.cka import Cka
from cortex_sim.compare.paired import Comparison, Difference
from cortex_sim.compare.predictivity import Predictivity
from cortex_sim.compare.rdms import rdm
from cortex_sim.compare.recovery import Recovery, recover
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.compare.rsa import Rsa
from cortex_sim.compare.separating import needed, verdict
from cortex_sim.compare.soft_matching import SoftMatching
from cortex_sim.errors import DataError

RNG = np.random.default_rng
QUICK = Predictivity(convention="raw", splits=20, folds="random")


def data_from(x, rng, neuroids=8, repeats=4, noise=1.0):
    signal = x @ rng.normal(size=(x.shape[1], neuroids)) / x.shape[1] ** 0.5
    each = signal + noise * rng.normal(size=(repeats, *signal.shape))
    return responses(each.mean(0), "data", repeats=each)


def three(rng, stimuli=40, features=6):
    return {name: responses(rng.normal(size=(stimuli, features)), name) for name in ("a", "b", "c")}


@pytest.mark.parametrize("metric", [Cka(), Rsa(comparator="pearson", splits=2), QUICK], ids=lambda m: m.name)
def test_distinct_candidates_are_recovered(metric):
    rng = RNG(0)
    candidates = three(rng)
    found = recover(
        metric, candidates, data_from(candidates["b"].values, rng), readout="random", simulations=4
    )
    np.testing.assert_allclose(found.confusion, np.eye(3))
    assert found.accuracy == 1.0 and found.trusted("b") == 1.0
    assert (found.neuroids, found.stimuli, found.repeats, found.simulations) == (8, 40, 4, 4)


def test_rotations_of_one_population_cannot_be_told_apart_by_a_metric_that_forgives_them():
    """All scores are equal but for rounding: recovery is at chance, and no winner is named."""
    rng = RNG(1)
    x = rng.normal(size=(40, 6))
    turned = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    candidates = {"gait_prop": responses(x), "backprop": responses(x @ turned)}
    found = recover(Cka(), candidates, data_from(x, rng), readout="random", simulations=10)
    assert found.accuracy < 0.8
    said = verdict({"gait_prop": 0.3, "backprop": 0.2}, found)
    assert said.winner is None and said.best == "gait_prop"
    assert "no winner is named: data like these recover the true rule in" in said.sentence


def test_one_population_is_chosen_in_every_simulation_as_in_the_analysis():
    """Candidate "a" has its likeness in its second population; recordings come from it and are won by it."""
    rng = RNG(2)
    x = rng.normal(size=(40, 6))
    a = {"V1": responses(rng.normal(size=(40, 6))), "IT": responses(x)}
    b = {"V1": responses(rng.normal(size=(40, 6))), "IT": responses(rng.normal(size=(40, 6)))}
    found = recover(Cka(), {"a": a, "b": b}, data_from(x, rng), simulations=5, readout="random")
    assert found.sources[0] == "IT"
    assert found.trusted("a") == 1.0


def test_counts_of_simulations_are_reported_and_seeds_repeat():
    rng, done = RNG(3), []
    candidates = three(rng, stimuli=20)
    data = data_from(candidates["a"].values, rng)
    one, two = (
        recover(Cka(), candidates, data, simulations=2, seed=5, progress=lambda *at: done.append(at))
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.scores, two.scores)
    assert done[:3] == [(2, 6), (4, 6), (6, 6)]  # a candidate at a time
    assert (recover(Cka(), candidates, data, simulations=2, seed=6).scores != one.scores).any()


def made(scores, rules=("a", "b")):
    return Recovery(rules, np.asarray(scores, dtype=float), ("", "") * 1, 8, 40, 4)


def test_confusion_is_counted_by_hand():
    """From a: a, a, b, tie; from b: b, b, b, a."""
    found = made([[[2, 1], [2, 1], [1, 2], [1, 1]], [[1, 2], [1, 2], [1, 2], [2, 1]]])
    np.testing.assert_allclose(found.confusion, [[0.625, 0.375], [0.25, 0.75]])
    assert found.accuracy == pytest.approx(0.6875)
    assert found.trusted("a") == pytest.approx(0.625 / 0.875)
    low, high = found.bounds
    assert low < 0.6875 < high
    assert found.table().splitlines()[1].split() == ["a", "0.62", "0.38"]
    assert "chance 0.50" in found.table()
    json.dumps(found.confusion.tolist())


def test_wilson_bounds_of_all_right():
    """10 of 10: 1/(1 + z²/n), by hand."""
    found = made(np.tile(np.eye(2)[:, None], (1, 5, 1)))
    assert found.bounds[0] == pytest.approx(1 / (1 + 1.96**2 / 10))
    assert found.bounds[1] == pytest.approx(1.0)


def test_extrapolation_follows_the_normal_law():
    """Leads are d ± s: right with probability Φ(d √f / s)."""
    from scipy.stats import norm

    rng = RNG(4)
    lead = rng.normal(size=4000)
    lead = 0.5 + (lead - lead.mean()) / lead.std()
    scores = np.stack([np.stack([lead, 0 * lead], 1), np.stack([0 * lead, lead], 1)])
    found = made(scores)
    assert found.accuracy == pytest.approx(norm.cdf(0.5), abs=0.02)
    more = found.lengthened(4)
    assert more.accuracy == pytest.approx(norm.cdf(1.0), abs=0.02) and more.stimuli == 160
    assert more.apart[0, 1] == pytest.approx(norm.cdf(1.0), abs=0.02)
    assert found.extrapolated(100) > 0.99


def recovered(right):
    """A recovery of two rules with this share of right answers, in ten simulations of each."""
    scores = np.zeros((2, 10, 2))
    for truth in range(2):
        for number in range(10):
            scores[truth, number, truth if number < 10 * right else 1 - truth] = 1
    return made(scores)


def test_a_winner_needs_recovery_and_a_lead():
    scores = {"a": 0.2, "b": 0.4}
    assert verdict(scores, recovered(0.9)).winner == "b"
    assert "recover the true rule in 90%" in verdict(scores, recovered(0.9)).sentence
    assert verdict(scores, recovered(0.7)).winner is None
    assert verdict(scores, recovered(0.7), level=0.6).winner == "b"
    for adjusted, winner in ((0.2, None), (0.01, "b")):
        lead = Difference("a", "b", -0.2, -0.4, 0.0, 0.1, 20, adjusted, adjusted)
        said = verdict(scores, recovered(0.9), comparison=Comparison(scores, (lead,), "holm", 0.95, ""))
        assert said.winner == winner
        assert winner or "its lead over a is 0.200 (-0.000 to 0.400, p = 0.2, holm)" in said.sentence
    with pytest.raises(DataError, match="must be those of the candidates of the recovery, a, b. Got a, c"):
        verdict({"a": 1.0, "c": 0.0}, recovered(0.9))


def test_a_rule_that_wins_for_everything_is_not_trusted():
    """Recovery .83 over three, but c also wins half of what a made: of what c wins a third is not c's."""
    scores = np.zeros((3, 10, 3))
    for truth in range(3):
        scores[truth, :, truth] = 1
    scores[0, :5] = [0, 0, 1]
    found = Recovery(("a", "b", "c"), scores, ("", "", ""), 8, 40, 4)
    assert found.accuracy == pytest.approx(5 / 6)
    assert verdict({"a": 0.0, "b": 0.1, "c": 0.3}, found).winner is None
    assert verdict({"a": 0.4, "b": 0.1, "c": 0.3}, found).winner == "a"


def test_an_easy_candidate_does_not_hide_that_two_are_confused():
    """a and b are distinguished in 12 of 20, c always from both but where it is tied."""
    scores = np.zeros((3, 10, 3))
    scores[2, :, 2] = 1
    for truth in range(2):
        for number in range(10):
            scores[truth, number, truth if number < 6 else 1 - truth] = 1
    found = Recovery(("a", "b", "c"), scores, ("", "", ""), 8, 40, 4)
    assert found.accuracy == pytest.approx((0.6 + 0.6 + 1) / 3)
    np.testing.assert_allclose(found.apart, [[1, 0.6, 0.9], [0.6, 1, 0.9], [0.9, 0.9, 1]])
    assert found.closest == ("a", "b")


def test_a_level_is_reached_where_rounding_alone_is_below():
    scores = np.zeros((3, 20, 3))
    for truth, right in enumerate((14, 14, 20)):
        scores[truth, :right, truth] = 1
        scores[truth, right:, 1 - truth if truth < 2 else 0] = 1
    found = Recovery(("a", "b", "c"), scores, ("", "", ""), 8, 40, 4)
    said = verdict({"a": 0.1, "b": 0.2, "c": 0.5}, found).sentence
    assert "c scores highest (0.500); data like these recover the true rule in 80%" in said


def close(rng, stimuli):
    """Two candidates that differ little."""
    x = rng.normal(size=(stimuli, 4))
    other = x + 0.35 * rng.normal(size=x.shape)
    return {"a": responses(x), "b": responses(other)}


def test_more_repeats_separate_what_noise_hides():
    rng = RNG(5)
    candidates = close(rng, 40)
    data = data_from(candidates["a"].values, rng, noise=6.0, repeats=2)
    found = needed(
        Overlap(), {n: responses(c.values[:, :4]) for n, c in candidates.items()},
        data.take(neuroids=[0, 1, 2, 3]), over="repeats", readout="units", simulations=10, steps=(1, 32),
    )  # fmt: skip
    assert found.tried[0].number == 2
    assert found.tried[-1].accuracy >= found.tried[0].accuracy


def test_stimuli_are_simulated_while_presented_and_then_extrapolated_with_a_bound():
    rng = RNG(6)
    candidates = close(rng, 80)
    own = {name: one.take(np.arange(20)) for name, one in candidates.items()}
    data = data_from(own["a"].values, rng, noise=4.0, repeats=3)
    settings = {"simulations": 6, "readout": "random", "level": 1.01}  # never reached
    found = needed(Cka(), candidates, data, **settings, steps=(1, 2, 4), bound=16)
    assert [(one.number, one.simulated) for one in found.tried] == [
        (20, True), (40, True), (80, True), (160, False), (320, False),
    ]  # fmt: skip
    assert found.number is None
    assert (
        "No number of stimuli up to 320 would tell a and b apart in 101%" in found.sentence
        and "extrapolated" in found.sentence
    )
    easy = needed(Cka(), candidates, data, simulations=6, readout="random", level=0.3)
    assert easy.number == 20 and "(simulated)" in easy.sentence


def test_fewer_stimuli_than_the_data_have_are_drawn():
    rng = RNG(7)
    candidates = three(rng)
    found = recover(
        Cka(), candidates, data_from(candidates["a"].values, rng), stimuli=20, simulations=2, readout="random"
    )
    assert found.stimuli == 20


@pytest.mark.parametrize(
    "metric", [Rsa(), Rsa(measure="euclidean"), Rsa(comparator="pearson"), Cka(), SoftMatching()], ids=str
)
@pytest.mark.parametrize("from_rdms", [False, True])
def test_a_candidate_with_uneven_means_is_recovered(metric, from_rdms):
    """What a metric compares must survive the readout: without the means of its units it is another one."""
    if from_rdms and not isinstance(metric, Rsa):
        pytest.skip("reads RDMs by RSA alone")
    rng = RNG(11)
    x = rng.normal(size=(40, 50)) + 1.5 * rng.normal(size=50)
    candidates = {"uneven": responses(x, "uneven")}
    candidates["centred"] = responses(x - x.mean(0) + 0.5 * rng.normal(size=x.shape), "centred")
    each = x[:, :12] + 0.5 * rng.normal(size=(4, 40, 12))
    data = responses(each.mean(0), "data", repeats=each)
    if from_rdms:
        own = rdm(data, metric.measure).values[0]
        values = [own + own.std() * rng.normal(size=780) for _ in range(3)]
        data = Dissimilarities("IT", data.stimuli, values, measure=metric.measure)
    found = recover(metric, candidates, data, simulations=6)
    assert found.accuracy >= 0.9


def test_recovery_from_rdms_alone():
    rng = RNG(8)
    names = [f"s{i}" for i in range(24)]
    candidates = {n: Responses(n, names, rng.normal(size=(24, 6))) for n in ("a", "b")}
    rdms = [np.corrcoef(candidates["a"].values + rng.normal(size=(24, 6))) for _ in range(3)]
    data = Dissimilarities("IT", names, [1 - one[np.triu_indices(24, 1)] for one in rdms], measure="1 - r")
    found = recover(Rsa(comparator="pearson"), candidates, data, simulations=4)
    assert found.accuracy == 1.0 and found.repeats is None
    with pytest.raises(DataError, match="a readout other than the measure's own, cannot"):
        recover(Rsa(), candidates, data, repeats=3)


def test_what_cannot_be_simulated_is_refused():
    rng = RNG(9)
    candidates = three(rng, stimuli=20)
    data = data_from(candidates["a"].values, rng)
    with pytest.raises(DataError, match="at least two candidates. Got a"):
        recover(Cka(), {"a": candidates["a"]}, data)
    with pytest.raises(
        DataError, match="30 stimuli cannot be simulated, since only 20 were presented to all"
    ):
        recover(Cka(), candidates, data, stimuli=30)
    with pytest.raises(DataError, match="no repeats"):
        recover(Cka(), candidates, responses(data.values, "V4"))
    with pytest.raises(DataError, match="20 stimuli of the neural data|were not presented"):
        recover(Cka(), {n: c.take(np.arange(10)) for n, c in candidates.items()}, data)
    with pytest.raises(DataError, match="unknown over 'neuroids'; known: repeats, stimuli"):
        needed(Cka(), candidates, data, over="neuroids")
