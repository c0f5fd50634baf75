"""Linear predictivity: held-out fits, planted models, controls near zero, and what is left out."""

import numpy as np
import pytest

from cortex_sim.compare.baselines import gabor_responses
from cortex_sim.compare.conventions import CONVENTIONS
from cortex_sim.compare.folds import BlockedFolds, GroupedFolds, RandomFolds
from cortex_sim.compare.metric import Evaluation
from cortex_sim.compare.predictivity import Predictivity
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.compare.shifted import shifted
from cortex_sim.data import stimuli
from cortex_sim.errors import DataError

FEW = {"splits": 30}


def model(seed, stimuli=300, features=20):
    x = np.random.default_rng(seed).normal(size=(stimuli, features))
    return Responses("conv4/IT", range(stimuli), x)


def planted(source, seed, neuroids=23, noise=1.0, repeats=6, signal=1.0):
    """Neuroids that are linear maps of a model's responses, variance 1, with noise in every repeat."""
    rng = np.random.default_rng(seed)
    mapped = source.values @ rng.normal(size=(source.neuroids, neuroids))
    mapped = signal * mapped / mapped.std(0)
    data = mapped + noise * rng.normal(size=(repeats, *mapped.shape))
    units = {"animal": np.array(["a", "b"])[np.arange(neuroids) % 2]}
    return Responses("planted", source.stimuli, data.mean(0), repeats=data, units=units)


def test_held_out_predictions_equal_scikit_learns():
    from sklearn.linear_model import Ridge

    source = model(0, 60, 7)
    neural = planted(source, 1, neuroids=3)
    metric = Predictivity(penalties=(0.5,), folds=RandomFolds(4), **FEW)
    found = metric.evaluate(source, neural).held_out
    assert sorted(np.bincount(found.folds)) == [15] * 4
    for fold in range(4):
        out = found.folds == fold
        size = ((source.values[~out] - source.values[~out].mean(0)) ** 2).sum() / 7
        for i, chosen in enumerate(found.fitted[fold].penalties):
            fit = Ridge(alpha=chosen * size).fit(source.values[~out], neural.values[~out, i])
            np.testing.assert_allclose(found.predictions[out, i], fit.predict(source.values[out]), atol=1e-10)


def test_pls_predictions_equal_scikit_learns():
    from sklearn.cross_decomposition import PLSRegression

    source = model(0, 60, 13)
    neural = planted(source, 1, neuroids=5)
    metric = Predictivity(regression="pls", components=4, folds=BlockedFolds(3), **FEW)
    found = metric.evaluate(source, neural).held_out
    for fold in range(3):
        out = found.folds == fold
        fit = PLSRegression(4, scale=False, tol=1e-24, max_iter=10_000)
        fit.fit(source.values[~out], neural.values[~out])
        np.testing.assert_allclose(found.predictions[out], fit.predict(source.values[out]), atol=1e-8)


@pytest.mark.parametrize("regression", ["ridge", "pls"])
@pytest.mark.parametrize("noise", [0.5, 2.0])
def test_a_planted_model_explains_all_that_is_reliable(regression, noise):
    source = model(2, 600, 15)
    neural = planted(source, 3, noise=noise)
    evaluation = Predictivity(regression=regression, components=15, **FEW).evaluate(source, neural)
    reliability = 1 / (1 + noise**2 / 6)
    assert evaluation.score() == pytest.approx(1, abs=0.06)
    assert evaluation.reliability == pytest.approx(reliability, abs=0.03)
    assert evaluation.ceiling == pytest.approx((reliability**0.5,) * 2, abs=0.02)
    assert evaluation.raw() == pytest.approx(reliability**0.5, abs=0.04)


@pytest.mark.parametrize("regression, bias", [("ridge", -0.1), ("pls", -0.01)])
@pytest.mark.parametrize("features", [5, 40])
def test_random_features_score_zero(regression, bias, features):
    """Not below, as plain correlations of held-out predictions do."""
    raws, plain = [], []
    for seed in range(8):
        neural = planted(model(seed, 100, 15), seed + 50, neuroids=30)
        evaluation = Predictivity(regression=regression, components=5, **FEW).evaluate(
            model(seed + 99, 100, features), neural, seed=seed
        )
        raws.append(evaluation.raw())
        found = evaluation.held_out
        plain += [np.corrcoef(p, y)[0, 1] for p, y in zip(found.predictions.T, found.observed.T, strict=True)]
    assert abs(np.mean(raws)) < 0.04
    assert np.mean(plain) < bias


