"""BCM units choose one pattern each; Hebbian units answer all."""

import numpy as np
import pytest
from short_runs import both_engines, module, runs_on_disk, shortened

import cortex_sim as cs

NAME = "bcm_selectivity"


def test_patterns_overlap_as_said():
    unit = module(NAME).patterns()
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    cosines = unit @ unit.T
    assert cosines[0, 1] == pytest.approx(0.37, abs=0.01)
    assert np.linalg.matrix_rank(cosines) == 5  # else no cell could tell them all apart
    np.testing.assert_allclose(cosines, np.roll(cosines, (1, 1), (0, 1)), atol=1e-12)  # none is special


def test_both_engines_take_the_same_steps():
    recording = both_engines(NAME, trials=5, repeat=2)
    assert module(NAME).responses(recording, "BCM").shape == (3, 5, 10)
    assert module(NAME).figure(recording).axes


def test_responses_are_those_of_the_weights_to_each_pattern():
    recording = cs.brian2.run(
        shortened(NAME, trials=1, repeat=1, record=cs.Record(phase="settle", weights=True))
    )
    for arm in ("BCM", "Hebb"):
        (_, weights), seen = (
            cs.recording.weights_of(recording, "retina->V1", arm),
            module(NAME).responses(recording, arm),
        )
        expected = np.maximum(module(NAME).patterns() @ weights.transpose(0, 2, 1), 0)
        np.testing.assert_allclose(seen, expected, rtol=2e-3, atol=1e-6)  # rates have settled for 8 τ


def test_selectivity_of_closed_forms():
    one, all_alike = np.eye(5)[:, :1], np.ones((5, 1))
    assert module(NAME).selectivity(one)[0] == pytest.approx(0.8)
    assert module(NAME).selectivity(all_alike)[0] == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_known_result(seed, tmp_path):
    found = runs_on_disk(NAME, tmp_path, seed)
    bcm, hebb = found["BCM"], found["Hebb"]
    assert bcm["selectivity before"] < 0.2
    assert bcm["least selective cell"] > 0.79 and bcm["patterns a cell answers"] == 1.0
    assert abs(bcm["highest rate, mean over cells"] - 5) < 0.05 and bcm["patterns chosen"] > 1
    assert hebb["selectivity after"] < hebb["selectivity before"] / 10
