"""Ocular dominance shifts where one eye is closed and noisy, not where both are."""

import numpy as np
import pytest
from short_runs import both_engines, module, runs_on_disk

NAME = "bcm_ocular_dominance"


def test_eyes_see_what_the_arm_says():
    eyes = module(NAME)
    rearing = eyes.REARING
    by_arm = {arm: eyes.images(*given, seed=3) for arm, given in eyes.AFTER_REARING.items()}
    for shown in by_arm.values():  # one rearing
        np.testing.assert_array_equal(shown[:rearing], by_arm["both open"][:rearing])
    left, right = np.split(by_arm["left closed"][rearing:], 2, axis=1)
    assert abs(left.mean()) < 0.01 and left.std() == pytest.approx(eyes.NOISE, rel=0.02)
    np.testing.assert_array_equal(right, by_arm["both open"][rearing:, eyes.UNITS :])
    assert not by_arm["left silent"][rearing:, : eyes.UNITS].any()
    assert abs(by_arm["both closed"][rearing:].mean()) < 0.01


def test_dominance_of_closed_forms():
    eyes = module(NAME)
    to_first = np.linalg.pinv(eyes.patterns())[:, 0]  # answers the first pattern with 1, the others with 0
    nothing = np.zeros_like(to_first)
    cells = np.array([[*to_first, *nothing], [*nothing, *to_first], [*3 * to_first, *to_first]])
    np.testing.assert_allclose(eyes.dominance(cells), [1, -1, 0.5], atol=1e-12)
    np.testing.assert_allclose(eyes.selectivity(cells), 0.8, atol=1e-12)


@pytest.mark.slow
def test_both_engines_take_the_same_steps():
    recording = both_engines(NAME, trials=50)
    assert module(NAME).figure(recording).axes
    assert len(module(NAME).statistics(recording)) == 4


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_known_result(seed, tmp_path):
    found = runs_on_disk(NAME, tmp_path, seed)
    shift = {arm: abs(row["dominance after"] - row["dominance before"]) for arm, row in found.items()}
    for row in found.values():
        assert abs(row["dominance before"]) < 0.1 and row["selectivity before"] > 0.7
        assert row["selectivity after"] > 0.65
    closed = found["left closed"]
    assert closed["dominance after"] < -0.6 and closed["left rate after"] < closed["left rate before"] / 2
    assert closed["right rate after"] > 1.3 * closed["right rate before"]
    assert max(shift["both open"], shift["both closed"]) < 0.2 * shift["left closed"]
    silent = found["left silent"]
    assert silent["left rate after"] == pytest.approx(silent["left rate before"], rel=1e-9)
    assert shift["left silent"] < 0.6 * shift["left closed"]