def test_a_sample_is_scored_from_the_same_predictions():
    source = model(4, 80, 9)
    neural = planted(source, 5, neuroids=7)
    evaluation = Predictivity(**FEW).evaluate(source, neural)
    rng = np.random.default_rng(6)
    sample, units = rng.integers(0, 80, 80), rng.integers(0, 7, 7)
    found = evaluation.held_out
    fold = found.folds[sample]
    x = (found.predictions[sample] - found.baseline[fold]) / found.spread[fold]
    y = found.observed[sample] - found.baseline[fold]
    r = np.array([np.corrcoef(x[:, i], y[:, i])[0, 1] for i in range(7)])
    np.testing.assert_allclose(evaluation.correlations(sample), r, rtol=1e-9)
    assert evaluation.raw(sample) == pytest.approx(np.median(r), rel=1e-9)
    assert evaluation.raw(sample, units) == pytest.approx(np.median(r[units]), rel=1e-9)
    explained = np.sign(r) * r**2 / evaluation.reliabilities.corrected
    assert evaluation.score(sample, units) == pytest.approx(np.median(explained[units]), rel=1e-9)
    assert evaluation.score() == evaluation.score(np.arange(80), np.arange(7))


def test_an_evaluation_is_what_inference_reads():
    source = model(7)
    evaluation = Predictivity(**FEW).evaluate(source, planted(source, 8))
    assert isinstance(evaluation, Evaluation)
    assert (evaluation.stimuli, evaluation.units) == (300, 23)
    assert evaluation.known["animal"].tolist()[:3] == ["a", "b", "a"]


def test_the_seed_draws_folds_and_halves():
    source = model(9)
    neural = planted(source, 10)
    one, same, other = (Predictivity(**FEW).evaluate(source, neural, seed=s).score() for s in (0, 0, 1))
    assert one == same != other


@pytest.mark.parametrize("name", CONVENTIONS)
def test_every_convention_scores_the_same_correlations(name):
    source = model(11)
    evaluation = Predictivity(convention=name, **FEW).evaluate(source, planted(source, 12))
    expected = CONVENTIONS[name].score(evaluation.correlations(), evaluation.reliabilities.corrected)
    assert evaluation.convention == name and evaluation.score() == expected


def test_without_repeats_raw_stands_for_the_score_and_says_so():
    source = model(13)
    neural = planted(source, 14)
    evaluation = Predictivity().evaluate(source, Responses("means", neural.stimuli, neural.values))
    assert evaluation.convention == "raw" and evaluation.score() == evaluation.raw()
    assert evaluation.reliability is None and evaluation.ceiling is None and evaluation.explained() is None
    said = "no repeats, so no reliability: raw r is given in place of signed_r2_per_neuroid"
    assert said in evaluation.notes


def test_neuroids_that_cannot_be_scored_are_left_out_and_counted():
    source = model(15)
    good, noise = planted(source, 16, neuroids=5), planted(source, 17, neuroids=3, signal=0.0)
    repeats = np.concatenate([np.full((6, 300, 2), 0.1), noise.repeats, good.repeats], axis=2)
    neural = Responses("mixed", source.stimuli, repeats.mean(0), repeats=repeats)
    evaluation = Predictivity(min_reliability=0.4, **FEW).evaluate(source, neural)
    assert evaluation.excluded == {"constant": 2, "unreliable": 3}
    assert evaluation.neuroids.tolist() == [5, 6, 7, 8, 9] and evaluation.units == 5
    assert "neuroids left out: 3, whose reliability is below 0.4" in evaluation.notes
    assert "neuroids left out: 2, whose response is the same to all stimuli" in evaluation.notes
    alone = Predictivity(min_reliability=0.4, **FEW).evaluate(source, good)
    assert evaluation.raw() == pytest.approx(alone.raw(), rel=1e-9)


def test_a_sparse_neuroid_gives_no_nan():
    source = model(18, 100, 9)
    values = planted(source, 19, neuroids=3).values.copy()
    values[:, 0] = 0
    values[7, 0] = 5  # one response in all
    evaluation = Predictivity().evaluate(source, Responses("sparse", source.stimuli, values))
    assert np.isfinite(evaluation.correlations()).all()
    others = np.delete(np.arange(100), 7)
    assert np.isnan(evaluation.correlations(others)).tolist() == [True, False, False]
    assert np.isfinite(evaluation.raw(others)) and np.isfinite(evaluation.score(others, np.array([0, 1])))
    with pytest.raises(DataError, match="no neuroid's responses vary over this sample"):
        evaluation.score(others, np.array([0, 0]))


