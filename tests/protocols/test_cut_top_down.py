"""A cut, late or noisy top-down projection: what reaches V1's synapses, and what they learn of it."""

import numpy as np
import pytest
from short_runs import both_engines, module, runs_on_disk, shortened

import cortex_sim as cs
from cortex_sim.activations import LeakyRelu

NAME = "cut_top_down"
TWO = {"trials": 2, "repeat": 1, "order": "given", "probe": None}
BELOW, ABOVE = "retina->V1", "V1->IT"


@pytest.fixture(scope="module")
def two_digits():
    """Both digits at an η so small that weights stay where they are."""
    record = cs.Record(phase="settle", weights=(BELOW, ABOVE))
    return cs.brian2.run(shortened(NAME, **TWO, record=record, eta_per_s=1e-4), progress=False)


def changes(recording, projection, arm):
    """Change in each trial, (trial, post, pre)."""
    return np.diff(cs.recording.weights_of(recording, projection, arm)[1], axis=0)


def test_both_engines_take_the_same_steps():
    recording = both_engines(NAME, **TWO)
    assert set(recording.arm.values.tolist()) == set(module(NAME).ARMS)


def test_cut_moves_what_is_above_and_nothing_below(two_digits):
    assert not changes(two_digits, BELOW, "cut").any()
    cut, intact = (changes(two_digits, ABOVE, arm) for arm in ("cut", "intact"))
    np.testing.assert_allclose(cut, intact, atol=1e-4 * abs(intact).max())  # as long as below has not moved


def test_fifty_ms_late_is_half_a_window(two_digits):
    late, intact = (changes(two_digits, BELOW, arm)[0] for arm in ("50 ms late", "intact"))
    # It arrives 10 ms into the window of 40 and rises with τ = 10 ms.
    expected = (30 - 10 * (1 - np.exp(-3))) / 40
    assert np.vdot(late, intact) / np.vdot(intact, intact) == pytest.approx(expected, abs=0.03)


def test_one_image_late_teaches_the_second_image_the_credit_of_the_first(two_digits):
    first, second = changes(two_digits, BELOW, "one image late")
    assert not first.any()
    digits = cs.Stimuli("digits", count=module(NAME).DIGITS, standardise=True)
    x, labels, f = digits.images[:2].astype(float), digits.labels[:2], LeakyRelu()
    w, up = (cs.recording.weights_of(two_digits, name, "intact")[1][0] for name in (BELOW, ABOVE))
    a = x @ w.T
    answer = np.exp(f.rate(a) @ up.T)
    u = np.eye(10)[labels[0]] - answer[0] / answer[0].sum()
    credit = up.T @ np.linalg.solve(up @ up.T + 1e-3 * np.eye(10), u)
    expected = 1e-4 * 0.04 * np.outer(credit * f.gain(a)[1], x[1])
    np.testing.assert_allclose(second, expected, atol=0.03 * abs(expected).max())


def test_noise_moves_synapses_but_not_where_it_comes_from(two_digits):
    noisy, intact = (changes(two_digits, BELOW, arm) for arm in ("noisy", "intact"))
    assert np.linalg.norm(noisy - intact) > 0.1 * np.linalg.norm(intact)
    above, quiet = (changes(two_digits, ABOVE, arm)[0] for arm in ("noisy", "intact"))
    np.testing.assert_allclose(above, quiet, atol=1e-3 * abs(quiet).max())


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_known_result(seed, tmp_path):
    found = runs_on_disk(NAME, tmp_path, seed)
    after = {arm: numbers["accuracy after"] for arm, numbers in found.items()}
    assert found["cut"]["retina->V1 moved"] == 0 and found["cut"]["V1->IT moved"] > 0.5
    assert after["cut"] > found["cut"]["accuracy before"] + 0.3  # IT still learns
    assert after["intact"] > 0.8 and after["intact"] > after["cut"] + 0.15
    for arm in ("50 ms late", "noisy"):
        assert after["cut"] + 0.1 < after[arm] and found[arm]["cosine to intact"] > 0.85
    assert found["50 ms late"]["retina->V1 moved"] < 0.8 * found["intact"]["retina->V1 moved"]
    assert abs(found["one image late"]["cosine to intact"]) < 0.3
    assert found["one image late"]["retina->V1 moved"] > 0.3 and after["one image late"] < after["cut"]
