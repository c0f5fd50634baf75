import numpy as np
import pytest
import torch
from quadratic_runs import QuadraticRuns, reached, smoothed_gradient

from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.tdca.outer import NRES

CENTRE = torch.tensor([0.2, -0.4, 0.9], dtype=torch.float64)
SIGMA = 0.4


def begin(runs, seed=1, **own):
    return NRES(**own).begin(runs, CENTRE, 100, torch.Generator().manual_seed(seed))


def of_whole_runs(runs, estimate, repeats=60):
    """Estimates (repeat, P), each the mean over all windows of one generation of inner runs."""
    return np.array(
        [np.mean([estimate().numpy() for _ in range(runs.windows)], axis=0) for _ in range(repeats)]
    )


def deviations(estimates, truth):
    """How many standard errors the mean lies from the truth."""
    error = estimates.std(0, ddof=1) / np.sqrt(len(estimates))
    return (estimates.mean(0) - truth) / error


def truth(runs):
    s = reached(runs.leak, runs.windows * runs.steps)
    return smoothed_gradient(CENTRE.numpy(), s, runs.power, SIGMA, runs.mean_goal, runs.spread)


@pytest.mark.parametrize("power", [2, 4])
def test_unbiased_for_the_smoothed_loss_of_the_whole_life(power):
    runs = QuadraticRuns(400, twins=True, power=power)
    begun = begin(runs, sigma=SIGMA)
    estimates = of_whole_runs(runs, lambda: begun.estimate()[0])
    assert np.abs(deviations(estimates, truth(runs))).max() < 4
    relative = estimates.std(0) / np.sqrt(len(estimates)) / np.abs(truth(runs))
    assert relative.max() < 0.1, "precise enough to tell"


def test_noise_drawn_anew_each_window_is_biased_on_the_same_lives():
    """Which also shows that the test above can fail."""
    runs = QuadraticRuns(400, twins=True)
    generator = torch.Generator().manual_seed(1)

    def truncated():
        noise = torch.randn(200, 3, generator=generator, dtype=torch.float64)
        phi = torch.stack((CENTRE + SIGMA * noise, CENTRE - SIGMA * noise), 1).flatten(0, 1)
        loss = runs.unroll(phi).loss
        return ((loss[0::2] - loss[1::2]) / (2 * SIGMA)) @ noise / 200

    assert np.abs(deviations(of_whole_runs(runs, truncated), truth(runs))).max() > 10


def test_smoothing_is_what_sets_the_quartic_apart():
    """The estimate is of the smoothed gradient, not of the gradient at the centre."""
    runs = QuadraticRuns(400, twins=True, power=4)
    begun = begin(runs, sigma=SIGMA)
    s = reached(runs.leak, runs.windows * runs.steps)
    sharp = smoothed_gradient(CENTRE.numpy(), s, 4, 0.0, runs.mean_goal, runs.spread)
    assert np.abs(deviations(of_whole_runs(runs, lambda: begun.estimate()[0]), sharp)).max() > 10


def test_equals_the_published_estimate_pair_by_pair():
    class Watched(QuadraticRuns):
        def unroll(self, phi):
            self.window, self.phi = super().unroll(phi), phi
            return self.window

    runs = Watched(6, twins=True)
    gradient, measured = begin(runs, sigma=SIGMA).estimate()
    phi, loss = runs.phi.numpy(), runs.window.loss.numpy()
    expected = np.zeros(3)
    for i in range(3):
        plus, minus = phi[2 * i], phi[2 * i + 1]
        np.testing.assert_allclose((plus + minus) / 2, CENTRE.numpy(), atol=1e-12)
        expected += (loss[2 * i] - loss[2 * i + 1]) * (plus - minus) / 2 / (2 * SIGMA**2) / 3
    np.testing.assert_allclose(gradient, expected, rtol=1e-10)
    assert measured["loss"] == pytest.approx(loss.mean())


def test_a_pair_keeps_its_noise_for_life_and_no_longer():
    runs = QuadraticRuns(4, twins=True, windows=2)
    runs.age = torch.tensor([2, 2, 2, 2])
    begun = begin(runs)
    noises = []
    for t in range(4):
        if t == 1:
            runs.age[2:] = 2  # the second pair ends early
        begun.estimate()
        noises.append(begun.state()["noise"])
    first, second = [n[0] for n in noises], [n[1] for n in noises]
    assert torch.equal(first[0], first[1]) and not torch.equal(first[1], first[2])
    assert not torch.equal(second[0], second[1]) and torch.equal(second[1], second[2])
    assert not torch.equal(second[2], second[3])


def test_never_asks_for_a_gradient():
    runs = QuadraticRuns(4, twins=True)
    begin(runs).step()
    assert runs.saw == [((4, 3), False, False)]


def test_descends():
    runs = QuadraticRuns(64, twins=True, windows=1, spread=0.0)
    begun = begin(runs, sigma=0.05, rate=0.05)
    losses = [begun.step()["loss"] for _ in range(100)]
    s = reached(runs.leak, 4)
    best = runs.mean_goal * s.sum() / (s**2).sum()
    torch.testing.assert_close(begun.centre, torch.full((3,), best, dtype=torch.float64), rtol=0, atol=0.02)
    assert losses[-1] < 0.5 * losses[0]


def test_lives_that_cannot_serve_are_refused():
    with pytest.raises(DeclarationError, match="come in pairs, but there are 3"):
        begin(QuadraticRuns(3))
    begun = QuadraticRuns(2, twins=True)
    begun.age[0] = 1
    with pytest.raises(DeclarationError, match="that have not started"):
        begin(begun)
    runs = QuadraticRuns(2, twins=True)
    search = begin(runs)
    search.step()
    runs.age[0] = runs.windows
    with pytest.raises(RunError, match="do not start together"):
        search.step()
