"""Movies, sums, shared noise, stimulation by unit and trial: against an own Euler loop; at equilibrium."""

import numpy as np
import pytest
from own_euler import Chain, same_network

import cortex_sim as cs

RNG = np.random.default_rng(7)
X, MOVIES, LIGHT = RNG.normal(size=(3, 7)), RNG.normal(size=(3, 4, 7)), RNG.normal(size=(3, 5))


def run(phase, engine="batched", backend=cs.brian2, every_ms=2.0, **settings):
    net, w, v = same_network(cs)
    protocol = cs.Protocol(phase, record=cs.Record(("rate", "drive"), every_ms=every_ms), **settings)
    return backend.run(cs.Experiment(net, {"a": protocol}, dt_ms=2.0, engine=engine), progress=False), w, v


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_a_movie_a_trial_and_light_on_single_units(engine):
    drive = {"retina": cs.TimeSeries(MOVIES, 6), "V1": cs.Sum(LIGHT, cs.TimeSeries([0, 1, 0], 10))}
    seen, w, v = run(cs.Phase("p", 30, drive=drive), engine, batch=1)
    for k in range(3):
        one = Chain(w, v, 2.0)
        for step in range(15):
            pulse = float(10 <= 2 * step < 20)
            one.step(MOVIES[k, min(2 * step // 6, 3)], extra=LIGHT[k] + pulse)
            found = seen["rate"].values[k, 7:, step]
            np.testing.assert_allclose(found, np.concatenate(one.rates()), atol=1e-12)


def test_a_movie_is_the_same_in_any_batch_and_in_one_program():
    phase = cs.Phase("p", 30, drive={"retina": cs.TimeSeries(MOVIES, 6)})
    one, _, _ = run(phase, batch=1)
    three, _, _ = run(phase, batch=3)
    np.testing.assert_allclose(one["rate"], three["rate"], atol=1e-13)


@pytest.mark.parametrize("engine", ["batched", "synapses"])
def test_jittered_nudges(engine):
    """Nudges that come after other delays and last differently in each trial."""
    net, w, v = same_network(cs)
    before, during, goals = [4.0, 20.0, 10.0], [10.0, 6.0, 20.0], RNG.normal(size=(3, 3))
    protocol = cs.Protocol(
        cs.Phase("wait", before, drive={"retina": X}),
        cs.Phase("nudge", during, drive={"retina": X}, nudge={"IT": goals}, plasticity=True),
        record=cs.Record(("rate", "credit"), weights=True),
        eta_per_s=5.0,
    )
    seen = cs.brian2.run(cs.Experiment(net, {"a": protocol}, dt_ms=2.0, engine=engine), progress=False)
    one = Chain(w, v, 2.0)
    for k in range(3):
        one.rest()
        for _ in range(int(before[k] / 2)):
            one.step(X[k])
        for _ in range(int(during[k] / 2)):
            one.step(X[k], goal=goals[k], strength=1.0, eta=5.0)
        np.testing.assert_allclose(seen["rate"].values[k, 7:], np.concatenate(one.rates()), atol=1e-12)
        np.testing.assert_allclose(seen["credit"].values[k, 7:12], one.c, atol=1e-12)
        np.testing.assert_allclose(seen["weight:retina->V1"].values[k + 1], one.w, atol=1e-12)


def test_patterns_of_stimulation_add_to_the_drive_on_both_backends():
    phase = cs.Phase("p", 600, drive={"retina": X, "V1": LIGHT})
    net, w, _ = same_network(cs)
    experiment = cs.Experiment(net, {"a": cs.Protocol(phase, record=cs.Record(("rate", "drive")))})
    for backend in (cs.brian2, cs.torch):
        seen = backend.run(experiment, progress=False)
        np.testing.assert_allclose(seen["drive"].values[:, 7:12], X @ w.T + LIGHT, atol=1e-9)


def test_sums_at_equilibrium_and_their_refusal_there():
    net, _, _ = same_network(cs)
    drives = {"retina": cs.Sum(X, 0.5, np.arange(7.0))}
    settled = cs.torch.run(cs.Experiment(net, {"a": cs.Protocol(cs.Phase("p", 10, drive=drives))}))
    np.testing.assert_allclose(settled["rate"].values[:, :7], X + 0.5 + np.arange(7.0), atol=1e-12)
    noisy = cs.Protocol(cs.Phase("p", 10, drive={"retina": X + cs.Noise(0.1)}))
    with pytest.raises(cs.RunError, match="the drive of retina is noise, which has no equilibrium"):
        cs.torch.run(cs.Experiment(net, {"a": noisy}))


def test_an_image_plus_noise_is_the_image_plus_that_noise():
    noise = cs.Noise(0.3, hold_ms=4)
    both, _, _ = run(cs.Phase("p", 20, drive={"retina": X + noise}))
    alone, _, _ = run(_only(noise), trials=3)
    difference = both["rate"].values[:, :7] - alone["rate"].values[:, :7]
    np.testing.assert_allclose(difference, np.repeat(X[:, :, None], 10, axis=2), atol=1e-12)
    assert alone["rate"].values[:, :7].std() > 0.2


def _only(noise):
    return cs.Phase("p", 20, drive={"retina": noise})


def test_noise_has_the_covariance_that_was_asked_for():
    factor = RNG.normal(size=(7, 2))  # of rank 2: units share two sources
    covariance = factor @ factor.T
    seen, _, _ = run(
        cs.Phase("p", 2000, drive={"retina": cs.Noise(covariance=covariance, mean=0.5)}), trials=8
    )
    values = seen["rate"].values[:, :7].transpose(0, 2, 1).reshape(-1, 7)
    assert np.linalg.matrix_rank(values - 0.5, tol=1e-8) == 2
    np.testing.assert_allclose(values.mean(0), 0.5, atol=0.1)
    np.testing.assert_allclose(np.cov(values.T), covariance, atol=0.12 * covariance.max())


def test_noise_that_differs_between_trials():
    seen, _, _ = run(cs.Phase("p", 400, drive={"retina": cs.Noise([0.1, 1.0], mean=[0, 3])}))
    first, second = seen["rate"].values[:, :7]
    np.testing.assert_allclose([first.std(), second.std()], [0.1, 1.0], rtol=0.1)
    np.testing.assert_allclose([first.mean(), second.mean()], [0, 3], atol=0.1)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: cs.Noise(), "Noise: needs either sd, a standard deviation, or covariance"),
        (lambda: cs.Noise(1, covariance=np.eye(2)), "Got both"),
        (lambda: cs.Noise(covariance=np.ones((2, 3))), "covariance must have the shape"),
        (lambda: cs.Noise(covariance=[[1, 2], [0, 1]]), "covariance must be symmetric"),
        (
            lambda: cs.Noise(covariance=[[1, 2], [2, 1]]),
            "covariance has the negative eigenvalue -1, which no covariance",
        ),
        (lambda: cs.Sum(1.0), "Sum: needs at least two inputs"),
        (lambda: cs.Sum(1.0, "V1"), "Sum: part 1 must be a number, an array"),
        (
            lambda: run(_only(cs.Noise(covariance=np.eye(2)))),
            "covariance has shape .2, 2., and retina has 7 units",
        ),
        (
            lambda: run(_only(cs.Noise(1, hold_ms=3))),
            "drive of retina: hold_ms must be a multiple of dt_ms=2",
        ),
        (
            lambda: run(_only(cs.TimeSeries([1, 2], 3))),
            "drive of retina: bin_ms must be a multiple of dt_ms=2",
        ),
        (
            lambda: run(_only(cs.TimeSeries(np.zeros((3, 4, 5)), 2))),
            "or .presentation, bin, 7. for a movie per trial",
        ),
        (
            lambda: run(_only(cs.Sum(X, cs.TimeSeries(MOVIES[:2], 2)))),
            "must have the same number of presentations",
        ),
    ],
)
def test_refused_with_the_way_out(make, message):
    with pytest.raises((cs.DeclarationError, cs.RunError), match=message):
        make()
