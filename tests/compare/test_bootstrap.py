"""Intervals: variances known from the equations, copies of stimuli, what a fit leaves out, and coverage."""

from __future__ import annotations

import numpy as np
import pytest
from planted_scores import Mean, Overlap, Pairs, responses

from cortex_sim.compare.bootstrap import interval, refitting
from cortex_sim.compare.cka import Cka
from cortex_sim.compare.half_samples import half_samples
from cortex_sim.compare.predictivity import Predictivity
from cortex_sim.compare.rdm_comparators import comparator_named
from cortex_sim.compare.responses import Dissimilarities
from cortex_sim.compare.rsa import Rsa
from cortex_sim.errors import DataError


def crossed(rng, stimuli, units, *, of_stimuli=1.0, of_units=1.0, both=1.0):
    a, b = rng.normal(size=(stimuli, 1)), rng.normal(size=(1, units))
    return of_stimuli * a + of_units * b + both * rng.normal(size=(stimuli, units))


def test_variance_over_stimuli_is_that_of_the_mean():
    values = np.random.default_rng(0).normal(size=(11, 1))
    found = interval(Mean(values), over="stimuli", resamples=20_000)
    assert found.error**2 == pytest.approx(values.var(ddof=1) / 11, rel=0.04)  # not (n − 1)/n of it
    assert found.freedom == 10
    assert found.score == pytest.approx(values.mean())


def test_three_seeds_are_not_taken_for_infinitely_many():
    """Drawing 3 of 3 would give two thirds of the variance."""
    seeds = [Mean(np.full((9, 1), value)) for value in (0.1, 0.4, 1.0)]
    found = interval(seeds, over="seeds", resamples=20_000)
    assert found.error**2 == pytest.approx(np.var([0.1, 0.4, 1.0], ddof=1) / 3, rel=0.04)
    assert found.freedom == 2
    assert found.high - found.score == pytest.approx(4.303 * found.error, rel=1e-3)  # t with 2


@pytest.mark.parametrize("effects", [(1.0, 0.0, 1.0), (0.3, 0.3, 2.0), (0.0, 0.0, 1.0)])
def test_noise_counts_once_where_stimuli_and_units_are_both_drawn(effects):
    """Truth: σ_s²/n + σ_u²/m + σ_su²/(n m); a bootstrap of both counts the last three times."""
    of_stimuli, of_units, both = effects
    n, m, rng = 13, 11, np.random.default_rng(1)
    truth = of_stimuli**2 / n + of_units**2 / m + both**2 / (n * m)
    found, naive = [], []
    for seed in range(60):
        table = crossed(rng, n, m, of_stimuli=of_stimuli, of_units=of_units, both=both)
        found.append(interval(Mean(table), over=("stimuli", "units"), resamples=150, seed=seed).error ** 2)
        draws = [table[rng.integers(n, size=n)][:, rng.integers(m, size=m)].mean() for _ in range(150)]
        naive.append(np.var(draws, ddof=1))
    if of_stimuli:
        assert np.mean(found) == pytest.approx(truth, rel=0.25)
    else:  # estimates of single factors are above 0, so it is a little too large where there is noise alone
        assert truth < np.mean(found) < 1.6 * truth < 2.2 * truth < np.mean(naive)


def test_three_crossed_factors_count_each_effect_once():
    """Seeds, stimuli and units, with an effect of each pair and of all three together."""
    rng, sizes = np.random.default_rng(2), (7, 11, 9)
    truth, found = 0.0, []
    parts = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)]
    truth = sum(1 / np.prod([n for n, has in zip(sizes, part, strict=True) if has]) for part in parts)
    for seed in range(40):
        table = sum(
            rng.normal(size=[n if has else 1 for n, has in zip(sizes, part, strict=True)]) for part in parts
        )
        members = [Mean(each) for each in table]
        found.append(
            interval(members, over=("seeds", "stimuli", "units"), resamples=100, seed=seed).error ** 2
        )
    assert np.mean(found) == pytest.approx(truth, rel=0.2)