def test_random_folds_leak_where_stimuli_are_alike():
    """Six variants of each image share a response that has nothing to do with the model's features."""
    rng = np.random.default_rng(20)
    group = np.repeat(np.arange(24), 6)
    x = rng.normal(size=(24, 20))[group] + 0.1 * rng.normal(size=(144, 20))
    y = rng.normal(size=(24, 31))[group] + 0.1 * rng.normal(size=(144, 31))
    source = Responses("pixels", range(144), x)
    neural = Responses("variants", range(144), y, groups=group)
    assert Predictivity().evaluate(source, neural).raw() > 0.7
    for folds in (GroupedFolds(8), "grouped", "across_runs", BlockedFolds(24)):
        assert abs(Predictivity(folds=folds).evaluate(source, neural).raw()) < 0.2


def test_shifted_responses_show_drift():
    source = model(21, 200, 6)
    assert abs(Predictivity(**FEW).evaluate(shifted(source), planted(source, 22)).raw()) < 0.12
    drift = np.cumsum(np.random.default_rng(23).normal(size=(200, 6)), axis=0)
    drifting = Responses("film", range(200), drift)
    neural = planted(drifting, 24)
    assert Predictivity(**FEW).evaluate(shifted(drifting), neural).raw() > 0.5
    assert shifted(drifting).name == "film shifted by 1" and shifted(drifting).stimuli == drifting.stimuli
    np.testing.assert_array_equal(shifted(drifting, 3).values[3:], drift[:-3])
    for by in (0, 200, 1.5):
        with pytest.raises(DataError, match="by must be a whole number"):
            shifted(drifting, by)


def test_wide_populations_are_reduced_and_it_is_said(monkeypatch):
    """Lossless with fewer stimuli than components: the same predictions as from all features."""
    wide = model(25, 90, 1300)
    neural = planted(model(25, 90, 1300).take(neuroids=slice(0, 9)), 26, neuroids=4)
    for regression in ("ridge", "pls"):
        metric = Predictivity(regression=regression, components=3, **FEW)
        reduced = metric.evaluate(wide, neural)
        said = "conv4/IT: 1300 features reduced to at most 80 principal components"
        assert any(note.startswith(said) for note in reduced.notes)
        monkeypatch.setattr("cortex_sim.compare.predictivity.WIDEST", 5000)
        monkeypatch.setattr("cortex_sim.compare.predictivity.coordinates", lambda x: x)
        whole = metric.evaluate(wide, neural)
        monkeypatch.undo()
        np.testing.assert_allclose(reduced.held_out.predictions, whole.held_out.predictions, atol=1e-8)


def test_components_are_those_of_the_training_stimuli(monkeypatch):
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LinearRegression

    monkeypatch.setattr("cortex_sim.compare.predictivity.WIDEST", 6)
    source = model(27, 50, 11)
    neural = planted(source, 28, neuroids=3)
    metric = Predictivity(regression="pls", components=6, folds=BlockedFolds(5), **FEW)
    found = metric.evaluate(source, neural).held_out
    for fold in range(5):
        out = found.folds == fold
        pca = PCA(6, svd_solver="full").fit(source.values[~out])
        fit = LinearRegression().fit(pca.transform(source.values[~out]), neural.values[~out])
        expected = fit.predict(pca.transform(source.values[out]))
        np.testing.assert_allclose(found.predictions[out], expected, atol=1e-9)


def test_a_score_above_one_is_reported_with_the_reason():
    source = model(29)
    clean = planted(source, 30, noise=0.01).values  # the mean is better than its repeats let expect
    noisy = clean + np.random.default_rng(31).normal(size=(4, *clean.shape))
    neural = Responses("repeats from elsewhere", source.stimuli, clean, repeats=noisy)
    evaluation = Predictivity(**FEW).evaluate(source, neural)
    assert evaluation.score() > 1.1
    assert evaluation.notes[-1].startswith(
        f"score {evaluation.score():.2f} is above 1 (23 of 23 neuroids above 1)"
    )


def test_copies_share_a_fold_where_a_sample_is_fitted_again():
    source, sample = model(32, 120, 60), np.random.default_rng(33).integers(0, 120, 120)
    neural = planted(model(34, 120, 60), 35, neuroids=15)
    for folds in (RandomFolds(10), RandomFolds(2), BlockedFolds(5)):
        evaluation = Predictivity(folds=folds, **FEW).refit(source, neural, sample)
        assert evaluation.stimuli == 120
        # Where copies were divided, 60 features would predict one from the other: r = .45 and more.
        assert abs(evaluation.raw()) < 0.2
    for number in np.unique(sample):
        order = np.argsort(sample, kind="stable")
        assert len(set(evaluation.held_out.folds[sample == number])) == 1 and len(order) == 120
    own = planted(source, 36)
    assert Predictivity(**FEW).refit(source, own, np.arange(120)).score() == pytest.approx(
        Predictivity(**FEW).evaluate(source, own).score(), rel=1e-9
    )


