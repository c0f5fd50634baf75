"""Lines, planes, slices and principal components against objectives and walks whose shape is known."""

import numpy as np
import pytest

from cortex_sim.errors import DeclarationError
from cortex_sim.landscapes import (
    Plane,
    along,
    barrier,
    climb,
    crosses,
    explained,
    explained_of_random_walk,
    filter_normalised,
)


def two_wells(points):
    """(x² − 1)² + y: minima at x = ±1, a barrier of 1 between them."""
    return np.square(np.square(points[:, 0]) - 1) + points[:, 1]


def test_a_barrier_between_two_wells():
    values = along(two_wells, np.array([-1.0, 0.0]), np.array([1.0, 0.0]), 101)
    assert barrier(values) == pytest.approx(1.0) == climb(values) and crosses(values, 0.9)
    assert not crosses(values, 1.1)
    tilted = along(two_wells, np.array([-1.0, 0.0]), np.array([1.0, -3.0]), 101)
    share = np.linspace(0, 1, 101)
    reference = max(a - (1 - s) * tilted[0] - s * tilted[-1] for a, s in zip(tilted, share, strict=True))
    assert barrier(tilted) == pytest.approx(reference) and reference > 0.9
    assert climb(tilted) == pytest.approx(
        max(tilted[j] - tilted[i] for j in range(101) for i in range(j + 1)), abs=1e-12
    )
    assert not crosses(tilted, 0.1)  # it climbs, but not above where it began


def test_a_bowl_has_no_barrier_and_its_descent_no_climb():
    values = along(lambda p: np.square(p).sum(1), np.array([3.0, 1.0]), np.zeros(2))
    assert barrier(values) == 0 == climb(values) and not crosses(values, 0)
    assert len(values) == 21 and values[0] == 10 and values[-1] == 0


def test_whether_a_path_that_is_not_known_crosses_is_not_said():
    with pytest.raises(DeclarationError, match="none of them NaN"):
        crosses(np.array([1.0, np.nan, 0.5]), 0.1)


@pytest.mark.parametrize(
    "start, end, points, message",
    [
        (np.zeros(2), np.zeros(3), 5, r"start has shape \(2,\), end \(3,\)"),
        (np.zeros(2), np.ones(2), 2, "points must be at least 3"),
    ],
)
def test_what_is_no_line_is_refused(start, end, points, message):
    with pytest.raises(DeclarationError, match=message):
        along(two_wells, start, end, points)


def test_a_plane_holds_its_points_and_measures_what_is_outside():
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 7))
    plane = Plane.through(a, b, c)
    np.testing.assert_allclose(plane.points(plane.coordinates(np.stack((a, b, c)))), [a, b, c], atol=1e-12)
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(plane.coordinates(b[None])[0], [np.linalg.norm(b - a), 0], atol=1e-12)
    normal = rng.normal(size=7)
    normal -= plane.axes.T @ (plane.axes @ normal)
    apart = a + 3 * plane.axes[0] + 4 * normal / np.linalg.norm(normal)
    np.testing.assert_allclose(plane.outside(np.stack((apart, b, a))), [16 / 25, 0, 0], atol=1e-12)
    for other in (a + 2 * (b - a), a):
        with pytest.raises(DeclarationError, match="on one line"):
            Plane.through(a, b, other)
    with pytest.raises(DeclarationError, match="on one line"):
        Plane.through(a, a, c)


def test_a_straight_trajectory_is_one_component():
    line = np.linspace(0, 1, 11)[:, None] * np.arange(1.0, 6.0)
    np.testing.assert_allclose(explained(line, 2), [1, 0], atol=1e-12)
    assert explained(line + 3, 1)[0] == pytest.approx(1)
    with pytest.raises(DeclarationError, match="give one that moves"):
        explained(np.ones((5, 3)))


def test_the_null_is_that_of_a_random_walk():
    """Against walks that are drawn, of unequal steps; and against the limit for many equal steps."""
    rng, lengths = np.random.default_rng(1), np.linspace(3, 0.5, 60)
    steps = rng.normal(size=(60, 5000))
    steps *= (lengths / np.linalg.norm(steps, axis=1))[:, None]
    walk = np.concatenate((np.zeros((1, 5000)), np.cumsum(steps, 0)))
    np.testing.assert_allclose(explained_of_random_walk(lengths, 3), explained(walk, 3), atol=0.01)
    limit = 6 / np.square(np.pi * np.arange(1, 4))
    np.testing.assert_allclose(explained_of_random_walk(np.ones(800), 3), limit, atol=0.002)


def test_a_direction_is_as_long_as_every_units_weights():
    rng = np.random.default_rng(2)
    weights = [rng.normal(size=(5, 7)), 10 * rng.normal(size=(3, 2, 3, 3))]
    one, other = (filter_normalised(weights, np.random.default_rng(seed)) for seed in (0, 1))
    for w, d, e in zip(weights, one, other, strict=True):
        for row, new in zip(w, d, strict=True):
            assert np.linalg.norm(new) == pytest.approx(np.linalg.norm(row))
        assert d.shape == w.shape and abs(np.sum(d * e)) < 0.9 * np.sum(d * d)
    assert not filter_normalised([np.zeros((2, 3))], rng)[0].any()