def test_half_samples_of_a_mean_are_its_variance():
    values = np.random.default_rng(3).normal(size=24)
    singles = list(np.arange(24)[:, None])
    between, of_mean = half_samples(
        lambda half: np.array([values[half].mean()]), singles, 4000, np.random.default_rng(0)
    )
    assert between[0] == pytest.approx(values.var(ddof=1) / 24, rel=0.06)
    assert of_mean[0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("single", [0.0, 0.15])
def test_pairs_of_stimuli_count_once(single):
    """For h_ij = a_i + a_j + e_ij it is 4σ_a²/n + 2σ_e²/(n(n − 1)); a bootstrap has 3 of the last."""
    n, rng = 20, np.random.default_rng(4)
    truth = 4 * single**2 / n + 2 / (n * (n - 1))
    with_pairs, without = [], []
    for seed in range(60):
        a, e = single * rng.normal(size=n), rng.normal(size=(n, n))
        h = a[:, None] + a[None, :] + (e + e.T) / 2**0.5
        with_pairs.append(interval(Pairs(h, pairwise=True), resamples=200, seed=seed).error ** 2)
        without.append(interval(Pairs(h), resamples=200, seed=seed).error ** 2)
    assert np.mean(with_pairs) == pytest.approx(truth, rel=0.3)
    if not single:
        assert np.mean(without) > 2.2 * truth


def test_stimuli_of_one_group_are_drawn_together():
    """Frames of ten films: the variance is that between films, not between frames."""
    rng = np.random.default_rng(5)
    film = np.repeat(np.arange(10), 6)
    frames = Mean(rng.normal(size=10)[film][:, None] + 0.1 * rng.normal(size=(60, 1)))
    films = [frames.values[film == one].mean() for one in range(10)]
    assert interval(frames, groups=film, resamples=5000).error ** 2 == pytest.approx(
        np.var(films, ddof=1) / 10, rel=0.1
    )
    assert interval(frames).error < 0.6 * interval(frames, groups=film).error


def test_units_of_an_animal_are_drawn_together():
    rng = np.random.default_rng(6)
    animal = np.repeat(["a", "b", "c", "d"], 8)
    values = rng.normal(size=4).repeat(8)[None, :] + 0.1 * rng.normal(size=(9, 32))
    table = Mean(values, known={"animal": animal, "session": np.tile(np.repeat(["1", "2"], 4), 4)})
    animals = [table.values[:, animal == one].mean() for one in "abcd"]
    found = interval(table, over="animals", resamples=5000)
    assert found.error**2 == pytest.approx(np.var(animals, ddof=1) / 4, rel=0.1)
    assert interval(table, over="sessions").freedom == 7  # sessions of two animals may share a name


def planted(rng, stimuli=60, features=20, neuroids=8, signal=1.0):
    x = rng.normal(size=(stimuli, features))
    w = rng.normal(size=(features, neuroids)) / features**0.5
    y = signal * x @ w + rng.normal(size=(stimuli, neuroids))
    return responses(x, "model"), responses(y, "neural")


def test_a_refit_includes_what_another_training_set_would_change():
    metric = Predictivity(convention="raw", folds="random")
    model, neural = planted(np.random.default_rng(7))
    found = metric.evaluate(model, neural)
    fixed = interval(found, resamples=400)
    again = interval(found, refit=refitting(metric, model, neural), splits=10, resamples=100)
    assert again.score == fixed.score
    assert "fitted again 20 times" in again.method
    assert again.error > fixed.error


NULLS = {
    "rsa": (Rsa(comparator="pearson"), 0.05),
    "rsa, rho-a": (Rsa(), 0.05),
    "cka": (Cka(), 0.05),
    "ridge": (Predictivity(convention="raw"), 0.1),
}


@pytest.mark.parametrize("name", [*list(NULLS)[:-1], pytest.param("ridge", marks=pytest.mark.slow)])
def test_random_features_stay_at_zero_when_stimuli_are_drawn_with_copies(name):
    """Held-out predictions resampled, and fitted again to samples in which copies share a fold."""
    metric, near = NULLS[name]
    rng, size = np.random.default_rng(8), 40
    held_out, refitted = [], []
    for _ in range(6):
        model, neural = responses(rng.normal(size=(size, 30))), responses(rng.normal(size=(size, 12)))
        found = metric.evaluate(model, neural)
        for _ in range(6):
            sample = rng.integers(size, size=size)
            held_out.append(found.score(sample))
            if hasattr(metric, "refit"):
                refitted.append(metric.refit(model, neural, sample).score())
        assert 0 in interval(found, resamples=200, level=0.999)
    assert abs(np.mean(held_out)) < near
    assert not refitted or abs(np.mean(refitted)) < near


def straddling(model, neural, sample):
    """The defect: copies of a stimulus taken for different stimuli."""
    return responses(model.values[sample], "model"), responses(neural.values[sample], "neural")


@pytest.mark.parametrize("name, least", [("rsa", 0.1), ("cka", 0.1), ("ridge", 0.2)])
def test_the_check_would_see_copies_that_straddle_folds(name, least):
    metric, _ = NULLS[name]
    rng = np.random.default_rng(9)
    wrong = []
    for _ in range(6):
        model, neural = responses(rng.normal(size=(40, 30))), responses(rng.normal(size=(40, 12)))
        wrong.append(metric.evaluate(*straddling(model, neural, rng.integers(40, size=40))).score())
    assert np.mean(wrong) > least


def test_pairs_of_copies_have_no_weight():
    """What RSA reads from a sample equals the comparator on the distinct pairs alone, by the counts."""
    model, neural = planted(np.random.default_rng(10), stimuli=9)
    found = Rsa(comparator="pearson").evaluate(model, neural)
    counts = np.bincount([0, 0, 0, 3, 4, 4, 5, 7, 8], minlength=9)
    rows, columns = np.triu_indices(9, 1)
    times = counts[rows] * counts[columns]
    x, y = found.model.values.repeat(times), found.rdms[0].values.repeat(times)
    assert found.score(np.repeat(np.arange(9), counts)) == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert comparator_named("pearson").compare(found.model, found.rdms[0], counts * 1.0) == pytest.approx(
        np.corrcoef(x, y)[0, 1]
    )


def test_the_same_seed_gives_the_same_interval_and_levels_are_nested():
    table = Mean(np.random.default_rng(11).normal(size=(30, 4)))
    one, two = interval(table, seed=3), interval(table, seed=3)
    assert one == two
    assert one.score in one
    wide, narrow = interval(table, level=0.99, seed=3), interval(table, level=0.5, seed=3)
    assert wide.low < one.low < narrow.low < narrow.high < one.high < wide.high
    assert interval(table, seed=4) != one


def test_several_evaluations_are_drawn_over_seeds_by_default():
    seeds = [Mean(np.random.default_rng(i).normal(size=(30, 4))) for i in range(3)]
    assert interval(seeds).over == ("seeds", "stimuli")
    assert interval(seeds[0]).over == ("stimuli",)
    assert interval(seeds, over="stimuli").over == ("stimuli",)


class Undefined(Mean):
    """Undefined for a share of the samples."""

    share = 1.0

    def score(self, stimuli=None, units=None):
        if stimuli is not None and stimuli[0] < self.share * self.stimuli:
            raise DataError("too few")
        return super().score(stimuli, units)


class NotFinite(Mean):
    def score(self, stimuli=None, units=None):
        return float("nan")


TABLE = np.random.default_rng(12).normal(size=(100, 3))


def test_a_few_undefined_resamples_are_counted_and_many_refused():
    few = Undefined(TABLE)
    few.share = 0.02
    assert 0 < interval(few, resamples=1000).refused <= 50
    few.share = 0.5
    with pytest.raises(DataError, match=r"undefined for more than 5%.*\(too few\)"):
        interval(few)


@pytest.mark.parametrize(
    "given, settings, said",
    [
        (Mean(TABLE), {"over": "animals"}, "needs the animal of each unit; known: none"),
        (Mean(TABLE), {"over": "stimulus"}, "over must name some of .*stimuli.* Got 'stimulus'"),
        (Mean(TABLE), {"over": ("units", "sessions")}, "at most one of"),
        (Mean(TABLE), {"over": "seeds"}, "at least two training seeds"),
        (Mean(TABLE[:, :1]), {"over": "units"}, "at least 2 units. Got 1"),
        (Mean(TABLE[:5]), {}, "at least 8 stimuli. Got 5"),
        (Mean(TABLE), {"level": 95}, "level must lie between 0 and 1. Got 95"),
        (Mean(TABLE), {"refit": [lambda half: Mean(TABLE)] * 2}, "Got 2 for 1"),
        ([Mean(TABLE), Mean(TABLE[:50])], {}, "same stimuli and units"),
        (NotFinite(TABLE), {}, "no finite score"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_line(given, settings, said):
    with pytest.raises(DataError, match=said) as refused:
        interval(given, **settings)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_covers_the_mean_over_experiments_for_stimuli_that_are_independent():
    """95 % intervals of 300 experiments with 20 stimuli and skewed noise; binomial spread is ±2.5 %."""
    rng, inside = np.random.default_rng(13), 0
    model = rng.normal(size=(5000, 1))
    noise = 1.5 * rng.normal(size=model.shape)
    truth = np.corrcoef(model[:, 0], (model + noise)[:, 0])[0, 1]
    for _ in range(300):
        some = rng.integers(5000, size=60)
        found = Overlap().evaluate(responses(model[some]), responses((model + noise)[some]))
        inside += truth in interval(found, resamples=100)
    assert 0.91 < inside / 300 < 0.98


def test_human_subjects_and_objects_are_drawn_together(real):
    """92 objects, 4 subjects in 2 sessions each: pixels against human IT, over objects, subjects, both."""
    with np.load(real("objects92_it_rdms.npz"), allow_pickle=False) as file:
        rdms = file["humanIT_subjects_sessions"]
        pixels = file["images"][:, ::7, ::7].mean(3).reshape(92, -1)
    assert rdms.shape == (4, 2, 4186)
    who = {"animal": np.repeat(["a", "b", "c", "d"], 2), "session": np.tile(["1", "2"], 4)}
    human = Dissimilarities("human IT", [f"s{i}" for i in range(92)], rdms.reshape(8, -1), who)
    found = Rsa(comparator="pearson").evaluate(responses(pixels.astype(float)), human)
    objects, people, both = (
        interval(found, over=over, resamples=200) for over in ("stimuli", "animals", ("stimuli", "animals"))
    )
    assert people.freedom == 3 and both.freedom > 3
    assert max(objects.error, people.error) <= both.error < (objects.error**2 + people.error**2) ** 0.5 + 1e-9
    assert both.score == objects.score == pytest.approx(found.score())