def test_a_penalty_at_the_edge_is_reported():
    neural = planted(model(37), 38)
    notes = Predictivity(**FEW).evaluate(model(39), neural).notes
    assert any("of neuroids the best penalty is at the edge of the widened grid" in note for note in notes)


@pytest.mark.parametrize(
    "settings, wrong",
    [
        ({"regression": "lasso"}, "unknown regression 'lasso'; known: pls, ridge"),
        ({"convention": "best"}, "unknown convention 'best'"),
        ({"folds": "rando"}, "unknown folds 'rando' .did you mean 'random'"),
        ({"folds": 5}, "folds must be one of across_runs, blocked, grouped, random, or an object"),
        ({"components": 0, "regression": "pls"}, "components must be a whole number"),
        ({"penalties": (-1.0,)}, "must be a positive number"),
        ({"min_reliability": 0.0}, "min_reliability must be above 0 and below 1"),
        ({"splits": 0}, "splits must be a whole number"),
    ],
)
def test_settings_are_checked(settings, wrong):
    with pytest.raises(ValueError, match=wrong):
        Predictivity(**settings)


def test_data_that_cannot_be_scored_are_refused():
    source = model(40)
    neural = planted(source, 41, neuroids=3)
    flat = Responses("silent", source.stimuli, np.full((300, 3), 0.1))
    with pytest.raises(DataError, match="silent: no neuroid's response varies over the 300 stimuli"):
        Predictivity().evaluate(source, flat)
    with pytest.raises(DataError, match="silent: the model's response is the same to all 300 stimuli"):
        Predictivity().evaluate(flat, neural)
    with pytest.raises(DataError, match="the stimuli or their order differ; use matched"):
        Predictivity().evaluate(source.take(slice(None, None, -1)), neural)
    with pytest.raises(DataError, match="no neuroid reaches the reliability 0.1"):
        Predictivity(**FEW).evaluate(source, planted(source, 44, neuroids=2, signal=0.0))
    with pytest.raises(DataError, match="IT: predictivity needs responses of neuroids, not RDMs"):
        Predictivity().evaluate(source, Dissimilarities("IT", "abc", np.ones(3)))
    with pytest.raises(DataError, match="10 folds need at least 10 stimuli. Got 5"):
        Predictivity(**FEW).evaluate(source.take(slice(5)), neural.take(slice(5)))


@pytest.fixture
def v4(real):
    path = real("macaque_v4_201025.npz")
    with np.load(path, allow_pickle=False) as z:
        values = z["response_mean"]
    images = stimuli(path)
    return images, Responses("V4 201025", images.ids, values)


@pytest.mark.slow
def test_gabor_filters_predict_v4(v4):
    images, neural = v4
    source, metric = gabor_responses(images), Predictivity(folds=RandomFolds(5))
    evaluation = metric.evaluate(source, neural)
    assert 0.40 < evaluation.raw() < 0.46
    assert evaluation.convention == "raw" and evaluation.units == 89
    assert abs(metric.evaluate(shifted(source), neural).raw()) < 0.05


def test_gabor_filters_predict_v4_from_half_the_images(v4):
    images, neural = v4
    some = slice(0, None, 2)
    source = gabor_responses(images[some], cycles=(4, 8, 16), orientations=4, grid=4)
    metric = Predictivity(folds=RandomFolds(5))
    assert 0.33 < metric.evaluate(source, neural.take(some)).raw() < 0.46
    assert abs(metric.evaluate(shifted(source), neural.take(some)).raw()) < 0.1


class Spy:
    """A regression that predicts the mean, and keeps which stimuli are left out together."""

    def __init__(self):
        self.inner = []

    def fit(self, x, y, inner):
        self.inner.append((x[:, 0].copy(), inner))
        self.mean = y.mean(0)
        return self

    def predict(self, x):
        return np.tile(self.mean, (len(x), 1))


def test_settings_are_chosen_without_dividing_what_folds_keep_together():
    from cortex_sim.compare.held_out import cross_validated

    rng = np.random.default_rng(42)
    group = np.repeat(np.arange(6), 4)
    x, y = np.arange(24.0)[:, None], rng.normal(size=(24, 2))
    for folds in (np.repeat([0, 1, 2], 8), np.repeat([0, 1], 12)):
        spy = Spy()
        cross_validated(x, y, folds, spy, same=group)
        assert len(spy.inner) == folds.max() + 1
        for numbers, inner in spy.inner:
            together = folds if folds.max() > 1 else group  # with two folds, copies of one stimulus
            expected = together[numbers.astype(int)]
            np.testing.assert_array_equal(inner[:, None] == inner, expected[:, None] == expected)
