"""Landscapes: arms start alike and step as they say, and the objective is that of the network."""

import numpy as np
import pytest
import torch
from short_runs import module

NAME = "landscapes"
STEPS = 4


@pytest.fixture(scope="module")
def script():
    return module(NAME)


@pytest.fixture(scope="module")
def bench(script):
    return script.Bench("digits", 2, STEPS)


@pytest.fixture(scope="module")
def credit(script, bench):
    return script.trajectory(bench, script.CREDIT)


def split(bench, points):
    """Weights and biases of a chain 196-64-10, from its flat parameters."""
    w1, b1, w2, b2 = np.split(points, np.cumsum([64 * 196, 64, 64 * 10]))
    return w1.reshape(64, 196), b1, w2.reshape(10, 64), b2


def forward(bench, point, x):
    w1, b1, w2, b2 = split(bench, point.astype(float))
    return np.maximum(x @ w1.T + b1, 0) @ w2.T + b2


def test_the_objective_is_the_cross_entropy_of_the_network(bench, credit):
    points = credit[0][1]
    x, y = (t[1].double().numpy() for t in bench.shown)
    expected = []
    for point in points:
        top = forward(bench, point, x)
        expected.append(np.mean(np.log(np.exp(top).sum(1)) - (top * y).sum(1)))
    np.testing.assert_allclose(bench.objective(1)(points), expected, rtol=1e-5)
    x, y = (t[1].double().numpy() for t in bench.tested)
    right = np.mean(forward(bench, points[-1], x).argmax(1) == y.argmax(1))
    assert bench.objective(1, accuracy=True)(points[-1:])[0] == pytest.approx(right, abs=0.002)


def test_the_gradient_is_that_of_the_objective(script, bench, credit):
    """Against finite differences in random directions, in which every parameter takes part."""
    x, y = bench.shown
    cohort = bench.cohort()
    at = torch.from_numpy(credit[0][:, -1])
    script.place(cohort, at)
    down = torch.cat(bench.gradient(cohort, x, y), 1).double().numpy()
    rng = np.random.default_rng(3)
    for run in range(2):
        d, point = rng.normal(size=down.shape[1]), at[run].double().numpy()
        d += 50 * down[run]  # so that the slope is not lost in rounding
        d /= np.linalg.norm(d)
        after, before = bench.objective(run)(np.stack((point + 0.01 * d, point - 0.01 * d)))
        assert -(after - before) / 0.02 == pytest.approx(down[run] @ d, rel=0.02)


def test_arms_start_alike_and_step_as_they_say(script, bench, credit):
    points, moves = credit
    sizes = [64 * 197, 10 * 65]
    for arm in script.ARMS[1:]:
        other, took = script.trajectory(bench, arm, moves)
        np.testing.assert_array_equal(other[:, 0], points[:, 0])
        assert other.shape == (2, STEPS + 1, sum(sizes)) and (other[:, -1] != points[:, -1]).any()
        for layer in range(2):
            same = np.allclose(took.lengths[layer], moves.lengths[layer], rtol=1e-3)
            assert same == (arm in (script.LONG, script.NOISY))
            if arm == script.LONG:
                np.testing.assert_allclose(took.cosines[layer], 1, atol=1e-3)
            if arm == script.NOISY:
                np.testing.assert_allclose(took.cosines[layer], moves.cosines[layer], atol=1e-3)
    assert np.all(np.concatenate(moves.cosines) < 0.99)
    batches = [[x for x, _ in bench.batches(seed)] for seed in (1, 1, 2)]
    assert torch.equal(batches[0][0], batches[1][0]) and not torch.equal(batches[0][0], batches[2][0])


def test_what_is_measured_of_a_way(script, bench, credit):
    found = script.measured(bench, 0, credit[0][0])
    steps = np.diff(credit[0][0], axis=0)
    assert found["path"] == pytest.approx(np.linalg.norm(steps, axis=1).sum(), rel=1e-5)
    assert found["distance"] == pytest.approx(np.linalg.norm(steps.sum(0)), rel=1e-4)
    assert 0 < found["second"] < found["first"] <= 1 and 0 <= found["crossings"] <= STEPS
    assert found["slice"] > 0


def test_a_step_over_a_barrier_is_counted(script):
    """A bench whose objective has a wall between the first two points, and none between the next."""

    class Wall:
        def objective(self, run, accuracy=False):
            return lambda points: np.exp(-np.square((points[:, 0] - 0.5) / 0.2)) - 0.001 * points[:, 0]

    path = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.1]])
    kept = script._slice
    try:
        script._slice = lambda *given: 0.0
        found = script.measured(Wall(), 0, path)
    finally:
        script._slice = kept
    assert found["crossings"] == 1 and found["rises"] == 0 and found["climb"] > 0.9
